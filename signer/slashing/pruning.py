"""Forget old records without forgetting what they protect from: the floor rises in the transaction that deletes.

After it the least kept vote is the floor: a new vote needs a target above it and a source not below it. In a history
without slashable pairs no deleted source is above the least kept one; where an import brought such pairs along, the
floor's source is the greatest deleted one.

What is old is found beside the writer (`find_cuts`) and deleted in small transactions (`prune`), two statements for
each kind of record, however many validators they are of. In between more may be recorded, or pruned by another hand: a
cut only says below which target or slot to delete, and the floor is computed where the rows are deleted.

Rule 1: a validator's newest vote and block stay.
Rule 2: no floor rises above the present: a record that lies ahead of the clock is no reason to forget what lies before.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from signer.journal.ledger import Row, Transaction
from signer.journal.statement import Statement
from signer.slashing import pruning_statements as say
from signer.slashing.locking import lock_validators
from signer.slashing.records import ordered, unordered
from signer.slashing.watermarks import FloorLimits, read_floor_limits
from signer.units import Epoch, PublicKey, Slot

FIRST_PAGE = 2
"""Validators that are looked at first: the old records of a few fill a transaction, and those of each are counted."""

PAGE = 500
"""The most that are looked at by one statement, where those before had little: a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Keep:
    """What stays of each validator, counted back from its newest record, or from the present where that is earlier."""

    epochs: int
    """Votes: this many epochs of targets."""

    slots: int
    """Blocks: this many slots."""

    epoch_now: Epoch | None
    """By the clock; None where nobody knows when the chain began."""

    slot_now: Slot | None


@dataclass(frozen=True, slots=True)
class Cut:
    """One validator's votes below a target, or its blocks below a slot."""

    validator_id: int
    below: int
    """As it is stored (`records.ordered`): the least record that stays."""

    rows: int
    """How many there were when they were counted."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """What one transaction is to delete."""

    votes: tuple[Cut, ...]
    blocks: tuple[Cut, ...]
    after: int | None
    """The validator behind which to look next; None when that was all."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted."""

    validators: int = 0
    votes: int = 0
    blocks: int = 0


def find_cuts(
    transaction: Transaction, keep: Keep, *, rows: int, after: int = 0, public_key: PublicKey | None = None
) -> Cuts:
    """The next old records, at most so many, of validators behind an id; of one validator alone where it is named."""
    limits = read_floor_limits(transaction)
    votes: list[Cut] = []
    blocks: list[Cut] = []
    room, page = rows, FIRST_PAGE
    while room and (ends := list(transaction.rows(say.ENDS, (after, public_key, page)))):
        for cuts, cut in _old_records(transaction, ends, keep, limits, rows=rows, into=(votes, blocks)):
            if cut.rows > room:
                # Once more, for what did not fit.
                return Cuts(tuple(votes), tuple(blocks), cut.validator_id - 1)
            cuts.append(cut)
            room -= cut.rows
            if cut.rows == rows:
                # Once more: nobody has counted further.
                return Cuts(tuple(votes), tuple(blocks), cut.validator_id - 1)
        after = int(ends[-1][0])
        page = min(PAGE, page * 4)
    return Cuts(tuple(votes), tuple(blocks), after if votes or blocks else None)


def cut_votes(transaction: Transaction, cuts: Sequence[Cut]) -> int:
    """Raise the floors and delete the votes below; how many there were."""
    if not cuts:
        return 0
    what = _json(cuts)
    transaction.run(say.RAISE_VOTE_FLOORS, (what,))
    transaction.run(say.DELETE_VOTES, (what,))
    return transaction.changed()


def cut_blocks(transaction: Transaction, cuts: Sequence[Cut]) -> int:
    """Raise the floors and delete the blocks below; how many there were."""
    if not cuts:
        return 0
    what = _json(cuts)
    transaction.run(say.RAISE_BLOCK_FLOORS, (what,))
    transaction.run(say.DELETE_BLOCKS, (what,))
    return transaction.changed()


def prune(transaction: Transaction, cuts: Cuts) -> Pruned:
    """Delete what was found. Crash before the commit: nothing is deleted. After it: the floors stand in its place."""
    validators = {cut.validator_id for cut in (*cuts.votes, *cuts.blocks)}
    lock_validators(transaction, validators)
    return Pruned(len(validators), cut_votes(transaction, cuts.votes), cut_blocks(transaction, cuts.blocks))


def prune_votes(transaction: Transaction, validator_id: int, *, before: Epoch) -> None:
    """Delete this validator's votes with a target before an epoch, but never its newest."""
    for (below,) in list(transaction.rows(say.LEAST_KEPT_VOTE, (validator_id, ordered(before)))):
        cut_votes(transaction, [Cut(validator_id, below, 0)])


def prune_blocks(transaction: Transaction, validator_id: int, *, before: Slot) -> None:
    """Delete this validator's blocks before a slot, but never its newest."""
    for (below,) in list(transaction.rows(say.LEAST_KEPT_BLOCK, (validator_id, ordered(before)))):
        cut_blocks(transaction, [Cut(validator_id, below, 0)])


def _old_records(
    transaction: Transaction,
    ends: Sequence[Row],
    keep: Keep,
    limits: FloorLimits,
    *,
    rows: int,
    into: tuple[list[Cut], list[Cut]],
) -> list[tuple[list[Cut], Cut]]:
    """Where each cut belongs, and the cut; by validator, votes first."""
    old_votes: list[tuple[int, int]] = []
    old_blocks: list[tuple[int, int]] = []
    for validator_id, first_target, last_target, first_slot, last_slot in ends:
        for old, first, last, kept, now in (
            (old_votes, first_target, last_target, keep.epochs, keep.epoch_now),
            (old_blocks, first_slot, last_slot, keep.slots, keep.slot_now),
        ):
            if first is not None and (before := _oldest_kept(last, kept=kept, now=now)) > unordered(first):
                old.append((validator_id, ordered(before)))
    votes = _cuts(
        transaction, say.OLD_VOTES, old_votes, rows=rows, highest=_least(_after(keep.epoch_now), limits.epoch)
    )
    blocks = _cuts(
        transaction, say.OLD_BLOCKS, old_blocks, rows=rows, highest=_least(_after(keep.slot_now), limits.slot)
    )
    found = [(into[0], cut) for cut in votes] + [(into[1], cut) for cut in blocks]
    return sorted(found, key=lambda each: each[1].validator_id)


def _oldest_kept(last: int, *, kept: int, now: int | None) -> int:
    """The least target or slot that stays whatever else there is; `last` is the newest one, as it is stored."""
    newest = unordered(last) if now is None else min(unordered(last), now)
    return max(0, newest - kept + 1)


def _cuts(
    transaction: Transaction, statement: Statement, old: Sequence[tuple[int, int]], *, rows: int, highest: int | None
) -> Iterator[Cut]:
    """`highest`: no floor rises above it."""
    if not old:
        return
    asked = msgspec.json.encode(old).decode()
    for validator_id, kept, further, count in transaction.rows(statement, (asked, rows)):
        if kept is None or not count or (highest is not None and unordered(kept) > highest):
            continue
        yield Cut(validator_id, kept if further is None else min(kept, further), count)


def _after(present: int | None) -> int | None:
    return None if present is None else present + 1


def _least(one: int | None, other: int | None) -> int | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _json(cuts: Iterable[Cut]) -> str:
    return msgspec.json.encode([(cut.validator_id, cut.below) for cut in cuts]).decode()
