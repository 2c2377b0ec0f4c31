"""A worker's orders about requests that wait for people: passed on to the main process as they are."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from msgspec import Meta, Struct

from signer.approvals.ledger import ApprovalClaim
from signer.approvals.rules import Act
from signer.auth.principal import Caller
from signer.operations.approval_orders import ApprovalAnswer, ApprovalId, ApprovalOrder, Hash


class AskApprovalOrder(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=21):
    """Carry an order out; the caller's right to it was judged by the worker.

    Answered by ApprovalOrderDone or Failed.
    """

    number: Annotated[int, Meta(ge=0)]
    order: ApprovalOrder
    principal: Annotated[str, Meta(max_length=64)]
    request_id: Annotated[bytes, Meta(min_length=8, max_length=8)]


class ApprovalOrderDone(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=21):
    """The answer to AskApprovalOrder."""

    number: int
    answer: ApprovalAnswer


class ApprovalRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False, tag=8):
    """An ApprovalClaim."""

    approval_id: ApprovalId
    request_hash: Hash
    policies_hash: Hash
    at_ms: Annotated[int, Meta(ge=0)]
    act: Act


Ask = Callable[[ApprovalOrder, Caller], Awaitable[ApprovalAnswer]]
"""Passes an order on, and waits for its answer."""


class RelayApprovalOrders:
    """The main process's record as `ApprovalOrders`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def carry_out(self, order: ApprovalOrder, caller: Caller) -> ApprovalAnswer:
        """See ApprovalOrders."""
        return await self._ask(order, caller)


def approval_row(claim: ApprovalClaim) -> ApprovalRow:
    """A claim as it travels."""
    return ApprovalRow(claim.approval_id, claim.request_hash, claim.policies_hash, claim.at_ms, claim.act)


def approval_of(row: ApprovalRow) -> ApprovalClaim:
    """The claim again."""
    return ApprovalClaim(row.approval_id, row.request_hash, row.policies_hash, row.at_ms, row.act)
