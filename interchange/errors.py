"""Every error of the interchange library.

InterchangeError           JSON path, line and column where known, what stood there, what would be right
|- MalformedError          not JSON (RFC 8259), or beyond what this reader takes in one token
|- SchemaError             JSON, but not an EIP-3076 document of version 5
'- NetworkMismatchError    documents of different chains
"""

from typing import Self


class InterchangeError(Exception):
    """Something stands at `path` that may not stand there.

    `path` is a JSON path (`$.data[3].signed_blocks[0].slot`). `line` and `column` count from 1 and are None
    where the fault is not at one place of a text.
    """

    def __init__(self, *, path: str, found: str, expected: str) -> None:
        super().__init__(path, found, expected)
        self.path = path
        self.found = found
        self.expected = expected
        self.line: int | None = None
        self.column: int | None = None

    def at(self, place: tuple[int, int]) -> Self:
        """The same error, which now knows its line and column."""
        self.line, self.column = place
        return self

    def __str__(self) -> str:
        where = f"{self.path} (line {self.line}, column {self.column})" if self.line else self.path
        return f"{where}: found {self.found}; expected {self.expected}"


class MalformedError(InterchangeError):
    """Not a JSON text in UTF-8, or a token too long for this reader."""


class SchemaError(InterchangeError):
    """A JSON text that is not an EIP-3076 document of version 5."""


class NetworkMismatchError(InterchangeError):
    """Two documents of different chains: their genesis_validators_root differ."""
