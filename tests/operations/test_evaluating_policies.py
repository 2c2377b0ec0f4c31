"""Policies are asked about facts by whoever may read all of them."""

from typing import Any

import pytest
from policy.sample_facts import facts

from signer.auth.principal import Action, Caller, Principal
from signer.errors import ForbiddenError
from signer.operations.evaluate_policies import PolicyEvaluation


class Untouched:
    """Whatever is asked of it was asked too early."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


@pytest.mark.parametrize(
    "principal",
    [
        Principal("client", actions=frozenset({Action.SIGN_DUTY})),
        Principal("of-one-key", actions=frozenset({Action.POLICY_READ}), keys=frozenset({bytes(48)})),
    ],
    ids=["no reader", "a reader of one key"],
)
async def test_facts_that_may_be_about_any_key_are_for_those_who_may_read_all(principal: Principal) -> None:
    untouched: Any = Untouched()
    evaluation = PolicyEvaluation(gate=untouched, policies=untouched)
    with pytest.raises(ForbiddenError):
        await evaluation.of_facts(facts(), None, Caller(principal))
