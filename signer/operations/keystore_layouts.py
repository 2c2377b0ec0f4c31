"""Which keystores there are under the paths that an operator names, and where the password of each is.

    validator_keys/*.json                     the deposit tools, Teku, Prysm's unpacked backup
    validators/0x.../*.json                   Lighthouse, Nimbus, Lodestar (keystores/0x.../)
    validators/validator_definitions.yml      Lighthouse: see validator_definitions.py
    wallets/UUID/UUID                         Dirk, ethdo: accounts without an ending

A password directory has `NAME.txt` for each `NAME.json`, or a file for each key that is named as the keystore's
directory, 0x and the public key (the `secrets/` of Lighthouse, Nimbus and Lodestar).

Rule 1: what the old program does not sign with is not brought to life here: it is skipped, and told.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from signer.crypto.secret import Secret
from signer.durable import read_regular
from signer.errors import UnreadableFileError
from signer.keys.unlocking import KEYSTORE_LIMIT_BYTES
from signer.operations.validator_definitions import FILE_NAME, Definition, read_definitions

_KEY_DIRECTORY = re.compile(r"0x[0-9a-fA-F]{96}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_PRYSM_WALLET = "all-accounts.keystore.json"
"""Prysm's own wallet: every key in one encrypted list (Prysm, validator/keymanager/local/keymanager.go)."""

_NO_KEYSTORES = {
    "deposit_data-": "it is the data of deposits, not a keystore",
    "remote_keystore": "its key is in a remote signer",
}
"""How files begin that stand among keystores and are none: the deposit tools', and Nimbus' for remote keys."""


@dataclass(frozen=True, slots=True)
class FoundKeystore:
    """One file, and what is to become of it."""

    file: Path
    password: Path | Secret | None = None
    """Where the password is, or the password; None where nothing says it."""

    skipped: str = ""
    """Why it is left alone."""

    fault: str = ""
    """Why it cannot be taken, and what to do."""


def find_keystores(paths: Iterable[Path], passwords: Path | None) -> list[FoundKeystore]:
    """Everything under these paths that may be a keystore, in order.

    Args:
        paths: files, and directories of one of the layouts above.
        passwords: a file whose first line opens all, or a directory; None where the layout says it.

    Raises:
        UnreadableFileError: a path is not there, or a directory holds no keystore. KeyFileError: the definitions.
    """
    found: list[FoundKeystore] = []
    for path in paths:
        if not path.exists():
            raise UnreadableFileError(str(path), reason="there is no such file")
        inside = list(_inside(path, passwords)) if path.is_dir() else [_judged(path, passwords)]
        if not inside:
            raise UnreadableFileError(
                str(path), reason="it holds no keystore: no *.json file, no 0x... directory, no wallet of Dirk"
            )
        found += inside
    return found


def _inside(directory: Path, passwords: Path | None) -> Iterator[FoundKeystore]:
    definitions = directory / FILE_NAME
    defined = read_definitions(definitions) if definitions.exists() else []
    yield from (_of_definition(one, definitions, passwords) for one in defined)
    told = {one.keystore.parts[-2:] for one in defined if one.keystore is not None}
    for file in sorted(_files(directory)):
        if file.parts[-2:] not in told:
            yield _judged(file, passwords)


def _files(directory: Path) -> Iterator[Path]:
    yield from directory.glob("*.json")
    for below in directory.iterdir():
        if _KEY_DIRECTORY.fullmatch(below.name):
            yield from below.glob("*.json")
        elif _UUID.fullmatch(below.name):
            accounts = below.iterdir() if below.is_dir() else (below,)
            yield from (file for file in accounts if _UUID.fullmatch(file.name) and _is_account(file))


def _is_account(file: Path) -> bool:
    """True for an account; a wallet's own file, which names no public key, is none."""
    return {"crypto", "pubkey"} <= _members(file).keys()


def _judged(file: Path, passwords: Path | None) -> FoundKeystore:
    for beginning, reason in _NO_KEYSTORES.items():
        if file.name.startswith(beginning):
            return FoundKeystore(file, skipped=reason)
    if file.name == _PRYSM_WALLET:
        return FoundKeystore(
            file, fault="it is Prysm's whole wallet: have `validator accounts backup` write its keys as keystores"
        )
    if _UUID.fullmatch(file.name) and "participants" in _members(file):
        return FoundKeystore(file, skipped="it is a share of a distributed account: no machine has the whole key")
    return FoundKeystore(file, _password_of(file, passwords))


def _of_definition(one: Definition, definitions: Path, passwords: Path | None) -> FoundKeystore:
    if one.keystore is None:
        return FoundKeystore(definitions, skipped=f"{one.public_key}: its key is in a remote signer")
    if not one.is_enabled:
        return FoundKeystore(one.keystore, skipped=f"{FILE_NAME} says that it is not enabled")
    told = one.password
    if told is None or (isinstance(told, Path) and not told.exists() and passwords is not None):
        told = _password_of(one.keystore, passwords)
    return FoundKeystore(one.keystore, told)


def _password_of(keystore: Path, passwords: Path | None) -> Path | None:
    if passwords is None or not passwords.is_dir():
        return passwords
    own, of_directory = passwords / f"{keystore.stem}.txt", passwords / keystore.parent.name
    is_named_by_key = _KEY_DIRECTORY.fullmatch(keystore.parent.name) and not own.exists()
    return of_directory if is_named_by_key else own


def _members(file: Path) -> dict[str, object]:
    """The members of a JSON object; none where it is no such thing."""
    try:
        content = json.loads(read_regular(file, limit_bytes=KEYSTORE_LIMIT_BYTES))
    except (UnreadableFileError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
