"""Errors become statuses here, in one table, and problem documents (RFC 9457).

Web3Signer answers a bare reason phrase; clients look at the status alone, and all of them fail closed on any but 200.
A route that signs never answers 503: Prysm reads its body as a signature, Nimbus gives the duty up for good, while both
understand 500 (Nimbus asks again). So UnavailableError is 500, and 503 stays with health and the list of keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from signer.api.answer import Answer, status_head
from signer.errors import (
    ApprovalClosedError,
    AuditError,
    AuthenticationError,
    BodyTooLargeError,
    BusyError,
    ElsewhereError,
    Evidence,
    ForbiddenError,
    NothingSetError,
    NotReadyError,
    PolicyOrderError,
    PolicyRefusalError,
    RefusalError,
    RequestError,
    SignerError,
    UnavailableError,
    UnknownApprovalError,
    UnknownKeyError,
    UnknownPolicyError,
)

PROBLEM_JSON = "application/problem+json"

_STATUS: Mapping[type[SignerError], int] = {
    RequestError: 400,
    BodyTooLargeError: 413,
    AuthenticationError: 401,
    ForbiddenError: 403,
    UnknownKeyError: 404,
    NothingSetError: 404,
    UnknownPolicyError: 404,
    UnknownApprovalError: 404,
    RefusalError: 412,
    PolicyRefusalError: 412,  # or 403: a setting
    BusyError: 409,
    PolicyOrderError: 409,
    ApprovalClosedError: 409,
    ElsewhereError: 409,
    NotReadyError: 503,
    UnavailableError: 500,
    AuditError: 500,
    SignerError: 500,
}
"""The one table: a class without a line of its own has its parent's status."""

_STANDARD_MEMBERS = frozenset({"type", "title", "status", "detail", "code", "request_id"})

INTERNAL = "INTERNAL"
"""The code of everything unforeseen; the log has the rest, under the request id."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong with one request, ready to be told."""

    status: int
    code: str
    detail: str
    evidence: Evidence


def status_of(error: SignerError, *, policy_refusal: Literal[412, 403], signs: bool) -> int:
    """The status of an error; `signs` is true on routes whose answer is a signature."""
    if isinstance(error, PolicyRefusalError):
        return policy_refusal
    if signs and isinstance(error, NotReadyError):
        return 500
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def problem_of(error: SignerError, *, policy_refusal: Literal[412, 403], signs: bool) -> Problem:
    """The problem that tells of an error."""
    return Problem(
        status_of(error, policy_refusal=policy_refusal, signs=signs), error.code, error.sentence, error.evidence
    )


UNFORESEEN = Problem(
    500, INTERNAL, "something unforeseen happened; nothing was signed; the log has it under this request id", {}
)


def problem_members(problem: Problem, request_id: str) -> dict[str, Any]:
    """The members of the document: RFC 9457's own, `code`, `request_id`, and the evidence beside them."""
    members: dict[str, Any] = {
        "type": "urn:holdfast:problem:" + problem.code.lower().replace("_", "-"),
        "title": problem.code.replace("_", " ").capitalize(),
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
    }
    members.update((name, value) for name, value in problem.evidence.items() if name not in _STANDARD_MEMBERS)
    return members


def problem_answer(problem: Problem, request_id: str, *, extra: bytes = b"") -> Answer:
    """The problem as an answer; `extra` is further header lines."""
    return document_answer(problem.status, problem_members(problem, request_id), extra=extra)


def document_answer(status: int, members: Mapping[str, Any], *, extra: bytes = b"") -> Answer:
    """A problem document as an answer."""
    return Answer(status, status_head(status, PROBLEM_JSON), msgspec.json.encode(members), extra)


def challenge(realm: str) -> bytes:
    """The header line of a 401. Basic comes first: Java's client takes the first scheme it knows (Teku)."""
    return f'WWW-Authenticate: Basic realm="{realm}", Bearer\r\n'.encode()
