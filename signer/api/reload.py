"""Web3Signer's reload, to the letter: 202 or 409, and the status of the last one. Its JSON has no charset."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from signer.api.answer import BARE_JSON, Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.routing import Route
from signer.errors import BusyError
from signer.operations.manage_keys import ReloadStatus

_ACCEPTED = msgspec.json.encode(
    {
        "status": "accepted",
        "message": "Reload operation accepted and is running in the background. Use GET /reload to check status.",
    }
)
_BUSY = msgspec.json.encode(
    {"status": "error", "message": "A reload operation is already in progress. Please try again later."}
)


async def post_reload(exchange: Exchange) -> Answer:
    """Start reading the keys again. Scripts post an empty body without a content type; the body is not looked at."""
    try:
        await exchange.services.keys.start_reload(exchange.caller)
    except BusyError:
        return json_answer(409, _BUSY, content_type=BARE_JSON)
    return json_answer(202, _ACCEPTED, content_type=BARE_JSON)


async def get_reload(exchange: Exchange) -> Answer:
    """How the last reload went, or goes."""
    status = await exchange.services.keys.reload_status(exchange.caller)
    return json_answer(200, msgspec.json.encode(reload_members(status)), content_type=BARE_JSON)


def reload_members(status: ReloadStatus) -> dict[str, Any]:
    """Web3Signer's members: the time as ISO 8601 in UTC; what is unset is left out."""
    members: dict[str, Any] = {"status": status.status}
    if status.last_operation_time is not None:
        moment = datetime.fromtimestamp(status.last_operation_time, UTC)
        members["lastOperationTime"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if status.last_error is not None:
        members["lastError"] = status.last_error
    return members


ROUTES = [
    Route("POST", "/reload", post_reload),
    Route("GET", "/reload", get_reload),
]
