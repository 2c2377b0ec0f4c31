"""The road to a private key, from an intent to its signature: a record of its own, and a key that fails when told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

from operations.keeping_twin import entries
from operations.policy_twin import policy_check
from operations.record_twin import CHAIN, NOW, House

from signer.audit.entry import Entry
from signer.auth.irreversible import IrreversibleRule
from signer.auth.principal import OPERATOR, Caller
from signer.crypto import bls
from signer.crypto.bls import SecretKey
from signer.errors import SigningFailedError
from signer.eth2.builtin_networks import find_network
from signer.eth2.duties import AttestationDuty, BlockDuty
from signer.eth2.signing_root import ForkInfo, signing_root
from signer.events import DutyAnswered, Events
from signer.intent import SignDuty
from signer.keys.key import Key, Origin
from signer.keys.ring import KeyRing
from signer.operations.gate import Gate
from signer.operations.policies import Policies
from signer.operations.record import Record
from signer.operations.sign import Signing
from signer.policy.combine import IN_PRODUCTION
from signer.units import Epoch, PublicKey, Root, Signature, Slot, Version

BLS = bls.load()
NOW_EPOCH = 1000
NETWORK = changed(find_network("mainnet"), genesis_time=int(NOW) - NOW_EPOCH * 32 * 12)  # type: ignore[type-var]
SECRETS = [SecretKey.from_bytes(number.to_bytes(32, "big")) for number in (1, 2, 3)]
KEYS = [PublicKey(bytes(BLS.public_key(secret))) for secret in SECRETS]
STRANGER = PublicKey(b"\xab" * 48)
FORK = ForkInfo(Version(bytes(4)), Version(bytes(4)), Epoch(0), CHAIN)
CALLER = Caller(OPERATOR, request_id=b"request1")


def vote(target: int = NOW_EPOCH, *, source: int | None = None, mark: int = 1, key: PublicKey = KEYS[0]) -> SignDuty:
    duty = AttestationDuty(
        slot=Slot(target * 32),
        index=0,
        beacon_block_root=Root(bytes([mark]) * 32),
        source_epoch=Epoch(target - 1 if source is None else source),
        source_root=Root(bytes(32)),
        target_epoch=Epoch(target),
        target_root=Root(bytes(32)),
    )
    return SignDuty(key, duty, FORK)


def block(slot: int) -> SignDuty:
    zero = Root(bytes(32))
    duty = BlockDuty(slot=Slot(slot), proposer_index=1, parent_root=zero, state_root=zero, body_root=zero)
    return SignDuty(KEYS[0], duty, FORK)


def right(intent: SignDuty) -> bytes:
    """The one right signature, computed beside the road."""
    root = signing_root(intent.duty, intent.fork_info, NETWORK)
    return bytes(BLS.sign(SECRETS[KEYS.index(intent.public_key)], root))


@dataclass
class Backend:
    """Signs at once, counts, and fails or dawdles when told to."""

    signed: list[bytes] = field(default_factory=list)
    failing: bool = False
    dawdling: asyncio.Event | None = None
    before: Callable[[], None] = lambda: None

    async def sign(self, handle: SecretKey, message: bytes, *, on_start: Callable[[], None] | None = None) -> Signature:
        self.before()
        if on_start is not None:
            on_start()
        if self.dawdling is not None:
            await self.dawdling.wait()
        if self.failing:
            raise SigningFailedError("the key could not sign: RuntimeError")
        self.signed.append(message)
        return Signature(bytes(BLS.sign(handle, message)))

    async def sign_many(self, jobs: Sequence[tuple[SecretKey, bytes]]) -> list[Signature | SigningFailedError]:
        found: list[Signature | SigningFailedError] = []
        for handle, message in jobs:
            try:
                found.append(await self.sign(handle, message))
            except SigningFailedError as error:
                found.append(error)
        return found


@dataclass
class Road:
    """Everything between an intent and its signature. Owned by one test."""

    house: House
    record: Record
    backend: Backend
    gate: Gate
    signing: Signing
    answered: list[DutyAnswered]
    events: Events
    policies: Policies

    def audit(self) -> list[Entry]:
        """Every audit entry so far."""
        return entries(self.house)


@asynccontextmanager
async def road(
    tmp_path: Path, *, deadline_seconds: float = 30.0, house: House | None = None, **settings: Any
) -> AsyncIterator[Road]:
    house, events, ring = house or House(tmp_path), Events(), KeyRing()
    answered: list[DutyAnswered] = []
    events.subscribe(DutyAnswered, answered.append)
    ring.replace(
        Key(key, secret, Origin.RAW_FILE, Path("keys.yaml")) for key, secret in zip(KEYS, SECRETS, strict=True)
    )
    with house.record(genesis_validators_root=settings.pop("chain", CHAIN)) as record:
        check = policy_check(
            record.view.reading,
            NETWORK,
            house.clock,
            events=events,
            defaults=settings.pop("unbound", IN_PRODUCTION),
            changes=record.writer,
        )
        gate = Gate(
            ring=ring,
            network=NETWORK,
            pinned=record.pinned,
            clock=house.clock,
            far_future_epochs=settings.pop("far_future_epochs", 1),
            irreversible=IrreversibleRule(allowed=True),
            policy_check=check,
        )
        backend = Backend()
        signing = Signing(
            gate=gate,
            journal=record.writer,
            backend=backend,  # type: ignore[arg-type]
            clock=house.clock,
            events=events,
            deadline_seconds=deadline_seconds,
        )
        try:
            yield Road(house, record, backend, gate, signing, answered, events, check.policies)
        finally:
            await check.policies.close()
