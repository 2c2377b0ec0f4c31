"""Walk the whole audit log, archives first, and recompute its chain."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from signer.audit.archive import archived_batches, read_start
from signer.audit.chain import EMPTY_HEAD
from signer.audit.verify import Verified, stored_batches, verify_log
from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.errors import AuditError
from signer.journal.sqlite import SqliteDatabase


@dataclass(frozen=True, slots=True)
class AuditReport:
    """A log that verifies, and where it stands."""

    entries: int
    head: bytes
    """32 bytes."""

    verified_from: int
    """The first entry that was at hand: above 0 where archives were taken elsewhere."""


class AuditVerification:
    """One instance for the life of the process; reads through a connection of its own, and blocks no signature."""

    def __init__(self, *, database: Path, archive_directory: Path) -> None:
        self._database = database
        self._archive_directory = archive_directory

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
            start = read_start(database)
            archived = Verified(0, EMPTY_HEAD)
            verified_from = 0
            if start.size > 0:
                archived = verify_log(archived_batches(self._archive_directory))
                if archived.size == 0:
                    archived, verified_from = Verified(start.size, start.head), start.size
            # A crash between writing an archive and deleting its rows leaves both: the overlap verifies twice.
            if archived.size < start.size:
                raise AuditError(f"audit entries {archived.size} to {start.size - 1} are in no archive file")
            if archived.size == start.size and archived.head != start.head:
                raise AuditError(f"the archives end with another head than the database begins with, at {start.size}")
            found = verify_log(stored_batches(database, start=start.size), size=start.size, head=start.head)
            return AuditReport(found.size, found.head, verified_from)
        finally:
            database.close()
