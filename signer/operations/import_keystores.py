"""Bring EIP-2335 keystores into the directory of key files, each opened and checked before.

They are kept as Web3Signer keeps them: keystore, password file and the listing that names both, under the public key's
name. The listing is written last, and only it makes a key of the others: a crash leaves nothing half imported.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from signer.crypto.bls import Bls
from signer.durable import write_durably
from signer.errors import KeyFileError, SignerError, UnreadableFileError
from signer.keys.key import Key, Origin
from signer.keys.memory_budget import spare_memory_budget
from signer.keys.public_test_keys import publicly_known
from signer.keys.sources import KeystoreEntry
from signer.keys.unlocking import LockedKeystore, PasswordFiles, read_locked, unlock

Outcome = Literal["imported", "present", "failed"]
"""`present`: a listing of this key is there already, and nothing was changed."""


@dataclass(frozen=True, slots=True)
class ImportedKeystore:
    """What became of one keystore."""

    file: Path
    outcome: Outcome
    public_key: str | None
    """With 0x; None where the keystore did not open."""

    error: str | None


def find_keystores(paths: Iterable[Path]) -> list[Path]:
    """The files named, and the `*.json` files of the directories named, in order.

    Raises:
        UnreadableFileError: a path is not there, or a directory holds no keystore.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not inside:
            raise UnreadableFileError(str(path), reason="it holds no *.json file")
        if not inside[0].exists():
            raise UnreadableFileError(str(path), reason="there is no such file")
        found += inside
    return found


def import_keystores(
    keystores: Iterable[Path], passwords: Path, *, into: Path, bls: Bls, refuse_public_test_keys: bool
) -> Iterator[ImportedKeystore]:
    """Open, check and copy each keystore; one that fails stops no other. Half a second and 256 MiB each.

    Args:
        keystores: the files to import.
        passwords: one file whose first line opens all, or a directory with `NAME.txt` for each `NAME.json`.
        into: the directory of key files (`keys.config_directory`).
        bls: computes the public keys, which must be those that the keystores name.
        refuse_public_test_keys: whether interop and other published keys fail.
    """
    memory, files = spare_memory_budget(), PasswordFiles()
    for keystore in keystores:
        password = passwords / f"{keystore.stem}.txt" if passwords.is_dir() else passwords
        entry = KeystoreEntry(keystore, keystore, password, Origin.KEYSTORE_FILE, password_is_first_line=True)
        try:
            locked = read_locked(entry, files)
            key = unlock(locked, bls, memory)
            if refuse_public_test_keys and publicly_known([key]):
                raise KeyFileError("everybody knows this private key: it is a published test key", file=str(keystore))
            yield _copy(locked, key, into)
        except SignerError as error:
            yield ImportedKeystore(keystore, "failed", None, error.sentence)
        except OSError as error:
            yield ImportedKeystore(keystore, "failed", None, f"{into} cannot be written: {error.strerror or error}")


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
