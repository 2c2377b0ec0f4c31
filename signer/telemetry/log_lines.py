"""Which events become log lines, and at what level."""

import logging
import time
from collections.abc import Callable

import structlog

from signer.events import (
    ConflictingRequests,
    ConnectionRefused,
    Events,
    KeysLoaded,
    RequestAccessed,
    RequestCrashed,
    RequestRefused,
    ShadowCompared,
    WorkerRestarted,
)

UNMATCHED = "unmatched"
"""The route of a request that has none: scanners' noise."""


REFUSED_LINES = 20
"""Lines for refused connections within REFUSED_SECONDS; what is above is summed up in one line afterwards."""

REFUSED_SECONDS = 60.0


def subscribe_log(events: Events, *, now: Callable[[], float] = time.monotonic) -> None:
    """Write a line for each event that an operator wants to read. `now` is a steady clock in seconds."""
    events.subscribe(RequestRefused, _on_refusal)
    events.subscribe(ConflictingRequests, _on_conflict)
    events.subscribe(RequestCrashed, _on_crash)
    events.subscribe(RequestAccessed, _on_access)
    events.subscribe(ConnectionRefused, _RefusedConnections(now).on_refusal)
    events.subscribe(KeysLoaded, _on_keys)
    events.subscribe(WorkerRestarted, _on_worker)
    events.subscribe(ShadowCompared, _on_shadow)


def _on_refusal(event: RequestRefused) -> None:
    level = logging.ERROR if event.status >= 500 else logging.INFO if event.route == UNMATCHED else logging.WARNING
    structlog.get_logger("signer.api").log(
        level,
        "request refused",
        code=event.code,
        status=event.status,
        reason=event.sentence,
        evidence=dict(event.evidence),
        **_if_known(public_key=event.public_key, duty_type=event.duty_type),
        route=event.route,
        principal=event.principal,
        address=event.address,
        request_id=event.request_id,
        **_if_known(caller_request_id=event.caller_request_id),
    )


def _on_shadow(event: ShadowCompared) -> None:
    if not event.differs:
        return
    structlog.get_logger("signer.policy").info(
        "a version beside the live one has decided otherwise",
        policy=event.policy,
        version=event.version,
        live=event.live,
        shadow=event.shadow,
        **_if_known(code=event.code),
        public_key=event.public_key,
        payload_hash=event.payload_hash,
    )


def _on_conflict(event: ConflictingRequests) -> None:
    two = event.under_two_names
    structlog.get_logger("signer.slashing").log(
        logging.ERROR if two else logging.WARNING,
        "two clients ask for one key" if two else "a client asks for two different messages: are there two of it?",
        code=event.code,
        public_key=event.public_key,
        duty_type=event.duty_type,
        **{event.field: event.value},
        signing_root=event.signing_root,
        recorded_signing_root=event.recorded_signing_root,
        principal=event.principal,
        address=event.address,
        request_id=event.request_id,
        recorded_principal=event.recorded_principal,
        recorded_request_id=event.recorded_request_id,
        recorded_ms=event.recorded_ms,
    )


def _on_crash(event: RequestCrashed) -> None:
    structlog.get_logger("signer.api").error(
        "request met something unforeseen", route=event.route, request_id=event.request_id, exc_info=event.error
    )


def _on_access(event: RequestAccessed) -> None:
    structlog.get_logger("signer.access").info(
        "request",
        method=event.method,
        path=event.path,
        status=event.status,
        seconds=round(event.seconds, 6),
        principal=event.principal,
        address=event.address,
        request_id=event.request_id,
        **_if_known(caller_request_id=event.caller_request_id),
    )


class _RefusedConnections:
    """A line each, until there are too many: a scanner must not fill the disk. The metrics count them all."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began = -REFUSED_SECONDS
        self._count = 0

    def on_refusal(self, event: ConnectionRefused) -> None:
        log = structlog.get_logger("signer.api")
        now = self._now()
        if now - self._began >= REFUSED_SECONDS:
            if self._count > REFUSED_LINES:
                log.info("more connections refused", count=self._count - REFUSED_LINES, seconds=int(now - self._began))
            self._began, self._count = now, 0
        self._count += 1
        if self._count <= REFUSED_LINES:
            log.info("connection refused", address=event.address, reason=event.reason)


def _on_keys(event: KeysLoaded) -> None:
    level = logging.WARNING if event.errors else logging.INFO
    structlog.get_logger("signer.keys").log(
        level, "keys loaded", loaded=event.loaded, errors=event.errors, seconds=round(event.seconds, 3)
    )


def _on_worker(event: WorkerRestarted) -> None:
    structlog.get_logger("signer.workers").error("worker started again", worker=event.number, reason=event.reason)


def _if_known(**texts: str) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}
