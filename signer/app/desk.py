"""What answers requests, in the one process or in each worker."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from signer.api.services import Identity, Services, wire_of
from signer.app.core import horizon_of, operations_over
from signer.backends.software import SoftwareBackend
from signer.clock import SystemClock
from signer.clock.believed import BelievedClock
from signer.clock.sources import parse_clock_source
from signer.clock.state import ClockSource
from signer.config.chain import ClockSettings
from signer.config.credentials import approvers_of, irreversible_rule, policy_defaults, roles_of
from signer.config.key_sources import default_preferences
from signer.config.sections import Config
from signer.crypto import bls
from signer.errors import SignerError
from signer.eth2.networks import Network
from signer.events import RequestRefused
from signer.keys.ring import KeyRing
from signer.operations.clock_watch import ClockWatch
from signer.operations.dry_run import DryRun
from signer.operations.evaluate_policies import PolicyEvaluation
from signer.operations.gate import Gate
from signer.operations.held_requests import HeldRequests
from signer.operations.hold_for_people import PeopleStep
from signer.operations.kept_record import RecordView
from signer.operations.mainstay import Mainstay
from signer.operations.policies import Policies
from signer.operations.policy_check import PolicyCheck
from signer.operations.proven_facts import Proving
from signer.operations.review_approvals import ApprovalReview
from signer.operations.second_client import SecondClientWatch
from signer.operations.serving_policies import ServingPolicies
from signer.operations.sign import Signing
from signer.operations.sign_exit import VoluntaryExits
from signer.operations.upkeep import Summaries
from signer.telemetry.exposition import MetricsPage
from signer.telemetry.shadows import ShadowCounts, shadow_counts
from signer.telemetry.watch import Watch
from signer.units import Root

_log = logging.getLogger("holdfast")


class Desk:
    """What answers requests, in the one process or in each worker: the gate and the operations over a mainstay."""

    def __init__(
        self,
        config: Config,
        network: Network,
        ring: KeyRing,
        mainstay: Mainstay,
        watch: Watch,
        *,
        view: RecordView,
        pinned: Root | None,
        raises_alarms: bool,
    ) -> None:
        """`raises_alarms`: True in the one process that speaks for all of them."""
        self._config, self._network, self._ring = config, network, ring
        self._mainstay, self._watch, self._view, self._clock = mainstay, watch, view, SystemClock()
        self._summaries = Summaries(turned_away=watch.turned_away, journal=mainstay.journal, clock=self._clock)
        believed = BelievedClock()
        self.policies = Policies(
            reading=view.reading,
            clock=believed,
            events=watch.events,
            defaults=policy_defaults(config.policy),
            roles_of=partial(roles_of, config.security),
        )
        self._clock_watch = ClockWatch(
            believed,
            source=_clock_source(config.clock) if config.check_clock else None,
            events=watch.events,
            clock=self._clock,
            journal=mainstay.journal if raises_alarms else None,
        )
        self.gate = Gate(
            ring=ring,
            network=replace(network, genesis_validators_root=pinned),
            pinned=pinned,
            clock=believed,
            # Without a genesis time there is no guard; the configuration lets only the preset test start like that.
            far_future_epochs=None if network.genesis_time is None else config.clock.far_future_epochs,
            irreversible=irreversible_rule(config.policy),
            policy_check=PolicyCheck(
                self.policies,
                network,
                Proving(reading=view.reading, defaults=default_preferences(config.keys)),
                PeopleStep(
                    HeldRequests(
                        orders=mainstay.approval_orders,
                        reading=view.reading,
                        clock=self._clock,
                        approvers=approvers_of(config.security),
                    ),
                    ServingPolicies(view.reading),
                ),
            ),
            defaults=default_preferences(config.keys),
        )
        self._second_clients = SecondClientWatch(
            read=view.reading,
            journal=mainstay.journal,
            horizon=horizon_of(config, network, self._clock),
            events=watch.events,
        )
        watch.events.subscribe(RequestRefused, self._second_clients.notice)
        threads = config.server.signing_threads or max(2, 2 * (os.cpu_count() or 1) // config.server.workers)
        self._backend = SoftwareBackend(bls.load(), threads=threads, hashed_messages=config.keys.message_cache_entries)

    @property
    def upkeep(self) -> tuple[Summaries, ClockWatch, SecondClientWatch, Policies]:
        """What runs beside the requests until cancelled."""
        return self._summaries, self._clock_watch, self._second_clients, self.policies

    async def prepare(self) -> None:
        """What would otherwise wait for the first request. A record that cannot be read now is read by then."""
        try:
            await self.policies.refresh()
            await self.policies.load_bound()
        except SignerError as error:
            _log.warning("the policies on record could not be read yet: %s", error, extra={"code": error.code})

    def services(
        self,
        *,
        metrics_page: Callable[[], Awaitable[bytes]] | None = None,
        shadows: Callable[[], Awaitable[ShadowCounts]] | None = None,
    ) -> Services:
        """What the listeners' handlers call; page and counts are this process's own unless others are given."""
        mainstay, watch = self._mainstay, self._watch
        record = operations_over(
            self._config, self._network, ring=self._ring, mainstay=mainstay, clock=self._clock, view=self._view
        )
        signing = Signing(
            gate=self.gate,
            journal=mainstay.journal,
            backend=self._backend,
            clock=self._clock,
            events=watch.events,
            deadline_seconds=self._config.server.request_deadline_seconds,
        )
        return Services(
            signing=signing,
            exits=VoluntaryExits(signing=signing, gate=self.gate, network=self._network, clock=self._clock),
            dry_run=DryRun(gate=self.gate, read=self._view.reading, network=self._network),
            policy_evaluation=PolicyEvaluation(gate=self.gate, policies=self.policies),
            keys=record.keys,
            freezing=record.freezing,
            custody=record.custody,
            key_manager=record.key_manager,
            preferences=record.preferences,
            policy_management=record.policy_management,
            who_can=record.who_can,
            kept_decisions=record.kept_decisions,
            protection=record.protection,
            wire=wire_of(self._network),
            clock=self._clock,
            events=watch.events,
            identity=Identity(watch.version, self._network.name, str(self._config.storage.data_directory)),
            journal_state=mainstay.journal_state,
            journal_healthy=mainstay.journal_healthy,
            policies_fault=lambda: self.policies.fault,
            verify_audit=record.verify_audit,
            read_audit=record.read_audit,
            explaining=record.explaining,
            keeping=record.keeping,
            approvals=ApprovalReview(
                orders=mainstay.approval_orders,
                reading=self._view.reading,
                clock=self._clock,
                approvers=approvers_of(self._config.security),
            ),
            metrics_page=metrics_page or partial(asyncio.to_thread, MetricsPage(watch.metrics).render),
            shadow_counts=shadows or partial(asyncio.to_thread, shadow_counts, watch.metrics),
        )

    async def close(self) -> None:
        """Write the last summary, and end the threads of policies and signing."""
        with contextlib.suppress(SignerError):
            await self._summaries.write()
        await self.policies.close()
        await self._backend.close()


def _clock_source(settings: ClockSettings) -> ClockSource:
    return parse_clock_source(settings.source, limit_seconds=settings.max_offset_seconds)
