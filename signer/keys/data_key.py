"""The key that seals the vault, and the file that keeps it wrapped.

A random data key is drawn once. `vault.json` keeps it sealed under a key that comes from a password (Argon2id) or
from a file of 32 random bytes. So the password can change without sealing ten thousand keys again.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from signer.crypto.aead import KEY_BYTES, NONCE_BYTES, Sealer
from signer.crypto.kdf import ARGON2_COST, Argon2Cost, argon2id
from signer.crypto.secret import Secret
from signer.durable import read_private, write_durably
from signer.errors import BEGIN_OR_PUT_BACK, SealError, StartupError, UnreadableFileError

_LABEL = b"holdfast vault, data key, version 1\n"
"""Bound to the wrapped data key, so that nothing else we seal passes for one."""

_SALT_BYTES = 16
_LIMIT_BYTES = 65_536
_MAX_COST = Argon2Cost(iterations=100, lanes=64, memory_kib=4 << 20)
"""A vault file that asks for more was not written by us."""


@dataclass(frozen=True, slots=True)
class PasswordUnlock:
    """The vault opens with a password."""

    password: Secret
    cost: Argon2Cost = ARGON2_COST
    """For a vault that is made now; one that exists says its own."""


@dataclass(frozen=True, slots=True)
class KeyFileUnlock:
    """The vault opens with a file of 32 random bytes, mode 0600, best kept on another device."""

    path: Path


Unlock = PasswordUnlock | KeyFileUnlock


class _Argon2(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    salt: bytes
    iterations: int
    lanes: int
    memory_kib: int


class _Wrapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the data key is wrapped: associated data of the wrapped key, in this order of members."""

    format: Literal["holdfast-vault"]
    version: Literal[1]
    unlock: Literal["password", "key-file"]
    argon2id: _Argon2 | None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    wrapping: _Wrapping
    wrapped_data_key: bytes


def create_key_file(path: Path) -> None:
    """Write 32 new random bytes for a KeyFileUnlock. Raises FileExistsError, OSError."""
    if path.exists():
        raise FileExistsError(f"{path} exists: another vault may need it")
    write_durably(path, secrets.token_bytes(KEY_BYTES), private=True)


def create_data_key(file: Path, unlock: Unlock) -> Secret:
    """A new data key, its wrapped form durable in `file`. Raises StartupError, OSError."""
    data_key = Secret(secrets.token_bytes(KEY_BYTES))
    _write(file, data_key, unlock)
    return data_key


def check_can_begin(unlock: Unlock) -> None:
    """Raises StartupError where a new vault has nothing to be closed with: no master key was made yet."""
    if isinstance(unlock, KeyFileUnlock) and not unlock.path.exists():
        raise StartupError(f"there is no master key at {unlock.path}", remedy=BEGIN_OR_PUT_BACK)


def rewrap_data_key(file: Path, *, old: Unlock, new: Unlock) -> None:
    """Let another password or key file open the vault. Raises as `open_data_key`, OSError."""
    _write(file, open_data_key(file, old), new)


def open_data_key(file: Path, unlock: Unlock) -> Secret:
    """The data key that `file` keeps.

    Raises:
        StartupError: another password or key file, the wrong kind of the two, or a file that was changed.
    """
    kept = _read(file)
    try:
        return Secret(
            Sealer(_wrapping_key(kept.wrapping, unlock, file)).open(kept.wrapped_data_key, _bound(kept.wrapping))
        )
    except SealError as fault:
        what = "password" if isinstance(unlock, PasswordUnlock) else f"key file {unlock.path}"
        raise StartupError(
            f"the {what} does not open the vault {file}",
            remedy=f"give the {what.split(maxsplit=1)[0]} it was made with, or restore both from one backup",
        ) from fault


def _write(file: Path, data_key: Secret, unlock: Unlock) -> None:
    wrapping = _new_wrapping(unlock)
    sealer = Sealer(_wrapping_key(wrapping, unlock, file))
    wrapped = sealer.seal(data_key.reveal(), _bound(wrapping), nonce=secrets.token_bytes(NONCE_BYTES))
    content = msgspec.json.format(msgspec.json.encode(_File(wrapping, wrapped))) + b"\n"
    write_durably(file, content, private=True)


def _new_wrapping(unlock: Unlock) -> _Wrapping:
    match unlock:
        case KeyFileUnlock():
            return _Wrapping("holdfast-vault", 1, "key-file", None)
        case PasswordUnlock(_, cost):
            salt = secrets.token_bytes(_SALT_BYTES)
            argon2 = _Argon2(salt, cost.iterations, cost.lanes, cost.memory_kib)
            return _Wrapping("holdfast-vault", 1, "password", argon2)


def _read(file: Path) -> _File:
    try:
        return msgspec.json.decode(read_private(file, limit_bytes=_LIMIT_BYTES), type=_File)
    except UnreadableFileError as fault:
        raise StartupError(f"vault file {fault.sentence}", remedy="restore it from a backup") from fault
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise StartupError(
            f"{file} is not a vault of this version: {fault}", remedy="restore it from a backup"
        ) from fault


def _wrapping_key(wrapping: _Wrapping, unlock: Unlock, file: Path) -> Secret:
    match unlock, wrapping.argon2id:
        case PasswordUnlock(password, _), _Argon2() as kept:
            cost = _checked_cost(kept, file)
            return argon2id(password, salt=kept.salt, cost=cost, length=KEY_BYTES)
        case KeyFileUnlock(path), None:
            return _key_of(path)
        case _:
            raise StartupError(
                f"the vault {file} opens with a {wrapping.unlock}, and the configuration gives the other",
                remedy=f"configure the {wrapping.unlock} it was made with",
            )


def _checked_cost(kept: _Argon2, file: Path) -> Argon2Cost:
    if not (
        len(kept.salt) >= _SALT_BYTES
        and 1 <= kept.iterations <= _MAX_COST.iterations
        and 1 <= kept.lanes <= _MAX_COST.lanes
        and 8 * kept.lanes <= kept.memory_kib <= _MAX_COST.memory_kib
    ):
        raise StartupError(f"{file} asks for an Argon2id run we would not have asked for", remedy="restore it")
    return Argon2Cost(kept.iterations, kept.lanes, kept.memory_kib)


def _key_of(path: Path) -> Secret:
    try:
        content = read_private(path, limit_bytes=KEY_BYTES)
    except UnreadableFileError as fault:
        raise StartupError(f"the vault's key file {fault.sentence}", remedy="restore it from a backup") from fault
    if len(content) != KEY_BYTES:
        raise StartupError(
            f"the vault's key file {path} has {len(content)} bytes, not {KEY_BYTES}", remedy="restore it"
        )
    return Secret(content)


def _bound(wrapping: _Wrapping) -> bytes:
    return _LABEL + msgspec.json.encode(wrapping)
