"""From a keystore's entry to its key: read the two files, then work through the password."""

from dataclasses import dataclass, replace
from pathlib import Path

from signer.crypto.bls import Bls, SecretKey
from signer.crypto.secret import Secret
from signer.durable import read_regular
from signer.errors import KeyFileError, KeyFormatError, SecretSourceError, UnreadableFileError
from signer.keys.key import Key, Origin
from signer.keys.keystore_format import parse_keystore
from signer.keys.memory_budget import MemoryBudget
from signer.keys.sources import KeystoreEntry, RawKeyEntry
from signer.secret_sources.file import first_line, whole_file

KEYSTORE_LIMIT_BYTES = 1 << 20
"""An EIP-2335 keystore has less than one kilobyte."""


@dataclass(frozen=True, slots=True)
class LockedKeystore:
    """A keystore's bytes and its password, not yet worked through."""

    entry: KeystoreEntry
    content: bytes
    password: Secret


class PasswordFiles:
    """Password files, each read once; lives for one load. One file may serve ten thousand keystores."""

    def __init__(self) -> None:
        self._read: dict[Path, Secret] = {}

    def password_of(self, entry: KeystoreEntry) -> Secret:
        """The password of a keystore. Raises SecretSourceError."""
        content = self._read.get(entry.password_file)
        if content is None:
            content = self._read[entry.password_file] = whole_file(entry.password_file)
        return first_line(content, str(entry.password_file)) if entry.password_is_first_line else content


def read_locked(entry: KeystoreEntry, passwords: PasswordFiles) -> LockedKeystore:
    """Read a keystore and its password. Raises KeyFileError."""
    try:
        content = read_regular(entry.keystore_file, limit_bytes=KEYSTORE_LIMIT_BYTES)
        return LockedKeystore(entry, content, passwords.password_of(entry))
    except (UnreadableFileError, SecretSourceError) as fault:
        raise KeyFileError(fault.sentence, file=str(entry.source_file)) from fault


def unlock(locked: LockedKeystore, bls: Bls, memory: MemoryBudget) -> Key:
    """Open a keystore and check that the public key it names is its own. Slow: half a second and 256 MiB.

    Raises:
        KeyFileError: the keystore is malformed or too costly, the password is wrong, or the public key differs.
    """
    entry = locked.entry
    try:
        return _unlocked(locked, bls, memory)
    except KeyFormatError as fault:
        place = "" if entry.keystore_file == entry.source_file else f"{entry.keystore_file}: "
        raise KeyFileError(place + fault.sentence, file=str(entry.source_file)) from fault


def raw_key(entry: RawKeyEntry, bls: Bls) -> Key:
    """The key of a file-raw entry. Raises KeyFileError if the number is no private key."""
    try:
        secret = _secret_key(entry.private_key, what="privateKey")
    except KeyFormatError as fault:
        raise KeyFileError(fault.sentence, file=str(entry.source_file)) from fault
    return Key(bls.public_key(secret), secret, Origin.RAW_FILE, entry.source_file, tags=entry.tags)


def open_keystore(content: bytes, password: Secret, bls: Bls, memory: MemoryBudget) -> Key:
    """The key in a keystore that is no file: of no source. Slow, as `unlock`. Raises KeyFormatError."""
    keystore = parse_keystore(content)
    with memory.hold(keystore.memory_bytes):
        secret = _secret_key(keystore.open(password), what="what is inside the keystore")
    public_key = bls.public_key(secret)
    if keystore.public_key not in (None, public_key):
        raise KeyFormatError("the keystore's pubkey is not the public key of the private key inside")
    return Key(public_key, secret, Origin.IMPORTED, Path(), derivation_path=keystore.derivation_path)


def _unlocked(locked: LockedKeystore, bls: Bls, memory: MemoryBudget) -> Key:
    entry, key = locked.entry, open_keystore(locked.content, locked.password, bls, memory)
    path = key.derivation_path if entry.origin is Origin.KEYSTORE_FILE else None
    return replace(key, origin=entry.origin, source_file=entry.source_file, derivation_path=path, tags=entry.tags)


def _secret_key(value: Secret, *, what: str) -> SecretKey:
    try:
        return SecretKey.from_bytes(value.reveal())
    except ValueError as fault:
        raise KeyFormatError(f"{what} is no private key: {fault}") from fault
