"""Where keys are to be found: what reading the directories yields, before anything is decrypted."""

from dataclasses import dataclass, field
from pathlib import Path

from signer.crypto.secret import Secret
from signer.errors import KeyFileError
from signer.keys.key import Origin
from signer.keys.report import SourceName
from signer.keys.tags import Tag


@dataclass(frozen=True, slots=True)
class BulkDirectory:
    """A directory of keystores, and their passwords."""

    keystores: Path
    passwords: Path
    """A directory with `NAME.txt` for each `NAME.json`, or one file with the password of all."""


@dataclass(frozen=True, slots=True)
class KeyLocations:
    """Where this signer's keys are, from its configuration; absolute paths."""

    config_directory: Path | None = None
    """Web3Signer's `--key-config-path`."""

    bulk_directories: tuple[BulkDirectory, ...] = ()


@dataclass(frozen=True, slots=True)
class RawKeyEntry:
    """A private key that stands in the clear in a YAML file."""

    source_file: Path
    private_key: Secret
    """32 bytes, big endian."""

    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class KeystoreEntry:
    """An EIP-2335 keystore and where its password is."""

    source_file: Path
    """The file that lists it: its YAML file, or the keystore itself when loaded in bulk."""

    keystore_file: Path
    password_file: Path
    origin: Origin
    password_is_first_line: bool
    """True for YAML files, False (the whole file) for bulk loading: Web3Signer's rule."""

    tags: tuple[Tag, ...] = ()


Entry = RawKeyEntry | KeystoreEntry


@dataclass(slots=True)
class Findings:
    """What one kind of source holds. Built by one reader, then read only."""

    source: SourceName
    entries: list[Entry] = field(default_factory=list)
    errors: list[KeyFileError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
