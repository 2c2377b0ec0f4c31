"""The process that compiles: `python -m signer.policy.compiling SECONDS BYTES`, started and ended by `machine_code.py`.

It reads modules from its standard input and answers each on its standard output; it ends when its input does. Compilers
can be made to take hours and all memory by a few kilobytes of WebAssembly, and wasmtime has no switch to stop them: so
each module has so much processor time, and the process so much memory. What is over that ends this process, by the
kernel's hand, and the module is not taken.

A question is the length (4 bytes, big-endian) and the module. An answer is one byte, the length (4 bytes, big-endian)
and the compiled code, or the compiler's complaint.
"""

import contextlib
import os
import resource
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from wasmtime import Engine, Module, WasmtimeError

from signer.policy.native import make_engine

COMPILED, COMPLAINT = b"+", b"-"
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


def main(most_seconds: float, most_bytes: int) -> None:
    """Compile until the input ends."""
    _bound(most_bytes)
    engine = make_engine()
    while (module := read_part(sys.stdin.buffer)) is not None:
        signal.setitimer(signal.ITIMER_PROF, most_seconds)
        answer = _answer(engine, module)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()


def _answer(engine: Engine, module: bytes) -> bytes:
    try:
        return COMPILED + written_part(bytes(Module(engine, module).serialize()))
    except WasmtimeError as error:
        return COMPLAINT + written_part(str(error).encode())


def _bound(most_bytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the signer, which ends this process
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # whose time is over is ended by the kernel
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    os.nice(_NICENESS)
    with contextlib.suppress(OSError):  # Linux: where memory is short, this process goes and not the signer
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
