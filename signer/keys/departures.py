"""Keys that have left for another signer, noted outside of the database: an older copy of it does not know of them.

The file lies beside the head file, which a restored database does not bring back either. A key stands in it with the
number of the move by which it left (`moves.py`), from before the commit of that move on. It is struck out once the
record tells that the key is here by that move or a later one, which no copy from before the move can tell. So a note
that a crash has left behind never lets a key sign: at worst a key stays out of service that has not left, after an
accepted restore, until an operator takes it back (`holdfast migrate undo`).
"""

import re
import threading
from collections.abc import Mapping
from pathlib import Path

from signer.durable import read_private, write_durably
from signer.errors import CorruptDatabaseError, KeyStateError
from signer.keys.moves import Moves
from signer.units import PublicKey

_FIRST_LINE = "holdfast departures 1"
_LINE = re.compile(r"0x([0-9a-f]{96}) ([1-9][0-9]{0,17})")
_MAX_BYTES = 1 << 26
"""Half a million keys."""


class Departures:
    """Owned by the process that keeps the record. Every call blocks: on a thread. Safe in parallel."""

    def __init__(self, head_file: Path) -> None:
        """Beside the head file, whose name it bears."""
        self._file = head_file.with_name(head_file.name + "-departures")
        self._writing = threading.Lock()

    def numbers(self) -> Mapping[PublicKey, int]:
        """The keys that have left, and the number of the move by which each did.

        Raises:
            StartupError, UnreadableFileError: somebody else may have written the file, or it cannot be read.
            CorruptDatabaseError: it is no such file.
        """
        if not self._file.exists():
            return {}
        text = read_private(self._file, limit_bytes=_MAX_BYTES).decode(errors="replace")
        first, *lines = text.splitlines() or [""]
        found = [_LINE.fullmatch(line) for line in lines]
        if first != _FIRST_LINE or None in found:
            raise CorruptDatabaseError(
                f"{self._file} is damaged: nobody can tell which keys have left",
                remedy="restore it from a backup; or, if you know where every key signs, move it away",
            )
        return {PublicKey(bytes.fromhex(line[1])): int(line[2]) for line in found if line is not None}

    def note(self, numbers: Mapping[PublicKey, int]) -> None:
        """These keys leave by these moves; durable when this returns. Raises KeyStateError: nothing was noted."""
        with self._writing:
            known = self.numbers()
            merged = {**known, **{key: max(number, known.get(key, 0)) for key, number in numbers.items()}}
            self._write(known, merged)

    def follow(self, moves: Mapping[PublicKey, Moves]) -> None:
        """Take over what the record tells, as far as that is newer; durable when this returns. Raises KeyStateError."""
        with self._writing:
            known = self.numbers()
            told = dict(known)
            for key, one in moves.items():
                if one.is_here and one.count >= told.get(key, one.count + 1):
                    del told[key]
                elif not one.is_here and one.count > told.get(key, 0):
                    told[key] = one.count
            self._write(known, told)

    def _write(self, known: Mapping[PublicKey, int], numbers: Mapping[PublicKey, int]) -> None:
        if numbers == known:
            return
        lines = [f"0x{key.hex()} {numbers[key]}" for key in sorted(numbers)]
        try:
            # Crash before the rename: the old list. After it: the new one.
            write_durably(self._file, "\n".join([_FIRST_LINE, *lines, ""]).encode(), private=True)
        except OSError as error:
            raise KeyStateError(f"{self._file} cannot be written, so no key has moved: {error}") from error
