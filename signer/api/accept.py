"""Text or JSON: Web3Signer's reading of the Accept header."""

from typing import NamedTuple

from aiohttp import web


class _Accepted(NamedTuple):
    named: bool
    """`application/json` is in the list."""
    welcome: bool
    """It or `*/*` is."""


_ACCEPTED: dict[str, _Accepted] = {}
"""Verdicts on Accept headers seen before: there are six clients, and each sends its own for ever."""

_REMEMBERED_ACCEPTS = 256
_NO_ACCEPT = _Accepted(named=False, welcome=False)


def wants_json(request: web.BaseRequest) -> bool:
    """True if any listed media type is `application/json` or `*/*`, whatever its q; without the header, false.

    Web3Signer's own rule: `application/*` does not count.
    """
    return _accepted(request).welcome


def names_json(request: web.BaseRequest) -> bool:
    """True if `application/json` itself is listed."""
    return _accepted(request).named


def _accepted(request: web.BaseRequest) -> _Accepted:
    values = request.headers.getall("Accept", ())
    if not values:
        return _NO_ACCEPT
    text = values[0] if len(values) == 1 else ",".join(values)
    verdict = _ACCEPTED.get(text)
    if verdict is None:
        types = {part.partition(";")[0].strip().lower() for part in text.split(",")}
        named = "application/json" in types
        verdict = _Accepted(named=named, welcome=named or "*/*" in types)
        if len(_ACCEPTED) < _REMEMBERED_ACCEPTS:
            _ACCEPTED[text] = verdict
    return verdict
