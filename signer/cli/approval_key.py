"""An approver's own key on their machine: 32 random bytes in a file that only they read."""

import secrets
from pathlib import Path

from signer.cli.problem import UsageFault
from signer.crypto.ed25519 import PRIVATE_KEY_BYTES, ed25519_public_key
from signer.crypto.secret import Secret
from signer.durable import read_private, write_durably

_PREFIX = b"holdfast-approval-key-1 "
"""The version of the file's one line; the key follows in hexadecimal."""


def create_approval_key(file: Path) -> bytes:
    """Write a new key and give its public key. Raises UsageFault: the file is there. OSError."""
    if file.exists():
        raise UsageFault(f"{file} is there already", remedy="name another file: whoever has its key needs it")
    key = Secret(secrets.token_bytes(PRIVATE_KEY_BYTES))
    write_durably(file, _PREFIX + key.reveal().hex().encode() + b"\n", private=True)
    return ed25519_public_key(key)


def read_approval_key(file: Path) -> Secret:
    """The key. Raises UsageFault: the file holds none. UnreadableFileError, StartupError: others can read it."""
    content = read_private(file, limit_bytes=256)
    text = content.strip().removeprefix(_PREFIX)
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if not content.startswith(_PREFIX) or len(key) != PRIVATE_KEY_BYTES:
        raise UsageFault(f"{file} holds no approval key", remedy="`holdfast approvals keygen FILE` makes one")
    return Secret(key)
