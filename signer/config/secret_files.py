"""Files that hold one secret: their first line, and whether others can read them."""

import os
import stat
from enum import Enum
from pathlib import Path

from signer.config.text_file import read_text
from signer.errors import ConfigError

OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""Any right of the group or of everybody else."""

OTHERS_OF_ROOTS_FILE = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
"""A file of root's may be read by our group: that is how Kubernetes mounts secrets for a user that is not root.
The rule is PostgreSQL's for its `ssl_key_file`."""

ENCRYPTED = stat.S_IWGRP | stat.S_IRWXO
"""A keystore is sealed by its password, and the deposit tools write it with mode 0440."""


MOUNTED_RIGHTS = stat.S_IRGRP | stat.S_IROTH
"""What Docker gives everybody on the secrets it mounts (0444), and Kubernetes if it is not told otherwise (0644)."""


class Exposure(Enum):
    """How open a file is to others than us."""

    CLOSED = "closed"
    MOUNTED = "mounted"
    """Root's, readable by all, on a read-only mount: the container engine's way. Others are those in the container."""

    OPEN = "open"


def read_first_line(file: Path, *, key: str) -> str:
    """The secret in a file: its first line, without the line's end.

    Raises:
        ConfigError: it cannot be read, is no text or begins with an empty line.
    """
    remedy = "make it readable for the user that runs the signer, and for nobody else"
    text = read_text(file, subject=f"{key} names {file}, which", remedy=remedy, key=key)
    line = text.partition("\n")[0].removesuffix("\r")
    if not line:
        raise ConfigError(
            f"{key} names {file}, whose first line is empty",
            where=str(file),
            key=key,
            remedy="write the secret in the first line",
        )
    return line


def is_open_to_others(path: Path, *, encrypted: bool = False) -> bool:
    """True when somebody else may read or change it; False when it is not there or its state cannot be had."""
    return find_exposure(path, encrypted=encrypted) is Exposure.OPEN


def find_exposure(path: Path, *, encrypted: bool = False) -> Exposure:
    """How open a file or directory is; one that is not there, or whose state cannot be had, is closed."""
    try:
        state = path.stat()
        read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return Exposure.CLOSED
    return judge_exposure(state, our_uid=os.geteuid(), read_only_mount=read_only, encrypted=encrypted)


def judge_exposure(
    state: os.stat_result, *, our_uid: int, read_only_mount: bool = False, encrypted: bool = False
) -> Exposure:
    """How open a file or directory in this state is."""
    rights = state.st_mode & forbidden_rights(state, our_uid=our_uid, encrypted=encrypted)
    if not rights:
        return Exposure.CLOSED
    mounted = read_only_mount and state.st_uid == 0 and our_uid != 0 and stat.S_ISREG(state.st_mode)
    return Exposure.MOUNTED if mounted and not rights & ~MOUNTED_RIGHTS else Exposure.OPEN


def forbidden_rights(state: os.stat_result, *, our_uid: int, encrypted: bool = False) -> int:
    """The rights that nobody else may have on a file or directory in this state."""
    if encrypted:
        return ENCRYPTED
    if state.st_uid == 0 and our_uid != 0 and stat.S_ISREG(state.st_mode):
        return OTHERS_OF_ROOTS_FILE
    return OTHERS
