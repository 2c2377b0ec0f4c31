"""What one caller wants made durable: claims, and the audit entry that tells of them."""

from dataclasses import dataclass
from typing import Any, Protocol

from signer.errors import RefusalError


class Chronicle(Protocol):
    """How a command tells its story: called by the writer once its verdict is known."""

    def entry(self, verdict: "Verdict") -> bytes:
        """The canonical audit entry for this verdict. Pure; raises nothing: its fields were checked at birth."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the writer decided about one command."""

    refusal: RefusalError | None
    """Why not, or None when every claim passed."""

    repeat: bool = False
    """True when every claim was on record already: the same answer may be given again."""


@dataclass(frozen=True, slots=True)
class Command:
    """A few claims that pass together or not at all, and their audit entry."""

    claims: tuple[Any, ...]
    """Each is judged by the ledger of its type."""

    story: Chronicle
    """Told once, in the same transaction, whatever the verdict."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a command is durable."""

    repeat: bool
    audit_index: int
    """The position of its entry in the audit log, from 0."""
