"""Read an EIP-3076 document from pieces of bytes, in memory that does not grow with it.

Rule 1: nothing is believed before the end. A document may be wrong in its last byte, and its `metadata` may come
after its `data`: whoever writes what is read here does so in one transaction, or reads the document twice.
Rule 2: unknown members are read over (other programs add their own); a name that occurs twice in one object is an
error, because readers differ in which of the two they believe.
"""

from collections.abc import Callable, Iterable, Iterator

from interchange.element import Element, Fault
from interchange.errors import SchemaError
from interchange.fields import (
    get_member,
    missing_member,
    read_format_version,
    read_genesis_validators_root,
    read_object,
    shortened,
)
from interchange.model import Interchange, Metadata, ValidatorHistory
from interchange.structure import enter_array, read_members, wrong_value
from interchange.text import Cursor

Event = Metadata | ValidatorHistory | Fault

Reading = Callable[[], Iterable[Event]]
"""Reads one document from its start, each time it is called."""


def parse(pieces: Iterable[bytes], *, partial: bool = False) -> Iterator[Event]:
    """The document's metadata (exactly once, at the latest as the last event) and its validators' histories, in the
    document's order.

    A long history comes in several parts (`model`, Rule 2). With `partial`, an element of `data` that offends the
    schema comes as a Fault and the others go on; without, it is raised.

    Raises:
        MalformedError: the text is not JSON.
        SchemaError: the document is not of EIP-3076, version 5.
    """
    cursor = Cursor(pieces)
    if not cursor.peek():
        raise cursor.malformed("$", "an EIP-3076 document; the file is empty, so export it anew where it comes from")
    if cursor.peek() != "{":
        raise wrong_value(cursor, "$", "an object with the members metadata and data")
    seen = set()
    for name in read_members(cursor, "$", _refuse):
        seen.add(name)
        if name == "metadata":
            yield _read_metadata(cursor)
        elif name == "data":
            yield from _read_data(cursor, partial=partial)
        else:
            cursor.skip(f"$.{shortened(name)}")
    if cursor.peek():
        raise cursor.malformed("$", "the end of the text")
    for name in ("metadata", "data"):
        if name not in seen:
            raise missing_member(name, "$").at(cursor.place(cursor.position))


def histories(events: Iterable[Event]) -> Iterator[ValidatorHistory]:
    """The histories alone. Raises the error of any Fault among the events, besides what the iteration raises."""
    for event in events:
        match event:
            case ValidatorHistory():
                yield event
            case Fault():
                raise event.error
            case Metadata():
                pass


def find_metadata(events: Iterable[Event]) -> Metadata:
    """The metadata, reading no further than to it. Raises as the iteration does."""
    for event in events:
        if isinstance(event, Metadata):
            return event
    raise missing_member("metadata", "$")


def read_interchange(pieces: Iterable[bytes]) -> Interchange:
    """A whole document in memory, its histories as they stand in it. Raises InterchangeError."""
    metadata: list[Metadata] = []
    validators: list[ValidatorHistory] = []
    for event in parse(pieces):
        match event:
            case Metadata():
                metadata.append(event)
            case ValidatorHistory():
                validators.append(event)
            case Fault():
                raise event.error
    return Interchange(metadata[0], tuple(validators))


def _read_metadata(cursor: Cursor) -> Metadata:
    path = "$.metadata"
    start = cursor.start()
    value = cursor.decode(path)
    try:
        members = read_object(value, path)
        version = get_member(members, "interchange_format_version", path)
        read_format_version(version, f"{path}.interchange_format_version")
        root = get_member(members, "genesis_validators_root", path)
        return Metadata(read_genesis_validators_root(root, f"{path}.genesis_validators_root"))
    except SchemaError as error:
        raise error.at(cursor.place(start)) from None


def _read_data(cursor: Cursor, *, partial: bool) -> Iterator[ValidatorHistory | Fault]:
    path = "$.data"
    index = 0
    follows = enter_array(cursor, path, _refuse)
    while follows:
        yield from Element(index, partial=partial).read(cursor)
        index += 1
        follows = cursor.take_either(",", "]", path)


def _refuse(error: SchemaError) -> None:
    raise error
