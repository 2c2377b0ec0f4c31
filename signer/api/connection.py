"""One connection: who is at its other end, may they connect, and what to do with bytes that are not HTTP."""

import asyncio
import os
import re
import socket
import ssl
import struct
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, BadHttpMethod, LineTooLong
from cryptography import x509

from signer.api.answer import Answer, DateLine
from signer.api.known_clients import describe_certificate
from signer.api.problems import UNFORESEEN, Problem, problem_answer
from signer.auth.credentials import PeerCertificate
from signer.clock import Clock
from signer.events import ConnectionRefused, Events

_NOT_HTTP = Problem(400, "NOT_HTTP", "this is not a valid HTTP/1.1 request (which has exactly one Host header)", {})
_TARGET_TOO_LONG = Problem(414, "TARGET_TOO_LONG", "the request's path and query are longer than any of ours", {})
_HEAD_TOO_LARGE = Problem(431, "HEAD_TOO_LARGE", "a header line is too long, or there are too many", {})
_UNKNOWN_METHOD = Problem(501, "UNKNOWN_METHOD", "this is no method of HTTP's", {})

_STRANGE_METHOD = re.compile(r"b'[A-Za-z-]+ [!-~]+ HTTP/1\.[01]'")
"""A request line that is well-formed but for its method, as the parser's error shows it."""

FIRST_BYTES_SECONDS = 30.0
"""For a whole TLS handshake, from the connection's start; for a whole request head, from the connection's start (or the
handshake's end) for its first one, from the first byte for a later one. Every client sends its head in one segment; a
dead or hostile peer must not keep a place for the whole keep-alive time."""

_PEER_CREDENTIALS = struct.Struct("3i")
"""pid, uid, gid: `struct ucred` (Linux, unix(7))."""


class Guest(Protocol):
    """One open connection, in its TLS handshake or behind it."""

    @property
    def address(self) -> str:
        """The peer's IP address, or `unix`."""
        ...

    @property
    def owes(self) -> str:
        """What the doorkeeper waits for, in words."""
        ...

    @property
    def was_used(self) -> bool:
        """True once a whole request head has come."""
        ...

    def turn_out(self) -> None:
        """Close at once."""
        ...


class Doorkeeper:
    """Counts connections and looks at peers before a byte is read. One instance for each listener.

    A connection has a place from its first moment, its TLS handshake included: handshakes that never end must not
    take more places than there are.
    """

    def __init__(self, *, max_connections: int, owners: frozenset[int] | None, events: Events, clock: Clock) -> None:
        """`owners`: the only users admitted to a unix socket; None where the listener is none."""
        self._max_connections = max_connections
        self._owners = owners
        self._events = events
        self.now = clock.now
        self._guests: set[Guest] = set()
        self._debtors: dict[Guest, float] = {}
        """Who owes a handshake or a request head, with the loop's time by which it is due; the oldest first."""

        self._timer: asyncio.TimerHandle | None = None

    @property
    def open_connections(self) -> int:
        """Places taken."""
        return len(self._guests)

    def admit(self, guest: Guest, transport: Any) -> bool:
        """Count a new connection in; False where the caller must close it at once, which is told already."""
        self._guests.add(guest)
        reason = self._objection(transport)
        if reason is not None:
            self.refused(guest.address, reason)
            return False
        self.expect(guest)
        return True

    def leave(self, guest: Guest) -> None:
        """Its place is free from now on."""
        self.received(guest)
        self._guests.discard(guest)

    def expect(self, guest: Guest) -> None:
        """What this guest owes must come whole within FIRST_BYTES_SECONDS."""
        loop = asyncio.get_running_loop()
        self._debtors[guest] = loop.time() + FIRST_BYTES_SECONDS
        if self._timer is None:
            self._timer = loop.call_later(FIRST_BYTES_SECONDS, self._close_late)

    def received(self, guest: Guest) -> None:
        """It did, or the connection is closed."""
        self._debtors.pop(guest, None)

    def _objection(self, transport: Any) -> str | None:
        if self.open_connections > self._max_connections and not self._make_room():
            return f"more than {self._max_connections} connections"
        if self._owners is not None:
            uid = peer_uid(transport)
            if uid not in self._owners:
                return f"uid {uid} is not the owner of this socket"
        return None

    def _make_room(self) -> bool:
        """Close the connection that has waited longest without ever sending a whole head; False if there is none."""
        oldest = next((one for one in self._debtors if not one.was_used), None)
        if oldest is None:
            return False
        self._turn_out(oldest, f"made room for a new connection: no {oldest.owes} had come")
        return True

    def _close_late(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._debtors:
            guest, due = next(iter(self._debtors.items()))
            if due > loop.time():
                self._timer = loop.call_at(due, self._close_late)
                return
            self._turn_out(guest, f"no {guest.owes} within {FIRST_BYTES_SECONDS:.0f} s")

    def _turn_out(self, guest: Guest, reason: str) -> None:
        self.leave(guest)
        self.refused(guest.address, reason)
        guest.turn_out()

    def refused(self, address: str, reason: str) -> None:
        """Tell of a connection that was closed, or of bytes that were not HTTP."""
        self._events.publish(ConnectionRefused(address, reason))


class Connection(web.RequestHandler):
    """aiohttp's protocol, with an identity, and without tracebacks for garbage. Lives as long as its socket."""

    __slots__ = ("_awaits_head", "_door", "address", "certificate", "was_used")

    owes = "whole request head"

    def __init__(self, server: web.Server, door: Doorkeeper, **options: Any) -> None:
        super().__init__(server, **options)
        self._door = door
        self.address = ""
        """The peer's IP address, or `unix`."""
        self.certificate: PeerCertificate | None = None
        self.was_used = False
        """True once a whole request head has come."""

        self._awaits_head = False
        """True between requests, until the first byte of the next."""

    def connection_made(self, transport: Any) -> None:
        """Let the peer in, or close the connection before anything is read."""
        super().connection_made(transport)
        self.address = peer_address(transport)
        if self._door.admit(self, transport):
            self.certificate = peer_certificate(transport)
        else:
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count the connection out."""
        self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The first byte after an answer starts the time in which the next head must be whole."""
        if self._awaits_head and data:  # aiohttp calls itself without data
            self._awaits_head = False
            self._door.expect(self)
        super().data_received(data)

    def begin_request(self) -> None:
        """A whole head has come."""
        self.was_used = True
        self._awaits_head = False
        self._door.received(self)

    def end_request(self) -> None:
        """The answer is made and the body was read: what comes now is the next head."""
        self._awaits_head = True

    def is_open(self) -> bool:
        """True while the peer can be answered."""
        return self.transport is not None

    def turn_out(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()

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
        problem = UNFORESEEN if status >= 500 else _unparsed(exc)
        answer = problem_answer(problem, request_id.hex())
        answer.keep_alive = False
        return seal_with(answer, request, request_id, DateLine().at(self._door.now()))


def _unparsed(error: BaseException | None) -> Problem:
    """What is wrong with bytes that the parser refused, as far as its error lets us tell."""
    if isinstance(error, LineTooLong):
        # The parser gathers the target alone in a bytearray; names and values of headers are bytes.
        return _TARGET_TOO_LONG if isinstance(error.args[0], bytearray) else _HEAD_TOO_LARGE
    if isinstance(error, BadHttpMethod):
        return _UNKNOWN_METHOD if _STRANGE_METHOD.search(error.message) else _NOT_HTTP
    if isinstance(error, BadHttpMessage) and error.message == "Too many headers received":
        return _HEAD_TOO_LARGE
    return _NOT_HTTP


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
