"""What something costs a signer: two signers on the same keys, one of them with it, under the same load in turn."""

from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench_rows import SLOT_VALIDATORS, Run, Source, measure
from bench_signers import bench_signer, profile, remember, votes_of
from load_generator import Load
from running import RunningSigner

Prepare = Callable[[RunningSigner], None]
"""Gives a running signer what is to be measured, through its own interfaces."""


def added_cost(
    run: Run, *, source: Source, prepare: Prepare, name: str, keys: int = SLOT_VALIDATORS
) -> tuple[float, str]:
    """How many per cent of its throughput a signer loses, and how it was; `name` is that of its directory.

    Each pair is measured back to back and each signer is first in every other one, so that a machine that grows slower
    does not count for either.
    """
    plain, changed = run.signers(keys, "without"), run.signers(keys, name)
    with bench_signer(plain) as without, bench_signer(changed) as with_it:
        prepare(with_it)
        signers = {plain: without, changed: with_it}
        for directory, signer in signers.items():
            _load(run, directory, signer, source=source, seconds=min(1.0, run.seconds))  # connections, caches
        pairs = []
        for repeat in range(2 * run.repeats):
            order = [plain, changed] if repeat % 2 else [changed, plain]
            loads = {each: _load(run, each, signers[each], source=source, seconds=run.seconds) for each in order}
            pairs.append((loads[plain], loads[changed]))
        where = profile(with_it)
    cost = 100 * (1 - median(after.per_second / before.per_second for before, after in pairs))
    before, after = (median(load.per_second for load in column) for column in zip(*pairs, strict=True))
    p99_before, p99_after = (median(load.p99 for load in column) * 1e3 for column in zip(*pairs, strict=True))
    return cost, (
        f"{after:,.0f}/s against {before:,.0f}/s without; p99 {p99_after:.1f} ms against {p99_before:.1f} ms; {where}"
    )


def _load(run: Run, directory: Path, signer: RunningSigner, *, source: Source, seconds: float) -> Load:
    votes = votes_of(signer, directory / "progress")
    load = measure(run, signer, votes, source=source, seconds=seconds)
    remember(votes, directory / "progress")
    return load
