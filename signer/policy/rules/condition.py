"""What a condition is: it holds, it does not, or nobody can know."""

from typing import Protocol

from msgspec import Struct

from signer.errors import Evidence
from signer.policy.facts import Duty, Facts, Transaction

_SHOWN_CHARACTERS = 200


class Miss(Struct, frozen=True):
    """Why a condition does not hold."""

    code: str
    message: str
    evidence: Evidence = {}
    unknown: bool = False
    """The facts do not say whether it holds."""


class Condition(Protocol):
    """A question about facts. Immutable and pure."""

    def miss(self, facts: Facts) -> Miss | None:
        """None where it holds."""
        ...


def transaction_of(facts: Facts) -> Transaction | Miss:
    """The transaction, or why a condition on one cannot hold."""
    if facts.transaction is not None:
        return facts.transaction
    return _unread("transaction") if facts.opaque else Miss("NO_TRANSACTION", "this is no transaction")


def duty_of(facts: Facts) -> Duty | Miss:
    """The duty, or why a condition on one cannot hold."""
    if facts.duty is not None:
        return facts.duty
    return _unread("duty") if facts.opaque else Miss("NO_DUTY", "this is no consensus duty")


def shown(text: str | None) -> str | None:
    """A text of the payload as it may be shown: it forges no line and fills no screen."""
    if text is None:
        return None
    printable = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return printable if len(printable) <= _SHOWN_CHARACTERS else printable[:_SHOWN_CHARACTERS] + "..."


def folded(address: str) -> str:
    """An address as it is compared: hexadecimal in lower case, other spellings as they are (base58 knows cases)."""
    return address.lower() if address[:2] in {"0x", "0X"} else address


def _unread(what: str) -> Miss:
    return Miss("OPAQUE", f"the payload could not be read: nobody can say what {what} it is", unknown=True)
