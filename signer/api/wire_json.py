"""JSON as a signer must read it: one object, UTF-8, no member twice.

Two members of one name are read differently by different parsers, so a proxy and we could see two requests in
one body. The parser keeps the last of them; this module finds that there were two.
"""

import json
from typing import Any

import msgspec

from signer.errors import MalformedRequestError

JsonObject = dict[str, Any]
"""A decoded object: text, int, float, bool, None, lists and objects of these."""


def decode_json_object(body: bytes) -> JsonObject:
    """The object that is the whole of a body.

    Raises:
        MalformedRequestError: no JSON, no UTF-8, not an object, nested too deeply, or a member given twice.
    """
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
        _check_no_duplicate(body)
    return decoded


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
        names = [name for name, _ in pairs]
        twice = next(name for name in members if names.count(name) > 1)
        raise MalformedRequestError(f"the member {twice[:64]!r} is given twice in one object; send it once")
    return members
