"""In-memory twins of what the HTTP edge calls, a listener over them, and a client that sends exactly its bytes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from approvals_twin import ApprovalsTwin
from custody_twin import CustodyTwin
from freezing_twin import FreezingTwin
from keeping_twins import ExplainingTwin, KeepingTwin
from policies_twin import PolicyManagementTwin

from signer.api.assembly import build_admin, build_api
from signer.api.server import ApiServer
from signer.api.services import AuditReport, Identity, Services, wire_of
from signer.api.settings import ApiSettings
from signer.auth.authenticate import Authenticator
from signer.auth.authorize import check_authorized
from signer.auth.principal import ANONYMOUS, Action, Caller
from signer.clock import FixedClock
from signer.errors import BusyError, NotReadyError, RefusalError, SignerError, UnknownKeyError
from signer.eth2.builtin_networks import find_network
from signer.events import Events
from signer.intent import SignDuty, SignExtension
from signer.operations.dry_run import DryVerdict
from signer.operations.evaluate_policies import Evaluated
from signer.operations.exporting import ALL, Receipt, Selection
from signer.operations.keep_preferences import Preferences
from signer.operations.key_manager import Deletion, ManagedKey
from signer.operations.manage_keys import KeyDescription, KeyList, ReloadStatus, SourceHealth
from signer.operations.orders import Carried, SetPreferences
from signer.operations.policy_check import Hear, hear_nothing
from signer.operations.protect import WHOLE, HighWatermark, ImportedValidator, ImportOptions
from signer.operations.read_audit import AuditPage, AuditQuery, ToldEntry
from signer.operations.sign_exit import VoluntaryExits
from signer.policy.combine import Allowed, Outcome
from signer.policy.facts import Facts
from signer.policy.verdict import ALLOW
from signer.units import PublicKey, Root, Signature

KEY = PublicKey(
    bytes.fromhex("98d083489b3b06b8740da2dfec5cc3c01b2086363fe023a9d7dc1f907633b1ff11f7b99b19e0533e969862270061d884")
)
OTHER_KEY = PublicKey(
    bytes.fromhex("a46bf94016af71e55ca0518fe6a8bd3852e01b3f959780ba2d8f4fb2dd2a06e4a0d0f1fa5bcd9d4a26a7a1f1ab2ab6c5")
)
ROOT = "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"

ENTRY = ToldEntry(
    index=7,
    time="2026-01-02T03:04:05.678Z",
    kind="duty",
    outcome="refused",
    principal="alice",
    request_id="0011223344556677",
    public_key="0x" + KEY.hex(),
    duty="ATTESTATION",
    span={"source_epoch": 4, "target_epoch": 5},
    signing_root=ROOT,
    code="DOUBLE_VOTE",
    note="target_epoch=5",
    repeat=False,
    blind=False,
)
"""A refusal, as the audit log tells it."""


def attestation(**changes: Any) -> dict[str, Any]:
    """An ordinary attestation body; `changes` replace members, None removes them."""
    body: dict[str, Any] = {
        "type": "ATTESTATION",
        "fork_info": {
            "fork": {"previous_version": "0x05000000", "current_version": "0x06000000", "epoch": "364032"},
            "genesis_validators_root": ROOT,
        },
        "attestation": {
            "slot": "1",
            "index": "0",
            "beacon_block_root": ROOT,
            "source": {"epoch": "0", "root": ROOT},
            "target": {"epoch": "1", "root": ROOT},
        },
    }
    body.update(changes)
    return {name: value for name, value in body.items() if value is not None}


def block(**changes: Any) -> dict[str, Any]:
    """An ordinary proposal: of a type whose body may be large."""
    header = {"slot": "1", "proposer_index": "1", "parent_root": ROOT, "state_root": ROOT, "body_root": ROOT}
    proposal = {"version": "DENEB", "block_header": header}
    return attestation(type="BLOCK_V2", attestation=None, beacon_block=proposal, **changes)


class SigningTwin:
    """Signs for two keys with a hash; raises what it is told to."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.batch_error: BaseException | None = None
        self.intents: list[SignDuty | SignExtension] = []
        self.callers: list[Caller] = []
        self.outcomes: tuple[Outcome, ...] = ()

    def check_may_ask(
        self, caller: Caller, public_key: PublicKey | None = None, *, action: Action = Action.SIGN_DUTY
    ) -> None:
        if public_key not in (None, KEY, OTHER_KEY):
            raise UnknownKeyError("0x" + public_key.hex())
        check_authorized(caller.principal, action)

    async def sign(self, intent: SignDuty, caller: Caller, *, hear: Hear = hear_nothing) -> Signature:
        hear(self.outcomes)
        self.callers.append(caller)
        self.intents.append(intent)
        if self.error is not None:
            raise self.error
        if intent.public_key not in (KEY, OTHER_KEY):
            raise UnknownKeyError("0x" + intent.public_key.hex())
        check_authorized(caller.principal, Action.SIGN_DUTY, public_key=intent.public_key, duty_type=intent.duty.type)
        return signature_of(intent.public_key)

    async def sign_each(
        self, intents: Sequence[SignDuty | SignerError], caller: Caller
    ) -> list[Signature | SignerError]:
        if self.batch_error is not None:
            raise self.batch_error
        answers: list[Signature | SignerError] = []
        for intent in intents:
            try:
                answers.append(intent if isinstance(intent, SignerError) else await self.sign(intent, caller))
            except SignerError as error:
                answers.append(error)
        return answers

    async def sign_extension(self, intent: SignExtension, caller: Caller) -> Signature:
        self.callers.append(caller)
        self.intents.append(intent)
        if self.error is not None:
            raise self.error
        return signature_of(intent.public_key)


def signature_of(public_key: PublicKey) -> Signature:
    """96 bytes that differ for each key."""
    return Signature(hashlib.sha512(public_key).digest() + hashlib.sha256(public_key).digest())


class KeyManagementTwin:
    """Two keys, and whatever state it is given."""

    def __init__(self) -> None:
        self.ready = True
        self.keys = (KEY, OTHER_KEY)
        self.sources = (SourceHealth("config-files-loading", 2, 0),)
        self.status = ReloadStatus("idle", None, None)
        self.reloads = 0

    def list_keys(self, caller: Caller) -> KeyList:
        self._check(caller)
        return KeyList(self.keys, hashlib.sha256(b"".join(self.keys)).hexdigest()[:16])

    def describe_keys(self, caller: Caller) -> tuple[KeyDescription, ...]:
        self._check(caller)
        return tuple(KeyDescription(key, "default", "file-raw", None) for key in reversed(self.keys))

    async def health(self) -> tuple[SourceHealth, ...]:
        return self.sources

    async def reload_status(self, caller: Caller) -> ReloadStatus:
        check_authorized(caller.principal, Action.KEYS_LIST)
        return self.status

    async def start_reload(self, caller: Caller) -> None:
        check_authorized(caller.principal, Action.KEYS_RELOAD)
        if self.status.status == "running":
            raise BusyError("a reload is running")
        self.reloads += 1
        self.status = ReloadStatus("running", 1_700_000_000.25, None)

    def _check(self, caller: Caller) -> None:
        check_authorized(caller.principal, Action.KEYS_LIST)
        if not self.ready:
            raise NotReadyError("the first load of keys has not ended")


class KeyManagerTwin:
    """Two keys, one of them read-only; whatever is brought in is there."""

    def __init__(self) -> None:
        self.ready = True
        self.error: SignerError | None = None

    def list_keys(self, caller: Caller) -> tuple[ManagedKey, ...]:
        check_authorized(caller.principal, Action.KEYS_LIST)
        if not self.ready:
            raise NotReadyError("the first load of keys has not ended")
        return (ManagedKey(KEY, "m/12381/3600/0/0/0", readonly=False), ManagedKey(OTHER_KEY, None, readonly=True))

    def check_may_change(self, caller: Caller) -> None:
        check_authorized(caller.principal, Action.KEYS_WRITE)

    async def import_keystores(
        self, keystores: Sequence[str], _passwords: Sequence[str], caller: Caller
    ) -> tuple[Carried, ...]:
        self._check(caller)
        return tuple(Carried(KEY, "imported") for _ in keystores)

    async def delete_keys(self, keys: Sequence[PublicKey], caller: Caller) -> Deletion:
        self._check(caller)
        return Deletion(tuple(Carried(key, "deleted") for key in keys), b"{}")

    async def allow_keys(self, keys: Sequence[PublicKey], caller: Caller) -> tuple[Carried, ...]:
        self._check(caller)
        return tuple(Carried(key, "allowed") for key in keys)

    def _check(self, caller: Caller) -> None:
        self.check_may_change(caller)
        if not self.ready:
            raise NotReadyError("the first load of keys has not ended")
        if self.error is not None:
            raise self.error


class PreferencesTwin:
    """What is set for each of the two keys; a default for the fee recipient alone."""

    def __init__(self) -> None:
        self.ready = True
        self.error: SignerError | None = None
        self.kept: dict[PublicKey, SetPreferences] = {}

    defaults = Preferences(fee_recipient=b"\xdd" * 20)

    async def own(self, public_key: PublicKey, caller: Caller) -> Preferences:
        return await self.effective(public_key, caller)

    async def effective(self, public_key: PublicKey, caller: Caller) -> Preferences:
        check_authorized(caller.principal, Action.KEYS_LIST)
        self._check(public_key)
        kept = self.kept.get(public_key, SetPreferences((public_key,), fee_recipient=b"\x11" * 20, gas_limit=30))
        return Preferences(kept.fee_recipient, kept.gas_limit, kept.graffiti)

    def check_may_set(self, keys: Sequence[PublicKey], caller: Caller) -> None:
        check_authorized(caller.principal, Action.KEYS_WRITE)
        for key in keys:
            self._check(key)

    async def set(self, order: SetPreferences, caller: Caller) -> tuple[Carried, ...]:
        self.check_may_set(order.keys, caller)
        for key in order.keys:
            self.kept[key] = order
        return tuple(Carried(key, "set") for key in order.keys)

    def _check(self, public_key: PublicKey) -> None:
        if not self.ready:
            raise NotReadyError("the first load of keys has not ended")
        if public_key not in (KEY, OTHER_KEY):
            raise UnknownKeyError("0x" + public_key.hex())
        if self.error is not None:
            raise self.error


class Pinned:
    """Knows its chain."""

    pinned = Root(bytes.fromhex(ROOT[2:]))


class ProtectionTwin:
    """A record that is two texts."""

    def __init__(self) -> None:
        self.mark = HighWatermark(None, None)
        self.pieces: list[bytes | Exception] = [b'{"metadata":{},', b'"data":[]}']
        self.imported: list[bytes] = []
        self.error: SignerError | None = None

    async def high_watermark(self, _caller: Caller) -> HighWatermark:
        if self.error is not None:
            raise self.error
        return self.mark

    async def import_interchange(
        self, file: Path, caller: Caller, options: ImportOptions = WHOLE
    ) -> tuple[ImportedValidator, ...]:
        check_authorized(caller.principal, Action.SLASHING_WRITE)
        assert file.stat().st_mode & 0o077 == 0
        self.imported.append(file.read_bytes())
        if self.error is not None:
            raise self.error
        return (ImportedValidator(KEY, 3, 7, None), ImportedValidator(OTHER_KEY, 0, 0, "conflicts"))

    async def receipt(self, caller: Caller) -> Receipt:
        check_authorized(caller.principal, Action.SLASHING_READ)
        if self.error is not None:
            raise self.error
        return Receipt(
            database_id="00" * 16,
            genesis_validators_root="0x" + "4b" * 32,
            low_epoch=None,
            low_slot=None,
            validators={},
        )

    def export_interchange(self, caller: Caller, selection: Selection = ALL) -> Iterator[bytes]:
        check_authorized(caller.principal, Action.SLASHING_READ)
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


_EVALUATED = Evaluated(Allowed((Outcome("staking", "ab" * 32, ALLOW),)), 3, ("staking",))


@dataclass
class PolicyEvaluationTwin:
    """Answers whatever it is asked with one decision, and remembers the questions."""

    evaluated: Evaluated = _EVALUATED
    questions: list[Any] = field(default_factory=list)

    async def of_request(self, intent: SignDuty, caller: Caller) -> Evaluated:
        self.questions.append(intent)
        return self.evaluated

    async def of_facts(self, facts: Facts, names: Sequence[str] | None, caller: Caller) -> Evaluated:
        check_authorized(caller.principal, Action.POLICY_READ)
        self.questions.append((facts, names))
        return self.evaluated


@dataclass
class World:
    """Everything behind one listener."""

    directory: Path = Path("/nonexistent")
    signing: SigningTwin = field(default_factory=SigningTwin)
    keys: KeyManagementTwin = field(default_factory=KeyManagementTwin)
    freezing: FreezingTwin = field(default_factory=FreezingTwin)
    custody: CustodyTwin = field(default_factory=lambda: CustodyTwin([KEY]))
    key_manager: KeyManagerTwin = field(default_factory=KeyManagerTwin)
    preferences: PreferencesTwin = field(default_factory=PreferencesTwin)
    policy_management: PolicyManagementTwin = field(default_factory=PolicyManagementTwin)
    protection: ProtectionTwin = field(default_factory=ProtectionTwin)
    explaining: ExplainingTwin = field(default_factory=lambda: ExplainingTwin(KEY))
    keeping: KeepingTwin = field(default_factory=KeepingTwin)
    approvals: ApprovalsTwin = field(default_factory=lambda: ApprovalsTwin(KEY))
    policy_evaluation: PolicyEvaluationTwin = field(default_factory=PolicyEvaluationTwin)
    events: Events = field(default_factory=Events)
    journal_up: bool = True
    policies_fault: str = ""
    audit_queries: list[AuditQuery] = field(default_factory=list)
    audit: AuditReport | SignerError = field(default_factory=lambda: AuditReport(12, b"\x01" * 32, 0))

    def services(self) -> Services:
        return Services(
            signing=self.signing,
            dry_run=self._dry_run,
            policy_evaluation=self.policy_evaluation,
            keys=self.keys,
            freezing=self.freezing,
            custody=self.custody,
            key_manager=self.key_manager,
            preferences=self.preferences,
            policy_management=self.policy_management,
            who_can=self.policy_management.who_can,
            kept_decisions=self.policy_management.kept_decisions,
            exits=VoluntaryExits(
                signing=self.signing,
                gate=Pinned(),
                network=find_network("mainnet"),
                clock=FixedClock(1_700_000_000),
            ),
            protection=self.protection,
            wire=wire_of(find_network("mainnet")),
            clock=FixedClock(1_700_000_000),
            events=self.events,
            identity=Identity("1.2.3", "mainnet", str(self.directory)),
            journal_state=self._journal_state,
            journal_healthy=self._journal_healthy,
            policies_fault=lambda: self.policies_fault,
            verify_audit=self._verify,
            read_audit=self._read_audit,
            explaining=self.explaining,
            keeping=self.keeping,
            approvals=self.approvals,
            metrics_page=self._metrics_page,
            shadow_counts=self._shadow_counts,
        )

    async def _journal_state(self) -> dict[str, Any]:
        return {"entries": 12, "path": "journal.db"}

    async def _journal_healthy(self) -> bool:
        return self.journal_up

    async def _shadow_counts(self) -> dict[str, tuple[int, int]]:
        return {"staking": (5, 2)}

    async def _metrics_page(self) -> bytes:
        return b"# metrics\n"

    async def _verify(self, caller: Caller) -> AuditReport:
        check_authorized(caller.principal, Action.AUDIT_READ)
        if isinstance(self.audit, SignerError):
            raise self.audit
        return self.audit

    async def _dry_run(self, intent: SignDuty, caller: Caller) -> DryVerdict:
        """As signing, and what that refuses as a verdict."""
        try:
            await self.signing.sign(intent, caller)
        except RefusalError as refusal:
            return DryVerdict(Root(bytes(32)), refusal)
        return DryVerdict(Root(bytes(32)), None, repeat=True)

    async def _read_audit(self, query: AuditQuery, caller: Caller) -> AuditPage:
        check_authorized(caller.principal, Action.AUDIT_READ)
        if isinstance(self.audit, SignerError):
            raise self.audit
        self.audit_queries.append(query)
        return AuditPage((ENTRY,), 7, 0)

    def seen(self, kind: type) -> list[Any]:
        """Every event of a kind from now on."""
        events: list[Any] = []
        self.events.subscribe(kind, events.append)
        return events


@dataclass
class Received:
    """One answer as it came over the wire."""

    version: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, values
        return values[0] if values else None


class RawClient:
    """A socket that sends exactly the bytes it is given."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self, *, to_head: bool = False) -> Received:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")[:-2]
        version, status, _ = first.split(" ", 2)
        headers = [tuple(line.split(": ", 1)) for line in lines]
        received = Received(version, int(status), headers, b"")
        if to_head or received.status in (100, 204, 304):
            return received
        length = received.header("Content-Length")
        if length is not None:
            received.body = await self.reader.readexactly(int(length))
        elif received.header("Transfer-Encoding") == "chunked":
            received.body = await self._chunks()
        else:
            received.body = await self.reader.read()
        return received

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return body

    async def at_end(self) -> bool:
        """True when the server has closed."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    async def ask(self, method: str, path: str, *headers: str, body: bytes = b"") -> Received:
        """One request with a Host and, if it has a body, a Content-Length."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return await self.receive(to_head=method == "HEAD")

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError, OSError):
            await self.writer.wait_closed()


@dataclass
class Listener:
    """One server on a port of loopback."""

    server: ApiServer
    port: int
    runner: web.ServerRunner
    tls: Any = None

    @asynccontextmanager
    async def client(self, tls: Any = None) -> AsyncIterator[RawClient]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=tls, server_hostname="localhost" if tls else None, limit=2**24
        )
        client = RawClient(reader, writer)
        try:
            yield client
        finally:
            await client.close()


Build = Callable[[Services], ApiServer]


@asynccontextmanager
async def listening(
    world: World,
    *,
    settings: ApiSettings | None = None,
    authenticator: Authenticator | None = None,
    build: Build | None = None,
    tls: Any = None,
) -> AsyncIterator[Listener]:
    """A listener over the twins; without `authenticator` everybody is anonymous."""
    services = world.services()
    if build is not None:
        server = build(services)
    else:
        server = build_api(
            services,
            authenticator=authenticator or Authenticator([], anonymous=ANONYMOUS),
            settings=settings or ApiSettings(),
        )
    runner = web.ServerRunner(server, shutdown_timeout=1)
    await runner.setup()
    server.tls = tls
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Listener(server, site.port, runner, tls)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(
    world: World, *, settings: ApiSettings | None = None, owners: frozenset[int] | None = None
) -> AsyncIterator[RawClient]:
    """A line to the admin socket."""
    path = world.directory / "admin.sock"
    server = build_admin(world.services(), settings=settings or ApiSettings(), owners=owners)
    runner = web.ServerRunner(server, shutdown_timeout=1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    client = RawClient(*await asyncio.open_unix_connection(str(path), limit=2**24))
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()
