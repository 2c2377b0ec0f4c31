"""The life of one worker process."""

import asyncio
import logging
import socket
from collections.abc import Sequence
from functools import partial

from signer.api.listeners import Listeners
from signer.api.opening import network_server, open_inherited
from signer.app.core import logs_of
from signer.app.desk import Desk
from signer.app.keeping import view_from
from signer.config.passing_on import decode_config, decode_network
from signer.errors import SignerError
from signer.keys.ring import KeyRing
from signer.relay import birth, frames
from signer.relay.main_link import MainLink
from signer.telemetry.logs import LineHandler
from signer.telemetry.metrics import Metrics
from signer.telemetry.summing import take_tallies
from signer.telemetry.watch import Watch

_log = logging.getLogger("holdfast")


class Worker:
    """The life of one worker process."""

    def __init__(self, welcome: frames.Welcome, listening: Sequence[int]) -> None:
        self._welcome = welcome
        self._config = decode_config(welcome.config)
        self._listening = listening

    async def run(self, end: socket.socket) -> int:
        """Serve until the main process says stop; 1 when this worker cannot."""
        config, ring = self._config, KeyRing()
        watch = Watch(version=self._welcome.program, buckets_seconds=config.metrics.buckets_seconds)
        link = MainLink(ring, tallies=partial(take_tallies, watch.metrics), orphaned=birth.leave_at_once)
        network, pinned = decode_network(self._welcome.network), self._welcome.pinned
        view = view_from(config, self._welcome.shared)
        desk = Desk(config, network, ring, link.mainstay(), watch, view=view, pinned=pinned, raises_alarms=False)
        logs = logs_of(config, LineHandler(link.write_line))
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

    async def _serve(self, link: MainLink, desk: Desk, metrics: Metrics) -> None:
        config = self._config
        listeners = Listeners(grace_seconds=config.server.shutdown_grace_seconds)
        server = network_server(desk.services(), config)
        metrics.in_flight = lambda: server.in_flight
        upkeep = [asyncio.create_task(one.run()) for one in desk.upkeep]
        await desk.prepare()
        link.tell_ready()
        try:
            await link.may_serve.wait()
            link.after_keys = await open_inherited(listeners, server, config, self._listening)
            link.tell_serving()
            await link.must_stop.wait()
        finally:
            for task in upkeep:
                task.cancel()
            await listeners.close()
