"""Is the record whole, ours, and as new as its head file says? For a data directory that no server holds."""

from collections.abc import Iterator

import apsw

from signer.audit.anchor import check_anchor, check_missing_database
from signer.audit.head import Head, read_head
from signer.audit.ledger import read_log_head
from signer.errors import BEGIN_OR_PUT_BACK, DataDirectoryInUseError, StartupError
from signer.journal.lock import DirectoryLock
from signer.journal.sqlite import SqliteDatabase, database_id, newest_schema, open_examined
from signer.operations.examine.finding import Figures, Finding, Grade, fault
from signer.operations.examine.standing_keys import examine_standing
from signer.operations.record import Places
from signer.slashing.network import check_same_network, recorded_network
from signer.units import Epoch, Root

SUBJECT = "database"


def examine_record(
    places: Places, *, may_begin: bool = True, epoch: Epoch | None = None, network: Root | None = None
) -> Iterator[Finding]:
    """Integrity, settings, schema and head file. Holds the directory's lock meanwhile; a large file takes minutes.

    `may_begin` says whether a first start may make the record; `epoch` is the present one, `network` the
    configured genesis_validators_root; None if nobody knows it.

    Raises:
        DataDirectoryInUseError: a server holds it: ask that instead.
    """
    if not places.data_directory.is_dir():
        yield Finding(SUBJECT, Grade.SKIPPED, "there is no data directory")
        return
    try:
        lock = DirectoryLock(places.data_directory)
    except DataDirectoryInUseError:
        raise
    except StartupError as error:
        yield Finding(SUBJECT, Grade.FAULT, error.sentence, error.remedy)
        return
    try:
        yield from _examine(places, may_begin=may_begin, epoch=epoch, network=network)
    except StartupError as error:
        yield Finding(SUBJECT, Grade.FAULT, error.sentence, error.remedy)
    finally:
        lock.close()


def _examine(places: Places, *, may_begin: bool, epoch: Epoch | None, network: Root | None) -> Iterator[Finding]:
    anchor = read_head(places.head_file)
    if not places.database.exists():
        check_missing_database(anchor, database=places.database)
        if may_begin:
            yield Finding(SUBJECT, Grade.OK, "there is none yet: the first start makes it")
        else:
            yield fault(SUBJECT, f"there is no slashing record at {places.database}", remedy=BEGIN_OR_PUT_BACK)
        return
    database = open_examined(places.database)
    try:
        yield _compare(places, database, anchor)
        if _schema(database) == newest_schema():  # an older one is brought up to date by the next start, not here
            yield from examine_standing(database, epoch=epoch)
            recorded = recorded_network(database)
            if recorded is not None and network is not None:
                check_same_network(recorded, network)
    finally:
        database.close()


def _compare(places: Places, database: SqliteDatabase, anchor: Head | None) -> Finding:
    head = read_log_head(database, database_id=database_id(database))
    check_anchor(anchor, head, database)
    sentence = (
        f"its pages are whole, and it agrees with its head file: {head.size} audit entries"
        " (their chain is not walked here: `holdfast audit verify` does)"
    )
    figures: Figures = {
        "audit_entries": head.size,
        "audit_head": "0x" + head.head.hex(),
        "bytes": places.database.stat().st_size,
        "schema": _schema(database),
        "sqlite": apsw.sqlite_lib_version(),
    }
    return Finding(SUBJECT, Grade.OK, sentence, figures=figures)


def _schema(database: SqliteDatabase) -> int:
    return int(database.connection.pragma("user_version"))
