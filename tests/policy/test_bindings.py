"""Which policies have a say: every binding that fits, exactly and in no order."""

import itertools

import pytest
from msgspec.structs import replace
from policy.sample_facts import CALLER, SIGNER

from signer.policy.bindings import (
    Binding,
    Bindings,
    ToCaller,
    ToCallerAndKey,
    ToKey,
    ToNamespace,
    ToTag,
)

ALL = [
    Binding("to-key", ToKey("treasury-1")),
    Binding("to-tag", ToTag("hot")),
    Binding("to-namespace", ToNamespace("production")),
    Binding("to-caller", ToCaller("payroll")),
    Binding("to-pair", ToCallerAndKey("payroll", "treasury-1")),
]

CASES = [
    # (what differs in the signer, what differs in the caller, who has a say)
    ({}, {}, {"to-key", "to-tag", "to-namespace", "to-caller", "to-pair"}),
    ({"key_id": "treasury-2"}, {}, {"to-tag", "to-namespace", "to-caller"}),
    ({"key_id": "treasury-10"}, {}, {"to-tag", "to-namespace", "to-caller"}),
    ({"key_id": "TREASURY-1"}, {}, {"to-tag", "to-namespace", "to-caller"}),
    ({"tags": ("cold", "hotter")}, {}, {"to-key", "to-namespace", "to-caller", "to-pair"}),
    ({"tags": ("payouts", "hot")}, {}, {"to-key", "to-tag", "to-namespace", "to-caller", "to-pair"}),
    ({"namespace": "test"}, {}, {"to-key", "to-tag", "to-caller", "to-pair"}),
    ({}, {"identity": "treasury-1"}, {"to-key", "to-tag", "to-namespace"}),
    ({"key_id": "payroll"}, {"identity": "treasury-1"}, {"to-tag", "to-namespace"}),
    ({"key_id": "hot", "tags": ("production",), "namespace": "hot"}, {"identity": "x"}, set()),
]


@pytest.mark.parametrize(("signer", "caller", "expected"), CASES)
def test_every_binding_that_fits_has_a_say_and_no_other(signer: dict, caller: dict, expected: set[str]) -> None:
    bound = Bindings(ALL).bound(replace(SIGNER, **signer), replace(CALLER, **caller))
    assert bound == tuple(sorted(expected))


def test_the_order_of_bindings_says_nothing() -> None:
    everybody = Bindings(ALL).bound(SIGNER, CALLER)
    assert all(Bindings(order).bound(SIGNER, CALLER) == everybody for order in itertools.permutations(ALL))


def test_a_policy_that_is_bound_twice_is_asked_once_and_can_say_why() -> None:
    bindings = Bindings([Binding("limits", ToKey("treasury-1")), Binding("limits", ToTag("hot")), *ALL, *ALL])
    assert bindings.bound(SIGNER, CALLER).count("limits") == 1
    assert bindings.why("limits", SIGNER, CALLER) == (ToKey("treasury-1"), ToTag("hot"))
    assert bindings.why("limits", replace(SIGNER, tags=()), CALLER) == (ToKey("treasury-1"),)


def test_without_bindings_nobody_has_a_say() -> None:
    assert Bindings().bound(SIGNER, CALLER) == ()
    assert Bindings([Binding("other", ToKey("k"))]).bound(SIGNER, CALLER) == ()
