"""Builds everything in order and closes it in reverse: the only file that names concrete classes.

lock, database, head file, writer      the record: nothing else is touched until it is sound
BLS, vault, ring, loader               the keys, loaded in the background
gate, signing, management, protection  operations
admin socket, metrics, network         edges, the network last

With `server.workers` above 1 so many worker processes serve the network, each built by `App.work`: the same gate and
the same operations, over a journal that relays to the main process, which keeps record, lock and keys.
"""

import asyncio
import contextlib
import importlib.metadata
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from signer.api.listeners import Listeners
from signer.api.opening import network_server, open_inherited, open_network, open_private, reserve_network
from signer.api.services import Identity, Services, wire_of
from signer.audit.entry import Kind
from signer.auth.principal import OPERATOR, Caller
from signer.backends.software import SoftwareBackend
from signer.clock import Clock, SystemClock
from signer.config.chain import read_network
from signer.config.credentials import without_files
from signer.config.key_sources import key_locations, master_key
from signer.config.passing_on import decode_config, decode_network, encode_config, encode_network
from signer.config.production import check_clock, check_start
from signer.config.sections import Config
from signer.crypto import bls
from signer.durable import ensure_private_directory
from signer.errors import SignerError
from signer.eth2.networks import Network
from signer.events import Events, RequestRefused
from signer.journal.command import Command, Journal
from signer.keys.guard import GuardedLoader, LoadsKeys
from signer.keys.loader import Loader
from signer.keys.reload import Listener, LoadResult, Reloader
from signer.keys.ring import KeyRing
from signer.keys.vault import open_vault
from signer.operations.gate import Gate
from signer.operations.manage_keys import KeyManagement, LocalLoads
from signer.operations.protect import Protection, WriterImports
from signer.operations.record import Places, Record, open_record
from signer.operations.restore import RestorePlan, accept_restore, floor_now, plan_restore
from signer.operations.sign import Signing
from signer.operations.story import NoteStory
from signer.operations.telling import CommitEvents, LoadStory
from signer.operations.upkeep import AuditArchiver, Summaries, TurnedAway
from signer.operations.verify_audit import AuditReport, AuditVerification
from signer.relay import birth, frames
from signer.relay.main_link import MainLink, RelayImports, RelayJournalState, RelayLoads
from signer.relay.processes import WorkerProcesses
from signer.relay.relay import Relay
from signer.relay.worker_link import MainServices
from signer.telemetry.exposition import MetricsPage
from signer.telemetry.log_lines import subscribe_log
from signer.telemetry.logs import LineHandler, Logs, file_handler, stream_handler, write_line
from signer.telemetry.metrics import Metrics
from signer.telemetry.summing import absorb_retired, summed, take_tallies
from signer.units import Root

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
    after_load: list[Listener]
    """Told of each load of keys, in order, before it counts as complete."""

    keys: KeyManagement
    imports: WriterImports
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
        """Serve until told to stop; 0 after an order to stop, 1 when the journal or a worker gave up."""
        check_start(config)
        check_clock(config)
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        logs = _logs(config)
        logs.start()
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                return runner.run(_Service(config, version=self.version()).run())
        finally:
            logs.stop()

    def work(self, link: int, listening: Sequence[int]) -> int:
        """Be a worker of the main process at the other end of the socket `link`, and serve the network on `listening`.

        Raises:
            NotWelcomeError: there is no main process of this program at the other end.
        """
        end = socket.socket(fileno=link)
        welcome = birth.receive_welcome(end, program=self.version())
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            return runner.run(_Worker(welcome, listening).run(end))

    @asynccontextmanager
    async def open_offline(self, config: Config, *, load_keys: bool) -> AsyncIterator["OfflineOperations"]:
        """See `Host.open_offline`."""
        with _core(config, events=Events(), on_death=_log_death) as core:
            if load_keys:
                await asyncio.to_thread(core.reloader.load_now)
            yield OfflineOperations(core.keys, core.protection, core.verify_audit)

    def plan_restore(self, config: Config) -> RestorePlan | None:
        """See `Host.plan_restore`."""
        network, far_future_epochs = read_network(config.network), config.clock.far_future_epochs
        return plan_restore(_places(config), floor_now(network, SystemClock(), far_future_epochs=far_future_epochs))

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
    """One run of the main process."""

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
        metrics, turned_away = _watch(events, self._config, version=self._version)
        with _core(self._config, events=events, on_death=partial(self._on_death, loop)) as core:
            core.after_load.append(LoadStory(core.record.writer, core.clock, events))
            await self._serve(core, metrics, turned_away)
        return self._exit_code

    async def _serve(self, core: Core, metrics: Metrics, turned_away: TurnedAway) -> None:
        config, writer, directory = self._config, core.record.writer, core.record.places.data_directory
        gate = _gate(config, core.network, core.ring, pinned=core.record.pinned, clock=core.clock)
        backend = _backend(config)
        signing = _signing(config, gate, backend, journal=writer, clock=core.clock, events=core.events)
        listeners = Listeners(grace_seconds=config.server.shutdown_grace_seconds)
        workers = self._workers(core, gate, metrics, listeners) if config.server.workers > 1 else None
        services = self._services(core, signing, metrics, workers)
        summaries = Summaries(turned_away=turned_away, journal=writer, clock=core.clock)
        upkeep = [asyncio.create_task(one.run()) for one in (summaries, _archiver(core))]
        try:
            await writer.commit(self._started(core))
            core.reloader.start()
            await open_private(listeners, services, config)
            if workers is not None:
                await workers.processes.start()
            else:
                server = network_server(services, config)
                metrics.in_flight = lambda: server.in_flight
                await open_network(listeners, server, config)
            listeners.publish(directory)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload, core.reloader)
            self._log.info("serving", extra={"addresses": listeners.addresses})
            await self._stop.wait()
            self._log.info("stopping")
        finally:
            for task in upkeep:
                task.cancel()
            listeners.withdraw(directory)
            if workers is not None:
                listeners.release()
                await workers.processes.stop(grace_seconds=config.server.shutdown_grace_seconds)
            await listeners.close()
            with contextlib.suppress(SignerError):
                await summaries.write()
            await backend.close()

    def _workers(self, core: Core, gate: Gate, metrics: Metrics, listeners: Listeners) -> "_Workers":
        """What serves the network in the place of this process."""
        config, record = self._config, core.record
        # Files with credentials are read now and once: their faults are told here, and all workers know the same.
        passed_on = replace(config, security=without_files(config.security, entropy=secrets.token_bytes))
        settings, network = encode_config(passed_on), encode_network(core.network)

        def pin(root: Root) -> None:
            if gate.pinned is None:
                gate.pin(root)
                relay.pin(root)

        relay = Relay(
            MainServices(
                commands=record.writer,
                loads=LocalLoads(core.reloader),
                imports=core.imports,
                data_directory=record.places.data_directory,
                journal_state=record.state,
                journal_healthy=record.healthy,
                write_line=write_line,
                pin=pin,
            ),
            core.ring,
            welcome=lambda: frames.Welcome(frames.VERSION, self._version, settings, network, gate.pinned),
            retired=partial(absorb_retired, metrics),
        )
        core.after_load.append(lambda _: relay.spread_keys())
        sockets = reserve_network(listeners, config)
        return _Workers(relay, WorkerProcesses(relay, sockets, count=config.server.workers, give_up=self._fail))

    def _services(self, core: Core, signing: Signing, metrics: Metrics, workers: "_Workers | None") -> Services:
        alone = partial(asyncio.to_thread, MetricsPage(metrics).render)
        return Services(
            signing=signing,
            keys=core.keys,
            protection=core.protection,
            wire=wire_of(core.network),
            clock=core.clock,
            events=core.events,
            identity=Identity(self._version, core.network.name, str(core.record.places.data_directory)),
            journal_state=core.record.state,
            journal_healthy=core.record.healthy,
            verify_audit=core.verify_audit,
            metrics_page=alone if workers is None else partial(workers.page, metrics),
        )

    def _started(self, core: Core) -> Command:
        note = f"version={self._version} network={core.network.name} preset={self._config.preset}"
        return Command((), NoteStory(Kind.STARTED, int(core.clock.now() * 1000), note))

    def _reload(self, reloader: Reloader) -> None:
        with contextlib.suppress(SignerError):
            reloader.start()

    def _on_death(self, loop: asyncio.AbstractEventLoop, error: Exception) -> None:
        _log_death(error)
        loop.call_soon_threadsafe(self._fail)

    def _fail(self) -> None:
        self._exit_code = 1
        self._stop.set()


@dataclass(frozen=True, slots=True)
class _Workers:
    """The worker processes, as the main process has them."""

    relay: Relay
    processes: WorkerProcesses

    async def page(self, metrics: Metrics) -> bytes:
        """The metrics of all processes."""
        others, process_ids = await self.relay.tallies(), self.processes.process_ids
        return await asyncio.to_thread(
            lambda: MetricsPage(summed(metrics, others), worker_process_ids=process_ids).render()
        )


class _Worker:
    """The life of one worker process."""

    def __init__(self, welcome: frames.Welcome, listening: Sequence[int]) -> None:
        self._config = decode_config(welcome.config)
        self._network = decode_network(welcome.network)
        self._pinned = None if welcome.pinned is None else Root(welcome.pinned)
        self._version = welcome.program
        self._listening = listening

    async def run(self, end: socket.socket) -> int:
        config, events, ring, clock = self._config, Events(), KeyRing(), SystemClock()
        metrics, turned_away = _watch(events, config, version=self._version)
        gate = _gate(config, self._network, ring, pinned=self._pinned, clock=clock)
        tallies = partial(take_tallies, metrics)
        link = MainLink(ring, pin=gate.pin, tallies=tallies, orphaned=birth.leave_at_once)
        backend = _backend(config)
        signing = _signing(config, gate, backend, journal=link.journal, clock=clock, events=events)
        summaries = Summaries(turned_away=turned_away, journal=link.journal, clock=clock)
        logs = _logs(config, LineHandler(link.write_line))
        await link.open(end)
        logs.start()
        try:
            await self._serve(link, self._services(signing, ring, link, events, metrics), metrics, summaries)
        except SignerError as error:
            logging.getLogger("holdfast").critical("this worker cannot serve: %s", error.sentence)
            return 1
        finally:
            await backend.close()
            await asyncio.to_thread(logs.stop)
            await link.hang_up()
        return 0

    async def _serve(self, link: MainLink, services: Services, metrics: Metrics, summaries: Summaries) -> None:
        config = self._config
        listeners = Listeners(grace_seconds=config.server.shutdown_grace_seconds)
        server = network_server(services, config)
        metrics.in_flight = lambda: server.in_flight
        upkeep = asyncio.create_task(summaries.run())
        link.tell_ready()
        try:
            await link.may_serve.wait()
            await open_inherited(listeners, server, config, self._listening)
            link.tell_serving()
            await link.must_stop.wait()
        finally:
            upkeep.cancel()
            await listeners.close()
            with contextlib.suppress(SignerError):
                await summaries.write()

    def _services(self, signing: Signing, ring: KeyRing, link: MainLink, events: Events, metrics: Metrics) -> Services:
        places, journal = _places(self._config), RelayJournalState(link)
        return Services(
            signing=signing,
            keys=KeyManagement(ring, RelayLoads(link)),
            protection=Protection(imports=RelayImports(link), database=places.database),
            wire=wire_of(self._network),
            clock=SystemClock(),
            events=events,
            identity=Identity(self._version, self._network.name, str(places.data_directory)),
            journal_state=journal.state,
            journal_healthy=journal.healthy,
            verify_audit=_verification(self._config),
            metrics_page=partial(asyncio.to_thread, MetricsPage(metrics).render),
        )


@contextmanager
def _core(config: Config, *, events: Events, on_death: Callable[[Exception], None]) -> Iterator[Core]:
    """Everything below the edges, opened in order and closed in reverse."""
    network, places, clock = read_network(config.network), _places(config), SystemClock()
    ensure_private_directory(places.data_directory)
    record = open_record(
        places,
        genesis_validators_root=network.genesis_validators_root,
        on_death=on_death,
        observer=CommitEvents(events),
        max_batch=config.journal.max_batch,
    )
    try:
        ring, after_load = KeyRing(), list[Listener]()
        reloader = Reloader(_loader(config), ring, clock, listener=partial(_tell_each, after_load))
        imports = WriterImports(changes=record.writer, clock=clock, pinned=lambda: record.pinned)
        try:
            yield Core(
                config,
                network,
                record,
                ring,
                reloader,
                after_load,
                KeyManagement(ring, LocalLoads(reloader)),
                imports,
                Protection(imports=imports, database=places.database),
                _verification(config),
                clock,
                events,
            )
        finally:
            reloader.close()
    finally:
        record.close()


def _tell_each(listeners: Sequence[Listener], result: LoadResult) -> None:
    for listener in listeners:
        listener(result)


def _watch(events: Events, config: Config, *, version: str) -> tuple[Metrics, TurnedAway]:
    """Metrics, log and summaries, subscribed before the first event."""
    metrics = Metrics(version=version, buckets_seconds=config.metrics.buckets_seconds, now=time.monotonic)
    metrics.subscribe(events)
    subscribe_log(events)
    turned_away = TurnedAway()
    events.subscribe(RequestRefused, lambda event: turned_away.count(event.code))
    return metrics, turned_away


def _gate(config: Config, network: Network, ring: KeyRing, *, pinned: Root | None, clock: Clock) -> Gate:
    return Gate(
        ring=ring,
        network=replace(network, genesis_validators_root=pinned),
        pinned=pinned,
        clock=clock,
        # Without a genesis time there is no guard; the configuration lets only the preset test start like that.
        far_future_epochs=None if network.genesis_time is None else config.clock.far_future_epochs,
    )


def _backend(config: Config) -> SoftwareBackend:
    threads = config.server.signing_threads or max(1, (os.cpu_count() or 1) // config.server.workers)
    return SoftwareBackend(bls.load(), threads=threads, hashed_messages=config.keys.message_cache_entries)


def _signing(
    config: Config, gate: Gate, backend: SoftwareBackend, *, journal: Journal, clock: Clock, events: Events
) -> Signing:
    return Signing(
        gate=gate,
        journal=journal,
        backend=backend,
        clock=clock,
        events=events,
        deadline_seconds=config.server.request_deadline_seconds,
    )


def _archiver(core: Core) -> AuditArchiver:
    return AuditArchiver(
        changes=core.record.writer,
        database=core.record.places.database,
        directory=core.config.audit.archive_directory,
        clock=core.clock,
        keep_days=core.config.audit.keep_days,
    )


def _verification(config: Config) -> AuditVerification:
    places, archive_directory = _places(config), config.audit.archive_directory
    return AuditVerification(database=places.database, archive_directory=archive_directory, head_file=places.head_file)


def _places(config: Config) -> Places:
    return Places(config.storage.data_directory, config.storage.head_file)


def _loader(config: Config) -> LoadsKeys:
    vault = open_vault(config.storage.data_directory / "vault", master_key(config.storage))
    keys = config.keys
    loader = Loader(key_locations(keys), bls.load(), vault, strict=keys.strict, threads=keys.load_workers)
    return GuardedLoader(loader) if config.refuse_public_test_keys else loader


def _logs(config: Config, *instead: logging.Handler) -> Logs:
    """The log of this process: to the configured outputs, or to what is given instead of them."""
    settings = config.logging
    handlers = instead or [
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
