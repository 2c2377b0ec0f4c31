"""Deletions that are under way: whose files are still to be removed when a crash comes in between.

A name is noted before its key's tombstone is on record, and struck out once its files are gone. So whatever stands here
at a start with a tombstone is ended then; a key without one was never deleted. Files that an operator puts back later
stand nowhere here: they are not served, and not ours to remove.
"""

import re
import threading
from pathlib import Path

from signer.durable import read_private, write_durably

_FIRST_LINE = "holdfast deletions 1"
_NAME = re.compile(r"(0x)?[0-9a-f]{96}")
_MAX_BYTES = 1 << 20


class Deletions:
    """Owned by the process that keeps the record. Every call blocks: on a thread. Safe in parallel."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._writing = threading.Lock()

    def names(self) -> tuple[str, ...]:
        """The names (a public key in hexadecimal, as its files have it) whose files are to be removed.

        Raises:
            StartupError, UnreadableFileError: somebody else may have written the file, or it cannot be read.
        """
        if not self._file.exists():
            return ()
        first, *lines = read_private(self._file, limit_bytes=_MAX_BYTES).decode(errors="replace").splitlines() or [""]
        # Only whole names of a file of ours: what is removed for a name is built from it.
        return tuple(line for line in lines if _NAME.fullmatch(line)) if first == _FIRST_LINE else ()

    def begin(self, name: str) -> None:
        """Note a name; durable when this returns. Raises OSError."""
        with self._writing:
            self._write(sorted({*self.names(), name}))

    def end(self, name: str) -> None:
        """Strike a name out; durable when this returns. Raises OSError."""
        with self._writing:
            self._write([each for each in self.names() if each != name])

    def _write(self, names: list[str]) -> None:
        # Crash before the rename: the old list. After it: the new one. Either is right: see the head of this module.
        write_durably(self._file, "\n".join([_FIRST_LINE, *names, ""]).encode(), private=True)
