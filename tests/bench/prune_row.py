"""Rows of the table: how long a vote takes while old records are pruned, against the same signer left alone."""

import subprocess
from collections.abc import Callable, Iterator
from statistics import median

import apsw
from bench_rows import SLOT_VALIDATORS, Row, Run
from bench_signers import bench_signer, remember, votes_of
from load_generator import Load, run_load, write_requests
from long_history import write_history, write_shared_history
from running import HOLDFAST, REPOSITORY, RunningSigner
from shared_rows import shared_bench_signer
from votes import Votes

HISTORY_VOTES = 2_000_000
REQUESTS_A_SECOND = 100
KEEP_EPOCHS = "100"
EVERYTHING = str(2**40)


def pruning(run: Run) -> Iterator[Row]:
    """p99 of 100 requests a second during pruning, and before it, back to back."""
    directory = run.signers(SLOT_VALIDATORS, "pruned")
    with bench_signer(directory) as signer:
        votes = votes_of(signer, directory / "progress")
    database = directory / "data" / "journal.sqlite"
    write_history(database, votes.public_keys, votes=_history(run), before_epoch=votes.next_epoch)
    with bench_signer(directory) as signer:
        votes = votes_of(signer, directory / "progress")
        yield _beside(run, signer, votes, record="", count=lambda: _count(database))
        remember(votes, directory / "progress")


def shared_pruning(run: Run) -> Iterator[Row]:
    """The same on PostgreSQL."""
    with shared_bench_signer(run.directory) as (server, signer):
        votes = Votes(signer.public_keys(), port=signer.port)
        first_epoch = votes.next_epoch
        _load(run, signer, votes)  # enters the validators
        write_shared_history(server, votes=_history(run), before_epoch=first_epoch)

        def count() -> int:
            return int(server.psql("SELECT count(*) FROM signed_attestations"))

        yield _beside(run, signer, votes, record="PostgreSQL, ", count=count)


def _history(run: Run) -> int:
    return 200_000 if run.quick else HISTORY_VOTES


def _beside(run: Run, signer: RunningSigner, votes: Votes, *, record: str, count: Callable[[], int]) -> Row:
    alone, beside, speeds = [], [], []
    _load(run, signer, votes)  # warm-up
    for _ in range(run.repeats):
        alone.append(_load(run, signer, votes))
        before = count()
        pruner = subprocess.Popen(
            [*HOLDFAST, "slashing", "prune", "--keep-epochs", KEEP_EPOCHS, "--config", signer.config_file],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
        )
        load = _load(run, signer, votes)
        if pruner.poll() is not None:
            raise RuntimeError("everything was pruned before the load was over: the history is too short")
        pruner.terminate()
        pruner.wait(30)
        beside.append(load)
        # An order that finds nothing waits for the one that is being carried out.
        signer.holdfast("slashing", "prune", "--keep-epochs", EVERYTHING, "--keep-slots", EVERYTHING)
        speeds.append((before + load.answered - count()) / load.seconds)
    quiet, busy = (median(load.p99 for load in loads) * 1e3 for loads in (alone, beside))
    notes = (
        f"p99 {busy:.1f} ms against {quiet:.1f} ms, p50 {median(load.p50 for load in beside) * 1e3:.1f} ms against "
        f"{median(load.p50 for load in alone) * 1e3:.1f} ms; about {median(speeds):,.0f} votes pruned a second"
    )
    case = f"{record}pruning, {REQUESTS_A_SECOND} requests/s, p99"
    return Row(case, f"{busy / quiet:.2f} x alone", busy / quiet, 2.0, 1.5, larger_is_better=False, notes=notes)


def _load(run: Run, signer: RunningSigner, votes: Votes) -> Load:
    write_requests(run.requests, votes.of_one_slot(int(run.seconds * 4 * REQUESTS_A_SECOND)))
    load = run_load(signer.port, run.requests, connections=16, rate=REQUESTS_A_SECOND, seconds=run.seconds * 4)
    if load.refused:
        raise RuntimeError(f"{load.refused} of {load.answered} were not signed; the first: {load.first_refusal}")
    return load


def _count(database: object) -> int:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        ((count,),) = connection.execute("SELECT count(*) FROM signed_attestations")
        return int(count)
    finally:
        connection.close()
