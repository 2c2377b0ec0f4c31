"""Modules put together byte by byte, for the tests of the engine: what the text format would be too slow or too
polite for. Source: WebAssembly core specification 2.0, section 5 (binary format).
"""

from collections.abc import Iterable, Iterator, Sequence

HEADER = b"\0asm\1\0\0\0"
I32, I64, F64 = 0x7F, 0x7E, 0x7C
NOTHING = 2
"""The type `() -> ()` of every module here; the two before it are those of the interface."""

OWN_TYPE = 3
"""The first of the types that the caller adds."""

END = b"\x0b"

_TYPES, _FUNCTIONS, _TABLES, _MEMORIES, _GLOBALS, _EXPORTS, _START, _ELEMENTS, _CODE, _DATA = (
    1,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
)


def number(value: int) -> bytes:
    """Unsigned LEB128."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def vector(items: Sequence[bytes]) -> bytes:
    return number(len(items)) + b"".join(items)


def function_type(parameters: Iterable[int] = (), results: Iterable[int] = ()) -> bytes:
    return b"\x60" + vector([bytes([each]) for each in parameters]) + vector([bytes([each]) for each in results])


def body(code: bytes, *, locals_: Sequence[tuple[int, int]] = ()) -> bytes:
    """A function's code with so many locals of each type."""
    text = vector([number(count) + bytes([kind]) for count, kind in locals_]) + code + END
    return number(len(text)) + text


def name(text: str) -> bytes:
    return number(len(text.encode())) + text.encode()


def section(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + number(len(content)) + content


def sections_of(module: bytes) -> Iterator[bytes]:
    """Each section of a valid module with its head."""
    at = len(HEADER)
    while at < len(module):
        start, at, length, shift = at, at + 1, 0, 0
        while True:
            byte = module[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += length
        yield module[start:at]


def binary_policy(
    *bodies: bytes,
    types: Sequence[bytes] = (),
    kinds: Sequence[int] = (),
    tables: Sequence[bytes] = (),
    globals_: Sequence[bytes] = (),
    exports: Sequence[bytes] = (),
    elements: Sequence[bytes] = (),
    data: Sequence[bytes] = (),
    start: int | None = None,
) -> bytes:
    """A policy that allows, with functions of its own behind its two: number 2 and on, of these kinds."""
    answer = b'{"verdict":"allow"}'
    parts = [
        (_TYPES, vector([function_type([I32], [I32]), function_type([I32, I32], [I64]), function_type(), *types])),
        (_FUNCTIONS, vector([number(0), number(1), *map(number, kinds or [NOTHING] * len(bodies))])),
        (_TABLES, vector(tables) if tables else b""),
        (_MEMORIES, vector([b"\0\1"])),
        (_GLOBALS, vector(globals_) if globals_ else b""),
        (
            _EXPORTS,
            vector(
                [
                    name("memory") + b"\2\0",
                    name("holdfast_allocate") + b"\0\0",
                    name("holdfast_evaluate_1") + b"\0\1",
                    *exports,
                ]
            ),
        ),
        (_START, b"" if start is None else number(start)),
        (_ELEMENTS, vector(elements) if elements else b""),
        (_CODE, vector([body(b"\x41\x80\x20"), body(b"\x42" + _signed(16 << 32 | len(answer))), *bodies])),
        (_DATA, vector([b"\0\x41\x10\x0b" + number(len(answer)) + answer, *data])),
    ]
    return HEADER + b"".join(section(kind, content) for kind, content in parts if content)


def _signed(value: int) -> bytes:
    """Signed LEB128 of a number that is not negative."""
    encoded = bytearray()
    while value >= 0x40:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
