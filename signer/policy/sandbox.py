"""One decision of one module: a fresh store, the facts in, the verdict out, and nothing left behind.

Rule 1: whatever happens inside, the answer is a decision; where no verdict came, it denies with a fault of ours.
Rule 2: nothing of one decision is seen by the next: the store, its memory and its globals are made anew each time.
"""

import time
from dataclasses import dataclass

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
from signer.policy.verdict import Verdict


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


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of one evaluation."""

    verdict: Verdict
    fuel_used: int = 0
    seconds: float = 0.0
    counters_read: tuple[CounterRead, ...] = ()
    """What the verdict rests on beside the facts."""

    log: tuple[str, ...] = ()
    """What the policy said while it thought; printable."""


class Sandbox:
    """Makes decisions, one at a time. Owned by one thread.

    Wall time ends a decision only where ticks are counted (`evaluations.py`); alone, a sandbox has fuel to end it.
    """

    def __init__(self, engine: Engine) -> None:
        self._guest = Guest(engine)

    def decide(self, policy: LoadedPolicy, facts: bytes, host: Host) -> Evaluation:
        """What the policy says of these facts. Never raises; takes as long as the policy's limits allow."""
        started = time.perf_counter()
        questions = Questions(policy.grants, host)
        guest = self._guest
        guest.begin(policy.limits, questions)
        try:
            verdict = self._verdict(policy, facts)
            fuel_used = policy.limits.fuel - guest.fuel_left()
        finally:
            guest.end()
        return Evaluation(
            verdict,
            fuel_used,
            time.perf_counter() - started,
            tuple(CounterRead(name, seconds, value) for (name, seconds), value in questions.counters.items()),
            tuple(questions.log),
        )

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
                    return version_1.ask(self._guest, facts, initializes=initializes)
                case Interface.OPA:
                    return opa.ask(self._guest, facts, data=policy.data, entry_point=policy.entry_point)
        except Stopped as stopped:
            return stopped.verdict

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
