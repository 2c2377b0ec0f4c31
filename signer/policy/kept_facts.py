"""What decisions were made of, on record: facts, what each policy said, and the counters that they were told.

Where a namespace keeps it, it is written in the commit of the decision, signed or refused, beside the audit entry: the
entry has the body's SHA-256 (`facts=` in its note), so that nobody changes one without the other being known.

Rule: nothing is read here to decide anything; it is for replays.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from signer.errors import CorruptDatabaseError, MalformedRequestError
from signer.journal.command import Keepsake, Verdict
from signer.journal.ledger import Transaction
from signer.journal.statement import Statement
from signer.policy.combine import Outcome
from signer.policy.counters import CounterId, Seen
from signer.policy.facts import Facts, decode_facts, encode_facts
from signer.policy.verdict import ALLOW, Allow, Deny, RequireApproval, Reservation, encode_verdict
from signer.policy.verdict import Verdict as PolicyVerdict

_KEEP = "INSERT INTO policy_facts (audit_index, time_ms, public_key, code, body) VALUES (?, ?, ?, ?, ?)"

_READ = """
SELECT log, audit_index, time_ms, public_key, code, body FROM policy_facts
WHERE (time_ms, log, audit_index) > (?1, ?2, ?3) AND time_ms < ?4 ORDER BY time_ms, log, audit_index LIMIT ?5
"""

_ANY_OLD = "SELECT 1 FROM policy_facts WHERE time_ms < ? LIMIT 1"

_REMOVE = Statement(
    embedded="""
DELETE FROM policy_facts WHERE rowid IN (SELECT rowid FROM policy_facts WHERE time_ms < ? ORDER BY time_ms LIMIT ?)
""",
    shared="""
DELETE FROM holdfast.policy_facts WHERE (log, audit_index) IN (
    SELECT log, audit_index FROM holdfast.policy_facts WHERE time_ms < ? ORDER BY time_ms LIMIT ?
    FOR UPDATE SKIP LOCKED
)
""",
)
"""Rows that another signer is removing are passed over on the shared database."""


class _Said(Struct, frozen=True, forbid_unknown_fields=True):
    policy: str
    version: str
    verdict: msgspec.Raw


class _Told(Struct, frozen=True, forbid_unknown_fields=True):
    policy: str
    counter: str
    window_seconds: int
    spent: str


class _Body(Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["holdfast-decision-1"]
    revision: int
    facts: msgspec.Raw
    said: tuple[_Said, ...]
    told: tuple[_Told, ...]


class KeptDecision(Struct, frozen=True):
    """One decision as it was made."""

    facts: Facts
    revision: int
    """Of the policies that were asked: what their lists held is on record there."""

    outcomes: tuple[Outcome, ...]
    seen: tuple[Seen, ...]
    """The counters that policies have read."""


class KeptRow(Struct, frozen=True):
    """A decision where it lies."""

    log: str
    """Whose audit log; empty where there is one."""

    audit_index: int
    time_ms: int
    public_key: bytes
    code: str
    """Why it was not signed; empty where it was."""

    body: bytes


Place = tuple[int, str, int]
"""Time, log and index of a row: they are read in this order."""

BEFORE_ALL: Place = (-1, "", -1)

_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODER = msgspec.json.Decoder(_Body)


def encode_decision(decision: KeptDecision) -> bytes:
    """The one text of a decision."""
    return _ENCODER.encode(
        _Body(
            "holdfast-decision-1",
            decision.revision,
            msgspec.Raw(encode_facts(decision.facts)),
            tuple(map(_said, decision.outcomes)),
            tuple(map(_told, decision.seen)),
        )
    )


def decode_decision(body: bytes) -> KeptDecision:
    """The decision again. Raises CorruptDatabaseError: it is none as we write it."""
    try:
        read = _DECODER.decode(body)
        return KeptDecision(
            decode_facts(bytes(read.facts)),
            read.revision,
            tuple(Outcome(each.policy, each.version, _verdict(json.loads(bytes(each.verdict)))) for each in read.said),
            tuple(map(_seen, read.told)),
        )
    except (ValueError, KeyError, TypeError, MalformedRequestError, msgspec.MsgspecError) as error:
        raise CorruptDatabaseError(
            f"a kept decision cannot be read: {error}", remedy="a newer Holdfast may have written it; start that one"
        ) from None


def digest_of(body: bytes) -> bytes:
    """What the audit entry has of it: 32 bytes."""
    return hashlib.sha256(body).digest()


class FactsKeeper:
    """See `Keeper`. Stateless: owned by the writer."""

    def keep(self, transaction: Transaction, kept: Sequence[tuple[int, Keepsake, Verdict]]) -> None:
        """One row for each, beside its entry."""
        transaction.run_many(_KEEP, [_row(index, keepsake, verdict) for index, keepsake, verdict in kept])


def read_kept(transaction: Transaction, *, after: Place, until_ms: int, most: int) -> list[KeptRow]:
    """The next rows in the order of their time."""
    rows: Iterable[Any] = transaction.rows(_READ, (*after, until_ms, most))
    return [
        KeptRow(str(log), int(index), int(time_ms), bytes(key), str(code), bytes(body))
        for log, index, time_ms, key, code, body in rows
    ]


def any_older(transaction: Transaction, *, before_ms: int) -> bool:
    """Whether there is something to remove."""
    return any(True for _ in transaction.rows(_ANY_OLD, (before_ms,)))


def remove_older(transaction: Transaction, *, before_ms: int, most: int) -> int:
    """Remove the oldest rows, so many at most; how many it were."""
    transaction.run(_REMOVE, (before_ms, most))
    return transaction.changed()


def _row(index: int, keepsake: Keepsake, verdict: Verdict) -> tuple[Any, ...]:
    code = keepsake.code or ("" if verdict.refusal is None else verdict.refusal.code)
    return (index, keepsake.time_ms, keepsake.public_key, code, keepsake.body)


def _said(outcome: Outcome) -> _Said:
    return _Said(outcome.policy, outcome.version, msgspec.Raw(encode_verdict(outcome.verdict)))


def _told(seen: Seen) -> _Told:
    counter = seen.counter
    return _Told(counter.policy, counter.counter, counter.window_seconds, str(seen.spent))


def _seen(told: _Told) -> Seen:
    return Seen(CounterId(told.policy, told.counter, told.window_seconds), int(told.spent))


def _verdict(told: dict[str, Any]) -> PolicyVerdict:
    """Ours too, which no policy could have written. Raises KeyError, TypeError, ValueError."""
    reserve = tuple(
        Reservation(each["counter"], int(each["window_seconds"]), int(each["amount"]), int(each["limit"]))
        for each in told.get("reserve", ())
    )
    match told["verdict"]:
        case "allow":
            return Allow(reserve) if reserve else ALLOW
        case "deny":
            return Deny(told["code"], told["message"], told["evidence"])
        case "require_approval":
            groups, delay = tuple(told["groups"]), told.get("delay_seconds", 0)
            return RequireApproval(told["quorum"], groups, told["lifetime_seconds"], delay, reserve)
        case other:
            raise ValueError(f"no verdict is called {other!r}")
