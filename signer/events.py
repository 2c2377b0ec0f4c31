"""What happened: small values that operations and edges publish, and that telemetry (later webhooks) subscribes to.

Rule 1: an event holds no secret: names, codes, counts and seconds only.
Rule 2: a subscriber is quick, does not block and does not raise; what it raises is counted, never passed on.
Rule 3: events of one kind are published from one thread: subscribers count without locks.

The two events of every request are named tuples: a frozen dataclass costs 0.8 us to make, a named tuple 0.2 us.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

from signer.errors import Evidence

Outcome = Literal["signed", "repeated", "refused", "failed"]
"""`repeated` is the same signature given again; `refused` is a decision; `failed` is a fault or a bad request."""


class DutyAnswered(NamedTuple):
    """The fate of one duty is known. Published by operations, once per duty, from the event loop's thread."""

    duty_type: str
    """The remote signing API's name: `ATTESTATION`, ..."""

    outcome: Outcome
    code: str
    """The error's code, or an empty text when a signature was given."""

    queue_seconds: float
    """Waiting for a worker of the signing pool."""

    policy_seconds: float
    """Everything the gate checks before the commit: root, key, authorisation, policies."""

    journal_seconds: float
    """From handing the command to the journal until its verdict is durable."""

    crypto_seconds: float
    """Hashing to the curve and signing. Zero in a stage that was not reached."""


VerdictKind = Literal["allow", "deny", "require_approval"]


class PolicyEvaluated(NamedTuple):
    """A policy had a say in a request. Published by operations, once per policy, from the event loop's thread."""

    policy: str
    verdict: VerdictKind
    seconds: float
    fuel: int
    """0 for a file of rules."""


class RequestAnswered(NamedTuple):
    """An HTTP request has its answer. Published by the API from the event loop's thread."""

    route: str
    """The route's template, never the path: `/api/v1/eth2/sign/{identifier}`, or `unmatched`."""

    method: str
    status: int
    duty_type: str
    """The duty's type on sign routes, otherwise an empty text."""

    seconds: float
    """From the parsed head to the finished answer."""


@dataclass(frozen=True, slots=True)
class RequestAccessed:
    """One line of the access log. Published only when the access log is on."""

    request_id: str
    caller_request_id: str
    principal: str
    address: str
    method: str
    path: str
    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request (or one entry of a batch) was answered with a problem: one log line."""

    request_id: str
    """The hexadecimal id that the caller was given too."""

    caller_request_id: str
    """The caller's own X-Request-Id, if it sent a well-formed one."""

    principal: str
    address: str
    route: str
    status: int
    code: str
    sentence: str
    evidence: Evidence
    public_key: str = ""
    """The key that was asked for, with 0x; empty where the request names none."""

    duty_type: str = ""
    """What was asked of it: the remote signing API's name; empty where the body could not be read."""


@dataclass(frozen=True, slots=True)
class ConflictingRequests:
    """Two requests for one duty with different contents, within a few minutes: the second was refused.

    Published from the event loop's thread, once for each pair of roots.
    """

    public_key: str
    """With 0x, as the roots are."""

    duty_type: str
    code: str
    """Of the refusal: DOUBLE_VOTE or DOUBLE_PROPOSAL."""

    field: str
    """`target_epoch` or `slot`."""

    value: int
    signing_root: str
    """Refused."""

    recorded_signing_root: str
    """Signed before."""

    principal: str
    """Who asked for what was refused."""

    address: str
    request_id: str
    recorded_principal: str
    """For whom the other one was signed."""

    recorded_request_id: str
    recorded_ms: int
    """When: milliseconds since the Unix epoch."""

    @property
    def under_two_names(self) -> bool:
        """True where two principals asked: two clients for certain."""
        return self.principal != self.recorded_principal


@dataclass(frozen=True, slots=True)
class ShadowCompared:
    """A version that only runs beside has decided about a request too. Published from the event loop's thread."""

    policy: str
    version: str
    """Of the shadow."""

    live: VerdictKind
    shadow: VerdictKind
    differs: bool
    """True also where both allow and do not reserve the same, or deny under other codes."""

    code: str
    """Of the shadow's denial; empty where it denies nothing."""

    payload_hash: str
    public_key: str


@dataclass(frozen=True, slots=True)
class RequestCrashed:
    """Something unforeseen was raised while answering; the caller saw only INTERNAL and the request id."""

    request_id: str
    route: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class ConnectionRefused:
    """Bytes that are not HTTP, one connection too many, a peer that may not connect."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeysLoaded:
    """A load or reload of the keys has ended."""

    loaded: int
    """Keys that can sign now."""

    errors: int
    seconds: float


@dataclass(frozen=True, slots=True)
class KeysFrozen:
    """What operators have frozen, at start and after each order. Published from the event loop's thread."""

    keys: int
    """Keys that are frozen by their own name."""

    everything: bool
    """True while nothing at all is signed."""

    tags: int = 0
    """Tags that are frozen, whether any key bears them or not."""


ApprovalStep = Literal["opened", "approved", "denied", "cancelled", "expired", "void", "spent"]
"""`approved`: the vote that completed the last quorum; the others as `approvals/request.py` says."""


@dataclass(frozen=True, slots=True)
class ApprovalMoved:
    """A step of a request that waits for people is on record. Published by operations from the event loop's thread, in
    the process that has made it.
    """

    step: ApprovalStep


@dataclass(frozen=True, slots=True)
class ApprovalsCounted:
    """How many requests wait, looked at from time to time. Published from the event loop's thread."""

    waiting: int
    """For people, for their delay, or for being collected."""


@dataclass(frozen=True, slots=True)
class KeyOpened:
    """One key was read from its source."""

    source: str
    """`file-raw`, `file-keystore`, ..."""

    seconds: float


@dataclass(frozen=True, slots=True)
class BatchCommitted:
    """The journal's writer has committed one batch. Published from the writer's thread."""

    size: int
    """Commands in the batch."""

    seconds: float
    """The whole batch: load, judge, store, commit."""

    commit_seconds: float
    """The commit alone: its fsync."""


@dataclass(frozen=True, slots=True)
class ClockAlarmChanged:
    """The clock jumped, or nobody vouches for it any more; or all is well again."""

    raised: bool


@dataclass(frozen=True, slots=True)
class WorkerRestarted:
    """A worker process has ended unasked, and another takes its place. Published from the event loop's thread."""

    number: int
    """Which of the workers, from 1."""

    reason: str
    """How it ended, in words."""


E = TypeVar("E")


class Events:
    """Publish and subscribe, synchronous, at the cost of a plain call.

    One instance for the life of the process; all subscriptions are made before the first event is published.
    """

    def __init__(self) -> None:
        self._subscribers: dict[type, tuple[Callable[[Any], None], ...]] = {}
        self.lost = 0
        """Events a subscriber failed on."""

    def subscribe(self, kind: type[E], subscriber: Callable[[E], None]) -> None:
        """From now on, `subscriber` is called with every event of exactly this class."""
        self._subscribers[kind] = (*self._subscribers.get(kind, ()), subscriber)

    def publish(self, event: object) -> None:
        """Tell everybody who asked for this kind; never raises."""
        for subscriber in self._subscribers.get(type(event), ()):
            try:
                subscriber(event)
            except Exception:  # noqa: BLE001 - fails open: a broken counter must not deny a signature; the loss is counted
                self.lost += 1
