"""One instance of one module, in a store of its own: its functions are called, its memory is read and written.

Rule 1: every place is checked against the memory as it is at that moment, before it is touched.
Rule 2: whatever stops the module raises Stopped, with the denial that stands in the verdict's place.
Rule 3: its time is the processor time of this thread: what a busy machine gives to others is not held against it.
"""

import ctypes
import math
import time
from ctypes import c_int64, c_uint8, c_uint64, c_void_p
from typing import Any

from wasmtime import Engine, TrapCode

from signer.errors import Evidence
from signer.policy import host_functions, native
from signer.policy.compiled import CompiledModule
from signer.policy.faults import Fault, Stopped
from signer.policy.host_functions import Questions
from signer.policy.keccak import Keccak256
from signer.policy.limits import MAX_MEMORY_BYTES, MAX_TABLE_ELEMENTS, MAX_TABLES, Limits

TICK_SECONDS = 0.01
"""How often the time of decisions is looked at (`evaluations.py`). Each look takes the interpreter from everybody."""

MAX_EXPORTS_USED = 8
MAX_ARGUMENTS = 8

_GO_ON = 0
"""`WASMTIME_UPDATE_DEADLINE_CONTINUE`."""

_POINTER_MASK = 2**32 - 1
_FAULTS = {
    TrapCode.OUT_OF_FUEL.value: (Fault.OUT_OF_FUEL, "the policy has used up its fuel"),
    TrapCode.STACK_OVERFLOW.value: (Fault.STACK_OVERFLOW, "the policy's calls are nested too deeply"),
}
_TRAP_NAMES = {code.value: code.name.lower() for code in TrapCode}


class _Deadline:
    """When the time of the present decision is over. Owned by a guest, to which it does not point: a guest goes, and
    its place in the engine with it, when nobody has it any more.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._began = 0.0
        """By the processor time of this thread, in seconds."""
        self.is_over = False
        self.callback = native.DEADLINE_CALLBACK(self._passed)

    def begin(self, seconds: float) -> None:
        """From now on so much."""
        self._seconds, self._began, self.is_over = seconds, time.thread_time(), False

    def used_seconds(self) -> float:
        """Since `begin`."""
        return time.thread_time() - self._began

    def _passed(self, _context: int, _environment: int, ticks: Any, kind: Any) -> int | None:
        """The ticks have passed; where this thread had less than that of a processor, the module goes on."""
        left = self._seconds - self.used_seconds()
        if left > 0:
            ticks[0], kind[0] = _ticks(left), _GO_ON
            return None
        self.is_over = True
        return int(native.error_new(b"time is over"))


class Guest:
    """The instance of the present decision. Owned by one thread: its buffers are used again for each decision."""

    def __init__(self, engine: Engine) -> None:
        self._held_engine = engine
        self._keccak = Keccak256(engine)
        self._engine = native.address(engine.ptr())
        self._instance = native.Instance()
        self._externs = tuple(native.Extern() for _ in range(MAX_EXPORTS_USED))
        self._addresses = tuple(ctypes.addressof(each) for each in self._externs)
        self._places = tuple(address + native.PLACE for address in self._addresses)
        self._memory = self._places[0]
        values = (native.Value * MAX_ARGUMENTS)()
        self._values = (c_int64 * (MAX_ARGUMENTS * native.WORDS_OF_A_VALUE)).from_buffer(values)
        """Each in the first of its words."""
        self._trap = c_void_p()
        self._fuel = c_uint64()
        self._at_instance = ctypes.addressof(self._instance)
        self._at_values = ctypes.addressof(self._values)
        self._at_trap = ctypes.addressof(self._trap)
        self._at_fuel = ctypes.addressof(self._fuel)
        self._store = 0
        self._context = 0
        self._limits = Limits()
        self._budget = 0
        self._instantiate = native.instantiate
        self._call = native.call
        self._questions: Questions | None = None
        self._deadline = _Deadline()

    def begin(self, limits: Limits, questions: Questions, *, quick_fuel: int | None = None) -> None:
        """A new store with these limits; nothing runs yet. Whoever begins calls `end`.

        `quick_fuel`: so little instead of the limit, for which the interpreter is kept.
        """
        host_functions.begin(questions, keccak256=self._keccak.digest)
        self._limits, self._questions = limits, questions
        if quick_fuel is None:
            self._budget, self._instantiate, self._call = limits.fuel, native.instantiate, native.call
        else:
            self._budget, self._instantiate = quick_fuel, native.instantiate_quickly
            self._call = native.call_quickly
        self._store = native.store_new(self._engine, None, None)
        self._context = native.store_context(self._store)
        if limits.memory_bytes < MAX_MEMORY_BYTES:  # otherwise the places that are kept ready are as small
            native.store_limiter(self._store, limits.memory_bytes, MAX_TABLE_ELEMENTS, 1, MAX_TABLES, 1)
        native.set_fuel(self._context, self._budget)
        native.set_epoch_deadline(self._context, _ticks(limits.wall_seconds))
        native.epoch_deadline_callback(self._store, self._deadline.callback, None, None)
        self._deadline.begin(limits.wall_seconds)

    def end(self) -> None:
        """The store is gone, and all that was in it."""
        native.store_delete(self._store)
        self._store = self._context = 0

    def start(self, module: CompiledModule) -> None:
        """The instance is there; its start function has run, which is code of the policy like any other."""
        error = self._instantiate(module.prepared, self._context, self._at_instance, self._at_trap)
        if error or self._trap.value is not None:
            raise self._stopped(error, memory_bytes=0)
        for address, name in zip(self._addresses, module.exports, strict=False):
            native.export_get(self._context, self._at_instance, name, len(name), address)

    def call(self, export: int, *arguments: int) -> int:
        """The result of the export with this number in `CompiledModule.exports`, all 64 bits; 32 count for an i32."""
        values = self._values
        for number, argument in enumerate(arguments):
            values[number * native.WORDS_OF_A_VALUE] = argument
        # One slot at least: results stand where the arguments stood.
        count = len(arguments) or 1
        error = self._call(self._context, self._places[export], self._at_values, count, self._at_trap)
        if error or self._trap.value is not None:
            raise self._stopped(error, memory_bytes=self.memory_bytes())
        return values[0]

    def memory_bytes(self) -> int:
        """The size of its memory now."""
        return int(native.memory_data_size(self._context, self._memory))

    def write(self, place: int, data: bytes, *, what: str) -> None:
        """Put the data there; `what` names it in a denial."""
        place = self._checked(place, len(data), what)
        native.memmove(native.memory_data(self._context, self._memory) + place, data, len(data))

    def read(self, place: int, length: int, *, what: str) -> bytes:
        """What is there; `what` names it in a denial."""
        place = self._checked(place, length, what)
        return ctypes.string_at(native.memory_data(self._context, self._memory) + place, length)

    def read_terminated(self, place: int, *, most: int, what: str) -> bytes:
        """What is there up to a zero byte; where there is none among so many bytes, all of these."""
        place = self._checked(place, 0, what)
        return self.read(place, min(most, self.memory_bytes() - place), what=what).partition(b"\0")[0]

    def processor_seconds(self) -> float:
        """Of this thread, since the decision began."""
        return self._deadline.used_seconds()

    def check_fuel(self) -> None:
        """Raises Stopped: none is left. It is looked at in loops and calls only, and straight-line code runs past its
        end.
        """
        if self.fuel_used() >= self._budget:
            fault, sentence = _FAULTS[TrapCode.OUT_OF_FUEL.value]
            raise Stopped(fault, sentence, self._evidence("none", memory_bytes=self.memory_bytes()))

    def fuel_used(self) -> int:
        """Of what it began with."""
        native.get_fuel(self._context, self._at_fuel)
        return self._budget - self._fuel.value

    def _checked(self, place: int, length: int, what: str) -> int:
        place &= _POINTER_MASK
        size = self.memory_bytes()
        if place + length > size:
            raise Stopped(
                Fault.BAD_PLACE,
                f"{what} is at a place that is not inside of the policy's memory",
                {"place": place, "length": length, "memory_bytes": size},
            )
        return place

    def _stopped(self, error: int | None, *, memory_bytes: int) -> Stopped:
        """Why it stopped: because of one of our functions (an error), or of a trap of its own."""
        trap = self._taken_trap(error)
        limits = self._limits
        name = "none" if trap is None else _TRAP_NAMES.get(trap, "unknown")
        evidence = self._evidence(name, memory_bytes=memory_bytes)
        if self._deadline.is_over:
            fault, sentence = Fault.TIMED_OUT, "the policy has used up its time"
        elif self._questions is not None and self._questions.fault is not None:
            fault, sentence = self._questions.fault
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
        return Stopped(fault, sentence, evidence)

    def _evidence(self, trap: str, *, memory_bytes: int) -> Evidence:
        return {
            "trap": trap,
            "fuel_used": self.fuel_used(),
            "fuel_limit": self._limits.fuel,
            "memory_bytes": memory_bytes,
            "memory_limit_bytes": self._limits.memory_bytes,
        }

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


def _ticks(seconds: float) -> int:
    """So many ticks are at least so long: the first of them may come at once."""
    return math.ceil(seconds / TICK_SECONDS) + 1
