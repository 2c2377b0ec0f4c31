"""The record of approvals: how requests and votes are written and read again. Each change is one transaction's part.

Whoever changes a request locks it first and reads it then: what is written follows from what holds.
"""

from collections.abc import Callable, Iterable

import msgspec

from signer.approvals import record_statements as say
from signer.approvals.request import Demand, Ending, Request, SignedStatement, Vote
from signer.errors import UnknownApprovalError
from signer.journal.ledger import Row, Transaction

OVERDUE_AT_ONCE = 100
"""So many requests one transaction ends whose time is over."""


class Place(msgspec.Struct, frozen=True):
    """A place in the list of all requests: many may be opened in one millisecond, and none is passed over."""

    opened_ms: int
    approval_id: bytes


NEWEST = Place(1 << 53, b"")
"""Before all of them."""

_DEMANDS = msgspec.json.Decoder(tuple[Demand, ...])
_VOTES = msgspec.json.Decoder(tuple[tuple[str, str, int, int, str], ...])
_GROUPS = msgspec.json.Decoder(tuple[str, ...])
_SIGNED = msgspec.json.Decoder(SignedStatement)


def read_requests(transaction: Transaction, approval_ids: Iterable[bytes]) -> list[Request]:
    """Those of these that are on record."""
    return _requests(transaction.rows(say.READ_BY_ID, (_ids(approval_ids),)))


def get_request(transaction: Transaction, approval_id: bytes) -> Request:
    """The request. Raises UnknownApprovalError: never opened, or removed."""
    for request in read_requests(transaction, (approval_id,)):
        return request
    raise UnknownApprovalError(approval_id.hex())


def read_by_hash(transaction: Transaction, request_hash: bytes) -> list[Request]:
    """The request with this hash that has not ended, where there is one, and the last few that have."""
    return _requests(transaction.rows(say.READ_BY_HASH, (request_hash,)))


def read_page(transaction: Transaction, *, before: Place, ended_too: bool, limit: int) -> list[Request]:
    """Requests behind this place: newest first, those of one millisecond by their ids."""
    values = (before.opened_ms, before.opened_ms, before.approval_id, int(ended_too), limit)
    return _requests(transaction.rows(say.READ_PAGE, values))


def place_of(request: Request) -> Place:
    """Where it stands in the order of `read_page`."""
    return Place(request.opened_ms, request.approval_id)


def read_overdue(transaction: Transaction, *, now_ms: int) -> list[Request]:
    """Some of those whose time is over and that nobody has ended yet."""
    return _requests(transaction.rows(say.READ_OVERDUE, (now_ms, OVERDUE_AT_ONCE)))


def read_sealed(transaction: Transaction, approval_id: bytes) -> bytes:
    """What was asked for, sealed. Raises UnknownApprovalError."""
    for (sealed,) in transaction.rows(say.READ_SEALED, (approval_id,)):
        return bytes(sealed)
    raise UnknownApprovalError(approval_id.hex())


def count_open(transaction: Transaction, requester: str, *, now_ms: int) -> int:
    """So many requests of theirs wait."""
    ((count,),) = transaction.rows(say.COUNT_OPEN, (requester, now_ms))
    return int(count)


def count_waiting(transaction: Transaction, *, now_ms: int) -> int:
    """So many requests of everybody have not ended."""
    ((count,),) = transaction.rows(say.COUNT_WAITING, (now_ms,))
    return int(count)


def lock_requests(transaction: Transaction, approval_ids: Iterable[bytes]) -> None:
    """Until this transaction ends nobody else changes these."""
    transaction.run(say.LOCK, (_ids(approval_ids),))


def write_request(transaction: Transaction, request: Request, *, sealed: bytes) -> Request:
    """Open it, unless one with its hash is open already: that one is what holds. Returns what holds."""
    transaction.run(
        say.OPEN,
        (
            request.approval_id,
            request.kind,
            request.request_hash,
            request.policies_hash,
            request.requester,
            msgspec.json.encode(request.demands).decode(),
            request.opened_ms,
            request.expires_ms,
            request.subject,
            request.public_key,
            request.signing_root,
            request.facts,
            sealed,
        ),
    )
    return next(each for each in read_by_hash(transaction, request.request_hash) if each.ending is None)


def change_request(transaction: Transaction, approval_id: bytes, rule: Callable[[Request], Request]) -> Request:
    """What the rule makes of the request as it is now; what the rule raises changes nothing.

    Raises:
        UnknownApprovalError.
    """
    lock_requests(transaction, (approval_id,))
    before = get_request(transaction, approval_id)
    after = rule(before)
    for vote in after.votes:
        if vote not in before.votes:
            _write_vote(transaction, approval_id, vote)
    if (after.ending, after.collections) != (before.ending, before.collections):
        write_act(transaction, after)
    return after


def write_act(transaction: Transaction, request: Request) -> None:
    """How it has ended, or that it has not."""
    ending = None if request.ending is None else request.ending.value
    transaction.run(say.END, (ending, request.ended_ms, request.ended_by, request.collections, request.approval_id))


def count_ended(transaction: Transaction, *, before_ms: int) -> int:
    """So many have ended before."""
    ((count,),) = transaction.rows(say.COUNT_OLD, (before_ms,))
    return int(count)


def remove_ended(transaction: Transaction, *, before_ms: int) -> int:
    """Remove what has ended before; how many requests."""
    count = count_ended(transaction, before_ms=before_ms)
    transaction.run(say.REMOVE_VOTES, (before_ms,))
    transaction.run(say.REMOVE, (before_ms,))
    return count


def _write_vote(transaction: Transaction, approval_id: bytes, vote: Vote) -> None:
    # As bytes: what people write may hold quotation marks, which no script of PostgreSQL's takes (`filled`).
    signed = b"" if vote.signed is None else msgspec.json.encode(vote.signed)
    groups = msgspec.json.encode(vote.groups)
    transaction.run(say.VOTE, (approval_id, vote.approver, groups, int(vote.approves), vote.cast_ms, signed))


def _requests(rows: Iterable[Row]) -> list[Request]:
    return [_request(row) for row in rows]


def _request(row: Row) -> Request:
    return Request(
        approval_id=bytes(row[0]),
        kind=row[1],
        request_hash=bytes(row[2]),
        policies_hash=bytes(row[3]),
        requester=row[4],
        demands=_DEMANDS.decode(row[5]),
        opened_ms=row[6],
        expires_ms=row[7],
        subject=row[8],
        public_key=bytes(row[9]),
        signing_root=bytes(row[10]),
        facts=bytes(row[11]),
        ending=None if row[12] is None else Ending(row[12]),
        ended_ms=row[13],
        ended_by=row[14],
        collections=row[15],
        votes=_votes(row[16]),
    )


def _votes(text: str) -> tuple[Vote, ...]:
    votes = [
        Vote(
            approver,
            _GROUPS.decode(bytes.fromhex(groups)),
            bool(approves),
            cast_ms,
            _SIGNED.decode(bytes.fromhex(signed)) if signed else None,
        )
        for approver, groups, approves, cast_ms, signed in _VOTES.decode(text)
    ]
    return tuple(sorted(votes, key=lambda vote: (vote.cast_ms, vote.approver)))


def _ids(approval_ids: Iterable[bytes]) -> str:
    return msgspec.json.encode([each.hex() for each in approval_ids]).decode()
