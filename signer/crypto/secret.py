"""Bytes that must not be seen: a password, a key, a token.

Rule 1: a Secret shows stars to everyone who prints it; `reveal` is the one way to the bytes.
Rule 2: `wipe` overwrites our own copy. Copies that Python made before or after (`bytes`, `str`) are out of reach.
"""

import hmac
from typing import NoReturn

STARS = "********"
"""What a secret shows instead of itself: the same length for every secret."""


class Secret:
    """Secret bytes with a starred repr, constant-time equality and a wipe; belongs to whoever made it."""

    __slots__ = ("_buffer",)
    __hash__ = None  # type: ignore[assignment]  # a hash would be a fingerprint of the secret

    def __init__(self, value: bytes | bytearray) -> None:
        self._buffer = bytearray(value)

    def reveal(self) -> bytes:
        """A copy of the bytes: all zero once wiped."""
        return bytes(self._buffer)

    def wipe(self) -> None:
        """Overwrite the bytes with zeros."""
        self._buffer[:] = bytes(len(self._buffer))

    def __len__(self) -> int:
        return len(self._buffer)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._buffer, other._buffer)  # a Secret may look into a Secret

    def __repr__(self) -> str:
        return f"Secret({STARS})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: it would leave the process in the clear")
