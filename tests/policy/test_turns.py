"""Whose turn it is, however much waits behind one policy or one key."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.policy.turns import Lane, Turns


def filled(*lanes: str, most: int = 9) -> Turns[str]:
    """Work for lanes written `group/member/name`."""
    turns: Turns[str] = Turns(most_of_a_group=most)
    for each in lanes:
        group, member, name = each.split("/")
        turns.add(Lane(group, member), name)
    return turns


def taken(turns: Turns[str], count: int) -> list[str]:
    names = []
    for _ in range(count):
        found = turns.take()
        names.append(found.works[0] if found else "-")
    return names


@pytest.mark.parametrize(
    ("lanes", "order"),
    [
        (["p/k/1", "p/k/2", "p/k/3"], ["1", "2", "3", "-"]),
        (["p/k/1", "p/k/2", "p/l/3"], ["1", "3", "2"]),
        (["p/k/1", "p/k/2", "p/l/3", "p/m/4", "p/l/5"], ["1", "3", "4", "2", "5"]),
        (["p/k/1", "p/k/2", "p/l/3", "q/k/4"], ["1", "4", "3", "2"]),
        (["p/k/1", "p/l/2", "p/m/3", "q/k/4", "q/k/5"], ["1", "4", "2", "5", "3"]),
    ],
)
def test_policies_take_turns_and_within_a_policy_keys_do(lanes: list[str], order: list[str]):
    assert taken(filled(*lanes), len(order)) == order


def test_no_policy_has_more_under_way_than_it_may():
    turns = filled("p/k/1", "p/l/2", "p/m/3", "q/k/4", most=1)
    assert taken(turns, 3) == ["1", "4", "-"]
    assert turns.waiting == 2
    turns.done("p")
    assert taken(turns, 2) == ["2", "-"]


def test_what_is_drained_does_not_wait_any_more():
    turns = filled("p/k/1", "p/l/2", "q/k/3")
    assert taken(turns, 1) == ["1"]
    assert sorted(turns.drain()) == ["2", "3"]
    assert turns.waiting == 0
    assert turns.take() is None
    turns.done("p")


def test_a_turn_of_several_goes_round_the_keys_of_one_policy():
    turns = filled("p/k/1", "p/k/2", "q/k/3", "p/l/4", "p/m/5", "q/k/6", most=1)
    assert turns.take(most=4).works == ["1", "4", "5", "2"]
    assert turns.waiting == 2
    assert turns.take(most=4).works == ["3", "6"]
    assert turns.take(most=4) is None


def test_a_turn_of_several_is_one_under_way():
    turns = filled("p/k/1", "p/k/2", "p/k/3", most=1)
    assert turns.take(most=2).works == ["1", "2"]
    assert turns.under_way == 1
    assert turns.take(most=2) is None
    turns.done("p")
    assert turns.take(most=2).works == ["3"]


def test_what_is_put_back_is_next_again_in_its_order():
    turns = filled("p/k/1", "p/l/2", "p/m/3", "p/k/4", "q/k/5", most=1)
    assert turns.take(most=4).works == ["1", "2", "3", "4"]
    for member, name in (("k", "4"), ("m", "3"), ("l", "2")):
        turns.put_back(Lane("p", member), name)
    turns.done("p")
    assert turns.waiting == 4
    assert turns.take(most=4).works == ["5"]
    assert turns.take(most=4).works == ["2", "3", "4"]


steps = st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from("klm")) | st.integers(1, 4) | st.just("done"))


@given(steps, st.integers(1, 3))
def test_nothing_is_lost_doubled_or_overtaken_within_its_lane(steps, most: int):
    turns: Turns[tuple[Lane, int]] = Turns(most_of_a_group=most)
    under_way: list[str] = []
    expected: dict[Lane, list[int]] = defaultdict(list)
    for number, step in enumerate([*steps, *[1, "done"] * len(steps)]):
        if isinstance(step, int):
            found = turns.take(most=step)
            if found is None:
                assert all(under_way.count(each.group) >= most for each in expected)
                continue
            assert len(found.works) == min(step, sum(len(expected[e]) for e in expected if e.group == found.group))
            for lane, work in found.works:
                assert lane.group == found.group
                assert work == expected[lane].pop(0)
                if not expected[lane]:
                    del expected[lane]
            under_way.append(found.group)
            assert under_way.count(found.group) <= most
        elif step == "done":
            if under_way:
                turns.done(under_way.pop(0))
        else:
            lane = Lane(*step)
            turns.add(lane, (lane, number))
            expected[lane].append(number)
        assert turns.waiting == sum(map(len, expected.values()))
        assert turns.under_way == len(under_way)


@given(st.lists(st.integers(0, 4), min_size=1), st.integers(1, 50))
def test_a_newcomer_waits_for_one_turn_of_each_policy_at_most(crowds: list[int], ahead: int):
    turns: Turns[str] = Turns(most_of_a_group=100)
    for number, members in enumerate(crowds):
        for member in range(members):
            for _ in range(ahead):
                turns.add(Lane(number, member), "crowd")
    turns.add(Lane("mine", 0), "mine")
    before = 0
    while turns.take().works != ["mine"]:
        before += 1
    assert before <= len(crowds)
