"""Ed25519 (RFC 8032): signatures that anybody can verify who knows the public key."""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

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


def ed25519_private_key_of_pem(pem: Secret) -> Secret:
    """The 32 bytes of a private key in PEM (PKCS#8), as `openssl genpkey -algorithm ed25519` writes it.

    Raises ValueError: it is none, or is encrypted.
    """
    try:
        key = load_pem_private_key(pem.reveal(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: a password is needed. None tells what it read
        key = None
    match key:
        case Ed25519PrivateKey():
            return Secret(key.private_bytes_raw())
        case _:
            raise ValueError("no Ed25519 private key in PEM, or one that is encrypted")


def ed25519_public_key_of_pem(pem: bytes) -> bytes:
    """The 32 bytes of a public key in PEM, as `openssl pkey -pubout` writes it. Raises ValueError: it is none."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    match key:
        case Ed25519PublicKey():
            return key.public_bytes_raw()
        case _:
            raise ValueError("no Ed25519 public key in PEM")
