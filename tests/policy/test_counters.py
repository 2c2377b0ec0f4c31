"""What policies spend is booked in the commit, on either database: all or nothing, and never more than the limit."""

import asyncio
import random
from collections import defaultdict
from pathlib import Path

import pytest
from journal.kept_records import DATABASES, KeptRecord, open_kept
from journal.record import PlainStory, open_record, vote
from journal.shared_record import open_shared
from policy.counter_claims import DAY, NOON, GiveBack, Seen, command, commit, counter, spend, with_counters

from signer.errors import CounterChangedError, CounterLimitError, DoubleVoteError, PolicyRefusalError
from signer.journal.command import Command
from signer.policy.counters import KEPT_SECONDS, SWEPT_AT_LEAST, CounterClaim, CounterId, spent_of
from signer.policy.verdict import FOREVER, MAX_AMOUNT
from signer.policy.windows import BUCKETS

PATIENCE_SECONDS = 60.0


@pytest.fixture(params=DATABASES)
def kept(request: pytest.FixtureRequest, tmp_path: Path):
    """An open record, on each database in turn, whose callers wait as long as a slow machine needs."""
    record = open_kept(
        request.param, tmp_path, lambda: request.getfixturevalue("emptied_url"), deadline_seconds=PATIENCE_SECONDS
    )
    yield record
    record.close()


@pytest.fixture
def writer(kept: KeptRecord):
    return with_counters(kept.writer)


def spent(kept: KeptRecord, *counters: CounterId, at: int = NOON) -> list[int]:
    with kept.reading() as moment:
        found = spent_of(moment, counters or (counter(),), at_seconds=at)
    return list(found.values())


def rows(kept: KeptRecord) -> list[tuple]:
    with kept.reading() as moment:
        return sorted(moment.rows("SELECT policy, counter, window_seconds, begins, ends, amount FROM policy_counters"))


async def test_what_is_spent_is_on_record_and_no_more_than_the_limit_is_ever_spent(writer, kept: KeptRecord) -> None:
    assert spent(kept) == [0]
    assert await commit(writer, spend(6, limit=10)) == "signed"
    assert await commit(writer, spend(5, limit=10)) == "COUNTER_LIMIT"
    assert await commit(writer, spend(4, limit=10)) == "signed"
    assert await commit(writer, spend(1, limit=10)) == "COUNTER_LIMIT"
    assert spent(kept) == [10]
    assert rows(kept) == [("treasury", "wei", DAY, NOON, NOON + DAY + DAY // BUCKETS, "10")]


async def test_a_refusal_shows_what_was_spent_and_when_there_will_be_room(writer) -> None:
    assert await commit(writer, spend(6, limit=10)) == "signed"
    with pytest.raises(CounterLimitError) as caught:
        await writer.commit(command(spend(5, limit=10)))
    assert caught.value.evidence == {
        "policy": "treasury",
        "counter": "wei",
        "window_seconds": DAY,
        "spent": "6",
        "amount": "5",
        "limit": "10",
        "frees_at": "2027-01-16T08:24:00+00:00",
    }
    assert "lets 10 be spent of wei in 86400 s: 6 are, and this asks for 5" in caught.value.sentence


async def test_amounts_of_256_bits_are_counted_to_the_last_unit(writer, kept: KeptRecord) -> None:
    assert await commit(writer, spend(MAX_AMOUNT - 1, limit=MAX_AMOUNT)) == "signed"
    assert await commit(writer, spend(2, limit=MAX_AMOUNT)) == "COUNTER_LIMIT"
    assert await commit(writer, spend(1, limit=MAX_AMOUNT)) == "signed"
    assert spent(kept) == [MAX_AMOUNT]


async def test_all_of_a_request_is_booked_or_nothing_of_it(writer, kept: KeptRecord) -> None:
    hour = counter(window_seconds=3600)
    both = (spend(6, limit=10, of=hour), spend(6, limit=20))
    assert await commit(writer, *both) == "signed"
    assert await commit(writer, *both) == "COUNTER_LIMIT"
    assert await commit(writer, *reversed(both)) == "COUNTER_LIMIT"
    assert spent(kept, hour, counter()) == [6, 6]


async def test_amounts_of_one_request_add_up(writer, kept: KeptRecord) -> None:
    assert await commit(writer, spend(6, limit=10), spend(5, limit=10)) == "COUNTER_LIMIT"
    assert await commit(writer, spend(6, limit=10), spend(4, limit=10)) == "signed"
    assert spent(kept) == [10]


OTHERS = [
    counter("gwei"),
    counter(policy="staking"),
    counter(window_seconds=3600),
    counter(window_seconds=FOREVER),
]


async def test_counters_differ_by_policy_name_and_window(writer, kept: KeptRecord) -> None:
    assert await commit(writer, spend(10, limit=10)) == "signed"
    for n, other in enumerate(OTHERS, start=1):
        assert await commit(writer, spend(n, limit=10, of=other)) == "signed"
    assert spent(kept, counter(), *OTHERS) == [10, 1, 2, 3, 4]


async def test_a_cap_for_life_is_never_free_again(writer) -> None:
    uses = counter("uses", FOREVER)
    assert [await commit(writer, spend(1, limit=2, of=uses), at=NOON + n * 10**9) for n in range(3)] == [
        "signed",
        "signed",
        "COUNTER_LIMIT",
    ]


async def test_a_spending_that_fails_with_another_claim_of_its_command_is_not_booked(writer, kept: KeptRecord) -> None:
    await writer.commit(vote(1, 2, mark=1))
    claim = CounterClaim(NOON, (spend(6, limit=10),))
    for claims in ((claim, *vote(1, 2, mark=2).claims), (*vote(1, 2, mark=2).claims, claim)):
        with pytest.raises(DoubleVoteError):
            await writer.commit(Command(claims, PlainStory()))
    assert spent(kept) == [0]


@pytest.mark.parametrize("per_request", [1, 3])
async def test_of_200_racing_requests_under_a_limit_for_one_exactly_one_passes(
    writer, kept: KeptRecord, per_request: int
) -> None:
    limited = spend(per_request, limit=2 * per_request - 1)
    racing = [commit(writer, spend(1, limit=1000, of=counter(f"own-{n}")), limited) for n in range(200)]
    verdicts = await asyncio.gather(*racing)
    assert sorted(verdicts) == ["COUNTER_LIMIT"] * 199 + ["signed"]
    assert spent(kept) == [per_request]
    assert len(rows(kept)) == 2, "of those that were refused nothing may be left"


async def test_racing_requests_of_many_batches_spend_the_limit_and_not_a_unit_more(kept: KeptRecord) -> None:
    writer = with_counters(kept.writer)
    chance = random.Random(4)
    amounts = [chance.randint(1, 9) for _ in range(600)]
    futures = []
    for n, amount in enumerate(amounts):
        futures.append(asyncio.ensure_future(commit(writer, spend(amount, limit=100), at=NOON + n % 7)))
        if n % 40 == 0:
            await asyncio.sleep(0)  # let a batch begin
    verdicts = await asyncio.gather(*futures)
    allowed = sum(amount for amount, verdict in zip(amounts, verdicts, strict=True) if verdict == "signed")
    assert allowed == spent(kept)[0] == 100


async def test_what_a_known_failure_gives_back_can_be_spent_again(writer, kept: KeptRecord) -> None:
    assert await commit(writer, spend(10, limit=10)) == "signed"
    assert await commit(writer, GiveBack(counter(), 4)) == "signed"
    assert spent(kept) == [6]
    assert await commit(writer, spend(5, limit=10)) == "COUNTER_LIMIT"
    assert await commit(writer, spend(4, limit=10)) == "signed"


async def test_no_more_is_given_back_than_was_booked_by_then(writer, kept: KeptRecord) -> None:
    assert await commit(writer, spend(3, limit=10), at=NOON + 3 * 3600) == "signed"
    assert await commit(writer, GiveBack(counter(), 3)) == "signed"
    assert spent(kept) == [3]
    assert await commit(writer, GiveBack(counter(), 30), at=NOON + 3 * 3600) == "signed"
    assert spent(kept) == [0]


async def test_a_verdict_that_rests_on_a_counter_holds_only_while_it_says_the_same(writer) -> None:
    with pytest.raises(CounterChangedError):
        await writer.commit(command(Seen(counter(), 1)))
    assert await commit(writer, Seen(counter(), 0), spend(4, limit=10)) == "signed"
    assert await commit(writer, Seen(counter(), 0), spend(4, limit=10)) == "COUNTER_CONTENDED"
    assert await commit(writer, Seen(counter(), 4)) == "signed"
    assert await commit(writer, Seen(counter(), 4), at=NOON + DAY + 1439) == "signed"
    assert await commit(writer, Seen(counter(), 4), at=NOON + DAY + 1440) == "COUNTER_CONTENDED"


async def test_of_racing_requests_that_read_the_same_value_one_passes(writer) -> None:
    racing = [commit(writer, Seen(counter(), 0), spend(1, limit=1000)) for _ in range(50)]
    verdicts = await asyncio.gather(*racing)
    assert sorted(verdicts) == ["COUNTER_CONTENDED"] * 49 + ["signed"]


async def test_a_claim_that_only_reads_says_nothing_of_repeats_and_books_nothing(writer, kept: KeptRecord) -> None:
    receipt = await writer.commit(command(Seen(counter(), 0)))
    assert not receipt.repeat
    assert rows(kept) == []


async def test_a_counter_keeps_no_more_rows_than_a_window_has_buckets(writer, kept: KeptRecord) -> None:
    minute = counter(window_seconds=60)
    for n in range(0, 400, 40):
        await asyncio.gather(*(commit(writer, spend(1, limit=100, of=minute), at=NOON + n + k) for k in range(40)))
    assert len(rows(kept)) <= BUCKETS + 2
    assert spent(kept, minute, at=NOON + 399) == [61]


async def test_counters_that_nobody_uses_any_more_are_swept_away_and_others_are_not(writer, kept: KeptRecord) -> None:
    unused = [counter(f"to-{n}", 60) for n in range(SWEPT_AT_LEAST + 2)]
    for one in unused:
        assert await commit(writer, spend(1, limit=9, of=one)) == "signed"
    assert await commit(writer, spend(1, limit=9, of=counter("life", FOREVER))) == "signed"
    ended = NOON + 61
    assert await commit(writer, spend(1, limit=9), at=ended + KEPT_SECONDS - 1) == "signed"
    assert len(rows(kept)) == len(unused) + 2
    assert await commit(writer, spend(1, limit=9), at=ended + KEPT_SECONDS) == "signed"
    assert {name for _, name, *_ in rows(kept)} == {"life", "wei"}, "a batch removes twice what it adds, and 64"


async def test_a_batch_removes_twice_as_many_as_it_adds(writer, kept: KeptRecord) -> None:
    async def spend_all(names: list[str], at: int) -> None:
        """One batch."""
        spendings = [command(spend(1, limit=9, of=counter(name, 60)), at=at) for name in names]
        await asyncio.gather(*writer.commit_all(spendings))

    await spend_all([f"old-{n}" for n in range(SWEPT_AT_LEAST + 200)], NOON)
    await spend_all([f"new-{n}" for n in range(100)], NOON + 61 + KEPT_SECONDS)
    assert {name.partition("-")[0] for _, name, *_ in rows(kept)} == {"new"}


async def test_a_request_that_asks_for_more_than_the_limit_in_two_parts_is_told_that_waiting_does_not_help(
    writer,
) -> None:
    assert await commit(writer, spend(4, limit=10)) == "signed"
    with pytest.raises(CounterLimitError) as caught:
        await writer.commit(command(spend(6, limit=10), spend(5, limit=10)))
    assert caught.value.evidence["spent"] == "10"
    assert caught.value.evidence["frees_at"] is None


async def test_one_request_with_a_clock_that_is_ahead_frees_no_other_counter(writer, kept: KeptRecord) -> None:
    assert await commit(writer, spend(10, limit=10)) == "signed"
    assert await commit(writer, spend(1, limit=10, of=counter("other")), at=NOON + KEPT_SECONDS) == "signed"
    assert spent(kept) == [10]


async def test_random_commands_in_racing_batches_agree_with_the_dullest_judge(kept: KeptRecord) -> None:
    """The judge knows the order, since one caller hands all over; it adds up what was allowed, window by window."""
    writer = with_counters(kept.writer)
    chance = random.Random(20261122)
    counters = [counter(name, window) for name in "ab" for window in (60, 3600, FOREVER)]
    allowed: dict[CounterId, list[tuple[int, int]]] = defaultdict(list)
    now = NOON
    for _ in range(12):
        asked = []
        for _ in range(40):
            now += chance.choice((0, 0, 1, 7, 61))
            acts = [spend(chance.randint(0, 5), limit=20, of=chance.choice(counters)) for _ in range(2)]
            asked.append((now, acts))
        futures = writer.commit_all([command(*acts, at=at) for at, acts in asked])
        for (at, acts), future in zip(asked, futures, strict=True):
            try:
                await future
            except PolicyRefusalError:
                assert any(_would_exceed(allowed, acts, at=at, slack=True)), (at, acts)
                continue
            assert not any(_would_exceed(allowed, acts, at=at, slack=False)), (at, acts)
            for act in acts:
                allowed[act.counter].append((at, act.amount))


def _would_exceed(allowed, acts, *, at: int, slack: bool):
    """`slack`: an amount may count for one bucket longer than its window."""
    for act in acts:
        length = act.counter.window_seconds
        width = max(1, length // BUCKETS) if slack else 1
        before = sum(amount for when, amount in allowed[act.counter] if length == FOREVER or at - when < length + width)
        together = sum(other.amount for other in acts if other.counter == act.counter)
        yield before + together > act.limit


async def test_two_signers_on_one_database_race_for_a_limit_for_one_and_exactly_one_passes(
    emptied_url: str, tmp_path: Path
) -> None:
    records = [open_shared(emptied_url, tmp_path / name, deadline_seconds=PATIENCE_SECONDS) for name in ("1", "2")]
    try:
        writers = [with_counters(record.writer) for record in records]
        for turn in range(10):
            one = counter(f"turn-{turn}")
            other = counter(f"other-{turn}")
            racing = [
                commit(writers[n % 2], *((spend(1, limit=1, of=each)) for each in ((one, other)[:: (-1) ** n])))
                for n in range(40)
            ]
            verdicts = await asyncio.gather(*racing)
            assert sorted(verdicts) == ["COUNTER_LIMIT"] * 39 + ["signed"]
    finally:
        for record in records:
            record.close()


async def test_a_record_that_is_opened_again_knows_what_was_spent(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    assert await commit(with_counters(record.writer), spend(7, limit=10)) == "signed"
    record.close()
    record = open_record(tmp_path)
    assert await commit(with_counters(record.writer), spend(4, limit=10)) == "COUNTER_LIMIT"
    assert await commit(record.writer, spend(3, limit=10)) == "signed"
    record.close()
