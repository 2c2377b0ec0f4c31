"""Routes: what is served where, found with one or two dict look-ups."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from aiohttp import web

from signer.api.answer import Answer
from signer.api.exchange import Exchange
from signer.errors import MalformedRequestError

Handler = Callable[[Exchange], Awaitable[Answer | web.StreamResponse]]
"""Parses, calls one operation, answers."""


class Access(Enum):
    """Who is let through to a route before its body is read."""

    OPEN = "open"
    """Anybody: probes cannot authenticate."""

    CALLER = "caller"
    """A principal, or the anonymous one where the configuration has it."""

    NAMED = "named"
    """A principal with a name, never the anonymous one."""

    MANAGER = "manager"
    """The holder of the key manager's token, or a principal with a name."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path. `path` may hold one parameter, `{...}`: its last segment, or the one before the last."""

    method: str
    path: str
    handler: Handler
    access: Access = Access.CALLER
    signs: bool = False
    """True where a signature is the answer: such a route never answers 503 (Prysm and Nimbus misread it)."""
    query: frozenset[str] = frozenset()
    """The names that its query may hold. What is not in them is refused on operators' routes (`Access.NAMED`) and where
    there are any; the others, Web3Signer's, overlook it."""

    def check_query(self, names: Sequence[str]) -> None:
        """Raises MalformedRequestError: a name that is not known, or that stands there twice.

        A misspelt `dry_run` that was overlooked would be an import.
        """
        if not names or not (self.query or self.access is Access.NAMED):
            return
        known = "these are known: " + ", ".join(sorted(self.query)) if self.query else "none is known here"
        for name in names:
            if name not in self.query:
                raise MalformedRequestError(f"the query holds a parameter that is not known; {known}", path=name[:64])
            if names.count(name) > 1:
                raise MalformedRequestError(f"the query holds {name} more than once", path=name)


@dataclass(frozen=True, slots=True)
class Match:
    """What was found for a path: its routes by method, and the segment that is a parameter."""

    routes: Mapping[str, Route]
    tail: str


class RouteTable:
    """All routes of one listener. Immutable once built."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, dict[str, Route]] = {}
        self._around: dict[tuple[str, str], dict[str, Route]] = {}
        """By what stands before the parameter and behind it."""
        for route in routes:
            before, brace, rest = route.path.partition("{")
            after = rest.partition("}")[2]
            methods = self._around.setdefault((before, after), {}) if brace else self._exact.setdefault(before, {})
            methods[route.method] = route
            if route.method == "GET":
                methods["HEAD"] = route

    def find(self, path: str) -> Match | None:
        """The routes of a path, or None. Doubled and trailing slashes are overlooked.

        Prysm sends `//api` for a URL that ends in a slash, and a redirect would lose the body.
        """
        return self._find_exactly(path) or self._find_exactly(_tidy(path))

    def _find_exactly(self, path: str) -> Match | None:
        routes = self._exact.get(path)
        if routes is not None:
            return Match(routes, "")
        stem, slash, tail = path.rpartition("/")
        routes = self._around.get((stem + slash, ""))
        if routes is not None and tail:
            return Match(routes, tail)
        before, middle_slash, segment = stem.rpartition("/")
        routes = self._around.get((before + middle_slash, slash + tail))
        if routes is not None and segment:
            return Match(routes, segment)
        return None


def _tidy(path: str) -> str:
    single = re.sub("/{2,}", "/", path)
    return single[:-1] if len(single) > 1 and single.endswith("/") else single
