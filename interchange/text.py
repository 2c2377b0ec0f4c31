"""A JSON text that arrives in pieces, read from left to right in bounded memory.

Rule 1: a token (a string, a number, one record) is shorter than `WINDOW` characters. Before one is read that many
characters are at hand, or the end of the text; so a token is never seen cut in two, and none is read twice.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence

from interchange.errors import MalformedError

WINDOW = 65_536
"""Characters a token must be shorter than. The longest record of the format has about 200."""

_CHUNK = 262_144
"""Characters gathered at once: enough to make the joining cheap, little against the memory we may use."""

_SLICE_BYTES = 65_536
"""A piece longer than this is decoded in slices, so that a caller may hand over a whole file."""

_MAX_DEPTH = 512
"""Levels of nesting in an unknown member before the text is refused."""

_SPACE = re.compile(r"[ \t\n\r]*")


class JsonNumber(str):
    """A number as it was written. The format has none; keeping the text tells `5` from `"5"`."""

    __slots__ = ()


class RepeatedMember:
    """Stands for an object in which one name occurs twice."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Cursor:
    """The reading position in one text. Owned by one parse, for its length."""

    __slots__ = ("_column", "_decoder", "_line", "_slices", "buffer", "ended", "position")

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.buffer = ""
        self.position = 0
        self.ended = False
        self._slices = _slices(pieces)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._line = 1
        self._column = 1

    def refill(self) -> None:
        """Have `WINDOW` characters at hand, or all that are left. Moves `position` with the buffer."""
        if self.ended or len(self.buffer) - self.position >= WINDOW:
            return
        self._line, self._column = self.place(self.position)
        gathered = [self.buffer[self.position :]]
        size = len(gathered[0])
        while size < _CHUNK and not self.ended:
            characters = self._next_characters()
            gathered.append(characters)
            size += len(characters)
        self.buffer = "".join(gathered)
        self.position = 0

    def place(self, position: int) -> tuple[int, int]:
        """Line and column, from 1, of a position in the buffer."""
        newlines = self.buffer.count("\n", 0, position)
        if not newlines:
            return self._line, self._column + position
        return self._line + newlines, position - self.buffer.rfind("\n", 0, position)

    def start(self) -> int:
        """The position of the next token; good until the one after it is looked at."""
        self.peek()
        self.refill()
        return self.position

    def peek(self) -> str:
        """The next character that is not white space, left unread; "" at the end."""
        while True:
            self.refill()
            space = _SPACE.match(self.buffer, self.position)
            self.position = space.end() if space else self.position
            if self.position < len(self.buffer):
                return self.buffer[self.position]
            if self.ended:
                return ""

    def take(self, character: str, path: str) -> None:
        """Read this character. Raises MalformedError when another comes."""
        if self.peek() != character:
            raise self.malformed(path, repr(character))
        self.position += 1

    def take_either(self, separator: str, closer: str, path: str) -> bool:
        """Read one of both; True when it was the separator. Raises MalformedError."""
        character = self.peek()
        if not character or character not in (separator, closer):
            raise self.malformed(path, f"{separator!r} or {closer!r}")
        self.position += 1
        return character == separator

    def decode(self, path: str) -> object:
        """Read one small value whole: str, JsonNumber, bool, None, list, dict or RepeatedMember.

        Raises:
            MalformedError: it is not JSON, or as long as `WINDOW`.
        """
        start = self.start()
        try:
            value, end = _DECODER.raw_decode(self.buffer, start)
        except json.JSONDecodeError as error:
            cut_short = error.msg.startswith("Unterminated") or error.pos > len(self.buffer) - 16
            if cut_short and not self.ended:
                raise self._too_long(path) from None
            self.position = min(max(error.pos, start), len(self.buffer))
            raise self.malformed(path, "a JSON value") from None
        except (RecursionError, _NotJsonError) as error:
            deep = isinstance(error, RecursionError)
            expected = "fewer levels of nesting" if deep else "a JSON value, not NaN or Infinity"
            raise self.malformed(path, expected) from None
        if end - start >= WINDOW:
            raise self._too_long(path)
        self.position = end
        return value

    def decode_name(self, path: str) -> str:
        """Read a member's name and its colon. Raises MalformedError."""
        if self.peek() != '"':
            raise self.malformed(path, "a member name in double quotes")
        name = str(self.decode(path))
        self.take(":", path)
        return name

    def skip(self, path: str) -> None:
        """Read over one value of any size. Raises MalformedError."""
        closers: list[str] = []
        while True:
            if self._enter(closers, path):
                continue
            while closers:
                if self.take_either(",", closers[-1], path):
                    if closers[-1] == "}":
                        self.decode_name(path)
                    break
                closers.pop()
            else:
                return

    def malformed(self, path: str, expected: str) -> MalformedError:
        """An error about what stands at the position."""
        rest = self.buffer[self.position : self.position + 24]
        found = repr(rest) if rest else "the end of the text"
        error = MalformedError(path=path, found=found, expected=expected)
        return error.at(self.place(self.position))

    def _enter(self, closers: list[str], path: str) -> bool:
        """Read an opening bracket (True: a value of its own must follow) or a whole scalar or empty container."""
        opener = self.peek()
        if opener not in ("{", "["):
            self.decode(path)
            return False
        if len(closers) >= _MAX_DEPTH:
            raise self.malformed(path, f"at most {_MAX_DEPTH} levels of nesting")
        self.position += 1
        closer = "}" if opener == "{" else "]"
        if self.peek() == closer:
            self.position += 1
            return False
        closers.append(closer)
        if opener == "{":
            self.decode_name(path)
        return True

    def _next_characters(self) -> str:
        piece = next(self._slices, None)
        self.ended = piece is None
        try:
            return self._decoder.decode(piece or b"", final=self.ended)
        except UnicodeDecodeError as error:
            line, _ = self.place(len(self.buffer))
            found = f"bytes that are not UTF-8 ({error.reason}), on line {line} or later"
            raise MalformedError(path="$", found=found, expected="JSON in UTF-8") from None

    def _too_long(self, path: str) -> MalformedError:
        error = self.malformed(path, f"a value of fewer than {WINDOW} characters")
        error.found = f"a longer one, which begins {error.found}"
        return error


class _NotJsonError(Exception):
    """A constant that Python's reader knows and RFC 8259 does not."""


def _slices(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if len(piece) <= _SLICE_BYTES:
            yield piece
        else:
            yield from (piece[start : start + _SLICE_BYTES] for start in range(0, len(piece), _SLICE_BYTES))


def _members(pairs: Sequence[tuple[str, object]]) -> dict[str, object] | RepeatedMember:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return RepeatedMember(name)
        seen.add(name)
    return members


def _refuse_constant(_: str) -> object:
    raise _NotJsonError


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=_refuse_constant
)
