"""Is it up: Web3Signer's answers for Web3Signer's users, and three probes that each mean one thing.

`/healthcheck` stays 503 after a load error although everything loaded signs: that is Web3Signer's contract, and why it
must not be a readiness probe (restarting a signer that signs). `/health/ready` is one.
"""

from typing import Any

import msgspec

from signer.api.accept import names_json
from signer.api.answer import Answer, json_answer, text_answer
from signer.api.exchange import Exchange
from signer.api.routing import Access, Route
from signer.errors import SignerError

_HEALTH_JSON = "application/json;charset=UTF-8"
"""As Web3Signer spells it here."""


async def get_upcheck(exchange: Exchange) -> Answer:
    """`OK`; as JSON where JSON is named: Lodestar's helper wants `{"status":"OK"}`."""
    if names_json(exchange.request):
        return json_answer(200, b'{"status":"OK"}')
    return text_answer(200, "OK")


async def get_healthcheck(exchange: Exchange) -> Answer:
    """Web3Signer's document: DOWN and 503 after a load error, while keys load, and while nothing would be signed."""
    services = exchange.services
    sources = [
        {
            "id": one.source,
            "status": _word(one.error_count == 0),
            "data": {"keys-loaded": one.keys_loaded, "error-count": one.error_count},
        }
        for one in await services.keys.health()
    ]
    loaded = services.keys.ready and all(one["status"] == "UP" for one in sources)
    journal = await services.journal_healthy()
    fault = services.policies_fault()
    up = loaded and journal and not fault
    document: dict[str, Any] = {
        "status": _word(up),
        "checks": [
            {"id": "default-check", "status": "UP"},
            {"id": "keys-check", "status": _word(loaded), "checks": sources},
            {"id": "slashing-protection-db-health-check", "status": _word(journal)},
            await _frozen_check(exchange, can_be_read=journal),
            {
                "id": "holdfast-ready",
                "status": _word(services.keys.ready and journal and not fault),
                **({"data": {"reason": fault}} if fault else {}),
            },
        ],
        "outcome": _word(up),
    }
    return json_answer(200 if up else 503, msgspec.json.encode(document), content_type=_HEALTH_JSON)


async def get_live(_exchange: Exchange) -> Answer:
    """The event loop answers. Restart the process if it does not."""
    return _probe(up=True)


async def get_ready(exchange: Exchange) -> Answer:
    """Duties would be signed: the keys are there, the policies on record can be asked, the journal takes commands."""
    if fault := exchange.services.policies_fault():
        return json_answer(503, msgspec.json.encode({"status": "DOWN", "reason": fault}))
    return _probe(up=exchange.services.keys.ready and await exchange.services.journal_healthy())


async def get_startup(exchange: Exchange) -> Answer:
    """The first load of keys is complete; it stays so."""
    return _probe(up=exchange.services.keys.ready)


async def _frozen_check(exchange: Exchange, *, can_be_read: bool) -> dict[str, Any]:
    """An operator's decision is no fault: it is told, and takes nothing DOWN. A database that is down is not asked."""
    unknown = {"id": "holdfast-frozen-keys", "status": "DOWN"}
    if not can_be_read:
        return unknown
    try:
        frozen = await exchange.services.freezing.summary()
    except SignerError:
        return unknown
    data = {
        "frozen-keys": len(frozen.keys),
        "all-frozen": frozen.all_since_ms is not None,
        "frozen-tags": len(frozen.tags),
    }
    return {"id": "holdfast-frozen-keys", "status": "UP", "data": data}


def _probe(*, up: bool) -> Answer:
    return json_answer(200 if up else 503, b'{"status":"%b"}' % _word(up).encode("ascii"))


def _word(up: bool) -> str:  # noqa: FBT001 - a truth value becomes its word
    return "UP" if up else "DOWN"


ROUTES = [
    Route("GET", "/upcheck", get_upcheck, Access.OPEN),
    Route("GET", "/healthcheck", get_healthcheck, Access.OPEN),
    Route("GET", "/healthz", get_healthcheck, Access.OPEN),
    Route("GET", "/health/live", get_live, Access.OPEN),
    Route("GET", "/health/ready", get_ready, Access.OPEN),
    Route("GET", "/health/startup", get_startup, Access.OPEN),
]
