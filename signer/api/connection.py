"""One connection: who is at its other end, may they connect, and what to do with bytes that are not HTTP."""

import os
import socket
import ssl
import struct
from typing import Any, cast

from aiohttp import web
from cryptography import x509

from signer.api.answer import Answer, DateLine
from signer.api.known_clients import describe_certificate
from signer.api.problems import UNFORESEEN, Problem, problem_answer
from signer.auth.credentials import PeerCertificate
from signer.clock import Clock
from signer.events import ConnectionRefused, Events

_NOT_HTTP = Problem(400, "NOT_HTTP", "this is not a valid HTTP/1.1 request (which has exactly one Host header)", {})

_PEER_CREDENTIALS = struct.Struct("3i")
"""pid, uid, gid: `struct ucred` (Linux, unix(7))."""


class Doorkeeper:
    """Counts connections and looks at peers before a byte is read. One instance for each listener."""

    def __init__(self, *, max_connections: int, owners: frozenset[int] | None, events: Events, clock: Clock) -> None:
        """`owners`: the only users admitted to a unix socket; None where the listener is none."""
        self._max_connections = max_connections
        self._owners = owners
        self._events = events
        self.now = clock.now
        self.open_connections = 0

    def objection(self, transport: Any) -> str | None:
        """Why this connection is closed at once, or None."""
        if self.open_connections > self._max_connections:
            return f"more than {self._max_connections} connections"
        if self._owners is not None:
            uid = peer_uid(transport)
            if uid not in self._owners:
                return f"uid {uid} is not the owner of this socket"
        return None

    def refused(self, address: str, reason: str) -> None:
        """Tell of a connection that was closed, or of bytes that were not HTTP."""
        self._events.publish(ConnectionRefused(address, reason))


class Connection(web.RequestHandler):
    """aiohttp's protocol, with an identity, and without tracebacks for garbage. Lives as long as its socket."""

    __slots__ = ("_door", "address", "certificate")

    def __init__(self, server: web.Server, door: Doorkeeper, **options: Any) -> None:
        super().__init__(server, **options)
        self._door = door
        self.address = ""
        """The peer's IP address, or `unix`."""
        self.certificate: PeerCertificate | None = None

    def connection_made(self, transport: Any) -> None:
        """Let the peer in, or close the connection before anything is read."""
        super().connection_made(transport)
        self._door.open_connections += 1
        self.address = peer_address(transport)
        reason = self._door.objection(transport)
        if reason is not None:
            self._door.refused(self.address, reason)
            transport.abort()
            return
        self.certificate = peer_certificate(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count the connection out."""
        self._door.open_connections -= 1
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature; its text repeats what the peer sent
    ) -> web.StreamResponse:
        """Answer what could not be parsed; aiohttp would log a traceback for each and repeat the bytes to the peer."""
        reason = type(exc).__name__ if exc is not None else "error"
        self._door.refused(self.address, f"{status} {reason}")
        request_id = os.urandom(8)
        problem = UNFORESEEN if status >= 500 else _NOT_HTTP
        answer = problem_answer(problem, request_id.hex())
        answer.keep_alive = False
        return seal_with(answer, request, request_id, DateLine().at(self._door.now()))


def seal_with(answer: Answer, request: web.BaseRequest, request_id: bytes, date: bytes) -> web.StreamResponse:
    """The answer with its bytes fixed, as aiohttp takes it: it asks of it what `Answer` has, and no more."""
    answer.seal(request, request_id=request_id.hex().encode("ascii"), date=date)
    return cast("web.StreamResponse", answer)


def peer_address(transport: Any) -> str:
    """The peer's IP address; `unix` on a unix socket."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) and name else "unix"


def peer_uid(transport: Any) -> int:
    """The uid of the process at the other end of a unix socket, as the kernel knows it."""
    connected = transport.get_extra_info("socket")
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    return int(_PEER_CREDENTIALS.unpack(raw)[1])


def peer_certificate(transport: Any) -> PeerCertificate | None:
    """The client certificate that the handshake accepted, or None."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    if not der:
        return None
    return describe_certificate(x509.load_der_x509_certificate(der))
