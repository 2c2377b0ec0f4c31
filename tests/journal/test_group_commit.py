"""Many commands share one commit, in order, and each gets its own verdict."""

import asyncio
from pathlib import Path

import pytest
from journal.record import PlainStory, open_record, vote

from signer.errors import CounterLimitError, DoubleVoteError
from signer.journal.command import Command
from signer.policy.counters import CounterClaim, CounterId, CounterLedger, Spend


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


def spending_vote(mark: int, *, key: int, limit: int = 1000) -> Command:
    """A vote that a policy books one use for: the use is judged first, and would pass."""
    use = Spend(CounterId("staking", "uses", 0), 1, limit)
    return Command((CounterClaim(1, (use,)), *vote(1, 2, key=key, mark=mark).claims), PlainStory())


async def test_a_full_batch_of_refusals_is_judged_once_and_what_they_would_have_spent_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = open_record(tmp_path)
    await record.writer.commit(vote(1, 2, key=1, mark=7))
    judged = 0
    judge = CounterLedger.judge

    def counted(*values: object) -> bool | None:
        nonlocal judged
        judged += 1
        return judge(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(CounterLedger, "judge", counted)
    refused = [spending_vote(mark, key=1, limit=2) for mark in range(100, 400)]
    good = [spending_vote(1, key=key, limit=2) for key in (2, 3, 4)]
    commands = [*refused[:150], good[0], *refused[150:], *good[1:]]
    answers = await asyncio.gather(*record.writer.commit_all(commands), return_exceptions=True)
    assert judged == len(commands)
    assert sum(isinstance(each, DoubleVoteError) for each in answers) == 300
    assert not isinstance(answers[150], BaseException)
    assert not isinstance(answers[-2], BaseException)
    assert isinstance(answers[-1], CounterLimitError)
    record.close()


def test_a_command_has_one_claim_of_a_type() -> None:
    with pytest.raises(ValueError, match="two claims of one type"):
        Command((*vote(1, 2).claims, *vote(1, 3).claims), PlainStory())
