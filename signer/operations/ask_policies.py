"""One turn on a policy thread: every policy that has a say in a request is asked, and its answer becomes an outcome.

Rule 1: whatever happens to a policy, its outcome is a verdict; where it gave none, a denial of ours.
Rule 2: a counter that was read is part of the answer: the commit judges whether it still says so.
"""

import time
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from signer.journal.reader import Reading
from signer.operations.policies_in_force import Candidate, Decider, Served
from signer.policy.combine import Outcome
from signer.policy.counters import CounterId, Seen, spent_of
from signer.policy.facts import Facts, encode_facts
from signer.policy.faults import Fault, denied
from signer.policy.host_functions import CounterRead
from signer.policy.rules.rule import RuleFile
from signer.policy.sandbox import LoadedPolicy, Sandbox
from signer.policy.verdict import Deny, Verdict

Lists = Mapping[str, frozenset[str]]


class Heard(Struct, frozen=True):
    """What one policy said, and what that took."""

    outcome: Outcome
    seconds: float
    fuel: int = 0
    """0 for a file of rules."""

    seen: tuple[Seen, ...] = ()
    log: tuple[str, ...] = ()


class RecordHost:
    """Answers one policy's questions during one request: see `Host`. Reads beside the writer."""

    def __init__(self, policy: str, *, reading: Reading, lists: Lists, at_seconds: int) -> None:
        self._policy = policy
        self._reading = reading
        self._lists = lists
        self._at_seconds = at_seconds

    def read_counter(self, name: str, *, window_seconds: int) -> int:
        """See Host."""
        counter = CounterId(self._policy, name, window_seconds)
        with self._reading() as moment:
            return spent_of(moment, [counter], at_seconds=self._at_seconds)[counter]

    def list_contains(self, name: str, item: str) -> bool:
        """See Host."""
        return item in self._lists.get(name, ())


class Hearing:
    """The question of one request, for one turn on a policy thread.

    Its methods raise TakesLongError where the sandbox may not take long, and nothing else.
    """

    def __init__(self, facts: Facts, *, reading: Reading, lists: Lists) -> None:
        self._facts = facts
        self._text = b""
        """As modules read them; written on the thread of the first that does."""
        self._reading = reading
        self._lists = lists

    def ask_all(self, policies: Sequence[Served], sandbox: Sandbox) -> tuple[Heard, ...]:
        """What each of them says, in their order."""
        return tuple([self._ask(each.name, each.version, each.decider, sandbox) for each in policies])

    def ask_shadows(self, policies: Sequence[tuple[str, Candidate]], sandbox: Sandbox) -> tuple[Heard, ...]:
        """The same of versions that decide nothing."""
        return tuple([self._ask(name, each.version, each.decider, sandbox) for name, each in policies])

    def _ask(self, name: str, version: str, decider: Decider | None, sandbox: Sandbox) -> Heard:
        match decider:
            case LoadedPolicy():
                return self._ask_module(name, version, decider, sandbox)
            case RuleFile():
                started = time.perf_counter()
                verdict = _asked_of(decider, self._facts)
                return Heard(Outcome(name, version, verdict), time.perf_counter() - started)
            case Deny():
                return Heard(Outcome(name, version, decider), 0.0)
            case None:
                missing = denied(Fault.ENGINE_FAILED, "the policy was asked before it was loaded")
                return Heard(Outcome(name, version, missing), 0.0)

    def _ask_module(self, name: str, version: str, policy: LoadedPolicy, sandbox: Sandbox) -> Heard:
        host = RecordHost(name, reading=self._reading, lists=self._lists, at_seconds=self._facts.environment.timestamp)
        self._text = self._text or encode_facts(self._facts)
        answer = sandbox.decide(policy, self._text, host)
        return Heard(
            Outcome(name, version, answer.verdict),
            answer.seconds,
            answer.fuel_used,
            tuple(_seen(name, answer.counters_read)) if answer.counters_read else (),
            answer.log,
        )


def _asked_of(rules: RuleFile, facts: Facts) -> Verdict:
    try:
        return rules(facts)
    except Exception as error:  # noqa: BLE001 - fails closed: whatever it was, this file has granted nothing
        return denied(Fault.ENGINE_FAILED, f"the rules could not be applied: {type(error).__name__}")


def _seen(policy: str, reads: Sequence[CounterRead]) -> Iterator[Seen]:
    for read in reads:
        yield Seen(CounterId(policy, read.counter, read.window_seconds), read.value)
