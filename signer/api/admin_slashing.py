"""What an operator asks of the slashing record of a running signer, beside export and import (`admin.py`).

GET  /admin/slashing/status     ?public_key=0x... for one key, or ?after=0x...&limit=500 for the next ones, all
                                optional; 200 {"watermarks": {"low_epoch": null, "low_slot": null, "high_epoch": null,
                                "high_slot": null}, "keys": [{"public_key": "0x...", "floor_source": 1,
                                "floor_target": 2, "floor_slot": null, "votes": 7, "newest_source": 8,
                                "newest_target": 9, "newest_vote_root": "0x..." | null, "blocks": 0,
                                "newest_slot": null, "newest_block_root": null,
                                "unfinished_import": "..." | null, "state": ["active"]}],
                                "next_after": "0x..." | null}; the state says in words what keeps the key from signing;
                                ask again with `after` set to `next_after` until that is null    (slashing:read)
GET  /admin/slashing/explain    ?public_key=0x...&source=3&target=4 or &slot=128, and &root=0x... where it is known;
                                200 {"public_key": "0x...", "verdict": "new" | "repeat" | "refused" |
                                "not_loaded", "code": "", "reason": "", "evidence": {...},
                                "record": one of the keys above | null,
                                "watermarks": {...}, "room": {"least_source": 8, "least_target": 10,
                                "greatest_target": 99, "least_slot": null, "greatest_slot": 3199},
                                "key_loaded": true | false | null}: whatever is in
                                the room is accepted                                             (slashing:read)
POST /admin/slashing/watermark  {"low_epoch": 100, "low_slot": 3200} raises, {"high_epoch": 200, "high_slot": 6400}
                                sets, {"clear_high": true} clears; with "public_key" the floors of one key rise;
                                "far_ahead": true where a low one is meant to be more than a day ahead of the clock;
                                200 {"before": {"low_epoch": null, ...}, "after": {...}}        (slashing:write)
POST /admin/slashing/prune      {} or {"keep_epochs": 10000, "keep_slots": 320000, "public_key": "0x..."}: deletes old
                                records for some seconds; 200 {"votes": 7, "blocks": 0, "transactions": 1,
                                "more": false}; ask again while there is more                   (slashing:write)
"""

from typing import TypeVar

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.routing import Access, Route
from signer.errors import MalformedRequestError
from signer.operations.explain import Question, parse_public_key
from signer.operations.record_orders import MoveWatermarks, PruneRecord
from signer.operations.record_status import MAX_KEYS

T = TypeVar("T")


class _Move(msgspec.Struct, forbid_unknown_fields=True):
    public_key: str | None = None
    low_epoch: int | None = None
    low_slot: int | None = None
    high_epoch: int | None = None
    high_slot: int | None = None
    clear_high: bool = False
    far_ahead: bool = False


class _Prune(msgspec.Struct, forbid_unknown_fields=True):
    public_key: str | None = None
    keep_epochs: int | None = None
    keep_slots: int | None = None


async def get_status(exchange: Exchange) -> Answer:
    """What is on record, key by key."""
    asked = exchange.request.query
    key = parse_public_key(asked["public_key"]) if "public_key" in asked else None
    after = parse_public_key(asked["after"]) if "after" in asked else b""
    limit = _number(asked.get("limit", str(MAX_KEYS)), "limit")
    if not 1 <= limit <= MAX_KEYS:
        raise MalformedRequestError(f"limit must be 1 to {MAX_KEYS}", path="limit")
    found = await exchange.services.explaining.status(exchange.caller, public_key=key, after=after, limit=limit)
    return json_answer(200, msgspec.json.encode(found))


async def get_explanation(exchange: Exchange) -> Answer:
    """Whether a vote or a block would be signed, and why."""
    asked = exchange.request.query
    numbers = {name: _number(asked[name], name) for name in ("source", "target", "slot") if name in asked}
    question = Question.parse(public_key=asked.get("public_key", ""), root=asked.get("root"), **numbers)
    found = await exchange.services.explaining.explain(question, exchange.caller)
    return json_answer(200, msgspec.json.encode(found))


async def post_watermark(exchange: Exchange) -> Answer:
    """Raise low watermarks, set or clear the high one."""
    body = await _read(exchange, _Move)
    key = None if body.public_key is None else parse_public_key(body.public_key)
    order = MoveWatermarks(
        public_key=key,
        low_epoch=_unsigned(body.low_epoch, "low_epoch"),
        low_slot=_unsigned(body.low_slot, "low_slot"),
        high_epoch=_unsigned(body.high_epoch, "high_epoch"),
        high_slot=_unsigned(body.high_slot, "high_slot"),
        clear_high=body.clear_high,
    )
    moved = await exchange.services.keeping.move(order, exchange.caller, far_ahead=body.far_ahead)
    return json_answer(200, msgspec.json.encode({"before": moved.before, "after": moved.after}))


async def post_prune(exchange: Exchange) -> Answer:
    """Delete old records for some seconds."""
    body = await _read(exchange, _Prune)
    key = None if body.public_key is None else parse_public_key(body.public_key)
    order = PruneRecord(
        keep_epochs=_unsigned(body.keep_epochs, "keep_epochs"),
        keep_slots=_unsigned(body.keep_slots, "keep_slots"),
        public_key=key,
    )
    done = await exchange.services.keeping.prune(order, exchange.caller)
    members = {"votes": done.votes, "blocks": done.blocks, "transactions": done.transactions, "more": done.more}
    return json_answer(200, msgspec.json.encode(members))


async def _read(exchange: Exchange, kind: type[T]) -> T:
    body = await exchange.read_body(exchange.settings.body_limit_bytes)
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequestError(f"the body is not what this route takes: {error}") from None


def _unsigned(value: int | None, name: str) -> int | None:
    if value is not None and not 0 <= value < 2**64:
        raise MalformedRequestError(f"{name} must be an unsigned 64-bit number", path=name)
    return value


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise MalformedRequestError(f"{name} must be a number", path=name)
    return int(text)


ROUTES = [
    Route("GET", "/admin/slashing/status", get_status, Access.NAMED, query=frozenset({"public_key", "after", "limit"})),
    Route(
        "GET",
        "/admin/slashing/explain",
        get_explanation,
        Access.NAMED,
        query=frozenset({"public_key", "source", "target", "slot", "root"}),
    ),
    Route("POST", "/admin/slashing/watermark", post_watermark, Access.NAMED),
    Route("POST", "/admin/slashing/prune", post_prune, Access.NAMED),
]
