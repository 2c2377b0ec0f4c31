"""Look entries of the audit log up, newest first.

One call reads a bounded piece of the log and says where the next one goes on, so that no question, however rare its
answer, keeps a thread or the disk busy for long. Archived entries are not looked at.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from signer.audit.archive import read_start
from signer.audit.entry import Entry, Flag, Kind, decode_entry
from signer.audit.reading import batches_backwards, entries_backwards
from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.errors import MalformedRequestError
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.units import PUBLIC_KEY_BYTES

MAX_ENTRIES = 1000
"""Entries of one answer: some 500 KiB."""

READ_BYTES = 64 * 2**20
"""How much of the log one call reads before it answers with what it has: a second's work on a slow disk."""

_REQUEST_ID_BYTES = 8

_EPOCH_DUTIES = frozenset({"AGGREGATE_AND_PROOF", "RANDAO_REVEAL"})
_TIMELESS_DUTIES = frozenset(
    {
        "BLS_TO_EXECUTION_CHANGE",
        "DEPOSIT",
        "SYNC_COMMITTEE_SELECTION_PROOF",
        "VALIDATOR_REGISTRATION",
        "VOLUNTARY_EXIT",
    }
)
"""What the two numbers of an entry are (`gate.span`): these have one epoch, none at all, and all others a slot."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries: those that match all that is given."""

    last: int
    request_id: bytes | None = None
    public_key: bytes | None = None
    before: int | None = None
    """Only entries with a smaller index."""

    @classmethod
    def parse(
        cls, *, last: int, request_id: str | None = None, public_key: str | None = None, before: int | None = None
    ) -> "AuditQuery":
        """From the texts of a request or a command line. Raises MalformedRequestError."""
        if not 1 <= last <= MAX_ENTRIES:
            raise MalformedRequestError(f"last must be 1 to {MAX_ENTRIES}", path="last")
        if before is not None and not 0 <= before < 2**63:
            raise MalformedRequestError("before must be the index of an entry", path="before")
        return cls(
            last,
            None if request_id is None else _hex(request_id, _REQUEST_ID_BYTES, "request_id"),
            None if public_key is None else _hex(public_key, PUBLIC_KEY_BYTES, "public_key"),
            before,
        )


@dataclass(frozen=True, slots=True)
class ToldEntry:
    """One entry in words; an empty text where there is nothing to tell."""

    index: int
    time: str
    """RFC 3339, UTC, milliseconds."""

    kind: str
    outcome: str
    principal: str
    request_id: str
    public_key: str
    duty: str
    span: Mapping[str, int]
    """`source_epoch` and `target_epoch`, or `slot`, `epoch` or `timestamp`."""

    signing_root: str
    code: str
    note: str
    repeat: bool
    """Everything was on record already: the same signature again."""

    blind: bool
    """The bytes signed were the caller's own."""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """What one call found."""

    entries: tuple[ToldEntry, ...]
    """Newest first."""

    next_before: int | None
    """Ask again with this `before` for older ones; None when the database holds none."""

    log_begins: int
    """The first index in the database: what is older is in archives."""


class AuditReading:
    """One instance for the life of the process; reads through a connection of its own, and blocks no signature."""

    def __init__(self, *, reading: Reading, read_bytes: int = READ_BYTES) -> None:
        self._reading = reading
        self._read_bytes = read_bytes

    async def __call__(self, query: AuditQuery, caller: Caller) -> AuditPage:
        """The newest entries that match.

        Raises:
            ForbiddenError; AuditError: an entry cannot be read.
        """
        check_authorized(caller.principal, Action.AUDIT_READ)
        return await asyncio.to_thread(self._read, query)

    def _read(self, query: AuditQuery) -> AuditPage:
        with self._reading() as moment:
            begins = read_start(moment).size
            found: list[ToldEntry] = []
            reached: int | None = None
            for index, entry in _candidates(moment, query, read_bytes=self._read_bytes):
                reached = index
                if entry is not None and _matches(entry, query):
                    found.append(_told(index, entry))
                    if len(found) == query.last:
                        break
            more = reached is not None and reached > begins
            return AuditPage(tuple(found), reached if more else None, begins)


def _candidates(moment: Transaction, query: AuditQuery, *, read_bytes: int) -> Iterator[tuple[int, Entry | None]]:
    """Entries that may match, newest first, until enough was read. A batch without any is told as its first index."""
    wanted = [value for value in (query.request_id, query.public_key) if value is not None]
    read = 0
    for batch in batches_backwards(moment, before=query.before):
        if all(value in batch.entries for value in wanted):
            for index, data in entries_backwards(batch, before=query.before):
                yield index, decode_entry(data)
        else:
            yield batch.first_index, None
        read += len(batch.entries)
        if read >= read_bytes:
            return


def _matches(entry: Entry, query: AuditQuery) -> bool:
    return query.request_id in (None, entry.request_id) and query.public_key in (None, entry.public_key)


def _told(index: int, entry: Entry) -> ToldEntry:
    return ToldEntry(
        index=index,
        time=_time(entry.time_ms),
        kind=entry.kind.name.lower(),
        outcome=entry.outcome.name.lower(),
        principal=entry.principal,
        request_id=entry.request_id.hex() if any(entry.request_id) else "",
        public_key=_shown(entry.public_key),
        duty=entry.duty,
        span=_span(entry),
        signing_root=_shown(entry.signing_root),
        code=entry.code,
        note=entry.note,
        repeat=bool(entry.flags & Flag.REPEAT),
        blind=bool(entry.flags & Flag.BLIND),
    )


def _span(entry: Entry) -> dict[str, int]:
    if entry.kind is Kind.EXTENSION:
        return {"timestamp": entry.lower}
    if entry.kind is not Kind.DUTY or entry.duty in _TIMELESS_DUTIES:
        return {}
    if entry.duty == "ATTESTATION":
        return {"source_epoch": entry.lower, "target_epoch": entry.upper}
    return {"epoch" if entry.duty in _EPOCH_DUTIES else "slot": entry.lower}


def _time(time_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{time_ms} ms"  # a clock that was far off
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def _shown(value: bytes) -> str:
    return "0x" + value.hex() if value else ""


def _hex(text: str, length: int, path: str) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != length:
        raise MalformedRequestError(f"{path} must be {2 * length} hexadecimal digits", path=path)
    return value
