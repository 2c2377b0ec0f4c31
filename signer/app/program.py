"""The program, as the command line and a worker's entry know it."""

import asyncio
import importlib.metadata
import logging
import socket
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from signer.app.core import log_death, logs_of, open_core, operations_over
from signer.app.keeping import places_of, shared_places_of
from signer.app.service import Service
from signer.app.serving_worker import Worker
from signer.auth.principal import OPERATOR
from signer.backends.memory import forbid_core_dumps
from signer.clock import SystemClock
from signer.config.chain import read_network
from signer.config.production import check_clock, check_machine, check_start, find_warnings
from signer.config.sections import Config
from signer.events import Events
from signer.interpreter import tune_interpreter
from signer.operations.mainstay import RecordOperations
from signer.operations.restore import Floor, Moment, RestorePlan, accept_restore, plan_restore
from signer.operations.shared_restore import Acceptance, accept_shared_restore, plan_shared_restore
from signer.relay import birth

_log = logging.getLogger("holdfast")


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
        logs = logs_of(config)
        logs.start()
        try:
            for warning in find_warnings(config):
                _log.warning("%s (%s); %s", warning.sentence, warning.where, warning.remedy, extra={"key": warning.key})
            return _run(Service(config, version=self.version()).run())
        finally:
            logs.stop()

    def work(self, link: int, listening: Sequence[int]) -> int:
        """Be a worker of the main process at the other end of the socket `link`. Raises StartupError: there is none."""
        end = socket.socket(fileno=link)
        forbid_core_dumps()
        welcome = birth.receive_welcome(end, program=self.version())
        return _run(Worker(welcome, listening).run(end))

    @asynccontextmanager
    async def open_offline(self, config: Config, *, load_keys: bool) -> AsyncIterator[RecordOperations]:
        """See `Host.open_offline`."""
        with open_core(config, events=Events(), on_death=log_death) as core:
            if load_keys:
                await asyncio.to_thread(core.reloader.load_now)
            yield operations_over(
                config, core.network, ring=core.ring, mainstay=core.mainstay, clock=core.clock, view=core.record.view
            )

    def plan_restore(self, config: Config, *, anyway: bool) -> RestorePlan | None:
        """See `Host.plan_restore`."""
        check_clock(config)  # the floors are computed from it
        moment = Moment(read_network(config.network), SystemClock().now(), config.clock.far_future_epochs)
        if config.journal.url.is_shared:
            return plan_shared_restore(shared_places_of(config), moment, anyway=anyway)
        return plan_restore(places_of(config), moment, anyway=anyway)

    def accept_restore(self, config: Config, plan: RestorePlan) -> None:
        """See `Host.accept_restore`."""
        now_ms = int(SystemClock().now() * 1000)
        if config.journal.url.is_shared:
            floor = Floor(plan.floor_epoch, plan.floor_slot)
            acceptance = Acceptance(floor, now_ms, plan.reach_epochs, OPERATOR.name)
            return accept_shared_restore(shared_places_of(config), acceptance)
        return accept_restore(places_of(config), plan, now_ms=now_ms, principal=OPERATOR.name)


def _run(service: Coroutine[Any, Any, int]) -> int:
    import uvloop  # never needed by the commands that only ask

    tune_interpreter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(service)
