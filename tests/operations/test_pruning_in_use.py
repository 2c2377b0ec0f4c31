"""Pruning while the record is in use: bounded transactions, votes between them, each of them told in the audit log."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from journal.record import public_key, vote
from operations.keeping_twin import KEPT, entries, pruning
from operations.record_twin import CALLER, NOW, House, verdict

from signer.audit.entry import Kind
from signer.errors import JournalDownError
from signer.operations import prune as pruning_module
from signer.operations.kept_record import KeptRecord as Record
from signer.operations.prune import ROWS_AT_ONCE
from signer.operations.record_orders import PruneRecord
from signer.slashing.status import find_key_record

ON_BOTH_DATABASES = True
"""See conftest.py."""

VOTES = 1000


async def fill(record: Record, *, votes: int = VOTES, key: int = 1) -> None:
    for future in record.writer.commit_all([vote(n, n + 1, key=key) for n in range(votes)]):
        await future


def votes_of(house: House, key: int = 1) -> int:
    with house.reading() as moment:
        found = find_key_record(moment, public_key(key))
    return 0 if found is None else found.votes


class Watched:
    """The writer, with a look at the record and a vote of somebody else after each of its transactions."""

    def __init__(self, house: House, record: Record) -> None:
        self.house = house
        self.record = record
        self.left = [votes_of(house)]
        self.verdicts: list[str] = []

    async def perform(self, change: Callable[..., Any], story: Callable[..., Any]) -> Any:
        # The vote is handed over while the pruning transaction is on its way: it waits for that one alone.
        done = self.record.writer.perform(change, story)
        voting = asyncio.create_task(verdict(self.record, 5000, 5001 + len(self.verdicts), key=2))
        result = await done
        self.left.append(votes_of(self.house))
        self.verdicts.append(await voting)
        return result


async def test_votes_pass_between_transactions_of_a_bounded_size(house: House) -> None:
    with house.record() as record:
        await fill(record)
        watched = Watched(house, record)
        report = await pruning(house, watched).prune_all()
        assert (report.votes, report.blocks, report.more) == (VOTES - KEPT, 0, False)
        deleted = [before - after for before, after in zip(watched.left, watched.left[1:], strict=False)]
        assert len(deleted) == report.transactions >= 4
        assert max(deleted) <= ROWS_AT_ONCE
        assert sum(deleted) == VOTES - KEPT
        assert watched.verdicts == ["new"] * len(deleted)
        kinds = [entry.kind for entry in entries(house)][VOTES:]
    assert kinds == [Kind.PRUNED, Kind.DUTY] * len(deleted), "no two of its transactions follow each other"


async def test_every_transaction_is_told_and_by_whom(house: House) -> None:
    with house.record() as record:
        await fill(record, votes=300)
        house.clock.seconds += 5
        await pruning(house, record.writer).carry_out(PruneRecord(keep_epochs=100), CALLER)
        await pruning(house, record.writer).prune_all()
        told = [entry for entry in entries(house) if entry.kind is Kind.PRUNED]
    assert [(one.principal, one.note) for one in told] == [
        ("operator", "validators=1 votes=200 blocks=0 keep_epochs=100 keep_slots=640"),
        ("", "validators=1 votes=80 blocks=0 keep_epochs=20 keep_slots=640"),
    ]
    assert told[0].time_ms == int((NOW + 5) * 1000)


async def test_where_nothing_is_old_nothing_is_written(house: House) -> None:
    with house.record() as record:
        await fill(record, votes=KEPT)
        size = record.log.head.size
        assert (await pruning(house, record.writer).prune_all()).transactions == 0
        assert record.log.head.size == size


async def test_what_was_pruned_is_refused_and_what_was_kept_repeated(house: House) -> None:
    with house.record() as record:
        await fill(record)
        await pruning(house, record.writer).prune_all()
        assert await verdict(record, VOTES - KEPT - 1, VOTES - KEPT) == "BELOW_FLOOR"
        assert await verdict(record, VOTES - KEPT, VOTES - KEPT + 1) == "repeat"
        assert await verdict(record, VOTES - KEPT, VOTES - KEPT + 1, mark=2) == "DOUBLE_VOTE"


async def test_an_order_ends_in_time_and_the_next_one_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning_module, "SLICE_SECONDS", 0.0)
    with house.record() as record:
        await fill(record)
        work = pruning(house, record.writer)
        reports = [await work.carry_out(PruneRecord(), CALLER)]
        while reports[-1].more:
            reports.append(await work.carry_out(PruneRecord(), CALLER))
        assert [one.transactions for one in reports[:-1]] == [1] * (len(reports) - 1)
        assert sum(one.votes for one in reports) == VOTES - KEPT


async def test_two_orders_at_once_take_turns(house: House) -> None:
    with house.record() as record:
        await fill(record)
        work = pruning(house, record.writer)
        both = await asyncio.gather(*(work.carry_out(PruneRecord(), CALLER) for _ in range(2)))
        assert sorted(one.votes for one in both) == [0, VOTES - KEPT]


async def test_one_key_alone(house: House) -> None:
    with house.record() as record:
        await fill(record, votes=100, key=1)
        await fill(record, votes=100, key=2)
        await pruning(house, record.writer).carry_out(PruneRecord(public_key=public_key(2)), CALLER)
    assert (votes_of(house, 1), votes_of(house, 2)) == (100, KEPT)


async def test_the_schedule_prunes_and_a_journal_that_is_down_does_not_end_it(house: House) -> None:
    with house.record() as record:
        await fill(record, votes=100)
        refused, pruned = asyncio.Event(), asyncio.Event()

        class Unsteady:
            """Down at first."""

            async def perform(self, change: Callable[..., Any], story: Callable[..., Any]) -> Any:
                if not refused.is_set():
                    refused.set()
                    raise JournalDownError("no")
                done = await record.writer.perform(change, story)
                pruned.set()
                return done

        task = asyncio.create_task(pruning(house, Unsteady(), interval_seconds=0.001).run())
        async with asyncio.timeout(20):
            await pruned.wait()
        task.cancel()
        assert votes_of(house) == KEPT


async def test_without_an_interval_there_is_no_schedule(house: House) -> None:
    with house.record() as record:
        await fill(record, votes=100)
        await asyncio.wait_for(pruning(house, record.writer).run(), 10)
        assert votes_of(house) == 100
