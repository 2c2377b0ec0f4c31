"""What an operator should know of an EIP-3076 document before it is merged: contradictions, and records far ahead.

Contradictions stop no import: refusing such a history would protect less. But the validator may be unable to sign for
long. Records far ahead stop one that was not told that they are meant (`importing.py`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from interchange import Event, InterchangeError, Metadata, ValidatorHistory, check, parse
from interchange.check import BackwardVote, DoubleBlock, DoubleVote, Finding, SurroundVote
from signer.eth2.networks import Network

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class HistoryWarning:
    """One thing about one validator's history."""

    public_key: str
    """With 0x."""

    sentence: str


def examine_history(
    file: Path, *, network: Network | None, now: float, ahead_epochs: int
) -> tuple[HistoryWarning, ...]:
    """What is odd in a document; nothing in one that cannot be read, which importing will tell. Reads it once.

    Args:
        file: the document.
        network: the chain whose clock tells what is far ahead; asked only where the document is of its root.
        now: seconds since the Unix epoch.
        ahead_epochs: how far ahead of the present a record may be before it is odd.
    """
    seen = _Seen()
    try:
        findings = check(lambda: seen.noting(parse(_pieces(file))))
    except (InterchangeError, OSError):
        return ()
    epoch = None if network is None else network.epoch_at(now)
    if network is None or epoch is None or network.genesis_validators_root != seen.root:
        return tuple(_contradictions(findings))
    far_ahead = seen.far_ahead(epoch, last_epoch=epoch + ahead_epochs, slots_per_epoch=network.preset.slots_per_epoch)
    return (*_contradictions(findings), *far_ahead)


@dataclass(slots=True)
class _Seen:
    """What passes by while a document is checked: its chain, and the furthest target and slot of each validator."""

    root: bytes | None = None
    furthest: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    def noting(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            match event:
                case Metadata():
                    self.root = event.genesis_validators_root
                case ValidatorHistory():
                    target, slot = self.furthest.get(event.pubkey, (0, 0))
                    target = max([target, *(vote.target_epoch for vote in event.attestations)])
                    self.furthest[event.pubkey] = (target, max([slot, *(block.slot for block in event.blocks)]))
                case _:
                    pass
            yield event

    def far_ahead(self, epoch: int, *, last_epoch: int, slots_per_epoch: int) -> Iterator[HistoryWarning]:
        last_slot = (last_epoch + 1) * slots_per_epoch - 1
        for key, (target, slot) in self.furthest.items():
            told = [f"epoch {target}"] * (target > last_epoch) + [f"slot {slot}"] * (slot > last_slot)
            if told:
                yield HistoryWarning(
                    "0x" + key.hex(),
                    f"its records reach {' and '.join(told)}, and now is epoch {epoch}: it may not sign until then",
                )


def _contradictions(findings: Iterable[Finding]) -> Iterator[HistoryWarning]:
    first: dict[bytes, Finding] = {}
    counts: dict[bytes, int] = {}
    for finding in findings:
        first.setdefault(finding.pubkey, finding)
        counts[finding.pubkey] = counts.get(finding.pubkey, 0) + 1
    for key, finding in first.items():
        more = f" and {counts[key] - 1} more" if counts[key] > 1 else ""
        yield HistoryWarning(
            "0x" + key.hex(),
            f"its records contradict each other ({_words(finding)}{more}): nothing near them is signed",
        )


def _words(finding: Finding) -> str:
    match finding:
        case DoubleBlock(first=block):
            return f"two blocks of slot {block.slot}"
        case DoubleVote(first=vote):
            return f"two votes for target {vote.target_epoch}"
        case SurroundVote(surrounding=outer, surrounded=inner):
            votes = (f"{vote.source_epoch}-{vote.target_epoch}" for vote in (outer, inner))
            return "vote {} surrounds {}".format(*votes)
        case BackwardVote(vote=vote):
            return f"vote {vote.source_epoch}-{vote.target_epoch} goes backward"


def _pieces(file: Path) -> Iterable[bytes]:
    with file.open("rb") as source:
        while piece := source.read(_PIECE_BYTES):
            yield piece
