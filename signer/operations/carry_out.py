"""Carry an operator's orders out: in the process that keeps the record."""

import asyncio
from collections.abc import Sequence

from signer.audit.entry import Kind
from signer.auth.principal import Caller
from signer.clock import Clock
from signer.events import Events, KeysFrozen
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.keys.ledger import EVERY_KEY, freeze_every_key, freeze_key, read_key_states, thaw_key
from signer.keys.quarantine import release_key
from signer.keys.tags import Tag, freeze_tag, thaw_tag
from signer.operations.changes import Changes
from signer.operations.freeze_keys import read_frozen
from signer.operations.hold_keys import NO_KEY, KeyHolding
from signer.operations.keep_preferences import carry_out_preferences
from signer.operations.move_keys import KeyMoving
from signer.operations.move_orders import ArriveKeys, LeaveKeys, TakeBackKeys
from signer.operations.orders import (
    AllowKeys,
    Carried,
    DeleteKeys,
    FreezeKeys,
    ImportKeystores,
    Order,
    ReleaseKeys,
    SetPreferences,
    TagKeys,
    ThawKeys,
)
from signer.operations.reading import read_record
from signer.operations.story import NoteStory
from signer.operations.tag_keys import carry_out_tags
from signer.units import PublicKey


class LocalOrders:
    """Orders, by the writer of this process. One instance for its life, on its event loop."""

    def __init__(
        self,
        *,
        changes: Changes,
        reading: Reading,
        clock: Clock,
        events: Events,
        holding: KeyHolding,
        moving: KeyMoving,
    ) -> None:
        self._changes = changes
        self._holding = holding
        self._moving = moving
        self._reading = reading
        self._clock = clock
        self._events = events

    async def carry_out(self, order: Order, caller: Caller) -> tuple[Carried, ...]:
        """See Orders."""
        match order:
            case FreezeKeys():
                keys = [await self._freeze(key, caller) for key in order.keys]
                done = (*keys, *[await self._freeze_tag(tag, caller) for tag in order.tags])
                await self.tell_frozen()
            case ThawKeys():
                keys = [await self._thaw(key, caller) for key in order.keys]
                keys = await asyncio.to_thread(self._with_what_still_freezes, keys)
                done = (*keys, *[await self._thaw_tag(tag, caller) for tag in order.tags])
                await self.tell_frozen()
            case ReleaseKeys():
                done = tuple([await self._release(key, caller) for key in order.keys])
            case TagKeys():
                now_ms, documented = self._now_ms(), self._holding.documented_tags
                done = await carry_out_tags(
                    self._changes, self._reading, order, caller, now_ms=now_ms, documented=documented
                )
            case LeaveKeys() | ArriveKeys() | TakeBackKeys():
                done = await self._moving.carry_out(order, caller)
            case DeleteKeys():
                done = await self._holding.delete(order.keys, caller, history=order.history)
            case AllowKeys():
                done = await self._holding.allow(order.keys, caller)
            case ImportKeystores():
                done = await self._holding.bring_in(order.keystores, order.passwords, caller)
            case SetPreferences():
                done = await carry_out_preferences(self._changes, order, caller, now_ms=self._now_ms())
        return done

    async def tell_frozen(self) -> None:
        """Publish what is frozen now; at start too."""
        frozen = await asyncio.to_thread(read_frozen, self._reading)
        self._events.publish(KeysFrozen(len(frozen.keys), frozen.all_since_ms is not None, len(frozen.tags)))

    async def follow_others(self) -> None:
        """See `KeyHolding.follow_others`."""
        await self._holding.follow_others()

    async def follow_moves(self) -> None:
        """See `KeyMoving.follow`."""
        await asyncio.to_thread(self._moving.follow, self._reading)

    async def _freeze(self, key: PublicKey, caller: Caller) -> Carried:
        now_ms = self._now_ms()

        def change(transaction: Transaction) -> bool:
            if key == EVERY_KEY:
                return freeze_every_key(transaction, self._holding.loaded, now_ms=now_ms)
            return freeze_key(transaction, key, now_ms=now_ms)

        changed = await self._changes.perform(
            change,
            lambda done: self._story(Kind.KEY_FROZEN, caller, key, "" if done else "was frozen before"),
        )
        return Carried(key, "frozen" if changed else "already_frozen")

    async def _thaw(self, key: PublicKey, caller: Caller) -> Carried:
        changed = await self._changes.perform(
            lambda transaction: thaw_key(transaction, key),
            lambda done: self._story(Kind.KEY_THAWED, caller, key, "" if done else "was not frozen"),
        )
        return Carried(key, "thawed" if changed else "not_frozen")

    def _with_what_still_freezes(self, thawed: Sequence[Carried]) -> list[Carried]:
        states = read_record(self._reading, read_key_states)
        everybody = states.get(EVERY_KEY)
        found = []
        for each in thawed:
            state = states.get(each.public_key)
            words = [f"tag:{one.tag}" for one in state.frozen_tags] if state is not None else []
            if everybody is not None and everybody.frozen_ms is not None:
                words.append("all")
            told = " and ".join(f"by {word} (holdfast thaw {word})" for word in words)
            message = f"still frozen {told}: it signs nothing" if told and each.public_key != EVERY_KEY else ""
            found.append(Carried(each.public_key, each.status, message))
        return found

    async def _freeze_tag(self, tag: Tag, caller: Caller) -> Carried:
        now_ms = self._now_ms()
        changed = await self._changes.perform(
            lambda transaction: freeze_tag(transaction, tag, now_ms=now_ms),
            lambda done: self._story(Kind.KEY_FROZEN, caller, NO_KEY, "" if done else "was frozen before", tag=tag),
        )
        return Carried(NO_KEY, "frozen" if changed else "already_frozen", tag=tag)

    async def _thaw_tag(self, tag: Tag, caller: Caller) -> Carried:
        changed = await self._changes.perform(
            lambda transaction: thaw_tag(transaction, tag),
            lambda done: self._story(Kind.KEY_THAWED, caller, NO_KEY, "" if done else "was not frozen", tag=tag),
        )
        return Carried(NO_KEY, "thawed" if changed else "not_frozen", tag=tag)

    async def _release(self, key: PublicKey, caller: Caller) -> Carried:
        changed = await self._changes.perform(
            lambda transaction: release_key(transaction, key),
            lambda done: self._story(Kind.KEYS_RELEASED, caller, key, "" if done else "was not in quarantine"),
        )
        return Carried(key, "released" if changed else "not_in_quarantine")

    def _story(self, kind: Kind, caller: Caller, key: PublicKey, note: str, *, tag: Tag | None = None) -> NoteStory:
        subject = f"tag {tag}" if tag is not None else "every key" if key == EVERY_KEY else ""
        words = ": ".join(word for word in (subject, note) if word)
        return NoteStory(kind, self._now_ms(), words, caller.principal.name, caller.request_id, key)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)
