"""Would the messages of a document be slashed? Which validators', and which pairs?

Rule 1: two messages that cannot be told equal count as different (EIP-3076, condition 1).
Rule 2: records are sorted and swept, never compared pair by pair. A message in conflict is named with one message that
it conflicts with, not with all.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from interchange.model import SignedAttestation, SignedBlock, ValidatorHistory
from interchange.parse import Reading, histories
from interchange.serialise import attestation_order, block_order


@dataclass(frozen=True, slots=True)
class DoubleBlock:
    """Two blocks of one slot (consensus-specs, process_proposer_slashing)."""

    pubkey: bytes
    first: SignedBlock
    second: SignedBlock


@dataclass(frozen=True, slots=True)
class DoubleVote:
    """Two votes for one target (consensus-specs, is_slashable_attestation_data)."""

    pubkey: bytes
    first: SignedAttestation
    second: SignedAttestation


@dataclass(frozen=True, slots=True)
class SurroundVote:
    """A vote within another (consensus-specs, is_slashable_attestation_data)."""

    pubkey: bytes
    surrounding: SignedAttestation
    surrounded: SignedAttestation


@dataclass(frozen=True, slots=True)
class BackwardVote:
    """A vote whose source is later than its target. No chain includes it, but no honest signer made it either: the
    EIP-3076 test suite counts it as slashable data.
    """

    pubkey: bytes
    vote: SignedAttestation


Finding = DoubleBlock | DoubleVote | SurroundVote | BackwardVote


def check(reading: Reading) -> tuple[Finding, ...]:
    """What is slashable in a document, sorted by validator; nothing when the document is sound.

    Reads the document once, and a second time where a validator's histories stand apart in it. Memory grows with the
    longest history, and with all of those that stand apart.

    Raises:
        InterchangeError: the document cannot be read.
    """
    findings: dict[bytes, tuple[Finding, ...]] = {}
    scattered: set[bytes] = set()
    for pubkey, parts in itertools.groupby(histories(reading()), key=lambda part: part.pubkey):
        if pubkey in findings:
            scattered.add(pubkey)
        else:
            findings[pubkey] = tuple(check_history(_joined(pubkey, parts)))
    if scattered:
        for history in _gathered(histories(reading()), scattered):
            findings[history.pubkey] = tuple(check_history(history))
    return tuple(finding for pubkey in sorted(findings) for finding in findings[pubkey])


def check_history(history: ValidatorHistory) -> Iterator[Finding]:
    """What is slashable among the messages of one validator."""
    yield from _double_blocks(history)
    yield from _double_votes(history)
    yield from _surround_votes(history)
    yield from (BackwardVote(history.pubkey, vote) for vote in history.attestations if _is_backward(vote))


def _double_blocks(history: ValidatorHistory) -> Iterator[DoubleBlock]:
    for first, second in itertools.pairwise(sorted(history.blocks, key=block_order)):
        if first.slot == second.slot and (first.signing_root is None or first != second):
            yield DoubleBlock(history.pubkey, first, second)


def _double_votes(history: ValidatorHistory) -> Iterator[DoubleVote]:
    for first, second in itertools.pairwise(sorted(history.attestations, key=attestation_order)):
        if first.target_epoch == second.target_epoch and (first.signing_root is None or first != second):
            yield DoubleVote(history.pubkey, first, second)


def _surround_votes(history: ValidatorHistory) -> Iterator[SurroundVote]:
    """A vote is surrounded when one of an earlier source has a later target: the latest of those tells."""
    latest: SignedAttestation | None = None
    by_source = sorted(history.attestations, key=lambda vote: vote.source_epoch)
    for _, group in itertools.groupby(by_source, key=lambda vote: vote.source_epoch):
        votes = list(group)
        if latest is not None:
            for vote in votes:
                if vote.target_epoch < latest.target_epoch:
                    yield SurroundVote(history.pubkey, latest, vote)
        highest = max(votes, key=lambda vote: vote.target_epoch)
        if latest is None or highest.target_epoch > latest.target_epoch:
            latest = highest


def _is_backward(vote: SignedAttestation) -> bool:
    return vote.source_epoch > vote.target_epoch


def _gathered(parts: Iterable[ValidatorHistory], pubkeys: set[bytes]) -> Iterator[ValidatorHistory]:
    kept: dict[bytes, list[ValidatorHistory]] = {pubkey: [] for pubkey in pubkeys}
    for part in parts:
        if part.pubkey in kept:
            kept[part.pubkey].append(part)
    return (_joined(pubkey, parts) for pubkey, parts in kept.items())


def _joined(pubkey: bytes, parts: Iterable[ValidatorHistory]) -> ValidatorHistory:
    blocks: list[SignedBlock] = []
    attestations: list[SignedAttestation] = []
    for part in parts:
        blocks += part.blocks
        attestations += part.attestations
    return ValidatorHistory(pubkey, tuple(blocks), tuple(attestations))
