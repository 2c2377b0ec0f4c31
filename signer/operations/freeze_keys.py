"""Freeze keys and thaw them: nothing is signed with a frozen key from the commit of the order on, on any instance.

A key is frozen by its own name, by each frozen tag that it bears, or with all the others; each is thawed by itself.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from signer.auth.authorize import check_authorized, may_see
from signer.auth.principal import Action, Caller
from signer.errors import MalformedRequestError, UnknownKeyError
from signer.journal.reader import Reading
from signer.keys.ledger import EVERY_KEY, read_key_states
from signer.keys.standing import read_standings
from signer.keys.tags import TAG_RULE, Tag, is_tag, read_frozen_tags
from signer.operations.orders import Carried, FreezeKeys, Orders, ThawKeys
from signer.operations.reading import read_record
from signer.units import PUBLIC_KEY_BYTES, PublicKey

ALL = "all"
"""In the place of a public key: every key, those that are loaded later too."""

TAG = "tag:"
"""What a word for a tag begins with."""

MAX_KEYS = 10_000
"""Keys of one order: each costs a commit."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What is to be frozen or thawed."""

    keys: tuple[PublicKey, ...] = ()
    """EVERY_KEY among them for all."""

    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class FrozenKey:
    """One frozen key."""

    public_key: PublicKey
    since_ms: int
    """Milliseconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class FrozenGroup:
    """The keys that bear one frozen tag."""

    tag: Tag
    since_ms: int
    """Milliseconds since the Unix epoch."""

    keys: int
    """How many bear it."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What is frozen."""

    all_since_ms: int | None
    """Since when nothing at all is signed; None where single keys are frozen at most."""

    keys: tuple[FrozenKey, ...]
    """Those that are frozen by their own name, sorted."""

    tags: tuple[FrozenGroup, ...] = ()
    """Sorted by name."""


class KeyFreezing:
    """One instance for the life of the process; reads through connections of its own."""

    def __init__(self, *, orders: Orders, reading: Reading) -> None:
        self._orders = orders
        self._reading = reading

    async def freeze(self, targets: Targets, caller: Caller) -> tuple[Carried, ...]:
        """Sign nothing with these keys any more. Raises ForbiddenError, UnknownKeyError, JournalDownError."""
        check_authorized(caller.principal, Action.KEYS_FREEZE)
        _check_visible(targets, caller)
        return await self._orders.carry_out(FreezeKeys(targets.keys, targets.tags), caller)

    async def thaw(self, targets: Targets, caller: Caller) -> tuple[Carried, ...]:
        """Let these keys sign again, as far as nothing else stands against it. Raises as `freeze`."""
        check_authorized(caller.principal, Action.KEYS_THAW)
        _check_visible(targets, caller)
        return await self._orders.carry_out(ThawKeys(targets.keys, targets.tags), caller)

    async def frozen(self, caller: Caller) -> Frozen:
        """What is frozen, as far as this caller may see it. Raises ForbiddenError."""
        check_authorized(caller.principal, Action.KEYS_LIST)
        if caller.principal.keys is None:
            return await self.summary()
        return await asyncio.to_thread(read_frozen, self._reading, lambda key: may_see(caller.principal, key))

    async def why_silent(self, caller: Caller) -> Mapping[PublicKey, tuple[str, ...]]:
        """For each visible key that signs nothing: why, in words; under EVERY_KEY where all are frozen.

        Raises ForbiddenError.
        """
        check_authorized(caller.principal, Action.KEYS_LIST)
        standings = await asyncio.to_thread(read_record, self._reading, read_standings)
        told = standings.silences()
        return {key: words for key, words in told.items() if may_see(caller.principal, key) or not key}

    async def summary(self) -> Frozen:
        """What is frozen, for those who may count it. Asks nobody who they are."""
        return await asyncio.to_thread(read_frozen, self._reading)


def why_silent(told: Mapping[PublicKey, tuple[str, ...]], key: PublicKey) -> tuple[str, ...]:
    """Why this key signs nothing, of what `KeyFreezing.why_silent` told."""
    return (*told.get(key, ()), *told.get(EVERY_KEY, ()))


def read_frozen(reading: Reading, visible: Callable[[PublicKey], bool] | None = None) -> Frozen:
    """What is frozen: everything, or the visible keys and the tags that they bear. Blocks."""
    states, tags = read_record(reading, lambda moment: (read_key_states(moment), read_frozen_tags(moment)))
    everybody = states.get(EVERY_KEY)
    seen = {key: states[key] for key in sorted(states) if key != EVERY_KEY and (visible is None or visible(key))}
    bearers = Counter(one.tag for state in seen.values() for one in state.frozen_tags)
    return Frozen(
        everybody.frozen_ms if everybody is not None else None,
        tuple(FrozenKey(key, state.frozen_ms) for key, state in seen.items() if state.frozen_ms is not None),
        tuple(FrozenGroup(tag, tags[tag], bearers[tag]) for tag in sorted(tags) if visible is None or bearers[tag]),
    )


def parse_targets(words: Sequence[str]) -> Targets:
    """Public keys in hexadecimal, ALL, and tags behind TAG, without repetitions. Raises MalformedRequestError."""
    _check_count(words)
    tags = [word.removeprefix(TAG) for word in words if word.startswith(TAG)]
    if not all(map(is_tag, tags)):
        raise MalformedRequestError(TAG_RULE)
    keys = [word for word in words if not word.startswith(TAG)]
    return Targets(parse_keys(keys) if keys else (), tuple(dict.fromkeys(map(Tag, tags))))


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


def target_of(carried: Carried) -> str:
    """What an answer tells of, as `parse_targets` reads it."""
    return TAG + carried.tag if carried.tag else shown(carried.public_key)


def parse_public_key(word: str) -> PublicKey:
    """A public key in hexadecimal of any case, with or without 0x. Raises MalformedRequestError."""
    try:
        key = bytes.fromhex(word.removeprefix("0x").removeprefix("0X"))
    except ValueError:
        key = b""
    if len(key) != PUBLIC_KEY_BYTES:
        raise MalformedRequestError(f"{word[:120]} is no public key: it has 96 hexadecimal digits")
    return PublicKey(key)


def _check_visible(targets: Targets, caller: Caller) -> None:
    """Who may see single keys only may not freeze or thaw others, nor all of them, nor a tag that others may bear."""
    for key in targets.keys:
        if not may_see(caller.principal, key):
            raise UnknownKeyError(shown(key))
    if targets.tags and caller.principal.keys is not None:
        raise UnknownKeyError(TAG + targets.tags[0])
