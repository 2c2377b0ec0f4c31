"""Rows of the table for a shared PostgreSQL: one, two and four signers on one database, and a database far away.

The server is the row's own, on this machine: its cores are the signers' too, so that four signers on two cores say what
sharing costs, and not how far it scales. Far away is a proxy of the row's own that holds back what goes each way.
"""

import random
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from bench_rows import SLOT_VALIDATORS, Row, Run
from bench_signers import SECTIONS, START_SECONDS, make_signer_directory
from faults.cutting_proxy import CuttingProxy
from load_generator import Load, run_load, write_requests
from postgres_server import PostgresServer
from running import RunningSigner, free_port, set_up, write_configuration
from votes import Votes

SIGNERS = (1, 2, 4)
IN_FLIGHT = 256
LATENCY_SECONDS = 0.005
"""From a question to its answer: half of it each way."""


@contextmanager
def database_server() -> Iterator[PostgresServer]:
    """PostgreSQL as it comes, with its data on the bench's disk."""
    server = PostgresServer()
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.remove()


@contextmanager
def shared_signer(directory: Path, address: str) -> Iterator[RunningSigner]:
    """A ready signer on a shared database, through whichever port it is reached."""
    make_signer_directory(directory, keys=SLOT_VALIDATORS)
    sections = {**SECTIONS, "journal": {"url": address}, "metrics": {"enabled": True, "port": free_port()}}
    config_file = write_configuration(directory, {**sections, "preset": "development"})
    set_up(config_file)
    signer = RunningSigner(config_file)
    try:
        signer.wait_until_ready(START_SECONDS)
        yield signer
    finally:
        signer.stop()


@contextmanager
def shared_bench_signer(directory: Path) -> Iterator[tuple[PostgresServer, RunningSigner]]:
    """A database server, and one ready signer on it; both with a directory of their own."""
    with (
        database_server() as server,
        tempfile.TemporaryDirectory(dir=directory) as name,
        shared_signer(Path(name), server.url()) as signer,
    ):
        yield server, signer


def shared_database(run: Run) -> Iterator[Row]:
    """Signatures a second by signers on one database, against the raw library's at the same moment."""
    for count in SIGNERS:
        with database_server() as server, tempfile.TemporaryDirectory(dir=run.directory) as name, ExitStack() as stack:
            signers = [
                stack.enter_context(shared_signer(Path(name) / str(number), server.url())) for number in range(count)
            ]
            votes = _shares(signers)
            _together(run, signers, votes, in_flight=IN_FLIGHT // count)  # warm-up
            pairs = []
            for _ in range(run.repeats):
                limit = run.raw.per_second(run.seconds)
                loads = _together(run, signers, votes, in_flight=IN_FLIGHT // count)
                pairs.append((sum(load.per_second for load in loads) / limit, limit, max(load.p99 for load in loads)))
        ratio, limit, p99 = (median(column) for column in zip(*pairs, strict=True))
        notes = (
            f"{ratio * limit:,.0f}/s against {limit:,.0f}/s raw; p99 {p99 * 1e3:.0f} ms; {IN_FLIGHT} in flight in all"
        )
        yield Row(f"PostgreSQL, {count} signing processes", f"{ratio:.2f} of raw", ratio, 0.3, 0.5, notes=notes)


def far_database(run: Run) -> Iterator[Row]:
    """Signatures a second with a database that answers 5 ms later, against the same without."""
    with database_server() as server, tempfile.TemporaryDirectory(dir=run.directory) as name:
        proxy = CuttingProxy(server.port)
        address = server.url().replace(f":{server.port}/", f":{proxy.port}/")
        with shared_signer(Path(name) / "far", address) as signer:
            votes = _shares([signer])
            _together(run, [signer], votes, in_flight=IN_FLIGHT)  # warm-up
            pairs = []
            for _ in range(run.repeats):
                [near] = _together(run, [signer], votes, in_flight=IN_FLIGHT)
                proxy.delay_seconds = LATENCY_SECONDS / 2
                [far] = _together(run, [signer], votes, in_flight=IN_FLIGHT)
                proxy.delay_seconds = 0.0
                pairs.append((far.per_second / near.per_second, far.per_second, near.per_second, far.p99))
        proxy.close()
    ratio, far_rate, near_rate, p99 = (median(column) for column in zip(*pairs, strict=True))
    notes = f"{far_rate:,.0f}/s against {near_rate:,.0f}/s without; p99 {p99 * 1e3:.0f} ms; {IN_FLIGHT} in flight"
    yield Row("PostgreSQL 5 ms away, one process", f"{ratio:.2f} of none", ratio, 0.7, 0.9, notes=notes)


def _shares(signers: Sequence[RunningSigner]) -> list[Votes]:
    """Every signer has all keys, and votes for a share of them: no two vote for the same at once."""
    keys = signers[0].public_keys()
    random.Random(1).shuffle(keys)
    return [Votes(keys[n :: len(signers)], port=signer.port) for n, signer in enumerate(signers)]


def _together(run: Run, signers: Sequence[RunningSigner], votes: Sequence[Votes], *, in_flight: int) -> list[Load]:
    """Load on all of them at the same time."""
    files = [run.directory / f"requests-{number}" for number in range(len(signers))]
    for file, own in zip(files, votes, strict=True):
        write_requests(file, own.of_one_slot(int(10_000 * run.seconds)))
    loads: list[Load] = []

    def drive(signer: RunningSigner, file: Path) -> None:
        loads.append(run_load(signer.port, file, connections=in_flight, seconds=run.seconds))

    threads = [threading.Thread(target=drive, args=pair) for pair in zip(signers, files, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(loads) != len(signers):
        raise RuntimeError("a load generator has failed")
    for load in loads:
        if load.refused:
            raise RuntimeError(f"{load.refused} of {load.answered} were not signed; the first: {load.first_refusal}")
    return loads
