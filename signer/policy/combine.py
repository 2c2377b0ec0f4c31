"""Several policies' verdicts as one decision.

Rule 1: a denial overrides everything; demands for approval add up, and each is to be met; reservations are united.
Rule 2: the order of verdicts never matters, and a policy that is bound twice is heard once.
Rule 3: where no policy is bound the namespace's default decides, and what cannot be read is denied.
"""

from collections.abc import Collection, Iterable

from msgspec import Struct

from signer.errors import Evidence
from signer.policy.counters import Act, CounterClaim, CounterId, Seen, Spend
from signer.policy.facts import Facts
from signer.policy.verdict import ALLOW, Allow, Deny, RequireApproval, Reservation, Verdict, encode_verdict

NONE_BOUND = "POLICY_NONE_BOUND"
OPAQUE = "POLICY_OPAQUE"

BY_DEFAULT = "default"
"""In the place of a policy's name where none was bound; no policy may bear it."""


class Outcome(Struct, frozen=True):
    """What one policy said: kept for the answer, the log and the audit entry."""

    policy: str
    version: str
    """The hash of what was evaluated, in hexadecimal; empty for the namespace's default."""

    verdict: Verdict


class Demand(Struct, frozen=True, order=True):
    """One policy's demand for approval; met by approvals of its own groups, whatever others demand."""

    policy: str
    quorum: int
    groups: tuple[str, ...]
    lifetime_seconds: int
    delay_seconds: int


class Allowed(Struct, frozen=True):
    """Nothing is against it, as long as every spending can be booked."""

    outcomes: tuple[Outcome, ...]
    spendings: tuple[Spend, ...] = ()


class Held(Struct, frozen=True):
    """It waits for people."""

    outcomes: tuple[Outcome, ...]
    demands: tuple[Demand, ...]
    """Every one is to be met."""

    spendings: tuple[Spend, ...] = ()
    """Booked when it is signed."""

    @property
    def lifetime_seconds(self) -> int:
        """How long the request waits: as long as the most impatient policy lets it."""
        return min(demand.lifetime_seconds for demand in self.demands)


class Denied(Struct, frozen=True):
    """It is not signed."""

    outcomes: tuple[Outcome, ...]
    policy: str
    """The first that denies, by name; `outcomes` has the others."""

    code: str
    message: str
    evidence: Evidence


Decision = Allowed | Held | Denied


class Defaults(Struct, frozen=True):
    """What a namespace lets be signed where no policy is bound. What cannot be read is denied, always."""

    transactions: bool
    duties: bool


IN_PRODUCTION = Defaults(transactions=False, duties=True)


def combine(outcomes: Iterable[Outcome]) -> Decision:
    """The decision of these policies, at least one.

    Raises:
        ValueError: none was heard; that is `by_default`'s to decide.
    """
    heard = _each_once(outcomes)
    if not heard:
        raise ValueError("no policy was heard: nothing is decided by nobody")
    if all(outcome.verdict is ALLOW for outcome in heard):
        return Allowed(heard)
    for outcome in heard:
        if isinstance(outcome.verdict, Deny):
            deny = outcome.verdict
            return Denied(heard, outcome.policy, deny.code, deny.message, deny.evidence)
    spendings = tuple(spending for outcome in heard for spending in _spendings(outcome))
    demands = tuple(sorted({_demand(each.policy, each.verdict) for each in heard if _demands(each.verdict)}))
    return Held(heard, demands, spendings) if demands else Allowed(heard, spendings)


def by_default(facts: Facts, defaults: Defaults) -> Decision:
    """The decision where no policy is bound."""
    return combine((Outcome(BY_DEFAULT, "", _default_verdict(facts, defaults)),))


def claim_of(decision: Allowed | Held, *, at_seconds: int, seen: Collection[Seen] = ()) -> CounterClaim | None:
    """What the signing commit does to counters: what policies have read still holds, and every spending is booked.

    Args:
        decision: what is signed, or was waited for and is signed now.
        at_seconds: the request's time, as the policies were told it.
        seen: the counters that policies have read.

    Returns:
        One claim, or None where counters have nothing to do with it.
    """
    if not seen and not decision.spendings:
        return None
    acts: tuple[Act, ...] = (*sorted(set(seen), key=lambda each: (each.counter, each.spent)), *decision.spendings)
    return CounterClaim(at_seconds, acts)


def _default_verdict(facts: Facts, defaults: Defaults) -> Verdict:
    namespace = facts.signer.namespace
    if facts.opaque or (facts.transaction is None and facts.duty is None):
        return Deny(
            OPAQUE,
            "this payload cannot be read, so nobody can say what it does; bind a policy that allows it to the key",
            {"namespace": namespace},
        )
    transaction_barred = facts.transaction is not None and not defaults.transactions
    duty_barred = facts.duty is not None and not defaults.duties
    if transaction_barred or duty_barred:
        return Deny(
            NONE_BOUND,
            f"no policy is bound that could allow this, and namespace {namespace} allows nothing of its kind without;"
            " bind one to the key, one of its tags, the namespace or the caller",
            {"namespace": namespace},
        )
    return ALLOW


def _each_once(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """In an order that is the same whatever order they came in."""
    heard = tuple(outcomes)
    if len(heard) == 1:
        return heard
    known = {(each.policy, each.version, encode_verdict(each.verdict)): each for each in heard}
    return tuple(known[place] for place in sorted(known))


def _demands(verdict: Verdict) -> bool:
    return isinstance(verdict, RequireApproval)


def _demand(policy: str, verdict: Verdict) -> Demand:
    match verdict:
        case RequireApproval(quorum, groups, lifetime_seconds, delay_seconds):
            return Demand(policy, quorum, tuple(sorted(set(groups))), lifetime_seconds, delay_seconds)
        case _:
            raise ValueError(f"{type(verdict).__name__} demands no approval")


def _spendings(outcome: Outcome) -> Iterable[Spend]:
    match outcome.verdict:
        case Allow(reserve) | RequireApproval(reserve=reserve):
            return (_spend(outcome.policy, reservation) for reservation in _sorted(reserve))
        case _:
            return ()


def _sorted(reserve: tuple[Reservation, ...]) -> list[Reservation]:
    return sorted(reserve, key=lambda each: (each.counter, each.window_seconds, each.amount, each.limit))


def _spend(policy: str, reservation: Reservation) -> Spend:
    counter = CounterId(policy, reservation.counter, reservation.window_seconds)
    return Spend(counter, reservation.amount, reservation.limit)
