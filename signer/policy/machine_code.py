"""Compiles modules in a process of its own (`compiling.py`), so that no module takes this one's time, memory or life.

Rule 1: what comes back is code that this process will run. It comes through a pipe from our own program, never from a
  file: whoever could write there would run any code in this process.
Rule 2: a module over which the other process dies is not taken, whatever the reason was.
Rule 3: an answer names the module that it is for, and a process that was not heard to the end is not asked again: no
  module ever gets the code of another.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import threading
from typing import BinaryIO, cast

from signer.errors import PolicyModuleInvalidError
from signer.policy.compiling import COMPILED, DIGEST_BYTES, read_part, written_part
from signer.policy.limits import MAX_CODE_BYTES, MAX_COMPILE_BYTES, MAX_COMPILE_SECONDS
from signer.policy.verdict import printable

IDLE_SECONDS = 10.0
"""How long the process waits for another module: starting it takes 0.1 s, and it holds 50 MB."""

PATIENCE_SECONDS = 60 * MAX_COMPILE_SECONDS
"""By the clock on the wall: for a machine so busy that the process hardly gets any of its processor time."""

_MOST_WORDS = 500
"""Of what the compiler complains of."""


class Compiler:
    """Its process is started when it is needed, and ends soon after. May be asked from any thread; one module at once.

    Whoever owns it calls `end`.
    """

    def __init__(
        self,
        *,
        idle_seconds: float = IDLE_SECONDS,
        most_seconds: float = MAX_COMPILE_SECONDS,
        most_bytes: int = MAX_COMPILE_BYTES,
        most_code_bytes: int = MAX_CODE_BYTES,
    ) -> None:
        """`most_seconds` of processor time, `most_bytes` of memory and `most_code_bytes` of code are for one module."""
        self._idle_seconds = idle_seconds
        self._most_seconds = most_seconds
        self._most_bytes = most_bytes
        self._most_code_bytes = most_code_bytes
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._leaving: threading.Timer | None = None

    @property
    def process_id(self) -> int | None:
        """Of the process, while there is one."""
        process = self._process
        return None if process is None else process.pid

    def compile(self, module: bytes) -> bytes:
        """The compiled code. Takes long: never call it on the event loop. Raises PolicyModuleInvalidError."""
        with self._lock:
            if self._leaving is not None:
                self._leaving.cancel()
            answer = self._asked(module)
            self._leaving = threading.Timer(self._idle_seconds, self.end)
            self._leaving.daemon = True
            self._leaving.start()
        kind, text = answer
        if kind != COMPILED:
            complaint = printable(" ".join(text.decode(errors="replace").split()))[:_MOST_WORDS]
            raise PolicyModuleInvalidError(f"the module cannot be used as a policy: {complaint}")
        return text

    def end(self) -> None:
        """End the process, if there is one; another `compile` starts another."""
        with self._lock:
            self._leaving = None
            process, self._process = self._process, None
        if process is not None:
            _ended(process)

    def _asked(self, module: bytes) -> tuple[bytes, bytes]:
        if self._process is not None and self._process.poll() is not None:
            _ended(self._process)  # between two modules: it was ended by somebody else
            self._process = None
        process = self._process = self._process or self._started()
        watch = threading.Timer(PATIENCE_SECONDS, process.kill)
        watch.daemon = True
        watch.start()
        try:
            answer = _heard(process, module)
        except BaseException:
            self._process = None
            process.kill()
            _ended(process)
            raise
        finally:
            watch.cancel()
        if answer is None:
            self._process = None
            raise self._died(_ended(process))
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        """The process. `-P` because its module path comes with the environment: it imports what we would."""
        program = (sys.executable, "-P", "-m", "signer.policy.compiling")
        try:
            return subprocess.Popen(  # noqa: S603 - our own program and three numbers
                [*program, str(self._most_seconds), str(self._most_bytes), str(self._most_code_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        except OSError as error:
            raise PolicyModuleInvalidError(
                f"the process that compiles modules cannot be started: {error.strerror}"
            ) from None

    def _died(self, status: int) -> PolicyModuleInvalidError:
        if status >= 0:
            return PolicyModuleInvalidError(f"the process that compiles modules has failed ({status})")
        return PolicyModuleInvalidError(
            f"the module cannot be compiled within {self._most_seconds:g} s of processor time and"
            f" {self._most_bytes >> 20} MiB of memory (the compiling process ended with {status}); large functions, and"
            " very many parameters, results or locals, are what takes compilers long"
        )


def _heard(process: subprocess.Popen[bytes], module: bytes) -> tuple[bytes, bytes] | None:
    """The kind and the text of the answer; None where there is none."""
    stdin, stdout = cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)
    try:
        stdin.write(written_part(module))
        stdin.flush()
        kind, digest, text = stdout.read(1), stdout.read(DIGEST_BYTES), read_part(stdout)
    except OSError:
        return None
    if text is None:
        return None
    if digest != hashlib.sha256(module).digest():
        raise PolicyModuleInvalidError("the process that compiles modules has answered another question")
    return kind, text


def _ended(process: subprocess.Popen[bytes]) -> int:
    """How it ended."""
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what it would not read
            cast("BinaryIO", stream).close()
    try:
        return process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
