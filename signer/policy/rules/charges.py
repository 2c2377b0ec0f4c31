"""What a request that is allowed spends of counters: amounts in a window, or uses.

Each charge is one reservation. Its counter's name says which rule, what is counted and for whom, so that other rules
of the file, and other lines of the rule, have counters of their own.
"""

from hashlib import sha256

from msgspec import Struct

from signer.policy.facts import Facts
from signer.policy.rules.about_transactions import amount_unknown
from signer.policy.rules.assets import amount_of
from signer.policy.rules.condition import Miss
from signer.policy.verdict import Reservation

PER = ("key", "caller", "policy")
"""Whose spending is counted together: a key's, a caller's, or everybody's under this policy."""


class SpendLimit(Struct, frozen=True):
    """No more than so much of an asset leaves in a window."""

    asset: str
    limit: int
    window_seconds: int
    per: str

    def reservation(self, facts: Facts, rule: str) -> Reservation | Miss | None:
        """What is to be booked; None where nothing leaves."""
        if facts.transaction is None:
            return amount_unknown(self.asset) if facts.opaque else None
        amount = amount_of(facts.transaction, self.asset)
        if amount is None:
            return amount_unknown(self.asset)
        if amount > self.limit:
            return Miss(
                "AMOUNT_TOO_LARGE",
                "more leaves at once than the limit for its whole window",
                {"asset": self.asset, "amount": str(amount), "limit": str(self.limit)},
            )
        if not amount:
            return None
        return Reservation(self.counter(facts, rule), self.window_seconds, amount, self.limit)

    def counter(self, facts: Facts, rule: str) -> str:
        """The counter's name."""
        return f"{rule}/spent/{self.asset}/{_whose(facts, self.per)}"


class UseLimit(Struct, frozen=True):
    """It is signed no more often than so in a window."""

    count: int
    window_seconds: int
    per: str

    def reservation(self, facts: Facts, rule: str) -> Reservation | Miss | None:
        """One use."""
        return Reservation(self.counter(facts, rule), self.window_seconds, 1, self.count)

    def counter(self, facts: Facts, rule: str) -> str:
        """The counter's name."""
        return f"{rule}/uses/{_whose(facts, self.per)}"


Charge = SpendLimit | UseLimit


def _whose(facts: Facts, per: str) -> str:
    """A name that fits into a counter's, whatever callers and keys are called."""
    match per:
        case "key":
            return "key:" + _short(facts.signer.key_id)
        case "caller":
            return "caller:" + _short(facts.caller.identity)
        case _:
            return "policy"


def _short(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:16]
