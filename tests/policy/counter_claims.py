"""Claims of counters for tests, and records whose writer has their ledger."""

from journal.record import PlainStory

from signer.errors import PolicyRefusalError
from signer.journal.command import Command
from signer.journal.writer import Writer
from signer.policy.counters import Act, CounterClaim, CounterId, CounterLedger, GiveBack, Seen, Spend

DAY = 86400
NOON = 1_800_000_000
"""A time to begin with, in seconds since the Unix epoch: the beginning of a bucket of every window used here."""


def counter(name: str = "wei", window_seconds: int = DAY, policy: str = "treasury") -> CounterId:
    return CounterId(policy, name, window_seconds)


def spend(amount: int, *, limit: int, of: CounterId | None = None) -> Spend:
    return Spend(of or counter(), amount, limit)


def command(*acts: Act, at: int = NOON) -> Command:
    return Command((CounterClaim(at, acts),), PlainStory())


def with_counters(writer: Writer) -> Writer:
    """The service will hand it over; until then the tests do."""
    writer._ledgers[CounterClaim] = CounterLedger()
    return writer


async def commit(writer: Writer, *acts: Act, at: int = NOON) -> str:
    """The code of the refusal, or `signed`."""
    try:
        await writer.commit(command(*acts, at=at))
    except PolicyRefusalError as refusal:
        return refusal.code
    return "signed"


__all__ = ["DAY", "NOON", "GiveBack", "Seen", "Spend", "command", "commit", "counter", "spend", "with_counters"]
