"""Fields of a Web3Signer request, read as leniently as its clients write them (and Web3Signer reads them).

Numbers come as decimal text or as JSON numbers; hex with or without 0x, in any case; 32-byte values may be
short and are then padded on the left. Every function takes the object a field stands in, the field's name
and the path of that object (`at`), and raises MalformedRequestError naming the path and what would be right.
"""

from binascii import a2b_hex
from collections.abc import Sequence
from typing import Any

from signer.api.wire_json import JsonObject
from signer.errors import MalformedRequestError
from signer.eth2.forks import Fork
from signer.units import (
    PUBLIC_KEY_BYTES,
    ROOT_BYTES,
    SIGNATURE_BYTES,
    UINT64_MAX,
    VERSION_BYTES,
    PublicKey,
    Root,
    Signature,
    Version,
)

ADDRESS_BYTES = 20
"""An execution layer address."""

_UINT64_DIGITS = 20
"""Digits of 2**64 - 1; longer text is refused before it is made a number."""

_SHOWN_CHARACTERS = 80
"""How much of a wrong value an error repeats."""


def object_in(parent: JsonObject, name: str, at: str) -> JsonObject:
    """A member that is an object."""
    value = parent.get(name)
    if type(value) is dict:
        return value
    raise unreadable(value, _join(at, name), "an object {...}")


def list_in(parent: JsonObject, name: str, at: str, *, limit: int) -> list[Any]:
    """A member that is a list of at most so many elements."""
    value = parent.get(name)
    if type(value) is not list:
        raise unreadable(value, _join(at, name), "a list [...]")
    if len(value) > limit:
        path = _join(at, name)
        raise MalformedRequestError(f"{path} has {len(value)} elements; send at most {limit}", path=path)
    return value


def uint64_in(parent: JsonObject, name: str, at: str) -> int:
    """A member that is an unsigned 64-bit number."""
    return uint64(parent.get(name), at, name)


def uint64(value: object, at: str, name: str) -> int:
    """A value that is an unsigned 64-bit number."""
    number = -1
    if type(value) is str:
        if value.isdigit() and value.isascii() and len(value) <= _UINT64_DIGITS:
            number = int(value)
    elif type(value) is int:
        number = value
    if 0 <= number <= UINT64_MAX:
        return number
    raise unreadable(value, _join(at, name), "a decimal number from 0 to 2**64-1, as text or as a number")


def boolean_in(parent: JsonObject, name: str, at: str) -> bool:
    """A member that is true or false, also as text."""
    value = parent.get(name)
    if type(value) is bool:
        return value
    if type(value) is str and value in {"true", "false"}:
        return value == "true"
    raise unreadable(value, _join(at, name), "true or false")


def root_in(parent: JsonObject, name: str, at: str) -> Root:
    """A member of 32 bytes."""
    return Root(bytes32(parent.get(name), at, name))


def bytes32(value: object, at: str, name: str) -> bytes:
    """A value of 32 bytes; a shorter one is padded on the left (Web3Signer's rule; its tests send "0x")."""
    raw = find_bytes(value)
    if raw is not None and len(raw) <= ROOT_BYTES:
        return raw.rjust(ROOT_BYTES, b"\0")
    raise unreadable(value, _join(at, name), "32 bytes in hex")


def fixed_bytes(value: object, at: str, name: str, *, length: int) -> bytes:
    """A value of exactly so many bytes."""
    raw = find_bytes(value)
    if raw is not None and len(raw) == length:
        return raw
    raise unreadable(value, _join(at, name), f"{length} bytes in hex")


def find_bytes(value: object) -> bytes | None:
    """The bytes of a value in hex; None if it is none."""
    if type(value) is not str:
        return None
    try:
        return a2b_hex(value[2:] if value[:2] in {"0x", "0X"} else value)
    except ValueError:
        return None


def any_bytes(value: object, at: str, name: str) -> bytes:
    """A value of any number of bytes."""
    raw = find_bytes(value)
    if raw is not None:
        return raw
    raise unreadable(value, _join(at, name), "bytes in hex")


def version_in(parent: JsonObject, name: str, at: str) -> Version:
    """A member that is a fork version."""
    return Version(fixed_bytes(parent.get(name), at, name, length=VERSION_BYTES))


def public_key_in(parent: JsonObject, name: str, at: str) -> PublicKey:
    """A member that is a BLS public key."""
    return PublicKey(fixed_bytes(parent.get(name), at, name, length=PUBLIC_KEY_BYTES))


def signature_in(parent: JsonObject, name: str, at: str) -> Signature:
    """A member that is a BLS signature."""
    return Signature(fixed_bytes(parent.get(name), at, name, length=SIGNATURE_BYTES))


def address_in(parent: JsonObject, name: str, at: str) -> bytes:
    """A member that is an execution layer address."""
    return fixed_bytes(parent.get(name), at, name, length=ADDRESS_BYTES)


def bitlist(value: object, at: str, name: str) -> bytes:
    """A value that is a serialised bitlist: its last byte holds the delimiting bit."""
    raw = find_bytes(value)
    if raw and raw[-1]:
        return raw
    raise unreadable(value, _join(at, name), "a bitlist in hex, its delimiting bit in the last byte")


def fork(value: object, at: str, name: str) -> Fork:
    """A value that names a fork, in any case."""
    if type(value) is str and value.upper() in Fork.__members__:
        return Fork[value.upper()]
    raise unreadable(value, _join(at, name), f"one of {', '.join(Fork.__members__)}")


def one_of(parent: JsonObject, names: Sequence[str], at: str = "") -> tuple[Any, str]:
    """The member that has one of these names, and its name; None and the first name if there is none."""
    present = [name for name in names if parent.get(name) is not None]
    if len(present) > 1:
        raise MalformedRequestError(
            f"{' and '.join(present)} are names of one member; send one of them", path=_join(at, present[1])
        )
    name = present[0] if present else names[0]
    return parent.get(name), name


def duty_object(request: JsonObject, *names: str) -> tuple[JsonObject, str]:
    """The object a request is about, under one of its names, and its path."""
    value, name = one_of(request, names)
    if type(value) is dict:
        return value, name
    raise unreadable(value, name, "the object to sign, {...}")


def unwrapped(value: JsonObject, at: str) -> tuple[JsonObject, str]:
    """What is inside of `{"version": ..., "data": {...}}`, and its path; the object itself if it is not wrapped."""
    data = value.get("data")
    return (data, f"{at}.data") if type(data) is dict else (value, at)


def unreadable(value: object, path: str, wanted: str) -> MalformedRequestError:
    """The error for a value at a path, to be raised: says what stands there and what would be right."""
    if value is None:
        return MalformedRequestError(f"{path} is missing: send {wanted}", path=path)
    shown = _shown(value)
    if len(shown) > _SHOWN_CHARACTERS:
        shown = shown[:_SHOWN_CHARACTERS] + "..."
    return MalformedRequestError(f"{path} is {shown}: send {wanted}", path=path)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value[: _SHOWN_CHARACTERS + 1])  # it may have millions
    return repr(value) if isinstance(value, (int, float)) else f"a {type(value).__name__}"


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
