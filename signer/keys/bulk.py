"""A directory of EIP-2335 keystores, with one password file for all or a directory with one for each."""

import stat
from pathlib import Path

from signer.errors import KeyFileError
from signer.keys.directory import files_ending
from signer.keys.key import Origin
from signer.keys.sources import BulkDirectory, Findings, KeystoreEntry


def read_bulk_directory(bulk: BulkDirectory) -> Findings:
    """Every `*.json` of the directory, with the password file that belongs to it.

    A missing password directory or file is one error for all its keystores, not one for each.
    """
    findings = Findings("keystores-bulk-loading")
    try:
        keystores = files_ending(bulk.keystores, (".json",))
    except KeyFileError as fault:
        findings.errors.append(fault)
        return findings
    try:
        each_has_its_own = stat.S_ISDIR(bulk.passwords.stat().st_mode)
    except OSError as fault:  # the error is the keystore directory's: none of its keys can be read, and none is gone
        sentence = f"the password file or directory {bulk.passwords} cannot be read: {fault.strerror}"
        findings.errors.append(KeyFileError(sentence, file=str(bulk.keystores)))
        return findings
    for keystore in keystores:
        password_file = bulk.passwords / f"{keystore.stem}.txt" if each_has_its_own else bulk.passwords
        findings.entries.append(_entry(keystore, password_file))
    return findings


def _entry(keystore: Path, password_file: Path) -> KeystoreEntry:
    return KeystoreEntry(
        source_file=keystore,
        keystore_file=keystore,
        password_file=password_file,
        origin=Origin.BULK_KEYSTORE,
        password_is_first_line=False,
    )
