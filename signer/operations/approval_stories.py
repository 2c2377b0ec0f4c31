"""How each step of a request that waits for people is told in the audit log: JSON in the note of its entry."""

import msgspec

from signer.approvals.hashes import facts_hash
from signer.approvals.request import Request
from signer.approvals.rules import state_of
from signer.audit.entry import Kind
from signer.auth.principal import Caller
from signer.errors import ApprovalClosedError
from signer.operations.approval_orders import CastVote
from signer.operations.story import NoteStory, RefusedStory


def opened_story(wanted: Request, request: Request, caller: Caller, *, now_ms: int) -> NoteStory:
    """Also where the same request waited already: it was asked for again."""
    note = {
        **_told(request),
        "requester": request.requester,
        "type": request.subject,
        "facts_hash": "0x" + facts_hash(request.facts).hex(),
        "expires_ms": request.expires_ms,
        "demands": [f"{each.policy}: {each.quorum} of {', '.join(each.groups)}" for each in request.demands],
    }
    if request.approval_id != wanted.approval_id:
        note["waited_before"] = True
    return _story(Kind.APPROVAL_OPENED, request, caller, note, now_ms)


def vote_story(order: CastVote, request: Request, caller: Caller, *, now_ms: int) -> NoteStory:
    """With the approver's signed statement, where they made one."""
    note = {**_told(request), "decision": _decision(order), "state": _state(request, now_ms)}
    if order.signed is not None:
        note["signed"] = msgspec.to_builtins(order.signed)
    return _story(Kind.APPROVAL_VOTE, request, caller, note, now_ms)


def late_vote_story(
    order: CastVote, request: Request, caller: Caller, closed: ApprovalClosedError, *, now_ms: int
) -> RefusedStory:
    """A vote on what had ended. Without its signed statement: those in the log are of votes that counted."""
    note = {**_told(request), "decision": _decision(order), "state": closed.evidence["state"]}
    text = msgspec.json.encode(note).decode()
    return RefusedStory(Kind.APPROVAL_VOTE, now_ms, text, caller, closed, request.public_key)


def ended_story(request: Request, caller: Caller | None, *, now_ms: int, reason: str = "") -> NoteStory:
    """`caller` is None where nobody ordered it; `reason`: why, where the state does not say it."""
    note = {**_told(request), "state": _state(request, now_ms)}
    if reason:
        note["reason"] = reason
    return _story(Kind.APPROVAL_ENDED, request, caller, note, now_ms)


def _story(kind: Kind, request: Request, caller: Caller | None, note: dict[str, object], now_ms: int) -> NoteStory:
    text = msgspec.json.encode(note).decode()
    if caller is None:
        return NoteStory(kind, now_ms, text, public_key=request.public_key)
    return NoteStory(kind, now_ms, text, caller.principal.name, caller.request_id, request.public_key)


def _told(request: Request) -> dict[str, object]:
    return {
        "approval": request.approval_id.hex(),
        "request_hash": "0x" + request.request_hash.hex(),
        "policies_hash": "0x" + request.policies_hash.hex(),
    }


def _decision(order: CastVote) -> str:
    return "approve" if order.approves else "deny"


def _state(request: Request, now_ms: int) -> str:
    return state_of(request, now_ms=now_ms).value
