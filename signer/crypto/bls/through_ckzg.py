"""BLS by blst's own C symbols, which the `ckzg` wheel exports; reached with ctypes.

The heavy calls go through `CDLL`, which gives up the interpreter lock; the ones of a microsecond go through `PyDLL`,
which keeps it. So a signature hands the lock back and asks for it once: under load each asking may wait for a whole
switch interval of another thread.
"""

import ctypes
from importlib.metadata import version
from typing import Any

import ckzg

from signer.crypto.bls.scheme import COMPRESSED_INFINITY_G1, DOMAIN_SEPARATION_TAG, HashedMessage
from signer.crypto.bls.secret_key import SecretKey
from signer.units import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, PublicKey, Signature

_P1 = ctypes.c_uint64 * 18
"""blst_p1: three coordinates of 48 bytes."""
_P1Affine = ctypes.c_uint64 * 12
_P2 = ctypes.c_uint64 * 36
"""blst_p2: three coordinates of 96 bytes."""
_P2Affine = ctypes.c_uint64 * 24
_CompressedG1 = ctypes.c_ubyte * PUBLIC_KEY_BYTES
_CompressedG2 = ctypes.c_ubyte * SIGNATURE_BYTES

_SUCCESS = 0
"""blst.h, BLST_ERROR: BLST_SUCCESS."""

_HASH = 1
"""blst_core_verify_pk_in_g1's `hash_or_encode`: hash to the curve, uniformly."""

_TAG, _TAG_BYTES = DOMAIN_SEPARATION_TAG, len(DOMAIN_SEPARATION_TAG)
_pointer, _size, _int, _bool = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_bool


def _declared(library: ctypes.CDLL, name: str, returns: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype = returns
    function.argtypes = arguments
    return function


class CkzgBls:
    """blst through ckzg; see `Bls`. Built from a library that hides a symbol: AttributeError; no library: OSError."""

    releases_interpreter_lock = True

    def __init__(self, library_path: str = ckzg.__file__) -> None:
        self.name = f"blst through ckzg {version('ckzg')}"
        free, held = ctypes.CDLL(library_path), ctypes.PyDLL(library_path)
        text = (_pointer, _size)
        self._hash = _declared(free, "blst_hash_to_g2", None, _pointer, *text, *text, *text)
        self._sign = _declared(free, "blst_sign_pk_in_g1", None, _pointer, _pointer, _pointer)
        self._compress_g2 = _declared(held, "blst_p2_compress", None, _pointer, _pointer)
        self._public_key = _declared(free, "blst_sk_to_pk_in_g1", None, _pointer, _pointer)
        self._compress_g1 = _declared(held, "blst_p1_compress", None, _pointer, _pointer)
        self._uncompress_g1 = _declared(free, "blst_p1_uncompress", _int, _pointer, _pointer)
        self._uncompress_g2 = _declared(free, "blst_p2_uncompress", _int, _pointer, _pointer)
        self._in_g1 = _declared(free, "blst_p1_affine_in_g1", _bool, _pointer)
        self._in_g2 = _declared(free, "blst_p2_affine_in_g2", _bool, _pointer)
        verify = (_pointer, _pointer, _int, *text, *text, *text)
        self._verify = _declared(free, "blst_core_verify_pk_in_g1", _int, *verify)

    def hash_to_g2(self, message: bytes) -> HashedMessage:
        """See Bls."""
        point = _P2()
        self._hash(point, message, len(message), _TAG, _TAG_BYTES, None, 0)
        return HashedMessage(point)

    def sign_hashed(self, secret: SecretKey, hashed: HashedMessage) -> Signature:
        """See Bls."""
        point, compressed = _P2(), _CompressedG2()
        self._sign(point, hashed.point, secret.scalar)
        self._compress_g2(compressed, point)
        return Signature(bytes(compressed))

    def sign(self, secret: SecretKey, message: bytes) -> Signature:
        """See Bls."""
        return self.sign_hashed(secret, self.hash_to_g2(message))

    def public_key(self, secret: SecretKey) -> PublicKey:
        """See Bls."""
        point, compressed = _P1(), _CompressedG1()
        self._public_key(point, secret.scalar)
        self._compress_g1(compressed, point)
        return PublicKey(bytes(compressed))

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """See Bls."""
        key_point, signature_point = self._point_of_g1(public_key), self._point_of_g2(signature)
        if key_point is None or signature_point is None or public_key == COMPRESSED_INFINITY_G1:
            return False
        verdict = self._verify(key_point, signature_point, _HASH, message, len(message), _TAG, _TAG_BYTES, None, 0)
        return bool(verdict == _SUCCESS)

    def is_public_key(self, value: bytes) -> bool:
        """See Bls."""
        return value != COMPRESSED_INFINITY_G1 and self._point_of_g1(value) is not None

    def is_signature(self, value: bytes) -> bool:
        """See Bls."""
        return self._point_of_g2(value) is not None

    def _point_of_g1(self, compressed: bytes) -> Any | None:
        point = _P1Affine()
        if len(compressed) != PUBLIC_KEY_BYTES or self._uncompress_g1(point, compressed) != _SUCCESS:
            return None
        return point if self._in_g1(point) else None

    def _point_of_g2(self, compressed: bytes) -> Any | None:
        point = _P2Affine()
        if len(compressed) != SIGNATURE_BYTES or self._uncompress_g2(point, compressed) != _SUCCESS:
            return None
        return point if self._in_g2(point) else None
