"""Many commands share one commit, in order, and each gets its own verdict."""

import asyncio
from pathlib import Path

from journal.record import open_record, vote

from signer.errors import DoubleVoteError


class Batches:
    """Remembers the size of every batch."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def batch_committed(self, *, commands: int, seconds: float, commit_seconds: float) -> None:
        assert 0 < commit_seconds <= seconds
        self.sizes.append(commands)


async def test_a_batch_of_4096_takes_8_commits(tmp_path: Path) -> None:
    batches = Batches()
    record = open_record(tmp_path, observer=batches)
    futures = record.writer.commit_all([vote(1, 2, key=key) for key in range(4096)])
    receipts = await asyncio.gather(*futures)
    assert batches.sizes == [512] * 8
    assert [r.audit_index for r in receipts] == list(range(4096))
    record.close()


async def test_what_waits_while_a_commit_runs_shares_the_next_one(tmp_path: Path) -> None:
    batches = Batches()
    record = open_record(tmp_path, observer=batches)
    await asyncio.gather(*(record.writer.commit(vote(1, 2, key=key)) for key in range(300)))
    assert sum(batches.sizes) == 300
    assert len(batches.sizes) < 100
    record.close()


async def test_of_two_hundred_conflicting_votes_exactly_one_is_recorded(tmp_path: Path) -> None:
    record = open_record(tmp_path, max_batch=16)

    async def attempt(mark: int) -> bool:
        try:
            await record.writer.commit(vote(1, 2, mark=mark))
        except DoubleVoteError:
            return False
        return True

    won = await asyncio.gather(*(attempt(mark) for mark in range(200)))
    assert sum(won) == 1
    record.close()


async def test_closing_commits_what_waits(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    futures = record.writer.commit_all([vote(1, 2, key=key) for key in range(1000)])
    await asyncio.to_thread(record.close)
    receipts = await asyncio.gather(*futures)
    assert len(receipts) == 1000
    again = open_record(tmp_path)
    assert (await again.writer.commit(vote(1, 2, key=999))).repeat
    again.close()
