"""Bring EIP-2335 keystores into the directory of key files, each opened and checked before.

They are kept as Web3Signer keeps them: keystore, password file and the listing that names both, under the public key's
name. The listing is written last, and only it makes a key of the others: a crash leaves nothing half imported.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from signer.crypto.bls import Bls
from signer.durable import read_regular, write_durably
from signer.errors import KeyFileError, SignerError, UnreadableFileError
from signer.keys.key import Key, Origin
from signer.keys.memory_budget import spare_memory_budget
from signer.keys.public_test_keys import publicly_known
from signer.keys.sources import KeystoreEntry
from signer.keys.unlocking import KEYSTORE_LIMIT_BYTES, LockedKeystore, PasswordFiles, read_locked, unlock
from signer.operations.keystore_layouts import FoundKeystore

Outcome = Literal["imported", "present", "failed", "skipped"]
"""`present`: a listing of this key is there already; `skipped`: it is not to be imported. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class ImportedKeystore:
    """What became of one keystore."""

    file: Path
    outcome: Outcome
    public_key: str | None
    """With 0x; None where the keystore was not opened."""

    error: str | None
    """Why it failed, or was skipped."""


def import_keystores(
    keystores: Iterable[FoundKeystore], *, into: Path, bls: Bls, refuse_public_test_keys: bool
) -> Iterator[ImportedKeystore]:
    """Open, check and copy each keystore; one that fails stops no other. Half a second and 256 MiB each.

    Args:
        keystores: what is to be imported, as `keystore_layouts.py` finds it.
        into: the directory of key files (`keys.config_directory`).
        bls: computes the public keys, which must be those that the keystores name.
        refuse_public_test_keys: whether interop and other published keys fail.
    """
    memory, files = spare_memory_budget(), PasswordFiles()
    for found in keystores:
        if found.skipped:
            yield ImportedKeystore(found.file, "skipped", None, found.skipped)
            continue
        try:
            locked = _locked(found, files)
            key = unlock(locked, bls, memory)
            if refuse_public_test_keys and publicly_known([key]):
                raise KeyFileError("everybody knows this private key: it is a published test key", file=str(found.file))
            yield _copy(locked, key, into)
        except SignerError as error:
            yield ImportedKeystore(found.file, "failed", None, error.sentence)
        except OSError as error:
            yield ImportedKeystore(found.file, "failed", None, f"{into} cannot be written: {error.strerror or error}")


def _locked(found: FoundKeystore, files: PasswordFiles) -> LockedKeystore:
    """Its bytes and its password. Raises KeyFileError."""
    if found.fault:
        raise KeyFileError(found.fault, file=str(found.file))
    if found.password is None:
        raise KeyFileError("nothing says its password: name it with --passwords", file=str(found.file))
    in_file = found.password if isinstance(found.password, Path) else found.file
    entry = KeystoreEntry(found.file, found.file, in_file, Origin.KEYSTORE_FILE, password_is_first_line=True)
    if isinstance(found.password, Path):
        return read_locked(entry, files)
    try:
        content = read_regular(found.file, limit_bytes=KEYSTORE_LIMIT_BYTES)
    except UnreadableFileError as fault:
        raise KeyFileError(fault.sentence, file=str(found.file)) from fault
    return LockedKeystore(entry, content, found.password)


def _copy(locked: LockedKeystore, key: Key, into: Path) -> ImportedKeystore:
    name = "0x" + key.public_key.hex()
    listing = into / f"{name}.yaml"
    if listing.exists():
        return ImportedKeystore(locked.entry.keystore_file, "present", name, None)
    write_durably(into / f"{name}.txt", locked.password.reveal() + b"\n", private=True)
    write_durably(into / f"{name}.json", locked.content, private=True)
    text = f"type: file-keystore\nkeystoreFile: {name}.json\nkeystorePasswordFile: {name}.txt\n"
    write_durably(listing, text.encode(), private=True)
    return ImportedKeystore(locked.entry.keystore_file, "imported", name, None)
