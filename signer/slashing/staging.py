"""An EIP-3076 document made ready for the record: read, checked and cut into parts, before anything is changed.

A part is what one transaction takes: its rows are JSON texts that the database reads by itself, so that whoever hands
them on does nothing for each row. What must be known before the first part (whose records they are, and between which
numbers they lie) is known only at the end of the document; so the parts are written to a private file first.

Rule 1: nothing here touches the record.
Rule 2: of a validator with a fault in the document no row reaches a part.
Rule 3: a record further ahead of the clock than is allowed is such a fault: it would stop the validator until then.
"""

import errno
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from interchange import Fault, InterchangeError, Metadata, SignedAttestation, SignedBlock, ValidatorHistory, parse
from interchange.parse import Event
from signer.slashing.records import ordered
from signer.units import ROOT_BYTES

PART_ROWS = 1_000
"""Records in one part: a few milliseconds of one transaction, which is how long a vote may wait for it."""

PART_VALIDATORS = 125
"""Validators with votes in one part, and with blocks: each is locked while it is added to a shared database, where a
transaction locks `locking.MOST_LOCKED`."""

_PIECE_BYTES = 1 << 20

_FAULTS_TOLD = 1_000
"""Faults kept with their sentences; the rest are counted."""

_NICENESS = 10
"""Of the process of its own: signing comes first."""

Range = tuple[int, int]
"""The lowest and the highest."""


class Furthest(NamedTuple):
    """Records beyond these are faults."""

    epoch: int
    """Of a source or a target."""

    slot: int


class StagedValidator(msgspec.Struct, array_like=True, frozen=True):
    """What a document holds of one validator. Slots and epochs are unsigned; None where it has no such record."""

    public_key: str
    """Hex, without 0x."""

    blocks: int
    attestations: int
    slots: Range | None
    sources: Range | None
    targets: Range | None


class StagedFault(msgspec.Struct, array_like=True, frozen=True):
    """An element of `data` that cannot be used."""

    public_key: str | None
    """Hex, without 0x; None where that is the fault."""

    sentence: str
    path: str


class Staged(msgspec.Struct, array_like=True, frozen=True):
    """A whole document, read to its end."""

    digest: str
    """SHA-256 of the document, hex: tells one import from another."""

    genesis_validators_root: str
    """Hex, without 0x."""

    rows: int
    parts: int
    validators: list[StagedValidator]
    """In the document's order; only those whose rows are in the parts."""

    faults: list[StagedFault]
    fault_count: int


class Unusable(msgspec.Struct, array_like=True, frozen=True):
    """A document that cannot be used at all."""

    sentence: str
    path: str | None


class Part(msgspec.Struct, array_like=True, frozen=True):
    """The rows of one transaction."""

    rows: int
    votes: msgspec.Raw
    """{key: [[target, source, root], ...]}: each target once for a key; numbers as stored, keys and roots in hex."""

    blocks: msgspec.Raw
    """{key: [[slot, root], ...]}, in the same way."""

    hidden: list[tuple[str, int]]
    """Sources, as stored, that a row of this part does not show: votes with a lower source must not be signed."""

    def voters(self) -> Iterable[str]:
        """The keys that have votes in it: whose floor it may raise."""
        return msgspec.json.decode(self.votes, type=dict[str, msgspec.Raw])

    def keys(self) -> frozenset[str]:
        """Every key that has records in it, at most twice PART_VALIDATORS."""
        return frozenset((*self.voters(), *msgspec.json.decode(self.blocks, type=dict[str, msgspec.Raw])))


@dataclass(slots=True)
class _Tally:
    """What has been seen of one validator."""

    blocks: int = 0
    attestations: int = 0
    slots: Range | None = None
    sources: Range | None = None
    targets: Range | None = None

    def add(self, history: ValidatorHistory) -> None:
        self.blocks += len(history.blocks)
        self.attestations += len(history.attestations)
        self.slots = _wider(self.slots, [block.slot for block in history.blocks])
        self.sources = _wider(self.sources, [vote.source_epoch for vote in history.attestations])
        self.targets = _wider(self.targets, [vote.target_epoch for vote in history.attestations])


@dataclass(slots=True)
class Staging:
    """Gathers events into parts. Lives as long as one reading of one document."""

    skip: frozenset[bytes] = frozenset()
    """Validators whose records are left out."""

    metadata: Metadata | None = None
    tallies: dict[bytes, _Tally] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    rows: int = 0
    parts: int = 0
    _votes: dict[bytes, dict[int, SignedAttestation]] = field(default_factory=dict)
    _blocks: dict[bytes, dict[int, SignedBlock]] = field(default_factory=dict)
    _hidden: dict[bytes, int] = field(default_factory=dict)
    _gathered: int = 0

    def parts_of(self, events: Iterable[Event]) -> Iterator[bytes]:
        """The parts, encoded. Raises InterchangeError."""
        for event in events:
            match event:
                case Metadata():
                    self.metadata = event
                case Fault():
                    self.faults.append(event)
                case ValidatorHistory() if event.pubkey not in self.skip:
                    self.tallies.setdefault(event.pubkey, _Tally()).add(event)
                    yield from self._take(event)
                case _:
                    pass
        if self._gathered:
            yield self._encode()

    def validators(self) -> list[StagedValidator]:
        """What was seen of each."""
        return [
            StagedValidator(key.hex(), one.blocks, one.attestations, one.slots, one.sources, one.targets)
            for key, one in self.tallies.items()
        ]

    def _take(self, history: ValidatorHistory) -> Iterator[bytes]:
        for vote in history.attestations:
            self._take_vote(history.pubkey, vote)
            if self._is_full:
                yield self._encode()
        for block in history.blocks:
            self._blocks.setdefault(history.pubkey, {}).setdefault(block.slot, block)
            self._gathered += 1
            if self._is_full:
                yield self._encode()

    @property
    def _is_full(self) -> bool:
        return (
            self._gathered >= PART_ROWS or len(self._votes) >= PART_VALIDATORS or len(self._blocks) >= PART_VALIDATORS
        )

    def _take_vote(self, key: bytes, vote: SignedAttestation) -> None:
        """One vote for each target: of two, the one with the lower source, and the other source is hidden in it."""
        self._gathered += 1
        if vote.source_epoch > vote.target_epoch:
            self._hide(key, vote.source_epoch)
        votes = self._votes.setdefault(key, {})
        other = votes.setdefault(vote.target_epoch, vote)
        if other.source_epoch != vote.source_epoch:
            self._hide(key, max(other.source_epoch, vote.source_epoch))
            votes[vote.target_epoch] = SignedAttestation(min(other.source_epoch, vote.source_epoch), vote.target_epoch)

    def _hide(self, key: bytes, source: int) -> None:
        self._hidden[key] = max(self._hidden.get(key, 0), source)

    def _encode(self) -> bytes:
        votes = {key.hex(): list(map(_vote_row, own.values())) for key, own in self._votes.items()}
        blocks = {key.hex(): list(map(_block_row, own.values())) for key, own in self._blocks.items()}
        hidden = [(key.hex(), ordered(source)) for key, source in self._hidden.items()]
        encoded = msgspec.json.encode((self._gathered, votes, blocks, hidden))
        self.rows += self._gathered
        self.parts += 1
        self._votes, self._blocks, self._hidden, self._gathered = {}, {}, {}, 0
        return encoded


def stage(document: Path, parts: Path, furthest: Furthest | None = None) -> Staged | Unusable:
    """Read a document to its end, and write its parts to a file of their own, a line each.

    The file must be there (and private): it is written anew. A document with faults is read twice.
    """
    try:
        return _stage(document, parts, furthest)
    except InterchangeError as error:
        return Unusable(str(error), error.path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return Unusable(f"there is no space left to prepare {document.name}", None)
        return Unusable(f"{document.name} cannot be read: {error.strerror}", None)


def _stage(document: Path, parts: Path, furthest: Furthest | None) -> Staged | Unusable:
    digest = hashlib.sha256()
    staging = Staging()
    _write(parts, staging, _pieces(document, digest.update))
    spoiled = frozenset(fault.pubkey for fault in staging.faults if fault.pubkey is not None)
    ahead = [] if furthest is None else [one for one in _far_ahead(staging, furthest) if one.key not in spoiled]
    spoiled |= {one.key for one in ahead}
    if spoiled:
        staging = Staging(spoiled)
        _write(parts, staging, _pieces(document, lambda _: None))
    if staging.metadata is None:
        return Unusable('no member "metadata"', "$")
    told = [
        StagedFault(fault.pubkey.hex() if fault.pubkey else None, str(fault.error), fault.error.path)
        for fault in staging.faults[:_FAULTS_TOLD]
    ]
    told += [StagedFault(one.key.hex(), one.sentence, "$.data") for one in ahead[:_FAULTS_TOLD]]
    return Staged(
        digest.hexdigest(),
        staging.metadata.genesis_validators_root.hex(),
        staging.rows,
        staging.parts,
        staging.validators(),
        told,
        len(staging.faults) + len(ahead),
    )


class _FarAhead(NamedTuple):
    key: bytes
    sentence: str


def _far_ahead(staging: Staging, furthest: Furthest) -> Iterator[_FarAhead]:
    """The validators with a record that lies too far ahead, and which."""
    for key, one in staging.tallies.items():
        reaches = (
            ("a vote with target epoch", one.targets, furthest.epoch),
            ("a vote with source epoch", one.sources, furthest.epoch),
            ("a block at slot", one.slots, furthest.slot),
        )
        for what, reach, limit in reaches:
            if reach is not None and reach[1] > limit:
                yield _FarAhead(
                    key,
                    f"{what} {reach[1]} lies ahead of the clock: at most {limit} is taken,"
                    " for up to there it may sign nothing more, and that is never taken back; if it is meant, import"
                    " it with `holdfast slashing import --far-ahead` (over HTTP: far_ahead=true)",
                )
                break


def read_parts(file: Path) -> Iterator[Part]:
    """The parts that `stage` wrote. Raises OSError."""
    decoder = msgspec.json.Decoder(Part)
    with file.open("rb") as lines:
        for line in lines:
            yield decoder.decode(line)


def decode_part(encoded: bytes) -> Part:
    """One part of `Staging.parts_of`."""
    return msgspec.json.decode(encoded, type=Part)


def main() -> int:
    """`python -m signer.slashing.staging DOCUMENT PARTS [EPOCH SLOT]`: on its own, it disturbs no signature."""
    document, parts = (Path(name) for name in sys.argv[1:3])
    furthest = Furthest(*map(int, sys.argv[3:5])) if len(sys.argv) > 3 else None
    os.nice(_NICENESS)
    sys.stdout.buffer.write(encode_outcome(stage(document, parts, furthest)))
    return 0


def encode_outcome(outcome: Staged | Unusable) -> bytes:
    """What the process of its own tells."""
    return msgspec.json.encode([isinstance(outcome, Staged), outcome])


def decode_outcome(text: bytes) -> Staged | Unusable:
    """What it told. Raises msgspec.DecodeError."""
    is_staged, outcome = msgspec.json.decode(text, type=tuple[bool, msgspec.Raw])
    return msgspec.json.decode(outcome, type=Staged) if is_staged else msgspec.json.decode(outcome, type=Unusable)


def _write(parts: Path, staging: Staging, pieces: Iterable[bytes]) -> None:
    with parts.open("wb") as file:
        for part in staging.parts_of(parse(pieces, partial=True)):
            file.write(part)
            file.write(b"\n")


def _pieces(document: Path, seen: Callable[[bytes], None]) -> Iterator[bytes]:
    with document.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            seen(piece)
            yield piece


def _vote_row(vote: SignedAttestation) -> tuple[int, int, str | None]:
    return ordered(vote.target_epoch), ordered(vote.source_epoch), _hex(vote.signing_root)


def _block_row(block: SignedBlock) -> tuple[int, str | None]:
    return ordered(block.slot), _hex(block.signing_root)


def _wider(known: Range | None, values: list[int]) -> Range | None:
    if not values:
        return known
    lowest, highest = min(values), max(values)
    return (lowest, highest) if known is None else (min(known[0], lowest), max(known[1], highest))


def _hex(root: bytes | None) -> str | None:
    """None for a root of another length too: it equals no root that we compute, exactly as None does."""
    return root.hex() if root is not None and len(root) == ROOT_BYTES else None


if __name__ == "__main__":
    sys.exit(main())
