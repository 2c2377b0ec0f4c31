"""Builds everything in order and closes it in reverse: the only file that names concrete classes.

lock, database, head file, writer      the record: nothing else is touched until it is sound
BLS, vault, ring, loader               the keys, loaded in the background
gate, signing, management, protection  operations
admin socket, metrics, network         edges, the network last
"""

import asyncio
import contextlib
import importlib.metadata
import logging
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from signer.api.assembly import build_admin, build_api, build_metrics
from signer.api.listeners import Listeners
from signer.api.services import Identity, Services, wire_of
from signer.api.settings import ANY_HOST, ApiSettings
from signer.api.tls import HotContext
from signer.audit.entry import Kind
from signer.auth.authenticate import Authenticator
from signer.auth.principal import OPERATOR, Caller
from signer.backends.software import SoftwareBackend
from signer.clock import Clock, SystemClock
from signer.clock.sources import parse_clock_source
from signer.config.credentials import find_anonymous, read_credentials
from signer.config.production import check_start
from signer.config.sections import Config
from signer.crypto import bls
from signer.durable import ensure_private_directory
from signer.errors import SignerError, StartupError
from signer.eth2.builtin_networks import find_network
from signer.eth2.network_config import network_from_config
from signer.eth2.networks import Network
from signer.events import BatchCommitted, Events, KeysLoaded, RequestRefused
from signer.journal.command import Command
from signer.journal.lock import DirectoryLock
from signer.keys.data_key import KeyFileUnlock, PasswordUnlock, Unlock
from signer.keys.guard import GuardedLoader, LoadsKeys
from signer.keys.loader import Loader, no_progress
from signer.keys.reload import LoadResult, Reloader
from signer.keys.report import Progress
from signer.keys.ring import KeyRing
from signer.keys.sources import BulkDirectory, KeyLocations
from signer.keys.vault import open_vault
from signer.operations.gate import Gate
from signer.operations.manage_keys import KeyManagement, LocalLoads
from signer.operations.protect import Protection, WriterImports
from signer.operations.record import Places, Record, open_database, open_record
from signer.operations.restore import RestorePlan, accept_restore, plan_restore, safe_floor
from signer.operations.sign import Signing
from signer.operations.story import NoteStory
from signer.operations.upkeep import AuditArchiver, Summaries, TurnedAway
from signer.operations.verify_audit import AuditReport, AuditVerification
from signer.secret_sources.file import first_line, whole_file
from signer.telemetry.exposition import MetricsPage
from signer.telemetry.log_lines import subscribe_log
from signer.telemetry.logs import Logs, file_handler, stream_handler
from signer.telemetry.metrics import Metrics

SWITCH_INTERVAL_SECONDS = 0.0005
"""How long a thread may keep the interpreter from the event loop; the default of 5 ms shows in p99 (DESIGN.md)."""


@dataclass(frozen=True, slots=True)
class Core:
    """Everything below the edges, for one data directory."""

    config: Config
    network: Network
    record: Record
    ring: KeyRing
    reloader: Reloader
    keys: KeyManagement
    protection: Protection
    verify_audit: AuditVerification
    clock: Clock
    events: Events


class App:
    """The program, as the command line knows it (`cli/host.py`)."""

    def version(self) -> str:
        """As `pyproject.toml` has it."""
        return importlib.metadata.version("holdfast")

    def serve(self, config: Config) -> int:
        """Serve until told to stop; 0 after an order to stop, 1 when the journal gave up."""
        check_start(config)
        _check_clock(config)
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        logs = _build_logs(config)
        logs.start()
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                return runner.run(_Service(config, version=self.version()).run())
        finally:
            logs.stop()

    @asynccontextmanager
    async def open_offline(self, config: Config, *, load_keys: bool) -> AsyncIterator["OfflineOperations"]:
        """See `Host.open_offline`."""
        with _core(config, events=Events(), on_death=_log_death) as core:
            if load_keys:
                await asyncio.to_thread(core.reloader.load_now)
            yield OfflineOperations(core.keys, core.protection, core.verify_audit)

    def inspect_journal(self, config: Config) -> Mapping[str, str | int | None]:
        """See `Host.inspect_journal`."""
        places = _places(config)
        if not places.database.exists() and not places.head_file.exists():
            return {}
        lock = DirectoryLock(places.data_directory)
        try:
            database, head = open_database(places)
            try:
                for (answer,) in database.rows("PRAGMA integrity_check(1)"):
                    integrity = str(answer)
                return {
                    "integrity": integrity,
                    "journal_mode": str(database.connection.pragma("journal_mode")),
                    "synchronous": int(database.connection.pragma("synchronous")),
                    "schema": int(database.connection.pragma("user_version")),
                    "database_bytes": places.database.stat().st_size,
                    "audit_entries": head.size,
                    "audit_head": head.head.hex(),
                }
            finally:
                database.close()
        finally:
            lock.close()

    def plan_restore(self, config: Config) -> RestorePlan | None:
        """See `Host.plan_restore`."""
        network = _network(config)
        epoch = network.epoch_at(SystemClock().now())
        if epoch is None:
            raise StartupError(
                "the network's genesis_time is unknown, so no safe watermark can be computed",
                remedy="set network.genesis_time",
            )
        floor = safe_floor(
            current_epoch=epoch,
            far_future_epochs=max(config.clock.far_future_epochs or 0, 1),
            slots_per_epoch=network.preset.slots_per_epoch,
        )
        return plan_restore(_places(config), floor)

    def accept_restore(self, config: Config, plan: RestorePlan) -> None:
        """See `Host.accept_restore`."""
        now_ms = int(SystemClock().now() * 1000)
        accept_restore(_places(config), plan, now_ms=now_ms, principal=OPERATOR.name)


@dataclass(frozen=True, slots=True)
class OfflineOperations:
    """The operations of a data directory that no server holds."""

    keys: KeyManagement
    protection: Protection
    _verification: AuditVerification

    async def verify_audit(self, caller: Caller) -> AuditReport:
        """See `AuditVerification`."""
        return await self._verification(caller)


class _Service:
    """One run of the server."""

    def __init__(self, config: Config, *, version: str) -> None:
        self._config = config
        self._version = version
        self._log = logging.getLogger("holdfast")
        self._stop = asyncio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        events = Events()
        metrics = Metrics(
            version=self._version, buckets_seconds=self._config.metrics.buckets_seconds, now=time.monotonic
        )
        metrics.subscribe(events)
        subscribe_log(events)
        turned_away = TurnedAway()
        events.subscribe(RequestRefused, lambda event: turned_away.count(event.code))
        with _core(self._config, events=events, on_death=partial(self._on_death, loop)) as core:
            await self._serve(core, metrics, turned_away)
        return self._exit_code

    async def _serve(self, core: Core, metrics: Metrics, turned_away: TurnedAway) -> None:
        config, loop = self._config, asyncio.get_running_loop()
        backend = SoftwareBackend(
            bls.load(), threads=config.server.signing_threads, hashed_messages=config.keys.message_cache_entries
        )
        gate = _gate(core)
        signing = Signing(
            gate=gate,
            journal=core.record.writer,
            backend=backend,
            clock=core.clock,
            events=core.events,
            deadline_seconds=config.server.request_deadline_seconds,
        )
        services = _services(core, signing, metrics, version=self._version)
        listeners = Listeners(grace_seconds=config.server.shutdown_grace_seconds)
        summaries = Summaries(turned_away=turned_away, journal=core.record.writer, clock=core.clock)
        archiver = AuditArchiver(
            changes=core.record.writer,
            database=core.record.places.database,
            directory=config.audit.archive_directory,
            clock=core.clock,
            keep_days=config.audit.keep_days,
        )
        upkeep = [loop.create_task(summaries.run()), loop.create_task(archiver.run())]
        try:
            await core.record.writer.commit(self._started(core))
            await self._listen(listeners, services, metrics)
            listeners.publish(core.record.places.data_directory)
            loop.add_signal_handler(signal.SIGHUP, self._reload, core.reloader)
            core.reloader.start(_progress())
            self._log.info("serving", extra={"addresses": listeners.addresses})
            await self._stop.wait()
            self._log.info("stopping")
        finally:
            for task in upkeep:
                task.cancel()
            listeners.withdraw(core.record.places.data_directory)
            await listeners.close()
            with contextlib.suppress(SignerError):
                await summaries.write()
            await backend.close()

    async def _listen(self, listeners: Listeners, services: Services, metrics: Metrics) -> None:
        config = self._config
        settings = _api_settings(config)
        await listeners.listen_unix("admin", build_admin(services, settings=settings), path=config.server.admin_socket)
        if config.metrics.enabled:
            await listeners.listen(
                "metrics",
                build_metrics(services, settings=replace(settings, allowed_hosts=_hosts(config.metrics.allowed_hosts))),
                host=config.metrics.host,
                port=config.metrics.port,
                backlog=64,
            )
        authenticator = Authenticator(
            read_credentials(config.security, entropy=secrets.token_bytes), anonymous=find_anonymous(config.security)
        )
        server = build_api(services, authenticator=authenticator, settings=settings)
        metrics.in_flight = lambda: server.in_flight
        await listeners.listen(
            "http",
            server,
            host=config.server.host,
            port=config.server.port,
            backlog=config.server.backlog,
            tls=HotContext.load(config.server.tls) if config.server.tls.enabled else None,
        )

    def _started(self, core: Core) -> Command:
        note = f"version={self._version} network={core.network.name} preset={self._config.preset}"
        return Command((), NoteStory(Kind.STARTED, int(core.clock.now() * 1000), note))

    def _reload(self, reloader: Reloader) -> None:
        with contextlib.suppress(SignerError):
            reloader.start()

    def _on_death(self, loop: asyncio.AbstractEventLoop, error: Exception) -> None:
        _log_death(error)
        self._exit_code = 1
        loop.call_soon_threadsafe(self._stop.set)


@contextmanager
def _core(config: Config, *, events: Events, on_death: Callable[[Exception], None]) -> Iterator[Core]:
    """Everything below the edges, opened in order and closed in reverse."""
    network, places, clock = _network(config), _places(config), SystemClock()
    ensure_private_directory(places.data_directory)
    record = open_record(
        places,
        genesis_validators_root=network.genesis_validators_root,
        on_death=on_death,
        observer=_CommitEvents(events),
        max_batch=config.journal.max_batch,
    )
    try:
        ring = KeyRing()
        reloader = Reloader(_loader(config), ring, clock, listener=_LoadStory(record, clock, events))
        try:
            yield Core(
                config,
                network,
                record,
                ring,
                reloader,
                KeyManagement(ring, LocalLoads(reloader)),
                Protection(
                    imports=WriterImports(changes=record.writer, clock=clock, pinned=lambda: record.pinned),
                    database=places.database,
                ),
                AuditVerification(
                    database=places.database,
                    archive_directory=config.audit.archive_directory,
                    head_file=places.head_file,
                ),
                clock,
                events,
            )
        finally:
            reloader.close()
    finally:
        record.close()


def _gate(core: Core) -> Gate:
    return Gate(
        ring=core.ring,
        network=replace(core.network, genesis_validators_root=core.record.pinned),
        pinned=core.record.pinned,
        clock=core.clock,
        # Without a genesis time there is no guard; the configuration lets only the preset test start like that.
        far_future_epochs=None if core.network.genesis_time is None else core.config.clock.far_future_epochs,
    )


def _services(core: Core, signing: Signing, metrics: Metrics, *, version: str) -> Services:
    network, page = core.network, MetricsPage(metrics)

    async def journal_state() -> Mapping[str, str | int | float | None]:
        return {
            "state": "taking commands" if core.record.writer.alive else "stopped",
            "database_bytes": core.record.places.database.stat().st_size,
            "audit_entries": core.record.log.head.size,
        }

    async def journal_healthy() -> bool:
        return core.record.writer.alive

    return Services(
        signing=signing,
        keys=core.keys,
        protection=core.protection,
        wire=wire_of(network),
        clock=core.clock,
        events=core.events,
        identity=Identity(version, network.name, str(core.record.places.data_directory)),
        journal_state=journal_state,
        journal_healthy=journal_healthy,
        verify_audit=core.verify_audit,
        metrics_page=lambda: asyncio.to_thread(page.render),
    )


def _api_settings(config: Config) -> ApiSettings:
    server = config.server
    return ApiSettings(
        allowed_hosts=_hosts(server.allowed_hosts),
        cors_origins=server.cors_origins,
        policy_refusal_status=config.policy.refusal_status,
        sign_body_limit_bytes=server.max_sign_body_bytes,
        body_limit_bytes=server.max_body_bytes,
        import_limit_bytes=server.max_import_body_bytes,
        body_timeout_seconds=server.body_timeout_seconds,
        keep_alive_seconds=server.keep_alive_seconds,
        max_connections=server.max_connections,
        extension_enabled=config.security.extension_signing,
        admin_over_network=server.admin_over_network,
        access_log=server.access_log,
    )


def _hosts(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(ANY_HOST if name.lower() in ("*", "all") else name.lower() for name in names)


def _network(config: Config) -> Network:
    settings = config.network
    if settings.config_file is not None:
        return network_from_config(
            settings.config_file.read_text(),
            genesis_validators_root=settings.genesis_validators_root,
            genesis_time=settings.genesis_time,
            file=str(settings.config_file),
        )
    network = find_network(settings.name)
    if network is None:
        raise StartupError(f"network {settings.name} is not built in", remedy="set network.config_file")
    return replace(
        network,
        genesis_validators_root=settings.genesis_validators_root or network.genesis_validators_root,
        genesis_time=network.genesis_time if settings.genesis_time is None else settings.genesis_time,
    )


def _places(config: Config) -> Places:
    return Places(config.storage.data_directory, config.storage.head_file)


def _loader(config: Config) -> LoadsKeys:
    keys = config.keys
    bulk: tuple[BulkDirectory, ...] = ()
    passwords = keys.passwords_directory or keys.password_file
    if keys.keystores_directory is not None and passwords is not None:
        bulk = (BulkDirectory(keys.keystores_directory, passwords),)
    loader = Loader(
        KeyLocations(keys.config_directory, bulk),
        bls.load(),
        open_vault(config.storage.data_directory / "vault", _unlock(config)),
        strict=keys.strict,
        threads=keys.load_workers,
    )
    return GuardedLoader(loader) if config.refuse_public_test_keys else loader


def _unlock(config: Config) -> Unlock:
    master = config.storage.master_key
    if master.password_file is None:
        return KeyFileUnlock(master.key_file)
    return PasswordUnlock(first_line(whole_file(master.password_file), str(master.password_file)))


def _check_clock(config: Config) -> None:
    if not config.check_clock:
        return
    state = parse_clock_source(config.clock.source, limit_seconds=config.clock.max_offset_seconds).measure()
    if not state.synchronised:
        raise StartupError(
            f"the clock cannot be relied on: {state.sentence}",
            remedy="run chrony or systemd-timesyncd, or set clock.source to a time server you trust",
        )


def _build_logs(config: Config) -> Logs:
    settings = config.logging
    handlers = [
        file_handler(settings.file, max_bytes=settings.file_max_bytes, count=settings.file_count)
        if output == "file" and settings.file is not None
        else stream_handler("stdout" if output == "stdout" else "stderr")
        for output in settings.outputs
    ]
    return Logs(level=settings.level, form=settings.format, handlers=handlers)


def _new_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


def _log_death(error: Exception) -> None:
    logging.getLogger("holdfast").critical(
        "the journal has stopped, so nothing is signed any more: %s", error, extra={"code": "JOURNAL_DOWN"}
    )


def _progress() -> Progress:
    """A bar on a terminal; nothing where nobody watches."""
    return no_progress


class _CommitEvents:
    """The writer's batches as events."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def batch_committed(self, *, commands: int, seconds: float, commit_seconds: float) -> None:
        """See `CommitObserver`."""
        self._events.publish(BatchCommitted(commands, seconds, commit_seconds))


class _LoadStory:
    """Tells of each load of keys: in the audit log, to the metrics, and each broken file in the log."""

    def __init__(self, record: Record, clock: Clock, events: Events) -> None:
        self._record = record
        self._clock = clock
        self._events = events
        self._loop: asyncio.AbstractEventLoop | None = None
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    def __call__(self, result: LoadResult) -> None:
        """Called from the loading thread."""
        log = logging.getLogger("holdfast.keys")
        if result.report is None:
            log.error("the keys could not be loaded: %s", result.error)
            note = f"failed: {type(result.error).__name__}"
        else:
            for fault in result.report.errors:
                log.error("%s: %s", fault.file, fault.sentence, extra={"code": fault.code})
            for warning in result.report.warnings:
                log.warning(warning)
            note = f"loaded={len(result.report.keys)} kept={result.kept} errors={len(result.report.errors)}"
            loaded = len(result.report.keys) + result.kept
            self._events.publish(KeysLoaded(loaded, len(result.report.errors), 0.0))
        story = NoteStory(Kind.KEYS_LOADED, int(self._clock.now() * 1000), note)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._record.writer.commit, Command((), story))
