"""One step of a rule in the words of each database, so that the rule and the order of its steps stand once.

Both texts take the same parameters (`?`, `?1`; many rows come as one JSON text) and give the same columns. A third
database would be a third text.
"""

from dataclasses import dataclass

NOTHING = ""
"""A step that a database need not take: SQLite has no locks to ask for, since one writer has the whole file."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What to say to whichever database it is."""

    embedded: str
    """SQLite, in our own tables."""

    shared: str
    """PostgreSQL, in Web3Signer's tables and ours beside them."""


Sql = str | Statement
"""A plain text is the same on both."""


def embedded_text(statement: Sql) -> str:
    """What SQLite is told."""
    return statement if isinstance(statement, str) else statement.embedded


def shared_text(statement: Sql) -> str:
    """What PostgreSQL is told."""
    return statement if isinstance(statement, str) else statement.shared
