"""Prune the slashing record while it is in use: a few rows in each transaction, and a rest after each.

What is old is found on a thread, beside the writer. Each transaction deletes at most ROWS_AT_ONCE rows, raises the
floors over them and tells of it in the audit log; then the writer is left alone REST times as long as the transaction
took from order to commit. A busy writer makes it longer, so pruning gives way by itself.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from functools import partial

from signer.audit.entry import Kind
from signer.auth.principal import Caller
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.operations.horizon import Horizon
from signer.operations.protect import Changes
from signer.operations.record_orders import PruneRecord, PruneReport
from signer.operations.story import NoteStory
from signer.slashing.pruning import Cuts, Keep, Pruned, find_cuts, prune
from signer.units import PublicKey

ROWS_AT_ONCE = 256
"""Most rows of one transaction: one to two milliseconds, which is how long a vote may wait for it (`make bench`)."""

REST = 4
"""Rests are so many times as long as the transaction before: pruning has a fifth of the writer at most."""

SLICE_SECONDS = 5.0
"""How long one order works; what is left is for the next one."""

_log = logging.getLogger("holdfast.pruning")


@dataclass(frozen=True, slots=True)
class PruningPlan:
    """As it is configured (section `journal`)."""

    keep_epochs: int
    keep_slots: int
    interval_seconds: float | None
    """None: only when an operator orders it."""


class RecordPruning:
    """Owned by the process that keeps the journal. `run` until cancelled; `carry_out` for operators, in turn."""

    def __init__(self, *, changes: Changes, read: Reading, horizon: Horizon, plan: PruningPlan) -> None:
        self._changes = changes
        self._read = read
        self._horizon = horizon
        self._plan = plan
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Prune everything that is old, again and again after the interval; the first time one interval from now."""
        if self._plan.interval_seconds is None:
            return
        while True:
            await asyncio.sleep(self._plan.interval_seconds)
            try:
                await self.prune_all()
            except Exception as error:  # noqa: BLE001 - whatever it was, the rows stay for the next interval
                _log.warning("old records stay in the database: %s", error)

    async def prune_all(self) -> PruneReport:
        """Prune everything that is old by the configuration. Raises JournalDownError, OutcomeUnknownError."""
        whole = PruneReport(0, 0, 0, more=True)
        while whole.more:
            done = await self.carry_out(PruneRecord(), None)
            whole = PruneReport(
                whole.votes + done.votes, whole.blocks + done.blocks, whole.transactions + done.transactions, done.more
            )
        if whole.transactions:
            _log.info("pruned %d votes and %d blocks", whole.votes, whole.blocks)
        return whole

    async def carry_out(self, order: PruneRecord, caller: Caller | None) -> PruneReport:
        """Prune for SLICE_SECONDS; nobody's order is the schedule's. Raises JournalDownError, OutcomeUnknownError."""
        keep = self._keep(order)
        votes = blocks = transactions = after = 0
        async with self._turn:
            end = time.monotonic() + SLICE_SECONDS
            while True:
                cuts = await asyncio.to_thread(self._find, keep, after, order.public_key)
                if cuts.after is None:
                    return PruneReport(votes, blocks, transactions, more=False)
                began = time.monotonic()
                done = await self._changes.perform(partial(_prune, cuts), partial(self._story, keep, caller))
                votes, blocks, transactions = votes + done.votes, blocks + done.blocks, transactions + 1
                after = cuts.after
                now = time.monotonic()
                if now > end:
                    return PruneReport(votes, blocks, transactions, more=True)
                await asyncio.sleep(REST * (now - began))

    def _keep(self, order: PruneRecord) -> Keep:
        return Keep(
            self._plan.keep_epochs if order.keep_epochs is None else order.keep_epochs,
            self._plan.keep_slots if order.keep_slots is None else order.keep_slots,
            self._horizon.epoch,
            self._horizon.slot,
        )

    def _find(self, keep: Keep, after: int, public_key: PublicKey | None) -> Cuts:
        with self._read() as moment:
            return find_cuts(moment, keep, rows=ROWS_AT_ONCE, after=after, public_key=public_key)

    def _story(self, keep: Keep, caller: Caller | None, done: Pruned) -> NoteStory:
        note = (
            f"validators={done.validators} votes={done.votes} blocks={done.blocks}"
            f" keep_epochs={keep.epochs} keep_slots={keep.slots}"
        )
        if caller is None:
            return NoteStory(Kind.PRUNED, self._horizon.now_ms, note)
        return NoteStory(Kind.PRUNED, self._horizon.now_ms, note, caller.principal.name, caller.request_id)


def _prune(cuts: Cuts, transaction: Transaction) -> Pruned:
    return prune(transaction, cuts)
