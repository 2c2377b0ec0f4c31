"""A worker's orders about the slashing record: passed on to the main process as they are."""

from collections.abc import Awaitable, Callable
from typing import Any

from signer.auth.principal import Caller
from signer.operations.record_orders import (
    Moved,
    MoveWatermarks,
    PruneRecord,
    PruneReport,
    RecordAnswer,
    RecordOrder,
    RecordOrders,
)

Ask = Callable[[RecordOrder, Caller], Awaitable[Any]]
"""Passes an order on, and waits for its answer."""


class RelayRecordOrders:
    """The main process's record as `RecordOrders`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def move(self, order: MoveWatermarks, caller: Caller) -> Moved:
        """See RecordOrders."""
        answer: Moved = await self._ask(order, caller)
        return answer

    async def prune(self, order: PruneRecord, caller: Caller) -> PruneReport:
        """See RecordOrders."""
        answer: PruneReport = await self._ask(order, caller)
        return answer


async def carry_out(orders: RecordOrders, order: RecordOrder, caller: Caller) -> RecordAnswer:
    """In the main process: what a worker has passed on."""
    match order:
        case MoveWatermarks():
            return await orders.move(order, caller)
        case PruneRecord():
            return await orders.prune(order, caller)
