"""Can the key files be read? Every file is, no keystore is opened: that takes half a second each, at the start."""

from contextlib import suppress
from pathlib import Path

from signer.crypto.bls import Bls, SecretKey
from signer.errors import KeyFileError, KeyFormatError
from signer.keys.bulk import read_bulk_directory
from signer.keys.key import Key, Origin
from signer.keys.key_files import read_key_files
from signer.keys.keystore_format import parse_keystore
from signer.keys.public_test_keys import publicly_known, published_public_keys
from signer.keys.sources import BulkDirectory, Entry, Findings, KeyLocations, KeystoreEntry, RawKeyEntry
from signer.keys.unlocking import PasswordFiles, read_locked
from signer.operations.examine.finding import Finding, Grade
from signer.units import PublicKey

SHOWN = 3
"""Faults that are told one by one; the others are counted."""

INTEROP_NAMES = 4096
"""Interop validators whose public keys are compared with keystores' names: a third of a second of work."""


def examine_key_files(
    *, config_directory: Path, keystores: Path | None, passwords: Path | None, strict: bool
) -> Finding:
    """How many keys the files list, and which files cannot be read."""
    found = [read_key_files(config_directory)] if config_directory.is_dir() else []
    if keystores is not None and passwords is not None:
        found.append(read_bulk_directory(BulkDirectory(keystores, passwords)))
    errors = [error for each in found for error in (*each.errors, *_unreadable(each))]
    listed = sum(len(each.entries) for each in found)
    figures = {"listed": listed, "errors": len(errors)}
    if errors:
        told = "; ".join(f"{Path(error.file).name}: {error.sentence}" for error in errors[:SHOWN])
        more = f"; and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
        sentence = f"{listed} keys are listed, {len(errors)} files cannot be loaded: {told}{more}"
        remedy = "repair or remove these files"
        return Finding("keys", Grade.FAULT if strict or not listed else Grade.WARNING, sentence, remedy, figures)
    if not listed:
        remedy = "bring keys in with `holdfast keys import`, or set keys.config_directory"
        return Finding("keys", Grade.WARNING, "no key is listed", remedy, figures)
    return Finding("keys", Grade.OK, f"{listed} keys are listed, and their files can be read", figures=figures)


def examine_public_test_keys(locations: KeyLocations, bls: Bls) -> Finding:
    """Are keys listed whose private halves the whole world knows? Raw keys are looked at, and the names in keystores.

    A keystore that names no public key, or an interop key above the first thousands, is found when it is opened.
    """
    entries = [entry for each in _listed(locations) for entry in each.entries]
    known = list(dict.fromkeys(_known_raw_keys(entries, bls) + _known_keystores(entries, bls)))
    if not known:
        return Finding("test keys", Grade.OK, "no published test key is listed")
    told = ", ".join(known[:SHOWN]) + (f" and {len(known) - SHOWN} more" if len(known) > SHOWN else "")
    sentence = f"everybody knows the private keys of these files: {told}"
    remedy = "remove them: in production the signer does not start with them"
    return Finding("test keys", Grade.FAULT, sentence, remedy, {"found": len(known)})


def count_listed_keys(locations: KeyLocations) -> int:
    """How many keys the files list, whether or not they open."""
    return sum(len(each.entries) for each in _listed(locations))


def _listed(locations: KeyLocations) -> list[Findings]:
    directory = locations.config_directory
    found = [] if directory is None or not directory.is_dir() else [read_key_files(directory)]
    return found + [read_bulk_directory(bulk) for bulk in locations.bulk_directories]


def _known_raw_keys(entries: list[Entry], bls: Bls) -> list[str]:
    keys = []
    for entry in entries:
        if isinstance(entry, RawKeyEntry):
            with suppress(KeyFormatError, ValueError):  # a number that is no key: loading tells
                secret = SecretKey.from_bytes(entry.private_key.reveal())
                keys.append(Key(bls.public_key(secret), secret, Origin.RAW_FILE, entry.source_file))
    known = set(publicly_known(keys))
    return [str(key.source_file) for key in keys if key.public_key in known]


def _known_keystores(entries: list[Entry], bls: Bls) -> list[str]:
    named: dict[PublicKey, str] = {}
    for entry in entries:
        if isinstance(entry, KeystoreEntry):
            with suppress(KeyFormatError, OSError):
                public_key = parse_keystore(entry.keystore_file.read_bytes()).public_key
                if public_key is not None:
                    named[public_key] = str(entry.keystore_file)
    if not named:
        return []
    published = published_public_keys(bls, interop=INTEROP_NAMES)
    return [file for key, file in named.items() if key in published]


def _unreadable(findings: Findings) -> list[KeyFileError]:
    """Keystores or password files that are listed and cannot be read."""
    passwords, errors = PasswordFiles(), []
    for entry in findings.entries:
        if isinstance(entry, KeystoreEntry):
            try:
                read_locked(entry, passwords)
            except KeyFileError as error:
                errors.append(error)
    return errors
