"""Networks: which chain this signer serves, its preset, its clock and its fork schedule.

A network gives the slots of an epoch, the genesis fork version of registrations, the shape of aggregates and
the Capella version of exits. The version a duty is signed under comes from the request's `fork_info`.
"""

from dataclasses import dataclass

from signer.eth2.forks import Fork
from signer.units import UINT64_MAX, Epoch, Root, Slot, Version

FAR_FUTURE_EPOCH = Epoch(UINT64_MAX)
"""The epoch of a fork that is not scheduled (phase0, `FAR_FUTURE_EPOCH`)."""


@dataclass(frozen=True, slots=True)
class Preset:
    """The compile-time constants of a chain that change the shape of what is signed."""

    name: str
    slots_per_epoch: int
    max_committees_per_slot: int
    sync_committee_size: int

    @property
    def sync_subcommittee_size(self) -> int:
        """Validators in a sync subcommittee: a quarter (altair, SYNC_COMMITTEE_SUBNET_COUNT)."""
        return self.sync_committee_size // 4


MAINNET_PRESET = Preset("mainnet", slots_per_epoch=32, max_committees_per_slot=64, sync_committee_size=512)
GNOSIS_PRESET = Preset("gnosis", slots_per_epoch=16, max_committees_per_slot=64, sync_committee_size=512)
MINIMAL_PRESET = Preset("minimal", slots_per_epoch=8, max_committees_per_slot=4, sync_committee_size=32)
# consensus-specs presets/, gnosischain/specs

PRESETS = {preset.name: preset for preset in (MAINNET_PRESET, GNOSIS_PRESET, MINIMAL_PRESET)}
"""By the name that PRESET_BASE has in a consensus configuration."""


@dataclass(frozen=True, slots=True)
class Network:
    """One chain. Immutable; a network whose root is pinned later is a new value (`dataclasses.replace`)."""

    name: str
    preset: Preset
    genesis_validators_root: Root | None
    """None where it is not known before the chain is: ephemery, development networks."""

    genesis_time: int | None
    """Seconds since the Unix epoch; None as above."""

    genesis_fork_version: Version
    schedule: tuple[tuple[Fork, Version, Epoch], ...]
    """Every known fork from phase0 in its order, with its first epoch; FAR_FUTURE_EPOCH where not scheduled."""

    slot_milliseconds: int

    def fork_at(self, epoch: Epoch) -> Fork:
        """The fork the schedule puts an epoch in."""
        return self._entry_at(epoch)[0]

    def version_at(self, epoch: Epoch) -> Version:
        """The fork version the schedule puts an epoch under."""
        return self._entry_at(epoch)[1]

    def find_fork(self, version: Version) -> Fork | None:
        """The fork of a version; None if the schedule does not know it, or gives it to several forks."""
        forks = [fork for fork, known, _ in self.schedule if known == version]
        return forks[0] if len(forks) == 1 else None

    def find_version(self, fork: Fork) -> Version | None:
        """The version of a fork, scheduled or not; None if the schedule does not know the fork."""
        return next((version for known, version, _ in self.schedule if known is fork), None)

    def epoch_of(self, slot: Slot) -> Epoch:
        """The epoch a slot is in."""
        return Epoch(slot // self.preset.slots_per_epoch)

    def slot_at(self, seconds: float) -> Slot | None:
        """The slot at a wall-clock time in seconds since the Unix epoch; 0 before genesis, None without a
        genesis time.
        """
        if self.genesis_time is None:
            return None
        return Slot(max(0, int((seconds - self.genesis_time) * 1000) // self.slot_milliseconds))

    def epoch_at(self, seconds: float) -> Epoch | None:
        """The epoch at a wall-clock time; as `slot_at`."""
        slot = self.slot_at(seconds)
        return None if slot is None else self.epoch_of(slot)

    def seconds_of_epoch(self, epoch: Epoch) -> float | None:
        """When an epoch begins, in seconds since the Unix epoch; None without a genesis time."""
        if self.genesis_time is None:
            return None
        return self.genesis_time + epoch * self.preset.slots_per_epoch * self.slot_milliseconds / 1000

    def _entry_at(self, epoch: Epoch) -> tuple[Fork, Version, Epoch]:
        # An unscheduled fork has no epoch, not even the last one: a request may name FAR_FUTURE_EPOCH itself.
        entry = self.schedule[0]
        for candidate in self.schedule:
            if candidate[2] <= epoch and candidate[2] != FAR_FUTURE_EPOCH:
                entry = candidate
        return entry
