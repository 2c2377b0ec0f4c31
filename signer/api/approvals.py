"""Requests that wait for people: look, approve, deny, cancel, collect.

    GET  /v1/approvals                    those that wait and that the caller may see, the newest first; `?state=all`:
                                          those that have ended too; `?before=`: the page behind, as
                                          `next_before` of this one says
    GET  /v1/approvals/{id}               one of them
    POST /v1/approvals/{id}/approve       {"request_hash": "0x...", "signed": {"algorithm", "statement", "public_key",
    POST /v1/approvals/{id}/deny           "signature"}}; `signed` where the approver has a key   (approvals:vote)
    POST /v1/approvals/{id}/cancel        by who has asked, or with approvals:cancel
    POST /v1/approvals/{id}/collect       by who has asked: the whole gate once more, and the answer of /v1/sign

Each but the last answers with the request as it stands then.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import structs

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.native import sign_and_tell
from signer.api.routing import Access, Route
from signer.api.wire_json import decode_json_object
from signer.approvals.hashes import facts_hash
from signer.approvals.record import NEWEST, Place
from signer.approvals.request import APPROVAL_ID_BYTES, HASH_BYTES, SignedStatement
from signer.approvals.signed_statement import Decision
from signer.errors import MalformedRequestError, UnknownApprovalError
from signer.operations.review_approvals import Told

MAX_VOTE_BYTES = 8192
"""The largest body of a vote: a statement has at most 1,024 characters."""

_TIME_BYTES = 8
"""Of a cursor: when the last request of a page was opened, and its id."""


async def get_approvals(exchange: Exchange) -> Answer:
    """Those that the caller may see."""
    state = exchange.request.query.get("state", "open")
    if state not in ("open", "all"):
        raise MalformedRequestError("state is `open` or `all`", path="state")
    told, next_before = await exchange.services.approvals.list_requests(
        exchange.caller, ended_too=state == "all", before=_place(exchange.request.query.get("before"))
    )
    document = {"approvals": [members_of(each) for each in told], "next_before": _cursor(next_before)}
    return json_answer(200, msgspec.json.encode(document))


async def get_approval(exchange: Exchange) -> Answer:
    """One request."""
    return _answer(await exchange.services.approvals.show(_id(exchange), exchange.caller))


async def post_approve(exchange: Exchange) -> Answer:
    """Say yes."""
    return await _vote(exchange, "approve")


async def post_deny(exchange: Exchange) -> Answer:
    """Say no, which ends it."""
    return await _vote(exchange, "deny")


async def post_cancel(exchange: Exchange) -> Answer:
    """Take it back."""
    return _answer(await exchange.services.approvals.cancel(_id(exchange), exchange.caller))


async def post_collect(exchange: Exchange) -> Answer:
    """The signature, if the whole gate lets it through now; 202 where it waits still."""
    exchange.policies = []
    approval_id = _id(exchange)
    intent = await exchange.services.approvals.content(approval_id, exchange.caller)
    exchange.caller = structs.replace(exchange.caller, collects=approval_id)
    exchange.public_key, exchange.duty_type = intent.public_key, intent.duty.type
    return await sign_and_tell(exchange, intent)


def members_of(told: Told) -> dict[str, Any]:
    """A request as it is told; `facts` as they were decoded from what will be signed."""
    request = told.request
    return {
        "approval": request.approval_id.hex(),
        "kind": request.kind,
        "state": told.state.value,
        "reason": told.reason or None,
        "type": request.subject,
        "requester": request.requester,
        "public_key": _hex(request.public_key) if request.public_key else None,
        "signing_root": _hex(request.signing_root) if request.signing_root else None,
        "request_hash": _hex(request.request_hash),
        "policies_hash": _hex(request.policies_hash),
        "facts": msgspec.Raw(request.facts),
        "facts_hash": _hex(facts_hash(request.facts)),
        "opened_ms": request.opened_ms,
        "expires_ms": request.expires_ms,
        "ready_ms": told.ready_ms,
        "demands": [
            {
                "policy": each.demand.policy,
                "quorum": each.demand.quorum,
                "groups": each.demand.groups,
                "delay_seconds": each.demand.delay_seconds,
                "approved_by": each.approvers,
                "missing": each.missing,
            }
            for each in told.progress
        ],
        "votes": [
            {
                "approver": vote.approver,
                "groups": vote.groups,
                "decision": "approve" if vote.approves else "deny",
                "time_ms": vote.cast_ms,
                "signed": vote.signed,
            }
            for vote in request.votes
        ],
        "ended_ms": request.ended_ms,
        "ended_by": request.ended_by or None,
    }


async def _vote(exchange: Exchange, decision: Decision) -> Answer:
    approval_id = _id(exchange)
    limit_bytes = min(MAX_VOTE_BYTES, exchange.settings.body_limit_bytes)
    body = decode_json_object(await exchange.read_body(limit_bytes))
    told = await exchange.services.approvals.vote(
        approval_id,
        exchange.caller,
        decision=decision,
        request_hash=_hash(body.get("request_hash")),
        signed=_signed(body),
    )
    return _answer(told)


def _answer(told: Told) -> Answer:
    return json_answer(200, msgspec.json.encode(members_of(told)))


def _id(exchange: Exchange) -> bytes:
    value = _bytes(exchange.tail, APPROVAL_ID_BYTES)
    if value is None:
        raise UnknownApprovalError(exchange.tail[:64])
    return value


def _hash(text: object) -> bytes:
    value = _bytes(text.removeprefix("0x"), HASH_BYTES) if isinstance(text, str) and text[:2] == "0x" else None
    if value is None:
        raise MalformedRequestError(
            "the body holds the request's hash, so that nobody decides about something else than what they saw",
            path="request_hash",
        )
    return value


def _signed(body: Mapping[str, Any]) -> SignedStatement | None:
    if body.get("signed") is None:
        return None
    try:
        return msgspec.convert(body["signed"], SignedStatement)
    except msgspec.ValidationError as error:
        raise MalformedRequestError(f"this is no signed statement: {error}", path="signed") from None


def _place(cursor: str | None) -> Place:
    if cursor is None:
        return NEWEST
    place = _bytes(cursor, _TIME_BYTES + APPROVAL_ID_BYTES)
    opened_ms = NEWEST.opened_ms if place is None else int.from_bytes(place[:_TIME_BYTES])
    if place is None or opened_ms >= NEWEST.opened_ms:
        raise MalformedRequestError("before is what `next_before` of the page before said", path="before")
    return Place(opened_ms, place[_TIME_BYTES:])


def _cursor(place: Place | None) -> str | None:
    return None if place is None else (place.opened_ms.to_bytes(_TIME_BYTES) + place.approval_id).hex()


def _bytes(text: str, length: int) -> bytes | None:
    """Lower-case hexadecimal of one length, or None."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        return None
    return value if len(value) == length and value.hex() == text else None


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


ROUTES = [
    Route("GET", "/v1/approvals", get_approvals, Access.NAMED, query=frozenset({"state", "before"})),
    Route("GET", "/v1/approvals/{id}", get_approval, Access.NAMED),
    Route("POST", "/v1/approvals/{id}/approve", post_approve, Access.NAMED),
    Route("POST", "/v1/approvals/{id}/deny", post_deny, Access.NAMED),
    Route("POST", "/v1/approvals/{id}/cancel", post_cancel, Access.NAMED),
    Route("POST", "/v1/approvals/{id}/collect", post_collect, Access.NAMED, signs=True),
]
