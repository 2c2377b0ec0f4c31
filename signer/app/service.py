"""One run of the main process: record, keys, admin socket, metrics, and the network or the workers that serve it."""

import asyncio
import contextlib
import logging
import secrets
import signal
from dataclasses import replace
from functools import partial

from signer.api.listeners import Listeners
from signer.api.opening import network_server, open_network, open_private, reserve_network
from signer.app.core import Core, log_death, open_core
from signer.app.desk import Desk
from signer.app.keeping import home_of, without_address
from signer.audit.entry import Kind
from signer.config.credentials import without_files, without_token_file
from signer.config.passing_on import encode_config, encode_network
from signer.config.sections import Config
from signer.errors import BusyError, SignerError
from signer.journal.command import Command
from signer.keys.reload import Reloader
from signer.operations.gate import Gate
from signer.operations.keep_facts import FactsUpkeep
from signer.operations.story import NoteStory
from signer.operations.telling import (
    DELETED_SECONDS,
    FROZEN_SECONDS,
    MOVED_SECONDS,
    FirstLoad,
    LoadStory,
    OthersWatch,
)
from signer.operations.upkeep import AuditArchiver
from signer.relay import frames
from signer.relay.processes import WorkerProcesses
from signer.relay.relay import Relay
from signer.relay.worker_link import MainServices
from signer.telemetry.exposition import page_of_all
from signer.telemetry.logs import write_line
from signer.telemetry.progress import LoadProgress
from signer.telemetry.shadows import ShadowCounts, shadow_counts_of_all
from signer.telemetry.summing import absorb_retired
from signer.telemetry.watch import Watch

_log = logging.getLogger("holdfast")


class Service:
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
        with open_core(
            self._config, events=watch.events, on_death=partial(self._on_death, loop), admits_keys=True
        ) as core:
            core.after_load.append(LoadStory(core.record.writer, core.clock, watch.events))
            core.after_load.append(FirstLoad(core.ring, lambda error: loop.call_soon_threadsafe(self._fail, error)))
            await self._serve(core, watch)
        if isinstance(self._failure, SignerError):
            raise self._failure
        return 0 if self._failure is None else 1

    async def _serve(self, core: Core, watch: Watch) -> None:
        config, writer, directory = self._config, core.record.writer, core.record.view.data_directory
        record = core.record
        desk = Desk(
            config,
            core.network,
            core.ring,
            core.mainstay,
            watch,
            view=record.view,
            pinned=record.pinned,
            raises_alarms=True,
        )
        listeners = Listeners(grace_seconds=config.server.shutdown_grace_seconds)
        workers = self._workers(core, desk.gate, watch, listeners) if config.server.workers > 1 else None
        services = desk.services(
            metrics_page=None if workers is None else partial(_page_of_all, workers, watch),
            shadows=None if workers is None else partial(_shadows_of_all, workers, watch),
        )
        archiver = AuditArchiver(
            changes=writer,
            view=core.record.view,
            directory=config.audit.archive_directory,
            clock=core.clock,
            keep_days=config.audit.keep_days,
        )
        facts = FactsUpkeep(
            changes=writer,
            reading=record.view.reading,
            clock=core.clock,
            keep_days=config.policy.facts_keep_days,
        )
        upkeep = [
            asyncio.create_task(one.run()) for one in (*desk.upkeep, archiver, core.pruning, core.approvals, facts)
        ]
        if config.journal.url.is_shared:
            orders = core.orders
            looks = (
                (orders.tell_frozen, FROZEN_SECONDS),
                (orders.follow_others, DELETED_SECONDS),
                (orders.follow_moves, MOVED_SECONDS),
            )
            upkeep += [asyncio.create_task(OthersWatch(look, seconds=each).run()) for look, each in looks]
        try:
            note = f"version={self._version} network={core.network.name} preset={config.preset}"
            await writer.commit(Command((), NoteStory(Kind.STARTED, int(core.clock.now() * 1000), note)))
            await core.orders.tell_frozen()
            await desk.prepare()
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

    def _workers(self, core: Core, gate: Gate, watch: Watch, listeners: Listeners) -> WorkerProcesses:
        """What serves the network in the place of this process."""
        config, directory = self._config, core.record.view.data_directory
        # Files with credentials are read now and once: their faults are told here, and all workers know the same.
        passed_on = replace(
            config,
            security=without_files(config.security, entropy=secrets.token_bytes),
            key_manager=without_token_file(config.key_manager),
            journal=without_address(config.journal),
        )
        home = home_of(core.record)
        settings, network = encode_config(passed_on), encode_network(core.network)

        relay = Relay(
            MainServices(core.mainstay, core.record.writer, directory, write_line),
            core.ring,
            pin=gate.pin,
            welcome=lambda: frames.Welcome(frames.VERSION, self._version, settings, network, gate.pinned, home),
            retired=partial(absorb_retired, watch.metrics),
        )
        core.after_load.append(lambda _: relay.spread_keys())
        sockets = reserve_network(listeners, config)
        return WorkerProcesses(relay, sockets, count=config.server.workers, events=watch.events, give_up=self._fail)

    def _reload(self, reloader: Reloader) -> None:
        with contextlib.suppress(BusyError):
            reloader.start()

    def _on_death(self, loop: asyncio.AbstractEventLoop, error: Exception) -> None:
        log_death(error)
        loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, reason: Exception) -> None:
        self._failure = reason
        self._stop.set()


async def _page_of_all(workers: WorkerProcesses, watch: Watch) -> bytes:
    others = await workers.tallies()
    return await asyncio.to_thread(page_of_all, watch.metrics, others, worker_process_ids=workers.process_ids)


async def _shadows_of_all(workers: WorkerProcesses, watch: Watch) -> ShadowCounts:
    return await asyncio.to_thread(shadow_counts_of_all, watch.metrics, await workers.tallies())
