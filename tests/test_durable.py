"""Files that survive a crash, and files that must not fool us."""

import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from signer.durable import (
    ensure_private_directory,
    is_private,
    read_private,
    read_regular,
    sweep,
    write_durably,
)
from signer.errors import StartupError, UnreadableFileError

ROOT = Path(__file__).resolve().parent.parent

WRITER = """
import itertools, sys
from pathlib import Path
from signer.durable import write_durably
target = Path(sys.argv[1])
for number in itertools.count():
    write_durably(target, bytes([65 + number % 26]) * 300_000, private=True)
    if number == 3:
        print("writing", flush=True)
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_durably(file, b"old", private=False)
    write_durably(file, b"new", private=False)
    assert file.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("umask", "private", "mode"), [(0o000, True, 0o600), (0o022, False, 0o644), (0o077, False, 0o600)]
)
def test_a_private_file_is_0600_whatever_the_umask(tmp_path: Path, umask: int, private: bool, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_durably(tmp_path / "file", b"x", private=private)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "file") == mode


def test_a_private_file_replaces_an_open_one_by_a_closed_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    file.chmod(0o666)
    write_durably(file, b"new", private=True)
    assert mode_of(file) == 0o600


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_durably(file, b"old", private=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_durably(file, b"new" * 10_000, private=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_writer_killed_at_any_moment_leaves_one_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for _ in range(10):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, cwd=ROOT) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"writing\n"
            writer.send_signal(signal.SIGKILL)
        content = file.read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1
        assert mode_of(file) == 0o600
        sweep(tmp_path)
        assert os.listdir(tmp_path) == ["file"]


def test_sweeping_removes_only_what_we_left_half_written(tmp_path: Path) -> None:
    (tmp_path / ".holdfast-writing-00ff").write_bytes(b"half")
    (tmp_path / "keystore.json").write_bytes(b"whole")
    sweep(tmp_path)
    assert os.listdir(tmp_path) == ["keystore.json"]


def test_a_private_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ensure_private_directory(tmp_path / "data" / "keys")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "data") == mode_of(tmp_path / "data" / "keys") == 0o700
    ensure_private_directory(tmp_path / "data" / "keys")


def test_a_directory_that_others_may_enter_is_refused_with_the_remedy(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    with pytest.raises(StartupError, match="mode 0750") as caught:
        ensure_private_directory(tmp_path)
    assert "chmod it to 0700" in caught.value.remedy


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_private_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"secret")
    file.chmod(mode)
    assert not is_private(file)
    with pytest.raises(StartupError, match=f"mode {mode:04o}") as caught:
        read_private(file, limit_bytes=100)
    assert "chmod it to 0600" in caught.value.remedy
    file.chmod(0o400)
    assert read_private(file, limit_bytes=100) == b"secret"


def test_a_file_of_exactly_the_limit_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_regular(file, limit_bytes=5) == b"12345"
    with pytest.raises(UnreadableFileError, match="5 bytes, more than 4"):
        read_regular(file, limit_bytes=4)


def test_a_file_that_lies_about_its_size_is_bounded_too() -> None:
    with pytest.raises(UnreadableFileError, match="more than 10 bytes"):  # /proc files say they have 0 bytes
        read_regular(Path("/proc/self/status"), limit_bytes=10)
    assert b"Name:" in read_regular(Path("/proc/self/status"), limit_bytes=100_000)


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, reason in (
        (tmp_path, "is a directory"),
        (tmp_path / "pipe", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / "loop", "Too many levels of symbolic links"),
        (tmp_path / "missing", "No such file"),
        (tmp_path / "nul\0byte", "null byte"),
    ):
        with pytest.raises(UnreadableFileError, match=reason):
            read_regular(path, limit_bytes=100)


def test_a_symbolic_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    assert read_regular(tmp_path / "link", limit_bytes=1) == b"x"
