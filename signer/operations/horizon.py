"""The present, as the chain counts it: the clock's epoch and slot, and how far ahead of them anything is signed."""

from dataclasses import dataclass

from signer.clock import Clock
from signer.eth2.networks import Network
from signer.units import Epoch, Slot


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
        return None if epoch is None else Slot((epoch + 1) * self.network.preset.slots_per_epoch - 1)

    @property
    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return int(self.clock.now() * 1000)
