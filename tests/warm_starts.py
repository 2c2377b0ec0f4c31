"""Lines of the command as processes of their own that start warm.

A start of Python with the whole program costs a second of processor, and the tests start it a thousand times. So one
process loads the program (warm_program.py) and each start is a copy of it: its own process id, memory, descriptors,
directory, signals and exit code, which is all that a test of a running signer looks at. What is about the start itself
(tests/cli/test_program.py, tests/docker) runs the command as anybody does, and so does what has an environment of its
own: a library that is loaded first, another path.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PROGRAM = Path(__file__).with_name("warm_program.py")
REPOSITORY = PROGRAM.parent.parent


class WarmProcess:
    """What `subprocess.Popen` would be: as much of it as tests use."""

    def __init__(self, words: list[str], pid: int, told: int) -> None:
        self.args = words
        self.pid = pid
        self.returncode: int | None = None
        self._told = os.fdopen(told, "rb", buffering=0)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Nothing happens to one that has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def _ended(self, seconds: float | None) -> int | None:
        if self.returncode is None:
            ready = select.poll()
            ready.register(self._told, select.POLLIN)
            if ready.poll(None if seconds is None else seconds * 1000):
                with self._told:
                    self.returncode = int(self._told.readline())
        return self.returncode

    def __del__(self) -> None:
        self._told.close()  # nobody waits for it


class WarmProgram:
    """The process that has loaded the program. Whoever makes one closes it."""

    def __init__(self, *, preloaded: Path | None = None) -> None:
        """`preloaded`: a library of C that it, and so each copy, was loaded after."""
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line = [sys.executable, "-P", PROGRAM, str(theirs.fileno())]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        if preloaded is not None:
            environment["LD_PRELOAD"] = str(preloaded)
        with theirs:
            self._process = subprocess.Popen(
                line, cwd=REPOSITORY, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )

    def start(
        self,
        words: Iterable[str | Path],
        *,
        output: int,
        errors: int,
        environment: Mapping[str, str] = os.environ,
    ) -> WarmProcess:
        """Start `holdfast` with these words, in the repository's directory and with nothing to read.

        Of `environment` the loader and Python itself see nothing any more; what the copy starts does.
        """
        line = list(map(str, words))
        told, tells = os.pipe()
        with open(os.devnull, "rb") as nothing:
            message = {"words": line, "directory": str(REPOSITORY), "environment": dict(environment)}
            socket.send_fds(self._channel, [json.dumps(message).encode()], [nothing.fileno(), output, errors, tells])
        os.close(tells)
        return WarmProcess(line, _first_number(told), told)

    def run(self, words: Iterable[str | Path], *, seconds: float) -> subprocess.CompletedProcess[str]:
        """What `subprocess.run` gives. Raises subprocess.TimeoutExpired when it does not end, and then ends it."""
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = self.start(words, output=output.fileno(), errors=errors.fileno())
            try:
                code = process.wait(seconds)
            finally:
                process.kill()
                process.wait()
            said = []
            for file in (output, errors):
                file.seek(0)
                said.append(file.read().decode())
        return subprocess.CompletedProcess(process.args, code, *said)

    def close(self) -> None:
        """Copies that still run go on."""
        self._channel.close()
        self._process.wait()


def _first_number(told: int) -> int:
    digits = b""
    while not digits.endswith(b"\n"):
        digit = os.read(told, 1)
        if not digit:
            raise RuntimeError("the loaded program has ended")
        digits += digit
    return int(digits)


class WarmStarts:
    """Allowed in tests; benches and whoever else uses `running.py` start the program as anybody does."""

    def __init__(self) -> None:
        self._allowed = False
        self._loading = threading.Lock()
        self._program: WarmProgram | None = None

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """From the first start on the program stays loaded, and no longer than this."""
        self._allowed = True
        try:
            yield
        finally:
            self._allowed = False
            if self._program is not None:
                self._program.close()
                self._program = None

    def program(self, environment: Mapping[str, str]) -> WarmProgram | None:
        """The loaded program; None where this start must be a cold one."""
        if not self._allowed or _lasting(environment) != _lasting(os.environ):
            return None
        with self._loading:
            if self._program is None:
                self._program = WarmProgram()
            return self._program


WARM_STARTS = WarmStarts()


def _lasting(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != "PYTEST_CURRENT_TEST"}
