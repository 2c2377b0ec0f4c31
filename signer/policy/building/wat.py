"""WebAssembly's text format: assembled here, no other program is needed."""

from wasmtime import WasmtimeError, wat2wasm

from signer.durable import read_regular
from signer.errors import PolicyBuildError
from signer.policy.building.compiler import Built, Source
from signer.policy.limits import MAX_MODULE_BYTES


def build(source: Source) -> Built:
    """The module. Raises PolicyBuildError, UnreadableFileError."""
    text = read_regular(source.file, limit_bytes=MAX_MODULE_BYTES)
    try:
        return Built(bytes(wat2wasm(text)))
    except WasmtimeError as error:
        raise PolicyBuildError(
            f"{source.file} is not WebAssembly's text format",
            said=str(error).replace("<anon>", source.name),
            remedy="correct the source",
        ) from None
