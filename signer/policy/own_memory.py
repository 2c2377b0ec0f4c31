"""Gives a module that imports its memory one of its own: Open Policy Agent's modules import `env.memory`.

A memory of the module's own is made with each instance, from the places that are kept ready, and is gone with it; an
imported one would have to be made by hand for every decision. Nothing but the place of the declaration changes: memory
0 stays memory 0, with the same limits. What comes out is validated by the compiler like any other module.

Source: WebAssembly core specification 2.0, section 5.5 (binary format of modules).
"""

from collections.abc import Iterator

from signer.errors import PolicyModuleInvalidError

_HEADER_BYTES = 8
_IMPORTS, _MEMORIES = 2, 5
_BEHIND_MEMORIES = frozenset({6, 7, 8, 9, 10, 11, 12, 13})
"""Sections that stand after that of the memories; custom sections (0) stand anywhere."""

_FUNCTION, _MEMORY = 0, 2


def with_own_memory(module: bytes, *, host: str, name: str) -> bytes:
    """The module with the memory that it imports under this name as its own; the same bytes where it imports none.

    Raises:
        PolicyModuleInvalidError: its sections cannot be read, or it imports other things than functions and memories.
    """
    wanted = (host.encode(), name.encode())
    sections = []
    limits = b""
    for number, content in _sections(module):
        if number == _IMPORTS:
            content, limits = _without(content, wanted)  # noqa: PLW2901 - the section as it is from here on
        sections.append((number, content))
    if not limits:
        return module
    behind = next((place for place, (number, _) in enumerate(sections) if number in _BEHIND_MEMORIES), len(sections))
    sections.insert(behind, (_MEMORIES, b"\x01" + limits))
    return module[:_HEADER_BYTES] + b"".join(
        bytes([number]) + _written(len(content)) + content for number, content in sections
    )


def _without(imports: bytes, wanted: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """The imports without the wanted memory, and that memory's limits."""
    reading = _Reading(imports)
    kept, limits = [], b""
    for _ in range(reading.number()):
        begin = reading.at
        names = (reading.vector(), reading.vector())
        kind = reading.byte()
        description = reading.at
        if kind == _MEMORY:
            has_most = reading.byte() & 1
            reading.number()
            if has_most:
                reading.number()
        elif kind == _FUNCTION:
            reading.number()
        else:
            raise PolicyModuleInvalidError("the module imports something that is neither a function nor a memory")
        if kind == _MEMORY and names == wanted:
            limits = imports[description : reading.at]
        else:
            kept.append(imports[begin : reading.at])
    return _written(len(kept)) + b"".join(kept), limits


def _sections(module: bytes) -> Iterator[tuple[int, bytes]]:
    reading = _Reading(module)
    reading.at = _HEADER_BYTES
    while reading.at < len(module):
        number = reading.byte()
        yield number, reading.vector()


class _Reading:
    """A place in some bytes that moves forward as they are read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def byte(self) -> int:
        if self.at >= len(self._data):
            raise PolicyModuleInvalidError("the module ends in the middle of a section")
        self.at += 1
        return self._data[self.at - 1]

    def number(self) -> int:
        """An unsigned number of at most 32 bits (LEB128)."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise PolicyModuleInvalidError("the module has a number of more than 32 bits in a section's head")

    def vector(self) -> bytes:
        """Bytes behind their number."""
        length = self.number()
        end = self.at + length
        if end > len(self._data):
            raise PolicyModuleInvalidError("the module ends in the middle of a section")
        begin, self.at = self.at, end
        return self._data[begin:end]


def _written(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
