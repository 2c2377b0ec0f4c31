"""One decision of one module: a fresh store, the facts in, the verdict out, and nothing left behind.

Rule 1: whatever happens inside, the answer is a decision; where no verdict came, it denies with a fault of ours.
Rule 2: nothing of one decision is seen by the next: the store, its memory and its globals are made anew each time.
Rule 3: a decision is tried with little fuel first, for which the interpreter is kept: waiting to get it back would take
  a busy signer longer than deciding. What needs more is decided afresh with all its fuel, beside everything else.
"""

import time
from dataclasses import dataclass

from msgspec import Struct
from wasmtime import Engine

from signer.errors import PolicyModuleInvalidError
from signer.policy import opa, version_1
from signer.policy.compiled import CompiledModule, Interface
from signer.policy.facts import MAX_FACTS_BYTES
from signer.policy.faults import Fault, Stopped, denied
from signer.policy.grants import NO_GRANTS, EmptyHost, Grants, Host
from signer.policy.guest import Guest
from signer.policy.host_functions import CounterRead, Questions
from signer.policy.limits import DEFAULT_LIMITS, Limits
from signer.policy.pace import Pace
from signer.policy.verdict import Verdict

QUICK_FUEL = 60_000
"""What a decision is tried with: 20 to 100 us, a fifth of the time for which a thread may keep the interpreter."""

QUICK_SECONDS = 0.001
"""Of processor time. Memory that is touched for the first time costs more than its fuel says."""

QUICK_MEMORY_BYTES = 2 << 20
"""A module that begins with more is not tried so: filling its memory uses no fuel."""


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A module with what it is granted and allowed to use."""

    module: CompiledModule
    grants: Grants = NO_GRANTS
    limits: Limits = DEFAULT_LIMITS
    data: bytes = b""
    """Open Policy Agent's `data` document, as JSON; for other modules nothing."""

    entry_point: int = 0
    """Open Policy Agent's number of the rule that decides."""


class Evaluation(Struct, frozen=True):
    """What came of one evaluation."""

    verdict: Verdict
    fuel_used: int = 0
    seconds: float = 0.0
    counters_read: tuple[CounterRead, ...] = ()
    """What the verdict rests on beside the facts."""

    log: tuple[str, ...] = ()
    """What the policy said while it thought; printable."""


class TakesLongError(Exception):
    """A decision was put off: it needs all its fuel."""


class Sandbox:
    """Makes decisions, one at a time. Owned by one thread.

    Wall time ends a decision only where ticks are counted (`evaluations.py`); alone, a sandbox has fuel to end it.
    """

    def __init__(self, engine: Engine, *, pace: Pace | None = None, only_quick: bool = False) -> None:
        """`pace`: shared with other sandboxes; `only_quick`: what is not quick is decided by another one of them."""
        self._guest = Guest(engine)
        self._pace = pace or Pace()
        self._only_quick = only_quick

    def decide(self, policy: LoadedPolicy, facts: bytes, host: Host) -> Evaluation:
        """What the policy says of these facts; takes as long as the policy's limits allow.

        Raises:
            TakesLongError: nothing was decided, since that takes longer; only where it makes quick decisions alone.
        """
        started = time.perf_counter()
        sha256 = policy.module.sha256
        if policy.module.memory_bytes <= QUICK_MEMORY_BYTES and not self._pace.is_slow(sha256):
            fuel = min(QUICK_FUEL, policy.limits.fuel)
            evaluation = self._attempt(policy, facts, host, started, quick_fuel=fuel)
            if fuel == policy.limits.fuel or evaluation.fuel_used < fuel:
                if evaluation.seconds > QUICK_SECONDS and self._guest.processor_seconds() > QUICK_SECONDS:
                    self._pace.was_slow(sha256)
                return evaluation
            self._pace.was_slow(sha256)
        if self._only_quick:
            raise TakesLongError
        evaluation = self._attempt(policy, facts, host, started)
        if self._pace.is_slow(sha256):
            if evaluation.fuel_used > QUICK_FUEL or self._guest.processor_seconds() > QUICK_SECONDS:
                self._pace.was_slow(sha256)
            else:
                self._pace.would_have_been_quick(sha256)
        return evaluation

    def _attempt(
        self, policy: LoadedPolicy, facts: bytes, host: Host, started: float, *, quick_fuel: int | None = None
    ) -> Evaluation:
        questions = Questions(policy.grants, host)
        guest = self._guest
        guest.begin(policy.limits, questions, quick_fuel=quick_fuel)
        try:
            verdict = self._verdict(policy, facts)
            fuel_used = guest.fuel_used()
        finally:
            guest.end()
        spent = time.perf_counter() - started
        if not questions.counters and not questions.log:
            return Evaluation(verdict, fuel_used, spent)
        read = tuple([CounterRead(name, seconds, value) for (name, seconds), value in questions.counters.items()])
        return Evaluation(verdict, fuel_used, spent, read, tuple(questions.log))

    def _verdict(self, policy: LoadedPolicy, facts: bytes) -> Verdict:
        if len(facts) > MAX_FACTS_BYTES:
            return denied(
                Fault.FACTS_TOO_LARGE,
                f"the facts have {len(facts)} bytes; a policy is given {MAX_FACTS_BYTES} at most",
                {"facts_bytes": len(facts), "limit_bytes": MAX_FACTS_BYTES},
            )
        if policy.module.memory_bytes > policy.limits.memory_bytes:
            return denied(
                Fault.OUT_OF_MEMORY,
                "the policy begins with more memory than it is allowed",
                {"memory_bytes": policy.module.memory_bytes, "memory_limit_bytes": policy.limits.memory_bytes},
            )
        try:
            self._guest.start(policy.module)
            match policy.module.interface:
                case Interface.VERSION_1:
                    initializes = len(policy.module.exports) == len(version_1.EXPORTS)
                    verdict = version_1.ask(self._guest, facts, initializes=initializes)
                case Interface.OPA:
                    verdict = opa.ask(self._guest, facts, data=policy.data, entry_point=policy.entry_point)
            self._guest.check_fuel()
        except Stopped as stopped:
            return stopped.verdict
        return verdict

    def needs_of(self, module: CompiledModule, limits: Limits = DEFAULT_LIMITS) -> opa.Needs:
        """What a module of Open Policy Agent says of itself. Raises PolicyModuleInvalidError where it cannot."""
        self._guest.begin(limits, Questions(NO_GRANTS, EmptyHost()))
        try:
            self._guest.start(module)
            return opa.describe(self._guest)
        except Stopped as stopped:
            raise PolicyModuleInvalidError(f"the module cannot say what it needs: {stopped}") from None
        finally:
            self._guest.end()
