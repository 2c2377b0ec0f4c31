"""A verdict as commands tell it."""

import json
from typing import Any

from signer.policy.verdict import FOREVER, Allow, Deny, RequireApproval, Reservation, Verdict, encode_verdict


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """The verdict as a policy writes it in JSON, with a denial's evidence."""
    document: dict[str, Any] = json.loads(encode_verdict(verdict))
    return document


def verdict_kind(verdict: Verdict) -> str:
    """What is counted: `allow`, `require_approval`, or `deny` with its code."""
    match verdict:
        case Deny(code):
            return f"deny {code}"
        case RequireApproval():
            return "require_approval"
        case Allow():
            return "allow"


def verdict_lines(verdict: Verdict) -> list[str]:
    """The verdict for people: what it is, and a line for everything that hangs on it."""
    match verdict:
        case Deny(code, message, evidence):
            return [f"deny {code}: {message}", *(f"  {name}: {value}" for name, value in evidence.items())]
        case RequireApproval(quorum, groups, lifetime_seconds, delay_seconds, reserve):
            delay = f", not before {delay_seconds} s have passed" if delay_seconds else ""
            asked = f"require approval by {quorum} of {', '.join(groups)} within {lifetime_seconds} s{delay}"
            return [asked, *map(_reservation, reserve)]
        case Allow(reserve):
            return ["allow", *map(_reservation, reserve)]


def _reservation(reservation: Reservation) -> str:
    window = "for its whole life" if reservation.window_seconds == FOREVER else f"in {reservation.window_seconds} s"
    return f"  reserves {reservation.amount} of {reservation.counter}, at most {reservation.limit} {window}"
