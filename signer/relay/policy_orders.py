"""A worker's orders about policies: passed on to the main process as they are, packs and all."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from msgspec import Meta, Struct

from signer.auth.principal import Caller
from signer.operations.policy_orders import PolicyOrder, PolicyOrdered


class AskPolicyOrder(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=20):
    """Carry an operator's order about policies out; the caller's right to it was judged by the worker.

    Answered by PolicyOrderDone or Failed.
    """

    number: Annotated[int, Meta(ge=0)]
    order: PolicyOrder
    principal: Annotated[str, Meta(max_length=64)]
    request_id: Annotated[bytes, Meta(min_length=8, max_length=8)]
    approval_id: Annotated[bytes, Meta(max_length=16)] = b""


class PolicyOrderDone(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=20):
    """The answer to AskPolicyOrder."""

    number: int
    ordered: PolicyOrdered


Ask = Callable[[PolicyOrder, Caller, bytes], Awaitable[PolicyOrdered]]
"""Passes an order on, and waits for its answer."""


class RelayPolicyOrders:
    """The main process's record as `PolicyOrders`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def carry_out(self, order: PolicyOrder, caller: Caller, *, approval_id: bytes = b"") -> PolicyOrdered:
        """See PolicyOrders."""
        return await self._ask(order, caller, approval_id)
