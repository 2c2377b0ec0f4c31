"""What a WebAssembly module asks of its host and offers to it, also where no policy may be like that."""

from msgspec import Struct
from wasmtime import Engine, FuncType, MemoryType, Module, WasmtimeError

from signer.counted import counted
from signer.errors import PolicyModuleInvalidError
from signer.policy.verdict import printable

WASM_MAGIC = b"\0asm"
_MOST_CHARACTERS = 200
"""Of a name: modules may be made to be looked at."""


class Surface(Struct, frozen=True):
    """Each with its type, as `holdfast.log (i32, i32) -> ()`; in the module's order."""

    imports: tuple[str, ...]
    exports: tuple[str, ...]


def read_surface(module: bytes) -> Surface:
    """Compiles the module, for a signer of nobody: only where its author's own machine may spend the time.

    Raises PolicyModuleInvalidError: it is no WebAssembly that we know.
    """
    try:
        compiled = Module(Engine(), module)
    except WasmtimeError as error:
        raise PolicyModuleInvalidError(f"this is no WebAssembly module: {printable(str(error))[:500]}") from None
    return Surface(
        tuple(_written(f"{each.module}.{each.name}", each.type) for each in compiled.imports),
        tuple(_written(each.name, each.type) for each in compiled.exports),
    )


def _written(name: str, kind: object) -> str:
    shown = printable(name)[:_MOST_CHARACTERS]
    match kind:
        case FuncType():
            return f"{shown} ({', '.join(map(str, kind.params))}) -> ({', '.join(map(str, kind.results))})"
        case MemoryType():
            return f"{shown} memory, {counted(kind.limits.min, 'page')}"
        case _:
            return f"{shown} {type(kind).__name__.removesuffix('Type').lower()}"
