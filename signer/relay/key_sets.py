"""Key sets over the link, secrets and all: nobody else has an end of it, and buffers are wiped on both sides."""

from collections.abc import Iterable
from pathlib import Path

from signer.crypto.bls import SecretKey
from signer.keys.key import Key, Origin
from signer.relay.frames import KeyRow


def key_rows(keys: Iterable[Key]) -> list[KeyRow]:
    """Keys as they travel. The caller sends them with `send_secret` and wipes them with `wipe`."""
    rows = []
    for key in keys:
        secret = key.secret.to_secret()
        row = KeyRow(
            key.public_key,
            bytearray(secret.reveal()),
            key.origin,
            str(key.source_file),
            key.derivation_path,
            key.namespace,
        )
        secret.wipe()
        rows.append(row)
    return rows


def keys_of(rows: Iterable[KeyRow]) -> list[Key]:
    """The keys again, and the rows wiped.

    Raises:
        ValueError: a secret or an origin that is none. Its value is not in the message.
    """
    keys = []
    for row in rows:
        keys.append(
            Key(
                row.public_key,
                SecretKey.from_bytes(row.secret),
                Origin(row.origin),
                Path(row.source_file),
                row.derivation_path,
                row.namespace,
            )
        )
        row.secret[:] = bytes(len(row.secret))
    return keys


def wipe(rows: Iterable[KeyRow]) -> None:
    """Overwrite the secrets of rows that were sent."""
    for row in rows:
        row.secret[:] = bytes(len(row.secret))
