"""JSON as a signer must read it: one object, UTF-8, no member twice.

Two members of one name are read differently by different parsers, so a proxy and we could see two requests in
one body. The parser keeps the last of them; this module finds that there were two.
"""

import json
from typing import Any

import msgspec

from signer.errors import MalformedRequestError
from signer.nesting import is_nested_deeper

MAX_NESTING = 64
"""Levels of a body; a block of the newest fork has 8. The parser's own bound is a limit that any library may raise."""

LARGE_BODY_BYTES = 64 * 2**10
"""Above this a body must have the shape of a large duty before it is decoded."""

MAX_NESTED = 2**17
"""Objects and lists, and members, of a large body. An envelope with 8,192 deposits has 50,000 members, a full batch of
4,096 about 100,000; each costs up to 200 bytes of memory."""

MAX_VALUES = 2**20 + MAX_NESTED
"""Commas of a large body: a payload may have 2**20 transactions (bellatrix, MAX_TRANSACTIONS_PER_PAYLOAD)."""

JsonObject = dict[str, Any]
"""A decoded object: text, int, float, bool, None, lists and objects of these."""


def decode_json_object(body: bytes) -> JsonObject:
    """The object that is the whole of a body.

    Raises:
        MalformedRequestError: no JSON, no UTF-8, not an object, nested too deeply, or a member given twice.
    """
    large = len(body) > LARGE_BODY_BYTES
    if large:
        check_shape(body)
    check_nesting(body)
    try:
        decoded = msgspec.json.decode(body)
        unambiguous = body.count(b":") == _count_members(decoded)
    except RecursionError:
        raise MalformedRequestError("the body is nested too deeply; no signing request is") from None
    except ValueError as error:
        raise MalformedRequestError(f"the body is not JSON in UTF-8: {error}") from None
    if type(decoded) is not dict:
        raise MalformedRequestError("the body is not a JSON object; send {...}")
    if not unambiguous:
        if large:  # the slow road would take as much time and memory again; no large duty has a text with a colon
            raise MalformedRequestError("a member is given twice, or a text holds a colon; a large body has neither")
        _check_no_duplicate(body)
    return decoded


def check_shape(body: bytes) -> None:
    """Refuse, before anything is decoded, what would make millions of objects of a few megabytes.

    Marks inside of texts are counted too: those of a large duty are hexadecimal.

    Raises:
        MalformedRequestError: more objects, lists, members or values than the largest duty has.
    """
    nested = max(body.count(b"[") + body.count(b"{"), body.count(b":"))
    if nested > MAX_NESTED or body.count(b",") > MAX_VALUES:
        raise MalformedRequestError(
            f"the body has more than {MAX_NESTED} objects, lists or members, or more than {MAX_VALUES} values;"
            " no signing request has"
        )


def check_nesting(body: bytes) -> None:
    """Raises MalformedRequestError if a body is nested more than MAX_NESTING levels deep."""
    if is_nested_deeper(body, levels=MAX_NESTING):
        raise MalformedRequestError(f"the body is nested more than {MAX_NESTING} levels deep; no signing request is")


def _count_members(value: object) -> int:
    # Each member was written with one colon, so as many colons as members means that no member was dropped
    # as a duplicate. Colons inside strings only send an honest body down the slow road.
    if type(value) is dict:
        count = len(value)
        for item in value.values():
            if type(item) is dict or type(item) is list:
                count += _count_members(item)
        return count
    if type(value) is list:
        return sum(_count_members(item) for item in value if type(item) is dict or type(item) is list)
    return 0


def _check_no_duplicate(body: bytes) -> None:
    try:
        json.loads(body.decode(), object_pairs_hook=_object_of_unique_members)
    except RecursionError:
        raise MalformedRequestError("the body is nested too deeply; no signing request is") from None
    except ValueError as error:
        raise MalformedRequestError(f"the body is not JSON in UTF-8: {error}") from None


def _object_of_unique_members(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen = set[str]()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # add returns None: the idiom for "first repeated"
        raise MalformedRequestError(f"the member {twice[:64]!r} is given twice in one object; send it once")
    return members
