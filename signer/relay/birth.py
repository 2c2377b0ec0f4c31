"""The first moments of a worker process: whom it lives for, and what it is told before it builds anything."""

import ctypes
import os
import signal
import socket

from signer.errors import StartupError
from signer.relay.frames import VERSION, Welcome
from signer.relay.link import FROM_MAIN, LENGTH, is_our_own

ORPHANED = 3
"""The exit code of a worker whose main process is gone: nobody is there to read it."""

_PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that the kernel sends when the parent dies."""


def bind_to_parent() -> None:
    """Die with the main process, whatever this one is doing then; and leave its signals to it.

    A terminal's Ctrl-C and systemd's SIGTERM reach the whole group: the main process hears them, and tells its workers
    to finish. The lost link is the other half: it ends a worker whose parent died before this line.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def leave_at_once() -> None:
    """End now: no request is answered, no handler runs, nothing that waits for a verdict is signed."""
    os._exit(ORPHANED)


def receive_welcome(end: socket.socket, *, program: str) -> Welcome:
    """The first message, before there is an event loop. Blocks.

    Raises:
        StartupError: it comes from another user or another version of this program, or not at all.
    """
    if not is_our_own(end):
        raise _not_welcome("the other end of the link belongs to another user")
    (length,) = LENGTH.unpack(_receive(end, LENGTH.size))
    message = FROM_MAIN.decode(_receive(end, length))
    if not isinstance(message, Welcome) or message.version != VERSION or message.program != program:
        raise _not_welcome("the main process runs another version of this program")
    return message


def _not_welcome(sentence: str) -> StartupError:
    return StartupError(f"a worker cannot begin: {sentence}", remedy="restart the service")


def _receive(end: socket.socket, count: int) -> bytearray:
    received = bytearray()
    while len(received) < count:
        piece = end.recv(count - len(received))
        if not piece:
            raise _not_welcome("the main process is gone")
        received += piece
    return received
