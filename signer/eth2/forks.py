"""Forks of the beacon chain: their order, a request's `fork_info`, and which version counts at an epoch."""

from enum import IntEnum

from msgspec import Struct

from signer.units import Epoch, Root, Version


class Fork(IntEnum):
    """The forks in their order; comparable."""

    PHASE0 = 0
    ALTAIR = 1
    BELLATRIX = 2
    CAPELLA = 3
    DENEB = 4
    ELECTRA = 5
    FULU = 6
    GLOAS = 7
    HEZE = 8


class ForkInfo(Struct, frozen=True):
    """What a client says of the fork it signs under (`fork_info` of the remote signing API)."""

    previous_version: Version
    current_version: Version
    epoch: Epoch
    """First epoch of `current_version`. Lodestar sends the duty's epoch instead; never checked against a schedule."""

    genesis_validators_root: Root

    def version_at(self, epoch: Epoch) -> Version:
        """The fork version to sign under at an epoch (consensus-specs, `get_domain`)."""
        return self.previous_version if epoch < self.epoch else self.current_version
