"""The sealed keys' file: a header, then one line of JSON for each key.

Each private key is sealed with everything its line says as associated data, so no line can be altered and no key moved
to another line. The header's seal covers all lines, so none can be dropped. Only the whole file, and `vault.json`
with it, could be put back to an older state: that costs nothing but the work of opening keystores again.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from signer.crypto.aead import Sealer
from signer.crypto.bls import SecretKey
from signer.errors import SealError
from signer.keys.key import Origin

_LINE_LABEL = b"holdfast vault, private key, version 1\n"
_FILE_LABEL = b"holdfast vault, sealed keys file, version 1\n"
"""Associated data that keeps one kind of sealed value from passing for the other."""


class SealedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One private key at rest. `public_key` is trusted because the seal covers it."""

    public_key: bytes
    origin: Origin
    derivation_path: str | None
    source: str
    """The file that lists the key; empty for an imported one."""

    fingerprint: bytes
    """Keyed hash of the keystore and its password; of the public key for an imported one."""

    sealed: bytes

    def open(self, sealer: Sealer) -> SecretKey:
        """The private key. Raises SealError if anything in the line was changed."""
        try:
            return SecretKey.from_bytes(sealer.open(self.sealed, _line_bound(self)))
        except ValueError as fault:
            raise SealError(f"a sealed key is no BLS private key: {fault}") from fault


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["holdfast-sealed-keys"]
    version: Literal[1]
    keys: int
    seal: bytes


@dataclass(frozen=True, slots=True)
class SealedFile:
    """What a file of sealed keys holds."""

    keys: tuple[SealedKey, ...]
    fault: str | None
    """What is wrong with the file, if anything: what could be read is in `keys` all the same."""


def seal_key(unsealed: SealedKey, secret: SecretKey, sealer: Sealer, *, nonce: bytes) -> SealedKey:
    """The same line with the private key sealed into it."""
    sealed = sealer.seal(secret.to_secret().reveal(), _line_bound(unsealed), nonce=nonce)
    return msgspec.structs.replace(unsealed, sealed=sealed)


def encode_file(keys: Sequence[SealedKey], sealer: Sealer, *, nonce: bytes) -> bytes:
    """The whole file."""
    body = _lines(keys)
    header = _Header("holdfast-sealed-keys", 1, len(keys), sealer.seal(b"", _file_bound(body), nonce=nonce))
    return msgspec.json.encode(header) + b"\n" + body


def decode_file(content: bytes, sealer: Sealer) -> SealedFile:
    """What can be read, and what is wrong. Raises nothing: a damaged line only costs its own key."""
    head, _, body = content.partition(b"\n")
    keys: list[SealedKey] = []
    unreadable = 0
    for line in body.splitlines():
        try:
            keys.append(_decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            unreadable += 1
    try:
        sealer.open(msgspec.json.decode(head, type=_Header).seal, _file_bound(body))
    except (msgspec.DecodeError, UnicodeDecodeError, SealError):
        return SealedFile(
            tuple(keys), f"it was changed by something else than this signer; {unreadable} lines unreadable"
        )
    return SealedFile(tuple(keys), None)


_decoder = msgspec.json.Decoder(SealedKey)


def _lines(keys: Iterable[SealedKey]) -> bytes:
    return b"".join(msgspec.json.encode(key) + b"\n" for key in keys)


def _line_bound(key: SealedKey) -> bytes:
    return _LINE_LABEL + msgspec.json.encode(
        [key.public_key, key.origin, key.derivation_path, key.source, key.fingerprint]
    )


def _file_bound(body: bytes) -> bytes:
    return _FILE_LABEL + hashlib.sha256(body).digest()
