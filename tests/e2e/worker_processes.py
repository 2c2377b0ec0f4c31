"""The worker processes of a running signer, as the kernel knows them: who they are, and which of them answers whom."""

import contextlib
import ctypes
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from duty_requests import Line, line_to
from running import RunningSigner

WAIT_SECONDS = 120.0

_PIDFD_OPEN = 434
_PIDFD_GETFD = 438
"""System calls that the standard library does not have (the second in no version)."""


def until(condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """What the condition gives once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)
    return found


def lives(pid: int) -> bool:
    """False for a process that is gone, or that nobody has buried yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] not in ("Z", "X")


def workers_of(signer: RunningSigner) -> list[int]:
    """The process ids of the signer's children that live."""
    pid = signer.process.pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in children if lives(int(child))]


def server_of(signer: RunningSigner, line: Line) -> int:
    """The process that answers on this connection; it must have accepted it already."""
    inode = _inode_of_server_end(signer.port, line.port)
    for pid in (signer.process.pid, *workers_of(signer)):
        if inode in _inodes(pid):
            return pid
    raise AssertionError(f"nobody has the connection from port {line.port}")


@contextmanager
def line_to_each(signer: RunningSigner) -> Iterator[dict[int, Line]]:
    """One open connection to each worker."""
    workers = set(workers_of(signer))
    with contextlib.ExitStack() as opened:
        found: dict[int, Line] = {}

        def connect() -> bool:
            line = opened.enter_context(contextlib.closing(Line(signer.port)))
            line.get("/upcheck")
            found.setdefault(server_of(signer, line), line)
            return found.keys() >= workers

        until(connect)
        yield {pid: line for pid, line in found.items() if pid in workers}


@contextmanager
def lines_to_processes(signer: RunningSigner) -> Iterator[list[Line]]:
    """One open connection to each process that serves: the only one, or each worker."""
    if json.loads(signer.config_file.read_text())["server"].get("workers", 1) == 1:
        with line_to(signer.port) as line:
            yield [line]
    else:
        with line_to_each(signer) as lines:
            yield list(lines.values())


def restart_in_one_process(signer: RunningSigner) -> None:
    """Start a signer that has stopped again, without workers, and wait until it is ready."""
    settings = json.loads(signer.config_file.read_text())
    settings["server"]["workers"] = 1
    signer.config_file.write_text(json.dumps(settings))
    signer.restart()


def write_into_link(worker: int, data: bytes) -> None:
    """Send bytes to the main process as if the worker had: through a copy of the worker's end of its link."""
    descriptor = int(Path(f"/proc/{worker}/cmdline").read_bytes().split(b"\0")[4])
    libc = ctypes.CDLL(None, use_errno=True)
    process = libc.syscall(_PIDFD_OPEN, worker, 0)
    assert process >= 0, os.strerror(ctypes.get_errno())
    end = libc.syscall(_PIDFD_GETFD, process, descriptor, 0)
    assert end >= 0, os.strerror(ctypes.get_errno())
    os.write(end, data)
    os.close(end)
    os.close(process)


def kill(pid: int) -> None:
    """SIGKILL."""
    os.kill(pid, signal.SIGKILL)


def _inode_of_server_end(server_port: int, client_port: int) -> str:
    local, remote = f":{server_port:04X}", f":{client_port:04X}"
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = row.split()
        if fields[1].endswith(local) and fields[2].endswith(remote):
            return fields[9]
    raise AssertionError(f"no connection from port {client_port}")


def _inodes(pid: int) -> set[str]:
    found: set[str] = set()
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return found  # it has just ended
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found
