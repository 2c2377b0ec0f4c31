"""Slashing data in and out of a signer that signs meanwhile: how long, how much memory, and what its clients feel."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from subprocess import PIPE, Popen
from time import monotonic

from bench_rows import Row, Run
from bench_signers import bench_signer, remember, votes_of
from load_generator import Load, run_load, write_requests
from processes import resident_megabytes
from running import HOLDFAST, REPOSITORY, RunningSigner
from shared_rows import shared_bench_signer
from votes import MAINNET_ROOT, Votes

from interchange import Metadata, SignedAttestation, ValidatorHistory, serialise

ATTESTATIONS = 1_000_000
VALIDATORS = 1_000
SIGNERS = 1_000
RATE = 100
LOOK_SECONDS = 0.1


@dataclass(slots=True)
class Peak:
    """The most memory that some processes had together, MB."""

    megabytes: float = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def watch(self, *process_ids: int) -> None:
        """Look until `end` is called."""
        while not self._ended.wait(LOOK_SECONDS):
            self.megabytes = max(self.megabytes, sum(resident_megabytes(each) for each in process_ids))

    def end(self) -> None:
        """Look no more."""
        self._ended.set()


def write_document(file: Path, *, attestations: int) -> None:
    """So many votes of so many validators whom nobody knows."""
    source = random.Random(3076)
    each = attestations // VALIDATORS

    def histories() -> Iterator[ValidatorHistory]:
        for _ in range(VALIDATORS):
            votes = tuple(SignedAttestation(n, n + 1, source.randbytes(32)) for n in range(each))
            yield ValidatorHistory(source.randbytes(48), (), votes)

    with file.open("wb") as out:
        out.writelines(serialise(Metadata(bytes.fromhex(MAINNET_ROOT[2:])), histories()))


def slashing_data(run: Run) -> Iterator[Row]:
    """1,000,000 attestations imported and exported by the command line, by a signer with 100 requests a second."""
    directory = run.signers(SIGNERS, "interchange")
    with bench_signer(directory) as signer:
        votes = votes_of(signer, directory / "progress")
        yield from _in_and_out(run, signer, votes, record="")
        remember(votes, directory / "progress")


def shared_slashing_data(run: Run) -> Iterator[Row]:
    """The same on PostgreSQL; its own memory is not counted."""
    with shared_bench_signer(run.directory) as (_, signer):
        votes = Votes(signer.public_keys(), port=signer.port)
        yield from _in_and_out(run, signer, votes, record="PostgreSQL, ")


def _in_and_out(run: Run, signer: RunningSigner, votes: Votes, *, record: str) -> Iterator[Row]:
    attestations = 100_000 if run.quick else ATTESTATIONS
    file, out = run.directory / "document.json", run.directory / "out.json"
    write_document(file, attestations=attestations)
    _steady(run, signer, votes, seconds=2)
    quiet = _steady(run, signer, votes, seconds=run.seconds * 2)
    beside = []
    with _command(signer, "import", file) as (peak, took):
        while not took.end:
            beside.append(_steady(run, signer, votes, seconds=run.seconds * 2))
    import_seconds, import_peak = took(), peak.megabytes
    with _command(signer, "export", "--to", out) as (peak, took):
        pass
    export_seconds, export_peak = took(), peak.megabytes
    size = file.stat().st_size / 1e6
    file.unlink()
    out.unlink()
    name = f"{record}{attestations:,} attestations"
    notes = f"{size:.0f} MB, with {RATE} requests/s beside it"
    yield Row(f"{name}: import", f"{import_seconds:.0f} s", import_seconds, 60, 30, larger_is_better=False, notes=notes)
    yield Row(f"{name}: export", f"{export_seconds:.0f} s", export_seconds, 30, 15, larger_is_better=False)
    most = max(import_peak, export_peak)
    notes = "signer, the process that reads the document, and the command, together"
    yield Row(f"{name}: memory", f"{most:.0f} MB", most, 300, 250, larger_is_better=False, notes=notes)
    busy = median(load.p99 for load in beside)
    notes = (
        f"p99 {busy * 1e3:.1f} ms, median of {len(beside)} runs of {run.seconds * 2:.0f} s, worst"
        f" {max(load.p99 for load in beside) * 1e3:.0f} ms, against {quiet.p99 * 1e3:.1f} ms;"
        f" max {max(load.max for load in beside) * 1e3:.0f} ms"
    )
    ratio = busy / quiet.p99
    case = f"{record}signing during the import, p99"
    yield Row(case, f"{ratio:.1f} x", ratio, 10, 3, larger_is_better=False, notes=notes)


def _steady(run: Run, signer: RunningSigner, votes: Votes, *, seconds: float) -> Load:
    write_requests(run.requests, votes.of_one_slot(int(seconds * RATE * 2)))
    load = run_load(signer.port, run.requests, connections=16, rate=RATE, seconds=seconds)
    if load.refused:
        raise RuntimeError(f"{load.refused} of {load.answered} were not signed; the first: {load.first_refusal}")
    return load


@contextmanager
def _command(signer: RunningSigner, *words: str | Path) -> Iterator[tuple[Peak, "Took"]]:
    """Runs until the block is left and the command has ended."""
    peak, took = Peak(), Took(monotonic())
    command = [*HOLDFAST, "slashing", *words, "--json", "--config", signer.config_file]
    with Popen(command, cwd=REPOSITORY, stdout=PIPE, stderr=PIPE) as process:
        said: list[tuple[bytes, bytes]] = []

        def wait() -> None:
            said.append(process.communicate())
            took.end = monotonic()

        waiting = threading.Thread(target=wait)
        watching = threading.Thread(target=peak.watch, args=(signer.process.pid, process.pid))
        waiting.start()
        watching.start()
        try:
            yield peak, took
        finally:
            waiting.join()
            peak.end()
            watching.join()
    if process.returncode:
        raise RuntimeError(f"slashing {words[0]} ended with {process.returncode}: {said[0][1].decode()[-500:]}")


@dataclass(slots=True)
class Took:
    """How long something took, in seconds, once it has ended."""

    begin: float
    end: float = 0

    def __call__(self) -> float:
        return self.end - self.begin
