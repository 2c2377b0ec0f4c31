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
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from signer.api.listeners import Listeners
from signer.api.opening import network_server, open_inherited, open_network, open_private, reserve_network
from signer.api.services import Identity, Services, wire_of
from signer.audit.entry import Kind
from signer.auth.principal import OPERATOR
from signer.backends.memory import forbid_core_dumps
from signer.backends.software import SoftwareBackend
from signer.clock import Clock, SystemClock
from signer.config.chain import read_network
from signer.config.credentials import without_files
from signer.config.key_sources import key_locations, master_key
from signer.config.passing_on import decode_config, decode_network, encode_config, encode_network
from signer.config.production import check_clock, check_machine, check_start
from signer.config.sections import Config
from signer.crypto import bls
from signer.durable import ensure_private_directory
from signer.errors import BusyError, SignerError
from signer.eth2.networks import Network
from signer.events import Events
from signer.interpreter import tune_interpreter
from signer.journal.command import Command
from signer.keys.guard import GuardedLoader, LoadsKeys
from signer.keys.loader import Loader
from signer.keys.reload import Listener, Reloader, tell_each
from signer.keys.ring import KeyRing
from signer.keys.vault import DATA_KEY_FILE, open_vault
from signer.operations.gate import Gate
from signer.operations.mainstay import Mainstay, RecordOperations
from signer.operations.manage_keys import LocalLoads
from signer.operations.protect import WriterImports
from signer.operations.record import Places, Record, open_record
from signer.operations.restore import Moment, RestorePlan, accept_restore, plan_restore
from signer.operations.sign import Signing
from signer.operations.story import NoteStory
from signer.operations.telling import CommitEvents, FirstLoad, LoadStory
from signer.operations.upkeep import AuditArchiver, Summaries
from signer.relay import birth, frames
from signer.relay.main_link import MainLink
from signer.relay.processes import WorkerProcesses
from signer.relay.relay import Relay
from signer.relay.worker_link import MainServices
from signer.telemetry.exposition import MetricsPage, page_of_all
from signer.telemetry.logs import LineHandler, Logs, open_outputs, write_line
from signer.telemetry.metrics import Metrics
from signer.telemetry.progress import LoadProgress
from signer.telemetry.summing import absorb_retired, take_tallies
from signer.telemetry.watch import Watch
from signer.units import Root

_log = logging.getLogger("holdfast")


@dataclass(frozen=True, slots=True)
class Core:
    """Everything below the edges, for one data directory."""

    network: Network
    record: Record
    ring: KeyRing
    reloader: Reloader
    after_load: list[Listener]
    """Told of each load of keys, in order, before it counts as complete."""

    mainstay: Mainstay
    clock: Clock


class App:
    """The program, as the command line knows it (`cli/host.py`)."""

    def version(self) -> str:
        """As `pyproject.toml` has it."""
        return importlib.metadata.version("holdfast")

    def serve(self, config: Config) -> int:
        """Serve until told to stop; 0 after an order to stop, 1 when the journal or a worker gave up."""
        check_start(config)
        check_machine(config)
        forbid_core_dumps()
        logs = _logs(config)
        logs.start()
        try:
            return _run(_Service(config, version=self.version()).run())
        finally:
            logs.stop()

    def work(self, link: int, listening: Sequence[int]) -> int:
        """Be a worker of the main process at the other end of the socket `link`. Raises StartupError: there is none."""
        end = socket.socket(fileno=link)
        forbid_core_dumps()
        welcome = birth.receive_welcome(end, program=self.version())
        return _run(_Worker(welcome, listening).run(end))

    @asynccontextmanager
    async def open_offline(self, config: Config, *, load_keys: bool) -> AsyncIterator[RecordOperations]:
        """See `Host.open_offline`."""
        with _core(config, events=Events(), on_death=_log_death) as core:
            if load_keys:
                await asyncio.to_thread(core.reloader.load_now)
            yield _operations(config, core.ring, core.mainstay)

    def plan_restore(self, config: Config, *, anyway: bool) -> RestorePlan | None:
        """See `Host.plan_restore`."""
        check_clock(config)  # the floors are computed from it
        moment = Moment(read_network(config.network), SystemClock().now(), config.clock.far_future_epochs)
        return plan_restore(_places(config), moment, anyway=anyway)

    def accept_restore(self, config: Config, plan: RestorePlan) -> None:
        """See `Host.accept_restore`."""
        accept_restore(_places(config), plan, now_ms=int(SystemClock().now() * 1000), principal=OPERATOR.name)


class _Service:
    """One run of the main process."""

    def __init__(self, config: Config, *, version: str) -> None:
        self._config = config
        self._version = version
        self._stop = asyncio.Event()
        self._failure: Exception | None = None

    async def run(self) -> int:
        """Serve until told to stop. Raises the SignerError for which the first load brought no keys at all."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        watch = Watch(version=self._version, buckets_seconds=self._config.metrics.buckets_seconds)
        with _core(self._config, events=watch.events, on_death=partial(self._on_death, loop)) as core:
            core.after_load.append(LoadStory(core.record.writer, core.clock, watch.events))
            core.after_load.append(FirstLoad(core.ring, lambda error: loop.call_soon_threadsafe(self._fail, error)))
            await self._serve(core, watch)
        if isinstance(self._failure, SignerError):
            raise self._failure
        return 0 if self._failure is None else 1

    async def _serve(self, core: Core, watch: Watch) -> None:
        config, writer, directory = self._config, core.record.writer, core.record.places.data_directory
        desk = _Desk(config, core.network, core.ring, core.mainstay, watch, pinned=core.record.pinned)
        listeners = Listeners(grace_seconds=config.server.shutdown_grace_seconds)
        workers = self._workers(core, desk.gate, watch.metrics, listeners) if config.server.workers > 1 else None
        services = desk.services(metrics_page=None if workers is None else partial(_page_of_all, workers, watch))
        archiver = AuditArchiver(
            changes=writer,
            database=core.record.places.database,
            directory=config.audit.archive_directory,
            clock=core.clock,
            keep_days=config.audit.keep_days,
        )
        upkeep = [asyncio.create_task(one.run()) for one in (desk.summaries, archiver)]
        try:
            note = f"version={self._version} network={core.network.name} preset={config.preset}"
            await writer.commit(Command((), NoteStory(Kind.STARTED, int(core.clock.now() * 1000), note)))
            core.reloader.start(LoadProgress())
            await open_private(listeners, services, config)
            if workers is not None:
                await workers.start()
            else:
                server = network_server(services, config)
                watch.metrics.in_flight = lambda: server.in_flight
                renew = await open_network(listeners, server, config)
                core.after_load.append(lambda _: renew())
            listeners.publish(directory)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload, core.reloader)
            _log.info("serving %s, version %s: %s", core.network.name, self._version, listeners)
            await self._stop.wait()
            _log.info("stopping")
        finally:
            for task in upkeep:
                task.cancel()
            listeners.withdraw(directory)
            if workers is not None:
                listeners.release()
                await workers.stop(grace_seconds=config.server.shutdown_grace_seconds)
            await listeners.close()
            await desk.close()

    def _workers(self, core: Core, gate: Gate, metrics: Metrics, listeners: Listeners) -> WorkerProcesses:
        """What serves the network in the place of this process."""
        config, directory = self._config, core.record.places.data_directory
        # Files with credentials are read now and once: their faults are told here, and all workers know the same.
        passed_on = replace(config, security=without_files(config.security, entropy=secrets.token_bytes))
        settings, network = encode_config(passed_on), encode_network(core.network)

        relay = Relay(
            MainServices(core.mainstay, core.record.writer, directory, write_line),
            core.ring,
            pin=gate.pin,
            welcome=lambda: frames.Welcome(frames.VERSION, self._version, settings, network, gate.pinned),
            retired=partial(absorb_retired, metrics),
        )
        core.after_load.append(lambda _: relay.spread_keys())
        sockets = reserve_network(listeners, config)
        return WorkerProcesses(relay, sockets, count=config.server.workers, give_up=self._fail)

    def _reload(self, reloader: Reloader) -> None:
        with contextlib.suppress(BusyError):
            reloader.start()

    def _on_death(self, loop: asyncio.AbstractEventLoop, error: Exception) -> None:
        _log_death(error)
        loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, reason: Exception) -> None:
        self._failure = reason
        self._stop.set()


class _Worker:
    """The life of one worker process."""

    def __init__(self, welcome: frames.Welcome, listening: Sequence[int]) -> None:
        self._welcome = welcome
        self._config = decode_config(welcome.config)
        self._listening = listening

    async def run(self, end: socket.socket) -> int:
        config, ring = self._config, KeyRing()
        watch = Watch(version=self._welcome.program, buckets_seconds=config.metrics.buckets_seconds)
        link = MainLink(ring, tallies=partial(take_tallies, watch.metrics), orphaned=birth.leave_at_once)
        network, pinned = decode_network(self._welcome.network), self._welcome.pinned
        desk = _Desk(config, network, ring, link.mainstay(), watch, pinned=pinned)
        logs = _logs(config, LineHandler(link.write_line))
        await link.open(end, pin=desk.gate.pin)
        logs.start()
        try:
            await self._serve(link, desk, watch.metrics)
        except SignerError as error:
            _log.critical("this worker cannot serve: %s", error.sentence)
            return 1
        finally:
            await desk.close()
            await asyncio.to_thread(logs.stop)
            await link.hang_up()
        return 0

    async def _serve(self, link: MainLink, desk: "_Desk", metrics: Metrics) -> None:
        config = self._config
        listeners = Listeners(grace_seconds=config.server.shutdown_grace_seconds)
        server = network_server(desk.services(), config)
        metrics.in_flight = lambda: server.in_flight
        upkeep = asyncio.create_task(desk.summaries.run())
        link.tell_ready()
        try:
            await link.may_serve.wait()
            link.after_keys = await open_inherited(listeners, server, config, self._listening)
            link.tell_serving()
            await link.must_stop.wait()
        finally:
            upkeep.cancel()
            await listeners.close()


class _Desk:
    """What answers requests, in the one process or in each worker: the gate and the operations over a mainstay."""

    def __init__(
        self, config: Config, network: Network, ring: KeyRing, mainstay: Mainstay, watch: Watch, *, pinned: Root | None
    ) -> None:
        self._config, self._network, self._ring = config, network, ring
        self._mainstay, self._watch, self._clock = mainstay, watch, SystemClock()
        self.summaries = Summaries(turned_away=watch.turned_away, journal=mainstay.journal, clock=self._clock)
        self.gate = Gate(
            ring=ring,
            network=replace(network, genesis_validators_root=pinned),
            pinned=pinned,
            clock=self._clock,
            # Without a genesis time there is no guard; the configuration lets only the preset test start like that.
            far_future_epochs=None if network.genesis_time is None else config.clock.far_future_epochs,
        )
        threads = config.server.signing_threads or max(2, 2 * (os.cpu_count() or 1) // config.server.workers)
        self._backend = SoftwareBackend(bls.load(), threads=threads, hashed_messages=config.keys.message_cache_entries)

    def services(self, *, metrics_page: Callable[[], Awaitable[bytes]] | None = None) -> Services:
        """What the listeners' handlers call; the page is this process's own unless another is given."""
        mainstay, watch = self._mainstay, self._watch
        record = _operations(self._config, self._ring, mainstay)
        return Services(
            signing=Signing(
                gate=self.gate,
                journal=mainstay.journal,
                backend=self._backend,
                clock=self._clock,
                events=watch.events,
                deadline_seconds=self._config.server.request_deadline_seconds,
            ),
            keys=record.keys,
            protection=record.protection,
            wire=wire_of(self._network),
            clock=self._clock,
            events=watch.events,
            identity=Identity(watch.version, self._network.name, str(self._config.storage.data_directory)),
            journal_state=mainstay.journal_state,
            journal_healthy=mainstay.journal_healthy,
            verify_audit=record.verify_audit,
            read_audit=record.read_audit,
            metrics_page=metrics_page or partial(asyncio.to_thread, MetricsPage(watch.metrics).render),
        )

    async def close(self) -> None:
        with contextlib.suppress(SignerError):
            await self.summaries.write()
        await self._backend.close()


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
        may_create=config.may_begin_record and not (config.storage.vault_directory / DATA_KEY_FILE).exists(),
        far_future_epochs=config.clock.far_future_epochs or 0,
        now=clock.now,
    )
    try:
        ring, after_load = KeyRing(), list[Listener]()
        reloader = Reloader(_loader(config), ring, clock, listener=partial(tell_each, after_load))
        imports = WriterImports(changes=record.writer, clock=clock, pinned=lambda: record.pinned)
        mainstay = Mainstay(record.writer, LocalLoads(reloader), imports, record.state, record.healthy)
        try:
            yield Core(network, record, ring, reloader, after_load, mainstay, clock)
        finally:
            reloader.close()
    finally:
        record.close()


def _operations(config: Config, ring: KeyRing, mainstay: Mainstay) -> RecordOperations:
    return RecordOperations.over(mainstay, ring, _places(config), archive_directory=config.audit.archive_directory)


async def _page_of_all(workers: WorkerProcesses, watch: Watch) -> bytes:
    others = await workers.tallies()
    return await asyncio.to_thread(page_of_all, watch.metrics, others, worker_process_ids=workers.process_ids)


def _places(config: Config) -> Places:
    return Places(config.storage.data_directory, config.storage.head_file)


def _loader(config: Config) -> LoadsKeys:
    vault = open_vault(config.storage.vault_directory, master_key(config.storage))
    keys = config.keys
    loader = Loader(key_locations(keys), bls.load(), vault, strict=keys.strict, threads=keys.load_workers)
    return GuardedLoader(loader) if config.refuse_public_test_keys else loader


def _logs(config: Config, *instead: logging.Handler) -> Logs:
    """The log of this process: to the configured outputs, or to what is given instead of them."""
    settings = config.logging
    handlers = instead or open_outputs(
        settings.outputs, file=settings.file, max_bytes=settings.file_max_bytes, count=settings.file_count
    )
    return Logs(level=settings.level, form=settings.format, handlers=handlers)


def _run(service: Coroutine[Any, Any, int]) -> int:
    import uvloop  # never needed by the commands that only ask

    tune_interpreter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(service)


def _log_death(error: Exception) -> None:
    _log.critical("the journal has stopped, so nothing is signed any more: %s", error, extra={"code": "JOURNAL_DOWN"})
