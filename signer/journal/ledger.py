"""What a feature keeps in the journal: a ledger answers for one kind of claim.

A ledger has four parts. `load` reads the facts for all claims of a batch in bulk; `judge` is pure and
raises a refusal; `accept` notes a new claim in the facts, so that later claims of the batch see it;
`store` writes what was accepted, in bulk. The journal knows no feature: a new kind of durable thing is one
new ledger, handed to the writer by `app/`.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from signer.journal.command import Keepsake, Verdict
from signer.journal.statement import Sql

Row = tuple[Any, ...]

Claim = TypeVar("Claim")
Facts = TypeVar("Facts")


class Transaction(Protocol):
    """The open transaction of one batch, owned by the writer's thread. Not durable until the writer commits."""

    def rows(self, statement: Sql, values: Sequence[Any] = ()) -> Iterable[Row]:
        """The rows a statement yields."""
        ...

    def run(self, statement: Sql, values: Sequence[Any] = ()) -> None:
        """Run a statement for its effect."""
        ...

    def changed(self) -> int:
        """How many rows the last statement has inserted, updated or deleted."""
        ...

    def run_many(self, statement: Sql, values: Iterable[Sequence[Any]]) -> None:
        """Run one statement once for each tuple of values."""
        ...


class Ledger(Protocol[Claim, Facts]):
    """One kind of durable claim. Used by the writer's thread alone; keeps no state between batches.

    One that implements RemembersFacts too may keep its facts.
    """

    claim_type: type[Claim]

    def load(self, transaction: Transaction, claims: Sequence[Claim]) -> Facts:
        """The facts that all of these claims will be judged by."""
        ...

    def judge(self, claim: Claim, facts: Facts) -> bool | None:
        """True when an allowed claim adds to the record, False when it is on record already. Pure.

        None says neither: the claim may pass, and is none that could be repeated.

        Raises:
            RefusalError: the claim must not be recorded, with the evidence.
        """
        ...

    def accept(self, claim: Claim, facts: Facts) -> None:
        """Note an allowed, new claim in the facts, for the claims that follow in this batch."""
        ...

    def store(self, transaction: Transaction, facts: Facts) -> None:
        """Write what was accepted."""
        ...


@runtime_checkable
class RemembersFacts(Protocol):
    """A ledger whose facts only operators' changes alter: it keeps them between batches, and spares a statement."""

    def forget(self) -> None:
        """What was loaded may be wrong: an operator's change has ended, committed or not, or another signer on the same
        database has come between, and the batch is judged again.
        """
        ...


class Keeper(Protocol):
    """Writes what commands keep beside their audit entries. Used by the writer's thread alone."""

    def keep(self, transaction: Transaction, kept: Sequence[tuple[int, Keepsake, Verdict]]) -> None:
        """Each with the index of its entry and what became of its command."""
        ...


Marks = tuple[bytes, bytes]
"""What the file may carry: before, or after, the checkpoint that was begun last."""


class MarkKeeper(Protocol):
    """Remembers the marks outside the database."""

    @property
    def marks(self) -> Marks | None:
        """The marks noted last; None where nothing was noted yet."""
        ...

    def note_marks(self, marks: Marks) -> None:
        """Remember these; durable when it returns. Raises OSError."""
        ...


class AppendLog(MarkKeeper, Protocol):
    """The log to which every command's entry goes, after its claims. Used by the writer's thread alone."""

    def append(self, transaction: Transaction, entries: Sequence[bytes]) -> int:
        """Add entries in order; the index of the first. Counts only once `committed` is called."""
        ...

    def committed(self) -> None:
        """The transaction is durable: publish the new head. Returns before any signature of it is released."""
        ...

    def rolled_back(self) -> None:
        """The transaction never happened: forget what was appended."""
        ...
