"""The rows of the table: each measures one case of the promise, beside the machine's own limit at the same moment."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic

from bench_signers import bench_signer, make_signer_directory, profile, remember, votes_of
from load_generator import Load, run_load, write_requests
from long_history import write_history
from machine_limits import RawSigning
from processes import cpu_seconds, event_loop_seconds, resident_megabytes
from running import RunningSigner
from votes import Votes

IN_FLIGHT = 128
SLOT_VALIDATORS = 1_000
MANY_KEYS = 10_000
HISTORY_VOTES = 10_000_000

Source = Callable[[Votes, int], Iterable[bytes]]
"""How requests are drawn from the validators: all of one slot alike, or all different."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    case: str
    measured: str
    value: float
    """What is compared with must and aim."""

    must: float | None = None
    aim: float | None = None
    """Without them it is only told."""

    larger_is_better: bool = True
    notes: str = ""

    @property
    def verdict(self) -> str:
        """How far it got."""
        if self.must is None or self.aim is None:
            return "-"
        sign = 1 if self.larger_is_better else -1
        if sign * self.value >= sign * self.aim:
            return "aim"
        return "must" if sign * self.value >= sign * self.must else "MISSED"


@dataclass(slots=True)
class Run:
    """One run of the bench: its directory, its length, and the raw library to compare with. Owned by `main`."""

    directory: Path
    seconds: float
    repeats: int
    quick: bool
    raw: RawSigning = field(default_factory=RawSigning)

    @property
    def requests(self) -> Path:
        """The file of requests of the present case."""
        return self.directory / "requests"

    def signers(self, keys: int, name: str = "") -> Path:
        """A signer's directory with so many keys; made when it is not there yet."""
        directory = self.directory / f"{name or 'signer'}-{keys}"
        if not (directory / "keys").is_dir():
            make_signer_directory(directory, keys=keys)
        return directory


def of_one_slot(votes: Votes, count: int) -> Iterable[bytes]:
    """Every validator of a slot votes alike."""
    return votes.of_one_slot(count)


def all_different(votes: Votes, count: int) -> Iterable[bytes]:
    """No two votes alike."""
    return votes.all_different(count)


def sustained(run: Run, *, source: Source, workers: int = 1, fsync_ms: float = 0) -> tuple[float, str]:
    """Median ratio of signatures a second over the raw library's, each pair measured back to back; and how it was."""
    directory = run.signers(SLOT_VALIDATORS)
    with bench_signer(directory, workers=workers, fsync_milliseconds=fsync_ms) as signer:
        votes = votes_of(signer, directory / "progress")
        measure(run, signer, votes, source=source, seconds=1.0)  # warm-up: connections, caches, the first votes
        pairs, cpu, loops, loads = [], [], [], []
        for _ in range(run.repeats):
            limit = run.raw.per_second(run.seconds)
            before = cpu_seconds(signer.process.pid), event_loop_seconds(signer.process.pid)
            load = measure(run, signer, votes, source=source, seconds=run.seconds)
            after = cpu_seconds(signer.process.pid), event_loop_seconds(signer.process.pid)
            cpu.append((after[0] - before[0]) / load.answered * 1e6)
            loops.append((after[1] - before[1]) / load.answered * 1e6)
            pairs.append((load.per_second / limit, load.per_second, limit))
            loads.append(load)
        remember(votes, directory / "progress")
        where = profile(signer)
    ratio, rate, limit = (median(column) for column in zip(*pairs, strict=True))
    p50, p99, cores = (median(getattr(load, name) for load in loads) for name in ("p50", "p99", "cores"))
    return ratio, (
        f"{rate:,.0f}/s against {limit:,.0f}/s raw; server {median(cpu):.0f} us of CPU a request, "
        f"{median(loops):.0f} of it in event loops; p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms; {where}; "
        f"load generator {cores:.2f} of a core"
    )


def measure(run: Run, signer: RunningSigner, votes: Votes, *, source: Source, seconds: float) -> Load:
    """One load of requests, all of them signed. Raises RuntimeError where one was not."""
    # More than can be answered in that time: nothing in the file is sent twice.
    write_requests(run.requests, source(votes, int(25_000 * seconds)))
    # Of few keys fewer at once: two votes of one key that overtake each other would be refused.
    connections = min(IN_FLIGHT, max(1, len(votes.public_keys) // 4))
    load = run_load(signer.port, run.requests, connections=connections, seconds=seconds)
    _check(load)
    return load


def _check(load: Load) -> None:
    if load.refused:
        raise RuntimeError(f"{load.refused} of {load.answered} were not signed; the first: {load.first_refusal}")


def one_slot_one_process(run: Run) -> Iterator[Row]:
    """Sustained, 1,000 validators of one slot, one process."""
    ratio, notes = sustained(run, source=of_one_slot)
    yield Row("one slot, 1,000 validators, one process", f"{ratio:.2f} of raw", ratio, 0.65, 0.85, notes=notes)


def one_slot_workers(run: Run) -> Iterator[Row]:
    """The same with worker processes."""
    ratio, notes = sustained(run, source=of_one_slot, workers=2)
    yield Row("the same, 2 worker processes", f"{ratio:.2f} of raw", ratio, 0.85, 1.0, notes=notes)


def all_different_one_process(run: Run) -> Iterator[Row]:
    """Sustained, every message different, one process."""
    ratio, notes = sustained(run, source=all_different)
    yield Row("every message different, one process", f"{ratio:.2f} of raw", ratio, 0.5, 0.7, notes=notes)


def slow_disk(run: Run) -> Iterator[Row]:
    """The first two with a slower disk."""
    for milliseconds, must, aim in ((1, 0.5, 0.65), (5, 0.4, 0.6)):
        for workers, name in ((1, "one process"), (2, "2 worker processes")):
            ratio, notes = sustained(run, source=of_one_slot, workers=workers, fsync_ms=milliseconds)
            case = f"one slot, {name}, fsync +{milliseconds} ms, {IN_FLIGHT} in flight"
            yield Row(case, f"{ratio:.2f} of raw", ratio, must, aim, notes=notes)


def burst(run: Run) -> Iterator[Row]:
    """1,000 attestations at once, time to the last answer."""
    directory = run.signers(SLOT_VALIDATORS)
    with bench_signer(directory) as signer:
        votes = votes_of(signer, directory / "progress")
        ratios, times, cores = [], [], []
        for repeat in range(run.repeats + 1):
            limit = run.raw.seconds_for(SLOT_VALIDATORS)
            write_requests(run.requests, votes.of_one_slot(3 * SLOT_VALIDATORS))
            load = run_load(signer.port, run.requests, burst=SLOT_VALIDATORS, count=3 * SLOT_VALIDATORS)
            _check(load)
            if repeat:  # the first is the warm-up
                times += load.bursts
                ratios += [each / limit for each in load.bursts]
                cores.append(load.cores)
        remember(votes, directory / "progress")
    ratio = median(ratios)
    notes = f"last answer after {median(times) * 1e3:.0f} ms; load generator {median(cores):.2f} of a core"
    yield Row("burst of 1,000 at once", f"{ratio:.2f} x raw", ratio, 2.0, 1.2, larger_is_better=False, notes=notes)


def steady(run: Run) -> Iterator[Row]:
    """100 requests a second on a timetable."""
    directory = run.signers(SLOT_VALIDATORS)
    with bench_signer(directory) as signer:
        votes = votes_of(signer, directory / "progress")
        loads = []
        for _ in range(run.repeats):
            write_requests(run.requests, votes.of_one_slot(int(run.seconds * 400)))
            load = run_load(signer.port, run.requests, connections=16, rate=100, seconds=run.seconds * 4)
            _check(load)
            loads.append(load)
        remember(votes, directory / "progress")
    p99 = median(load.p99 for load in loads) * 1e3
    notes = f"p50 {median(load.p50 for load in loads) * 1e3:.2f} ms, max {max(load.max for load in loads) * 1e3:.1f} ms"
    yield Row("100 requests/s, p99", f"{p99:.1f} ms", p99, 10, 5, larger_is_better=False, notes=notes)


def many_keys(run: Run) -> Iterator[Row]:
    """Restart and memory with 10,000 keys."""
    keys = 1_000 if run.quick else MANY_KEYS
    directory = run.signers(keys)
    with bench_signer(directory):
        pass  # the first start opens the files and seals the keys
    times, memory = [], []
    for _ in range(run.repeats):
        begin = monotonic()
        with bench_signer(directory) as signer:
            times.append(monotonic() - begin)
            votes = votes_of(signer, directory / "progress")
            write_requests(run.requests, votes.of_one_slot(keys))
            _check(run_load(signer.port, run.requests, connections=IN_FLIGHT, count=keys))
            remember(votes, directory / "progress")
            memory.append(resident_megabytes(signer.process.pid))
    seconds, megabytes = median(times), median(memory)
    name = f"{keys:,} keys"
    yield Row(f"{name}: restart to ready", f"{seconds:.1f} s", seconds, 10, 3, larger_is_better=False)
    notes = "after every key has signed once"
    yield Row(f"{name}: memory", f"{megabytes:.0f} MB", megabytes, 500, 250, larger_is_better=False, notes=notes)


def long_history(run: Run) -> Iterator[Row]:
    """Server CPU of a request over a history of 10 million votes, against an empty one."""
    rows = 200_000 if run.quick else HISTORY_VOTES
    empty, full = (run.signers(SLOT_VALIDATORS, name) for name in ("empty", "history"))
    with bench_signer(full) as signer:
        votes = votes_of(signer, full / "progress")
    if votes.next_epoch == Votes([], port=0).next_epoch:
        write_history(full / "data" / "journal.sqlite", votes.public_keys, votes=rows, before_epoch=votes.next_epoch)
    with bench_signer(empty) as without, bench_signer(full) as with_history:
        costs: dict[Path, list[float]] = {empty: [], full: []}
        for repeat in range(2 * run.repeats + 1):
            for directory, signer in ((empty, without), (full, with_history)):
                votes = votes_of(signer, directory / "progress")
                cost = _cpu_per_request(run, signer, votes)
                remember(votes, directory / "progress")
                if repeat:
                    costs[directory].append(cost)
    bare, loaded = median(costs[empty]), median(costs[full])
    notes = f"{loaded:.0f} us of CPU a request against {bare:.0f} us"
    case = f"history of {rows:,} votes, server CPU of a request"
    yield Row(case, f"{loaded / bare:.2f} x empty", loaded / bare, 1.2, 1.05, larger_is_better=False, notes=notes)


def _cpu_per_request(run: Run, signer: RunningSigner, votes: Votes) -> float:
    count = int(run.seconds * 2_000)
    write_requests(run.requests, votes.all_different(count))
    before = cpu_seconds(signer.process.pid)
    load = run_load(signer.port, run.requests, connections=32, count=count)
    _check(load)
    return (cpu_seconds(signer.process.pid) - before) / load.answered * 1e6


ROWS: dict[str, Callable[[Run], Iterator[Row]]] = {
    "slot": one_slot_one_process,
    "workers": one_slot_workers,
    "different": all_different_one_process,
    "burst": burst,
    "disk": slow_disk,
    "steady": steady,
    "keys": many_keys,
    "history": long_history,
}
"""By the names that `make bench ROWS="..."` takes, in the order of the table."""
