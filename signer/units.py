"""The words and units every floor of the house uses."""

from typing import NewType

Slot = NewType("Slot", int)
"""A slot number, unsigned 64-bit (consensus-specs, phase0)."""

Epoch = NewType("Epoch", int)
"""An epoch number, unsigned 64-bit (consensus-specs, phase0)."""

Root = NewType("Root", bytes)
"""A 32-byte SSZ hash tree root."""

Version = NewType("Version", bytes)
"""A 4-byte fork version."""

Domain = NewType("Domain", bytes)
"""A 32-byte signature domain: 4 bytes of type, 28 of fork data root."""

PublicKey = NewType("PublicKey", bytes)
"""A 48-byte compressed BLS12-381 G1 public key."""

Signature = NewType("Signature", bytes)
"""A 96-byte compressed BLS12-381 G2 signature."""

UINT64_MAX = 2**64 - 1
"""Largest slot or epoch; the consensus specification's FAR_FUTURE_EPOCH."""

PUBLIC_KEY_BYTES = 48
SIGNATURE_BYTES = 96
ROOT_BYTES = 32
VERSION_BYTES = 4
