"""A candidate over past decisions: what would have come of each, had it been asked in place of what was.

Rule 1: it is told what was told then: the facts, the counters that were read, and lists as they were. What it asks that
nobody asked then is not guessed: the decision is counted as one that cannot be compared.
Rule 2: limits are counted anew, for then and for now alike, from the first decision that is replayed: they differ only
by what the candidate reserves.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from signer.errors import ApprovalChangedError, CounterChangedError, CounterLimitError, PolicyChangedError
from signer.policy.combine import BY_DEFAULT, Allowed, Decision, Denied, Held, Outcome, combine
from signer.policy.counters import CounterId, Seen
from signer.policy.kept_facts import KeptDecision
from signer.policy.rules.rule import RuleFile
from signer.policy.verdict import Deny, Verdict, encode_verdict
from signer.policy.windows import Window
from signer.policy.workbench import Opened, Workbench

OVERTAKEN = frozenset({PolicyChangedError.code, CounterChangedError.code, ApprovalChangedError.code})
"""Commands that were judged again: their second entry is the decision."""

ListsOf = Callable[[int, str], frozenset[str]]
"""What a list held at a revision of the policies."""


class Came(Struct, frozen=True):
    """What came of a request, in two words."""

    decision: str
    """`allow`, `deny` or `require_approval`."""

    code: str = ""
    """Of a denial."""


class Compared(Struct, frozen=True):
    """One decision, then and now."""

    then: Came
    now: Came
    verdict_then: Verdict | None
    """Of the policy with the candidate's name; None where it was not asked."""

    verdict_now: Verdict
    rules: tuple[str, ...] = ()
    """That decide now, where the candidate is a file of rules and something differs."""

    @property
    def changed(self) -> bool:
        """Something else would have come of the request."""
        return self.then != self.now

    @property
    def differs(self) -> bool:
        """The policy would have said something else, even if as much had come of it."""
        if self.verdict_then is None:
            return self.changed
        return self.changed or _without_evidence(self.verdict_then) != _without_evidence(self.verdict_now)


class NotAsked(Struct, frozen=True):
    """No policy of the candidate's name had a say."""


class Unknown(Struct, frozen=True):
    """The candidate asks what nobody asked then."""

    question: str


class _Past:
    """Answers a candidate's questions as they were answered then: see `Host`."""

    def __init__(self, name: str, decision: KeptDecision, lists_of: ListsOf) -> None:
        self._seen = {each.counter: each.spent for each in decision.seen if isinstance(each, Seen)}
        self._name, self._revision, self._lists_of = name, decision.revision, lists_of
        self.unknown = ""

    def read_counter(self, name: str, *, window_seconds: int) -> int:
        """See Host."""
        told = self._seen.get(CounterId(self._name, name, window_seconds))
        if told is None:
            self.unknown = self.unknown or f"counter {name} in {window_seconds} s"
            return 0
        return told

    def list_contains(self, name: str, item: str) -> bool:
        """See Host."""
        return item in self._lists_of(self._revision, name)


class Spent:
    """What one side has reserved so far. Owned by a replay."""

    def __init__(self) -> None:
        self._windows: dict[CounterId, Window] = {}

    def settle(self, decision: Decision, *, at_seconds: int, name: str, books: bool) -> Came:
        """What comes of it with the limits of the policy of this name; `books`: it is spent then."""
        if isinstance(decision, Denied):
            return Came("deny", decision.code)
        own = [spend for spend in decision.spendings if spend.counter.policy == name]
        beside: dict[CounterId, int] = {}
        for spend in own:
            window = self._windows.setdefault(spend.counter, Window(spend.counter.window_seconds))
            beside[spend.counter] = beside.get(spend.counter, 0) + spend.amount
            if window.spent(at_seconds) + beside[spend.counter] > spend.limit:
                return Came("deny", CounterLimitError.code)
        if books:
            for spend in own:
                self._windows[spend.counter].spend(spend.amount, at_seconds=at_seconds)
        return Came("require_approval" if isinstance(decision, Held) else "allow")


class Replay:
    """One candidate's way through the past, oldest decision first. Owned by one thread."""

    def __init__(self, bench: Workbench, candidate: Opened, *, lists_of: ListsOf, everywhere: bool) -> None:
        """`everywhere`: also where no policy of its name had a say, as if it were bound to every key."""
        self._bench = bench
        self._candidate = candidate
        self._name = candidate.pack.manifest.name
        self._lists_of = lists_of
        self._everywhere = everywhere
        self._spent_then, self._spent_now = Spent(), Spent()

    def compare(self, decision: KeptDecision, *, code: str) -> Compared | NotAsked | Unknown:
        """`code`: why it was not signed; empty where it was."""
        own = next((each for each in decision.outcomes if each.policy == self._name), None)
        if own is None and not self._everywhere:
            return NotAsked()
        past = _Past(self._name, decision, self._lists_of)
        facts = decision.facts
        told = replace(facts, environment=replace(facts.environment, simulation=True))
        verdict = self._bench.ask(self._candidate, told, past).verdict
        if past.unknown:
            return Unknown(past.unknown)
        before, after = combine(decision.outcomes), self._combined(decision.outcomes, verdict)
        at_seconds = facts.environment.timestamp
        signed = code == ""
        # Refused by policies or by a limit then: had it been allowed, it would have been signed, as far as is known.
        free = signed or code == CounterLimitError.code or isinstance(before, Denied)
        then = self._spent_then.settle(before, at_seconds=at_seconds, name=self._name, books=signed)
        now = self._spent_now.settle(
            after,
            at_seconds=at_seconds,
            name=self._name,
            books=free and (isinstance(after, Allowed) or signed),
        )
        found = Compared(then, now, None if own is None else own.verdict, verdict)
        rules = self._candidate.decider
        if found.differs and isinstance(rules, RuleFile):
            return replace(found, rules=tuple(rules.explain(told).decided_by))
        return found

    def _combined(self, outcomes: Sequence[Outcome], verdict: Verdict) -> Decision:
        others = [each for each in outcomes if each.policy not in (self._name, BY_DEFAULT)]
        return combine([*others, Outcome(self._name, "candidate", verdict)])


def _without_evidence(verdict: Verdict) -> bytes:
    """Evidence explains a denial and decides nothing: a rule that stands some lines lower is the same rule."""
    return encode_verdict(Deny(verdict.code, verdict.message) if isinstance(verdict, Deny) else verdict)
