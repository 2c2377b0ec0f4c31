"""The embedded database: SQLite in WAL mode with `synchronous=FULL`, through apsw's own library.

Rule 1: nothing but apsw opens the file in this process (another library, or a plain open and close, drops its locks).
Rule 2: an unsafe library, setting, schema or identity refuses to start; it is never repaired in passing.
"""

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import apsw

from signer.errors import CorruptDatabaseError, ForeignDatabaseError, StartupError
from signer.journal.ledger import Row
from signer.journal.schema_files import schema_files
from signer.journal.statement import Sql, embedded_text

APPLICATION_ID = 0x484F4C44
"""`HOLD`: marks the file as ours (SQLite's `application_id` pragma)."""

OLDEST_SAFE_LIBRARY = (3, 51, 3)
"""Older ones can lose committed rows when a checkpoint races a write (SQLite 3.51.3 release notes, WAL reset)."""

CACHE_KIB = 64 * 1024
"""Page cache of the writer, KiB: the upper levels of a history of ten million votes."""

_UNFINISHED_PREFIX = ".holdfast-writing-"
"""Begins the name of a database that is being made: durable.py's, so that its sweep knows it too."""

QUICK_CHECK_BYTES = 256 * 1024 * 1024
"""Up to this size the whole file is checked at start (about a second); larger ones by `holdfast doctor`."""


class SqliteDatabase:
    """One connection. The writer owns one for the life of the process; readers own theirs."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.wal_pages = 0
        """Pages in the write-ahead log after our last commit."""
        flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
        try:
            self.connection = apsw.Connection(str(path), flags=flags)
            self.connection.set_busy_timeout(5000)
            self.connection.execute("PRAGMA foreign_keys=ON")
            # Only `journal/checkpoint.py` checkpoints: neither a closing connection nor a commit does.
            self.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self.connection.set_wal_hook(self._after_commit)
        except apsw.Error as error:
            raise _refusal(path, error) from error

    def rows(self, statement: Sql, values: Sequence[Any] = ()) -> Iterable[Row]:
        """See `Transaction.rows`."""
        text = embedded_text(statement)
        return self.connection.execute(text, values) if text else ()

    def run(self, statement: Sql, values: Sequence[Any] = ()) -> None:
        """See `Transaction.run`."""
        if text := embedded_text(statement):
            self.connection.execute(text, values)

    def changed(self) -> int:
        """See `Transaction.changed`."""
        return self.connection.changes()

    def run_many(self, statement: Sql, values: Iterable[Sequence[Any]]) -> None:
        """See `Transaction.run_many`."""
        self.connection.executemany(embedded_text(statement), values)

    @contextmanager
    def transaction(self) -> Iterator["SqliteDatabase"]:
        """Begin, and commit or roll back. Durable when it leaves without an error."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self
        except BaseException:
            self.roll_back()
            raise
        # Crash before this line: nothing of the batch is on record. Crash after it: all of it is.
        self.connection.execute("COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator["SqliteDatabase"]:
        """Read one moment of the database until left; the writer goes on meanwhile."""
        self.connection.execute("BEGIN")
        try:
            yield self
        finally:
            self.roll_back()

    def roll_back(self) -> None:
        """End a failed transaction; SQLite may have ended it itself (full disk, I/O error)."""
        if not self.connection.get_autocommit():
            self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection. A write-ahead log that holds anything stays as it is; an empty one is removed."""
        if not _holds_anything(self.path.with_name(self.path.name + "-wal")):
            self.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        self.connection.close()

    def _after_commit(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK


def create_database(path: Path, *, database_id: bytes, file_mark: bytes | None = None) -> None:
    """Make a new, empty database, durable under its name when this returns. The caller holds the directory's lock.

    `file_mark`: 16 random bytes (`journal/checkpoint.py`), drawn here where the caller names none.

    Raises:
        StartupError: a file is there already, or the directory cannot be written.
    """
    if path.exists():
        raise ForeignDatabaseError(f"{path} is there already", remedy="move it away, or start with it")
    unfinished = path.with_name(_UNFINISHED_PREFIX + path.name)
    try:
        _remove(unfinished)
        _fill(unfinished, database_id, file_mark or secrets.token_bytes(16))
        # Crash before this line: no database, and an unfinished one that the next start removes. After it: a whole one.
        unfinished.rename(path)
        _sync_directory(path.parent)
    except (OSError, apsw.Error) as error:
        with suppress(OSError):
            _remove(unfinished)
        raise _refusal(path, error) from error


def open_writer(path: Path) -> SqliteDatabase:
    """The one writing connection, after every check.

    Raises:
        StartupError: an unsafe library or setting, a foreign, newer or damaged database.
    """
    _check_library()
    database = SqliteDatabase(path)
    with _closed_when_refused(database):
        _check_identity(database)
        _check_integrity(database)
        _make_safe(database)
        with database.transaction():
            _migrate(database.connection, _schema_version(database))
    return database


def open_examined(path: Path) -> SqliteDatabase:
    """A reading connection after every check that changes nothing; the whole file is checked, whatever its size.

    Raises:
        StartupError: as `open_writer`. The caller holds the directory's lock.
    """
    _check_library()
    database = SqliteDatabase(path, read_only=True)
    with _closed_when_refused(database):
        _check_identity(database)
        _check_integrity(database, up_to_bytes=None)
        _check_mode(database)
    return database


@contextmanager
def _closed_when_refused(database: SqliteDatabase) -> Iterator[None]:
    """Checks of a database that was just opened. Raises StartupError, and closes it before."""
    try:
        yield
    except apsw.Error as error:
        database.close()
        raise _refusal(database.path, error) from error
    except StartupError:
        database.close()
        raise


def newest_schema() -> int:
    """The number of the newest migration we carry."""
    return max(_migrations())


def database_id(database: SqliteDatabase) -> bytes:
    """The 16 bytes drawn when the database was made."""
    for (value,) in database.rows("SELECT database_id FROM identity"):
        return bytes(value)
    raise CorruptDatabaseError(f"{database.path} has lost its identity", remedy="restore it from a backup")


def _fill(path: Path, database_id: bytes, file_mark: bytes) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        # Filled with a rollback journal: the file itself holds its first mark before there is a write-ahead log.
        connection.execute("PRAGMA synchronous=FULL")
        with connection:
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            _migrate(connection, 0)
            values = (database_id, file_mark)
            connection.execute("INSERT INTO identity (id, database_id, file_mark) VALUES (1, ?, ?)", values)
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _remove(unfinished: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        unfinished.with_name(unfinished.name + ending).unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_library() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_SAFE_LIBRARY:
        raise StartupError(
            f"SQLite {apsw.sqlite_lib_version()} can lose committed rows; 3.51.3 or newer is needed",
            remedy="install the locked dependencies: pip install --require-hashes -r requirements.lock",
        )


def _check_identity(database: SqliteDatabase) -> None:
    found = database.connection.pragma("application_id")
    if found != APPLICATION_ID:
        raise ForeignDatabaseError(
            f"{database.path} is not a Holdfast database",
            remedy="point storage.data_directory at the right directory; nothing was changed",
        )
    version = _schema_version(database)
    if version > newest_schema():
        raise ForeignDatabaseError(
            f"{database.path} has schema {version}, this program knows up to {newest_schema()}",
            remedy="start the newer Holdfast that wrote it; nothing was changed",
        )


def _check_integrity(database: SqliteDatabase, *, up_to_bytes: int | None = QUICK_CHECK_BYTES) -> None:
    if up_to_bytes is not None and database.path.stat().st_size > up_to_bytes:
        return
    for (answer,) in database.rows("PRAGMA quick_check(1)"):
        if answer != "ok":
            raise CorruptDatabaseError(
                f"{database.path} is damaged: {answer}",
                remedy="do not sign with it: restore a backup, then run `holdfast slashing accept-restore`",
            )


def _check_mode(database: SqliteDatabase) -> None:
    mode = database.connection.pragma("journal_mode")
    if mode != "wal":
        raise StartupError(
            f"{database.path} has journal_mode={mode}", remedy="start Holdfast once: it sets write-ahead logging itself"
        )


def _make_safe(database: SqliteDatabase) -> None:
    connection = database.connection
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    connection.execute("PRAGMA fullfsync=ON")
    connection.execute("PRAGMA synchronous=FULL")
    mode = connection.pragma("journal_mode", "WAL")
    synchronous = connection.pragma("synchronous")
    if mode != "wal" or synchronous != 2:
        raise StartupError(
            f"{database.path} runs with journal_mode={mode}, synchronous={synchronous}",
            remedy="put the data directory on a local file system that supports write-ahead logging",
        )


def _schema_version(database: SqliteDatabase) -> int:
    return int(database.connection.pragma("user_version"))


def _holds_anything(log: Path) -> bool:
    try:
        return log.stat().st_size > 0
    except FileNotFoundError:
        return False


def _migrations() -> Mapping[int, Traversable]:
    return schema_files(resources.files("signer.journal") / "migrations")


def _migrate(connection: apsw.Connection, version: int) -> None:
    for number, file in _migrations().items():
        if number > version:
            connection.execute(file.read_text())
            connection.execute(f"PRAGMA user_version={number}")


def _refusal(path: Path, error: Exception) -> StartupError:
    if isinstance(error, apsw.NotADBError):
        return ForeignDatabaseError(
            f"{path} is not a SQLite database", remedy="point storage.data_directory at the right directory"
        )
    if isinstance(error, apsw.CorruptError):
        return CorruptDatabaseError(
            f"{path} is damaged: {error}",
            remedy="do not sign with it: restore a backup, then run `holdfast slashing accept-restore`",
        )
    if isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError | apsw.PermissionsError | PermissionError):
        return StartupError(f"{path} cannot be opened to write: {error}", remedy="check the directory's owner and mode")
    if isinstance(error, apsw.FullError) or (isinstance(error, OSError) and error.errno == 28):
        return StartupError(f"no space left for {path}", remedy="free space on the file system of the data directory")
    if isinstance(error, apsw.IOError):
        return StartupError(
            f"{path} cannot be read and written: {error}",
            remedy="look for free space on its file system and for faults of the disk, then run `holdfast doctor`",
        )
    return StartupError(f"{path} cannot be used: {error}", remedy="run `holdfast doctor`")
