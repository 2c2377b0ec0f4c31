"""What policies have spent, on record: reservations are claims, judged again and booked in the signing commit.

A counter is known by its policy, its name and its window: the same name with another window is another counter, which
begins at nothing.

Rule 1: a claim is all of a request's acts together: they are booked in one commit, or none is.
Rule 2: reserved is spent. Only whoever knows that the signature failed gives back, once; a crash gives nothing back.
Rule 3: every counter of a batch is locked before it is read, where others write the same database.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from signer.errors import CounterChangedError, CounterLimitError
from signer.journal.ledger import Transaction
from signer.policy import counter_statements as say
from signer.policy.verdict import FOREVER
from signer.policy.windows import Window

KEPT_SECONDS = 7 * 86400
"""How long amounts of a counter that nobody uses any more stay after they ceased to count: longer than a clock is wrong
without being noticed."""

SWEPT_AT_LEAST = 64
"""So many of those one batch removes, and twice as many as it adds: so they cannot pile up."""

LOCKS = 256
"""Advisory locks that all counters share: a batch must not fill the server's lock table."""


class CounterId(msgspec.Struct, frozen=True, order=True):
    """One counter with one window."""

    policy: str
    counter: str
    window_seconds: int
    """FOREVER for a cap that nothing frees."""


class Spend(msgspec.Struct, frozen=True):
    """Book this amount, unless more than the limit would be spent then."""

    counter: CounterId
    amount: int
    limit: int


class GiveBack(msgspec.Struct, frozen=True):
    """The signature is known not to have been made: this amount was not spent."""

    counter: CounterId
    amount: int


class Seen(msgspec.Struct, frozen=True):
    """A policy has read this counter, and its verdict holds only while it says the same."""

    counter: CounterId
    spent: int


Act = Spend | GiveBack | Seen


class CounterClaim(msgspec.Struct, frozen=True):
    """What one request does to counters: all of it, or nothing."""

    at_seconds: int
    """The request's time, in seconds since the Unix epoch; of what is given back, the time of its booking."""

    acts: tuple[Act, ...]


@dataclass(slots=True)
class CounterFacts:
    """The counters of a batch, with what its earlier claims have booked."""

    windows: dict[CounterId, Window]
    at_seconds: int
    """The earliest time of the batch's requests."""

    touched: set[CounterId] = field(default_factory=set)


class CounterLedger:
    """Judges and books what policies reserve. Keeps nothing between batches: owned by the writer."""

    claim_type = CounterClaim

    def __init__(self, *, writes: bool = True) -> None:
        """`writes`: False for a single question beside the writer, which takes no locks and books nothing."""
        self._writes = writes

    def load(self, transaction: Transaction, claims: Sequence[CounterClaim]) -> CounterFacts:
        """Every counter that the batch names, by one statement after their locks."""
        wanted = sorted({act.counter for claim in claims for act in claim.acts})
        if self._writes:
            transaction.run(say.LOCK_COUNTERS, (_json(_locks(wanted)),))
        return CounterFacts(read_counters(transaction, wanted), min(claim.at_seconds for claim in claims))

    def judge(self, claim: CounterClaim, facts: CounterFacts) -> bool | None:
        """True where something is to be booked or given back.

        Raises:
            CounterLimitError: more than a limit would be spent.
            CounterChangedError: a counter that the policy has read says something else now.
        """
        booked: dict[CounterId, int] = {}
        changes: bool | None = None
        for act in claim.acts:
            match act:
                case Seen(counter, spent):
                    if facts.windows[counter].spent(claim.at_seconds) != spent:
                        raise CounterChangedError(counter.policy, counter=counter.counter)
                case Spend(counter, amount, _):
                    _check_limit(act, claim.at_seconds, window=facts.windows[counter], beside=booked.get(counter, 0))
                    booked[counter] = booked.get(counter, 0) + amount
                    changes = True
                case GiveBack():
                    changes = True
        return changes

    def accept(self, claim: CounterClaim, facts: CounterFacts) -> None:
        """Later claims of the batch see what this one spends."""
        for act in claim.acts:
            match act:
                case Spend(counter, amount, _):
                    facts.windows[counter].spend(amount, at_seconds=claim.at_seconds)
                    facts.touched.add(counter)
                case GiveBack(counter, amount):
                    facts.windows[counter].give_back(amount, at_seconds=claim.at_seconds)
                    facts.touched.add(counter)
                case Seen():
                    pass

    def store(self, transaction: Transaction, facts: CounterFacts) -> None:
        """The amounts that changed; those that ceased to count are removed, of these counters and of unused ones."""
        if not facts.touched:
            return
        touched = [(counter, facts.windows[counter]) for counter in sorted(facts.touched)]
        old = [[*_place(counter), begins] for counter, window in touched for begins in window.forgotten()]
        if old:
            transaction.run(say.FORGET_AMOUNTS, (_json(old),))
        rows = [
            [*_place(counter), begins, _ends(counter, window, begins), str(amount)]
            for counter, window in touched
            for begins, amount in window.changed().items()
        ]
        transaction.run(say.STORE_AMOUNTS, (_json(rows),))
        transaction.run(say.SWEEP, (facts.at_seconds - KEPT_SECONDS, SWEPT_AT_LEAST + 2 * len(rows)))


def giving_back(claim: CounterClaim) -> CounterClaim | None:
    """What undoes a claim whose signature is known not to have been made; None where it booked nothing.

    Whoever commits this does so once: a second time would give back what others have spent.
    """
    acts = tuple(GiveBack(act.counter, act.amount) for act in claim.acts if isinstance(act, Spend))
    return CounterClaim(claim.at_seconds, acts) if acts else None


def read_counters(transaction: Transaction, counters: Iterable[CounterId]) -> dict[CounterId, Window]:
    """These counters as they are on record; one of which nothing is on record is empty."""
    wanted = list(counters)
    amounts: dict[CounterId, list[tuple[int, int]]] = {counter: [] for counter in wanted}
    ((text,),) = transaction.rows(say.READ_AMOUNTS, (_json([_place(counter) for counter in wanted]),))
    for n, begins, amount in msgspec.json.decode(text):
        amounts[wanted[n]].append((begins, int(amount)))
    return {counter: Window(counter.window_seconds, known) for counter, known in amounts.items()}


def spent_of(transaction: Transaction, counters: Iterable[CounterId], *, at_seconds: int) -> Mapping[CounterId, int]:
    """What each counter says at that time: for policies that read one, and for people who ask."""
    return {counter: window.spent(at_seconds) for counter, window in read_counters(transaction, counters).items()}


def _check_limit(act: Spend, at_seconds: int, *, window: Window, beside: int) -> None:
    """`beside`: what the same request spends of the counter too."""
    spent = window.spent(at_seconds) + beside
    if spent + act.amount > act.limit:
        raise CounterLimitError(
            act.counter.policy,
            counter=act.counter.counter,
            window_seconds=act.counter.window_seconds,
            spent=spent,
            amount=act.amount,
            limit=act.limit,
            frees_at_seconds=window.frees_at(beside + act.amount, limit=act.limit, at_seconds=at_seconds),
        )


def _locks(counters: Iterable[CounterId]) -> list[int]:
    """Ascending, so that no two batches wait for each other."""
    return sorted({zlib.crc32(_json(_place(counter)).encode()) % LOCKS for counter in counters})


def _place(counter: CounterId) -> list[str | int]:
    return [counter.policy, counter.counter, counter.window_seconds]


def _ends(counter: CounterId, window: Window, begins: int) -> int | None:
    return None if counter.window_seconds == FOREVER else window.ends(begins)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
