"""The database's files under our feet: still the ones we opened, ours alone, and not shorter than we left them.

SQLite goes on writing to a file that was removed or replaced, and a restart would find nothing of it. A second name for
the file (a hard link, a symbolic link) would give a second process its own lock and its own write-ahead log.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from signer.errors import ForeignDatabaseError


@dataclass(frozen=True, slots=True)
class _File:
    device: int
    inode: int
    names: int
    size: int


class FilesInUse:
    """Owned by the writer, used on its thread. Two system calls for each look."""

    def __init__(self, database: Path) -> None:
        self._database = str(database)
        self._log = str(database) + "-wal"
        self._first = _look(self._database)
        self._newest_log: _File | None = None

    def check(self) -> None:
        """Raises FileNotFoundError: a file is not the one it was."""
        now = _look(self._database)
        if now is None or self._first is None or _identity(now) != _identity(self._first):
            raise FileNotFoundError(f"{self._database} was removed or replaced while in use")
        if now.names != 1:
            raise FileNotFoundError(f"{self._database} was given a second name while in use")
        log = _look(self._log)
        known = self._newest_log
        if known is not None and (log is None or _identity(log) != _identity(known) or log.size < known.size):
            raise FileNotFoundError(f"{self._log} was removed, replaced or cut while in use")
        self._newest_log = log

    def note(self, *, wal_may_shrink: bool) -> None:
        """We have just folded the write-ahead log in."""
        if wal_may_shrink:
            self._newest_log = None


def check_only_name(path: Path) -> None:
    """A file of the record must be a plain file with one name.

    Raises:
        ForeignDatabaseError: it is a symbolic link, or has a second name.
    """
    if path.is_symlink():
        raise ForeignDatabaseError(
            f"{path} is a symbolic link: two data directories could share it, each with a lock of its own",
            remedy="put the file itself there, or point storage.data_directory at the directory that holds it",
        )
    if path.exists() and path.stat().st_nlink != 1:
        raise ForeignDatabaseError(
            f"{path} has {path.stat().st_nlink} names (hard links): another signer may use it under another one",
            remedy="find and remove the other names: find / -samefile " + str(path),
        )


def _look(path: str) -> _File | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - a third of the cost, twice for every batch
    except FileNotFoundError:
        return None
    return _File(status.st_dev, status.st_ino, status.st_nlink, status.st_size)


def _identity(file: _File) -> tuple[int, int]:
    return file.device, file.inode
