"""Ask the policies without asking for a signature: nothing is written, nothing spent, nothing signed.

What they are asked about is a request as it would be signed, or facts that somebody wrote down.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec import json as fast_json
from msgspec.structs import replace

from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.errors import ForbiddenError
from signer.intent import SignDuty
from signer.operations.gate import Gate
from signer.operations.policies import Judged, Policies
from signer.policy.combine import Allowed, Decision, Demand, Denied, Held, Outcome
from signer.policy.counters import Spend
from signer.policy.facts import Facts
from signer.policy.verdict import encode_verdict


class Evaluated(Struct, frozen=True):
    """What the policies would make of it."""

    decision: Decision
    revision: int
    """Of the policies that were asked."""

    bound: tuple[str, ...]
    """The policies that have a say, by name; empty where the default decides."""

    @property
    def spendings(self) -> tuple[Spend, ...]:
        """What signing it would book; nothing where it is denied."""
        return () if isinstance(self.decision, Denied) else self.decision.spendings

    @property
    def demands(self) -> tuple[Demand, ...]:
        """Whom it would have to wait for."""
        return self.decision.demands if isinstance(self.decision, Held) else ()


class PolicyEvaluation:
    """One instance for the life of the process."""

    def __init__(self, *, gate: Gate, policies: Policies) -> None:
        self._gate = gate
        self._policies = policies

    async def of_request(self, intent: SignDuty, caller: Caller) -> Evaluated:
        """What the policies would say if this caller asked for this signature. Slashing protection is not asked.

        Raises:
            RequestError, UnknownKeyError, ForbiddenError, UnavailableError, StartupError.
        """
        check_authorized(caller.principal, Action.SIGN_DUTY, duty_type=intent.duty.type)
        await self._policies.look()
        judged = await self._gate.judge_only(intent, caller)
        return _evaluated(judged)

    async def of_facts(self, facts: Facts, names: Sequence[str] | None, caller: Caller) -> Evaluated:
        """What policies would say to these facts: those of these names; None: those bound to their signer and caller.

        Raises:
            ForbiddenError, UnknownPolicyError, UnavailableError, StartupError.
        """
        check_authorized(caller.principal, Action.POLICY_READ)
        if caller.principal.keys is not None:
            raise ForbiddenError(
                f"principal {caller.principal.name} is granted single keys, and facts may be about any",
                evidence={"principal": caller.principal.name},
            )
        await self._policies.look()
        told = replace(facts, environment=replace(facts.environment, simulation=True))
        if names is None:
            names = self._policies.in_force.bindings.bound(told.signer, told.caller)
        return _evaluated(await self._policies.judge_named(told, names))


def decision_word(decision: Decision) -> str:
    """A decision in one word, as verdicts are called."""
    match decision:
        case Allowed():
            return "allow"
        case Denied():
            return "deny"
        case Held():
            return "require_approval"


def tell_outcomes(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """What each policy said, for an answer in JSON: its name, its version, and its verdict as it would write it."""
    return [
        {"policy": each.policy, "version": each.version or None, **fast_json.decode(encode_verdict(each.verdict))}
        for each in outcomes
    ]


def _evaluated(judged: Judged) -> Evaluated:
    bound = tuple(each.policy for each in judged.outcomes if each.version)
    return Evaluated(judged.decision, judged.revision, bound)
