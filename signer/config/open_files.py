"""Which files and directories with secrets others can read: faults in `production`, with the line that mends each."""

import os
import pwd
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from signer.config.fault import Fault, fault_of
from signer.config.key_sources import key_locations
from signer.config.secret_files import Exposure, find_exposure, is_open_to_others
from signer.config.sections import Config
from signer.config.setting import values
from signer.keys.exposure import find_secret_files

_NAMED_FILES = 3
"""How many files of one directory a fault names; the rest is counted."""


def open_data_directory(config: Config) -> Iterator[Fault]:
    """The data directory."""
    directory = config.storage.data_directory
    if is_open_to_others(directory):
        sentence = f"the data directory {directory} is open to others"
        yield fault_of(config, "storage.data_directory", sentence, f"chmod 700 {directory}")


def open_secret_files(config: Config) -> Iterator[Fault]:
    """Files that the configuration itself names."""
    for key, path in _named(config):
        if is_open_to_others(path):
            yield fault_of(
                config, key, f"{path} ({key}) is open to others", closing_line([path], mode="600", our_uid=os.geteuid())
            )


def open_key_files(config: Config) -> Iterator[Fault]:
    """Key files, and the keystores and password files that they name, wherever those are."""
    found = find_secret_files(key_locations(config.keys))
    named = {path for _, path in _named(config)}
    yield from _by_directory(config, (path for path in found.clear if path not in named), encrypted=False)
    yield from _by_directory(config, found.encrypted, encrypted=True)


def mounted_secrets(config: Config) -> Iterator[Fault]:
    """Secrets that a container engine mounts for everybody in the container: allowed, and worth a word."""
    found = find_secret_files(key_locations(config.keys))
    paths = {path: key for key, path in _named(config)}
    paths |= {path: _key_of(config, path) for path in found.clear}
    mounted = [path for path in paths if find_exposure(path) is Exposure.MOUNTED]
    if mounted:
        yield fault_of(
            config,
            paths[mounted[0]],
            f"every user of this machine or container can read {_names(mounted)}",
            "mount secrets with mode 0440 and the signer's group (Kubernetes: defaultMode: 0440 and fsGroup)",
        )


def closing_line(files: Sequence[Path], *, mode: str, our_uid: int) -> str:
    """The line for a shell that closes these files of one directory. Raises OSError.

    Where they are somebody else's they must become ours as well, or closing them would lock us out.
    """
    if len(files) <= _NAMED_FILES:
        words = " ".join(map(str, files))
    else:
        words = " ".join(f"{files[0].parent}/*{suffix}" for suffix in sorted({file.suffix for file in files}))
    if our_uid == 0 or all(file.stat().st_uid == our_uid for file in files):
        return f"chmod {mode} {words}"
    return f"as root: chown {_user_name(our_uid)} {words} && chmod {mode} {words}"


def _named(config: Config) -> Iterator[tuple[str, Path]]:
    for each in values(config):
        if each.member.setting.private_file and each.value is not None:
            yield each.key, each.value


def _by_directory(config: Config, files: Iterable[Path], *, encrypted: bool) -> Iterator[Fault]:
    """One fault for each directory."""
    groups: dict[Path, list[Path]] = {}
    for path in files:
        if is_open_to_others(path, encrypted=encrypted):
            groups.setdefault(path.parent, []).append(path)
    for directory, found in groups.items():
        key = _key_of(config, found[0])
        sentence = f"in {directory} ({key}) these files are open to others: {_names(found)}"
        mode = "o-rwx" if encrypted else "go-rwx"
        yield fault_of(config, key, sentence, closing_line(found, mode=mode, our_uid=os.geteuid()))


def _key_of(config: Config, path: Path) -> str:
    """The key that led to a file; a file that lies elsewhere was named by a key file."""
    for name in ("keystores_directory", "passwords_directory"):
        if getattr(config.keys, name) == path.parent:
            return f"keys.{name}"
    return "keys.config_directory"


def _names(files: list[Path]) -> str:
    more = f" and {len(files) - _NAMED_FILES} more" if len(files) > _NAMED_FILES else ""
    return ", ".join(file.name for file in files[:_NAMED_FILES]) + more


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
