"""What one caller wants made durable: claims, and the audit entry that tells of them."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from signer.errors import RefusalError, SignerError


class Chronicle(Protocol):
    """How a command tells its story: called by the writer once its verdict is known."""

    def entry(self, verdict: "Verdict") -> bytes:
        """The canonical audit entry for this verdict. Pure; raises nothing: its fields were checked at birth."""
        ...


class Verdict(Struct, frozen=True):
    """What the writer decided about one command."""

    refusal: RefusalError | None
    """Why not, or None when every claim passed."""

    repeat: bool = False
    """True when every claim was on record already: the same answer may be given again."""


class Keepsake(Struct, frozen=True):
    """What is kept beside a command's audit entry, whatever the verdict."""

    body: bytes
    public_key: bytes
    time_ms: int
    """As the entry has it: milliseconds since the Unix epoch."""

    code: str = ""
    """Of a refusal from before the commit."""


class Command(Struct, frozen=True):
    """A few claims that pass together or not at all, and their audit entry."""

    claims: tuple[Any, ...]
    """Each is judged by the ledger of its type, and there is one of a type: all are judged before any is noted."""

    story: Chronicle
    """Told once, in the same transaction, whatever the verdict."""

    kept: Keepsake | None = None

    def __post_init__(self) -> None:
        """Raises ValueError: two claims of one type."""
        if len(self.claims) > 1 and len({type(claim) for claim in self.claims}) < len(self.claims):
            raise ValueError("a command holds two claims of one type, and one would be judged without the other")


class Receipt(Struct, frozen=True):
    """Proof that a command is durable."""

    repeat: bool
    audit_index: int
    """The position of its entry in the audit log, from 0."""


class Waiter(Protocol):
    """Who waits for a verdict, on one event loop: a future, or a number at the other end of a worker's link."""

    def done(self) -> bool:
        """True when nobody waits any more."""
        ...

    def set_result(self, receipt: Receipt, /) -> None:
        """It is durable."""
        ...

    def set_exception(self, error: SignerError, /) -> None:
        """It is refused, or not on record, or nobody can say; see `Journal.commit`."""
        ...


class Journal(Protocol):
    """Where commands are made durable: the writer in this process, or a relay to it.

    Durable when an awaited future returns. May be called in parallel. Does not retry.
    """

    def commit(self, command: Command) -> "asyncio.Future[Receipt]":
        """A future of the receipt. It raises RefusalError (the refusal is on record), JournalDownError (nothing is),
        or OutcomeUnknownError (nobody can say yet).
        """
        ...

    def commit_all(self, commands: Sequence[Command]) -> "Sequence[asyncio.Future[Receipt]]":
        """The same for many, in order, in as few commits as the batch size allows."""
        ...
