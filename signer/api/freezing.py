"""Operators' orders about keys: the admin routes of `holdfast freeze`, `thaw`, and `keys tag`, `delete` and `allow`.

    GET  /admin/keys/frozen      200 {"all_since_ms": 1700000000000 | null,
                                      "keys": [{"public_key": "0x...", "since_ms": 1700000000000}],
                                      "tags": [{"tag": "lido", "since_ms": 1700000000000, "keys": 7}]}
                                                                                                      (keys:list)
    POST /admin/keys/freeze      {"keys": ["0x...", "tag:lido", ...]}, or {"keys": ["all"]} for every key, those that
                                 are loaded later too; 200 {"keys": [{"public_key": "0x..." | "all" | "tag:lido",
                                                     "status": "frozen" | "already_frozen", "message": ""}]}
                                                                                                      (keys:freeze)
    POST /admin/keys/thaw        the same body; 200 with the statuses "thawed" and "not_frozen"       (keys:thaw)
    POST /admin/keys/tag         {"keys": ["0x...", ...], "add": ["lido", ...], "remove": ["test", ...]}; 200 with the
                                 statuses "tagged", "unchanged" and "error" (the message says why)    (keys:tag)
    POST /admin/keys/delete      {"keys": ["0x...", ...]}; 200 {"keys": [statuses "deleted", "not_active",
                                 "not_found" and "error"], "slashing_protection": "{...}"}, the EIP-3076 document of
                                 those that are gone                                                  (keys:write)
    POST /admin/keys/allow       the same body; deleted keys may be brought in again; 200 with the statuses
                                 "allowed" and "not_deleted"                                          (keys:write)

A principal that may see single keys only may freeze and thaw those, and neither `all` nor a tag: 404.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.routing import Access, Route
from signer.api.wire_json import decode_json_object
from signer.errors import MalformedRequestError
from signer.operations.freeze_keys import parse_keys, parse_public_keys, parse_targets, shown, target_of
from signer.operations.orders import Carried
from signer.operations.tag_keys import tag_order
from signer.units import PublicKey


async def get_frozen(exchange: Exchange) -> Answer:
    """What is frozen."""
    frozen = await exchange.services.freezing.frozen(exchange.caller)
    keys = [{"public_key": shown(key.public_key), "since_ms": key.since_ms} for key in frozen.keys]
    tags = [{"tag": one.tag, "since_ms": one.since_ms, "keys": one.keys} for one in frozen.tags]
    return json_answer(200, msgspec.json.encode({"all_since_ms": frozen.all_since_ms, "keys": keys, "tags": tags}))


async def post_freeze(exchange: Exchange) -> Answer:
    """Sign nothing with these keys from now on."""
    targets = parse_targets(_texts(await _read_object(exchange), "keys"))
    return order_answer(await exchange.services.freezing.freeze(targets, exchange.caller))


async def post_thaw(exchange: Exchange) -> Answer:
    """Let these keys sign again."""
    targets = parse_targets(_texts(await _read_object(exchange), "keys"))
    return order_answer(await exchange.services.freezing.thaw(targets, exchange.caller))


async def post_tag(exchange: Exchange) -> Answer:
    """Give tags to these keys, and take tags from them."""
    body = await _read_object(exchange)
    keys = parse_public_keys(_texts(body, "keys"))
    add, remove = (_texts(body, name) if name in body else () for name in ("add", "remove"))
    order = tag_order(keys, add=add, remove=remove)
    return order_answer(await exchange.services.custody.tagging.tag(order, exchange.caller))


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
    return parse(_texts(await _read_object(exchange), "keys"))


def order_answer(carried: Sequence[Carried]) -> Answer:
    """What became of each key of an order."""
    return json_answer(200, msgspec.json.encode({"keys": _members(carried)}))


async def _read_object(exchange: Exchange) -> Mapping[str, Any]:
    return decode_json_object(await exchange.read_body(exchange.settings.sign_body_limit_bytes))


def _texts(body: Mapping[str, Any], name: str) -> list[str]:
    words = body.get(name)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise MalformedRequestError(f'the body has {{"{name}": [...]}}, a list of texts', path=name)
    return words


def _members(carried: Sequence[Carried]) -> list[dict[str, str]]:
    return [{"public_key": target_of(one), "status": one.status, "message": one.message} for one in carried]


ROUTES = [
    Route("GET", "/admin/keys/frozen", get_frozen, Access.NAMED),
    Route("POST", "/admin/keys/freeze", post_freeze, Access.NAMED),
    Route("POST", "/admin/keys/thaw", post_thaw, Access.NAMED),
    Route("POST", "/admin/keys/tag", post_tag, Access.NAMED),
    Route("POST", "/admin/keys/delete", post_delete, Access.NAMED),
    Route("POST", "/admin/keys/allow", post_allow, Access.NAMED),
]
