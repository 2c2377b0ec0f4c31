"""What people are told of a set that would follow another one: each thing that comes or goes, and nothing else."""

import pytest
from msgspec import structs

from signer.policy.bindings import Binding, ToTag
from signer.policy.policy_set import ChangeGuard, NamedList, PolicySet, ServedPolicy
from signer.policy.set_differences import MOST_ITEMS, differences

A, B = "a" * 64, "b" * 64
LIDO = Binding("exits", ToTag("lido"))
SET = PolicySet(
    revision=7,
    policies=(ServedPolicy("exits", A), ServedPolicy("limits", A, staged=B)),
    bindings=(LIDO,),
    lists=(NamedList("to", ("x",)),),
    trusted_keys=(A,),
    keeps_facts=("default",),
    guard=ChangeGuard(1, ("owners",), 60),
)

NOTHING_MOVES = {"goes": [], "goes_count": 0, "comes": [], "comes_count": 0}


def with_exits(**fields: object) -> PolicySet:
    return structs.replace(SET, policies=(structs.replace(SET.policies[0], **fields), SET.policies[1]))


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (SET, []),
        (structs.replace(SET, revision=8), []),
        (with_exits(previous=(B,)), []),
        (
            with_exits(version=B, staged=A),
            [{"what": "version", "policy": "exits", "goes": A, "comes": B, "for": ["tag:lido"]}],
        ),
        (with_exits(staged=B), [{"what": "staged", "policy": "exits", "goes": None, "comes": B}]),
        (with_exits(shadow=B), [{"what": "shadow", "policy": "exits", "goes": None, "comes": B}]),
        (
            structs.replace(SET, bindings=()),
            [{"what": "unbound", "policy": "exits", "version": A, "place": "tag:lido"}],
        ),
        (
            structs.replace(SET, lists=(NamedList("to", ()),)),
            [{"what": "list", "list": "to", "items": 0, **NOTHING_MOVES, "goes": ["x"], "goes_count": 1}],
        ),
        (
            structs.replace(SET, lists=(NamedList("empty", ()), *SET.lists)),
            [{"what": "list", "list": "empty", "items": 0, **NOTHING_MOVES}],
        ),
        (
            structs.replace(SET, trusted_keys=(B,)),
            [{"what": "trusted_keys", "goes": [A], "goes_count": 1, "comes": [B], "comes_count": 1}],
        ),
        (
            structs.replace(SET, keeps_facts=()),
            [{"what": "keeps_facts", **NOTHING_MOVES, "goes": ["default"], "goes_count": 1}],
        ),
    ],
)
def test_each_difference_is_told_by_its_name(after: PolicySet, told: list[object]) -> None:
    assert differences(SET, after) == told


def test_everything_that_goes_comes_the_other_way_round() -> None:
    nothing = PolicySet()
    goes, comes = differences(SET, nothing), differences(nothing, SET)
    opposite = {"unbound": "bound"}
    assert [opposite.get(str(each["what"]), each["what"]) for each in goes] == [each["what"] for each in comes]
    assert [(each.get("goes"), each.get("comes")) for each in goes] == [
        (each.get("comes"), each.get("goes")) for each in comes
    ]


def test_of_a_long_list_some_items_are_named_and_all_are_counted() -> None:
    long = structs.replace(SET, lists=(NamedList("to", tuple(f"{n:05}" for n in range(1000))),))
    (told,) = differences(SET, long)
    assert (told["items"], told["comes_count"], told["goes_count"]) == (1000, 1000, 1)
    assert told["comes"] == [f"{n:05}" for n in range(MOST_ITEMS)]
