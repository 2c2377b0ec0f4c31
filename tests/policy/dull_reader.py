"""The dullest reader of a verdict that allows: written from `policies/README.md` alone, by hand, with Python's json."""

import json
import re
from typing import Any

LARGEST = 16 * 1024
LARGEST_AMOUNT = 2**256 - 1
YEAR_SECONDS = 366 * 86400


def is_allow(output: bytes) -> bool:
    """Exactly an allow, and nothing else."""
    if len(output) > LARGEST or output.startswith(b"\xef\xbb\xbf"):
        return False
    try:
        read = json.loads(output.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return is_allow_object(read)


def is_allow_object(read: Any) -> bool:
    if not isinstance(read, dict) or read.get("verdict") != "allow" or set(read) - {"verdict", "reserve"}:
        return False
    reserve = read.get("reserve", [])
    return isinstance(reserve, list) and len(reserve) <= 16 and all(map(_is_reservation, reserve))


def is_rego_allow(output: bytes) -> bool:
    """What a module of Open Policy Agent answers: a list of one object with one field, `true` or an allow."""
    try:
        read = json.loads(output.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    if not isinstance(read, list) or len(read) != 1 or not isinstance(read[0], dict) or set(read[0]) != {"result"}:
        return False
    result = read[0]["result"]
    return result is True or is_allow_object(result)


def _is_reservation(read: Any) -> bool:
    if not isinstance(read, dict) or set(read) != {"counter", "window_seconds", "amount", "limit"}:
        return False
    window = read["window_seconds"]
    return (
        isinstance(read["counter"], str)
        and re.fullmatch(r"[A-Za-z0-9_.:/-]{1,128}", read["counter"]) is not None
        and type(window) is int
        and 0 <= window <= YEAR_SECONDS
        and _is_amount(read["amount"])
        and _is_amount(read["limit"])
    )


def _is_amount(read: Any) -> bool:
    if not isinstance(read, str) or re.fullmatch(r"0|[1-9][0-9]*", read, re.ASCII) is None:
        return False
    return len(read) <= 78 and int(read) <= LARGEST_AMOUNT


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("twice")
    return dict(pairs)


def _refuse(name: str) -> Any:
    raise ValueError(name)
