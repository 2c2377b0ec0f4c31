"""wasmtime's C interface, as far as one decision needs it, and the one engine of this process.

The wheel's own Python classes cost 49 to 61 us for a decision, nearly all of it for looking up exports and boxing
arguments; these calls cost 11 (measured). They also keep an exception of a host function in one variable for all
threads, so that one thread may be shown another's. So modules are compiled with the classes, and decisions are made
with the C interface (wasmtime.h; its functions are exported by the wheel's library and called with their types here).

Rule 1: what runs code of a policy lets go of the interpreter (`ctypes.CDLL`), unless it has fuel for microseconds only;
  what does not run any keeps it (`ctypes.PyDLL`): whoever lets go waits behind everybody else to get it back.
Rule 2: an engine has deterministic features only, no WASI, and puts no signal handler into this process.
"""

import ctypes
from ctypes import c_bool, c_char_p, c_int32, c_int64, c_size_t, c_uint8, c_uint64, c_void_p
from typing import Any

from wasmtime import Config, Engine, _bindings, _ffi

from signer.policy.limits import MAX_MEMORY_BYTES, MAX_STACK_BYTES, MAX_TABLE_ELEMENTS, MAX_TABLES

MAX_INSTANCES = 32
"""Decisions at one moment: each thread makes one, and there are always fewer threads."""

_KEPT_BYTES = 64 << 10
"""Of a memory that is zeroed by hand for the next decision instead of being given back to the system."""

_FEATURES = {
    "wasm_threads": False,
    "shared_memory": False,
    "wasm_tail_call": False,
    "wasm_relaxed_simd": False,
    "wasm_simd": False,
    "wasm_multi_memory": False,
    "wasm_memory64": False,
    "wasm_wide_arithmetic": False,
    "wasm_exceptions": False,
    "wasm_gc": False,
    "wasm_function_references": False,
    "wasm_custom_page_sizes": False,
    "wasm_stack_switching": False,
    "gc_support": False,
    "wasm_reference_types": True,
    "wasm_bulk_memory": True,
    "wasm_multi_value": True,
    "consume_fuel": True,
    "epoch_interruption": True,
    "cranelift_nan_canonicalization": True,
    "signals_based_traps": False,
    "parallel_compilation": False,
    "memory_init_cow": False,
}
"""On: what today's compilers emit without being asked, the two meters, one bit pattern for all that is no number. Off:
what is not deterministic (threads, relaxed SIMD) and what none of those compilers needs. Compiling on one thread leaves
the other cores to the signer. Copy-on-write memories would hold an open file for each module: a signer with a thousand
policies would have none left for connections (they save 25 us of 170 in a Rego module, nothing in the others)."""


def make_engine() -> Engine:
    """An engine for policies. One for each process: it keeps address space for `MAX_INSTANCES` memories."""
    config = Config()
    native = config.ptr()
    for name, enable in _FEATURES.items():
        getattr(_bindings, f"wasmtime_config_{name}_set")(native, enable)
    _bindings.wasmtime_config_max_wasm_stack_set(native, MAX_STACK_BYTES)
    _bindings.wasmtime_config_memory_reservation_set(native, MAX_MEMORY_BYTES)
    _bindings.wasmtime_config_memory_guard_size_set(native, 0)
    _keep_places_ready(native)
    return Engine(config)


def _keep_places_ready(native: Any) -> None:
    """Instances take a place that is there already instead of asking the system for memory: 11 us instead of 36."""
    pool = _bindings.wasmtime_pooling_allocation_config_new()
    for name, value in (
        ("total_stacks", 0),  # of asynchronous calls: none are made, and 1,000 would keep 2 GB of address space
        ("total_core_instances", MAX_INSTANCES),
        ("total_memories", MAX_INSTANCES),
        ("total_tables", MAX_INSTANCES * MAX_TABLES),
        ("max_memories_per_module", 1),
        ("max_tables_per_module", MAX_TABLES),
        ("max_memory_size", MAX_MEMORY_BYTES),
        ("table_elements", MAX_TABLE_ELEMENTS),
        ("linear_memory_keep_resident", _KEPT_BYTES),
        ("table_keep_resident", _KEPT_BYTES),
    ):
        getattr(_bindings, f"wasmtime_pooling_allocation_config_{name}_set")(pool, value)
    _bindings.wasmtime_pooling_allocation_strategy_set(native, pool)
    _bindings.wasmtime_pooling_allocation_config_delete(pool)


Extern = _bindings.wasmtime_extern_t
PLACE = Extern.of.offset
"""Where in an `Extern` the function, the memory or the table is that it stands for."""

Instance = _bindings.wasmtime_instance_t


class Value(ctypes.Union):
    """`wasmtime_val_raw_t`: 16 bytes for one argument or result."""

    _fields_ = [("i32", c_int32), ("i64", c_int64), ("_v128", c_uint8 * 16)]


WORDS_OF_A_VALUE = 2
"""Of 64 bits."""


HOST_CALLBACK = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_void_p, ctypes.POINTER(Value), c_size_t)
"""`wasmtime_func_unchecked_callback_t`: environment, caller, arguments and results, how many; a trap or null."""

DEADLINE_CALLBACK = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_void_p, ctypes.POINTER(c_uint64), ctypes.POINTER(c_uint8))
"""Called when the deadline has passed: context, environment, where the ticks of the next deadline go, and the kind of
going on (0: at once). An error ends the call; null goes on."""

_KEEPING: Any = ctypes.PyDLL(str(_ffi.filename))
_LETTING_GO: Any = ctypes.CDLL(str(_ffi.filename))


def _function(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = library[name]  # a new object each time: the wheel's own declarations stay what they are
    function.restype = result
    function.argtypes = arguments
    return function


store_new = _function(_KEEPING, "wasmtime_store_new", c_void_p, c_void_p, c_void_p, c_void_p)
store_context = _function(_KEEPING, "wasmtime_store_context", c_void_p, c_void_p)
store_delete = _function(_KEEPING, "wasmtime_store_delete", None, c_void_p)
store_limiter = _function(
    _KEEPING, "wasmtime_store_limiter", None, c_void_p, c_int64, c_int64, c_int64, c_int64, c_int64
)
set_fuel = _function(_KEEPING, "wasmtime_context_set_fuel", c_void_p, c_void_p, c_uint64)
get_fuel = _function(_KEEPING, "wasmtime_context_get_fuel", c_void_p, c_void_p, c_void_p)
set_epoch_deadline = _function(_KEEPING, "wasmtime_context_set_epoch_deadline", None, c_void_p, c_uint64)
epoch_deadline_callback = _function(
    _KEEPING, "wasmtime_store_epoch_deadline_callback", None, c_void_p, DEADLINE_CALLBACK, c_void_p, c_void_p
)
increment_epoch = _function(_KEEPING, "wasmtime_engine_increment_epoch", None, c_void_p)
export_get = _function(
    _KEEPING, "wasmtime_instance_export_get", c_bool, c_void_p, c_void_p, c_char_p, c_size_t, c_void_p
)
caller_export_get = _function(_KEEPING, "wasmtime_caller_export_get", c_bool, c_void_p, c_char_p, c_size_t, c_void_p)
caller_context = _function(_KEEPING, "wasmtime_caller_context", c_void_p, c_void_p)
memory_data = _function(_KEEPING, "wasmtime_memory_data", c_void_p, c_void_p, c_void_p)
memory_data_size = _function(_KEEPING, "wasmtime_memory_data_size", c_size_t, c_void_p, c_void_p)
trap_new = _function(_KEEPING, "wasmtime_trap_new", c_void_p, c_char_p, c_size_t)
trap_code = _function(_KEEPING, "wasmtime_trap_code", c_bool, c_void_p, c_void_p)
trap_delete = _function(_KEEPING, "wasm_trap_delete", None, c_void_p)
error_new = _function(_KEEPING, "wasmtime_error_new", c_void_p, c_char_p)
error_delete = _function(_KEEPING, "wasmtime_error_delete", None, c_void_p)
linker_define = _function(
    _KEEPING, "wasmtime_linker_define_func_unchecked", c_void_p,
    c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_void_p, HOST_CALLBACK, c_void_p, c_void_p,
)  # fmt: skip

memmove = _function(ctypes.PyDLL(None), "memmove", c_void_p, c_void_p, c_char_p, c_size_t)
"""As `ctypes.memmove`, which lets go of the interpreter."""

_INSTANTIATE = ("wasmtime_instance_pre_instantiate", c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)
_CALL = ("wasmtime_func_call_unchecked", c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p)

instantiate = _function(_LETTING_GO, *_INSTANTIATE)
call = _function(_LETTING_GO, *_CALL)

instantiate_quickly = _function(_KEEPING, *_INSTANTIATE)
call_quickly = _function(_KEEPING, *_CALL)
"""For little fuel alone; see rule 1."""


def address(pointer: Any) -> int:
    """Where a pointer of the wheel's classes points."""
    where = ctypes.cast(pointer, c_void_p).value
    if where is None:
        raise ValueError("a null pointer from wasmtime")
    return where
