"""One listener's requests, from the parsed head to the finished answer.

The order for every request: Origin, Host, route, method, who asks, and only then the body. aiohttp's Application is
left out: its router, middlewares and response cost 15 us a request, as much as all of ours (measured).
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web

from signer.api.admission import HostList, OriginRules, coding_objection, origin_lines
from signer.api.answer import Answer, DateLine
from signer.api.connection import Connection, Doorkeeper, seal_with
from signer.api.decoding import INLINE_BODY_BYTES, DecodingThread
from signer.api.exchange import Exchange
from signer.api.not_served import why_not_served
from signer.api.problems import UNFORESEEN, Problem, challenge, document_answer, problem_answer
from signer.api.request_ids import RequestIds
from signer.api.routing import Access, Route, RouteTable
from signer.api.services import Services
from signer.api.settings import ApiSettings
from signer.api.tls_door import TlsDoor
from signer.auth.credentials import PeerCertificate
from signer.auth.principal import ANONYMOUS, Caller, Principal
from signer.errors import AuthenticationError, NotReadyError, SignerError, UnavailableError, WrongTokenError
from signer.events import RequestAccessed, RequestAnswered, RequestCrashed

Identify = Callable[[str | None, PeerCertificate | None, Callable[[], bool]], Awaitable[Principal]]
"""From the Authorization header, the client certificate and a test whether the connection is still open to a principal.

Raises AuthenticationError.
"""

_BACK_SOON = b"Retry-After: 1\r\n"


class ApiServer(web.Server):
    """The requests of one listener. Made on its running loop; `web.ServerRunner` serves it."""

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        identify: Identify,
        services: Services,
        settings: ApiSettings,
        owners: frozenset[int] | None = None,
        identify_manager: Identify | None = None,
    ) -> None:
        """`owners`: the listener is a unix socket for these users (uids) alone; `identify_manager` is for the routes
        of the key manager, where they are served.
        """
        super().__init__(self._handle)
        self._serving_loop = asyncio.get_running_loop()
        self._table = RouteTable(routes)
        self._identify = identify
        self._identify_manager = identify_manager or identify
        self._services = services
        self._settings = settings
        self._publish = services.events.publish
        self._hosts = HostList(settings.allowed_hosts)
        self._origins = OriginRules(settings.cors_origins)
        self._challenge = challenge(settings.realm)
        self._date = DateLine()
        self._request_ids = RequestIds()
        self._decoding = DecodingThread(deadline_seconds=settings.request_deadline_seconds)
        self.door = Doorkeeper(
            max_connections=settings.max_connections,
            owners=owners,
            events=services.events,
            clock=services.clock,
        )
        self.in_flight = 0
        """Requests that have no answer yet."""
        self.tls: ssl.SSLContext | None = None
        """Set before listening, where connections begin with a TLS handshake."""
        self.draining = False
        """Set before a shutdown: every answer from now on is the last of its connection, and says so."""

    def __call__(self) -> Any:
        """A protocol for a new connection; the loop calls this."""
        if self.tls is not None:
            return TlsDoor(self.tls, doorkeeper=self.door, behind=self._new_connection)
        return self._new_connection()

    def _new_connection(self) -> Connection:
        return Connection(
            self,
            self.door,
            loop=self._serving_loop,
            keepalive_timeout=self._settings.keep_alive_seconds,
            access_log=None,
            read_bufsize=INLINE_BODY_BYTES,  # what a connection may hold of a body that waits for room
            auto_decompress=False,  # nobody sends compressed duties, and bombs come compressed
        )

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Close every connection; aiohttp calls this once nothing new is accepted."""
        await super().shutdown(timeout)
        self._decoding.close()
        self._services.body_room.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        started = time.perf_counter()
        connection: Any = request.protocol
        exchange = Exchange(
            request,
            self._request_ids.next(),
            address=connection.address,
            services=self._services,
            settings=self._settings,
            decoding=self._decoding,
        )
        connection.begin_request()
        self.in_flight += 1
        try:
            answer = await self._answer(exchange, connection)
        except SignerError as error:
            answer = self._refuse(exchange, exchange.problem_of(error), extra=self._extra(error))
        except Exception as error:
            if request.transport is None:
                raise  # the peer has gone in the middle of its body: nobody reads an answer
            answer = self._crash(exchange, error)  # the last resort: a 500 without details, and everything in the log
        finally:
            self.in_flight -= 1
            exchange.release()
            if request.content.is_eof():
                connection.end_request()
        if isinstance(answer, Answer):
            if self.draining or (answer.status >= 400 and not request.content.is_eof()):
                answer.keep_alive = False  # the server stops, or: do not wait for a body that nobody wants
            status = answer.status
            answer = seal_with(answer, request, exchange.request_id, self._date.at(self._services.clock.now()))
        else:
            status = answer.status
        seconds = time.perf_counter() - started
        self._publish(RequestAnswered(exchange.route, request.method, status, exchange.duty_type, seconds))
        if self._settings.access_log:
            self._log_access(exchange, status, seconds)
        return answer

    async def _answer(self, exchange: Exchange, connection: Connection) -> Answer | web.StreamResponse:
        request = exchange.request
        origin = request.headers.get("Origin")
        if origin is not None:
            return await self._answer_origin(exchange, connection, origin)
        return await self._answer_admitted(exchange, connection)

    async def _answer_origin(
        self, exchange: Exchange, connection: Connection, origin: str
    ) -> Answer | web.StreamResponse:
        objection = self._origins.objection(origin)
        if objection is not None:
            return self._refuse(exchange, objection)
        try:
            answer = self._origins.preflight(exchange.request) or await self._answer_admitted(exchange, connection)
        except SignerError as error:  # a page may read why it was refused
            answer = self._refuse(exchange, exchange.problem_of(error), extra=self._extra(error))
        if isinstance(answer, Answer):
            answer.extra += origin_lines(origin)
        return answer

    async def _answer_admitted(self, exchange: Exchange, connection: Connection) -> Answer | web.StreamResponse:
        request = exchange.request
        objection = self._hosts.objection(request)
        if objection is not None:
            return self._refuse(exchange, objection)
        objection = coding_objection(request)
        if objection is not None:
            refusal = self._refuse(exchange, objection)
            refusal.keep_alive = False  # where this body ends is not known (RFC 9112, 6.1)
            return refusal
        found = self._table.find(_path_of(request))
        if found is None:
            return self._refuse(exchange, _not_found(exchange.request))
        route = found.routes.get(request.method)
        if route is None:
            allow = b"Allow: " + ", ".join(sorted(found.routes)).encode() + b"\r\n"
            return self._refuse(exchange, _WRONG_METHOD, extra=allow)
        exchange.route = route.path
        exchange.signs = route.signs
        exchange.tail = found.tail
        if route.access is not Access.OPEN:
            authorization = request.headers.get("Authorization")
            if route.access is Access.MANAGER:
                principal = await self._find_manager(authorization, connection)
            else:
                principal = await self._identify(authorization, connection.certificate, connection.is_open)
            if route.access is Access.NAMED and principal is ANONYMOUS:
                raise AuthenticationError("this route is for principals with a name")
            exchange.caller = Caller(principal, connection.address, exchange.request_id)
        if request.query_string:
            route.check_query([name for name, _ in request.query.items()])
        return await route.handler(exchange)

    async def _find_manager(self, authorization: str | None, connection: Connection) -> Principal:
        """Who asks for a route of the key manager.

        Raises:
            AuthenticationError: nothing was shown. WrongTokenError: what was shown is nobody's.
        """
        try:
            return await self._identify_manager(authorization, connection.certificate, connection.is_open)
        except AuthenticationError as error:
            if authorization is None:
                raise
            raise WrongTokenError(error.sentence) from error

    def _extra(self, error: SignerError) -> bytes:
        """The header lines that go with an error."""
        match error:
            case AuthenticationError():
                return self._challenge
            case UnavailableError() | NotReadyError():
                return _BACK_SOON
            case _:
                return b""

    def _refuse(self, exchange: Exchange, problem: Problem, *, extra: bytes = b"") -> Answer:
        return document_answer(problem.status, exchange.refuse(problem), extra=extra)

    def _crash(self, exchange: Exchange, error: Exception) -> Answer:
        request_id = exchange.request_id.hex()
        self._publish(RequestCrashed(request_id, exchange.route, error))
        return problem_answer(UNFORESEEN, request_id)

    def _log_access(self, exchange: Exchange, status: int, seconds: float) -> None:
        self._publish(
            RequestAccessed(
                request_id=exchange.request_id.hex(),
                caller_request_id=exchange.caller_request_id(),
                principal=exchange.caller.principal.name,
                address=exchange.address,
                method=exchange.request.method,
                path=exchange.request.raw_path,
                status=status,
                seconds=seconds,
            )
        )


_NOTHING_HERE = "nothing is served at this path; /openapi.json lists what is"
_WRONG_METHOD = Problem(405, "WRONG_METHOD", "this path takes other methods; the Allow header lists them", {})


def _not_found(request: web.BaseRequest) -> Problem:
    return Problem(404, "NO_SUCH_ROUTE", why_not_served(_path_of(request)) or _NOTHING_HERE, {})


def _path_of(request: web.BaseRequest) -> str:
    """The path, decoded where it needs decoding; `GET http://host/path` and percent signs are rare."""
    raw = request.raw_path
    path = raw.partition("?")[0] if "?" in raw else raw
    return path if path.startswith("/") and "%" not in path else request.path
