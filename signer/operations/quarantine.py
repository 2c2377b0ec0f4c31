"""Quarantine: a key without history waits, and an operator may end the wait.

A load of keys that brings some the record knows nothing of marks them, durable before they serve. What a load brings is
asked of the record once more inside that change: an import that came in between counts.
"""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from signer.audit.entry import Kind
from signer.auth.authorize import check_authorized, may_see
from signer.auth.principal import Action, Caller
from signer.errors import StartupError, UnknownKeyError
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.keys.guard import LoadsKeys
from signer.keys.ledger import EVERY_KEY
from signer.keys.quarantine import (
    begin_quarantine,
    find_new_keys,
    read_quarantine,
    settle_quarantine,
)
from signer.keys.report import LoadReport, Progress
from signer.operations.freeze_keys import shown
from signer.operations.horizon import EARLY_EPOCHS, Horizon
from signer.operations.orders import Carried, Orders, ReleaseKeys
from signer.operations.protect import Changes
from signer.operations.story import NoteStory
from signer.units import Epoch, PublicKey

RUNNING_EPOCH = 1
"""The epoch in which a key arrives counts beside the whole ones."""

KEPT_EPOCHS = 2
"""How long after its end a wait is still judged: votes of that time may yet be asked for."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A key in quarantine, as it is told."""

    public_key: PublicKey
    until_epoch: Epoch
    until: str | None
    """The same as a date, UTC; None where the network's genesis time is unknown."""


def end_of_wait(horizon: Horizon, now: Epoch, epochs: int) -> Epoch:
    """The first epoch that is signed with a key that arrives now, and waits so many whole ones.

    A wait is judged by the epoch of the duty. So where more than the usual epoch ahead of the clock is signed, it is as
    much longer: a vote for its end would else be signed while the wait still runs, around all that another signer does.
    """
    beyond = max(0, (horizon.far_future_epochs or 0) - EARLY_EPOCHS)
    return Epoch(now + RUNNING_EPOCH + epochs + beyond)


def date_of(horizon: Horizon, epoch: Epoch) -> str | None:
    """When an epoch begins, UTC."""
    seconds = horizon.network.seconds_of_epoch(epoch)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


class QuarantiningLoader:
    """A loader whose new keys are on record before they serve. Used by the thread that loads."""

    def __init__(self, loader: LoadsKeys, *, changes: Changes, reading: Reading, horizon: Horizon, epochs: int) -> None:
        """`epochs`: how many whole ones a key waits."""
        self._loader = loader
        self._changes = changes
        self._reading = reading
        self._horizon = horizon
        self._epochs = epochs

    def load(self, progress: Progress, stop: threading.Event | None) -> LoadReport:
        """See LoadsKeys. Raises StartupError: it is unknown which epoch it is; what the journal raises."""
        report = self._loader.load(progress, stop)
        keys = [key.public_key for key in report.keys]
        with self._reading() as moment:
            is_news = bool(find_new_keys(moment, keys))
        if is_news:
            # This thread has no event loop, and the service's own may be waiting for this very thread to end.
            asyncio.run(self._admit(keys))
        with self._reading() as moment:
            loaded = frozenset(keys)
            waits = [one for one in waits_on_record(moment, self._horizon) if one.public_key in loaded]
        if not waits:
            return report
        return replace(report, warnings=(*report.warnings, _warning(waits)))

    async def _admit(self, keys: Sequence[PublicKey]) -> None:
        now = self._horizon.epoch
        if now is None:
            raise StartupError(
                "the network's genesis_time is unknown, so new keys cannot wait for an epoch",
                remedy="set network.genesis_time, or keys.quarantine_epochs: 0",
            )
        until = end_of_wait(self._horizon, now, self._epochs)

        def change(transaction: Transaction) -> tuple[PublicKey, ...]:
            settle_quarantine(transaction, before=Epoch(max(0, now - KEPT_EPOCHS)))
            return begin_quarantine(transaction, keys, until=until)

        # Crash before this commit: the keys do not serve. After it: they wait, and the next load finds them known.
        await self._changes.perform(change, lambda new: self._story(new, until))

    def _story(self, new: Sequence[PublicKey], until: Epoch) -> NoteStory:
        note = f"until_epoch={until} keys={len(new)} " + " ".join("0x" + key.hex() for key in new)
        only = new[0] if len(new) == 1 else b""
        return NoteStory(Kind.KEYS_QUARANTINED, self._horizon.now_ms, note, public_key=only)


class Quarantine:
    """What operators see of quarantine, and how they end it. One instance for the life of the process."""

    def __init__(self, *, orders: Orders, reading: Reading, horizon: Horizon, epochs: int) -> None:
        """`epochs`: how many whole ones a key without history waits, from its first load for signing on."""
        self._epochs = epochs
        self._orders = orders
        self._reading = reading
        self._horizon = horizon

    async def waits(self, caller: Caller) -> tuple[Wait, ...]:
        """The keys that wait now, as far as this caller may see them. Raises ForbiddenError."""
        check_authorized(caller.principal, Action.KEYS_LIST)
        return tuple(one for one in await self.summary() if may_see(caller.principal, one.public_key))

    async def summary(self) -> tuple[Wait, ...]:
        """The same, for those who may count them. Asks nobody who they are."""
        return tuple(await asyncio.to_thread(self._read))

    async def newcomers(self, keys: Sequence[PublicKey], caller: Caller) -> frozenset[PublicKey]:
        """Those of these keys whose wait will begin when they are first loaded for signing. Raises ForbiddenError."""
        check_authorized(caller.principal, Action.KEYS_LIST)
        if not self._epochs:
            return frozenset()
        return frozenset(await asyncio.to_thread(self._find_new, keys))

    async def release(self, keys: Sequence[PublicKey], caller: Caller) -> tuple[Carried, ...]:
        """End the wait of these keys. Raises ForbiddenError, UnknownKeyError, JournalDownError."""
        check_authorized(caller.principal, Action.KEYS_RELEASE)
        for key in keys:
            if key == EVERY_KEY or not may_see(caller.principal, key):
                raise UnknownKeyError(shown(key))
        return await self._orders.carry_out(ReleaseKeys(tuple(keys)), caller)

    def _find_new(self, keys: Sequence[PublicKey]) -> Sequence[PublicKey]:
        with self._reading() as moment:
            return find_new_keys(moment, keys)

    def _read(self) -> list[Wait]:
        with self._reading() as moment:
            return waits_on_record(moment, self._horizon)


def waits_on_record(transaction: Transaction, horizon: Horizon) -> list[Wait]:
    """The keys whose wait has not ended by the clock, by public key."""
    now = horizon.epoch
    return [
        Wait(one.public_key, one.until_epoch, date_of(horizon, one.until_epoch))
        for one in read_quarantine(transaction)
        if now is None or one.until_epoch > now
    ]


def _warning(waits: Sequence[Wait]) -> str:
    last = max(waits, key=lambda one: one.until_epoch)
    date = f" ({last.until})" if last.until else ""
    return (
        f"{len(waits)} keys are in quarantine, for they came without slashing history; the first is"
        f" 0x{waits[0].public_key.hex()}. Until epoch {last.until_epoch}{date} their votes and blocks are refused with"
        " KEY_QUARANTINED; everything else is signed. If they have signed elsewhere, import that record (holdfast"
        " slashing import, or holdfast migrate in): it ends the wait. If they have never signed, or nothing else can"
        " sign with them: holdfast keys release KEY"
    )
