"""A TLS connection until its handshake is over: who fails here is told of, with address and reason.

The event loops keep a failed handshake to themselves: they log nothing and call no protocol. So a listener accepts
plain connections and asks the loop to start TLS on each; the loop's own fast TLS carries it from there. A handshake
has a place among the listener's connections from its first moment, and the doorkeeper sees that it ends in time.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from signer.api.connection import FIRST_BYTES_SECONDS, Doorkeeper, peer_address

_REASONS = {
    "HTTP_REQUEST": "plain HTTP on the TLS port",
    "NO_SHARED_CIPHER": "no TLS cipher in common",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no client certificate",
    "UNSUPPORTED_PROTOCOL": "too old a TLS version",
    "VERSION_TOO_LOW": "too old a TLS version",
    "WRONG_VERSION_NUMBER": "not TLS",
    "CERTIFICATE_VERIFY_FAILED": "the client certificate is not admitted",
}
"""OpenSSL's words for the faults of a client that an operator meets, in ours."""


class TlsDoor(asyncio.Protocol):
    """Owned by its socket until the handshake is over; then the connection behind it takes the place."""

    owes = "finished TLS handshake"
    was_used = False

    def __init__(
        self, context: ssl.SSLContext, *, doorkeeper: Doorkeeper, behind: Callable[[], asyncio.Protocol]
    ) -> None:
        """`behind` makes the connection behind the door."""
        self._context = context
        self._doorkeeper = doorkeeper
        self._behind = behind
        self._transport: Any = None
        self.address = ""
        """The peer's IP address."""
        self._early: list[bytes] = []
        self._eof = False
        self._lost = False

    def connection_made(self, transport: Any) -> None:
        """Begin the handshake, if there is a place."""
        self._transport = transport
        self.address = peer_address(transport)
        if not self._doorkeeper.admit(self, transport):
            transport.abort()
            return
        handshake: Coroutine[Any, None, Any] = asyncio.get_running_loop().start_tls(
            transport,
            self,
            self._context,
            server_side=True,
            ssl_handshake_timeout=2 * FIRST_BYTES_SECONDS,  # the doorkeeper comes first, and tells of it
        )
        # The coroutine's first step puts TLS in the place of this protocol. It must be done when this call returns:
        # uvloop reads from then on, whatever a protocol says to its transport here, and a task would begin too late.
        waiter: asyncio.Future[Any] = handshake.send(None)
        waiter.add_done_callback(lambda _: self._end(transport, handshake))

    def data_received(self, data: bytes) -> None:
        """A request that came with the end of the handshake: the connection is not there yet."""
        self._early.append(data)

    def eof_received(self) -> bool:
        """The peer sends nothing more; the connection decides what that means."""
        self._eof = True
        return False

    def connection_lost(self, _error: BaseException | None) -> None:
        """Before the connection was there to hear of it."""
        self._lost = True
        self._doorkeeper.leave(self)

    def turn_out(self) -> None:
        """Close at once, in the middle of the handshake."""
        self._lost = True
        self._transport.abort()

    def _end(self, transport: Any, handshake: Coroutine[Any, None, Any]) -> None:
        """The coroutine's second and last step: it returns the secured transport, or raises."""
        self._doorkeeper.leave(self)
        try:
            handshake.send(None)
        except StopIteration as done:
            if done.value is not None and not self._lost:
                self._hand_over(done.value)
        except OSError as error:
            transport.close()
            reason = handshake_fault(error)
            if reason is not None and not self._lost:
                self._doorkeeper.refused(self.address, reason)

    def _hand_over(self, secured: Any) -> None:
        connection = self._behind()
        secured.set_protocol(connection)
        connection.connection_made(secured)
        if self._early:
            connection.data_received(b"".join(self._early))
        if self._eof and not connection.eof_received():
            secured.close()


def handshake_fault(error: OSError) -> str | None:
    """Why a handshake failed, in words; None where the peer just left, as probes of ports do."""
    match error:
        case ssl.SSLCertVerificationError():
            detail = getattr(error, "verify_message", "") or "unknown"
            return f"the client certificate is not admitted: {detail}"
        case ssl.SSLEOFError():
            return None
        case ssl.SSLError():
            name = _openssl_reason(error)
            if "ALERT" in name:
                return f"the client gave up: {_in_words(name)}"
            return _REASONS.get(name) or f"TLS failed: {_in_words(name)}"
        case _:
            return None


def _openssl_reason(error: ssl.SSLError) -> str:
    """OpenSSL's name of a fault, from the standard library's error or from pyOpenSSL's behind it."""
    name: str | None = getattr(error, "reason", None)
    if name:
        return name
    queue = error.__cause__.args[0] if error.__cause__ is not None and error.__cause__.args else ()
    last = queue[-1][-1] if isinstance(queue, list) and queue else ""
    return str(last).upper().replace(" ", "_")


def _in_words(name: str) -> str:
    return name.lower().replace("_", " ") or "no reason given"
