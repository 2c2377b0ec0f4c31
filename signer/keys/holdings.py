"""The keys that are served together with the places their material lies in: how keys are added and destroyed.

Keys that the key manager's API brings in live in the vault alone. Of the others only those are destroyed whose files
are named as `holdfast keys import` and Web3Signer's own key manager name them: listing, keystore and password beside
each other in the directory of key files, under the public key's name. Everything else is the operator's own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from signer.durable import sync_directory
from signer.keys.deletions import Deletions
from signer.keys.key import Key, Origin
from signer.keys.key_files import read_key_file
from signer.keys.ring import KeyRing
from signer.keys.sources import KeystoreEntry
from signer.keys.vault import Vault
from signer.units import PublicKey

_ENDINGS = (".yaml", ".json", ".txt", ".password")
"""The listing first: without it the others are no key's any more. `.password` is Web3Signer's."""


def is_ours_to_destroy(key: Key, config_directory: Path) -> bool:
    """True where the key's material lies in places that this program fills: what a listing calls not read-only."""
    if key.origin is Origin.IMPORTED:
        return True
    names = {"0x" + key.public_key.hex(), key.public_key.hex()}
    listed_here = key.source_file.parent == config_directory and key.source_file.suffix == ".yaml"
    return key.origin is Origin.KEYSTORE_FILE and listed_here and key.source_file.stem in names


@dataclass(frozen=True, slots=True)
class Holdings:
    """Owned by the process that keeps the record. Every call may block: on a thread."""

    ring: KeyRing
    vault: Vault
    config_directory: Path
    deletions: Deletions

    def objection(self, key: Key) -> str | None:
        """Why this key cannot be destroyed here, in a sentence; None where it can."""
        where = f"it comes from {key.source_file}, which is not this program's to remove"
        remedy = "remove it there and reload; `holdfast freeze` stops it at once"
        if not is_ours_to_destroy(key, self.config_directory):
            return f"{where}: {remedy}"
        if key.origin is Origin.IMPORTED:
            return None
        findings = read_key_file(key.source_file)
        match findings.entries:
            case [KeystoreEntry() as entry] if not findings.errors:
                beside = {entry.keystore_file.parent, entry.password_file.parent} == {self.config_directory}
                named = {entry.keystore_file.stem, entry.password_file.stem} == {key.source_file.stem}
                return None if beside and named else f"{where}, nor are the files that it names: {remedy}"
            case _:
                return f"{where}: it lists other keys too, or cannot be read; {remedy}"

    def withdraw(self, public_keys: Iterable[PublicKey]) -> None:
        """Serve these keys no more, whatever a later load brings, until `readmit`."""
        self.ring.banish(public_keys)

    def begin_to_destroy(self, key: Key) -> None:
        """Before its tombstone is on record: what a crash leaves of its files is removed at the next start.

        Raises OSError: nothing was noted, and nothing may be deleted.
        """
        if key.origin is Origin.KEYSTORE_FILE:
            self.deletions.begin(key.source_file.stem)

    def destroy(self, key: Key) -> None:
        """Remove a key's material: its sealed entry and its files. Raises OSError: some of it is still there."""
        self.vault.destroy({key.public_key})
        if key.origin is Origin.KEYSTORE_FILE:
            self._remove_files(key.source_file.stem)

    def _remove_files(self, name: str) -> None:
        for ending in _ENDINGS:
            (self.config_directory / (name + ending)).unlink(missing_ok=True)
        # Crash before this line: the tombstone is on record, and the next start removes what has come back.
        sync_directory(self.config_directory)
        self.deletions.end(name)

    def finish(self, deleted: frozenset[PublicKey]) -> None:
        """At start: serve no deleted key, and end what a crash has interrupted.

        Raises OSError; StartupError: others may write the list of what was interrupted.
        """
        self.ring.banish(deleted)
        if any(sealed.public_key in deleted and sealed.origin is Origin.IMPORTED for sealed in self.vault.read().keys):
            self.vault.destroy(deleted)
        for name in self.deletions.names():
            if bytes.fromhex(name.removeprefix("0x")) in deleted:
                self._remove_files(name)
            else:
                self.deletions.end(name)  # the crash came before the tombstone: the key is as it was
