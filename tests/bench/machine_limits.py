"""What this machine can do at most: whole signatures, fsyncs and empty HTTP requests a second; and who it is."""

import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from load_generator import run_load, write_requests
from running import free_port

from signer.crypto import bls

CORES = len(os.sched_getaffinity(0))


class RawSigning:
    """The BLS library alone, every core busy, every message hashed anew."""

    def __init__(self) -> None:
        self.bls = bls.load()
        self.secret = bls.SecretKey.from_bytes((0x1234567).to_bytes(32, "big"))

    def per_second(self, seconds: float) -> float:
        """Whole signatures a second on all cores."""
        deadline = time.perf_counter() + seconds
        counts = [0] * CORES

        def sign(number: int) -> None:
            while time.perf_counter() < deadline:
                self.bls.sign(self.secret, number.to_bytes(8) + counts[number].to_bytes(24))
                counts[number] += 1

        begin = time.perf_counter()
        _in_threads(sign)
        return sum(counts) / (time.perf_counter() - begin)

    def seconds_for(self, count: int) -> float:
        """Seconds for so many whole signatures on all cores."""
        share = -(-count // CORES)

        def sign(number: int) -> None:
            for each in range(share):
                self.bls.sign(self.secret, number.to_bytes(8) + each.to_bytes(24))

        begin = time.perf_counter()
        _in_threads(sign)
        return time.perf_counter() - begin


def _in_threads(work) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(CORES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def fsyncs_per_second(directory: Path, seconds: float) -> float:
    """Appends of 4 KiB, each made durable, a second."""
    file = directory / "fsync.probe"
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    count, begin = 0, time.perf_counter()
    try:
        while time.perf_counter() - begin < seconds:
            os.pwrite(descriptor, bytes(4096), 4096 * (count % 1024))
            os.fdatasync(descriptor)
            count += 1
        return count / (time.perf_counter() - begin)
    finally:
        os.close(descriptor)
        file.unlink()


@contextmanager
def _empty_server() -> Iterator[int]:
    port = free_port()
    server = Path(__file__).resolve().parent / "empty_server.py"
    process = subprocess.Popen([sys.executable, server, str(port)])
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def empty_requests_per_second(directory: Path, seconds: float) -> float:
    """Requests of an attestation's size a second through one aiohttp process that does nothing."""
    body = b"x" * 700
    head = b"POST /api/v1/eth2/sign/x HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 700\r\n\r\n"
    file = directory / "empty.requests"
    write_requests(file, (head + body for _ in range(int(seconds * 80_000))))
    with _empty_server() as port:
        for _ in range(200):
            with suppress(subprocess.CalledProcessError):
                run_load(port, file, count=1)
                break
            time.sleep(0.02)
        load = run_load(port, file, connections=32, seconds=seconds)
    file.unlink()
    return load.per_second


def description() -> str:
    """The machine in one line."""
    model = "unknown processor"
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {CORES} cores, {memory_gib:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at start"
    )
