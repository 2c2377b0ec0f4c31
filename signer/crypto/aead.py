"""AES-256-GCM sealing: bytes that open only with the same key and the same associated data.

A sealed value is `version (1 byte) | nonce (12 bytes) | ciphertext and tag (length + 16 bytes)`. The version byte
is part of what the tag covers. The nonce comes from the caller, who draws it at random: one key may seal
2^32 values (NIST SP 800-38D, 8.3), a million times what a signer ever seals.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from signer.crypto.secret import Secret
from signer.errors import SealError

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION_1 = b"\x01"
"""The first byte of every sealed value: AES-256-GCM, random 96-bit nonce, 128-bit tag."""

_OVERHEAD_BYTES = len(VERSION_1) + NONCE_BYTES + 16


class Sealer:
    """Seals and opens with one 256-bit key. Safe from any thread."""

    __slots__ = ("_cipher",)

    def __init__(self, key: Secret) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a sealing key has {KEY_BYTES} bytes, this one {len(key)}")
        self._cipher = AESGCM(key.reveal())

    def seal(self, plaintext: bytes, associated_data: bytes, *, nonce: bytes) -> bytes:
        """The sealed value. `nonce` is 12 random bytes, never used before with this key."""
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {NONCE_BYTES} bytes, this one {len(nonce)}")
        return VERSION_1 + nonce + self._cipher.encrypt(nonce, plaintext, VERSION_1 + associated_data)

    def open(self, sealed: bytes, associated_data: bytes) -> bytes:
        """The plaintext.

        Raises:
            SealError: an unknown version, another key, or changed bytes or associated data.
        """
        if len(sealed) < _OVERHEAD_BYTES:
            raise SealError("a sealed value is cut short")
        if sealed[:1] != VERSION_1:
            raise SealError(f"a sealed value has format version {sealed[0]}; this program knows version 1")
        nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, body, VERSION_1 + associated_data)
        except InvalidTag as fault:
            raise SealError("a sealed value does not open: another key, or it was changed") from fault
