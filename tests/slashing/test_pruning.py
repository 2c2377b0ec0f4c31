"""Pruning forgets rows and nothing that they protect from; it is bounded, and stays below the present."""

import contextlib
import random

import pytest
from journal.kept_records import KeptRecord
from journal.record import PlainStory, block, public_key, root, vote

from interchange import Metadata, SignedAttestation, ValidatorHistory
from signer.errors import RefusalError
from signer.slashing.incoming import import_history
from signer.slashing.judging import judge_block, judge_vote
from signer.slashing.pruning import Cuts, Keep, Pruned, find_cuts, prune
from signer.slashing.rules import Proposal, Vote
from signer.slashing.status import find_key_record
from signer.slashing.watermarks import raise_floors
from signer.units import Epoch, Slot

ROWS = 16
CHAIN = Metadata(bytes(32))


@pytest.fixture
def record(kept: KeptRecord) -> KeptRecord:
    return kept


def keep(epochs: int, *, slots: int = 10**9, now: int | None = None) -> Keep:
    return Keep(epochs, slots, None if now is None else Epoch(now), None if now is None else Slot(now * 32))


async def sign(record: KeptRecord, *commands) -> None:
    for future in record.writer.commit_all(commands):
        await future


async def verdict(record: KeptRecord, command) -> str:
    try:
        return "repeat" if (await record.writer.commit(command)).repeat else "new"
    except RefusalError as refusal:
        return refusal.code


def found(record: KeptRecord, kept: Keep, **where) -> Cuts:
    with record.reading() as moment:
        return find_cuts(moment, kept, rows=ROWS, **where)


async def prune_all(record: KeptRecord, kept: Keep, **where) -> list[Pruned]:
    """Everything that is old, one transaction after the other."""
    done, after = [], 0
    while (cuts := found(record, kept, after=after, **where)).after is not None:
        done.append(await record.writer.perform(lambda t, cuts=cuts: prune(t, cuts), lambda _: PlainStory()))
        after = cuts.after
    return done


def known(record: KeptRecord, key: int = 1):
    with record.reading() as moment:
        return find_key_record(moment, public_key(key))


async def test_what_is_older_than_kept_goes_and_the_least_kept_is_the_floor(record: KeptRecord) -> None:
    await sign(record, *(vote(n - 1, n) for n in range(1, 31)), *(block(n * 32) for n in range(1, 31)))
    done = await prune_all(record, keep(10, slots=5 * 32))
    assert done == [Pruned(1, 16, 0), Pruned(1, 4, 0), Pruned(1, 0, 16), Pruned(1, 0, 9)]
    now = known(record)
    assert (now.votes, now.blocks) == (10, 5)
    assert (now.vote_floor.source_epoch, now.vote_floor.target_epoch, now.block_floor) == (20, 21, 26 * 32)
    assert await verdict(record, vote(20, 21)) == "repeat"
    assert await verdict(record, vote(20, 21, mark=2)) == "DOUBLE_VOTE"
    assert await verdict(record, vote(19, 20)) == "BELOW_FLOOR"
    assert await verdict(record, vote(19, 40)) == "BELOW_FLOOR"
    assert await verdict(record, vote(29, 31)) == "new"
    assert await verdict(record, block(25 * 32)) == "BELOW_FLOOR"


async def test_no_transaction_deletes_more_than_its_bound_and_all_of_them_everything_old(record: KeptRecord) -> None:
    draw = random.Random(7)
    lengths = {key: draw.choice([0, 1, 3, 15, 16, 17, 40]) for key in range(1, 40)}
    for key, length in lengths.items():
        await sign(record, *(vote(n, n + 1, key=key) for n in range(length)))
        await sign(record, *(block(n, key=key) for n in range(length // 2)))
    done = await prune_all(record, keep(4, slots=4))
    assert max(one.votes + one.blocks for one in done) == ROWS
    assert min(one.votes + one.blocks for one in done) > 0
    for key, length in lengths.items():
        if length:
            assert (known(record, key).votes, known(record, key).blocks) == (min(4, length), min(4, length // 2)), key
    assert found(record, keep(4, slots=4)) == Cuts((), (), None)


async def test_what_is_old_of_many_validators_is_gathered_into_full_transactions(record: KeptRecord) -> None:
    await sign(record, *(vote(n, n + 1, key=key) for key in range(1, 41) for n in range(3)))
    assert await prune_all(record, keep(1)) == [Pruned(8, 16, 0)] * 5


async def test_one_validator_alone_is_pruned_where_it_is_named(record: KeptRecord) -> None:
    await sign(record, *(vote(n, n + 1, key=key) for key in (1, 2) for n in range(40)))
    await prune_all(record, keep(4), public_key=public_key(2))
    assert (known(record, 1).votes, known(record, 2).votes) == (40, 4)


async def test_the_newest_stays_however_little_is_kept(record: KeptRecord) -> None:
    await sign(record, *(vote(n, n + 1) for n in range(20)), block(5), block(9))
    await prune_all(record, keep(1, slots=1))
    assert (known(record).votes, known(record).blocks) == (1, 1)
    assert await verdict(record, vote(19, 20)) == "repeat"
    assert await verdict(record, block(9)) == "repeat"


async def test_a_vote_far_ahead_of_the_clock_does_not_lift_the_floor_over_the_present(record: KeptRecord) -> None:
    """An import may bring one: with the floor at it, nothing honest could ever be signed again."""
    await sign(record, *(vote(n, n + 1) for n in range(100)), vote(10**9, 10**9 + 1), block(7), block(10**12))
    await prune_all(record, keep(10, slots=10, now=101))
    assert known(record).vote_floor.target_epoch == 92
    assert await verdict(record, vote(101, 102)) == "new"
    await prune_all(record, keep(10, slots=10, now=5000))
    assert known(record).vote_floor.target_epoch < 5000
    assert await verdict(record, vote(5000, 5001)) == "new"
    assert await verdict(record, block(160_000)) == "new"


async def test_a_clock_that_runs_ahead_deletes_nothing_more(record: KeptRecord) -> None:
    await sign(record, *(vote(n, n + 1) for n in range(30)))
    await prune_all(record, keep(10, now=10**9))
    assert known(record).votes == 10


async def test_votes_without_finality_keep_their_common_source(record: KeptRecord) -> None:
    await sign(record, *(vote(5, n) for n in range(6, 60)))
    await prune_all(record, keep(10))
    assert known(record).vote_floor.source_epoch == 5
    assert await verdict(record, vote(5, 61)) == "new"


async def test_the_floor_rises_over_the_greatest_deleted_source(record: KeptRecord) -> None:
    """Only an import brings such a pair: 9->10 is inside 1->30, and goes first."""
    await sign(record, vote(0, 1))
    votes = tuple(SignedAttestation(source, target) for source, target in ((9, 10), (1, 30), (12, 31)))
    history = ValidatorHistory(public_key(1), (), votes)
    await record.writer.perform(lambda t: import_history(t, [CHAIN, history]), lambda _: PlainStory())
    await prune_all(record, keep(2))
    assert (known(record).vote_floor.source_epoch, known(record).vote_floor.target_epoch) == (9, 30)
    assert await verdict(record, vote(8, 40)) == "BELOW_FLOOR"


async def test_what_is_found_and_then_pruned_by_another_hand_changes_nothing_more(record: KeptRecord) -> None:
    await sign(record, *(vote(n, n + 1) for n in range(40)), *(block(n) for n in range(40)))
    early = found(record, keep(30, slots=30))
    await prune_all(record, keep(5, slots=5))
    before = known(record)
    done = await record.writer.perform(lambda t: prune(t, early), lambda _: PlainStory())
    assert (done.votes, done.blocks) == (0, 0)
    assert known(record) == before


async def test_a_floor_above_every_record_stays(record: KeptRecord) -> None:
    await sign(record, *(vote(n, n + 1) for n in range(40)))
    await record.writer.perform(
        lambda t: raise_floors(t, public_key(1), epoch=Epoch(90), slot=Slot(8)), lambda _: PlainStory()
    )
    await prune_all(record, keep(5))
    assert (known(record).votes, known(record).vote_floor.target_epoch, known(record).block_floor) == (5, 90, 8)


async def test_the_whole_unsigned_range(record: KeptRecord) -> None:
    top = 2**64 - 1
    await sign(record, vote(0, 0), vote(0, 1), vote(2**63, top), block(0), block(top))
    await prune_all(record, keep(10, slots=10))
    assert (known(record).votes, known(record).blocks) == (1, 1)
    assert known(record).vote_floor.target_epoch == top


ALL_VOTES = [Vote(Epoch(s), Epoch(t), root(mark)) for t in range(14) for s in range(t + 1) for mark in (1, 2)]
ALL_BLOCKS = [Proposal(Slot(slot), root(mark)) for slot in range(14) for mark in (1, 2)]


def signable(record: KeptRecord) -> set[Vote | Proposal]:
    """Everything of a small world that would be signed now."""
    found: set[Vote | Proposal] = set()
    with record.reading() as moment:
        for vote_ in ALL_VOTES:
            with contextlib.suppress(RefusalError):
                judge_vote(moment, public_key(1), vote_)
                found.add(vote_)
        for block_ in ALL_BLOCKS:
            with contextlib.suppress(RefusalError):
                judge_block(moment, public_key(1), block_)
                found.add(block_)
    return found


@pytest.mark.parametrize(
    ("kept", "seed"), [("embedded", seed) for seed in range(10)] + [("shared", 0), ("shared", 1)], indirect=["kept"]
)
async def test_nothing_is_signed_after_pruning_that_was_refused_before(record: KeptRecord, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(12):
        source = draw.randrange(9)
        await verdict(record, vote(source, source + draw.randrange(4), mark=draw.choice((1, 2))))
        await verdict(record, block(draw.randrange(12), mark=draw.choice((1, 2))))
    before = signable(record)
    for kept in (6, 3, 1):
        await prune_all(record, keep(kept, slots=kept, now=draw.choice((None, 8, 100))))
        after = signable(record)
        assert after <= before, (seed, kept, after - before)
        assert after, "something can still be signed, or the test says nothing"
        before = after
