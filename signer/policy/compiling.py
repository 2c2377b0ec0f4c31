"""The process that compiles: `python -m signer.policy.compiling SECONDS BYTES CODE`, the bounds of `machine_code.py`,
which starts and ends it.

It reads modules from its standard input and answers each on its standard output; it ends when its input does. Compilers
can be made to take hours and all memory by a few kilobytes of WebAssembly, and wasmtime has no switch to stop them: so
each module has so much processor time, and the process so much memory. What is over that ends this process, by the
kernel's hand, and the module is not taken.

A question is the length (4 bytes, big-endian) and the module. An answer is one byte, the module's SHA-256, the length
(4 bytes, big-endian) and the compiled code, or the compiler's complaint.
"""

import contextlib
import hashlib
import os
import resource
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from wasmtime import Engine, Module, WasmtimeError

from signer.policy.native import make_engine

COMPILED, COMPLAINT = b"+", b"-"
DIGEST_BYTES = 32
LENGTH_BYTES = 4

_NICENESS = 5
"""Nobody waits for a module: requests for signatures come first."""


def read_part(stream: BinaryIO) -> bytes | None:
    """Bytes behind their length; None where the stream ends."""
    length = stream.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        return None
    wanted = int.from_bytes(length, "big")
    part = stream.read(wanted)
    return part if len(part) == wanted else None


def written_part(part: bytes) -> bytes:
    """The part behind its length."""
    return len(part).to_bytes(LENGTH_BYTES, "big") + part


def main(most_seconds: float, most_bytes: int, most_code_bytes: int) -> None:
    """Compile until the input ends."""
    _bound(most_bytes)
    engine = make_engine()
    while (module := read_part(sys.stdin.buffer)) is not None:
        signal.setitimer(signal.ITIMER_PROF, most_seconds)
        kind, text = _compiled(engine, module, most_code_bytes)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(kind + hashlib.sha256(module).digest() + written_part(text))
        sys.stdout.buffer.flush()


def _compiled(engine: Engine, module: bytes, most_code_bytes: int) -> tuple[bytes, bytes]:
    try:
        code = bytes(Module(engine, module).serialize())
    except WasmtimeError as error:
        return COMPLAINT, str(error).encode()
    if len(code) > most_code_bytes:
        return COMPLAINT, f"it becomes {len(code)} bytes of code; at most {most_code_bytes} are kept".encode()
    return COMPILED, code


def _bound(most_bytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the signer, which ends this process
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # whose time is over is ended by the kernel
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    os.nice(_NICENESS)
    with contextlib.suppress(OSError):  # Linux: where memory is short, this process goes and not the signer
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
