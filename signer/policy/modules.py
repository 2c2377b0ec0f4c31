"""A policy's WebAssembly module: checked, compiled once, and kept by the SHA-256 of its bytes.

The interface, version 1 (`policies/README.md` is its text for authors): the module exports `memory`,
`holdfast_allocate(i32) -> i32` and `holdfast_evaluate_1(i32, i32) -> i64`, and imports nothing but functions of
`holdfast` that its manifest grants. `_initialize()` is called first where it is exported.

Rule 1: only modules are compiled here. Compiled code is never read from a disk: whoever could write there would run
  any code in this process.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wasmtime import Engine, FuncType, Linker, MemoryType, Module, WasmtimeError

from signer.errors import (
    PolicyExportError,
    PolicyImportError,
    PolicyImportNotGrantedError,
    PolicyModuleInvalidError,
    PolicyModuleTooLargeError,
)
from signer.policy import native
from signer.policy.grants import ALL_FUNCTIONS, Grants, HostFunction
from signer.policy.host_functions import IMPORT_MODULE, SIGNATURES, define_host_functions
from signer.policy.limits import MAX_EXPORTS, MAX_MEMORY_BYTES, MAX_MODULE_BYTES

MEMORY = "memory"
ALLOCATE = "holdfast_allocate"
EVALUATE = "holdfast_evaluate_1"
INITIALIZE = "_initialize"

KEPT_MODULES = 256
"""Compiled modules that nobody may be using and that are kept all the same."""

_PAGE_BYTES = 64 << 10
_MAGIC = b"\0asm\x01\0\0\0"
_SHAPES = {
    ALLOCATE: (("i32",), ("i32",)),
    EVALUATE: (("i32", "i32"), ("i64",)),
    INITIALIZE: ((), ()),
}


@dataclass(frozen=True, slots=True)
class CompiledModule:
    """A module that can be run, as often as wanted and on any thread."""

    sha256: bytes
    imports: frozenset[HostFunction]
    exports: tuple[bytes, ...]
    """Of MEMORY, ALLOCATE, EVALUATE, and INITIALIZE where there is one: the names that a decision looks up."""

    memory_bytes: int
    """What it begins with."""

    initializes: bool
    """True where `_initialize` is exported."""

    prepared: int
    """Address of the prepared instance (`wasmtime_instance_pre_t`)."""

    holds: tuple[Any, ...]
    """What must live as long as `prepared` is used."""


class Modules:
    """The modules of one engine, compiled once each. Lives as long as its engine; may be asked from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._linker = Linker(engine)
        self._callbacks = define_host_functions(self._linker)
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, CompiledModule] = OrderedDict()

    def load(self, module: bytes, grants: Grants) -> CompiledModule:
        """The module, compiled if its bytes are new. Takes long for new ones: never call it on the event loop.

        Raises PolicyModuleTooLargeError, PolicyModuleInvalidError, PolicyImportError, PolicyImportNotGrantedError or
        PolicyExportError.
        """
        sha256 = hashlib.sha256(module).digest()
        with self._lock:  # held while compiling: the same module is never compiled twice at once
            compiled = self._kept.get(sha256) or self._compile(module, sha256)
            self._kept[sha256] = compiled
            self._kept.move_to_end(sha256)
            while len(self._kept) > KEPT_MODULES:
                self._kept.popitem(last=False)
        _check_granted(compiled.imports, grants)
        return compiled

    def _compile(self, module: bytes, sha256: bytes) -> CompiledModule:
        if len(module) > MAX_MODULE_BYTES:
            raise PolicyModuleTooLargeError(
                f"the module has {len(module)} bytes; at most {MAX_MODULE_BYTES} are compiled",
                is_count=len(module),
                limit=MAX_MODULE_BYTES,
            )
        if not module.startswith(_MAGIC):
            # wasmtime would also take the text format: two spellings of one policy, and a second parser.
            raise PolicyModuleInvalidError("this is no WebAssembly module: it does not begin with \\0asm and version 1")
        try:
            compiled = Module(self._engine, module)
            imports = _checked_imports(compiled)
            exports = _checked_exports(compiled)
            prepared = self._linker.instantiate_pre(compiled)
        except WasmtimeError as error:
            raise PolicyModuleInvalidError(f"the module cannot be used as a policy: {_all_lines(error)}") from None
        return CompiledModule(
            sha256=sha256,
            imports=imports,
            exports=tuple(name.encode() for name in (MEMORY, ALLOCATE, EVALUATE, INITIALIZE) if name in exports),
            memory_bytes=exports[MEMORY].limits.min * _PAGE_BYTES,
            initializes=INITIALIZE in exports,
            prepared=native.address(prepared.ptr()),
            holds=(prepared, compiled, self._linker, self._callbacks),
        )


def _all_lines(error: WasmtimeError) -> str:
    return " ".join(str(error).split())[:500]


def _checked_imports(module: Module) -> frozenset[HostFunction]:
    found: set[HostFunction] = set()
    for each in module.imports:
        imported = f"{each.module}.{each.name}"
        if each.module != IMPORT_MODULE or each.name not in ALL_FUNCTIONS or not isinstance(each.type, FuncType):
            offered = ", ".join(f"{IMPORT_MODULE}.{name}" for name in sorted(ALL_FUNCTIONS))
            raise PolicyImportError(
                f"the module imports {imported[:200]!r}; a policy is given nothing but {offered}. There is no WASI,"
                " no clock and no randomness: build it without",
                imported=imported[:200],
            )
        function = HostFunction(each.name)
        if _shape(each.type) != SIGNATURES[function]:
            raise PolicyImportError(
                f"the module imports {imported} as {_written(_shape(each.type))}; it is"
                f" {_written(SIGNATURES[function])}",
                imported=imported,
            )
        found.add(function)
    return frozenset(found)


def _check_granted(imports: frozenset[HostFunction], grants: Grants) -> None:
    for function in sorted(imports - grants.functions):
        raise PolicyImportNotGrantedError(
            f"the module imports {IMPORT_MODULE}.{function}, which its manifest does not grant; name it under"
            " `functions`, or build the module without",
            imported=f"{IMPORT_MODULE}.{function}",
        )


def _checked_exports(module: Module) -> Mapping[str, Any]:
    exports = {each.name: each.type for each in module.exports}
    if len(exports) > MAX_EXPORTS:
        raise PolicyModuleTooLargeError(
            f"the module exports {len(exports)} names; at most {MAX_EXPORTS} are taken",
            is_count=len(exports),
            limit=MAX_EXPORTS,
        )
    _check_memory(exports.get(MEMORY))
    for name, shape in _SHAPES.items():
        if name == INITIALIZE and name not in exports:
            continue
        _check_function(name, exports.get(name), shape)
    return exports


def _check_memory(memory: object) -> None:
    if not isinstance(memory, MemoryType):
        raise PolicyExportError(f"the module does not export its memory as {MEMORY!r}", export=MEMORY)
    if memory.limits.min * _PAGE_BYTES > MAX_MEMORY_BYTES:
        raise PolicyModuleTooLargeError(
            f"the module begins with {memory.limits.min * _PAGE_BYTES} bytes of memory; at most {MAX_MEMORY_BYTES}"
            " are given",
            is_count=memory.limits.min * _PAGE_BYTES,
            limit=MAX_MEMORY_BYTES,
        )


def _check_function(name: str, exported: object, shape: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    if not isinstance(exported, FuncType):
        raise PolicyExportError(
            f"the module does not export a function {name!r}: a policy for version 1 of the interface has"
            f" {ALLOCATE}{_written(_SHAPES[ALLOCATE])} and {EVALUATE}{_written(_SHAPES[EVALUATE])}",
            export=name,
        )
    if _shape(exported) != shape:
        raise PolicyExportError(
            f"the module exports {name}{_written(_shape(exported))}; it must be {name}{_written(shape)}", export=name
        )


def _shape(function: FuncType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(map(str, function.params)), tuple(map(str, function.results))


def _written(shape: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
    parameters, results = shape
    return f"({', '.join(parameters)}) -> {', '.join(results) or 'nothing'}"
