"""Can the key files be read? Every file is, no keystore is opened: that takes half a second each, at the start."""

from pathlib import Path

from signer.errors import KeyFileError
from signer.keys.bulk import read_bulk_directory
from signer.keys.key_files import read_key_files
from signer.keys.sources import BulkDirectory, Findings, KeystoreEntry
from signer.keys.unlocking import PasswordFiles, read_locked
from signer.operations.examine.finding import Finding, Grade

SHOWN = 3
"""Faults that are told one by one; the others are counted."""


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
