"""A password from a file: its first line, or all of it, newline included."""

import re
from pathlib import Path

from signer.crypto.secret import Secret
from signer.durable import read_regular
from signer.errors import SecretSourceError, UnreadableFileError

LIMIT_BYTES = 65_536
"""More than any password; a larger file is a mistake."""

_LINE_END = re.compile(rb"\r\n|\r|\n")
"""What ends a line for Web3Signer, whose password files we read (java.io.BufferedReader.readLine)."""


def whole_file(path: Path) -> Secret:
    """Every byte of a file. Raises SecretSourceError if it cannot be read or has nothing but white space."""
    try:
        content = read_regular(path, limit_bytes=LIMIT_BYTES)
    except UnreadableFileError as fault:
        raise SecretSourceError(f"password file {fault.sentence}", evidence=fault.evidence) from fault
    if not content.strip():
        raise SecretSourceError(f"password file {path} is blank", evidence={"file": str(path)})
    return Secret(content)


def first_line(content: Secret, location: str) -> Secret:
    """The first line of a file's content. Raises SecretSourceError if it is blank."""
    line = _LINE_END.split(content.reveal(), maxsplit=1)[0]
    if not line.strip():
        raise SecretSourceError(f"the first line of password file {location} is blank", evidence={"file": location})
    return Secret(line)
