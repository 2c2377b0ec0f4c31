"""The consensus duties a validator signs, one frozen class each; `type` is the remote signing API's name."""

from dataclasses import dataclass
from typing import ClassVar

from signer.units import Epoch, Root, Slot


@dataclass(frozen=True, slots=True)
class AttestationDuty:
    """A vote: AttestationData (consensus-specs, phase0)."""

    type: ClassVar[str] = "ATTESTATION"
    slot: Slot
    index: int
    beacon_block_root: Root
    source_epoch: Epoch
    source_root: Root
    target_epoch: Epoch
    target_root: Root


@dataclass(frozen=True, slots=True)
class BlockDuty:
    """A proposal: BeaconBlockHeader; a full phase0 or altair block is reduced to its header on arrival
    (a block and its header have the same hash tree root)."""

    type: ClassVar[str] = "BLOCK_V2"
    slot: Slot
    proposer_index: int
    parent_root: Root
    state_root: Root
    body_root: Root


Duty = AttestationDuty | BlockDuty
