"""Find the files with secrets in the clear that others than us may read."""

from pathlib import Path

from signer.durable import is_private
from signer.keys.bulk import read_bulk_directory
from signer.keys.key_files import read_key_files
from signer.keys.sources import Findings, KeyLocations, RawKeyEntry


def exposed_files(locations: KeyLocations) -> tuple[Path, ...]:
    """YAML files with raw keys, and password files, that are not ours alone; sorted. A production signer refuses them.

    Keystores may be read by others: they are encrypted. A file that is missing is no exposure; loading reports it.
    """
    directory = locations.config_directory
    found = [read_key_files(directory)] if directory is not None else []
    found += [read_bulk_directory(bulk) for bulk in locations.bulk_directories]
    return tuple(sorted(path for path in _files_with_secrets(found) if _is_exposed(path)))


def _files_with_secrets(found: list[Findings]) -> set[Path]:
    entries = [entry for findings in found for entry in findings.entries]
    return {entry.source_file if isinstance(entry, RawKeyEntry) else entry.password_file for entry in entries}


def _is_exposed(path: Path) -> bool:
    try:
        return not is_private(path)
    except OSError:
        return False
