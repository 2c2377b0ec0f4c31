"""Lighthouse's `validator_definitions.yml`: which of its keystores are in use, and where their passwords are.

    - enabled: true
      voting_public_key: "0x..."
      type: local_keystore                 # or web3signer: the key is elsewhere
      voting_keystore_path: /var/lib/lighthouse/validators/0x.../voting-keystore.json
      voting_keystore_password_path: /var/lib/lighthouse/secrets/0x...
      voting_keystore_password: "..."      # in place of the path

Source: Lighthouse, common/account_utils/src/validator_definitions.rs. The paths are of the machine that wrote them: the
same names are looked for beside the file first, as its data directory has them.
"""

from dataclasses import dataclass
from pathlib import Path

from signer.crypto.secret import Secret
from signer.durable import read_regular
from signer.errors import KeyFileError, KeyFormatError, UnreadableFileError
from signer.keys.yaml_documents import Document, flat_items

FILE_NAME = "validator_definitions.yml"

_LIMIT_BYTES = 64 << 20
"""Some 100,000 definitions."""

_WITHOUT_LINE_ENDS = {ord("\r"): None, ord("\n"): None}
"""EIP-2335 takes control characters out of a password; a password file of one line must do without these."""

_SECRETS = "secrets"
"""The directory beside `validators/` with a password file for each public key."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One validator of Lighthouse's, as far as it matters to who takes its key over."""

    public_key: str
    keystore: Path | None
    """None where the key is not in a file."""

    password: Path | Secret | None
    """None where it does not say."""

    is_enabled: bool


def read_definitions(file: Path) -> list[Definition]:
    """Every definition of a file, in its order. Raises KeyFileError."""
    try:
        return [_definition(item, file.parent) for item in flat_items(read_regular(file, limit_bytes=_LIMIT_BYTES))]
    except (KeyFormatError, UnreadableFileError) as fault:
        raise KeyFileError(fault.sentence, file=str(file)) from fault


def _definition(item: Document, directory: Path) -> Definition:
    is_enabled, keystore = (item.get(name) or "" for name in ("enabled", "voting_keystore_path"))
    path = Path(keystore)
    return Definition(
        public_key=item.get("voting_public_key") or "",
        keystore=_nearest(directory / path.parent.name / path.name, path) if keystore else None,
        password=_password(item, directory),
        is_enabled=is_enabled == "true",
    )


def _password(item: Document, directory: Path) -> Path | Secret | None:
    if text := item.get("voting_keystore_password"):
        return Secret(text.translate(_WITHOUT_LINE_ENDS).encode())
    if path := item.get("voting_keystore_password_path"):
        return _nearest(directory.parent / _SECRETS / Path(path).name, Path(path))
    return None


def _nearest(beside: Path, written: Path) -> Path:
    return written if written.exists() and not beside.exists() else beside
