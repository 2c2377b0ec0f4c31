"""Open Policy Agent's interface, version 1.2 and later: modules that `opa build -t wasm` makes run unchanged.

Source: the page "WebAssembly" of Open Policy Agent's documentation. The facts are the `input` document. What the entry
point gives is the verdict: an object is read like every policy's, `true` allows, `false` and nothing at all deny.

Builtins that the compiler does not put into the module would run in the host. There are none here: a module that needs
one does not load, and the message names it.
"""

import json
from typing import Any

from msgspec import DecodeError, Raw, Struct
from msgspec import json as fast_json

from signer.nesting import is_nested_deeper
from signer.policy.faults import Fault, Stopped
from signer.policy.guest import Guest
from signer.policy.host_functions import MAX_LOG_LINE_BYTES, Function, Place, Questions, Signature, add_log_line
from signer.policy.verdict import (
    ALLOW,
    MAX_VERDICT_BYTES,
    MAX_VERDICT_LEVELS,
    Deny,
    Verdict,
    bad_verdict,
    decode_verdict,
    printable,
    refuse_repeated_names,
)

IMPORT_MODULE = "env"
MEMORY_IMPORT = "memory"

NOT_ALLOWED = "REGO_NOT_ALLOWED"
"""The code of a denial by an entry point that gives `false`, or nothing."""

EXPORTS = (
    "memory", "opa_malloc", "opa_heap_ptr_get", "opa_json_parse", "opa_eval", "builtins", "entrypoints",
    "opa_json_dump",
)  # fmt: skip
"""What a decision looks up, in this order."""

_MALLOC, _HEAP_POINTER, _PARSE, _EVALUATE, _BUILTINS, _ENTRY_POINTS, _DUMP = range(1, 8)

SHAPES: dict[str, Signature] = {
    "opa_malloc": (("i32",), ("i32",)),
    "opa_heap_ptr_get": ((), ("i32",)),
    "opa_json_parse": (("i32", "i32"), ("i32",)),
    "opa_eval": (("i32",) * 7, ("i32",)),
    "builtins": ((), ("i32",)),
    "entrypoints": ((), ("i32",)),
    "opa_json_dump": (("i32",), ("i32",)),
}

_MAX_MAP_BYTES = 64 << 10
"""Of the names of builtins or entry points."""

_JSON = 0
"""As the format of an answer."""

_PLAIN_ALLOW = b'[{"result":true}]'

_MAX_RESULT_LEVELS = MAX_VERDICT_LEVELS + 2
"""The list of results, one result, and the verdict in it."""


class Needs(Struct, frozen=True):
    """What a module says of itself."""

    builtins: tuple[str, ...]
    """Those that it wants of its host."""

    entry_points: dict[str, int]


class _Result(Struct, frozen=True, forbid_unknown_fields=True):
    result: Raw


_RESULTS = fast_json.Decoder(list[_Result])
_NUMBERS = fast_json.Decoder(dict[str, int])


def ask(guest: Guest, facts: bytes, *, data: bytes, entry_point: int) -> Verdict:
    """What the entry point makes of these facts and this `data` document. Raises Stopped."""
    document = _parsed(guest, data) if data else 0
    place = _placed(guest, facts)
    heap = guest.call(_HEAP_POINTER)
    answer = guest.call(_EVALUATE, 0, entry_point, document, place, len(facts), heap, _JSON)
    text = guest.read_terminated(answer, most=MAX_VERDICT_BYTES + 64, what="the verdict")
    if text == _PLAIN_ALLOW:
        return ALLOW
    if is_nested_deeper(text, levels=_MAX_RESULT_LEVELS):
        return bad_verdict("the answer is nested more deeply than a verdict")
    try:
        results = _RESULTS.decode(text)
        json.loads(text, object_pairs_hook=refuse_repeated_names)
    except (DecodeError, ValueError, RecursionError) as error:
        return bad_verdict(str(error))
    if not results or bytes(results[0].result) == b"false":
        return Deny(NOT_ALLOWED, "the policy's entry point gives nothing that allows this")
    if len(results) > 1:
        return bad_verdict("more than one result")
    result = bytes(results[0].result)
    return ALLOW if result == b"true" else decode_verdict(result)


def describe(guest: Guest) -> Needs:
    """What the module needs and offers. Raises Stopped."""
    builtins = _dumped(guest, guest.call(_BUILTINS))
    return Needs(tuple(sorted(builtins)), _dumped(guest, guest.call(_ENTRY_POINTS)))


def _dumped(guest: Guest, value: int) -> dict[str, int]:
    text = guest.read_terminated(guest.call(_DUMP, value), most=_MAX_MAP_BYTES, what="the module's description")
    try:
        return _NUMBERS.decode(text)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        raise Stopped(Fault.ENGINE_FAILED, "what the module says of itself cannot be read") from None


def _placed(guest: Guest, text: bytes) -> int:
    place = guest.call(_MALLOC, len(text)) & 0xFFFFFFFF
    if place == 0:
        raise Stopped(Fault.OUT_OF_MEMORY, "the policy found no room for its facts", {"facts_bytes": len(text)})
    guest.write(place, text, what="the room for the facts")
    return place


def _parsed(guest: Guest, document: bytes) -> int:
    value = guest.call(_PARSE, _placed(guest, document), len(document)) & 0xFFFFFFFF
    if value == 0:
        raise Stopped(Fault.ENGINE_FAILED, "the policy's data document is no JSON that it can read")
    return value


def _abort(_asked: Questions, place: Place, values: list[int]) -> None:
    said = printable(place.read_terminated(values[0], most=MAX_LOG_LINE_BYTES).decode(errors="replace"))
    raise Stopped(Fault.TRAPPED, f"the policy stopped itself: {said}")


def _println(asked: Questions, place: Place, values: list[int]) -> None:
    place.charge(MAX_LOG_LINE_BYTES)
    add_log_line(asked, place.read_terminated(values[0], most=MAX_LOG_LINE_BYTES))


def _builtin(_asked: Questions, _place: Place, _values: list[int]) -> Any:
    raise Stopped(Fault.NOT_GRANTED, "the policy calls a builtin that is not in its module")


FUNCTIONS: dict[str, tuple[Signature, Function]] = {
    "opa_abort": ((("i32",), ()), _abort),
    "opa_println": ((("i32",), ()), _println),
    **{f"opa_builtin{count}": ((("i32",) * (count + 2), ("i32",)), _builtin) for count in range(5)},
}
