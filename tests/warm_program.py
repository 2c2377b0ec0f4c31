"""The program, loaded and waiting: it forks a copy of itself for each line of the command (see warm_starts.py).

A message on the channel is one start: words, directory and environment as JSON, and four descriptors: standard input,
output and error, and a pipe that hears of it, a line each: the process id, and later its wait status.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import socket
import sys
from dataclasses import dataclass
from typing import Any

MESSAGE_BYTES = 1 << 20

LATER = (
    "pydantic._internal._validators",
    "pydantic.plugin._loader",
    "pydantic.type_adapter",
    "typer._adapters",
    "typer._click.decorators",
    "zoneinfo",
)
"""What the program's libraries import when they are first used, and every line uses."""


@dataclass(frozen=True, slots=True)
class Child:
    """A copy that runs."""

    pid: int
    watched: int
    """A descriptor of the process, readable at its end."""

    heard_by: int


class Births:
    """Forks when it is told to, and tells of each end. One thread: what is forked has no locks that others hold."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel, selectors.EVENT_READ)
        self._children: list[Child] = []

    def next(self) -> tuple[dict[str, Any], list[int]] | None:
        """In each copy what it is to do, with its three standard descriptors; None once nobody asks any more."""
        while True:
            for key, _ in self._selector.select():
                if isinstance(key.data, Child):
                    self._bury(key.data)
                    continue
                message, descriptors, _, _ = socket.recv_fds(self._channel, MESSAGE_BYTES, 4)
                if not message:
                    return None
                if self._fork(descriptors) == 0:
                    return json.loads(message), descriptors[:3]

    def _fork(self, descriptors: list[int]) -> int:
        pid = os.fork()
        heard_by = descriptors[3]
        if pid == 0:
            self._forget(heard_by)
            return 0
        for descriptor in descriptors[:3]:
            os.close(descriptor)
        child = Child(pid, os.pidfd_open(pid), heard_by)
        os.write(heard_by, b"%d\n" % pid)
        self._children.append(child)
        self._selector.register(child.watched, selectors.EVENT_READ, child)
        return pid

    def _forget(self, heard_by: int) -> None:
        """A copy has nothing that it would not have as a program of its own."""
        os.close(heard_by)
        for child in self._children:
            os.close(child.watched)
            os.close(child.heard_by)
        self._selector.close()
        self._channel.close()

    def _bury(self, child: Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        self._selector.unregister(child.watched)
        self._children.remove(child)
        os.close(child.watched)
        with contextlib.suppress(BrokenPipeError):  # nobody waits for it
            os.write(child.heard_by, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(child.heard_by)


def load() -> None:
    """Import every module of the program."""
    import signer

    modules = [module.name for module in pkgutil.walk_packages(signer.__path__, "signer.")]
    for module in (*modules, *LATER):
        importlib.import_module(module)


def become(start: dict[str, Any], descriptors: list[int]) -> None:
    """Be `python -m signer` with these words."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(start["directory"])
    os.environ.clear()
    os.environ.update(start["environment"])
    program = sys.modules["signer.__main__"]
    sys.argv[:] = [str(program.__file__), *start["words"]]
    program.main()


def main() -> None:
    """Load, and wait on the channel with this number."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    load()
    gc.freeze()  # what all copies share is not written to
    born = Births(channel).next()
    if born is not None:
        become(*born)


if __name__ == "__main__":
    main()
