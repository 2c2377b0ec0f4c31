"""From what policies hold to what people are asked, and from their approval to the claims of the signing command."""

from typing import Any

from signer.approvals.hashes import policies_hash, request_hash
from signer.approvals.ledger import ApprovalClaim
from signer.approvals.request import Demand
from signer.auth.principal import Caller
from signer.intent import SignDuty, SignExtension
from signer.operations.held_content import encode_intent
from signer.operations.held_requests import HeldRequests, Hold
from signer.operations.serving_policies import ServingPolicies
from signer.policy import combine
from signer.policy.combine import Held, claim_of
from signer.policy.counters import CounterClaim, Seen
from signer.policy.facts import Facts, encode_facts
from signer.units import Root


class PeopleStep:
    """The gate's step for what policies hold. One for the life of the process."""

    def __init__(self, held: HeldRequests, serving: ServingPolicies) -> None:
        self._held = held
        self._serving = serving

    async def claims_of(
        self,
        held: Held,
        intent: SignDuty | SignExtension,
        root: Root,
        facts: Facts,
        caller: Caller,
        *,
        seen: tuple[Seen, ...],
        revision: int,
    ) -> tuple[Any, ...]:
        """What the signing command carries where enough have approved: the approval, and what is spent with it.

        `revision`: of the policies that hold it; the commit refuses where another one holds by then.

        Raises:
            ApprovalRequiredError, ApprovalDeniedError, UnapprovableError, TooManyApprovalsError.
            PolicyChangedError: another revision holds by now, and nobody was asked.
            StartupError, UnavailableError.
        """
        simulation = facts.environment.simulation
        since = await self._serving.since(facts, revision=revision)
        hold = _hold(held, intent, root, facts, caller, since=since, revision=revision)
        approval = await self._held.admit(hold, caller, opens=not simulation)
        if approval.act == "again":
            return (approval,)  # what it spends was booked the first time
        spending = claim_of(held, at_seconds=facts.environment.timestamp, seen=seen)
        return (approval,) if spending is None else (approval, spending)


def given_out_again(claims: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The claims of whoever comes second with the same approval: the same signature, and nothing is spent.

    None where no approval is among them, or it is given out again already.
    """
    if not any(isinstance(claim, ApprovalClaim) and claim.act == "spend" for claim in claims):
        return None
    return tuple(_again(claim) for claim in claims if not isinstance(claim, CounterClaim))


def approval_given_back(claims: tuple[Any, ...]) -> tuple[ApprovalClaim, ...]:
    """What undoes the spending of an approval whose signature is known not to have been made."""
    return tuple(
        ApprovalClaim(claim.approval_id, claim.request_hash, claim.policies_hash, claim.at_ms, "give_back")
        for claim in claims
        if isinstance(claim, ApprovalClaim) and claim.act == "spend"
    )


def told_approval(claims: tuple[Any, ...]) -> str:
    """For the audit log: the approval that a signature rests on; empty where it rests on none."""
    return "".join(f"; approval={claim.approval_id.hex()}" for claim in claims if isinstance(claim, ApprovalClaim))


def _again(claim: Any) -> Any:
    if isinstance(claim, ApprovalClaim):
        return ApprovalClaim(claim.approval_id, claim.request_hash, claim.policies_hash, claim.at_ms, "again")
    return claim


def _hold(
    held: Held, intent: SignDuty | SignExtension, root: Root, facts: Facts, caller: Caller, *, since: int, revision: int
) -> Hold:
    subject = intent.duty_type if isinstance(intent, SignExtension) else intent.duty.type
    return Hold(
        kind="signature",
        request_hash=request_hash(
            requester=caller.principal.name, public_key=intent.public_key, signing_root=root, subject=subject
        ),
        policies_hash=policies_hash(((each.policy, each.version) for each in held.outcomes), since=since),
        revision=revision,
        demands=tuple(sorted(_demand(each) for each in held.demands)),
        lifetime_seconds=held.lifetime_seconds,
        subject=subject,
        facts=encode_facts(facts),
        content=b"" if isinstance(intent, SignExtension) else encode_intent(intent),
        public_key=intent.public_key,
        signing_root=root,
    )


def _demand(demand: combine.Demand) -> Demand:
    return Demand(demand.policy, demand.quorum, demand.groups, demand.delay_seconds)
