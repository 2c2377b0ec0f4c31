"""Which files the keys' secrets are in, wherever a key file names them: nobody else should read these."""

from dataclasses import dataclass
from pathlib import Path

from signer.errors import KeyFileError
from signer.keys.bulk import read_bulk_directory
from signer.keys.directory import files_ending
from signer.keys.key_files import read_key_files
from signer.keys.sources import KeyLocations, KeystoreEntry


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """Sorted; a file that is missing may be among them."""

    clear: tuple[Path, ...]
    """YAML key files, of which any may hold a raw key, also one that cannot be understood; and password files."""

    encrypted: tuple[Path, ...]
    """Keystores."""


def find_secret_files(locations: KeyLocations) -> SecretFiles:
    """Every file with a secret of these locations. A directory that cannot be listed is the loader's to report."""
    directory = locations.config_directory
    found = [] if directory is None else [read_key_files(directory)]
    found += [read_bulk_directory(bulk) for bulk in locations.bulk_directories]
    keystores = [entry for each in found for entry in each.entries if isinstance(entry, KeystoreEntry)]
    clear = {entry.password_file for entry in keystores} | _listings(directory)
    return SecretFiles(tuple(sorted(clear)), tuple(sorted({entry.keystore_file for entry in keystores})))


def _listings(directory: Path | None) -> set[Path]:
    try:
        return set() if directory is None else set(files_ending(directory, (".yaml", ".yml")))
    except KeyFileError:
        return set()
