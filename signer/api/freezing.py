"""Operators' orders about keys: the admin routes of `holdfast freeze`, `thaw`, `keys delete` and `keys allow`.

    GET  /admin/keys/frozen      200 {"all_since_ms": 1700000000000 | null,
                                      "keys": [{"public_key": "0x...", "since_ms": 1700000000000}]}   (keys:list)
    POST /admin/keys/freeze      {"keys": ["0x...", ...]}, or {"keys": ["all"]} for every key, those that are loaded
                                 later too; 200 {"keys": [{"public_key": "0x..." | "all",
                                                     "status": "frozen" | "already_frozen", "message": ""}]}
                                                                                                      (keys:freeze)
    POST /admin/keys/thaw        the same body; 200 with the statuses "thawed" and "not_frozen"       (keys:thaw)
    POST /admin/keys/delete      the same body, without `all`; 200 {"keys": [statuses "deleted", "not_active",
                                 "not_found" and "error"], "slashing_protection": "{...}"}, the EIP-3076 document of
                                 those that are gone                                                  (keys:write)
    POST /admin/keys/allow       the same body; deleted keys may be brought in again; 200 with the statuses
                                 "allowed" and "not_deleted"                                          (keys:write)

A principal that may see single keys only may freeze and thaw those, and not `all`: 404.
"""

from collections.abc import Callable, Sequence

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.routing import Access, Route
from signer.api.wire_json import decode_json_object
from signer.errors import MalformedRequestError
from signer.operations.freeze_keys import parse_keys, parse_public_keys, shown
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


async def post_delete(exchange: Exchange) -> Answer:
    """Destroy these keys; their history is in the answer."""
    keys = await read_keys(exchange, parse=parse_public_keys)
    deletion = await exchange.services.key_manager.delete_keys(keys, exchange.caller)
    members = {"keys": _members(deletion.keys), "slashing_protection": deletion.interchange.decode()}
    return json_answer(200, msgspec.json.encode(members))


async def post_allow(exchange: Exchange) -> Answer:
    """Let deleted keys be brought in again."""
    keys = await read_keys(exchange, parse=parse_public_keys)
    return order_answer(await exchange.services.key_manager.allow_keys(keys, exchange.caller))


async def read_keys(
    exchange: Exchange, parse: Callable[[Sequence[str]], tuple[PublicKey, ...]] = parse_keys
) -> tuple[PublicKey, ...]:
    """The keys that a body names. Raises MalformedRequestError."""
    body = decode_json_object(await exchange.read_body(exchange.settings.sign_body_limit_bytes))
    words = body.get("keys")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise MalformedRequestError('the body is {"keys": [...]}, a list of texts', path="keys")
    return parse(words)


def order_answer(carried: Sequence[Carried]) -> Answer:
    """What became of each key of an order."""
    return json_answer(200, msgspec.json.encode({"keys": _members(carried)}))


def _members(carried: Sequence[Carried]) -> list[dict[str, str]]:
    return [{"public_key": shown(one.public_key), "status": one.status, "message": one.message} for one in carried]


ROUTES = [
    Route("GET", "/admin/keys/frozen", get_frozen, Access.NAMED),
    Route("POST", "/admin/keys/freeze", post_freeze, Access.NAMED),
    Route("POST", "/admin/keys/thaw", post_thaw, Access.NAMED),
    Route("POST", "/admin/keys/delete", post_delete, Access.NAMED),
    Route("POST", "/admin/keys/allow", post_allow, Access.NAMED),
]
