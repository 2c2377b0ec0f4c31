"""What a process and its children use, read from /proc."""

import os
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """This process and all its descendants that live."""
    parents: dict[int, list[int]] = {}
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            fields = _stat(int(directory.name))
            if fields:
                parents.setdefault(int(fields[1]), []).append(int(directory.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += parents.get(found[-1], [])
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its descendants, user and system, in seconds."""
    stats = [_stat(each) for each in family(pid)]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats if fields) / TICKS_PER_SECOND


def event_loop_seconds(pid: int) -> float:
    """Processor time of the main threads alone, of a process and its descendants: where the event loops run."""
    stats = [_stat(each, f"task/{each}/stat") for each in family(pid)]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats if fields) / TICKS_PER_SECOND


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process and its descendants in MB (10^6 bytes); shared pages count in each."""
    pages = 0
    for each in family(pid):
        try:
            pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _stat(pid: int, file: str = "stat") -> list[str]:
    """Fields 3 on of /proc/PID/stat (proc(5)): behind the name, which may hold anything; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text().rpartition(")")[2].split()
    except OSError:
        return []
