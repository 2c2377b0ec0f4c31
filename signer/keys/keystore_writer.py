"""Write an EIP-2335 keystore: for the demonstration key, and for taking keys elsewhere."""

import hashlib
import secrets
import uuid
from collections.abc import Callable

import msgspec

from signer.crypto.bls import SecretKey
from signer.crypto.kdf import ScryptCost, pbkdf2_sha256, scrypt
from signer.crypto.secret import Secret
from signer.keys.keystore import AES_BLOCK_BYTES, Pbkdf2Cost, aes_128_ctr, normalised
from signer.keys.keystore_format import DERIVED_KEY_BYTES, VERSION
from signer.units import PublicKey

STANDARD_PBKDF2 = Pbkdf2Cost(262_144)
"""EIP-2335's own example."""

STANDARD_SCRYPT = ScryptCost(n=262_144, r=8, p=1)
"""EIP-2335's own example."""

_SALT_BYTES = 32


def encode_keystore(
    secret: SecretKey,
    public_key: PublicKey,
    password: Secret,
    *,
    cost: Pbkdf2Cost | ScryptCost = STANDARD_PBKDF2,
    derivation_path: str = "",
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> bytes:
    """The keystore's JSON. Raises KeyFormatError if the password is not UTF-8, MemoryError."""
    salt, initial_vector = random_bytes(_SALT_BYTES), random_bytes(AES_BLOCK_BYTES)
    function, params = _derivation(cost, salt)
    derived = _derive(normalised(password), cost, salt).reveal()
    ciphertext = aes_128_ctr(derived[:16], initial_vector, secret.to_secret().reveal())
    checksum = hashlib.sha256(derived[16:32] + ciphertext).hexdigest()
    document = {
        "crypto": {
            "kdf": {"function": function, "params": params, "message": ""},
            "checksum": {"function": "sha256", "params": {}, "message": checksum},
            "cipher": {
                "function": "aes-128-ctr",
                "params": {"iv": initial_vector.hex()},
                "message": ciphertext.hex(),
            },
        },
        "pubkey": public_key.hex(),
        "path": derivation_path,
        "uuid": str(uuid.UUID(bytes=random_bytes(16), version=4)),
        "version": VERSION,
    }
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


def _derivation(cost: Pbkdf2Cost | ScryptCost, salt: bytes) -> tuple[str, dict[str, int | str]]:
    match cost:
        case ScryptCost(n, r, p):
            return "scrypt", {"dklen": DERIVED_KEY_BYTES, "n": n, "r": r, "p": p, "salt": salt.hex()}
        case Pbkdf2Cost(iterations):
            return "pbkdf2", {"dklen": DERIVED_KEY_BYTES, "c": iterations, "prf": "hmac-sha256", "salt": salt.hex()}


def _derive(password: Secret, cost: Pbkdf2Cost | ScryptCost, salt: bytes) -> Secret:
    match cost:
        case ScryptCost():
            return scrypt(password, salt=salt, cost=cost, length=DERIVED_KEY_BYTES)
        case Pbkdf2Cost(iterations):
            return pbkdf2_sha256(password, salt=salt, iterations=iterations, length=DERIVED_KEY_BYTES)
