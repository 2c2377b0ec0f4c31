"""The arrays of a validator, read in runs of records.

Rule 1: almost every record of a file has the member order of EIP-3076 and a whole root. One regular expression reads
such a record; whatever it does not match, however odd, goes the slow way through the JSON reader, which alone decides
what is an error.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from interchange.errors import SchemaError
from interchange.fields import get_member, read_object, read_signing_root, read_uint64
from interchange.model import UINT64_MAX, SignedAttestation, SignedBlock
from interchange.structure import Complain, enter_array, wrong_value
from interchange.text import Cursor

RUN_RECORDS = 16_384
"""Records handed on at once: about 4 MB, so that one validator's length does not matter to memory."""

Record = TypeVar("Record", SignedBlock, SignedAttestation)

_WS = r"[ \t\n\r]*"
_NUMBER = r'"(0|[1-9][0-9]{0,19})"'
_ROOT = rf'(?:,{_WS}"signing_root"{_WS}:{_WS}"0x([0-9a-fA-F]{{64}})")?'
_END = rf"{_WS}\}}(?:{_WS},{_WS}(?=\{{))?"
"""The end of a record, with the comma where another record follows."""


@dataclass(frozen=True, slots=True)
class Shape(Generic[Record]):
    """How one kind of record is read."""

    usual: re.Pattern[str]
    from_match: Callable[[re.Match[str]], Record | None]
    """The record, or None where the slow way must say what is wrong."""

    from_members: Callable[[Mapping[str, object], str], Record]


def read_runs(cursor: Cursor, path: str, shape: Shape[Record], complain: Complain) -> Iterator[list[Record]]:
    """The records of the array at the cursor, in runs of at most `RUN_RECORDS`.

    Raises:
        MalformedError: the text is not JSON.
    """
    run: list[Record] = []
    index = 0
    follows = enter_array(cursor, path, complain)
    while follows:
        cursor.refill()
        found = shape.usual.match(cursor.buffer, cursor.position)
        record = shape.from_match(found) if found else None
        if found and record is not None:
            cursor.position = found.end()
            follows = cursor.buffer[cursor.position - 1] != "}" or cursor.take_either(",", "]", path)
        else:
            record = _read_slowly(cursor, f"{path}[{index}]", shape, complain)
            follows = cursor.take_either(",", "]", path)
            cursor.peek()
        index += 1
        if record is not None:
            run.append(record)
        if len(run) >= RUN_RECORDS:
            yield run
            run = []
    if run:
        yield run


def _read_slowly(cursor: Cursor, path: str, shape: Shape[Record], complain: Complain) -> Record | None:
    if cursor.peek() != "{":
        complain(wrong_value(cursor, path, "an object"))
        return None
    start = cursor.start()
    value = cursor.decode(path)
    try:
        return shape.from_members(read_object(value, path), path)
    except SchemaError as error:
        complain(error.at(cursor.place(start)))
        return None


def _block_from_match(found: re.Match[str]) -> SignedBlock | None:
    slot, root = found.groups()
    number = int(slot)
    if number > UINT64_MAX:
        return None
    return SignedBlock(number, bytes.fromhex(root) if root else None)


def _attestation_from_match(found: re.Match[str]) -> SignedAttestation | None:
    source, target, root = found.groups()
    source_epoch, target_epoch = int(source), int(target)
    if source_epoch > UINT64_MAX or target_epoch > UINT64_MAX:
        return None
    return SignedAttestation(source_epoch, target_epoch, bytes.fromhex(root) if root else None)


def _block_from_members(members: Mapping[str, object], path: str) -> SignedBlock:
    return SignedBlock(
        read_uint64(get_member(members, "slot", path), f"{path}.slot"),
        read_signing_root(members.get("signing_root"), f"{path}.signing_root"),
    )


def _attestation_from_members(members: Mapping[str, object], path: str) -> SignedAttestation:
    return SignedAttestation(
        read_uint64(get_member(members, "source_epoch", path), f"{path}.source_epoch"),
        read_uint64(get_member(members, "target_epoch", path), f"{path}.target_epoch"),
        read_signing_root(members.get("signing_root"), f"{path}.signing_root"),
    )


BLOCKS = Shape(
    re.compile(rf'\{{{_WS}"slot"{_WS}:{_WS}{_NUMBER}{_WS}{_ROOT}{_END}'), _block_from_match, _block_from_members
)
"""The records of `signed_blocks`."""

ATTESTATIONS = Shape(
    re.compile(
        rf'\{{{_WS}"source_epoch"{_WS}:{_WS}{_NUMBER}{_WS},{_WS}"target_epoch"{_WS}:{_WS}{_NUMBER}{_WS}{_ROOT}{_END}'
    ),
    _attestation_from_match,
    _attestation_from_members,
)
"""The records of `signed_attestations`."""
