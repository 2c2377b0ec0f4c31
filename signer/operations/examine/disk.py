"""Does the disk keep what it says it has written? Its file system, its room, and a measured fsync."""

import os
import secrets
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from signer.errors import StartupError
from signer.operations.examine.finding import Finding, Grade, fault

MOUNTS = Path("/proc/self/mountinfo")
"""Where Linux tells what is mounted where (proc_pid_mountinfo(5))."""

NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
     "ocfs2", "smb3", "smbfs", "vboxsf"}
)  # fmt: skip
"""Types whose locks and write-ahead logs are not to be trusted (sqlite.org/wal.html: "does not work over a network
filesystem")."""

MEMORY_FILE_SYSTEMS = frozenset({"ramfs", "tmpfs"})
"""Types that forget everything when the power goes."""

LAYER_FILE_SYSTEMS = frozenset({"aufs", "overlay"})
"""Types of a container's own layer: gone with the container."""

SAMPLES = 200
"""Writes that are timed."""

BUDGET_SECONDS = 3.0
"""A slow disk is told from fewer."""

BLOCK_BYTES = 4096
"""What is written each time: one page of the database."""

SUSPICIOUS_SECONDS = 0.0001
"""A flash disk without protected cache needs 0.5 to 5 ms to make a page durable. Below this it has a protected cache,
or it says so too early."""

SLOW_SECONDS = 0.010
"""Median above which duties wait for the disk noticeably."""

TOO_SLOW_SECONDS = 0.5
"""99th percentile above which duties come too late: a client gives up after 2 to 5 s, and a batch may wait for two."""

LITTLE_BYTES = 2 << 30
"""Free space below which to warn: 10,000 validators write 1 GB a day."""

TOO_LITTLE_BYTES = 100 << 20
"""Free space below which the next commits may fail."""


@dataclass(frozen=True, slots=True)
class FileSystem:
    """What a directory is on."""

    type: str
    mount_point: Path


def find_file_system(directory: Path, *, mounts: Path = MOUNTS) -> FileSystem | None:
    """The file system of a directory; None where the system does not tell."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    real = directory.resolve()
    found = [
        FileSystem(right.split()[0], Path(_unescaped(left.split()[4])))
        for left, separator, right in (line.partition(" - ") for line in lines)
        if separator
    ]
    holding = [each for each in found if real.is_relative_to(each.mount_point)]
    # The deepest mount holds the directory; of several at one place the last covers the others.
    return max(reversed(holding), key=lambda each: len(each.mount_point.parts), default=None)


def examine_file_system(directory: Path, *, strict: bool, mounts: Path = MOUNTS) -> Finding:
    """Is it local and lasting?"""
    subject = "file system"
    found = find_file_system(directory, mounts=mounts)
    if found is None:
        return Finding(subject, Grade.SKIPPED, f"the file system of {directory} cannot be told on this system")
    sentence, remedy = _objection(found, directory)
    figures = {"type": found.type, "mount_point": str(found.mount_point)}
    if not sentence:
        return Finding(subject, Grade.OK, f"{directory} is on {found.type}", figures=figures)
    return Finding(subject, Grade.FAULT if strict else Grade.WARNING, sentence, remedy, figures)


def check_file_system(directory: Path) -> None:
    """For the start in production. Raises StartupError on a file system that is not local and lasting."""
    finding = examine_file_system(directory, strict=True)
    if finding.grade is Grade.FAULT:
        raise StartupError(finding.sentence, remedy=finding.remedy, evidence={"directory": str(directory)})


def examine_head_directory(head_file: Path, *, data_directory: Path) -> Finding:
    """Is there a place for a head file that is kept apart from the data, and may we write there?"""
    subject, directory = "head file", head_file.parent
    if directory == data_directory:
        sentence = f"{head_file} is beside the data: a restored directory brings its old head along"
        return Finding(subject, Grade.OK, sentence)
    if not directory.is_dir():
        remedy = "run `holdfast init`, which makes it where it may; if it is on another disk, mount that"
        return fault(subject, f"there is no {directory} for the head file (storage.head_file)", remedy=remedy)
    if not os.access(directory, os.W_OK | os.X_OK):
        remedy = "give it to the signer's user, mode 0700; in a systemd unit name it in ReadWritePaths"
        return fault(subject, f"{directory} cannot be written: the head file is replaced there", remedy=remedy)
    return Finding(subject, Grade.OK, f"{head_file} is apart from the data")


def examine_free_space(directory: Path) -> Finding:
    """Is there room for what will be written?"""
    state = os.statvfs(directory)
    free = state.f_bavail * state.f_frsize
    figures = {"free_bytes": free}
    sentence = f"{free / (1 << 30):.1f} GiB are free for {directory}"
    if free < TOO_LITTLE_BYTES:
        return Finding("free space", Grade.FAULT, sentence, "free space: a full disk stops signing", figures)
    if free < LITTLE_BYTES:
        return Finding("free space", Grade.WARNING, sentence, "plan for 1 GB a day for 10,000 validators", figures)
    return Finding("free space", Grade.OK, sentence, figures=figures)


def examine_fsync(directory: Path) -> Finding:
    """How long does it take until a page is durable?"""
    try:
        samples = measure_fsync(directory)
    except OSError as error:
        return fault(
            "fsync",
            f"no file can be written in {directory}: {error.strerror or error}",
            remedy="check the directory's owner and mode, and the disk",
        )
    return judge_fsync(samples)


def measure_fsync(directory: Path) -> list[float]:
    """Seconds of each of some overwrites of one page with fdatasync, in a file of its own. Raises OSError."""
    path = directory / f".holdfast-fsync-{secrets.token_hex(8)}"
    page = secrets.token_bytes(BLOCK_BYTES)
    samples: list[float] = []
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        path.unlink()  # nothing is left behind, whatever happens from here on
        os.pwrite(file, page, 0)
        os.fsync(file)
        end = time.monotonic() + BUDGET_SECONDS
        while len(samples) < SAMPLES and (not samples or time.monotonic() < end):
            started = time.perf_counter()
            os.pwrite(file, page, 0)
            os.fdatasync(file)
            samples.append(time.perf_counter() - started)
    finally:
        os.close(file)
    return samples


def judge_fsync(samples: Sequence[float]) -> Finding:
    """What the times mean: too good to be true, too slow, or right."""
    ordered = sorted(samples)
    median = statistics.median(ordered)
    late = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    figures = {"median_ms": round(median * 1000, 3), "p99_ms": round(late * 1000, 3), "samples": len(ordered)}
    sentence = f"a page is durable after {figures['median_ms']} ms (median), {figures['p99_ms']} ms (p99)"
    if late > TOO_SLOW_SECONDS:
        remedy = "use a local solid-state disk: duties would come too late"
        return Finding("fsync", Grade.FAULT, sentence, remedy, figures)
    if median > SLOW_SECONDS:
        remedy = "use a faster local disk: every duty waits for one such write"
        return Finding("fsync", Grade.WARNING, sentence, remedy, figures)
    if median < SUSPICIOUS_SECONDS:
        return Finding(
            "fsync",
            Grade.WARNING,
            sentence + ": faster than a disk without protected cache can be",
            "make sure that the disk has power-loss protection, or that its (or the hypervisor's) write cache is off: "
            "otherwise a power cut loses signatures that were given out",
            figures,
        )
    return Finding("fsync", Grade.OK, sentence, figures=figures)


def _objection(found: FileSystem, directory: Path) -> tuple[str, str]:
    if found.type in MEMORY_FILE_SYSTEMS:
        return f"{directory} is on {found.type}: in memory, gone with the power", "put it on a disk"
    if found.type in LAYER_FILE_SYSTEMS:
        return f"{directory} is on {found.type}: a container's own layer, gone with it", "mount a volume there"
    if found.type in NETWORK_FILE_SYSTEMS or found.type.startswith("fuse."):
        return (
            f"{directory} is on {found.type}: its locks and its order of writes are not to be trusted",
            "put it on a local disk",
        )
    return "", ""


def _unescaped(text: str) -> str:
    """Space, tab, newline and backslash are written as octal numbers."""
    for code in ("040", "011", "012", "134"):
        text = text.replace(f"\\{code}", chr(int(code, 8)))
    return text
