"""List the files of a directory that have one of some endings: not hidden, not below it, in order of name."""

import os
from pathlib import Path

from signer.errors import KeyFileError


def files_ending(directory: Path, endings: tuple[str, ...]) -> list[Path]:
    """The paths, sorted by name, so that the first of two equal keys is always the same one.

    Directories and pipes with such a name are listed too: reading them reports what they are.

    Raises:
        KeyFileError: the directory is missing or cannot be listed.
    """
    try:
        names = os.listdir(directory)  # noqa: PTH208  # names are enough, and ten thousand Path objects are not free
    except OSError as fault:
        raise KeyFileError(f"the directory cannot be listed: {fault.strerror}", file=str(directory)) from fault
    return [directory / name for name in sorted(names) if name.endswith(endings) and not name.startswith(".")]
