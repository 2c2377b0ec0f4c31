"""Write a file so that a crash leaves the old one or the new one; read a file without being fooled by it.

Rule 1: a private file is 0600 from its first byte, a private directory 0700.
Rule 2: nothing is durable until the file and then its directory are on the disk.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from signer.errors import StartupError, UnreadableFileError

PRIVATE_FILE_MODE = 0o600
PRIVATE_DIRECTORY_MODE = 0o700
PUBLIC_FILE_MODE = 0o644
"""Before the process's umask."""

_TEMPORARY_PREFIX = ".holdfast-writing-"
"""Begins the name of a file that is being written: hidden, so nobody loads it as a key or a configuration."""


def write_durably(path: Path, data: bytes, *, private: bool) -> None:
    """Replace `path` by a file with this content; on the disk when this returns.

    A crash before the rename leaves the old file and a temporary one (see `sweep`); a crash after it the new file.

    Raises:
        OSError: the disk is full or refuses; the old file is untouched.
    """
    stream_durably(path, (data,), private=private)


def stream_durably(path: Path, pieces: Iterable[bytes], *, private: bool) -> None:
    """As `write_durably`, for content that comes in pieces; what the pieces raise leaves the old file too."""
    temporary = path.with_name(_TEMPORARY_PREFIX + secrets.token_hex(8))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, PRIVATE_FILE_MODE if private else PUBLIC_FILE_MODE)
    try:
        with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123  # the descriptor was opened with its mode
            for piece in pieces:
                _write_all(file.fileno(), piece)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(directory: Path) -> None:
    """Remove what a crash left half written. Only for the one process that owns the directory. Raises OSError."""
    for leftover in directory.glob(_TEMPORARY_PREFIX + "*"):
        leftover.unlink(missing_ok=True)


def ensure_private_directory(directory: Path) -> None:
    """Create a directory, with its parents, that nobody else may enter; one that exists must be so already.

    Raises:
        StartupError: it belongs to somebody else, or others may read or enter it.
        OSError: it cannot be created.
    """
    created = _create_missing(directory)
    _check_private(directory.stat(), directory, mode=PRIVATE_DIRECTORY_MODE)
    for path in created:
        sync_directory(path.parent)


def read_regular(path: Path, *, limit_bytes: int) -> bytes:
    """The content of a regular file of at most `limit_bytes`. Symbolic links are followed; a pipe never blocks us.

    Raises:
        UnreadableFileError: missing, forbidden, too large, or a directory, device, pipe or socket.
    """
    content, _ = _read(path, limit_bytes)
    return content


def read_private(path: Path, *, limit_bytes: int) -> bytes:
    """As `read_regular`, for a file that is ours alone.

    Raises:
        StartupError: the file belongs to somebody else, or others may read or write it.
        UnreadableFileError: as for `read_regular`.
    """
    content, status = _read(path, limit_bytes)
    _check_private(status, path, mode=PRIVATE_FILE_MODE)
    return content


def is_private(path: Path) -> bool:
    """True if the file or directory is ours and closed to everybody else. Raises OSError."""
    return _is_private(path.stat())


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _create_missing(directory: Path) -> list[Path]:
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):  # somebody was quicker: the check that follows judges the result
            path.mkdir(mode=PRIVATE_DIRECTORY_MODE)
    return missing


def _read(path: Path, limit_bytes: int) -> tuple[bytes, os.stat_result]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # O_NONBLOCK: a pipe must not hold us
    except (OSError, ValueError) as fault:  # ValueError: a NUL byte in the name
        raise UnreadableFileError(str(path), reason=getattr(fault, "strerror", None) or str(fault)) from fault
    try:
        return _read_open(descriptor, path, limit_bytes)
    except OSError as fault:
        raise UnreadableFileError(str(path), reason=fault.strerror or str(fault)) from fault
    finally:
        os.close(descriptor)


def _read_open(descriptor: int, path: Path, limit_bytes: int) -> tuple[bytes, os.stat_result]:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        kind = "it is a directory" if stat.S_ISDIR(status.st_mode) else "it is not a regular file"
        raise UnreadableFileError(str(path), reason=kind)
    if status.st_size > limit_bytes:
        raise UnreadableFileError(str(path), reason=f"it has {status.st_size} bytes, more than {limit_bytes}")
    pieces: list[bytes] = []
    left = limit_bytes + 1  # it may have grown since fstat
    while left and (piece := os.read(descriptor, min(left, status.st_size + 1))):
        pieces.append(piece)
        left -= len(piece)
    if not left:
        raise UnreadableFileError(str(path), reason=f"it has more than {limit_bytes} bytes")
    return b"".join(pieces), status


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077


def _check_private(status: os.stat_result, path: Path, *, mode: int) -> None:
    if _is_private(status):
        return
    raise StartupError(
        f"{path} has mode {stat.S_IMODE(status.st_mode):04o} and owner {status.st_uid}: others than us may use it",
        remedy=f"chown it to user {os.geteuid()} and chmod it to {mode:04o}",
        evidence={"path": str(path), "mode": f"{stat.S_IMODE(status.st_mode):04o}", "owner": status.st_uid},
    )
