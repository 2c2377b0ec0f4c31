"""What the right signature is, by a BLS library that the signer does not use first."""

from functools import cache

from pyblst import BlstP1Element, BlstP2Element
from running import interop_secret

CIPHERSUITE = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"

GENERATOR = BlstP1Element.uncompress(
    bytes.fromhex("97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb")
)
"""The generator of G1, compressed (draft-irtf-cfrg-pairing-friendly-curves, 4.2.1)."""


@cache
def public_key(number: int) -> str:
    """The public key of an interop key, in hex."""
    return "0x" + GENERATOR.scalar_mul(interop_secret(number)).compress().hex()


@cache
def signature(number: int, root: bytes) -> str:
    """The signature of an interop key over a signing root, in hex."""
    point = BlstP2Element.hash_to_group(root, CIPHERSUITE)
    return "0x" + point.scalar_mul(interop_secret(number)).compress().hex()
