"""The numbered files that make and change our tables: `0001_name.sql` and on, each applied once, in order.

A database remembers the highest number alone. So a number that two files bear, or one that is missing and comes later,
would be a change that some databases never get.
"""

import re
from collections.abc import Mapping
from importlib.resources.abc import Traversable

from signer.errors import StartupError

_NAME = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")


def schema_files(folder: Traversable) -> Mapping[int, Traversable]:
    """The files of a folder by their numbers, ascending; files of other names are not asked about.

    Raises:
        StartupError: a number stands twice, or one is missing.
    """
    found: dict[int, Traversable] = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        name = _NAME.fullmatch(file.name)
        if name is None:
            continue
        number = int(name[1])
        if number in found:
            raise _broken(f"{found[number].name} and {file.name} have the same number")
        if number != len(found) + 1:
            raise _broken(f"there is no file with the number {len(found) + 1:04} before {file.name}")
        found[number] = file
    return found


def _broken(what: str) -> StartupError:
    return StartupError(
        f"this program's schema files are broken: {what}",
        remedy="install a whole release; nothing was changed",
    )
