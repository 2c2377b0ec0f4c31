"""A PostgreSQL database before it is trusted: what it must be, whose tables it holds, and our own beside them.

Rule 1: an unsafe server, a foreign schema or another version refuses; nothing is repaired in passing.
Rule 2: an empty database is given Web3Signer's tables and ours in one transaction; a database of Web3Signer's is
adopted where it stands, and nothing of its own is changed.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from signer.errors import ForeignDatabaseError, StartupError
from signer.journal.postgres_guards import check_guards
from signer.journal.postgres_session import Session, filled
from signer.journal.postgres_tables import COLUMNS, MEDDLING, check_columns, check_meddling
from signer.journal.schema_files import schema_files

OLDEST_SERVER = 150000
"""PostgreSQL 15, as `server_version_num` counts."""

WEB3SIGNER_VERSION = 12
"""The version of Web3Signer's schema that we know."""

WEB3SIGNER_TABLES = tuple(COLUMNS)

SETUP_SECONDS = 30.0
"""Deadline of each statement at start, when nobody waits for a signature yet."""

_SETUP_LOCK = 0x484F4C4446415354
"""The advisory lock of whoever sets a database up: `HOLDFAST`."""

_MUST_BE_ON = ("fsync", "full_page_writes")

_SETTINGS = (
    "server_version_num",
    "synchronous_commit",
    "synchronous_standby_names",
    "transaction_read_only",
    "session_replication_role",
    *_MUST_BE_ON,
)
"""What `check_server` asks for."""

_KEEP = "set_config('synchronous_commit', current_setting('synchronous_commit'), false)"
"""What this connection began with it keeps: a change of the server's configuration does not reach its commits."""

_WHICH_ARE_THERE = "SELECT " + ", ".join(f"to_regclass('{name}') IS NOT NULL" for name in WEB3SIGNER_TABLES)

_UNLOGGED = """
SELECT min(c.oid::regclass::text) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 'p' AND (
    n.nspname = 'holdfast' OR starts_with(n.nspname, 'holdfast_log_')
    OR c.oid IN (SELECT to_regclass(name) FROM unnest(?1::text::text[]) AS t (name))
)
"""
"""A table of the record that a crash of the server would empty."""


@dataclass(frozen=True, slots=True)
class SharedPlace:
    """A database that passed, and where things are in it."""

    database_id: bytes
    web3signer_schema: str
    """The schema with Web3Signer's tables, quoted where it must be."""

    def search_path(self, instance: bytes) -> str:
        """Where statements look for their tables: this instance's log, our shared tables, Web3Signer's."""
        return f"{log_schema(instance)}, holdfast, {self.web3signer_schema}"


def log_schema(instance: bytes) -> str:
    """The schema with one instance's audit log."""
    return f"holdfast_log_{instance.hex()}"


def check_server(session: Session, *, seconds: float = SETUP_SECONDS) -> None:
    """The server must keep what it says is committed, and be the one that decides.

    Raises:
        StartupError: it would not. LostConnectionError.
    """
    question = ", ".join(f"current_setting('{name}')" for name in _SETTINGS)
    ((_, *settings, standby, process_id, forgetful, meddling),) = session.rows(
        f"SELECT {_KEEP}, {question}, pg_is_in_recovery(), pg_backend_pid(), ({_UNLOGGED}), ({MEDDLING})",
        ("{" + ",".join(WEB3SIGNER_TABLES) + "}",),
        seconds=seconds,
    )
    values = dict(zip(_SETTINGS, settings, strict=True))
    if int(values["server_version_num"]) < OLDEST_SERVER:
        raise StartupError("this PostgreSQL is older than 15", remedy="upgrade the server to 15 or newer")
    if process_id != session.server_process_id:
        raise StartupError(
            "a connection pooler stands between Holdfast and PostgreSQL",
            remedy="point journal.url at the server itself: locks and settings belong to one connection",
        )
    if standby:
        raise StartupError(
            "this PostgreSQL is a standby: it takes no records", remedy="point journal.url at the primary server"
        )
    if values["transaction_read_only"] != "off":
        raise StartupError(
            "this PostgreSQL takes no records: it is read-only",
            remedy="set default_transaction_read_only=off for this user and database",
        )
    for name in _MUST_BE_ON:
        if values[name] != "on":
            raise StartupError(
                f"PostgreSQL runs with {name}={values[name]}: a crash could lose signed votes",
                remedy=f"set {name}=on in postgresql.conf and restart it",
            )
    if values["synchronous_commit"] == "local" and values["synchronous_standby_names"]:
        raise StartupError(
            "PostgreSQL has synchronous replicas and runs with synchronous_commit=local: a fail-over could lose"
            " signed votes",
            remedy="set synchronous_commit=on for this server, user and database",
        )
    if values["synchronous_commit"] == "off":
        raise StartupError(
            "PostgreSQL runs with synchronous_commit=off: a crash could lose signed votes",
            remedy="set synchronous_commit=on for this server, user and database",
        )
    if forgetful is not None:
        raise StartupError(
            f"the table {forgetful} is UNLOGGED: a crash of the server empties it, and signed votes with it",
            remedy=f"ALTER TABLE {forgetful} SET LOGGED; and if the server has crashed since it was made so, stop all"
            " signers and run `holdfast slashing accept-restore --anyway`",
        )
    check_meddling(meddling, role=values["session_replication_role"])


def check_advisory_locks(first: Session, second: Session) -> None:
    """What one connection has locked, another must not get.

    Raises:
        StartupError: it got it.
    """
    key = secrets.randbits(62)
    first.script("BEGIN", seconds=SETUP_SECONDS)
    try:
        taken = [
            session.rows("SELECT pg_try_advisory_xact_lock(?)", (key,), seconds=SETUP_SECONDS)[0][0]
            for session in (first, second)
        ]
    finally:
        first.script("ROLLBACK", seconds=SETUP_SECONDS)
    if taken != [True, False]:
        raise StartupError(
            "this server's advisory locks do nothing: two signers could sign at once",
            remedy="use PostgreSQL itself, not a database that only speaks its protocol",
        )


def set_up(session: Session, *, may_create: bool) -> SharedPlace:
    """Find our tables and Web3Signer's, or make what is missing. One transaction; a crash leaves all of it or nothing.

    Raises:
        ForeignDatabaseError: another version of the schema, or only some of its tables.
        StartupError: nothing is there and `may_create` says no. asyncpg.PostgresError. LostConnectionError.
    """
    session.script(f"BEGIN; SELECT pg_advisory_xact_lock({_SETUP_LOCK})", seconds=SETUP_SECONDS)
    try:
        schema = _web3signer_schema(session, may_create=may_create)
        place = SharedPlace(_our_tables(session, may_create=may_create), schema)
    except BaseException:
        if session.is_open:
            session.script("ROLLBACK", seconds=SETUP_SECONDS)
        raise
    session.script("COMMIT", seconds=SETUP_SECONDS, commits=True)
    return place


def find_place(session: Session) -> SharedPlace | None:
    """Our tables where they are; None where there are none yet. Changes nothing.

    Raises:
        ForeignDatabaseError: another version of Web3Signer's schema, or only some of its tables.
    """
    ((ours, theirs),) = session.rows(
        "SELECT to_regnamespace('holdfast') IS NOT NULL, to_regclass('database_version') IS NOT NULL",
        seconds=SETUP_SECONDS,
    )
    schema = _web3signer_schema(session, may_create=False) if ours or theirs else ""
    if not ours:
        return None
    ((database_id,),) = session.rows("SELECT database_id FROM holdfast.identity", seconds=SETUP_SECONDS)
    return SharedPlace(bytes(database_id), schema)


def newest_schema() -> int:
    """The number of the newest of our migrations that this program carries."""
    return max(_migrations())


def schema_of(session: Session) -> int:
    """The number of the newest of our migrations that this database has had. Our tables are there."""
    ((number,),) = session.rows("SELECT max(number) FROM holdfast.migrations", seconds=SETUP_SECONDS)
    return int(number)


def _web3signer_schema(session: Session, *, may_create: bool) -> str:
    ((schema,),) = session.rows(
        "SELECT relnamespace::regnamespace::text FROM (SELECT to_regclass('database_version') AS found) AS t"
        " LEFT JOIN pg_class ON pg_class.oid = found",
        seconds=SETUP_SECONDS,
    )
    ((*found,),) = session.rows(_WHICH_ARE_THERE, seconds=SETUP_SECONDS)
    there = [name for name, is_there in zip(WEB3SIGNER_TABLES, found, strict=True) if is_there]
    if schema is None:
        if there:
            raise ForeignDatabaseError(
                f"the database holds {', '.join(there)}, but no database_version: its schema is not known",
                remedy="run Web3Signer's own migrations up to version 12, or use an empty database",
            )
        if not may_create:
            raise StartupError(
                "there is no slashing record in this database",
                remedy="for a new signer run `holdfast init`; otherwise correct the database's name in journal.url",
            )
        session.script((_folder() / "web3signer_12.sql").read_text(), seconds=SETUP_SECONDS)
        ((schema,),) = session.rows("SELECT quote_ident(current_schema())", seconds=SETUP_SECONDS)
        return str(schema)
    versions = session.rows("SELECT version FROM database_version WHERE id = 1", seconds=SETUP_SECONDS)
    version = versions[0][0] if versions else None
    if version != WEB3SIGNER_VERSION or len(there) != len(WEB3SIGNER_TABLES):
        raise ForeignDatabaseError(
            f"the database has version {version} of Web3Signer's schema, Holdfast works with {WEB3SIGNER_VERSION}",
            remedy="run Web3Signer's own migrations up to version 12; nothing was changed",
            evidence={"database_version": version},
        )
    check_columns(session, seconds=SETUP_SECONDS)
    check_guards(session, seconds=SETUP_SECONDS)
    return str(schema)


def _our_tables(session: Session, *, may_create: bool) -> bytes:
    ((there,),) = session.rows("SELECT to_regnamespace('holdfast') IS NOT NULL", seconds=SETUP_SECONDS)
    if not there and not may_create:
        raise StartupError(
            "this database was never used by Holdfast",
            remedy="`holdfast init` adopts a database of Web3Signer's; otherwise correct its name in journal.url",
        )
    done = schema_of(session) if there else 0
    newest = newest_schema()
    if done > newest:
        raise ForeignDatabaseError(
            f"the database has Holdfast's schema {done}, this program knows up to {newest}",
            remedy="a signer of a newer release has upgraded this database: install that release here too, then start"
            " (docs/postgresql.md, Upgrade); nothing was changed",
        )
    if done < newest:
        session.script(_changes_since(done), seconds=SETUP_SECONDS)
    ((database_id,),) = session.rows("SELECT database_id FROM holdfast.identity", seconds=SETUP_SECONDS)
    return bytes(database_id)


def _changes_since(done: int) -> str:
    """What brings our tables from this number to the newest; 0: there are none. One script: a line may be long."""
    changes = []
    if not done:
        changes.append("CREATE SCHEMA holdfast; CREATE TABLE holdfast.migrations (number integer PRIMARY KEY)")
    for number, file in _migrations().items():
        if number > done:
            changes += [file.read_text(), filled("INSERT INTO holdfast.migrations (number) VALUES (?)", (number,))]
    if not done:
        statement = "INSERT INTO holdfast.identity (id, database_id, incarnation) VALUES (1, ?, holdfast.incarnation())"
        changes.append(filled(statement, (secrets.token_bytes(16),)))
    return ";\n".join(changes)


def _migrations() -> Mapping[int, Traversable]:
    return schema_files(_folder())


def _folder() -> Traversable:
    return resources.files("signer.journal") / "shared"
