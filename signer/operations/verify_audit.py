"""Walk the whole audit log, archives first, and recompute its chain."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from signer.audit.anchor import check_log
from signer.audit.archive import LogStart, read_start, verify_archives
from signer.audit.head import Head, read_head
from signer.audit.verify import Verified, batches_in_moments, verify_log
from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.errors import AuditError, StartupError
from signer.journal.ledger import Transaction
from signer.operations.kept_record import RecordView, read_database_id
from signer.operations.reading import read_record


@dataclass(frozen=True, slots=True)
class AuditReport:
    """A log that verifies, and where it stands."""

    entries: int
    head: bytes
    """32 bytes."""

    verified_from: int
    """The first entry that was at hand: above 0 where the oldest archives were taken elsewhere."""


class AuditVerification:
    """One instance for the life of the process; reads through connections of its own, and blocks no signature."""

    def __init__(self, view: RecordView, *, archive_directory: Path) -> None:
        self._view = view
        self._archive_directory = archive_directory

    async def __call__(self, caller: Caller) -> AuditReport:
        """Verify everything at hand.

        Raises:
            AuditError: at the first fault, naming the index. ForbiddenError.
        """
        check_authorized(caller.principal, Action.AUDIT_READ)
        return await asyncio.to_thread(self._verify)

    def _verify(self) -> AuditReport:
        while True:
            start = read_record(self._view.reading, read_start)
            try:
                return self._walk(start)
            except AuditError:
                # The archiver may have moved rows out of the way of this walk; then it begins anew.
                if read_record(self._view.reading, read_start) == start:
                    raise

    def _walk(self, start: LogStart) -> AuditReport:
        reading = self._view.reading
        # Read before the walk: whatever is appended meanwhile, the log must hold what the head file tells of now.
        anchor = _read_anchor(self._view.head_file)
        log_id = read_record(reading, self._view.log_id)
        verified_from = verify_archives(self._archive_directory, log_id=log_id, end=start)
        found = verify_log(batches_in_moments(reading, start=start.size), size=start.size, head=start.head)
        with reading() as moment:
            _check_end(moment, anchor, found, log_id)
        return AuditReport(found.size, found.head, verified_from)


def _read_anchor(file: Path) -> Head | None:
    try:
        return read_head(file)
    except StartupError as error:
        raise AuditError(error.sentence, evidence=error.evidence) from error


def _check_end(moment: Transaction, anchor: Head | None, found: Verified, log_id: bytes) -> None:
    """The newest entries can be removed without breaking the chain: only the head file tells of them."""
    try:
        check_log(anchor, Head(read_database_id(moment), log_id, found.size, found.head), moment)
    except StartupError as error:
        raise AuditError(error.sentence, evidence=error.evidence) from error
