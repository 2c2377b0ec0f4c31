"""BLS by the `pyblst` package: the fall-back should ckzg ever hide blst's symbols.

Slower where it matters: it holds the interpreter lock, so threads do not sign side by side. And it takes the private
key as a Python number, which nobody can wipe.
"""

from pyblst import BlstP1Element, BlstP2Element, final_verify, miller_loop

from signer.crypto.bls.scheme import (
    COMPRESSED_INFINITY_G1,
    COMPRESSED_INFINITY_G2,
    DOMAIN_SEPARATION_TAG,
    HashedMessage,
)
from signer.crypto.bls.secret_key import SecretKey
from signer.units import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, PublicKey, Signature

_GENERATOR_G1 = bytes.fromhex(
    "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
)
"""The compressed generator of G1 (draft-irtf-cfrg-pairing-friendly-curves, 4.2.1)."""


def _number(secret: SecretKey) -> int:
    return int.from_bytes(bytes(secret.scalar), "little")


class PyblstBls:
    """blst through pyblst; see `Bls`."""

    name = "blst through pyblst"
    releases_interpreter_lock = False

    def __init__(self) -> None:
        self._generator = BlstP1Element.uncompress(_GENERATOR_G1)

    def hash_to_g2(self, message: bytes) -> HashedMessage:
        """See Bls."""
        return HashedMessage(BlstP2Element.hash_to_group(message, DOMAIN_SEPARATION_TAG))

    def sign_hashed(self, secret: SecretKey, hashed: HashedMessage) -> Signature:
        """See Bls."""
        return Signature(bytes(hashed.point.scalar_mul(_number(secret)).compress()))

    def sign(self, secret: SecretKey, message: bytes) -> Signature:
        """See Bls."""
        return self.sign_hashed(secret, self.hash_to_g2(message))

    def public_key(self, secret: SecretKey) -> PublicKey:
        """See Bls."""
        return PublicKey(bytes(self._generator.scalar_mul(_number(secret)).compress()))

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """See Bls."""
        if not self.is_public_key(public_key) or not self.is_signature(signature):
            return False
        if signature == COMPRESSED_INFINITY_G2:
            return False
        hashed = BlstP2Element.hash_to_group(message, DOMAIN_SEPARATION_TAG)
        left = miller_loop(BlstP1Element.uncompress(public_key), hashed)
        right = miller_loop(self._generator, BlstP2Element.uncompress(signature))
        return bool(final_verify(left, right))

    def is_public_key(self, value: bytes) -> bool:
        """See Bls."""
        if len(value) != PUBLIC_KEY_BYTES or value == COMPRESSED_INFINITY_G1:
            return False
        return _uncompresses(BlstP1Element, value)

    def is_signature(self, value: bytes) -> bool:
        """See Bls."""
        return len(value) == SIGNATURE_BYTES and _uncompresses(BlstP2Element, value)


def _uncompresses(group: type[BlstP1Element] | type[BlstP2Element], value: bytes) -> bool:
    try:
        group.uncompress(value)
    except ValueError:
        return False
    return True
