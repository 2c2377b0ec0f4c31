"""The database against its head file: has it lost history?

Compared at every start, before anything is signed. What it sees: a database restored alone, replaced, or removed. What
it cannot see: a whole data directory restored with its head file (put the head file on another disk or machine:
`storage.head_file`).
"""

from pathlib import Path

from signer.audit.head import Head
from signer.audit.ledger import head_at
from signer.errors import CorruptDatabaseError, ForeignDatabaseError, RolledBackError
from signer.journal.checkpoint import check_file_mark, read_file_mark
from signer.journal.ledger import Transaction
from signer.journal.sqlite import SqliteDatabase

_ACCEPT = (
    "if this restore is meant, stop every other signer of these keys, then run `holdfast slashing accept-restore`:"
    " it raises every watermark above what may have been lost"
)


def check_missing_database(anchor: Head | None, *, database: Path) -> None:
    """There is no database: only right when there never was one.

    Raises:
        RolledBackError: the head file tells of one.
    """
    if anchor is not None and anchor.size > 0:
        raise RolledBackError(
            f"{database} is missing, but the head file tells of {anchor.size} audit entries in it",
            remedy=f"put the database back; {_ACCEPT}",
            evidence={"head_file_size": anchor.size},
        )


def check_anchor(anchor: Head | None, stored: Head, database: SqliteDatabase) -> None:
    """The database must hold everything that the head file tells of, and be the file that it tells of.

    Only where nobody writes: a running signer's file mark may change between the two looks.

    Raises:
        RolledBackError: it is older than its head file, or the head file is gone.
        ForeignDatabaseError: the head file is another database's.
        CorruptDatabaseError: the same size, another history.
    """
    check_log(anchor, stored, database)
    if anchor is not None:
        check_file_mark(read_file_mark(database), anchor.marks)


def check_log(anchor: Head | None, stored: Head, transaction: Transaction) -> None:
    """The audit log must hold everything that the head file tells of: also beside a running signer.

    Raises:
        RolledBackError, ForeignDatabaseError, CorruptDatabaseError: as `check_anchor`.
    """
    if anchor is None:
        # However little the database holds: a new one has its head file before it has its name.
        raise RolledBackError(
            f"the head file is missing, and there is a database, of {stored.size} audit entries",
            remedy=f"put the head file back beside the database it belongs to (storage.head_file); {_ACCEPT}",
            evidence={"database_size": stored.size},
        )
    if anchor.database_id != stored.database_id:
        raise ForeignDatabaseError(
            "the head file belongs to another database",
            remedy=f"put back the database that belongs to this data directory; {_ACCEPT}",
            evidence={
                "head_file_database_id": anchor.database_id.hex(),
                "database_id": stored.database_id.hex(),
            },
        )
    if anchor.size > stored.size:
        raise RolledBackError(
            f"the database went back in time: it holds {stored.size} audit entries, its head file {anchor.size}",
            remedy=f"put the newest database back; {_ACCEPT}",
            evidence={"database_size": stored.size, "head_file_size": anchor.size},
        )
    if head_at(transaction, anchor.size) != anchor.head:
        raise CorruptDatabaseError(
            f"at {anchor.size} entries the audit log differs from the head file: this is another history",
            remedy=f"put back the database that belongs to this head file; {_ACCEPT}",
            evidence={"head_file_size": anchor.size},
        )
