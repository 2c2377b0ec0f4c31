"""The objects and arrays of a document, entered and left at a cursor."""

from collections.abc import Callable, Iterator

from interchange.errors import SchemaError
from interchange.fields import describe
from interchange.text import Cursor

Complain = Callable[[SchemaError], None]
"""Called with each fault of the schema; reading goes on behind it unless the callee raises."""

_MAX_MEMBERS = 64
"""Members of one object, so that a hostile text cannot make us remember names without end."""


def read_members(cursor: Cursor, path: str, complain: Complain) -> Iterator[str]:
    """The names of the object at the cursor; the caller reads the value of each before asking for the next.

    A name that comes a second time is complained of and its value read over.

    Raises:
        MalformedError: the text is not JSON.
        SchemaError: more members than any document has.
    """
    cursor.take("{", path)
    if cursor.peek() == "}":
        cursor.position += 1
        return
    seen: set[str] = set()
    follows = True
    while follows:
        name = cursor.decode_name(path)
        if name in seen:
            complain(fault_here(cursor, path, found=f"a second member {describe(name)}", expected="every name once"))
            cursor.skip(path)
        else:
            seen.add(name)
            yield name
        if len(seen) > _MAX_MEMBERS:
            raise fault_here(cursor, path, found="more members", expected=f"at most {_MAX_MEMBERS}")
        follows = cursor.take_either(",", "}", path)


def enter_array(cursor: Cursor, path: str, complain: Complain) -> bool:
    """Read an opening bracket; True when a first value follows. Anything else is complained of and read over."""
    if cursor.peek() != "[":
        complain(wrong_value(cursor, path, "an array"))
        return False
    cursor.position += 1
    if cursor.peek() == "]":
        cursor.position += 1
        return False
    return True


def wrong_value(cursor: Cursor, path: str, expected: str) -> SchemaError:
    """Read over a value of the wrong type and make the error that tells of it. Raises MalformedError."""
    opener = cursor.peek()
    place = cursor.place(cursor.position)
    if opener in ("[", "{"):
        cursor.skip(path)
        found = "an array" if opener == "[" else "an object"
    else:
        found = describe(cursor.decode(path))
    return SchemaError(path=path, found=found, expected=expected).at(place)


def fault_here(cursor: Cursor, path: str, *, found: str, expected: str) -> SchemaError:
    """An error about what has just been read."""
    return SchemaError(path=path, found=found, expected=expected).at(cursor.place(cursor.position))
