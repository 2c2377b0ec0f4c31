"""Bodies that are announced large and never end cost a running signer little memory, and only for a while.

The numbers are far apart on purpose: 80 bodies of 16 MB without a common bound took 1,200 MB, and 880 MB stayed; with
it some 90 MB are taken, and some 10 MB stay.
"""

import contextlib
import selectors
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from duty_requests import NO_GUARD, block_body, line_to, sign_request
from running import RunningSigner, interop_secret, running_signer

BODIES = 80
BODY_BYTES = 16_000_000
PIECE = b'{"type":"BLOCK_V2","x":"' + b"a" * 65_000
MOST_TAKEN_MB = 300
MOST_KEPT_MB = 100
SENDING_SECONDS = 4.0
GIVING_BACK_SECONDS = 20.0


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    with running_signer(tmp_path_factory.mktemp("bodies"), secrets=[interop_secret(0)], sections=NO_GUARD) as running:
        yield running


def resident_mb(signer: RunningSigner) -> int:
    status = Path(f"/proc/{signer.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) // 1024


class Stalled:
    """One connection that sends all of a large body but its end."""

    def __init__(self, port: int, path: str, framing: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode())
        self.socket.setblocking(False)
        self.chunked = "chunked" in framing
        self.sent = 0
        self._rest = b""

    def send(self) -> bool:
        """False once there is nothing more to send, or nobody who reads it."""
        if self.sent > BODY_BYTES - 2 * len(PIECE):
            return False
        piece = self._rest or (b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if self.chunked else PIECE)
        try:
            taken = self.socket.send(piece)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._rest = piece[taken:]
        self.sent += taken
        return True


def send_all(stalled: list[Stalled], signer: RunningSigner) -> int:
    """The most memory that was resident meanwhile."""
    most, until = 0, time.monotonic() + SENDING_SECONDS
    with selectors.DefaultSelector() as selector:
        for one in stalled:
            selector.register(one.socket, selectors.EVENT_WRITE, one)
        while selector.get_map() and time.monotonic() < until:
            for key, _ in selector.select(timeout=0.1):
                if not key.data.send():
                    selector.unregister(key.fileobj)
            most = max(most, resident_mb(signer))
    return most


@pytest.mark.parametrize("framing", [f"Content-Length: {BODY_BYTES}", "Transfer-Encoding: chunked"])
def test_bodies_that_never_end_have_a_common_bound_and_their_memory_is_given_back(signer, framing):
    path = f"/api/v1/eth2/sign/{signer.public_keys()[0]}"
    at_first = resident_mb(signer)
    with contextlib.ExitStack() as sockets:
        stalled = [Stalled(signer.port, path, framing) for _ in range(BODIES)]
        for one in stalled:
            sockets.callback(one.socket.close)
        most = send_all(stalled, signer)
        assert sum(one.sent for one in stalled) > 100_000_000  # more than there is room for: the bound was tried
        assert most - at_first < MOST_TAKEN_MB
        with line_to(signer.port) as line:
            body = block_body(1 + ("chunked" in framing))
            assert line.ask(sign_request(signer.public_keys()[0], body)).status == 200
    until = time.monotonic() + GIVING_BACK_SECONDS
    while (kept := resident_mb(signer) - at_first) > MOST_KEPT_MB and time.monotonic() < until:
        time.sleep(0.2)  # between two looks at the process
    assert kept < MOST_KEPT_MB
    print(f"taken {most - at_first} MB, kept {kept} MB, sent {sum(one.sent for one in stalled) // 10**6} MB")
