"""An EIP-2335 keystore, version 4, and how its password opens it.

Opening costs what the file says: half a second, 256 MiB and more. `keystore_format.py` bounds that before.
"""

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from signer.crypto.kdf import ScryptCost, pbkdf2_sha256, scrypt
from signer.crypto.secret import Secret
from signer.errors import KeyFormatError
from signer.units import PublicKey

AES_BLOCK_BYTES = 16


@dataclass(frozen=True, slots=True)
class Pbkdf2Cost:
    """What one PBKDF2 run costs."""

    iterations: int
    memory_bytes = 0


@dataclass(frozen=True, slots=True)
class Keystore:
    """A keystore that was read and found affordable, still locked."""

    cost: ScryptCost | Pbkdf2Cost
    salt: bytes
    derived_key_bytes: int
    initial_vector: bytes
    ciphertext: bytes
    checksum: bytes
    public_key: PublicKey | None
    """None where the file does not say."""

    derivation_path: str | None

    @property
    def memory_bytes(self) -> int:
        """What opening holds while it works."""
        return self.cost.memory_bytes

    def open(self, password: Secret) -> Secret:
        """The 32 bytes inside. Costs what `cost` says; gives up the interpreter lock meanwhile.

        Raises:
            KeyFormatError: the password is not UTF-8 or is not the keystore's, or there is no memory for the work.
        """
        derived = self._derive(normalised(password)).reveal()
        checksum = hashlib.sha256(derived[16:32] + self.ciphertext).digest()
        if not hmac.compare_digest(checksum, self.checksum):
            raise KeyFormatError("the password does not open the keystore (its checksum differs)")
        return Secret(aes_128_ctr(derived[:16], self.initial_vector, self.ciphertext))

    def _derive(self, password: Secret) -> Secret:
        match self.cost:
            case Pbkdf2Cost(iterations):
                return pbkdf2_sha256(password, salt=self.salt, iterations=iterations, length=self.derived_key_bytes)
            case ScryptCost() as cost:
                try:
                    return scrypt(password, salt=self.salt, cost=cost, length=self.derived_key_bytes)
                except MemoryError as fault:
                    raise KeyFormatError(f"no memory for scrypt: it needs {cost.memory_bytes >> 20} MiB") from fault


def normalised(password: Secret) -> Secret:
    """The password as EIP-2335 hashes it: NFKD, without C0, C1 and DEL. Raises KeyFormatError if it is not UTF-8."""
    try:
        text = password.reveal().decode()
    except UnicodeDecodeError:
        raise KeyFormatError("the password is not UTF-8 text") from None  # the original error quotes the password
    kept = (letter for letter in unicodedata.normalize("NFKD", text) if not _is_control(letter))
    return Secret("".join(kept).encode())


def _is_control(letter: str) -> bool:
    code = ord(letter)
    return code < 0x20 or 0x7F <= code <= 0x9F


def aes_128_ctr(key: bytes, initial_vector: bytes, text: bytes) -> bytes:
    """Encrypt or decrypt: the same work in counter mode."""
    worker = Cipher(AES(key), CTR(initial_vector.ljust(AES_BLOCK_BYTES, b"\0"))).encryptor()
    return worker.update(text) + worker.finalize()
