"""A policy's WebAssembly module: checked, compiled once, and kept by the SHA-256 of its bytes.

Two interfaces are known: ours (`version_1.py`) and Open Policy Agent's (`opa.py`); the exports tell them apart.

Rule 1: only modules are taken, never compiled code; compiling is done by `machine_code.py`, within bounds.
Rule 2: a module in use is there once, however often it is loaded; of the others only the latest are kept.
"""

import hashlib
import threading
import weakref
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
from signer.policy import host_functions, native, opa, version_1
from signer.policy.compiled import CompiledModule, Interface
from signer.policy.grants import Grants, HostFunction
from signer.policy.host_functions import Signature
from signer.policy.limits import MAX_EXPORTS, MAX_MEMORY_BYTES, MAX_MODULE_BYTES
from signer.policy.machine_code import Compiler
from signer.policy.own_memory import with_own_memory
from signer.policy.verdict import printable

MEMORY = "memory"
"""The export of both interfaces."""

KEPT_MODULES = 64
"""Compiled modules that nobody may be using and that are kept all the same."""

KEPT_CODE_BYTES = 64 << 20
"""Of their compiled code: about six times the size of the modules."""

_PAGE_BYTES = 64 << 10
_MAGIC = b"\0asm\x01\0\0\0"
_OPA_MARK = b"\x08opa_eval\x00"
"""The export of a function with that name, in the binary format."""


@dataclass(frozen=True, slots=True)
class _Contract:
    """What modules of an interface may import and must export."""

    import_module: str
    imports: Mapping[str, Signature]
    exports: Mapping[str, Signature]
    looked_up: tuple[str, ...]
    optional: frozenset[str] = frozenset()


_CONTRACTS = {
    Interface.VERSION_1: _Contract(
        host_functions.IMPORT_MODULE,
        {name: signature for name, (signature, _) in host_functions.FUNCTIONS.items()},
        version_1.SHAPES,
        version_1.EXPORTS,
        frozenset({version_1.INITIALIZE}),
    ),
    Interface.OPA: _Contract(
        opa.IMPORT_MODULE,
        {name: signature for name, (signature, _) in opa.FUNCTIONS.items()},
        opa.SHAPES,
        opa.EXPORTS,
    ),
}


class Modules:
    """The modules of one engine, compiled once each. Lives as long as its engine; may be asked from any thread."""

    def __init__(self, engine: Engine, *, kept_code_bytes: int = KEPT_CODE_BYTES) -> None:
        self._engine = engine
        self._kept_code_bytes = kept_code_bytes
        self._linker = Linker(engine)
        self._callbacks = (
            host_functions.define_functions(self._linker, host_functions.IMPORT_MODULE, host_functions.FUNCTIONS),
            host_functions.define_functions(self._linker, opa.IMPORT_MODULE, opa.FUNCTIONS),
        )
        self._compiler = Compiler()
        weakref.finalize(self, self._compiler.end)
        self._compiling = threading.Lock()
        """Held while a new module is compiled: none is compiled twice at once."""
        self._lock = threading.Lock()
        self._alive: weakref.WeakValueDictionary[bytes, CompiledModule] = weakref.WeakValueDictionary()
        self._kept: OrderedDict[bytes, CompiledModule] = OrderedDict()
        """The latest, the newest last."""

    def load(self, module: bytes, grants: Grants) -> CompiledModule:
        """The module, compiled if its bytes are new. Takes long for new ones: never call it on the event loop.

        Raises PolicyModuleTooLargeError, PolicyModuleInvalidError, PolicyImportError, PolicyImportNotGrantedError or
        PolicyExportError.
        """
        sha256 = hashlib.sha256(module).digest()
        compiled = self._find(sha256)
        if compiled is None:
            with self._compiling:
                compiled = self._find(sha256) or self._compile(module, sha256)
                self._keep(compiled)
        _check_granted(compiled.imports, grants)
        return compiled

    def _find(self, sha256: bytes) -> CompiledModule | None:
        with self._lock:
            if sha256 in self._kept:
                self._kept.move_to_end(sha256)
            return self._alive.get(sha256)

    def _keep(self, compiled: CompiledModule) -> None:
        with self._lock:
            self._alive[compiled.sha256] = self._kept[compiled.sha256] = compiled
            self._kept.move_to_end(compiled.sha256)
            while len(self._kept) > KEPT_MODULES or self._code_bytes() > self._kept_code_bytes:
                self._kept.popitem(last=False)

    def _code_bytes(self) -> int:
        return sum(each.code_bytes for each in self._kept.values())

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
        interface = Interface.OPA if _OPA_MARK in module else Interface.VERSION_1
        contract = _CONTRACTS[interface]
        if interface is Interface.OPA:
            module = with_own_memory(module, host=opa.IMPORT_MODULE, name=opa.MEMORY_IMPORT)
        code = self._compiler.compile(module)
        try:
            compiled = Module.deserialize(self._engine, code)
            imports = _checked_imports(compiled, contract)
            exports = _checked_exports(compiled, contract)
            prepared = self._linker.instantiate_pre(compiled)
        except WasmtimeError as error:
            complaint = printable(" ".join(str(error).split()))[:500]
            raise PolicyModuleInvalidError(f"the module cannot be used as a policy: {complaint}") from None
        return CompiledModule(
            sha256=sha256,
            interface=interface,
            imports=frozenset(map(HostFunction, imports)) if interface is Interface.VERSION_1 else frozenset(),
            exports=tuple(name.encode() for name in contract.looked_up if name in exports),
            memory_bytes=exports[MEMORY].limits.min * _PAGE_BYTES,
            code_bytes=len(code),
            prepared=native.address(prepared.ptr()),
            holds=(prepared, compiled, self._linker, self._callbacks),
        )


def _checked_imports(module: Module, contract: _Contract) -> set[str]:
    found: set[str] = set()
    for each in module.imports:
        name = each.name or ""
        imported = printable(f"{each.module}.{name}")[:200]
        if each.module != contract.import_module or name not in contract.imports or not isinstance(each.type, FuncType):
            offered = ", ".join(f"{contract.import_module}.{name}" for name in sorted(contract.imports))
            raise PolicyImportError(
                f"the module imports {imported!r}; a policy is given nothing but {offered}. There is no WASI,"
                " no clock and no randomness: build it without",
                imported=imported,
            )
        if _shape(each.type) != contract.imports[name]:
            raise PolicyImportError(
                f"the module imports {imported} as {_written(_shape(each.type))}; it is"
                f" {_written(contract.imports[name])}",
                imported=imported,
            )
        found.add(name)
    return found


def _check_granted(imports: frozenset[HostFunction], grants: Grants) -> None:
    for function in sorted(imports - grants.functions):
        raise PolicyImportNotGrantedError(
            f"the module imports {host_functions.IMPORT_MODULE}.{function}, which its manifest does not grant; name it"
            " under `functions`, or build the module without",
            imported=f"{host_functions.IMPORT_MODULE}.{function}",
        )


def _checked_exports(module: Module, contract: _Contract) -> Mapping[str, Any]:
    exports = {each.name: each.type for each in module.exports}
    if len(exports) > MAX_EXPORTS:
        raise PolicyModuleTooLargeError(
            f"the module exports {len(exports)} names; at most {MAX_EXPORTS} are taken",
            is_count=len(exports),
            limit=MAX_EXPORTS,
        )
    _check_memory(exports.get(MEMORY))
    for name, shape in contract.exports.items():
        if name in exports or name not in contract.optional:
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


def _check_function(name: str, exported: object, shape: Signature) -> None:
    if not isinstance(exported, FuncType):
        raise PolicyExportError(
            f"the module does not export a function {name}{_written(shape)}: it follows neither our interface nor"
            " Open Policy Agent's (see policies/README.md)",
            export=name,
        )
    if _shape(exported) != shape:
        raise PolicyExportError(
            f"the module exports {name}{_written(_shape(exported))}; it must be {name}{_written(shape)}", export=name
        )


def _shape(function: FuncType) -> Signature:
    return tuple(map(str, function.params)), tuple(map(str, function.results))


def _written(shape: Signature) -> str:
    parameters, results = shape
    return f"({', '.join(parameters)}) -> {', '.join(results) or 'nothing'}"
