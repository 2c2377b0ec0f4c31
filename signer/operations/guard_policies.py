"""Where changes of policies wait for people: what is held of an order, and its approval spent in the order's commit.

Rule 1: an approval is for one order, to its last letter, of one principal, at one revision of the policies: any other
change meanwhile makes it void.
Rule 2: it is spent in the transaction that makes the change, or the change is not made.
Rule 3: publishing waits for nobody, since what is published decides nothing.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from functools import partial

import msgspec
from msgspec import structs

from signer.approvals.hashes import change_hash
from signer.approvals.record import get_request, lock_requests, write_act
from signer.approvals.request import Demand
from signer.approvals.rules import act_on, eligible
from signer.auth.approvers import Approvers
from signer.auth.principal import Caller
from signer.errors import (
    ApprovalChangedError,
    PolicyChangedError,
    PolicyRevisionError,
    UnapprovableError,
    UnknownApprovalError,
)
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.operations.foreseen_changes import foresee
from signer.operations.held_requests import HeldRequests, Hold
from signer.operations.policy_orders import (
    ActivatePolicy,
    BindPolicy,
    GuardChanges,
    PolicyOrder,
    PublishPolicy,
    RollBackPolicy,
    UnbindPolicy,
)
from signer.operations.reading import read_record
from signer.policy.policy_set import ChangeGuard, PolicySet, policy_set_digest
from signer.policy.target_words import target_words

GUARD = "policy guard"
"""In the place of a policy's name, where an approver is told who demands this."""

_POLICIES = b"holdfast-policies-at-1\n"

_ENCODER = msgspec.json.Encoder(order="sorted")


class PolicyGuard:
    """One instance for the life of the process, where orders arrive."""

    def __init__(self, held: HeldRequests, approvers: Approvers, *, reading: Reading) -> None:
        self._held = held
        self._approvers = approvers
        self._reading = reading

    async def admit(self, order: PolicyOrder, policies: PolicySet, caller: Caller) -> tuple[PolicyOrder, bytes]:
        """The order as it was approved, and the id of its approval; empty where it needs none.

        Nobody is asked about what would change nothing, or could not be carried out.

        Raises:
            UnknownPolicyError, PolicyOrderError, PolicyPackError: it could not be carried out.
            ApprovalRequiredError: it waits for people; give the same order again when they have approved it.
            PolicyRevisionError: the policies have changed meanwhile, and nobody was asked.
            ApprovalDeniedError, UnapprovableError, TooManyApprovalsError, UnavailableError.
        """
        if isinstance(order, GuardChanges) and order.guard is not None:
            self._check_can_be_met(order.guard, caller)
        guard = policies.guard
        if guard is None or isinstance(order, PublishPolicy):
            return order, b""
        exact = exactly(order, policies)
        if isinstance(exact, ActivatePolicy) and not exact.version:
            return exact, b""  # none is staged: it is refused where it is carried out
        look = partial(foresee, order=exact, policies=policies)
        changes = await asyncio.to_thread(read_record, self._reading, look)
        if changes is None:
            return exact, b""  # told as such; if it is not so in the commit, it is not made without an approval
        facts = _ENCODER.encode({"changes": changes, "order": _told(exact), "revision": policies.revision})
        hold = Hold(
            kind="policy_change",
            request_hash=_request_hash(exact, caller),
            policies_hash=_policies_hash(policies),
            revision=policies.revision,
            demands=(_demand(guard),),
            lifetime_seconds=guard.lifetime_seconds,
            subject="policy change",
            facts=facts,
            content=_ENCODER.encode(exact),
        )
        try:
            return exact, (await self._held.admit(hold, caller)).approval_id
        except PolicyChangedError as moved:
            raise PolicyRevisionError(wanted=policies.revision, holds=int(str(moved.evidence["newest"]))) from moved

    def _check_can_be_met(self, guard: ChangeGuard, caller: Caller) -> None:
        """A guard that nobody could meet would be there for good."""
        who = eligible(_demand(guard), requester=caller.principal.name, members=self._approvers.members)
        if len(who) < guard.quorum:
            raise UnapprovableError(
                f"the guard asks for {guard.quorum} of {', '.join(guard.groups)}, and the configuration has {len(who)}"
                " of them besides who asks: nobody could change the policies any more",
                evidence={
                    "quorum": guard.quorum,
                    "approvers": ", ".join(who) or None,
                    "remedy": "name more members of these groups in security.principals, with the action"
                    " approvals:vote",
                },
            )


def exactly(order: PolicyOrder, policies: PolicySet) -> PolicyOrder:
    """The order with the version that it means now, so that nothing is approved that nobody has seen."""
    order = structs.replace(order, if_revision=policies.revision)
    policy = policies.find(order.name) if isinstance(order, ActivatePolicy | RollBackPolicy) else None
    match order:
        case ActivatePolicy(version="") if policy is not None:
            return structs.replace(order, version=policy.staged)
        case RollBackPolicy(version="") if policy is not None and policy.previous:
            return structs.replace(order, version=policy.previous[0])
        case _:
            return order


def spend_approval(
    transaction: Transaction,
    order: PolicyOrder,
    policies: PolicySet,
    *,
    caller: Caller,
    approval_id: bytes,
    now_ms: int,
) -> None:
    """Use the approval of this order up, where these policies have a guard. Raises ApprovalChangedError."""
    if policies.guard is None or isinstance(order, PublishPolicy):
        return
    lock_requests(transaction, (approval_id,))
    try:
        request = get_request(transaction, approval_id)
    except UnknownApprovalError:
        raise ApprovalChangedError(approval_id.hex()) from None
    wanted = (_request_hash(order, caller), _policies_hash(policies), (_demand(policies.guard),))
    after = act_on(request, "spend", now_ms=now_ms)
    if after is None or (request.request_hash, request.policies_hash, request.demands) != wanted:
        raise ApprovalChangedError(approval_id.hex())
    write_act(transaction, after)


def _request_hash(order: PolicyOrder, caller: Caller) -> bytes:
    return change_hash(requester=caller.principal.name, order=_ENCODER.encode(order))


def _policies_hash(policies: PolicySet) -> bytes:
    """Of what holds, and since when: after a roll back the same holds again, and is asked for again."""
    return hashlib.sha256(_POLICIES + policies.revision.to_bytes(8, "big") + policy_set_digest(policies)).digest()


def _demand(guard: ChangeGuard) -> Demand:
    return Demand(GUARD, guard.quorum, guard.groups, guard.delay_seconds)


def _told(order: PolicyOrder) -> Mapping[str, object]:
    """For approvers: places in words, and a version where there is one."""
    told: dict[str, object] = msgspec.to_builtins(order)
    if isinstance(order, BindPolicy | UnbindPolicy):
        told["binding"] = f"{order.binding.policy} {target_words(order.binding.to)}"
    return {name: value for name, value in told.items() if value not in (None, "")}
