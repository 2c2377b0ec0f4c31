"""Walk the whole audit log, archives first, and recompute its chain."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from signer.audit.anchor import check_log
from signer.audit.archive import LogStart, read_start, verify_archives
from signer.audit.head import Head, read_head
from signer.audit.verify import Verified, stored_batches, verify_log
from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.errors import AuditError, StartupError
from signer.journal.sqlite import SqliteDatabase, database_id


@dataclass(frozen=True, slots=True)
class AuditReport:
    """A log that verifies, and where it stands."""

    entries: int
    head: bytes
    """32 bytes."""

    verified_from: int
    """The first entry that was at hand: above 0 where the oldest archives were taken elsewhere."""


class AuditVerification:
    """One instance for the life of the process; reads through a connection of its own, and blocks no signature."""

    def __init__(self, *, database: Path, archive_directory: Path, head_file: Path) -> None:
        self._database = database
        self._archive_directory = archive_directory
        self._head_file = head_file

    async def __call__(self, caller: Caller) -> AuditReport:
        """Verify everything at hand.

        Raises:
            AuditError: at the first fault, naming the index. ForbiddenError.
        """
        check_authorized(caller.principal, Action.AUDIT_READ)
        return await asyncio.to_thread(self._verify)

    def _verify(self) -> AuditReport:
        database = SqliteDatabase(self._database, read_only=True)
        try:
            while True:
                start = read_start(database)
                try:
                    return self._walk(database, start)
                except AuditError:
                    # The archiver may have moved rows out of the way of this walk; then it begins anew.
                    if read_start(database) == start:
                        raise
        finally:
            database.close()

    def _walk(self, database: SqliteDatabase, start: LogStart) -> AuditReport:
        log_id = database_id(database)
        # Read before the walk: whatever is appended meanwhile, the log must hold what the head file tells of now.
        anchor = _read_anchor(self._head_file)
        verified_from = verify_archives(self._archive_directory, log_id=log_id, end=start)
        found = verify_log(stored_batches(database, start=start.size), size=start.size, head=start.head)
        _check_end(database, anchor, found, log_id)
        return AuditReport(found.size, found.head, verified_from)


def _read_anchor(file: Path) -> Head | None:
    try:
        return read_head(file)
    except StartupError as error:
        raise AuditError(error.sentence, evidence=error.evidence) from error


def _check_end(database: SqliteDatabase, anchor: Head | None, found: Verified, log_id: bytes) -> None:
    """The newest entries can be removed without breaking the chain: only the head file tells of them."""
    try:
        check_log(anchor, Head(log_id, log_id, found.size, found.head), database)
    except StartupError as error:
        raise AuditError(error.sentence, evidence=error.evidence) from error
