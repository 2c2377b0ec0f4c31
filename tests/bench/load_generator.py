"""Compile and run the two C programs of this directory: the load generator and the slow-disk shim."""

import json
import os
import struct
import subprocess
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the load generator saw. Times in seconds."""

    answered: int
    refused: int
    seconds: float
    cpu_seconds: float
    p50: float
    p90: float
    p99: float
    max: float
    bursts: tuple[float, ...]
    first_refusal: str

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds

    @property
    def cores(self) -> float:
        """How much of one core the generator itself used."""
        return self.cpu_seconds / self.seconds


def compiled(source: str, *flags: str) -> Path:
    """The program made from a C file beside this one, compiled again when the file is newer."""
    made = BUILD / source.replace(".c", ".so" if "-shared" in flags else "")
    if not made.is_file() or made.stat().st_mtime < (HERE / source).stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
        fresh = made.with_name(f"{made.name}.{os.getpid()}")  # another process may be compiling it too
        subprocess.run([compiler, "-O2", "-o", fresh, HERE / source, *flags], check=True)
        fresh.replace(made)
    return made


def slow_fsync() -> Path:
    """The library that adds SLOW_FSYNC_MICROSECONDS to every fsync of a process it is preloaded into."""
    return compiled("slow_fsync.c", "-shared", "-fPIC", "-ldl")


def write_requests(file: Path, requests: Iterable[bytes]) -> None:
    """Write raw HTTP requests in the form the load generator reads: length, bytes, length, bytes."""
    with file.open("wb", buffering=1 << 20) as out:
        for request in requests:
            out.write(struct.pack("<I", len(request)))
            out.write(request)


def run_load(port: int, file: Path, *, connections: int = 1, **options: float) -> Load:
    """Send the requests of a file to a loopback port. Raises CalledProcessError when the server goes away."""
    command = [compiled("load.c"), "--port", port, "--file", file, "--connections", connections]
    for name, value in options.items():
        command += [f"--{name}", value]
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    return Load(**{**told, "bursts": tuple(told["bursts"])})
