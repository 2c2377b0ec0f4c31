"""Ways to damage a module: bytes changed, cut out and put in, sections swapped, doubled and left out."""

from collections.abc import Callable
from random import Random

from binary_modules import HEADER, number, sections_of


def damaged(module: bytes, source: Random) -> bytes:
    """The module with one to three damages."""
    for _ in range(source.choice([1, 1, 1, 2, 3])):
        module = source.choice(_WAYS)(module, source)
    return module


def _flip(module: bytes, source: Random) -> bytes:
    if len(module) <= len(HEADER):
        return module
    at = source.randrange(len(HEADER), len(module))
    return module[:at] + bytes([module[at] ^ (1 << source.randrange(8))]) + module[at + 1 :]


def _change(module: bytes, source: Random) -> bytes:
    if len(module) <= len(HEADER):
        return module
    at = source.randrange(len(HEADER), len(module))
    return module[:at] + source.randbytes(1) + module[at + 1 :]


def _cut(module: bytes, source: Random) -> bytes:
    return module[: source.randint(0, len(module))]


def _remove(module: bytes, source: Random) -> bytes:
    at = source.randint(0, len(module))
    return module[:at] + module[at + source.randint(1, 8) :]


def _insert(module: bytes, source: Random) -> bytes:
    at = source.randint(0, len(module))
    return module[:at] + source.randbytes(source.randint(1, 8)) + module[at:]


def _swap_sections(module: bytes, source: Random) -> bytes:
    def swap(sections: list[bytes]) -> None:
        one, other = source.randrange(len(sections)), source.randrange(len(sections))
        sections[one], sections[other] = sections[other], sections[one]

    return _with_sections(module, swap)


def _double_section(module: bytes, source: Random) -> bytes:
    return _with_sections(module, lambda sections: sections.insert(0, source.choice(sections)))


def _leave_section_out(module: bytes, source: Random) -> bytes:
    return _with_sections(module, lambda sections: sections.remove(source.choice(sections)))


def _change_a_size(module: bytes, source: Random) -> bytes:
    """A section that says it is longer or shorter than it is."""

    def change(sections: list[bytes]) -> None:
        at = source.randrange(len(sections))
        sections[at] = sections[at][:1] + number(source.choice([0, 1, 2**31, 2**32 - 1])) + sections[at][2:]

    return _with_sections(module, change)


def _with_sections(module: bytes, change: Callable[[list[bytes]], None]) -> bytes:
    """A module that is damaged already stays as it is where its sections cannot be told apart."""
    try:
        sections = list(sections_of(module))
    except IndexError:
        return module
    if not sections:
        return module
    change(sections)
    return HEADER + b"".join(sections)


_WAYS = (
    *((_flip, _change) * 5), _cut, _remove, _insert,
    _swap_sections, _double_section, _leave_section_out, _change_a_size,
)  # fmt: skip
"""The small ones more often: most of what is left of a module after a large one is refused at once."""
