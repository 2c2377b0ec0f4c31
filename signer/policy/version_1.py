"""Our interface, version 1: what a module exports and how it is asked. `policies/README.md` is its text for authors."""

from signer.policy.faults import Fault, Stopped
from signer.policy.guest import Guest
from signer.policy.host_functions import Signature
from signer.policy.verdict import MAX_VERDICT_BYTES, Verdict, decode_verdict, too_large

EXPORTS = ("memory", "holdfast_allocate", "holdfast_evaluate_1", "_initialize")
"""What a decision looks up, in this order; the last is optional."""

INITIALIZE = "_initialize"

_ALLOCATE, _EVALUATE, _INITIALIZE = range(1, 4)

SHAPES: dict[str, Signature] = {
    "holdfast_allocate": (("i32",), ("i32",)),
    "holdfast_evaluate_1": (("i32", "i32"), ("i64",)),
    INITIALIZE: ((), ()),
}

_POINTER_MASK = 2**32 - 1


def ask(guest: Guest, facts: bytes, *, initializes: bool) -> Verdict:
    """Room for the facts, the facts, the question, the verdict. Raises Stopped."""
    if initializes:
        guest.call(_INITIALIZE)
    place = guest.call(_ALLOCATE, len(facts)) & _POINTER_MASK
    if place == 0:
        raise Stopped(Fault.OUT_OF_MEMORY, "the policy found no room for its facts", {"facts_bytes": len(facts)})
    guest.write(place, facts, what="the room for the facts")
    result = guest.call(_EVALUATE, place, len(facts))
    place, length = result >> 32 & _POINTER_MASK, result & _POINTER_MASK
    if length > MAX_VERDICT_BYTES and place + length <= guest.memory_bytes():
        return too_large(length)
    return decode_verdict(guest.read(place, length, what="the verdict"))
