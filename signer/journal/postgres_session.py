"""One connection to PostgreSQL for a thread that blocks: scripts, statements, and a deadline for each.

Rule 1: nothing is ever cancelled. A cancelled COMMIT that waits for a replica is answered as done although the replica
never had it; so what takes too long loses its connection instead, and its outcome is unknown.
Rule 2: the address holds a password: it is in no error, and no error of the driver that could show it leaves here.
"""

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import asyncpg
import uvloop

from signer.errors import StartupError
from signer.journal.statement import Sql, shared_text

T = TypeVar("T")

ServerRefusedError = asyncpg.PostgresError
"""The server's own answer to a statement that it would not run."""

_PLACEHOLDER = re.compile(r"\?(\d*)")

_PARTING_SECONDS = 0.1
"""For the driver to part, within TLS, from a server that has refused us: it does so after it has told us."""

_SETTINGS = {
    "application_name": "holdfast",
    "client_connection_check_interval": "1s",  # a backend that waits for a lock notices that we are gone
    "default_transaction_isolation": "read committed",  # each statement sees what was committed before it
    "enable_hashjoin": "off",  # our statements begin with few rows and look each of them up
    "enable_mergejoin": "off",
    "enable_seqscan": "off",  # a plan made while a table was empty must not read all of it a year later
    "jit": "off",  # compiles for longer than any of our statements takes
    "lock_timeout": "0",
    "plan_cache_mode": "force_custom_plan",
    "standard_conforming_strings": "on",  # `literal` relies on it
    "statement_timeout": "0",  # it would cancel; see rule 1
}


class LostConnectionError(Exception):
    """The connection is gone, was never there, or took too long and was given up."""

    def __init__(self, reason: str, *, in_commit: bool = False) -> None:
        super().__init__(reason)
        self.in_commit = in_commit
        """True when the commit was under way: nobody can say whether it happened."""


class StillConnectingError(LostConnectionError):
    """A part of connecting is done, and whoever waits has no time for the next; asking again goes on."""


class Session:
    """One connection. Used by one thread at a time; blocks it. `close` it, or `abandon` it."""

    def __init__(self, address: str, *, settings: dict[str, str] | None = None) -> None:
        """`address` is a `postgresql://` URL; `settings` are more of the server's for this connection."""
        self._address = address
        self._settings = {**_SETTINGS, **(settings or {})}
        self._loop = uvloop.new_event_loop()
        self._connection: asyncpg.Connection | None = None
        self._warned = False

    def open(self, *, seconds: float) -> None:
        """Connect.

        Raises:
            LostConnectionError: nobody answers there, or not in time. StartupError: the address or the login is wrong.
        """
        try:
            self._connection = self._drive(self._connect(seconds))
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
            raise StartupError(
                f"PostgreSQL does not let us in: {error}",
                remedy="correct user, password and database in journal.url, and pg_hba.conf on the server",
            ) from None
        except (asyncpg.ProtocolViolationError, asyncpg.UndefinedObjectError) as error:
            raise _not_postgres(error) from None
        except (asyncpg.PostgresError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
            # The second: of several hosts none is what `target_session_attrs` asks for, while a replica takes over.
            raise LostConnectionError(lost_reason(error)) from None
        except (asyncpg.InterfaceError, asyncpg.ClientConfigurationError, ValueError):
            raise StartupError(
                "the database's URL cannot be used to connect",
                remedy="write it (journal.url) as postgresql://user@host:5432/database; with sslmode=verify-full or"
                " verify-ca the file in sslrootcert must be there (without it, ~/.postgresql/root.crt)",
            ) from None

    async def _connect(self, seconds: float) -> asyncpg.Connection:
        try:
            connection = await asyncpg.connect(self._address, timeout=seconds, server_settings=self._settings)
        except ConnectionError:
            raise
        except Exception:
            await asyncio.sleep(_PARTING_SECONDS)
            raise
        connection.add_log_listener(self._hear)
        return connection

    @property
    def is_open(self) -> bool:
        """True while the connection is there, as far as we know."""
        return self._connection is not None and not self._connection.is_closed()

    @property
    def server_process_id(self) -> int:
        """The backend that the server named when we connected."""
        return int(self._alive().get_server_pid())

    def rows(self, statement: str, values: Sequence[Any] = (), *, seconds: float) -> list[tuple[Any, ...]]:
        """The rows of one statement, in one round trip once it is known to the server.

        Raises:
            asyncpg.PostgresError: the server refused it. LostConnectionError.
        """
        connection = self._alive()
        return [tuple(row) for row in self._run(lambda: connection.fetch(numbered(statement), *values), seconds)]

    def script(self, text: str, *, seconds: float, commits: bool = False) -> str:
        """Run statements in one round trip; the last one's tag. An error skips what follows it.

        Raises:
            asyncpg.PostgresError: the server refused one. LostConnectionError: with `commits` its outcome is unknown.
        """
        connection = self._alive()
        self._warned = False
        try:
            tag = str(self._run(lambda: connection.execute(text), seconds))
        except LostConnectionError as error:
            error.in_commit = commits
            raise
        if commits and (tag != "COMMIT" or self._warned):
            # "canceling wait for synchronous replication": committed here, and on no replica.
            self.abandon()
            raise LostConnectionError(f"the server answered {tag} with a warning", in_commit=True)
        return tag

    def abandon(self) -> None:
        """Drop the connection as it is; the server rolls back what was not committed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._drive(_terminate(connection))

    def close(self) -> None:
        """Say goodbye and let go. Never raises."""
        connection, self._connection = self._connection, None
        if self._loop.is_closed():
            return
        if connection is not None:
            self._drive(_part(connection))
        self._loop.close()

    def _alive(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            raise LostConnectionError("there is no connection")
        return self._connection

    def _run(self, begin: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:
        try:
            return self._drive(self._within(begin, seconds))
        except LostConnectionError:
            raise
        except asyncpg.PostgresError as error:
            if not _ends_the_connection(error):
                raise
            self.abandon()
            raise LostConnectionError(lost_reason(error)) from None
        except (OSError, asyncpg.InternalClientError) as error:
            self.abandon()
            raise LostConnectionError(lost_reason(error)) from None
        except asyncpg.InterfaceError as error:
            if self.is_open:
                raise  # a value of a wrong type: ours, not the connection's
            self.abandon()
            raise LostConnectionError(lost_reason(error)) from None

    async def _within(self, begin: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:
        task = asyncio.ensure_future(begin())
        done, _ = await asyncio.wait({task}, timeout=max(seconds, 0.0))
        if done:
            return task.result()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
        await asyncio.wait({task})
        task.exception()
        raise LostConnectionError("the server did not answer in time")

    def _drive(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to its end on our loop, which belongs to no thread for good; the main thread has a loop of its own."""
        if threading.current_thread() is not threading.main_thread():
            return self._loop.run_until_complete(work)
        with ThreadPoolExecutor(1) as apart:
            return apart.submit(self._loop.run_until_complete, work).result()

    def _hear(self, _connection: Any, message: Any) -> None:
        self._warned = self._warned or getattr(message, "severity_en", "") == "WARNING"


class SessionTransaction:
    """Statements one by one within a transaction that whoever owns the session begins and ends (`Transaction`)."""

    def __init__(self, session: Session, *, seconds: float) -> None:
        self._session = session
        self._seconds = seconds
        self._changed = 0

    def rows(self, statement: Sql, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Transaction.rows`."""
        return self._session.rows(shared_text(statement), values, seconds=self._seconds)

    def run(self, statement: Sql, values: Sequence[Any] = ()) -> None:
        """See `Transaction.run`."""
        text = filled(shared_text(statement), values)
        if not text:
            return
        tag = self._session.script(text, seconds=self._seconds)
        count = tag.rpartition(" ")[2]
        self._changed = int(count) if count.isdigit() else 0

    def changed(self) -> int:
        """See `Transaction.changed`."""
        return self._changed

    def run_many(self, statement: Sql, values: Iterable[Sequence[Any]]) -> None:
        """See `Transaction.run_many`."""
        for one in values:
            self.run(statement, one)


def numbered(statement: str) -> str:
    """A portable statement (`?`, `?1`) with PostgreSQL's `$1`."""
    count = 0

    def name(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"${match[1] or count}"

    return _PLACEHOLDER.sub(name, statement)


def filled(statement: str, values: Sequence[Any]) -> str:
    """A portable statement with its values written into it, for a script."""
    count = 0

    def value(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return literal(values[int(match[1] or count) - 1])

    return _PLACEHOLDER.sub(value, statement)


def literal(value: object) -> str:
    """A value as SQL text. Numbers, bytes and lists of them, and texts that cannot end a quotation.

    Raises:
        TypeError: anything else.
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int():
            return f"({value})"
        case bytes():
            return f"'\\x{value.hex()}'::bytea"
        case list():
            return f"'{array_text(value)}'"
        case str() if not {"'", "\\", "\0"} & set(value):
            return f"'{value}'"
        case _:
            raise TypeError(f"{type(value).__name__} has no literal here")


def array_text(values: Sequence[object]) -> str:
    """An array as PostgreSQL reads it from text. As a value it is cast (`?::text::int[]`): the driver must ask the
    server about types of arrays first, on each new connection.

    Raises:
        TypeError: it holds other things than numbers, bytes and None.
    """
    return "{" + ",".join(_element(one) for one in values) + "}"


def _element(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            raise TypeError("a list of truth values has no literal here")
        case int():
            return str(value)
        case bytes():
            return f'"\\\\x{value.hex()}"'
        case _:
            raise TypeError(f"a list of {type(value).__name__} has no literal here")


def _ends_the_connection(error: asyncpg.PostgresError) -> bool:
    severity = getattr(error, "severity_en", None) or getattr(error, "severity", "")
    return severity in {"FATAL", "PANIC"} or (error.sqlstate or "").startswith(("08", "57P"))


def _not_postgres(error: asyncpg.PostgresError) -> StartupError:
    """It speaks the protocol and refuses the settings that a connection begins with."""
    if isinstance(error, asyncpg.UndefinedObjectError):
        return StartupError(f"this PostgreSQL is older than 15: {error}", remedy="upgrade the server to 15 or newer")
    return StartupError(
        f"a connection pooler stands between Holdfast and PostgreSQL: {error}",
        remedy="point journal.url at the server itself: locks and settings belong to one connection",
    )


def lost_reason(error: BaseException) -> str:
    """Why a connection is gone, for people: of the driver's own states nobody could make anything."""
    match error:
        case asyncpg.TargetServerAttributeNotMatched():
            return "none of the hosts is what target_session_attrs asks for"
        case asyncpg.InternalClientError() | asyncpg.InterfaceError():
            return "the server ended the connection"
        case TimeoutError():
            return "the server did not answer in time"
        case _:
            return str(error) or type(error).__name__


async def _terminate(connection: asyncpg.Connection) -> None:
    connection.terminate()


async def _part(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=1.0)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
