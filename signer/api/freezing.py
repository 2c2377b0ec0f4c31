"""Freezing and thawing keys, for `holdfast freeze` and `holdfast thaw`: admin routes, as those of `api/admin.py`.

    GET  /admin/keys/frozen      200 {"all_since_ms": 1700000000000 | null,
                                      "keys": [{"public_key": "0x...", "since_ms": 1700000000000}]}   (keys:list)
    POST /admin/keys/freeze      {"keys": ["0x...", ...]}, or {"keys": ["all"]} for every key, those that are loaded
                                 later too; 200 {"keys": [{"public_key": "0x..." | "all",
                                                     "status": "frozen" | "already_frozen", "message": ""}]}
                                                                                                      (keys:freeze)
    POST /admin/keys/thaw        the same body; 200 with the statuses "thawed" and "not_frozen"       (keys:thaw)

A principal that may see single keys only may freeze and thaw those, and not `all`: 404.
"""

from collections.abc import Sequence

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.routing import Access, Route
from signer.api.wire_json import decode_json_object
from signer.errors import MalformedRequestError
from signer.operations.freeze_keys import parse_keys, shown
from signer.operations.orders import Carried
from signer.units import PublicKey


async def get_frozen(exchange: Exchange) -> Answer:
    """What is frozen."""
    frozen = await exchange.services.freezing.frozen(exchange.caller)
    keys = [{"public_key": shown(key.public_key), "since_ms": key.since_ms} for key in frozen.keys]
    return json_answer(200, msgspec.json.encode({"all_since_ms": frozen.all_since_ms, "keys": keys}))


async def post_freeze(exchange: Exchange) -> Answer:
    """Sign nothing with these keys from now on."""
    return order_answer(await exchange.services.freezing.freeze(await read_keys(exchange), exchange.caller))


async def post_thaw(exchange: Exchange) -> Answer:
    """Let these keys sign again."""
    return order_answer(await exchange.services.freezing.thaw(await read_keys(exchange), exchange.caller))


async def read_keys(exchange: Exchange) -> tuple[PublicKey, ...]:
    """The keys that a body names. Raises MalformedRequestError."""
    body = decode_json_object(await exchange.read_body(exchange.settings.sign_body_limit_bytes))
    words = body.get("keys")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise MalformedRequestError('the body is {"keys": [...]}, a list of texts', path="keys")
    return parse_keys(words)


def order_answer(carried: Sequence[Carried]) -> Answer:
    """What became of each key of an order."""
    keys = [{"public_key": shown(one.public_key), "status": one.status, "message": one.message} for one in carried]
    return json_answer(200, msgspec.json.encode({"keys": keys}))


ROUTES = [
    Route("GET", "/admin/keys/frozen", get_frozen, Access.NAMED),
    Route("POST", "/admin/keys/freeze", post_freeze, Access.NAMED),
    Route("POST", "/admin/keys/thaw", post_thaw, Access.NAMED),
]
