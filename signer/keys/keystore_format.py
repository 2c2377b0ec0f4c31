"""The JSON of an EIP-2335 keystore, version 4: read it, and refuse what costs too much to open.

Unknown members are ignored, a missing one is a fault. A hostile file is refused, not obeyed.
"""

from typing import Literal

import msgspec

from signer.crypto.bls import SECRET_KEY_BYTES
from signer.crypto.kdf import ScryptCost
from signer.errors import KeyFormatError
from signer.keys.keystore import AES_BLOCK_BYTES, Keystore, Pbkdf2Cost
from signer.nesting import is_nested_deeper
from signer.units import PUBLIC_KEY_BYTES, PublicKey

VERSION = 4
DERIVED_KEY_BYTES = 32
"""16 bytes of AES key, 16 of checksum (EIP-2335, "Decryption key")."""

MAX_SCRYPT_MEMORY_BYTES = 1 << 30
"""Four times EIP-2335's own example (n = 2^18, r = 8: 256 MiB)."""
MAX_SCRYPT_WORK = 1 << 25
"""Largest n * r * p: sixteen times EIP-2335's example, some eight seconds."""
MAX_PBKDF2_ITERATIONS = 1 << 26
"""256 times EIP-2335's example, some fifteen seconds."""
_MAX_FIELD_BYTES = 1024
"""Longest salt or derived key we take; EIP-2335's have 32 bytes."""

_MAX_NESTING = 64
"""Levels of a keystore that are read; it has four. Unknown members may add some."""

_SMALLEST_IV_BYTES = 8
"""What Web3Signer's cipher takes; a shorter one is followed by zeros."""


class _ScryptParams(msgspec.Struct):
    dklen: int
    n: int
    r: int
    p: int
    salt: str


class _Pbkdf2Params(msgspec.Struct):
    dklen: int
    c: int
    prf: str
    salt: str


class _CipherParams(msgspec.Struct):
    iv: str


class _Kdf(msgspec.Struct):
    function: str
    params: msgspec.Raw


class _Checksum(msgspec.Struct):
    function: str
    message: str


class _Cipher(msgspec.Struct):
    function: str
    params: _CipherParams
    message: str


class _Crypto(msgspec.Struct):
    kdf: _Kdf
    checksum: _Checksum
    cipher: _Cipher


class _Version(msgspec.Struct):
    version: int


class _File(msgspec.Struct):
    crypto: _Crypto
    version: Literal[4]
    pubkey: str | None = None
    path: str | None = None


def parse_keystore(data: bytes) -> Keystore:
    """The keystore in a file's bytes.

    Raises:
        KeyFormatError: not a version 4 keystore, or one that costs more than we spend.
    """
    if is_nested_deeper(data, levels=_MAX_NESTING):
        raise KeyFormatError("this is not an EIP-2335 keystore: it is nested too deeply")
    try:
        version = msgspec.json.decode(data, type=_Version).version
        if version != VERSION:
            raise KeyFormatError(f"keystore version {version} is not supported; EIP-2335 keystores have version 4")
        file = msgspec.json.decode(data, type=_File)
        return _keystore(file)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise KeyFormatError(f"this is not an EIP-2335 keystore: {fault}") from None


def _keystore(file: _File) -> Keystore:
    crypto = file.crypto
    _check_function("checksum", crypto.checksum.function, "sha256")
    _check_function("cipher", crypto.cipher.function, "aes-128-ctr")
    cost, salt, length = _derivation(crypto.kdf)
    initial_vector = _bytes_of(crypto.cipher.params.iv, "iv")
    if not _SMALLEST_IV_BYTES <= len(initial_vector) <= AES_BLOCK_BYTES:
        raise KeyFormatError(f"the cipher's iv has {len(initial_vector)} bytes, not 8 to 16")
    ciphertext = _bytes_of(crypto.cipher.message, "cipher message")
    if len(ciphertext) != SECRET_KEY_BYTES:
        raise KeyFormatError(f"the cipher's message has {len(ciphertext)} bytes, not {SECRET_KEY_BYTES}")
    return Keystore(
        cost=cost,
        salt=salt,
        derived_key_bytes=length,
        initial_vector=initial_vector,
        ciphertext=ciphertext,
        checksum=_bytes_of(crypto.checksum.message, "checksum message"),
        public_key=_public_key(file.pubkey),
        derivation_path=file.path or None,
    )


def _derivation(kdf: _Kdf) -> tuple[ScryptCost | Pbkdf2Cost, bytes, int]:
    match kdf.function:
        case "scrypt":
            chosen = msgspec.json.decode(kdf.params, type=_ScryptParams)
            return _scrypt_cost(chosen), _bytes_of(chosen.salt, "salt"), _derived_length(chosen.dklen)
        case "pbkdf2":
            params = msgspec.json.decode(kdf.params, type=_Pbkdf2Params)
            return _pbkdf2_cost(params), _bytes_of(params.salt, "salt"), _derived_length(params.dklen)
        case other:
            raise KeyFormatError(f"kdf function {other[:40]!r} is not supported; EIP-2335 has scrypt and pbkdf2")


def _scrypt_cost(params: _ScryptParams) -> ScryptCost:
    n, r, p = params.n, params.r, params.p
    if n <= 1 or n & (n - 1):
        raise KeyFormatError(f"scrypt's n must be a power of two above 1, this one is {n}")
    if r < 1 or p < 1:
        raise KeyFormatError(f"scrypt's r and p must be 1 or more, these are {r} and {p}")
    if r == 1 and n >= 1 << 16:  # RFC 7914, 2: n < 2^(128 * r / 8)
        raise KeyFormatError(f"scrypt's n must be below 65536 when r is 1, this one is {n}")
    cost = ScryptCost(n=n, r=r, p=p)
    if cost.memory_bytes > MAX_SCRYPT_MEMORY_BYTES:
        raise KeyFormatError(f"scrypt would need {cost.memory_bytes >> 20} MiB; the limit is 1024 MiB")
    if n * r * p > MAX_SCRYPT_WORK:
        raise KeyFormatError(f"scrypt's n * r * p is {n * r * p}; the limit is {MAX_SCRYPT_WORK}")
    return cost


def _pbkdf2_cost(params: _Pbkdf2Params) -> Pbkdf2Cost:
    _check_function("pbkdf2 prf", params.prf, "hmac-sha256")
    if not 1 <= params.c <= MAX_PBKDF2_ITERATIONS:
        raise KeyFormatError(f"pbkdf2's c must be from 1 to {MAX_PBKDF2_ITERATIONS}, this one is {params.c}")
    return Pbkdf2Cost(params.c)


def _derived_length(dklen: int) -> int:
    if not DERIVED_KEY_BYTES <= dklen <= _MAX_FIELD_BYTES:
        raise KeyFormatError(f"dklen must be from {DERIVED_KEY_BYTES} to {_MAX_FIELD_BYTES}, this one is {dklen}")
    return dklen


def _check_function(what: str, given: str, known: str) -> None:
    if given != known:
        raise KeyFormatError(f"{what} {given[:40]!r} is not supported; EIP-2335 has {known}")


def _public_key(text: str | None) -> PublicKey | None:
    if not text:
        return None
    value = _bytes_of(text, "pubkey")
    if len(value) != PUBLIC_KEY_BYTES:
        raise KeyFormatError(f"pubkey has {len(value)} bytes, not {PUBLIC_KEY_BYTES}")
    return PublicKey(value)


def _bytes_of(text: str, what: str) -> bytes:
    digits = text.removeprefix("0x")
    if len(digits) > 2 * _MAX_FIELD_BYTES:
        raise KeyFormatError(f"{what} is longer than {_MAX_FIELD_BYTES} bytes")
    try:
        value = bytes.fromhex(digits)
    except ValueError:
        raise KeyFormatError(f"{what} is not hexadecimal") from None
    if 2 * len(value) != len(digits):  # fromhex skips white space between digits
        raise KeyFormatError(f"{what} is not hexadecimal")
    return value
