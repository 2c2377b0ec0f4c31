"""Is the record whole, ours, and as new as its head file says? For a data directory that no server holds."""

import apsw

from signer.audit.anchor import check_anchor, check_missing_database
from signer.audit.head import Head, read_head
from signer.audit.ledger import read_log_head
from signer.errors import BEGIN_OR_PUT_BACK, DataDirectoryInUseError, StartupError
from signer.journal.lock import DirectoryLock
from signer.journal.sqlite import database_id, open_examined
from signer.operations.examine.finding import Figures, Finding, Grade, fault
from signer.operations.record import Places

SUBJECT = "database"


def examine_record(places: Places, *, may_begin: bool = True) -> Finding:
    """Integrity, settings, schema and head file. Holds the directory's lock meanwhile; a large file takes minutes.

    `may_begin` says whether a first start may make the record.

    Raises:
        DataDirectoryInUseError: a server holds it: ask that instead.
    """
    if not places.data_directory.is_dir():
        return Finding(SUBJECT, Grade.SKIPPED, "there is no data directory")
    try:
        lock = DirectoryLock(places.data_directory)
    except DataDirectoryInUseError:
        raise
    except StartupError as error:
        return Finding(SUBJECT, Grade.FAULT, error.sentence, error.remedy)
    try:
        return _examine(places, may_begin=may_begin)
    except StartupError as error:
        return Finding(SUBJECT, Grade.FAULT, error.sentence, error.remedy)
    finally:
        lock.close()


def _examine(places: Places, *, may_begin: bool) -> Finding:
    anchor = read_head(places.head_file)
    if not places.database.exists():
        check_missing_database(anchor, database=places.database)
        if not may_begin:
            return fault(SUBJECT, f"there is no slashing record at {places.database}", remedy=BEGIN_OR_PUT_BACK)
        return Finding(SUBJECT, Grade.OK, "there is none yet: the first start makes it")
    figures = _compare(places, anchor)
    sentence = (
        f"its pages are whole, and it agrees with its head file: {figures['audit_entries']} audit entries"
        " (their chain is not walked here: `holdfast audit verify` does)"
    )
    return Finding(SUBJECT, Grade.OK, sentence, figures=figures)


def _compare(places: Places, anchor: Head | None) -> Figures:
    database = open_examined(places.database)
    try:
        head = read_log_head(database, database_id=database_id(database))
        check_anchor(anchor, head, database)
        return {
            "audit_entries": head.size,
            "audit_head": "0x" + head.head.hex(),
            "bytes": places.database.stat().st_size,
            "schema": int(database.connection.pragma("user_version")),
            "sqlite": apsw.sqlite_lib_version(),
        }
    finally:
        database.close()
