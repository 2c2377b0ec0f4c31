"""Keys that leave, come, or are taken back: the one commit of each, in the process that keeps the record."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

from signer.audit.entry import Kind
from signer.auth.principal import Caller
from signer.errors import KeyDeletedError, KeyStateError, ReceiptError, ReceiptUsedError, SignerError, UnknownKeyError
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.keys.departures import Departures
from signer.keys.ledger import read_key_states
from signer.keys.moves import Moves, move_in, move_out, read_all_moves, read_moves
from signer.operations.changes import Changes
from signer.operations.horizon import Horizon
from signer.operations.move_orders import ArriveKeys, Arriving, LeaveKeys, Move, MoveOrder, TakeBackKeys
from signer.operations.orders import Carried
from signer.operations.quarantine import waits_on_record
from signer.operations.reading import read_record
from signer.operations.story import NoteStory
from signer.slashing.status import find_key_record
from signer.slashing.watermarks import raise_each_floor, raise_floors
from signer.units import Epoch, PublicKey, Slot


class KeyMoving:
    """One instance for the life of the process that keeps the record."""

    def __init__(
        self, *, changes: Changes, horizon: Horizon, departures: Departures, loaded: Callable[[], Sequence[PublicKey]]
    ) -> None:
        """`departures` remembers outside of the record which keys have left; `loaded` gives the keys that serve."""
        self._changes = changes
        self._horizon = horizon
        self._departures = departures
        self._loaded = loaded

    async def carry_out(self, order: MoveOrder, caller: Caller) -> tuple[Carried, ...]:
        """See the orders. Asks nobody who the caller is. Raises JournalDownError, OutcomeUnknownError too."""
        match order:
            case LeaveKeys():
                return await self._leave(order, caller)
            case ArriveKeys():
                return await self._arrive(order, caller)
            case TakeBackKeys():
                return await self._take_back(order, caller)

    async def _leave(self, order: LeaveKeys, caller: Caller) -> tuple[Carried, ...]:
        def change(transaction: Transaction) -> Mapping[PublicKey, int]:
            self._check_may_leave(transaction, order.keys)
            numbers = move_out(transaction, order.keys, now_ms=self._horizon.now_ms)
            self._departures.note(numbers)
            return numbers

        # Crash before this commit: nothing has changed but the note outside of the record, which stops no key by
        # itself. After it: the keys sign nowhere, and the order is repeated.
        numbers = await self._changes.perform(
            change, lambda _: self._story(Kind.KEYS_MIGRATED_OUT, caller, order.keys, "")
        )
        return tuple(Carried(key, "left", str(number)) for key, number in numbers.items())

    async def _arrive(self, order: ArriveKeys, caller: Caller) -> tuple[Carried, ...]:
        keys = _keys_of(order.moves)

        def change(transaction: Transaction) -> None:
            check_is_new(transaction, order.moves)
            for one in order.moves:
                _begin_where_its_history_does(transaction, one)
            move_in(transaction, {one.key: one.number for one in order.moves})

        # Crash before this commit: the history is here, and the receipt unused. After it: the keys sign.
        await self._changes.perform(
            change, lambda _: self._story(Kind.KEYS_MIGRATED_IN, caller, keys, f" receipt={order.receipt}")
        )
        await self._strike_out(order.moves)
        return tuple(Carried(key, "arrived") for key in keys)

    async def _take_back(self, order: TakeBackKeys, caller: Caller) -> tuple[Carried, ...]:
        keys = _keys_of(order.moves)

        def change(transaction: Transaction) -> None:
            check_is_away(transaction, order.moves)
            if order.floor_epoch is not None:
                last_slot = (order.floor_epoch + 1) * self._horizon.network.preset.slots_per_epoch - 1
                for key in keys:
                    raise_floors(transaction, key, epoch=order.floor_epoch, slot=Slot(last_slot))
            move_in(transaction, {one.key: one.number for one in order.moves})

        floor = "" if order.floor_epoch is None else f" floor_epoch={order.floor_epoch}"
        note = f" receipt={order.receipt}{floor} reason={order.reason!r}"
        # Crash before this commit: the keys are away. After it: they sign here, and nowhere else by this receipt.
        await self._changes.perform(change, lambda _: self._story(Kind.KEYS_TAKEN_BACK, caller, keys, note))
        await self._strike_out(order.moves)
        return tuple(Carried(key, "back") for key in keys)

    async def _strike_out(self, moves: Sequence[Move]) -> None:
        here = {one.key: Moves(one.number, is_here=True) for one in moves}
        with contextlib.suppress(SignerError):  # what is left in the file is struck out by the next start
            await asyncio.to_thread(self._departures.follow, here)

    def follow(self, reading: Reading) -> None:
        """Note outside of the record what it tells now of keys that have left or come, by whichever signer. Blocks.

        Raises KeyStateError: it cannot be noted; what reading the record raises.
        """
        self._departures.follow(read_record(reading, read_all_moves))

    def _check_may_leave(self, transaction: Transaction, keys: Sequence[PublicKey]) -> None:
        loaded, states = frozenset(self._loaded()), read_key_states(transaction)
        waiting = {one.public_key for one in waits_on_record(transaction, self._horizon)}
        for key in keys:
            state, shown = states.get(key), "0x" + key.hex()
            if key not in loaded and state is None and find_key_record(transaction, key) is None:
                raise UnknownKeyError(shown)
            if state is not None and state.deleted_ms is not None:
                raise KeyDeletedError(shown, since_ms=state.deleted_ms)
            if key in waiting:
                raise KeyStateError(
                    f"{shown} is in quarantine: this signer cannot vouch for it yet, and no key has left; wait,"
                    f" import its history, or end the wait first: holdfast keys release {shown}"
                )

    def _story(self, kind: Kind, caller: Caller, keys: Sequence[PublicKey], note: str) -> NoteStory:
        words = f"keys={len(keys)}{note} " + " ".join("0x" + key.hex() for key in keys)
        only = keys[0] if len(keys) == 1 else b""
        return NoteStory(kind, self._horizon.now_ms, words, caller.principal.name, caller.request_id, only)


def _begin_where_its_history_does(transaction: Transaction, one: Arriving) -> None:
    """What the other signer does not vouch for is not signed: below its floor it may have forgotten votes.

    An import alone leaves a floor that is there as it is (decision 0017), as of a key that has been here before.
    """
    vote = None if one.source is None or one.target is None else (Epoch(one.source), Epoch(one.target))
    slot = None if one.slot is None else Slot(one.slot)
    if vote is not None or slot is not None:
        raise_each_floor(transaction, one.key, vote=vote, slot=slot)


def check_is_new(transaction: Transaction, moves: Sequence[Move]) -> None:
    """This receipt was not used here, nor overtaken. Raises ReceiptUsedError, KeyDeletedError."""
    known, states = read_moves(transaction, _keys_of(moves)), read_key_states(transaction)
    for one in moves:
        before, state, shown = known.get(one.key, Moves()), states.get(one.key), "0x" + one.key.hex()
        if state is not None and state.deleted_ms is not None:
            raise KeyDeletedError(shown, since_ms=state.deleted_ms)
        if one.number <= before.count:
            raise ReceiptUsedError(shown, moves=one.number, known=before.count)


def check_is_away(transaction: Transaction, moves: Sequence[Move]) -> None:
    """These keys left with this receipt, and are away still. Raises ReceiptError, KeyDeletedError."""
    known, states = read_moves(transaction, _keys_of(moves)), read_key_states(transaction)
    for one in moves:
        before, state, shown = known.get(one.key, Moves()), states.get(one.key), "0x" + one.key.hex()
        if state is not None and state.deleted_ms is not None:
            raise KeyDeletedError(shown, since_ms=state.deleted_ms)
        if before.is_here or before.count != one.number:
            raise _not_away(one, before, away=sum(not known.get(other.key, Moves()).is_here for other in moves))


def _not_away(one: Move, before: Moves, *, away: int) -> ReceiptError:
    """`away`: how many keys of the receipt are. Several receipts are of one move: each repetition writes another."""
    shown = "0x" + one.key.hex()
    if not before.is_here:
        where = f"left with a later receipt, of move {before.count}"
        remedy = "undo it with that receipt, and destroy this one"
    else:
        where = "is not away"
        remedy = (
            "it signs here: destroy this receipt and every other of that move, for elsewhere each may still be taken"
        )
        if away:
            remedy += (
                f"; {away} of its keys are away (`holdfast keys list` tells which): name those to `holdfast migrate out"
                " KEY... --to DIRECTORY`, and undo the move with that receipt"
            )
    return ReceiptError(
        f"this receipt is of move {one.number} of {shown}, which {where}: there is nothing to undo with it",
        evidence={
            "identifier": shown,
            "moves": one.number,
            "known_moves": before.count,
            "away": away,
            "remedy": remedy,
        },
    )


def _keys_of(moves: Sequence[Move]) -> tuple[PublicKey, ...]:
    return tuple(one.key for one in moves)
