"""The keys that serve now. Replaced as a whole, never altered: a reader sees the old set or the new one."""

import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from signer.keys.key import Key
from signer.units import PublicKey

_TAG_BYTES = 16
"""Enough that two sets never share a tag by accident."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """One set of keys, sorted by public key."""

    keys: Mapping[PublicKey, Key]
    public_keys: tuple[PublicKey, ...]
    tag: str
    """Changes when the list of public keys does: the body of an HTTP entity tag."""


class KeyRing:
    """The keys that serve, for the life of the process. Reads take no lock."""

    def __init__(self) -> None:
        self._current = _key_set(())
        self._ready = False
        self._banished: frozenset[PublicKey] = frozenset()
        self._changing = threading.Lock()

    def find(self, public_key: PublicKey) -> Key | None:
        """The key, or None if it is not loaded."""
        return self._current.keys.get(public_key)

    @property
    def current(self) -> KeySet:
        """The whole set at this moment: list, tag and keys that belong together."""
        return self._current

    @property
    def public_keys(self) -> tuple[PublicKey, ...]:
        """Every public key, sorted."""
        return self._current.public_keys

    @property
    def tag(self) -> str:
        """The tag of `public_keys`; take both from `current` where they must agree."""
        return self._current.tag

    @property
    def ready(self) -> bool:
        """True once the first load is complete."""
        return self._ready

    def replace(self, keys: Iterable[Key], *, complete: bool = True) -> None:
        """Serve these keys from now on; requests that hold a key of the old set end with it.

        `complete` is False in a worker: it serves, but is not ready before all workers do and `complete` is called.
        """
        with self._changing:
            self._current = _key_set(key for key in keys if key.public_key not in self._banished)
            self._ready = self._ready or complete

    def banish(self, public_keys: Iterable[PublicKey]) -> None:
        """Serve these keys no more, whoever loads them again."""
        with self._changing:
            self._banished |= frozenset(public_keys)
            self._current = _key_set(key for key in self._current.keys.values() if key.public_key not in self._banished)

    def readmit(self, public_keys: Iterable[PublicKey]) -> None:
        """Let these keys be served again, once they are loaded."""
        with self._changing:
            self._banished -= frozenset(public_keys)

    @property
    def banished(self) -> frozenset[PublicKey]:
        """The keys that are not served although a source may hold them: the deleted ones."""
        return self._banished

    def complete(self) -> None:
        """The first load is complete."""
        self._ready = True


def _key_set(keys: Iterable[Key]) -> KeySet:
    ordered = sorted(keys, key=lambda key: key.public_key)
    public_keys = tuple(key.public_key for key in ordered)
    tag = hashlib.blake2b(b"".join(public_keys), digest_size=_TAG_BYTES).hexdigest()
    return KeySet(MappingProxyType({key.public_key: key for key in ordered}), public_keys, tag)
