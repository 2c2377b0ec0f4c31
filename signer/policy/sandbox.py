"""One decision of one module: a fresh store, the facts in, the verdict out, and nothing left behind.

Rule 1: whatever happens inside, the answer is a decision; where no verdict came, it denies with a fault of ours.
Rule 2: nothing of one decision is seen by the next: the store, its memory and its globals are made anew each time.
"""

import ctypes
import math
import time
from ctypes import c_uint8, c_uint64, c_void_p
from dataclasses import dataclass

from wasmtime import Engine, TrapCode

from signer.errors import Evidence
from signer.policy import host_functions, native
from signer.policy.faults import Fault, denied
from signer.policy.grants import NO_GRANTS, Grants, Host
from signer.policy.host_functions import CounterRead, Questions
from signer.policy.limits import DEFAULT_LIMITS, MAX_TABLE_ELEMENTS, MAX_TABLES, Limits
from signer.policy.modules import CompiledModule
from signer.policy.verdict import MAX_VERDICT_BYTES, Deny, Verdict, decode_verdict, too_large

MAX_INPUT_BYTES = 256 << 10
"""The largest facts that are given to a module."""

TICK_SECONDS = 0.005
"""How often the wall time of decisions is looked at (`evaluations.py`)."""

_POINTER_MASK = 2**32 - 1
_FAULTS = {
    TrapCode.OUT_OF_FUEL.value: (Fault.OUT_OF_FUEL, "the policy has used up its fuel"),
    TrapCode.INTERRUPT.value: (Fault.TIMED_OUT, "the policy has used up its time"),
    TrapCode.STACK_OVERFLOW.value: (Fault.STACK_OVERFLOW, "the policy's calls are nested too deeply"),
}
_TRAP_NAMES = {code.value: code.name.lower() for code in TrapCode}


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A module with what it is granted and allowed to use."""

    module: CompiledModule
    grants: Grants = NO_GRANTS
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class Decision:
    """What came of one evaluation."""

    verdict: Verdict
    fuel_used: int = 0
    seconds: float = 0.0
    counters_read: tuple[CounterRead, ...] = ()
    """What the verdict rests on beside the facts."""

    log: tuple[str, ...] = ()
    """What the policy said while it thought; printable."""


class _Denied(Exception):  # noqa: N818 - never leaves this module
    """No verdict came: this denial stands in its place."""

    def __init__(self, verdict: Deny) -> None:
        super().__init__(verdict.code)
        self.verdict = verdict


class Sandbox:
    """Makes decisions, one at a time. Owned by one thread: its buffers are used again for each decision."""

    def __init__(self, engine: Engine) -> None:
        self._held_engine = engine
        self._engine = native.address(engine.ptr())
        self._instance = native.Instance()
        self._externs = tuple(native.Extern() for _ in range(4))
        self._values = (native.Value * 2)()
        self._trap = c_void_p()
        self._fuel = c_uint64()
        self._at_instance = ctypes.addressof(self._instance)
        self._at_values = ctypes.addressof(self._values)
        self._at_trap = ctypes.addressof(self._trap)
        self._memory, self._allocate, self._evaluate, self._initialize = (
            ctypes.addressof(each) + native.PLACE for each in self._externs
        )

    def decide(self, policy: LoadedPolicy, facts: bytes, host: Host) -> Decision:
        """What the policy says of these facts. Never raises; takes as long as the policy's limits allow."""
        started = time.perf_counter()
        questions = Questions(policy.grants, host)
        host_functions.begin(questions)
        store = native.store_new(self._engine, None, None)
        try:
            context = native.store_context(store)
            verdict = self._verdict(policy, facts, store, context, questions)
            fuel_used = policy.limits.fuel - self._fuel_left(context)
        finally:
            native.store_delete(store)
        return Decision(
            verdict,
            fuel_used,
            time.perf_counter() - started,
            tuple(CounterRead(name, seconds, value) for (name, seconds), value in questions.counters.items()),
            tuple(questions.log),
        )

    def _verdict(self, policy: LoadedPolicy, facts: bytes, store: int, context: int, questions: Questions) -> Verdict:
        limits = policy.limits
        if len(facts) > MAX_INPUT_BYTES:
            return denied(
                Fault.FACTS_TOO_LARGE,
                f"the facts have {len(facts)} bytes; a policy is given {MAX_INPUT_BYTES} at most",
                {"facts_bytes": len(facts), "limit_bytes": MAX_INPUT_BYTES},
            )
        if policy.module.memory_bytes > limits.memory_bytes:
            return denied(
                Fault.OUT_OF_MEMORY,
                "the policy begins with more memory than it is allowed",
                {"memory_bytes": policy.module.memory_bytes, "memory_limit_bytes": limits.memory_bytes},
            )
        native.store_limiter(store, limits.memory_bytes, MAX_TABLE_ELEMENTS, 1, MAX_TABLES, 1)
        native.set_fuel(context, limits.fuel)
        native.set_epoch_deadline(context, math.ceil(limits.wall_seconds / TICK_SECONDS) + 1)
        try:
            self._instantiate(policy, context, questions)
            return decode_verdict(self._answer(policy, facts, context, questions))
        except _Denied as stopped:
            return stopped.verdict

    def _instantiate(self, policy: LoadedPolicy, context: int, questions: Questions) -> None:
        """A new instance; its start function has run, which is guest code like any other."""
        error = native.instantiate(policy.module.prepared, context, self._at_instance, self._at_trap)
        if error or self._trap.value is not None:
            raise self._stopped(error, policy, context, questions, memory_bytes=0)
        for extern, name in zip(self._externs, policy.module.exports, strict=False):
            native.export_get(context, self._at_instance, name, len(name), ctypes.addressof(extern))
        if policy.module.initializes:
            self._call(self._initialize, 0, policy, context, questions)

    def _answer(self, policy: LoadedPolicy, facts: bytes, context: int, questions: Questions) -> bytes:
        values = self._values
        values[0].i32 = len(facts)
        self._call(self._allocate, 1, policy, context, questions)
        place = values[0].i32 & _POINTER_MASK
        size = native.memory_data_size(context, self._memory)
        if place == 0:
            raise _Denied(
                denied(Fault.OUT_OF_MEMORY, "the policy found no room for its facts", {"facts_bytes": len(facts)})
            )
        if place + len(facts) > size:
            raise _outside("the room for the facts", place, len(facts), size)
        ctypes.memmove(native.memory_data(context, self._memory) + place, facts, len(facts))
        values[0].i32 = place
        values[1].i32 = len(facts)
        self._call(self._evaluate, 2, policy, context, questions)
        return self._read(values[0].i64, context)

    def _read(self, result: int, context: int) -> bytes:
        place, length = result >> 32 & _POINTER_MASK, result & _POINTER_MASK
        size = native.memory_data_size(context, self._memory)
        if place + length > size:
            raise _outside("the verdict", place, length, size)
        if length > MAX_VERDICT_BYTES:
            raise _Denied(too_large(length))
        return ctypes.string_at(native.memory_data(context, self._memory) + place, length)

    def _call(self, function: int, arguments: int, policy: LoadedPolicy, context: int, questions: Questions) -> None:
        # One slot at least: results stand where the arguments stood.
        error = native.call(context, function, self._at_values, max(arguments, 1), self._at_trap)
        if error or self._trap.value is not None:
            size = native.memory_data_size(context, self._memory)
            raise self._stopped(error, policy, context, questions, memory_bytes=size)

    def _stopped(
        self, error: int | None, policy: LoadedPolicy, context: int, questions: Questions, *, memory_bytes: int
    ) -> _Denied:
        """Why it stopped: because of one of our functions (an error), or of a trap of its own."""
        trap = self._taken_trap(error)
        limits = policy.limits
        evidence: Evidence = {
            "trap": "none" if trap is None else _TRAP_NAMES.get(trap, "unknown"),
            "fuel_used": limits.fuel - self._fuel_left(context),
            "fuel_limit": limits.fuel,
            "memory_bytes": memory_bytes,
            "memory_limit_bytes": limits.memory_bytes,
        }
        if questions.fault is not None:
            fault, sentence = questions.fault
        elif trap is None:
            fault, sentence = Fault.ENGINE_FAILED, "the policy could not be run"
        elif trap in _FAULTS:
            fault, sentence = _FAULTS[trap]
        elif memory_bytes * 2 > limits.memory_bytes:
            # WebAssembly tells a module that it gets no more memory, and languages stop themselves then. An allocator
            # that doubles what it has fails from the half on.
            fault, sentence = Fault.OUT_OF_MEMORY, "the policy stopped itself when its memory was nearly used up"
        else:
            fault, sentence = Fault.TRAPPED, f"the policy stopped itself ({evidence['trap']})"
        return _Denied(denied(fault, sentence, evidence))

    def _taken_trap(self, error: int | None) -> int | None:
        """The code of the trap there was; None where it was no trap. Both are given back to wasmtime."""
        if error:
            native.error_delete(error)
        if self._trap.value is None:
            return None
        code = c_uint8()
        known = native.trap_code(self._trap.value, ctypes.addressof(code))
        native.trap_delete(self._trap.value)
        self._trap.value = None
        return code.value if known else None

    def _fuel_left(self, context: int) -> int:
        native.get_fuel(context, ctypes.addressof(self._fuel))
        return self._fuel.value


def _outside(what: str, place: int, length: int, size: int) -> _Denied:
    return _Denied(
        denied(
            Fault.BAD_PLACE,
            f"{what} is at a place that is not inside of the policy's memory",
            {"place": place, "length": length, "memory_bytes": size},
        )
    )
