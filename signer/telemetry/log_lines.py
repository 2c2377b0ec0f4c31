"""Which events become log lines, and at what level."""

import logging

import structlog

from signer.events import (
    ConnectionRefused,
    Events,
    KeysLoaded,
    RequestAccessed,
    RequestCrashed,
    RequestRefused,
)

UNMATCHED = "unmatched"
"""The route of a request that has none: scanners' noise."""


def subscribe_log(events: Events) -> None:
    """Write a line for each event that an operator wants to read."""
    events.subscribe(RequestRefused, _on_refusal)
    events.subscribe(RequestCrashed, _on_crash)
    events.subscribe(RequestAccessed, _on_access)
    events.subscribe(ConnectionRefused, _on_connection)
    events.subscribe(KeysLoaded, _on_keys)


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


def _on_connection(event: ConnectionRefused) -> None:
    structlog.get_logger("signer.api").info("connection refused", address=event.address, reason=event.reason)


def _on_keys(event: KeysLoaded) -> None:
    level = logging.WARNING if event.errors else logging.INFO
    structlog.get_logger("signer.keys").log(
        level, "keys loaded", loaded=event.loaded, errors=event.errors, seconds=round(event.seconds, 3)
    )


def _if_known(**texts: str) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}
