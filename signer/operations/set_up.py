"""Make what a new signer needs: its directory, its master key, a token, a demonstration key.

Rule 1: nothing that is there is ever overwritten; every step says whether it made its file or found it.
Rule 2: no secret is returned: a step tells where it is.
"""

import os
import pwd
import secrets
from dataclasses import dataclass
from pathlib import Path

from signer.crypto.bls import CURVE_ORDER, SECRET_KEY_BYTES, Bls, SecretKey
from signer.crypto.secret import Secret
from signer.durable import ensure_private_directory, sync_directory, write_durably
from signer.errors import KeyFormatError, StartupError
from signer.keys.data_key import create_key_file
from signer.keys.keystore_format import parse_keystore
from signer.keys.keystore_writer import encode_keystore
from signer.operations.record import Places, begin_record
from signer.operations.shared_record import SharedPlaces, begin_shared_record
from signer.units import PublicKey

TOKEN_BYTES = 32
"""Random bytes in a bearer token: 256 bits."""

DEMO_NAME = "demo"
"""The demonstration key's files are `demo.yaml`, `demo.json` and `demo.txt` in the keys directory."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was to be there."""

    what: str
    path: Path | str
    """Where it is; a URL without its password for what is no file."""

    made: bool
    """False when it was there already."""


def ensure_directory(directory: Path, what: str) -> Step:
    """A directory that nobody else may enter.

    Raises:
        StartupError: it is somebody else's, or open to others. OSError.
    """
    made = not directory.exists()
    if not made:
        check_owner(directory)
    ensure_private_directory(directory)
    return Step(what, directory, made)


def check_owner(directory: Path) -> None:
    """Raises StartupError where a directory that must be ours is another user's. OSError."""
    owner = directory.stat().st_uid
    if owner == os.geteuid():
        return
    name, own_name = user_name(owner), user_name(os.geteuid())
    raise StartupError(
        f"{directory} belongs to the user {name}, and this command runs as {own_name}",
        remedy=f"run it as the user that will run the signer: sudo -u {name} ...; or, if that is {own_name}, "
        f"chown -R {own_name} {directory}",
        evidence={"owner": owner, "user": os.geteuid()},
    )


def user_name(number: int) -> str:
    """A user's name; its number where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def ensure_head_directory(head_file: Path) -> Step:
    """The directory of a head file on another disk. One that is there stays as it is. Raises StartupError, OSError."""
    what, directory = "head file's directory", head_file.parent
    return Step(what, directory, made=False) if directory.is_dir() else ensure_directory(directory, what)


def ensure_key_directory(directory: Path) -> Step:
    """A directory of key files. One that is there stays as it is: what counts is that its files are closed to others.

    Raises:
        StartupError, OSError.
    """
    what = "keys directory"
    return Step(what, directory, made=False) if directory.is_dir() else ensure_directory(directory, what)


def ensure_master_key(path: Path) -> Step:
    """32 random bytes that open the sealed keys. Raises OSError."""
    what = "master key"
    try:
        create_key_file(path)
    except FileExistsError:
        return Step(what, path, made=False)
    return Step(what, path, made=True)


def ensure_record(places: Places, *, vault_directory: Path) -> Step:
    """The empty slashing record of a new signer.

    Raises:
        DataDirectoryInUseError: a signer runs on it.
        StartupError: there was a record here before, and it is missing.
    """
    return Step("slashing record", places.database, begin_record(places, vault_directory=vault_directory))


def ensure_shared_record(places: SharedPlaces, *, shown: str) -> tuple[Step, int]:
    """The tables of a shared record, beside Web3Signer's where those are there; and how many validators it knows.

    Raises:
        StartupError: the server is unsafe, the database another program's, or it cannot be reached.
    """
    made, validators = begin_shared_record(places)
    return Step("slashing record", shown, made), validators


def ensure_token(path: Path, *, what: str = "API token") -> Step:
    """A token or password of 256 random bits, on one line. Raises OSError."""
    return ensure_file(path, what, secrets.token_urlsafe(TOKEN_BYTES).encode() + b"\n")


def ensure_file(path: Path, what: str, content: bytes) -> Step:
    """A private file with this content, unless there is one with any content. Raises OSError."""
    made = False
    if not path.exists():
        made = _write_once(path, content)
    return Step(what, path, made)


def ensure_demo_key(directory: Path, bls: Bls) -> tuple[Step, PublicKey]:
    """A validator key of our own making, as Web3Signer files: for trying out, never for a deposit.

    Raises:
        StartupError: the file of that name is no keystore of ours.
        OSError: the directory cannot be written.
    """
    keystore, password = directory / f"{DEMO_NAME}.json", directory / f"{DEMO_NAME}.txt"
    listing = f"type: file-keystore\nkeystoreFile: {keystore.name}\nkeystorePasswordFile: {password.name}\n"
    if not keystore.exists():
        secret = _random_key()
        chosen = Secret(secrets.token_urlsafe(TOKEN_BYTES).encode())
        # A crash after any of these writes leaves files that the next run completes or replaces: the listing is last,
        # and only it makes a key of them.
        write_durably(password, chosen.reveal() + b"\n", private=True)
        write_durably(keystore, encode_keystore(secret, bls.public_key(secret), chosen), private=True)
    step = ensure_file(directory / f"{DEMO_NAME}.yaml", "demonstration key", listing.encode())
    return step, _public_key_of(keystore)


def _public_key_of(keystore: Path) -> PublicKey:
    try:
        public_key = parse_keystore(keystore.read_bytes()).public_key
    except (OSError, KeyFormatError) as error:
        raise StartupError(
            f"{keystore} is no keystore that can be read: {error}",
            remedy="move it away; `holdfast init --demo` makes a new one",
        ) from error
    if public_key is None:
        raise StartupError(
            f"{keystore} does not name its public key", remedy="move it away; `holdfast init --demo` makes a new one"
        )
    return public_key


def _random_key() -> SecretKey:
    # 48 bytes modulo the order: the bias is below 2^-128 (RFC 9380, 5.3, as EIP-2333 does).
    number = int.from_bytes(secrets.token_bytes(48), "big") % (CURVE_ORDER - 1) + 1
    return SecretKey.from_bytes(number.to_bytes(SECRET_KEY_BYTES, "big"))


def _write_once(path: Path, content: bytes) -> bool:
    """Write a private file that must not be there; False when somebody else was quicker."""
    draft = path.with_name(f".holdfast-writing-{secrets.token_hex(8)}")
    write_durably(draft, content, private=True)
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    sync_directory(path.parent)
    return True
