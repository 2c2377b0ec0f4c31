"""What is counted, from the events of operations and edges; the page is made in `exposition.py`.

Web3Signer's names stand for what they meant there, so that its Grafana dashboard works unchanged; the worker pool,
which we do not have, is the set of sign requests in flight. All of ours are `holdfast_...`.
"""

from collections.abc import Callable, Sequence
from typing import get_args

from signer.events import (
    ApprovalMoved,
    ApprovalsCounted,
    ApprovalStep,
    BatchCommitted,
    ClockAlarmChanged,
    ConflictingRequests,
    ConnectionRefused,
    DutyAnswered,
    Events,
    KeyOpened,
    KeysFrozen,
    KeysLoaded,
    PolicyEvaluated,
    RequestAnswered,
    RequestCrashed,
    RequestRefused,
    ShadowCompared,
    WorkerRestarted,
)
from signer.telemetry.tally import Counter, Histogram, Summary

SIGN_ROUTE = "/api/v1/eth2/sign/{identifier}"
"""The route that Web3Signer's own metrics are about."""

STAGES = ("queue", "policy", "journal", "crypto")

BATCH_SIZE_BOUNDS = tuple(float(2**power) for power in range(10))
"""1 to 512 commands: the writer takes no more at once."""

_OPERATIONS = {"BLOCK": "block", "BLOCK_V2": "block", "ATTESTATION": "attestation"}
"""Web3Signer's `signingOperation` label: the duties that its database judges."""

MOST_CODES = 512
"""Codes that are counted by their own name: a policy makes codes of its own, maybe one for each request."""

OTHER_CODE = "OTHER"
"""All that came later."""

_NOT_SLASHING = "FORBIDDEN"
"""The code of a refusal that is not a 412."""


class Metrics:
    """All the tallies of one process. One instance for its life, subscribed before the first event."""

    def __init__(self, *, version: str, buckets_seconds: Sequence[float], now: Callable[[], float]) -> None:
        """`now` is a steady clock in seconds."""
        self.version = version
        self._bounds = tuple(buckets_seconds)
        self._now = now
        self.lost_events: Callable[[], int] = lambda: 0
        self.in_flight: Callable[[], int] = lambda: 0
        """Requests without an answer; `app/` sets it once the server is there."""

        self.malformed = Counter()
        self.missing_identifier = Counter()
        self.permitted = Counter()
        self.prevented = Counter()
        self.sign_completed = Counter()
        self.signing_duration = Summary(now)
        self.queue_delay = Summary(now)
        self.database_duration = {operation: Summary(now) for operation in ("attestation", "block")}
        self.key_retrieval: dict[str, Summary] = {}

        self.keys_loaded = 0
        self.key_errors = 0
        self.load_seconds = 0.0
        self.keys_frozen, self.tags_frozen = 0, 0
        self.all_frozen = False
        self.approvals_waiting = 0

        self.stages: dict[tuple[str, str], tuple[Histogram, ...]] = {}
        """By duty type and outcome: one histogram for each of STAGES."""
        self.duty_codes: dict[tuple[str, str, str], Counter] = {}
        """By duty type, outcome and code."""
        self.requests: dict[tuple[str, str, int, str], Histogram] = {}
        """By route, method, status and duty type."""
        self.refusals: dict[str, Counter] = {}
        """By code."""
        self.policy_verdicts: dict[tuple[str, str], Counter] = {}
        """By policy and verdict."""
        self.policy_seconds: dict[str, Histogram] = {}
        """By policy."""
        self.policy_fuel: dict[str, Counter] = {}
        """By policy."""
        self.shadow_comparisons: dict[tuple[str, str, str], Counter] = {}
        """By policy, live verdict and the shadow's."""
        self.shadow_differences: dict[str, Counter] = {}
        """By policy."""
        self.approval_steps = {step: Counter() for step in get_args(ApprovalStep)}
        self.conflicts_of_two_principals = Counter()
        self.conflicts_of_one_principal = Counter()
        self.crashes = Counter()
        self.clock_alarm = False
        self.connections_refused = Counter()
        self.worker_restarts = Counter()

        self.batch_size = Histogram(BATCH_SIZE_BOUNDS)
        self.batch_seconds = Histogram(self._bounds)
        self.commit_seconds = Histogram(self._bounds)

    def new_histogram(self) -> Histogram:
        """An empty one with the bounds of the configuration, in seconds."""
        return Histogram(self._bounds)

    def without_traffic(self) -> "Metrics":
        """The tallies of keys, journal and workers, which one process alone has; what requests count is at zero."""
        copy = Metrics(version=self.version, buckets_seconds=self._bounds, now=self._now)
        copy.key_retrieval, copy.keys_loaded = self.key_retrieval, self.keys_loaded
        copy.key_errors, copy.load_seconds = self.key_errors, self.load_seconds
        copy.clock_alarm, copy.approvals_waiting = self.clock_alarm, self.approvals_waiting
        copy.keys_frozen, copy.all_frozen = self.keys_frozen, self.all_frozen
        copy.tags_frozen = self.tags_frozen
        copy.batch_size, copy.batch_seconds = self.batch_size, self.batch_seconds
        copy.commit_seconds, copy.worker_restarts = self.commit_seconds, self.worker_restarts
        return copy

    def subscribe(self, events: Events) -> None:
        """Count everything that is published from now on."""
        self.lost_events = lambda: events.lost
        events.subscribe(DutyAnswered, self._on_duty)
        events.subscribe(RequestAnswered, self._on_request)
        events.subscribe(RequestRefused, self._on_refusal)
        events.subscribe(ConflictingRequests, self._on_conflict)
        events.subscribe(PolicyEvaluated, self._on_policy)
        events.subscribe(ShadowCompared, self._on_shadow)
        events.subscribe(ApprovalMoved, lambda event: self.approval_steps[event.step].add())
        events.subscribe(ApprovalsCounted, self._on_approvals)
        events.subscribe(RequestCrashed, lambda _: self.crashes.add())
        events.subscribe(ConnectionRefused, lambda _: self.connections_refused.add())
        events.subscribe(ClockAlarmChanged, self._on_clock_alarm)
        events.subscribe(KeysLoaded, self._on_keys)
        events.subscribe(KeyOpened, self._on_key)
        events.subscribe(KeysFrozen, self._on_frozen)
        events.subscribe(BatchCommitted, self._on_batch)
        events.subscribe(WorkerRestarted, lambda _: self.worker_restarts.add())

    def _on_duty(self, event: DutyAnswered) -> None:
        histograms = self.stages.get((event.duty_type, event.outcome))
        if histograms is None:
            histograms = tuple(Histogram(self._bounds) for _ in STAGES)
            self.stages[event.duty_type, event.outcome] = histograms
        queue, policy, journal, crypto = histograms
        queue.observe(event.queue_seconds)
        policy.observe(event.policy_seconds)
        journal.observe(event.journal_seconds)
        crypto.observe(event.crypto_seconds)
        self.queue_delay.observe(event.queue_seconds)
        counter = self.duty_codes.get((event.duty_type, event.outcome, event.code))
        if counter is None:
            code = event.code if len(self.duty_codes) < MOST_CODES else OTHER_CODE
            counter = self.duty_codes.setdefault((event.duty_type, event.outcome, code), Counter())
        counter.value += 1
        if event.outcome in ("signed", "repeated"):
            self.permitted.value += 1
        elif event.outcome == "refused" and event.code != _NOT_SLASHING:
            self.prevented.value += 1
        operation = _OPERATIONS.get(event.duty_type)
        if operation is not None:
            self.database_duration[operation].observe(event.journal_seconds)

    def _on_request(self, event: RequestAnswered) -> None:
        key = (event.route, event.method, event.status, event.duty_type)
        histogram = self.requests.get(key)
        if histogram is None:
            histogram = self.requests[key] = Histogram(self._bounds)
        histogram.observe(event.seconds)
        if event.route == SIGN_ROUTE:
            self.sign_completed.value += 1
            self.signing_duration.observe(event.seconds)
            if event.status == 400:
                self.malformed.value += 1
            elif event.status == 404:
                self.missing_identifier.value += 1

    def _on_refusal(self, event: RequestRefused) -> None:
        known = event.code in self.refusals or len(self.refusals) < MOST_CODES
        self.refusals.setdefault(event.code if known else OTHER_CODE, Counter()).add()

    def _on_policy(self, event: PolicyEvaluated) -> None:
        counter = self.policy_verdicts.get((event.policy, event.verdict))
        if counter is None:
            counter = self.policy_verdicts[event.policy, event.verdict] = Counter()
            self.policy_seconds.setdefault(event.policy, self.new_histogram())
            self.policy_fuel.setdefault(event.policy, Counter())
        counter.value += 1
        self.policy_seconds[event.policy].observe(event.seconds)
        self.policy_fuel[event.policy].value += event.fuel

    def _on_shadow(self, event: ShadowCompared) -> None:
        self.shadow_comparisons.setdefault((event.policy, event.live, event.shadow), Counter()).add()
        if event.differs:
            self.shadow_differences.setdefault(event.policy, Counter()).add()

    def _on_approvals(self, event: ApprovalsCounted) -> None:
        self.approvals_waiting = event.waiting

    def _on_clock_alarm(self, event: ClockAlarmChanged) -> None:
        self.clock_alarm = event.raised

    def _on_conflict(self, event: ConflictingRequests) -> None:
        counter = self.conflicts_of_two_principals if event.under_two_names else self.conflicts_of_one_principal
        counter.add()

    def _on_keys(self, event: KeysLoaded) -> None:
        self.keys_loaded = event.loaded
        self.key_errors = event.errors
        self.load_seconds = event.seconds

    def _on_frozen(self, event: KeysFrozen) -> None:
        self.keys_frozen = event.keys
        self.all_frozen = event.everything
        self.tags_frozen = event.tags

    def _on_key(self, event: KeyOpened) -> None:
        self.key_retrieval.setdefault(event.source, Summary(self._now)).observe(event.seconds)

    def _on_batch(self, event: BatchCommitted) -> None:
        self.batch_size.observe(event.size)
        self.batch_seconds.observe(event.seconds)
        self.commit_seconds.observe(event.commit_seconds)
