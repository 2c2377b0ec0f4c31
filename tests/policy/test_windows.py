"""Sliding windows: what is spent counts for its whole window, in bounded room, whatever clocks do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.policy.verdict import FOREVER, MAX_AMOUNT
from signer.policy.windows import BUCKETS, Window, bucket_seconds

HOUR = 3600


@pytest.mark.parametrize(
    ("window_seconds", "width"), [(1, 1), (59, 1), (60, 1), (61, 2), (HOUR, 60), (86400, 1440), (7 * 86400, 10080)]
)
def test_a_bucket_is_a_sixtieth_of_its_window_and_no_shorter_than_a_second(window_seconds: int, width: int) -> None:
    assert bucket_seconds(window_seconds) == width


STEPS = [
    # (when, what is spent then, what counts just before)
    (0, 5, 0),
    (59, 1, 5),
    (60, 2, 6),
    (HOUR, 4, 8),
    (HOUR + 59, 0, 12),  # the first minute may still count to its last second
    (HOUR + 60, 0, 6),
    (HOUR + 119, 0, 6),
    (HOUR + 120, 0, 4),
    (2 * HOUR + 59, 0, 4),
    (2 * HOUR + 60, 0, 0),
]


def test_what_was_spent_counts_for_an_hour_and_at_most_a_minute_longer() -> None:
    window = Window(HOUR)
    for when, amount, counts in STEPS:
        assert window.spent(10 * HOUR + when) == counts, when
        if amount:
            window.spend(amount, at_seconds=10 * HOUR + when)


def test_nothing_is_freed_for_good_of_a_cap_for_life() -> None:
    window = Window(FOREVER)
    window.spend(3, at_seconds=5)
    window.spend(4, at_seconds=10**12)
    assert window.spent(10**15) == 7
    assert window.changed() == {0: 7}
    assert window.forgotten() == []


def test_a_clock_that_is_set_back_frees_nothing_and_loses_nothing() -> None:
    window = Window(HOUR)
    window.spend(5, at_seconds=100 * HOUR)
    window.spend(6, at_seconds=50 * HOUR)
    assert window.spent(50 * HOUR) == window.spent(100 * HOUR) == 11
    assert window.spent(101 * HOUR + 59) == 11
    assert window.spent(101 * HOUR + 60) == 0


GIVEN_BACK = [
    # (spent at, given back as of, how much, what is left)
    ([(0, 5)], 0, 5, 0),
    ([(0, 5)], 59, 3, 2),
    ([(0, 5), (60, 4)], 60, 6, 3),
    ([(0, 5), (60, 4)], 0, 9, 4),  # what was booked later was not this
    ([(60, 4)], 0, 4, 4),
    ([(0, 5)], 0, 50, 0),
    ([], 0, 5, 0),
]


@pytest.mark.parametrize(("spent", "at_seconds", "amount", "left"), GIVEN_BACK)
def test_only_what_was_booked_by_then_is_given_back(spent, at_seconds: int, amount: int, left: int) -> None:
    window = Window(HOUR)
    for when, much in spent:
        window.spend(much, at_seconds=when)
    window.give_back(amount, at_seconds=at_seconds)
    assert window.spent(120) == left


def test_the_newest_amounts_are_given_back_first_so_that_the_rest_ends_no_later_than_it_may() -> None:
    window = Window(HOUR)
    window.spend(5, at_seconds=0)
    window.spend(4, at_seconds=60)
    window.give_back(6, at_seconds=60)
    assert window.changed() == {0: 3, 60: 0}


FREE_AT = [
    # (amount, limit, when)
    (1, 10, HOUR + 60),  # 6 and 4 are spent: once the first is free
    (6, 10, HOUR + 60),
    (7, 10, HOUR + 180),
    (10, 10, HOUR + 180),
    (11, 10, None),
]


@pytest.mark.parametrize(("amount", "limit", "when"), FREE_AT)
def test_a_refusal_can_say_when_there_will_be_room(amount: int, limit: int, when: int | None) -> None:
    window = Window(HOUR)
    window.spend(6, at_seconds=30)
    window.spend(4, at_seconds=120)
    assert window.frees_at(amount, limit=limit, at_seconds=200) == when


def test_a_cap_for_life_never_says_that_there_will_be_room() -> None:
    window = Window(FOREVER)
    window.spend(6, at_seconds=0)
    assert window.frees_at(1, limit=6, at_seconds=1) is None


def test_what_counts_no_more_is_forgotten_with_the_next_spending_and_named_for_the_record() -> None:
    window = Window(HOUR, [(0, 5), (60, 4)])
    assert window.forgotten() == []
    window.spend(1, at_seconds=HOUR + 60)
    assert window.forgotten() == [0]
    assert window.changed() == {HOUR + 60: 1}


spendings = st.lists(st.tuples(st.integers(0, 4000), st.integers(0, MAX_AMOUNT)), max_size=150)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 600), spendings)
def test_an_amount_never_counts_shorter_than_the_dullest_judge_says_and_at_most_one_bucket_longer(
    window_seconds: int, steps: list[tuple[int, int]]
) -> None:
    """The dull judge keeps every spending of times that only go forward, and adds up those in the window."""
    window, spent, now = Window(window_seconds), [], 0
    width = bucket_seconds(window_seconds)
    for step, amount in steps:
        now += step % (window_seconds + 3)
        shortest = sum(much for when, much in spent if now - when <= window_seconds)
        longest = sum(much for when, much in spent if now - when < window_seconds + width)
        assert shortest <= window.spent(now) <= longest
        window.spend(amount, at_seconds=now)
        spent.append((now, amount))
        assert len(window.changed()) <= BUCKETS + 2


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 600), spendings)
def test_whatever_the_clock_does_a_request_sees_all_that_was_spent_at_its_time_or_later(
    window_seconds: int, steps: list[tuple[int, int]]
) -> None:
    window, spent = Window(window_seconds), []
    for when, amount in steps:
        latest = max([when, *(earlier for earlier, _ in spent)])
        assert window.spent(when) >= sum(much for earlier, much in spent if latest - earlier <= window_seconds)
        window.spend(amount, at_seconds=when)
        spent.append((when, amount))


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 600), spendings, st.integers(0, 10**6), st.integers(1, MAX_AMOUNT))
def test_a_window_read_from_its_record_goes_on_as_the_one_that_was_kept(
    window_seconds: int, steps: list[tuple[int, int]], later: int, amount: int
) -> None:
    kept, record = Window(window_seconds), {}
    for when, much in steps:
        read = Window(window_seconds, record.items())
        read.spend(much, at_seconds=when)
        kept.spend(much, at_seconds=when)
        for begins in read.forgotten():
            del record[begins]
        record.update(read.changed())
        assert Window(window_seconds, record.items()).spent(when + later) == kept.spent(when + later)
        assert len(record) <= BUCKETS + 2


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 600), spendings, st.data())
def test_giving_one_spending_back_never_lets_the_others_count_less(
    window_seconds: int, steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Against a window in which the failed spending was never booked."""
    if not steps:
        return
    failed = data.draw(st.integers(0, len(steps) - 1))
    booked, without = Window(window_seconds), Window(window_seconds)
    for n, (when, amount) in enumerate(steps):
        booked.spend(amount, at_seconds=when)
        without.spend(0 if n == failed else amount, at_seconds=when)
    when, amount = steps[failed]
    booked.give_back(amount, at_seconds=when)
    for later in data.draw(st.lists(st.integers(0, 10_000), max_size=5)):
        assert booked.spent(later) >= without.spent(later)
