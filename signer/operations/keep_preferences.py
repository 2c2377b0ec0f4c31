"""Fee recipient, gas limit and graffiti of single keys: told, set and cleared.

What holds for a key is what is set for it, and where nothing is, the default of the configuration.
"""

import asyncio
import re
from collections.abc import Sequence

from signer.audit.entry import Kind
from signer.auth.authorize import check_authorized, may_see
from signer.auth.principal import Action, Caller
from signer.errors import MalformedRequestError, NotReadyError, UnknownKeyError
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.keys.preferences import (
    ADDRESS_BYTES,
    GRAFFITI_BYTES,
    NOTHING_SET,
    Preferences,
    read_preferences,
    write_preferences,
)
from signer.keys.ring import KeyRing
from signer.operations.changes import Changes
from signer.operations.freeze_keys import parse_public_keys
from signer.operations.orders import PREFERENCE_NAMES, Carried, Orders, SetPreferences
from signer.operations.reading import read_record
from signer.operations.story import NoteStory
from signer.units import UINT64_MAX, PublicKey

__all__ = ["NOTHING_SET", "PreferenceKeeping", "Preferences", "carry_out_preferences"]

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,19}")


class PreferenceKeeping:
    """One instance for the life of the process; reads through connections of its own."""

    def __init__(self, *, orders: Orders, reading: Reading, ring: KeyRing, defaults: Preferences) -> None:
        self._orders = orders
        self._reading = reading
        self._ring = ring
        self._defaults = defaults

    @property
    def defaults(self) -> Preferences:
        """What holds where nothing is set for a key."""
        return self._defaults

    async def own(self, public_key: PublicKey, caller: Caller) -> Preferences:
        """What is set for this key itself. Raises ForbiddenError, UnknownKeyError, NotReadyError."""
        check_authorized(caller.principal, Action.KEYS_LIST)
        self._check_loaded([public_key], caller)
        return await asyncio.to_thread(read_record, self._reading, lambda moment: read_preferences(moment, public_key))

    async def effective(self, public_key: PublicKey, caller: Caller) -> Preferences:
        """What holds for this key. Raises as `own`."""
        return (await self.own(public_key, caller)).over(self._defaults)

    def check_may_set(self, keys: Sequence[PublicKey], caller: Caller) -> None:
        """Before a body is read. Raises ForbiddenError, UnknownKeyError, NotReadyError."""
        check_authorized(caller.principal, Action.KEYS_WRITE)
        self._check_loaded(keys, caller)

    async def set(self, order: SetPreferences, caller: Caller) -> tuple[Carried, ...]:
        """Set and clear, durable and in force on every instance when it returns.

        Raises:
            ForbiddenError, UnknownKeyError, NotReadyError, MalformedRequestError: nothing was changed.
            JournalDownError.
        """
        self.check_may_set(order.keys, caller)
        check_values(order)
        return await self._orders.carry_out(order, caller)

    def _check_loaded(self, keys: Sequence[PublicKey], caller: Caller) -> None:
        if not self._ring.ready:
            raise NotReadyError("the first load of keys is not complete; ask again in a moment")
        for key in keys:
            if self._ring.find(key) is None or not may_see(caller.principal, key):
                raise UnknownKeyError("0x" + key.hex())


async def carry_out_preferences(
    changes: Changes, order: SetPreferences, caller: Caller, *, now_ms: int
) -> tuple[Carried, ...]:
    """See SetPreferences: one commit for each key, with its audit entry. Raises JournalDownError, OutcomeUnknownError.

    Crash before the commit of a key: it is as it was. Crash after it: what is set holds on every instance.
    """
    return tuple([await _set(changes, order, key, caller, now_ms=now_ms) for key in order.keys])


async def _set(changes: Changes, order: SetPreferences, key: PublicKey, caller: Caller, *, now_ms: int) -> Carried:
    def change(transaction: Transaction) -> tuple[Preferences, Preferences]:
        before = read_preferences(transaction, key)
        after = _changed(before, order)
        if after != before:
            write_preferences(transaction, key, after)
        return before, after

    def story(done: tuple[Preferences, Preferences]) -> NoteStory:
        note = _told(*done)
        return NoteStory(Kind.KEY_PREFERENCES, now_ms, note, caller.principal.name, caller.request_id, key)

    before, after = await changes.perform(change, story)
    return Carried(key, "unchanged" if before == after else "set")


def parse_preferences(
    keys: Sequence[str],
    *,
    fee_recipient: object = None,
    gas_limit: object = None,
    graffiti: object = None,
    cleared: Sequence[str] = (),
) -> SetPreferences:
    """An order from a request or a command line; what is left out is None. Raises MalformedRequestError."""
    if graffiti is not None and not isinstance(graffiti, str):
        raise MalformedRequestError("a graffiti is a text", path="graffiti")
    given = {"fee_recipient": fee_recipient, "gas_limit": gas_limit, "graffiti": graffiti}
    for name in cleared:
        if given.get(name, "") is not None:
            known = ", ".join(given)
            raise MalformedRequestError(f"{name[:50]!r} cannot be cleared, or is set too: {known} can", path="cleared")
    if not cleared and not any(value is not None for value in given.values()):
        raise MalformedRequestError("nothing is to be set, and nothing cleared")
    order = SetPreferences(
        parse_public_keys(keys),
        None if fee_recipient is None else parse_fee_recipient(fee_recipient),
        None if gas_limit is None else parse_gas_limit(gas_limit),
        graffiti,
        tuple(name for name in PREFERENCE_NAMES if name in cleared),
    )
    check_values(order)
    return order


def parse_fee_recipient(text: object) -> bytes:
    """An address in hexadecimal of any case, with 0x. Raises MalformedRequestError."""
    if not isinstance(text, str) or not _ADDRESS.fullmatch(text):
        raise MalformedRequestError("a fee recipient is 0x and 40 hexadecimal digits", path="ethaddress")
    return bytes.fromhex(text[2:])


def parse_gas_limit(value: object) -> int:
    """A gas limit, a number or its decimal digits. Raises MalformedRequestError."""
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not _NUMBER.fullmatch(text) or int(text) > UINT64_MAX:
        raise MalformedRequestError("a gas limit is a decimal number below 2**64", path="gas_limit")
    return int(text)


def check_values(order: SetPreferences) -> None:
    """Raises MalformedRequestError: a value that would burn the fees, or that fits nowhere."""
    if order.fee_recipient is not None and order.fee_recipient == bytes(ADDRESS_BYTES):
        raise MalformedRequestError("the zero address is nobody's: fees sent there are lost", path="ethaddress")
    if order.gas_limit == 0:
        raise MalformedRequestError("no block could hold a transaction with a gas limit of 0", path="gas_limit")
    if order.graffiti is not None and not _fits_a_block(order.graffiti):
        raise MalformedRequestError(f"a graffiti has at most {GRAFFITI_BYTES} bytes in UTF-8", path="graffiti")


def _fits_a_block(graffiti: str) -> bool:
    try:
        return len(graffiti.encode()) <= GRAFFITI_BYTES
    except UnicodeEncodeError:  # half a character, which JSON can spell
        return False


def _changed(before: Preferences, order: SetPreferences) -> Preferences:
    given = Preferences(order.fee_recipient, order.gas_limit, order.graffiti).over(before)
    return Preferences(
        None if "fee_recipient" in order.cleared else given.fee_recipient,
        None if "gas_limit" in order.cleared else given.gas_limit,
        None if "graffiti" in order.cleared else given.graffiti,
    )


def _told(before: Preferences, after: Preferences) -> str:
    old, new = before.told(), after.told()
    moved = [f"{name}: {old[name]!r} -> {new[name]!r}" for name in new if old[name] != new[name]]
    return "; ".join(moved) or "was so before"
