"""The gate's step that asks policies: from what has passed so far to what may be committed, or to a refusal.

Rule 1: a denial overrides everything, and what is held for people is committed with their approval only. Fails closed.
Rule 2: the claims say by which revision it was decided, what policies have read, and what is spent: all of it is judged
again inside the commit.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from signer.auth.principal import Caller
from signer.errors import PolicyDeniedError
from signer.eth2.duties import BlockDuty
from signer.eth2.networks import Network
from signer.intent import SignDuty, SignExtension
from signer.keys.key import Key
from signer.operations.hold_for_people import PeopleStep
from signer.operations.policies import Judged, Policies
from signer.operations.policies_in_force import Bound, InForce
from signer.operations.proven_facts import Proving
from signer.operations.request_facts import facts_of_duty, facts_of_extension
from signer.policy.combine import Allowed, Denied, Held, Outcome, claim_of
from signer.policy.counters import CounterClaim
from signer.policy.duty_facts import NOTHING_PROVEN
from signer.units import Root

Hear = Callable[[tuple[Outcome, ...]], None]
"""Told what each policy said, before anything comes of it."""

Listen = Callable[[Judged], None]
"""Told everything that was judged, before anything comes of it."""


def hear_nothing(_outcomes: tuple[Outcome, ...]) -> None:
    """Nobody wants to know."""


class Asking(Struct, frozen=True):
    """Policies have a say, or the default bars what is asked: not decided yet."""

    in_force: InForce
    bound: Bound
    place: int
    """Where among the claims those of the policies go: before those of slashing protection."""


class Passed(Struct, frozen=True):
    """What the gate let through, up to the commit."""

    key: Key
    signing_root: Root
    claims: tuple[Any, ...]
    asking: Asking | None = None
    """None where policies have nothing to say, or have said it."""

    outcomes: tuple[Outcome, ...] = ()
    """What each policy said, where any was asked."""

    @property
    def spending(self) -> CounterClaim | None:
        """What was booked with the commit; None where nothing was."""
        return next((claim for claim in self.claims if isinstance(claim, CounterClaim)), None)


class PolicyCheck:
    """One for the life of the process. Used by the gate."""

    def __init__(self, policies: Policies, network: Network, proving: Proving, people: PeopleStep) -> None:
        self.policies = policies
        self._people = people
        self._network = network
        self._proving = proving

    async def check_duty(
        self, intent: SignDuty, passed: Passed, caller: Caller, *, listen: Listen, simulation: bool = False
    ) -> Passed:
        """The claims complete. `simulation`: nothing will be signed, whatever they say.

        Raises:
            PolicyDeniedError.
            ApprovalRequiredError, ApprovalDeniedError, UnapprovableError, TooManyApprovalsError.
            ShutDownError, StartupError, DatabaseDownError: the policies cannot be asked.
        """
        asking = passed.asking
        if asking is None:
            return passed
        judged = await self.judge_duty(intent, passed, caller, asking, simulation=simulation)
        listen(judged)
        return await self._settle(intent, judged, passed, asking, caller)

    async def judge_duty(
        self, intent: SignDuty, passed: Passed, caller: Caller, asking: Asking, *, simulation: bool
    ) -> Judged:
        """What the policies say of a duty. Raises as `check_duty`, where they cannot be asked."""
        proven = NOTHING_PROVEN
        duty = intent.duty
        bound = asking.bound if asking.bound.is_loaded else await self.policies.loaded(asking.bound)
        if isinstance(duty, BlockDuty) and (duty.fee_recipient_proof or duty.graffiti_proof):
            proven = await asyncio.to_thread(self._proving.prove, intent.public_key, duty, bound, asking.in_force)
        facts = facts_of_duty(
            intent,
            passed.signing_root,
            signer=asking.in_force.signer(passed.key),
            caller=caller,
            network=self._network,
            at_seconds=self.policies.now_seconds(),
            simulation=simulation,
            proven=proven,
        )
        return await self.policies.judge(facts, bound, asking.in_force)

    async def check_extension(self, intent: SignExtension, passed: Passed, caller: Caller, *, listen: Listen) -> Passed:
        """The same for raw bytes."""
        asking = passed.asking
        if asking is None:
            return passed
        bound = await self.policies.loaded(asking.bound)
        facts = facts_of_extension(
            intent,
            passed.signing_root,
            signer=asking.in_force.signer(passed.key),
            caller=caller,
            network=self._network,
            at_seconds=self.policies.now_seconds(),
        )
        judged = await self.policies.judge(facts, bound, asking.in_force)
        listen(judged)
        return await self._settle(intent, judged, passed, asking, caller)

    async def _settle(
        self, intent: SignDuty | SignExtension, judged: Judged, passed: Passed, asking: Asking, caller: Caller
    ) -> Passed:
        """What comes of a decision. Raises PolicyDeniedError, and what people have not said yes to."""
        match judged.decision:
            case Allowed() as allowed:
                spending = claim_of(allowed, at_seconds=judged.at_seconds, seen=judged.seen)
                return _with_claims(passed, asking, judged, () if spending is None else (spending,))
            case Denied() as denied:
                version = next((each.version for each in denied.outcomes if each.policy == denied.policy), "")
                raise PolicyDeniedError(
                    denied.policy, version=version, code=denied.code, message=denied.message, evidence=denied.evidence
                )
            case Held() as held:
                root = passed.signing_root
                claims = await self._people.claims_of(
                    held, intent, root, judged.facts, caller, seen=judged.seen, revision=judged.revision
                )
                return _with_claims(passed, asking, judged, claims)


def _with_claims(passed: Passed, asking: Asking, judged: Judged, more: tuple[Any, ...]) -> Passed:
    """`more`: claims of the policies, in their place."""
    claims = (*passed.claims[: asking.place], *more, *passed.claims[asking.place :]) if more else passed.claims
    return Passed(passed.key, passed.signing_root, claims, None, judged.outcomes)
