"""Make and sign a voluntary exit for whoever holds nothing but the key's name (the key manager API).

The exit is an ordinary duty from there on: it walks the whole gate, grants for what nothing takes back included.

A signer knows no chain: the validator's index must be told. It is not learnt from duties either: those hold what a
client believes, and nothing proves it. An exit with another validator's index is void: no chain accepts its signature.
"""

from dataclasses import dataclass

from signer.auth.principal import Caller
from signer.clock import Clock
from signer.errors import MalformedRequestError, NetworkUnknownError, ValidatorIndexNeededError
from signer.eth2.duties import VoluntaryExitDuty
from signer.eth2.forks import ForkInfo
from signer.eth2.networks import FAR_FUTURE_EPOCH, Network
from signer.intent import SignDuty
from signer.operations.gate import Gate
from signer.operations.sign import Signing
from signer.units import UINT64_MAX, Epoch, PublicKey, Root, Signature


@dataclass(frozen=True, slots=True)
class SignedExit:
    """What a beacon node takes (phase0, SignedVoluntaryExit)."""

    epoch: Epoch
    validator_index: int
    signature: Signature


class VoluntaryExits:
    """One instance for the life of the process."""

    def __init__(self, *, signing: Signing, gate: Gate, network: Network, clock: Clock) -> None:
        self._signing = signing
        self._gate = gate
        self._network = network
        self._clock = clock

    async def sign(
        self, public_key: PublicKey, caller: Caller, *, epoch: int | None, validator_index: int | None
    ) -> SignedExit:
        """An exit from this epoch on, the present one where none is named.

        Raises:
            ValidatorIndexNeededError, NetworkUnknownError, MalformedRequestError: what cannot be known here.
            UnknownKeyError, ForbiddenError, RefusalError, UnavailableError: as `Signing.sign`.
        """
        self._signing.check_may_ask(caller, public_key)
        if validator_index is None:
            raise ValidatorIndexNeededError("0x" + public_key.hex())
        for name, value in (("epoch", epoch), ("validator_index", validator_index)):
            if value is not None and not 0 <= value <= UINT64_MAX:
                raise MalformedRequestError(f"{name} is a decimal number below 2**64", path=name)
        now = self._network.epoch_at(self._clock.now())
        since = now if epoch is None else Epoch(epoch)
        if since is None:
            raise MalformedRequestError("name an epoch: this network's genesis time is not known here", path="epoch")
        root = self._gate.pinned
        if root is None:
            raise NetworkUnknownError
        duty = VoluntaryExitDuty(epoch=since, validator_index=validator_index)
        fork_info = _fork_info(self._network, since if now is None else now, root)
        return SignedExit(
            since, validator_index, await self._signing.sign(SignDuty(public_key, duty, fork_info), caller)
        )


def _fork_info(network: Network, epoch: Epoch, root: Root) -> ForkInfo:
    """What a beacon state of this epoch says of its fork (phase0, Fork)."""
    begun = [
        (version, first) for _, version, first in network.schedule if first <= epoch and first != FAR_FUTURE_EPOCH
    ] or [(network.genesis_fork_version, Epoch(0))]
    current, since = begun[-1]
    previous = begun[-2][0] if len(begun) > 1 else current
    return ForkInfo(previous, current, since, root)
