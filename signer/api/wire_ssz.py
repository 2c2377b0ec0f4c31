"""Reads JSON into the library's SSZ types, for the few objects too large to have a reader of their own.

Walks the type, not the JSON: unknown members are ignored and nesting is bounded by the type. Long byte lists
are merkleised by hand and handed to the library as roots: it spends 24 us on every byte of them
(2.4 s for 100 kB of transactions, against 1.5 ms here).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from signer.api import wire_fields
from signer.errors import MalformedRequestError
from signer.eth2.containers import SszType
from signer.eth2.ssz import bitlist_length, progressive_byte_list_root
from signer.units import Root

SszValue = Any
"""A value of the library's types."""


def read_ssz(value: object, ssz_type: SszType, at: str) -> SszValue:
    """The SSZ value of a JSON value. Raises MalformedRequestError naming the path below `at`."""
    return _reader(ssz_type)(value, ssz_type, at)


def ssz_root(value: SszValue) -> Root:
    """The hash tree root of a value."""
    return Root(bytes(value.hash_tree_root()))


@lru_cache(maxsize=256)
def _reader(ssz_type: SszType) -> Callable[[object, SszType, str], SszValue]:
    from remerkleable.basic import uint
    from remerkleable.bitfields import Bitlist, Bitvector
    from remerkleable.byte_arrays import ByteList, ByteVector
    from remerkleable.complex import Container, List, Vector
    from remerkleable.progressive import ProgressiveByteList, ProgressiveList

    readers = (
        (Container, _read_container),
        (uint, _read_uint),
        (ByteVector, _read_byte_vector),
        (ByteList, _read_byte_list),
        (Bitlist, _read_bitlist),
        (Bitvector, _read_bitvector),
        (ProgressiveByteList, _read_progressive_byte_list),
        (ProgressiveList, _read_list),
        (List, _read_list),
        (Vector, _read_list),
    )
    return next(reader for parent, reader in readers if issubclass(ssz_type, parent))


def _read_container(value: object, ssz_type: SszType, at: str) -> SszValue:
    if type(value) is not dict:
        raise wire_fields.unreadable(value, at, "an object {...}")
    fields = ssz_type.fields().items()
    return ssz_type(**{name: read_ssz(value.get(name), field_type, f"{at}.{name}") for name, field_type in fields})


def _read_uint(value: object, ssz_type: SszType, at: str) -> SszValue:
    bits = ssz_type.type_byte_length() * 8
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 78:  # digits of 2**256
        value = int(value)
    if type(value) is int and 0 <= value < 1 << bits:
        return ssz_type(value)
    raise wire_fields.unreadable(value, at, f"a decimal number from 0 to 2**{bits}-1, as text or as a number")


def _read_byte_vector(value: object, ssz_type: SszType, at: str) -> SszValue:
    length = ssz_type.type_byte_length()
    if length == 32:
        return ssz_type(wire_fields.bytes32(value, "", at))
    return ssz_type(wire_fields.fixed_bytes(value, "", at, length=length))


def _read_byte_list(value: object, ssz_type: SszType, at: str) -> SszValue:
    raw = wire_fields.any_bytes(value, "", at)
    if len(raw) > ssz_type.limit():
        raise wire_fields.unreadable(value, at, f"at most {ssz_type.limit()} bytes")
    return ssz_type(raw)


def _read_bitlist(value: object, ssz_type: SszType, at: str) -> SszValue:
    bits = wire_fields.bitlist(value, "", at)
    if bitlist_length(bits) > ssz_type.limit():
        raise wire_fields.unreadable(value, at, f"a bitlist of at most {ssz_type.limit()} bits")
    return ssz_type.decode_bytes(bits)


def _read_bitvector(value: object, ssz_type: SszType, at: str) -> SszValue:
    # Every vector here has a multiple of 8 bits, so every bit of its bytes is one of its own.
    return ssz_type.decode_bytes(wire_fields.fixed_bytes(value, "", at, length=ssz_type.vector_length() // 8))


def _read_progressive_byte_list(value: object, ssz_type: SszType, at: str) -> SszValue:
    from remerkleable.tree import Root as NodeRoot
    from remerkleable.tree import RootNode

    root = progressive_byte_list_root(wire_fields.any_bytes(value, "", at))
    return ssz_type.view_from_backing(RootNode(NodeRoot(root)))


def _read_list(value: object, ssz_type: SszType, at: str) -> SszValue:
    if type(value) is not list:
        raise wire_fields.unreadable(value, at, "a list [...]")
    if not ssz_type.is_valid_count(len(value)):
        raise MalformedRequestError(f"{at} has {len(value)} elements; a {ssz_type.type_repr()} is wanted", path=at)
    element_type = ssz_type.element_cls()
    return ssz_type([read_ssz(item, element_type, f"{at}[{i}]") for i, item in enumerate(value)])
