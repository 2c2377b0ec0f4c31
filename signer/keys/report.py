"""How a load of keys went."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from signer.errors import KeyFileError
from signer.keys.key import Key, Origin

SourceName = Literal["config-files-loading", "keystores-bulk-loading"]
"""The kinds of source, as Web3Signer's health check names them."""

SOURCE_NAMES: tuple[SourceName, ...] = ("config-files-loading", "keystores-bulk-loading")

Progress = Callable[[int, int], None]
"""Called with (keystores opened, keystores to open), from the thread that loads."""


@dataclass(frozen=True, slots=True)
class SourceCount:
    """How one kind of source did."""

    source: SourceName
    keys_loaded: int
    error_count: int


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How long one key took, from its files or from the vault."""

    origin: Origin
    seconds: float


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load found. Errors never hide keys: `keys` are all that could be loaded."""

    keys: tuple[Key, ...]
    errors: tuple[KeyFileError, ...]
    warnings: tuple[str, ...]
    """Sentences for the log: duplicate keys, files of other kinds that were skipped."""

    counts: tuple[SourceCount, ...]
    opened: int
    """Keystores whose password had to be worked through; the others came from the vault."""

    retrievals: tuple[Retrieval, ...] = ()
    """One for each key that was read, in the order of their sources."""


def keys_to_keep(serving: Iterable[Key], report: LoadReport) -> tuple[Key, ...]:
    """The keys that serve now and that this load could not read again because their file failed.

    A file that fails to load never unloads a key; a file that is gone does.
    """
    loaded = {key.public_key for key in report.keys}
    failed = failed_paths(report.errors)
    return tuple(key for key in serving if key.public_key not in loaded and is_under(key.source_file, failed))


def failed_paths(errors: Iterable[KeyFileError]) -> frozenset[Path]:
    """The files and directories that could not be loaded."""
    return frozenset(Path(error.file) for error in errors)


def is_under(source_file: Path, paths: frozenset[Path]) -> bool:
    """True if this file, or the directory it is in, is one of these."""
    return source_file in paths or source_file.parent in paths
