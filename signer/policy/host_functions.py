"""The functions that a module may import from `holdfast`.

Rule 1: a function either does what it says or stops the decision with a fault of ours; nothing is guessed.
Rule 2: each costs fuel in proportion to the time that it takes of us, so that fuel bounds a whole decision.
Rule 3: no exception leaves a callback: there is no Python below it. It becomes a trap, and the decision a denial.

A place is (address, length) in the module's memory, and is checked before it is touched.
"""

import ctypes
import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wasmtime import FuncType, Linker, ValType

from signer.policy import native
from signer.policy.faults import Fault, Stopped
from signer.policy.grants import Grants, Host, HostFunction
from signer.policy.verdict import MAX_AMOUNT, printable

IMPORT_MODULE = "holdfast"

COUNTER_TEXT_BYTES = 78
"""Room that a module gives for a counter's value: the digits of the largest amount."""

MAX_NAME_BYTES = 256
"""Of a counter or a list, and of an item that is looked for."""

MAX_LOG_LINES = 32
MAX_LOG_LINE_BYTES = 512

_FUEL_OF_A_CALL = 20_000
"""About 4 us: what the way out of the module and back costs."""

_FUEL_OF_A_BYTE = 10
_MEMORY = b"memory"
_POINTER_MASK = 2**32 - 1

Signature = tuple[tuple[str, ...], tuple[str, ...]]

SIGNATURES: dict[HostFunction, Signature] = {
    HostFunction.READ_COUNTER: (("i32", "i32", "i32", "i32"), ("i32",)),
    HostFunction.LIST_CONTAINS: (("i32", "i32", "i32", "i32"), ("i32",)),
    HostFunction.KECCAK256: (("i32", "i32", "i32"), ()),
    HostFunction.SHA256: (("i32", "i32", "i32"), ()),
    HostFunction.LOG: (("i32", "i32"), ()),
}


@dataclass(frozen=True, slots=True)
class CounterRead:
    """A counter's value on which a verdict rests: judged again in the signing commit."""

    counter: str
    window_seconds: int
    value: int


@dataclass(slots=True)
class Questions:
    """What one decision asks of its host, and was told. Lives for that decision, on its thread."""

    grants: Grants
    host: Host
    counters: dict[tuple[str, int], int] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    fault: tuple[Fault, str] | None = None
    """Why the decision was stopped, where it was one of these functions."""


class _Asking(threading.local):
    """The decision that this thread is making."""

    questions: Questions | None = None
    keccak256: Callable[[bytes], bytes]


_asking = _Asking()


def begin(questions: Questions, *, keccak256: Callable[[bytes], bytes]) -> None:
    """This thread makes this decision from now on; `keccak256` is its own way to compute digests."""
    _asking.questions = questions
    _asking.keccak256 = keccak256


class Place:
    """The memory of the module that calls. Valid for one call. Its methods raise Stopped."""

    __slots__ = ("_base", "_context", "_size")

    def __init__(self, caller: int) -> None:
        memory = native.Extern()
        if not native.caller_export_get(caller, _MEMORY, len(_MEMORY), ctypes.addressof(memory)):
            raise Stopped(Fault.HOST_FAILED, "the module has no memory yet")
        self._context = native.caller_context(caller)
        where = ctypes.addressof(memory) + native.PLACE
        self._size = native.memory_data_size(self._context, where)
        self._base = native.memory_data(self._context, where)

    def charge(self, byte_count: int) -> None:
        """Take the fuel that the call costs, for so many bytes."""
        left = ctypes.c_uint64()
        native.get_fuel(self._context, ctypes.addressof(left))
        price = _FUEL_OF_A_CALL + _FUEL_OF_A_BYTE * byte_count
        native.set_fuel(self._context, max(0, left.value - price))
        if left.value < price:
            raise Stopped(Fault.OUT_OF_FUEL, "the policy has used up its fuel in a function of its host")

    def read(self, start: int, length: int, *, limit: int | None = None) -> bytes:
        """What is there."""
        start, length = self._checked(start, length)
        if limit is not None and length > limit:
            raise Stopped(Fault.HOST_FAILED, f"the policy handed over {length} bytes where {limit} are the most")
        return ctypes.string_at(self._base + start, length)

    def read_text(self, start: int, length: int, *, limit: int = MAX_NAME_BYTES) -> str:
        """What is there, as a text."""
        try:
            return self.read(start, length, limit=limit).decode()
        except UnicodeDecodeError:
            raise Stopped(Fault.HOST_FAILED, "the policy handed over a text that is no UTF-8") from None

    def read_terminated(self, start: int, *, most: int) -> bytes:
        """What is there up to a zero byte, so many bytes at most."""
        start, _ = self._checked(start, 0)
        return ctypes.string_at(self._base + start, min(most, self._size - start)).partition(b"\0")[0]

    def write(self, start: int, data: bytes) -> None:
        """Put it there."""
        start, _ = self._checked(start, len(data))
        native.memmove(self._base + start, data, len(data))

    def _checked(self, start: int, length: int) -> tuple[int, int]:
        start, length = start & _POINTER_MASK, length & _POINTER_MASK
        if start + length > self._size:
            raise Stopped(Fault.BAD_PLACE, "the policy handed over a place that is not inside of its memory")
        return start, length


def add_log_line(asked: Questions, line: bytes) -> None:
    """Keep what the policy says, as far as it is listened to."""
    if len(asked.log) < MAX_LOG_LINES:
        asked.log.append(printable(line.decode(errors="replace")))


def _read_counter(asked: Questions, place: Place, values: list[int]) -> int:
    name_at, name_length, window_seconds, answer_at = values
    place.charge(COUNTER_TEXT_BYTES)
    name = place.read_text(name_at, name_length)
    if name not in asked.grants.counters:
        raise Stopped(
            Fault.NOT_GRANTED, f"the policy reads the counter {printable(name)!r}, which is not granted to it"
        )
    if window_seconds < 0:
        raise Stopped(Fault.HOST_FAILED, f"a window of {window_seconds} seconds")
    key = (name, window_seconds)
    if key not in asked.counters:
        value = asked.host.read_counter(name, window_seconds=window_seconds)
        if not 0 <= value <= MAX_AMOUNT:
            raise Stopped(Fault.HOST_FAILED, f"the counter {name!r} has no value that can be told")
        asked.counters[key] = value
    text = str(asked.counters[key]).encode()
    place.write(answer_at, text)
    return len(text)


def _list_contains(asked: Questions, place: Place, values: list[int]) -> int:
    name_at, name_length, item_at, item_length = values
    place.charge(2 * MAX_NAME_BYTES)
    name = place.read_text(name_at, name_length)
    if name not in asked.grants.lists:
        raise Stopped(Fault.NOT_GRANTED, f"the policy asks the list {printable(name)!r}, which is not granted to it")
    return int(bool(asked.host.list_contains(name, place.read_text(item_at, item_length))))


def _sha256(_asked: Questions, place: Place, values: list[int]) -> None:
    start, length, answer_at = values
    place.charge(length & _POINTER_MASK)
    place.write(answer_at, hashlib.sha256(place.read(start, length)).digest())


def _keccak256(_asked: Questions, place: Place, values: list[int]) -> None:
    start, length, answer_at = values
    place.charge(2 * (length & _POINTER_MASK))
    place.write(answer_at, _asking.keccak256(place.read(start, length)))


def _log(asked: Questions, place: Place, values: list[int]) -> None:
    start, length = values
    place.charge(MAX_LOG_LINE_BYTES)
    add_log_line(asked, place.read(start, min(length & _POINTER_MASK, MAX_LOG_LINE_BYTES)))


Function = Callable[[Questions, Place, list[int]], int | None]
"""Answers a call: for whom, in which memory, with which arguments; an i32 or nothing."""

FUNCTIONS: dict[str, tuple[Signature, Function]] = {
    HostFunction.READ_COUNTER: (SIGNATURES[HostFunction.READ_COUNTER], _read_counter),
    HostFunction.LIST_CONTAINS: (SIGNATURES[HostFunction.LIST_CONTAINS], _list_contains),
    HostFunction.KECCAK256: (SIGNATURES[HostFunction.KECCAK256], _keccak256),
    HostFunction.SHA256: (SIGNATURES[HostFunction.SHA256], _sha256),
    HostFunction.LOG: (SIGNATURES[HostFunction.LOG], _log),
}


def define_functions(linker: Linker, host: str, functions: Mapping[str, tuple[Signature, Function]]) -> tuple[Any, ...]:
    """Offer functions to modules of this linker. Returns what must live as long as the linker is used."""
    callbacks = []
    for name, ((parameters, results), function) in functions.items():
        kind = FuncType([ValType.i32() for _ in parameters], [ValType.i32() for _ in results])
        callback = native.HOST_CALLBACK(_callback(function, len(parameters)))
        error = native.linker_define(
            native.address(linker.ptr()),
            host.encode(), len(host), name.encode(), len(name),
            native.address(kind.ptr()), callback, None, None,
        )  # fmt: skip
        if error:
            raise ValueError(f"wasmtime does not take the function {host}.{name}")
        callbacks.append(callback)
    return tuple(callbacks)


def _callback(function: Function, parameters: int) -> Callable[..., Any]:
    def called(_environment: int, caller: int, values: Any, _count: int) -> int | None:
        asked = _asking.questions
        if asked is None:
            return _trap()
        try:
            answer = function(asked, Place(caller), [values[i].i32 for i in range(parameters)])
            if answer is not None:
                values[0].i32 = answer
        except Stopped as stopped:
            asked.fault = (stopped.fault, str(stopped))
            return _trap()
        except BaseException as error:  # noqa: BLE001 - there is no Python below to raise into
            asked.fault = (Fault.HOST_FAILED, f"what the policy asked for could not be had ({type(error).__name__})")
            return _trap()
        return None

    return called


def _trap() -> int:
    message = b"stopped by the host"
    return int(native.trap_new(message, len(message)))
