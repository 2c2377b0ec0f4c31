"""What the writer needs of a database, whichever it is: a transaction for each batch, and what its failures mean."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import Any, Protocol

from signer.journal.ledger import Transaction

Claims = Mapping[type, Sequence[Any]]
"""The claims of one batch, by their type."""

NO_CLAIMS: Claims = {}


class StaleFactsError(Exception):
    """What a ledger remembers between batches is not so any more; it has forgotten it. See `Failure.AGAIN`."""


class Failure(Enum):
    """What an error of a transaction leaves behind."""

    REFUSED = "refused"
    """The database refused a row; the batch was rolled back. Each command alone may pass."""

    FULL = "full"
    """No space; rolled back. A later batch may pass."""

    AGAIN = "again"
    """Another connection came between; rolled back. The same batch, with its facts read again, may pass."""

    DOWN = "down"
    """The database cannot be reached or will not serve; nothing of the batch is on record. A later batch may pass."""

    UNKNOWN = "unknown"
    """The connection was lost in the commit: nobody can say until the database was asked again."""

    FATAL = "fatal"
    """The truth is unknown for good: the writer stops."""


class Database(Protocol):
    """One connection for writing, owned by the writer and used on its thread."""

    def ready(self) -> None:
        """Called before each transaction: still the database we opened? Reconnects where there is something to.

        Raises what `failure_of` explains; nothing was written then.
        """
        ...

    def transaction(self, claims: Claims = NO_CLAIMS) -> AbstractContextManager[Transaction]:
        """Begin, with every lock that these claims need, and commit or roll back.

        Durable when it leaves without an error. Does not retry.
        """
        ...

    def failure_of(self, error: Exception) -> Failure:
        """What an error of `ready` or `transaction` means."""
        ...

    def made(self, error: Exception) -> bool:
        """True for an error that is the database's own, False for one of whoever used it."""
        ...

    @property
    def needs_rest(self) -> bool:
        """True when `rest` has something to do now."""
        ...

    def rest_within(self, *, full: bool) -> float | None:
        """Seconds after which `rest` is called though nobody asks for anything; None for never."""
        ...

    def rest(self, *, last: bool = False) -> bool:
        """What must be done between batches; True where that went well, False where there is no space for it.

        With `last` the writer stops after it.
        """
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
