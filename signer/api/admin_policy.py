"""What an operator asks of policies, and orders about them; the orders are `operations/policy_orders.py`'s.

GET  /admin/policy                   ?revision=3 for what held then; 200 {"revision": 7, "digest": "0x...", "policies":
                                     [POLICY], "lists": [{"name", "items": 2}], "trusted_keys": ["..."],
                                     "keeps_facts": ["default"], "guard": null | {"quorum", "groups",
                                     "lifetime_seconds", "delay_seconds"}}
GET  /admin/policy/history           ?limit=20&before=7, both optional; 200 {"changes": [{"revision", "at", "by",
                                     "change"}]}, newest first
GET  /admin/policy/who-can           ?key=0x...&action=sign:duty (or a signing type: BLOCK_V2); 200 {"public_key",
                                     "action", "namespace", "tags": [], "revision", "unbound": "allow" | "deny" | null,
                                     "principals": [{"principal", "groups": [], "may": true, "reason": "", "policies":
                                     [{"policy", "version", "through": ["tag:lido"]}]}]}
GET  /admin/policy/policies/{name}   200 POLICY with "published": [{"version", "size_bytes", "signed_by": "..." | null,
                                     "published_at", "published_by"}], newest first, and "manifest"
GET  /admin/policy/lists/{name}      ?revision=3 for what it held then; 200 {"name", "items": ["..."]}
GET  /admin/policy/shadows           200 {"shadows": [{"policy", "version": "..." | null, "comparisons": 5,
                                     "differences": 2}]}, since the start, whichever version ran beside; through the
                                     admin socket of all processes, over the network of the worker that answers
GET  /admin/policy/decisions         ?since_ms=0&until_ms=0&after=...&limit=500, all optional; 200 {"decisions":
                                     [{"log", "audit_index", "time_ms", "public_key", "code", "audit": "matches" |
                                     "differs" | "archived", "body"}], "next_after": "..." | null}, oldest first: what
                                     namespaces keep of their decisions                          (audit:read, too)
GET  /admin/policy/packs/{version}   200 the pack's bytes
                                     All of these need policy:read.
POST /admin/policy/orders            {"order": "publish", "pack": base64, "signature": base64, "signed_by": hex},
                                     {"order": "activate" | "rollback" | "shadow", "name", "version"},
                                     {"order": "rollback_all", "revision"}, {"order": "retire", "name"},
                                     {"order": "bind" | "unbind", "binding": {"policy", "to": {"kind": "tag", "tag"}}},
                                     {"order": "list", "name", "change": "set" | "add" | "remove" | "drop", "items"},
                                     {"order": "trust", "key", "trusted": true}, {"order": "keep_facts", "namespaces"},
                                     {"order": "guard", "guard": null | {"quorum", "groups", "lifetime_seconds",
                                     "delay_seconds"}};
                                     with "if_revision" only if that revision holds (409 POLICY_REVISION_MOVED
                                     otherwise; 412 APPROVAL_REQUIRED where changes wait for
                                     people); 200 {"revision", "status": "done" | "unchanged", "change", "version"}
                                                                                                        (policy:write)
POLICY is {"name", "version": "..." | null, "staged", "shadow", "previous": ["..."], "bound_to": ["tag:lido"]}.
"""

import base64

import msgspec

from signer.api.answer import Answer, json_answer, status_head
from signer.api.exchange import Exchange
from signer.api.routing import Access, Route
from signer.api.wire_json import check_nesting
from signer.errors import MalformedRequestError
from signer.operations.freeze_keys import parse_public_key
from signer.operations.kept_decisions import decision_query, told_decisions
from signer.operations.manage_policies import told_change, told_policies, told_shadows, told_story
from signer.operations.policy_orders import MAX_PACK_BYTES, PolicyOrder
from signer.operations.who_can import told_who_can

ORDER_LIMIT_BYTES = len(base64.b64encode(bytes(MAX_PACK_BYTES))) + 4096
"""The largest pack, as JSON spells bytes, and what is beside it."""

_CHANGES = 50
"""Of the history, where nobody says how many."""

_ORDERS = msgspec.json.Decoder(PolicyOrder)


async def get_policies(exchange: Exchange) -> Answer:
    """What holds, or held."""
    revision = _number(exchange, "revision", least=0)
    policies = await exchange.services.policy_management.policies(exchange.caller, revision=revision)
    return json_answer(200, msgspec.json.encode(told_policies(policies)))


async def get_history(exchange: Exchange) -> Answer:
    """How it came to be."""
    limit, before = _number(exchange, "limit", least=1), _number(exchange, "before", least=1)
    management = exchange.services.policy_management
    changes = await management.history(exchange.caller, before=before, limit=_CHANGES if limit is None else limit)
    return json_answer(200, msgspec.json.encode({"changes": [told_change(each) for each in changes]}))


async def get_who_can(exchange: Exchange) -> Answer:
    """Who may do something with a key, and which policies have a say."""
    key = parse_public_key(exchange.request.query.get("key", ""))
    action = exchange.request.query.get("action", "")
    answer = await exchange.services.who_can(key, action, exchange.caller)
    return json_answer(200, msgspec.json.encode(told_who_can(answer)))


async def get_policy(exchange: Exchange) -> Answer:
    """Everything about one policy."""
    story = await exchange.services.policy_management.policy(exchange.tail, exchange.caller)
    return json_answer(200, msgspec.json.encode(told_story(story)))


async def get_list(exchange: Exchange) -> Answer:
    """What a list holds."""
    revision = _number(exchange, "revision", least=0)
    found = await exchange.services.policy_management.named_list(exchange.tail, exchange.caller, revision=revision)
    return json_answer(200, msgspec.json.encode({"name": found.name, "items": list(found.items)}))


async def get_shadows(exchange: Exchange) -> Answer:
    """What versions that run beside the live ones have come to so far."""
    policies = await exchange.services.policy_management.policies(exchange.caller)
    return json_answer(200, msgspec.json.encode(told_shadows(policies, await exchange.services.shadow_counts())))


async def get_decisions(exchange: Exchange) -> Answer:
    """Decisions that are kept with their facts, oldest first."""
    query = decision_query(
        since_ms=_number(exchange, "since_ms", least=0),
        until_ms=_number(exchange, "until_ms", least=0),
        after=exchange.request.query.get("after"),
        limit=_number(exchange, "limit", least=1),
    )
    page = await exchange.services.kept_decisions(query, exchange.caller)
    return json_answer(200, msgspec.json.encode(told_decisions(page)))


async def get_pack(exchange: Exchange) -> Answer:
    """The text of a pack."""
    text = await exchange.services.policy_management.pack(exchange.tail, exchange.caller)
    return Answer(200, status_head(200, "application/octet-stream"), text)


async def post_order(exchange: Exchange) -> Answer:
    """Carry an order out."""
    management = exchange.services.policy_management
    management.check_may_order(exchange.caller)
    body = await exchange.read_body(min(ORDER_LIMIT_BYTES, exchange.settings.import_limit_bytes))
    check_nesting(body)
    try:
        order = _ORDERS.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequestError(f"the body is no order: {error}") from None
    return json_answer(200, msgspec.json.encode(await management.order(order, exchange.caller)))


def _number(exchange: Exchange, name: str, *, least: int) -> int | None:
    text = exchange.request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15) or int(text) < least:
        raise MalformedRequestError(f"{name} must be a number, at least {least}", path=name)
    return int(text)


ROUTES = [
    Route("GET", "/admin/policy", get_policies, Access.NAMED, query=frozenset({"revision"})),
    Route("GET", "/admin/policy/history", get_history, Access.NAMED, query=frozenset({"limit", "before"})),
    Route("GET", "/admin/policy/who-can", get_who_can, Access.NAMED, query=frozenset({"key", "action"})),
    Route("GET", "/admin/policy/policies/{name}", get_policy, Access.NAMED),
    Route("GET", "/admin/policy/lists/{name}", get_list, Access.NAMED, query=frozenset({"revision"})),
    Route("GET", "/admin/policy/shadows", get_shadows, Access.NAMED),
    Route(
        "GET",
        "/admin/policy/decisions",
        get_decisions,
        Access.NAMED,
        query=frozenset({"since_ms", "until_ms", "after", "limit"}),
    ),
    Route("GET", "/admin/policy/packs/{version}", get_pack, Access.NAMED),
    Route("POST", "/admin/policy/orders", post_order, Access.NAMED),
]
