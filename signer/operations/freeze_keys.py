"""Freeze keys and thaw them: nothing is signed with a frozen key from the commit of the order on, on any instance."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from signer.auth.authorize import check_authorized, may_see
from signer.auth.principal import Action, Caller
from signer.errors import MalformedRequestError, UnknownKeyError
from signer.journal.reader import Reading
from signer.keys.ledger import EVERY_KEY, KeyStates, read_key_states
from signer.operations.orders import Carried, FreezeKeys, Orders, ThawKeys
from signer.operations.reading import read_record
from signer.units import PUBLIC_KEY_BYTES, PublicKey

ALL = "all"
"""In the place of a public key: every key, those that are loaded later too."""

MAX_KEYS = 10_000
"""Keys of one order: each costs a commit."""


@dataclass(frozen=True, slots=True)
class FrozenKey:
    """One frozen key."""

    public_key: PublicKey
    since_ms: int
    """Milliseconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What is frozen."""

    all_since_ms: int | None
    """Since when nothing at all is signed; None where single keys are frozen at most."""

    keys: tuple[FrozenKey, ...]
    """Those that are frozen by their own name, sorted."""


class KeyFreezing:
    """One instance for the life of the process; reads through connections of its own."""

    def __init__(self, *, orders: Orders, reading: Reading) -> None:
        self._orders = orders
        self._reading = reading

    async def freeze(self, keys: Sequence[PublicKey], caller: Caller) -> tuple[Carried, ...]:
        """Sign nothing with these keys any more. Raises ForbiddenError, UnknownKeyError, JournalDownError."""
        check_authorized(caller.principal, Action.KEYS_FREEZE)
        _check_visible(keys, caller)
        return await self._orders.carry_out(FreezeKeys(tuple(keys)), caller)

    async def thaw(self, keys: Sequence[PublicKey], caller: Caller) -> tuple[Carried, ...]:
        """Let these keys sign again, as far as nothing else stands against it. Raises as `freeze`."""
        check_authorized(caller.principal, Action.KEYS_THAW)
        _check_visible(keys, caller)
        return await self._orders.carry_out(ThawKeys(tuple(keys)), caller)

    async def frozen(self, caller: Caller) -> Frozen:
        """What is frozen, as far as this caller may see it. Raises ForbiddenError."""
        check_authorized(caller.principal, Action.KEYS_LIST)
        everything = await self.summary()
        return replace(
            everything, keys=tuple(key for key in everything.keys if may_see(caller.principal, key.public_key))
        )

    async def summary(self) -> Frozen:
        """What is frozen, for those who may count it. Asks nobody who they are."""
        states = await asyncio.to_thread(read_states, self._reading)
        everybody = states.get(EVERY_KEY)
        return Frozen(
            everybody.frozen_ms if everybody is not None else None,
            tuple(
                FrozenKey(key, state.frozen_ms)
                for key, state in sorted(states.items())
                if key != EVERY_KEY and state.frozen_ms is not None
            ),
        )


def read_states(reading: Reading) -> KeyStates:
    """The states of the keys on record, through a connection of its own. Blocks."""
    return read_record(reading, read_key_states)


def parse_keys(words: Sequence[str]) -> tuple[PublicKey, ...]:
    """Public keys in hexadecimal, or ALL, without repetitions. Raises MalformedRequestError."""
    _check_count(words)
    return tuple(dict.fromkeys(EVERY_KEY if word == ALL else parse_public_key(word) for word in words))


def parse_public_keys(words: Sequence[str]) -> tuple[PublicKey, ...]:
    """Public keys in hexadecimal, without repetitions. Raises MalformedRequestError."""
    _check_count(words)
    return tuple(dict.fromkeys(map(parse_public_key, words)))


def _check_count(words: Sequence[str]) -> None:
    if not words:
        raise MalformedRequestError("no key is named; name public keys")
    if len(words) > MAX_KEYS:
        raise MalformedRequestError(f"{len(words)} keys are named; one order has at most {MAX_KEYS}")


def shown(public_key: PublicKey) -> str:
    """A key of an order as `parse_keys` reads it."""
    return "0x" + public_key.hex() if public_key != EVERY_KEY else ALL


def parse_public_key(word: str) -> PublicKey:
    """A public key in hexadecimal of any case, with or without 0x. Raises MalformedRequestError."""
    try:
        key = bytes.fromhex(word.removeprefix("0x").removeprefix("0X"))
    except ValueError:
        key = b""
    if len(key) != PUBLIC_KEY_BYTES:
        raise MalformedRequestError(f"{word[:120]} is no public key: it has 96 hexadecimal digits")
    return PublicKey(key)


def _check_visible(keys: Sequence[PublicKey], caller: Caller) -> None:
    """Who may see single keys only may not freeze or thaw others, nor all of them."""
    for key in keys:
        if not may_see(caller.principal, key):
            raise UnknownKeyError(shown(key))
