"""The present, as the chain counts it: the clock's epoch and slot, and how far ahead of them anything is signed."""

from dataclasses import dataclass

from signer.clock import Clock
from signer.eth2.networks import Network
from signer.units import Epoch, Slot

FURTHEST_LOW_EPOCHS = 225
"""How far ahead of the clock a low watermark may be raised without saying so twice: a day of mainnet. It is never
lowered again, and a slot typed for an epoch would stop the keys for years."""

EARLY_EPOCHS = 1
"""How far ahead of the clock honest records reach: a duty may be signed an epoch early."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """One for the life of the process."""

    network: Network
    clock: Clock
    far_future_epochs: int | None
    """`clock.far_future_epochs`; None where there is no guard."""

    @property
    def epoch(self) -> Epoch | None:
        """The epoch now; None where nobody knows when the chain began."""
        return self.network.epoch_at(self.clock.now())

    @property
    def slot(self) -> Slot | None:
        """The slot now; None as above."""
        return self.network.slot_at(self.clock.now())

    @property
    def last_epoch(self) -> Epoch | None:
        """The furthest epoch that is signed now; None where no guard looks."""
        epoch = self.epoch
        if epoch is None or self.far_future_epochs is None:
            return None
        return Epoch(epoch + self.far_future_epochs)

    @property
    def last_slot(self) -> Slot | None:
        """The furthest slot that is signed now; None as above."""
        epoch = self.last_epoch
        return None if epoch is None else self.last_slot_of(epoch)

    @property
    def last_imported_epoch(self) -> Epoch | None:
        """The furthest epoch of a record that another signer may have made by now; None where nobody knows the epoch.

        Where no guard looks it is as far as a low watermark may be raised.
        """
        epoch, reach = self.epoch, self.far_future_epochs
        if epoch is None:
            return None
        return Epoch(epoch + (FURTHEST_LOW_EPOCHS if reach is None else max(reach, EARLY_EPOCHS)))

    def last_slot_of(self, epoch: Epoch) -> Slot:
        """The last slot of an epoch."""
        return Slot((epoch + 1) * self.network.preset.slots_per_epoch - 1)

    @property
    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return int(self.clock.now() * 1000)
