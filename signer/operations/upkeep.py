"""What the service does for itself while it runs: summaries of who was turned away, and old audit entries archived."""

import asyncio
import logging
from collections import Counter
from pathlib import Path

from signer.audit.archive import (
    Archive,
    LogStart,
    archive_name,
    choose_old,
    encode_archive,
    forget,
    read_start,
    set_aside,
)
from signer.audit.entry import Kind
from signer.audit.verify import stored_batches
from signer.clock import Clock
from signer.durable import ensure_private_directory, write_durably
from signer.errors import SignerError
from signer.journal.command import Command, Journal
from signer.operations.kept_record import RecordView
from signer.operations.protect import Changes
from signer.operations.story import NoteStory

SUMMARY_SECONDS = 60.0
"""How often requests that never came to a decision are summed up in one audit entry."""

ARCHIVE_SECONDS = 3600.0
"""How often entries past their age are looked for."""

DAY_MS = 86_400_000

_log = logging.getLogger("holdfast.upkeep")


class TurnedAway:
    """Counts requests that were turned away before a decision about a key; a flood of them is one entry a minute."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, code: str) -> None:
        """One more was answered with this code."""
        self._counts[code] += 1

    def take(self) -> str:
        """What was counted since the last time, as text; empty when nothing was."""
        counts, self._counts = self._counts, Counter()
        return " ".join(f"{code}={number}" for code, number in sorted(counts.items()))


class Summaries:
    """Writes what TurnedAway counted. Runs until cancelled."""

    def __init__(self, *, turned_away: TurnedAway, journal: Journal, clock: Clock) -> None:
        self._turned_away = turned_away
        self._journal = journal
        self._clock = clock

    async def run(self) -> None:
        """Sum up once a minute."""
        while True:
            await asyncio.sleep(SUMMARY_SECONDS)
            try:
                await self.write()
            except SignerError as error:
                _log.warning("a summary of refused requests was not recorded: %s", error, extra={"code": error.code})

    async def write(self) -> None:
        """One entry, if there is anything to tell. Raises UnavailableError."""
        note = self._turned_away.take()
        if note:
            story = NoteStory(Kind.SUMMARY, int(self._clock.now() * 1000), note)
            await self._journal.commit(Command((), story))


class AuditArchiver:
    """Moves old entries out of the database. Runs until cancelled; never holds the writer for more than one file."""

    def __init__(self, *, changes: Changes, view: RecordView, directory: Path, clock: Clock, keep_days: int) -> None:
        self._changes = changes
        self._view = view
        self._directory = directory
        self._clock = clock
        self._keep_days = keep_days

    async def run(self) -> None:
        """Look once an hour."""
        while True:
            more = False
            try:
                more = await self.archive_once()
            except Exception as error:  # noqa: BLE001 - whatever it was, the rows stay in the database for the next hour
                _log.warning("old audit entries stay in the database, their archive was not written: %s", error)
            await asyncio.sleep(0 if more else ARCHIVE_SECONDS)

    async def archive_once(self) -> bool:
        """Archive one file's worth; True if there may be more.

        Raises:
            AuditError: the log cannot be read. OSError: the file cannot be written. UnavailableError.
        """
        end = await asyncio.to_thread(self._write_file)
        if end is None:
            return False
        now_ms = int(self._clock.now() * 1000)
        # Crash before this commit: file and rows both hold the entries, and verification reads them once.
        await self._changes.perform(
            lambda transaction: forget(transaction, end=end),
            lambda _: NoteStory(Kind.ARCHIVED, now_ms, f"end={end.size} head={end.head.hex()}"),
        )
        return True

    def _write_file(self) -> LogStart | None:
        before_ms = int(self._clock.now() * 1000) - self._keep_days * DAY_MS
        with self._view.reading() as moment:
            start = read_start(moment)
            log_id = self._view.log_id(moment)
            old = choose_old(stored_batches(moment, start=start.size), before_ms=before_ms)
        if not old:
            return None
        ensure_private_directory(self._directory)
        set_aside(self._directory, log_id=log_id, start=start)
        content = encode_archive(Archive(log_id, start, old))
        write_durably(self._directory / archive_name(log_id, old), content, private=True)
        return LogStart(old[-1].first_index + old[-1].count, old[-1].head)
