"""Who may talk to a listener at all: the Host allow-list and CORS, as Web3Signer has them.

The allow-list is what stops a web page in an operator's browser from reaching a signer on loopback by a name of its own
(DNS rebinding). Both answer 403 before anything else is looked at.
"""

import re
from collections.abc import Iterable

from aiohttp import web

from signer.api.answer import Answer
from signer.api.problems import Problem
from signer.api.settings import ANY_HOST

_REMEMBERED_HOSTS = 64

_HOST_REFUSED = Problem(
    403, "HOST_NOT_ALLOWED", "add this name to server.allowed_hosts", {"message": "Host not authorized."}
)
_CODING_UNKNOWN = Problem(501, "UNKNOWN_TRANSFER_CODING", "of the transfer codings, chunked alone is understood", {})
_ORIGIN_REFUSED = Problem(403, "ORIGIN_NOT_ALLOWED", "no pattern of server.cors_origins matches this Origin", {})

_PREFLIGHT_LINES = b"Access-Control-Allow-Methods: GET,POST,DELETE,OPTIONS\r\nAccess-Control-Allow-Headers: *\r\n"


class HostList:
    """The names a Host header may have. One instance for each listener."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(name.lower() for name in allowed)
        self._any = ANY_HOST in self._allowed
        self._seen: set[str] = set()

    def objection(self, request: web.BaseRequest) -> Problem | None:
        """Why this request's Host is not welcome, or None. An HTTP/1.1 request without one does not get here."""
        values = request.headers.getall("Host", ())
        direct = request.raw_path.startswith("/")
        if direct and len(values) == 1 and values[0] in self._seen:
            return None
        if self._any:
            return None
        if not direct and not self._may_be_target(request.raw_path):
            return _HOST_REFUSED
        if len(values) != 1 or _name_of(values[0]) not in self._allowed:
            return _HOST_REFUSED
        if len(self._seen) < _REMEMBERED_HOSTS:
            self._seen.add(values[0])
        return None

    def _may_be_target(self, target: str) -> bool:
        """A target `http://host/path` names the host itself (RFC 9112, 3.2.2); then Host is looked at too."""
        _, separator, rest = target.partition("://")
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        # A name before an @ is no host, and whoever writes one means to be misread (RFC 9110, 4.2.4).
        return not separator or ("@" not in authority and _name_of(authority) in self._allowed)


def coding_objection(request: web.BaseRequest) -> Problem | None:
    """Why this body's transfer coding is not understood, or None. The parser takes `gzip, chunked` for `chunked`."""
    coding = request.headers.get("Transfer-Encoding")
    return None if coding is None or coding.strip().lower() == "chunked" else _CODING_UNKNOWN


def _name_of(host: str) -> str:
    """The name without port and brackets, lower-case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


class OriginRules:
    """Which web pages may call. One instance for each listener."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """`patterns` are regular expressions; `*` and `all` allow every origin."""
        joined = "|".join(".*" if pattern in {"*", "all"} else f"(?:{pattern})" for pattern in patterns)
        self._pattern = re.compile(joined) if joined else None

    def objection(self, origin: str) -> Problem | None:
        """Why this Origin is not welcome, or None."""
        if self._pattern is not None and self._pattern.fullmatch(origin):
            return None
        return _ORIGIN_REFUSED

    def preflight(self, request: web.BaseRequest) -> Answer | None:
        """The answer to a preflight request (Fetch standard, CORS-preflight), or None if it is none."""
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        return Answer(204, b"HTTP/1.1 204 No Content\r\n", b"", _PREFLIGHT_LINES)


def origin_lines(origin: str) -> bytes:
    """The header lines that let this origin read the answer."""
    return b"Access-Control-Allow-Origin: " + origin.encode("ascii", errors="replace") + b"\r\nVary: Origin\r\n"
