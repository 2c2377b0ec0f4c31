"""How a command reaches a server: over the admin socket, or over the network with TLS and a credential.

Rule 1: a credential never leaves this machine in clear text: with plain HTTP it goes to loopback only.
Rule 2: an answer that breaks off is an error, never a short result.
"""

import http.client
import ipaddress
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from signer.crypto.secret import Secret
from signer.errors import AnsweredError, UnreachableError

TIMEOUT_SECONDS = 300.0
"""How long a server may be silent: an import or an audit check of a long history takes minutes."""

PIECE_BYTES = 1 << 16
"""How much of a stream is read at once."""

_REMEDY_WITHOUT_ADMIN_ROUTES = (
    "set server.admin_over_network: true at the signer, and name a principal with a token; or run the command on the "
    "signer's machine, without --endpoint"
)
"""The network listener serves the commands' routes only where the configuration says so."""

_PROBLEM_MEMBERS = frozenset({"type", "title", "status", "detail", "code", "instance"})
"""Members of RFC 9457, and our code: what is left is evidence."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server somewhere, and what we show it."""

    url: str
    token: Secret | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    ca: Path | None = None


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            channel.settimeout(self.timeout)
            channel.connect(str(self._path))
        except BaseException:
            channel.close()
            raise
        self.sock = channel


class Connection:
    """Asks one server. A connection is opened for each question, so nothing is held between them."""

    def __init__(
        self,
        connect: Callable[[], http.client.HTTPConnection],
        *,
        where: str,
        prefix: str = "",
        headers: Mapping[str, str] | None = None,
        remedy_where_missing: str = "",
    ) -> None:
        """`remedy_where_missing` is told where a route is not there (404)."""
        self.where = where
        self._remedy_where_missing = remedy_where_missing
        self._connect = connect
        self._prefix = prefix
        self._headers = dict(headers or {})

    def get(self, path: str) -> Any:
        """The JSON document at a path.

        Raises:
            UnreachableError: nobody answers, or the answer is not whole.
            AnsweredError: the server answers with a problem.
        """
        with self._exchange("GET", path, None) as response:
            return _json_of(response)

    def post(self, path: str, body: IO[bytes] | bytes = b"", *, content_type: str = "application/json") -> Any:
        """The JSON document that answers a body. Raises as `get`."""
        with self._exchange("POST", path, body, content_type) as response:
            return _json_of(response)

    def stream(self, path: str, body: bytes | None = None) -> Iterator[bytes]:
        """The bytes at a path, or those that answer a body, in pieces. Raises as `get`, also in the middle."""
        asked = ("GET", path, None, None) if body is None else ("POST", path, body, "application/json")
        with self._exchange(*asked) as response:
            while piece := response.read(PIECE_BYTES):
                yield piece

    @contextmanager
    def _exchange(
        self, method: str, path: str, body: IO[bytes] | bytes | None, content_type: str | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        headers = {"Accept": "application/json", **self._headers}
        if content_type:
            headers["Content-Type"] = content_type
        try:
            connection = self._connect()
            try:
                # A server that refuses a body answers before it has read it all, and hangs up.
                with suppress(BrokenPipeError):
                    connection.request(method, self._prefix + path, body=body, headers=headers)
                response = connection.getresponse()
                if response.status >= http.client.BAD_REQUEST:
                    raise _answered(response, self._remedy_where_missing)
                yield response
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(self.where, error) from error


def socket_connection(path: Path) -> Connection:
    """The running server of this data directory."""
    return Connection(lambda: _UnixConnection(path), where=str(path))


def is_answered(path: Path) -> bool:
    """True when somebody listens on a unix socket: the file alone survives a crash."""
    try:
        _probe(path)
    except OSError:
        return False
    return True


def endpoint_connection(endpoint: Endpoint) -> Connection:
    """A server on the network.

    Raises:
        ValueError: the URL is none of ours, or would carry a token in clear text; the message says so.
        OSError: a certificate, key or CA file cannot be read or used.
    """
    if "@" in endpoint.url:
        raise ValueError("an endpoint holds no user and no password; write https://HOST:PORT")
    parts = urlsplit(endpoint.url)
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise ValueError(f"{endpoint.url} is no endpoint; write https://HOST:PORT")
    headers = {"Authorization": f"Bearer {endpoint.token.reveal().decode()}"} if endpoint.token else {}
    connect: Callable[[], http.client.HTTPConnection]
    if parts.scheme == "https":
        context = _tls_context(endpoint)
        port = parts.port or http.client.HTTPS_PORT

        def connect() -> http.client.HTTPConnection:
            return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=context)
    else:
        if endpoint.token and not _is_loopback(host):
            raise ValueError(f"{endpoint.url} would carry the token in clear text; use https://")
        plain_port = parts.port or http.client.HTTP_PORT

        def connect() -> http.client.HTTPConnection:
            return http.client.HTTPConnection(host, plain_port, timeout=TIMEOUT_SECONDS)

    return Connection(
        connect,
        where=endpoint.url,
        prefix=parts.path.rstrip("/"),
        headers=headers,
        remedy_where_missing=_REMEDY_WITHOUT_ADMIN_ROUTES,
    )


def _probe(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(5)
        channel.connect(str(path))


def _tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=endpoint.ca)
    if endpoint.client_certificate:
        context.load_cert_chain(endpoint.client_certificate, endpoint.client_key)
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _json_of(response: http.client.HTTPResponse) -> Any:
    body = response.read()
    try:
        return json.loads(body)
    except ValueError as error:
        raise http.client.HTTPException(f"the answer is not JSON: {body[:80]!r}") from error


def _answered(response: http.client.HTTPResponse, remedy_where_missing: str) -> AnsweredError:
    remedy = remedy_where_missing if response.status == http.client.NOT_FOUND else ""
    evidence = {"remedy": remedy} if remedy else {}
    body = response.read(PIECE_BYTES)
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "code" not in problem:
        # Web3Signer's own routes answer in its own words.
        told = problem.get("message") if isinstance(problem, dict) else body.decode("utf-8", "replace").strip()
        text = str(told or response.reason)
        return AnsweredError(text, status=response.status, reported_code=f"HTTP_{response.status}", evidence=evidence)
    return AnsweredError(
        str(problem.get("detail") or problem.get("title")),
        status=response.status,
        reported_code=str(problem["code"]),
        evidence={name: value for name, value in problem.items() if name not in _PROBLEM_MEMBERS} | evidence,
    )


def _unreachable(where: str, error: Exception) -> UnreachableError:
    if isinstance(error, http.client.IncompleteRead):
        return UnreachableError(
            f"the answer of {where} broke off before its end: what was received is not whole",
            remedy="look at the server's log, and ask again",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return UnreachableError(
            f"the certificate of {where} is not trusted: {error.verify_message}",
            remedy="name the authority that signed it with --ca",
        )
    if isinstance(error, ssl.SSLError):
        return UnreachableError(
            f"no TLS connection to {where}: {error.reason or error}",
            remedy="the server may demand a client certificate: --client-certificate and --client-key",
        )
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return UnreachableError(
        f"{where} cannot be asked: {reason}",
        remedy="check that the server runs and that the address is right",
    )
