"""How deeply a JSON text is nested, told before a parser follows it.

Parsers recurse once a level and rely on the interpreter's recursion limit. Any library may raise that limit (py_ecc
does when it is imported), and then some ten thousand brackets end the process: msgspec overflows the C stack.
"""

from itertools import accumulate

_KEPT = b'"[]{}'
_DROPPED = bytes(set(range(256)) - set(_KEPT))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def is_nested_deeper(text: bytes, *, levels: int) -> bool:
    """True if lists and objects stand more than so many levels inside each other.

    Exact for JSON. What is no JSON is never called shallower than a parser that stops at the first fault would find it.
    """
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    return any(depth > levels for depth in accumulate(map(_STEPS.__getitem__, _brackets_outside_of_strings(text))))


def _brackets_outside_of_strings(text: bytes) -> bytes:
    """The text's brackets without those in strings; by whole-text steps, since bodies have millions of bytes."""
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    bare = text.translate(None, _DROPPED)
    # Two quotes side by side are an empty string, or the seam between two strings: both may go.
    bare = bare.replace(b'""', b"")
    return b"".join(bare.split(b'"')[::2])
