"""One key that can sign, and where it came from."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from signer.crypto.bls import SecretKey
from signer.keys.tags import Tag
from signer.units import PublicKey

DEFAULT_NAMESPACE = "default"
"""Every key's namespace, until namespaces are configured."""


class Origin(StrEnum):
    """Where a key came from, as listings name it."""

    RAW_FILE = "file-raw"
    KEYSTORE_FILE = "file-keystore"
    BULK_KEYSTORE = "bulk-keystore"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class Key:
    """A loaded key. The secret is wiped when the last holder of this object lets go."""

    public_key: PublicKey
    secret: SecretKey
    origin: Origin
    source_file: Path
    """The file whose removal unloads this key: its YAML file, its bulk keystore, or the vault."""

    derivation_path: str | None = None
    """EIP-2334 path from the keystore; None for raw and bulk-loaded keys, as Web3Signer lists them."""

    namespace: str = DEFAULT_NAMESPACE
    tags: tuple[Tag, ...] = ()
    """Those that its document names; the record may know more of them (`tags.py`), and is what counts."""
