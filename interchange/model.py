"""What an EIP-3076 document says, as values.

Slots and epochs are unsigned 64-bit integers. A signing root is 32 bytes, or None where the document has none.
Rule 1: None never equals anything, not even None: a message without a root must be taken for a different one
(EIP-3076, condition 1).
Rule 2: several histories of one validator are read as one. The format allows a key to appear more than once, and
a long history is handed on in parts.
"""

from dataclasses import dataclass

FORMAT_VERSION = "5"
"""The one version of the format there is (EIP-3076, "Versioning"); 1 to 4 were drafts."""

UINT64_MAX = 2**64 - 1
"""Largest slot or epoch (consensus-specs, phase0)."""

PUBKEY_BYTES = 48
"""A compressed BLS12-381 G1 point (consensus-specs, BLSPubkey)."""

ROOT_BYTES = 32
"""An SSZ hash tree root."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a document says of itself."""

    genesis_validators_root: bytes
    """32 bytes that identify the chain."""

    interchange_format_version: str = FORMAT_VERSION


@dataclass(frozen=True, slots=True)
class SignedBlock:
    """One block that a validator signed."""

    slot: int
    signing_root: bytes | None = None
    """Usually 32 bytes. Shorter ones exist in files (Web3Signer keeps any length): they are kept as they stand
    and equal no root that a signer computes."""


@dataclass(frozen=True, slots=True)
class SignedAttestation:
    """One attestation that a validator signed."""

    source_epoch: int
    target_epoch: int
    signing_root: bytes | None = None
    """As in `SignedBlock`."""


@dataclass(frozen=True, slots=True)
class ValidatorHistory:
    """What one validator signed, or a part of it (Rule 2)."""

    pubkey: bytes
    """48 bytes, compressed."""

    blocks: tuple[SignedBlock, ...] = ()
    attestations: tuple[SignedAttestation, ...] = ()


@dataclass(frozen=True, slots=True)
class Interchange:
    """A whole document in memory."""

    metadata: Metadata
    validators: tuple[ValidatorHistory, ...]
