"""Ed25519 (RFC 8032): signatures that anybody can verify who knows the public key."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from signer.crypto.secret import Secret

PRIVATE_KEY_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64


def ed25519_public_key(private_key: Secret) -> bytes:
    """The public key of 32 random bytes."""
    return Ed25519PrivateKey.from_private_bytes(private_key.reveal()).public_key().public_bytes_raw()


def ed25519_sign(private_key: Secret, message: bytes) -> bytes:
    """The signature, 64 bytes; the same for the same message."""
    return Ed25519PrivateKey.from_private_bytes(private_key.reveal()).sign(message)


def ed25519_verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """True when the owner of this public key has signed exactly this message."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
