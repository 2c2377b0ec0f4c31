"""What a BLS implementation does for us: the proof-of-possession scheme of the consensus layer, minimal public keys."""

from typing import Any, Protocol

from signer.crypto.bls.secret_key import SecretKey
from signer.units import PublicKey, Signature

DOMAIN_SEPARATION_TAG = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
"""draft-irtf-cfrg-bls-signature-05, 4.2.3; consensus-specs phase0, "BLS signatures"."""

COMPRESSED_INFINITY_G1 = b"\xc0" + bytes(47)
COMPRESSED_INFINITY_G2 = b"\xc0" + bytes(95)
"""The neutral points: never a public key, and no signature by any key."""


class HashedMessage:
    """A message hashed to the curve: half the work of a signature, the same for every key that signs it.

    Belongs to the implementation that made it; immutable, safe from any thread.
    """

    __slots__ = ("point",)

    def __init__(self, point: Any) -> None:
        self.point = point


class Bls(Protocol):
    """BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_. Safe from any thread; nothing here keeps state."""

    name: str
    """Which library does the work, for logs and `doctor`."""

    releases_interpreter_lock: bool
    """True where two threads sign at once; False where threads only keep the event loop free between signatures."""

    def hash_to_g2(self, message: bytes) -> HashedMessage:
        """The point of G2 this message is signed as."""
        ...

    def sign_hashed(self, secret: SecretKey, hashed: HashedMessage) -> Signature:
        """The signature over a message hashed before. Raises ValueError if the key was wiped."""
        ...

    def sign(self, secret: SecretKey, message: bytes) -> Signature:
        """The signature over a message. Raises ValueError if the key was wiped."""
        ...

    def public_key(self, secret: SecretKey) -> PublicKey:
        """The public key of a private key. Raises ValueError if the key was wiped."""
        ...

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """True if this key signed this message. A malformed point or one outside its subgroup is False."""
        ...

    def is_public_key(self, value: bytes) -> bool:
        """True for the compressed form of a point of G1's subgroup other than infinity (KeyValidate)."""
        ...

    def is_signature(self, value: bytes) -> bool:
        """True for the compressed form of a point of G2's subgroup, infinity included."""
        ...
