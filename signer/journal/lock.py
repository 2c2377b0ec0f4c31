"""One process at a time on a data directory: an flock on a file of its own.

The lock lives and dies with the open file: a killed process leaves none behind. It is not SQLite's own exclusive
mode, which would lock out our readers too.
"""

import fcntl
import os
import socket
import sys
from pathlib import Path

from signer.errors import BEGIN_OR_PUT_BACK, DataDirectoryInUseError, StartupError

LOCK_FILE = "lock"


class DirectoryLock:
    """Held from construction until `close`.

    Raises:
        DataDirectoryInUseError: another process holds it; the evidence names its process id.
        StartupError: the directory cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / LOCK_FILE
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartupError(
                f"the data directory {directory} cannot be used: {error.strerror}",
                remedy=f"{BEGIN_OR_PUT_BACK}; or correct storage.data_directory, its owner and its mode",
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 32, 0).decode(errors="replace").strip()
            os.close(self._file)
            raise DataDirectoryInUseError(
                f"another Holdfast (process {holder or 'unknown'}) uses {directory}",
                remedy="stop it first; two signers must never share a data directory",
                evidence={"process": holder},
            ) from error
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(self._file)
            raise StartupError(
                f"the data directory {directory} cannot be written: {error.strerror}",
                remedy="free space on its file system, or make it writable",
            ) from error

    def close(self) -> None:
        """Let go. The file stays: removing it would let two processes hold two locks."""
        os.close(self._file)


class DatabaseLock:
    """Held by whoever has a database open on this machine, under whatever path or copy: named by its identity.

    An abstract Unix socket: it dies with the process and leaves nothing on disk. It does not reach across machines or
    network namespaces.

    Raises:
        DataDirectoryInUseError: another process has this database, or a copy of it, open.
    """

    def __init__(self, database_id: bytes) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        if sys.platform != "linux":
            return
        try:
            self._socket.bind(f"\0holdfast-database-{database_id.hex()}")
        except OSError as error:
            self._socket.close()
            raise DataDirectoryInUseError(
                "another Holdfast on this machine uses this database, or a copy of it",
                remedy="stop it first; two signers must never work on copies of one record",
                evidence={"database_id": database_id.hex()},
            ) from error

    def close(self) -> None:
        """Let go."""
        self._socket.close()
