"""Read the decisions that namespaces keep with their facts, oldest first, each held against the audit log.

One call reads a bounded piece and says where the next one goes on. It reads beside the writer.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from signer.audit.archive import ArchivedBatches
from signer.audit.chain import unpack
from signer.audit.entry import decode_entry
from signer.audit.verify import StoredBatch
from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.errors import AuditError, ForbiddenError, MalformedRequestError
from signer.journal.ledger import Transaction
from signer.journal.postgres_setup import log_schema
from signer.operations.kept_record import RecordView
from signer.operations.reading import read_record
from signer.operations.story import told_kept
from signer.policy.kept_facts import KeptRow, Place, digest_of, read_kept

MOST_DECISIONS = 500
"""Of one answer; fewer where they are large."""

_ANSWER_BYTES = 4 << 20

_LATEST_MS = 2**62

_LOG = re.compile(r"holdfast_log_[0-9a-f]{32}")
_PLACE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})-(|holdfast_log_[0-9a-f]{32})")

Vouched = Literal["matches", "differs", "archived"]
"""What the audit log says: its entry has this body's hash; or another one, or none; or the entry is in an archive that
is not at hand.
"""


class DecisionQuery(Struct, frozen=True):
    """Which decisions, in milliseconds since the Unix epoch."""

    since_ms: int = 0
    until_ms: int = _LATEST_MS
    """Not this one any more."""

    after: Place | None = None
    limit: int = MOST_DECISIONS


class ToldDecision(Struct, frozen=True):
    """A decision, and what the audit log says of it."""

    row: KeptRow
    vouched: Vouched


class DecisionPage(Struct, frozen=True):
    """What one call found, oldest first."""

    decisions: tuple[ToldDecision, ...]
    next_after: str | None
    """Ask again with this for what follows; None where nothing does."""


class DecisionReading:
    """One instance for the life of the process; reads through connections of its own, and this signer's archives."""

    def __init__(self, view: RecordView, *, archive_directory: Path) -> None:
        self._view = view
        self._archive_directory = archive_directory

    async def __call__(self, query: DecisionQuery, caller: Caller) -> DecisionPage:
        """The next decisions. Raises ForbiddenError, MalformedRequestError, StartupError, AuditError."""
        for action in (Action.POLICY_READ, Action.AUDIT_READ):
            check_authorized(caller.principal, action)
        if caller.principal.keys is not None:
            raise ForbiddenError(
                f"principal {caller.principal.name} is granted single keys, and kept facts are of all of them",
                evidence={"principal": caller.principal.name},
            )
        if not 1 <= query.limit <= MOST_DECISIONS:
            raise MalformedRequestError(f"limit must be 1 to {MOST_DECISIONS}", path="limit")
        return await asyncio.to_thread(read_record, self._view.reading, lambda moment: self._page(moment, query))

    def _page(self, moment: Transaction, query: DecisionQuery) -> DecisionPage:
        after = query.after or (query.since_ms, "", -1)
        rows = read_kept(moment, after=after, until_ms=query.until_ms, most=query.limit)
        taken = _within(rows)
        more = len(taken) < len(rows) or len(rows) == query.limit
        last = taken[-1] if taken else None
        following = f"{last.time_ms}-{last.audit_index}-{last.log}" if more and last is not None else None
        own_log = "" if self._view.instance is None else log_schema(self._view.instance)
        archives = ArchivedBatches(self._archive_directory, log_id=self._view.log_id(moment))
        told = [
            ToldDecision(row, _vouched(moment, row, archives=archives if row.log == own_log else None)) for row in taken
        ]
        return DecisionPage(tuple(told), following)


def decision_query(
    *, since_ms: int | None, until_ms: int | None, after: str | None, limit: int | None
) -> DecisionQuery:
    """A question as the edges put it; `after`: where a former answer has ended. Raises MalformedRequestError."""
    place: Place | None = None
    if after is not None:
        found = _PLACE.fullmatch(after)
        if found is None:
            raise MalformedRequestError("after must be the next_after of a former answer", path="after")
        place = int(found[1]), found[3], int(found[2])
    return DecisionQuery(
        since_ms or 0,
        _LATEST_MS if until_ms is None else until_ms,
        place,
        MOST_DECISIONS if limit is None else limit,
    )


def told_decisions(page: DecisionPage) -> Mapping[str, Any]:
    """A page as the edges tell it; bodies are JSON texts whose SHA-256 the audit entries have."""
    return {
        "decisions": [
            {
                "log": each.row.log,
                "audit_index": each.row.audit_index,
                "time_ms": each.row.time_ms,
                "public_key": "0x" + each.row.public_key.hex(),
                "code": each.row.code,
                "audit": each.vouched,
                "body": each.row.body.decode(errors="replace"),
            }
            for each in page.decisions
        ],
        "next_after": page.next_after,
    }


def _within(rows: Sequence[KeptRow]) -> Sequence[KeptRow]:
    size = 0
    for n, row in enumerate(rows):
        size += len(row.body)
        if size > _ANSWER_BYTES and n:
            return rows[:n]
    return rows


def _vouched(moment: Transaction, row: KeptRow, *, archives: ArchivedBatches | None) -> Vouched:
    """`archives`: those of the row's log; None where they are another signer's."""
    if row.log and not _LOG.fullmatch(row.log):
        return "differs"
    batch = _recorded(moment, row)
    if batch is None and archives is not None:
        # A file that cannot be read is found by `holdfast audit verify`: here it is as if it were not at hand.
        with suppress(AuditError):
            batch = archives.find(row.audit_index)
    if batch is None:
        return "archived"
    at = row.audit_index - batch.first_index
    if at >= batch.count:
        return "differs"
    entry = decode_entry(list(unpack(batch.entries))[at])
    named = entry.note.partition("; ")[0] == told_kept(digest_of(row.body))
    same = (entry.time_ms, entry.public_key, entry.code) == (row.time_ms, row.public_key, row.code)
    return "matches" if named and same else "differs"


def _recorded(moment: Transaction, row: KeptRow) -> StoredBatch | None:
    """The last batch in the database that begins no later than this entry; None where all begin later."""
    table = f"{row.log}.audit_batches" if row.log else "audit_batches"
    statement = (
        f"SELECT first_index, count, head, entries FROM {table}"  # noqa: S608 - a name of ours, checked above
        " WHERE first_index <= ? ORDER BY first_index DESC LIMIT 1"
    )
    for first, count, head, entries in moment.rows(statement, (row.audit_index,)):
        return StoredBatch(int(first), int(count), bytes(head), bytes(entries))
    return None
