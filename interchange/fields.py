"""One function per field of the format: a decoded JSON value in, our value out, or a SchemaError.

Rule 1: one spelling per value. Integers are decimal strings without sign, space or leading zero: a JSON number is
refused, because programs that read numbers as 64-bit floats round large ones silently (EIP-3076, "Integer
Representation"), and no published file of any client holds one. Hex has the prefix `0x`; its case is free.
"""

import re
from collections.abc import Mapping

from interchange.errors import SchemaError
from interchange.model import FORMAT_VERSION, PUBKEY_BYTES, ROOT_BYTES, UINT64_MAX
from interchange.text import JsonNumber, RepeatedMember

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,19}")

_HEX = re.compile(r"0x((?:[0-9a-fA-F]{2})*)")

_SHOWN_CHARACTERS = 100
"""How much of a wrong value an error repeats: a whole public key fits."""


def read_object(value: object, path: str) -> Mapping[str, object]:
    """A small object whose names are all different. Raises SchemaError."""
    if isinstance(value, dict):
        return value
    raise SchemaError(path=path, found=describe(value), expected="an object with every name once")


def get_member(members: Mapping[str, object], name: str, path: str) -> object:
    """A member that must be there. Raises SchemaError."""
    if name not in members:
        raise missing_member(name, path)
    return members[name]


def missing_member(name: str, path: str) -> SchemaError:
    """The error of an object without a member that must be there."""
    return SchemaError(path=path, found=f'no member "{name}"', expected="that member, which is required")


def read_format_version(value: object, path: str) -> str:
    """The version of the format, which is "5". Raises SchemaError."""
    if type(value) is str and value == FORMAT_VERSION:
        return value
    remedy = f'"{FORMAT_VERSION}"; 1 to 4 were drafts: export again with a newer release of the program that wrote this'
    raise SchemaError(path=path, found=describe(value), expected=remedy)


def read_uint64(value: object, path: str) -> int:
    """A slot or an epoch. Raises SchemaError."""
    if type(value) is str and _DECIMAL.fullmatch(value):
        number = int(value)
        if number <= UINT64_MAX:
            return number
    raise SchemaError(path=path, found=describe(value), expected='a decimal string from 0 to 2^64-1, as in "123"')


def read_pubkey(value: object, path: str) -> bytes:
    """A validator's public key. Raises SchemaError."""
    pubkey = _read_hex(value)
    if pubkey is None or len(pubkey) != PUBKEY_BYTES:
        raise SchemaError(path=path, found=describe(value), expected=f"0x and {2 * PUBKEY_BYTES} hex digits")
    return pubkey


def read_genesis_validators_root(value: object, path: str) -> bytes:
    """The chain's identity. Raises SchemaError."""
    root = _read_hex(value)
    if root is None or len(root) != ROOT_BYTES:
        raise SchemaError(path=path, found=describe(value), expected=f"0x and {2 * ROOT_BYTES} hex digits")
    return root


def read_signing_root(value: object, path: str) -> bytes | None:
    """The root of a signed message; None for null.

    A root of fewer than 32 bytes is taken as it stands: Web3Signer stores roots of any length and its own files hold
    three-byte ones. It equals no root that a signer computes, so it refuses as much as a missing one.

    Raises:
        SchemaError.
    """
    if value is None:
        return None
    root = _read_hex(value)
    if root is None or not 0 < len(root) <= ROOT_BYTES:
        raise SchemaError(
            path=path, found=describe(value), expected=f"0x and {2 * ROOT_BYTES} hex digits, or no member"
        )
    return root


def describe(value: object) -> str:
    """What stands there, short enough for an error."""
    match value:
        case JsonNumber():
            return f"the number {shortened(value)}"
        case str():
            return f'"{shortened(value)}"'
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case RepeatedMember():
            return f'an object with two members "{shortened(value.name)}"'
        case list():
            return "an array"
        case _:
            return "an object"


def shortened(text: str) -> str:
    """A string of the document as an error may repeat it: printable, and not without end."""
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
    return shown.encode("unicode_escape").decode("ascii")


def _read_hex(value: object) -> bytes | None:
    digits = _HEX.fullmatch(value) if type(value) is str else None
    return bytes.fromhex(digits[1]) if digits else None
