"""The shortest document that protects as much as a long one: per validator the highest slot, source and target.

EIP-3076, "Advice for Minimal Databases". The highest source and the highest target may come from different votes; the
vote made of both, without a root, refuses everything that any of the votes would have refused (proved for Lighthouse in
github.com/michaelsproul/slashing-proofs, `minify_synth`). It also refuses what a complete history would let pass,
repeats included: that is the price.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from interchange.model import SignedAttestation, SignedBlock, ValidatorHistory


@dataclass(frozen=True, slots=True)
class Maxima:
    """The highest of each field that one validator signed; None where it signed none."""

    slot: int | None = None
    source_epoch: int | None = None
    target_epoch: int | None = None

    def raised_to(self, other: "Maxima") -> "Maxima":
        """The higher of each field: never lower than either."""
        return Maxima(
            _higher(self.slot, other.slot),
            _higher(self.source_epoch, other.source_epoch),
            _higher(self.target_epoch, other.target_epoch),
        )


def maxima_of(history: ValidatorHistory) -> Maxima:
    """The highest of each field in this history."""
    return Maxima(
        max((block.slot for block in history.blocks), default=None),
        max((vote.source_epoch for vote in history.attestations), default=None),
        max((vote.target_epoch for vote in history.attestations), default=None),
    )


def gather_maxima(histories: Iterable[ValidatorHistory]) -> dict[bytes, Maxima]:
    """The highest of each field for each validator, from all of its histories."""
    gathered: dict[bytes, Maxima] = {}
    for history in histories:
        before = gathered.get(history.pubkey, Maxima())
        gathered[history.pubkey] = before.raised_to(maxima_of(history))
    return gathered


def minified(pubkey: bytes, maxima: Maxima) -> ValidatorHistory:
    """The history that says these maxima and no more."""
    blocks = () if maxima.slot is None else (SignedBlock(maxima.slot),)
    if maxima.source_epoch is None or maxima.target_epoch is None:
        return ValidatorHistory(pubkey, blocks)
    return ValidatorHistory(pubkey, blocks, (SignedAttestation(maxima.source_epoch, maxima.target_epoch),))


def minify(histories: Iterable[ValidatorHistory]) -> tuple[ValidatorHistory, ...]:
    """One minified history for each validator, keys ascending. Memory grows with the validators, not the records."""
    gathered = gather_maxima(histories)
    return tuple(minified(pubkey, gathered[pubkey]) for pubkey in sorted(gathered))


def _higher(first: int | None, second: int | None) -> int | None:
    if first is None or second is None:
        return second if first is None else first
    return max(first, second)
