"""An author's public key on the command line: its digits, or a file."""

from pathlib import Path

from signer.cli.problem import UsageFault
from signer.crypto.ed25519 import PUBLIC_KEY_BYTES, ed25519_public_key_of_pem
from signer.durable import read_regular

MAX_KEY_FILE_BYTES = 16384
"""A key in PEM has some hundred; what is much larger is no key."""


def read_author_key(written: str) -> bytes:
    """The 32 bytes of an Ed25519 public key, from 64 digits with or without 0x, or from a PEM file.

    Raises:
        UsageFault: it is neither.
        SignerError: the file cannot be read.
    """
    digits = written.lower().removeprefix("0x")
    if len(digits) == 2 * PUBLIC_KEY_BYTES and set(digits) <= set("0123456789abcdef"):
        return bytes.fromhex(digits)
    try:
        if Path(written).is_file():
            return ed25519_public_key_of_pem(read_regular(Path(written), limit_bytes=MAX_KEY_FILE_BYTES))
    except (OSError, ValueError):
        pass  # no name that a file can have, or a file with something else: a private key, for example
    raise UsageFault(
        f"{written[:80]!r} is no Ed25519 public key",
        remedy="write its 64 hexadecimal digits, as `holdfast policy build --sign-with author.pem` prints them, or name"
        " a PEM file with the public key alone (openssl pkey -in author.pem -pubout -out author.pub.pem)",
    )
