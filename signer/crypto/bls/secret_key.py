"""A BLS12-381 private key: a number from 1 to r - 1 in a buffer of our own."""

import ctypes
from typing import NoReturn, Self

from signer.crypto.secret import STARS, Secret

SECRET_KEY_BYTES = 32
CURVE_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""r, the order of G1 and G2 (draft-irtf-cfrg-pairing-friendly-curves, 4.2.1)."""

_CURVE_ORDER_BYTES = CURVE_ORDER.to_bytes(SECRET_KEY_BYTES, "big")

Scalar = ctypes.c_uint64 * 4
"""blst's `blst_scalar`: 32 bytes, least significant first."""


class SecretKey:
    """A private key that cannot be printed, pickled or compared; wiped when its last holder lets go.

    Whoever calls `wipe` makes sure that nobody is signing with it at that moment.
    """

    __slots__ = ("_scalar", "_wiped")

    def __init__(self, scalar: ctypes.Array[ctypes.c_uint64]) -> None:
        self._scalar = scalar
        self._wiped = False

    @classmethod
    def from_bytes(cls, value: bytes | bytearray) -> Self:
        """The key with this big-endian value.

        Raises:
            ValueError: not 32 bytes, zero, or not below the curve order. The value is not in the message.
        """
        if len(value) != SECRET_KEY_BYTES:
            raise ValueError(f"a BLS private key has {SECRET_KEY_BYTES} bytes, this one {len(value)}")
        if not any(value):
            raise ValueError("zero is not a BLS private key")
        if value >= _CURVE_ORDER_BYTES:  # bytes of equal length compare as big-endian numbers do
            raise ValueError("a BLS private key must be below the curve order")
        return cls(Scalar.from_buffer_copy(value[::-1]))

    @property
    def scalar(self) -> ctypes.Array[ctypes.c_uint64]:
        """The buffer itself, for the library that signs. Raises ValueError once wiped."""
        if self._wiped:
            raise ValueError("this private key was wiped")
        return self._scalar

    def to_secret(self) -> Secret:
        """The big-endian value, for sealing it. Raises ValueError once wiped."""
        return Secret(bytes(self.scalar)[::-1])

    def wipe(self) -> None:
        """Overwrite the key with zeros; it signs nothing any more."""
        self._wiped = True
        ctypes.memset(self._scalar, 0, SECRET_KEY_BYTES)

    def __del__(self) -> None:
        ctypes.memset(self._scalar, 0, SECRET_KEY_BYTES)

    def __repr__(self) -> str:
        return f"SecretKey({STARS})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SecretKey is not pickled: it would leave the process in the clear")
