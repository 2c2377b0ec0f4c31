"""Keys from passwords, and keys from keys. Each of the slow ones gives up the interpreter lock while it works."""

import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from signer.crypto.secret import Secret


@dataclass(frozen=True, slots=True)
class Argon2Cost:
    """What one Argon2id run costs (RFC 9106, 3.1)."""

    iterations: int
    lanes: int
    memory_kib: int


ARGON2_COST = Argon2Cost(iterations=3, lanes=4, memory_kib=65_536)
"""RFC 9106, 4: the second recommended option (64 MiB, t=3, p=4); 82 ms on one slow core."""


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """What one scrypt run costs (RFC 7914, 2)."""

    n: int
    r: int
    p: int

    @property
    def memory_bytes(self) -> int:
        """The memory one run holds: 128 * r bytes for each of n blocks, and p more."""
        return 128 * self.r * (self.n + self.p)


def argon2id(password: Secret, *, salt: bytes, cost: Argon2Cost, length: int) -> Secret:
    """`length` bytes from a password. Raises MemoryError."""
    derivation = Argon2id(
        salt=salt, length=length, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib
    )
    return Secret(derivation.derive(password.reveal()))


def scrypt(password: Secret, *, salt: bytes, cost: ScryptCost, length: int) -> Secret:
    """`length` bytes from a password. Raises MemoryError; the caller bounds the cost before."""
    derivation = Scrypt(salt=salt, length=length, n=cost.n, r=cost.r, p=cost.p)
    return Secret(derivation.derive(password.reveal()))


def pbkdf2_sha256(password: Secret, *, salt: bytes, iterations: int, length: int) -> Secret:
    """`length` bytes from a password by HMAC-SHA-256; the caller bounds the iterations before."""
    derivation = PBKDF2HMAC(algorithm=SHA256(), length=length, salt=salt, iterations=iterations)
    return Secret(derivation.derive(password.reveal()))


def subkey(key: Secret, label: bytes) -> Secret:
    """A 32-byte key for one use, from a uniformly random key: HMAC-SHA-256 as a pseudorandom function of the label."""
    return Secret(hmac.digest(key.reveal(), label, "sha256"))
