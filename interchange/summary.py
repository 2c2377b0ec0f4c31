"""What a history amounts to: how many records, from where to where, and whether two are the same."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from interchange.model import SignedAttestation, SignedBlock, ValidatorHistory

_DIGEST_BYTES = 32
"""Wide enough that equal sums mean equal records, even where somebody chose them."""

_MODULUS = 1 << (8 * _DIGEST_BYTES)


@dataclass(frozen=True, slots=True)
class Span:
    """The lowest and the highest of a field."""

    lowest: int
    highest: int

    def joined(self, other: "Span | None") -> "Span":
        """The span that holds both."""
        if other is None:
            return self
        return Span(min(self.lowest, other.lowest), max(self.highest, other.highest))


@dataclass(frozen=True, slots=True)
class Summary:
    """One validator's history in a few numbers; a span is None where there is no record."""

    blocks: int = 0
    attestations: int = 0
    slots: Span | None = None
    source_epochs: Span | None = None
    target_epochs: Span | None = None

    def joined(self, other: "Summary") -> "Summary":
        """The summary of both histories together."""
        return Summary(
            self.blocks + other.blocks,
            self.attestations + other.attestations,
            self.slots.joined(other.slots) if self.slots else other.slots,
            self.source_epochs.joined(other.source_epochs) if self.source_epochs else other.source_epochs,
            self.target_epochs.joined(other.target_epochs) if self.target_epochs else other.target_epochs,
        )


def summarise(history: ValidatorHistory) -> Summary:
    """The summary of one history."""
    return Summary(
        len(history.blocks),
        len(history.attestations),
        _span([block.slot for block in history.blocks]),
        _span([vote.source_epoch for vote in history.attestations]),
        _span([vote.target_epoch for vote in history.attestations]),
    )


def summarise_each(histories: Iterable[ValidatorHistory]) -> dict[bytes, Summary]:
    """The summary of each validator, keys ascending. Memory grows with the validators, not the records."""
    gathered: dict[bytes, Summary] = {}
    for history in histories:
        gathered[history.pubkey] = gathered.get(history.pubkey, Summary()).joined(summarise(history))
    return {pubkey: gathered[pubkey] for pubkey in sorted(gathered)}


def fingerprint(history: ValidatorHistory) -> int:
    """A sum over the records. Sums of parts add up (modulo 2^256) to the sum of the whole, in any order."""
    return (sum(map(_digest, history.blocks)) + sum(map(_digest, history.attestations))) % _MODULUS


def fingerprint_each(histories: Iterable[ValidatorHistory]) -> dict[bytes, int]:
    """The fingerprint of each validator."""
    sums: dict[bytes, int] = {}
    for history in histories:
        sums[history.pubkey] = (sums.get(history.pubkey, 0) + fingerprint(history)) % _MODULUS
    return sums


def _span(values: list[int]) -> Span | None:
    return Span(min(values), max(values)) if values else None


def _digest(record: SignedBlock | SignedAttestation) -> int:
    return int.from_bytes(hashlib.blake2b(repr(record).encode(), digest_size=_DIGEST_BYTES).digest())
