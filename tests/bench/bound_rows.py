"""Rows of the table about a signer with a policy of 10,000 fuel bound to every key, against one without."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from added_cost import added_cost
from bench_rows import SLOT_VALIDATORS, Row, Run, Source, all_different, of_one_slot
from bench_signers import bench_signer, remember, votes_of
from load_generator import Load, run_load, write_requests
from policy_rows import BURNS, FUEL, SAME_FOR_ALL_FACTS, module_of
from running import RunningSigner
from votes import Votes

NAME = "bench"
NAMESPACE = "default"
"""Of all keys of the bench's signers."""

BURNING = 32
"""Requests of the keys with burning policies that are under way all the time."""

RATE = 100
"""Requests a second of the other keys."""

Orders = Sequence[Sequence[str | Path]]


def bind_policy(signer: RunningSigner) -> None:
    """A policy that allows, on record and bound to every key. Raises RuntimeError where an order is refused."""
    _bind(signer, NAME, module_of(SAME_FOR_ALL_FACTS), f"namespace:{NAMESPACE}")


def _bind(signer: RunningSigner, name: str, module: bytes, target: str) -> None:
    folder = signer.directory / name
    if folder.is_dir():
        return  # since an earlier row
    folder.mkdir()
    (folder / "manifest.yaml").write_text(f"version: 1\nname: {name}\nkind: module\n", encoding="utf-8")
    (folder / "policy.wasm").write_bytes(module)
    orders: Orders = (("publish", folder), ("activate", name), ("bind", name, target))
    for words in orders:
        ended = signer.holdfast("policy", *words)
        if ended.returncode:
            raise RuntimeError(f"holdfast policy {words[0]}: {ended.stderr or ended.stdout}")


def one_slot_with_a_policy(run: Run) -> Iterator[Row]:
    """Sustained, 1,000 validators of one slot, one process."""
    yield _row(run, "one slot, 1,000 validators", source=of_one_slot, must=25, aim=15)


def all_different_with_a_policy(run: Run) -> Iterator[Row]:
    """Sustained, every message different, one process."""
    yield _row(run, "every message different", source=all_different, must=18, aim=18)


def _row(run: Run, case: str, *, source: Source, must: float, aim: float) -> Row:
    cost, notes = added_cost(run, source=source, prepare=bind_policy, name="bound")
    return Row(
        f"{case}, a policy of {FUEL:,} fuel bound to every key", f"{cost:.0f} % less", cost, must, aim,
        larger_is_better=False, notes=notes,
    )  # fmt: skip


def beside_a_burning_key(run: Run) -> Iterator[Row]:
    """100 requests a second of keys with a policy, while policies of two other keys burn all that they may."""
    directory = run.signers(SLOT_VALIDATORS, "burning")
    with bench_signer(directory) as signer, ThreadPoolExecutor(1) as threads:
        bind_policy(signer)
        everyone = votes_of(signer, directory / "progress")
        burning = Votes(everyone.public_keys[:2], port=signer.port)
        for number, key in enumerate(burning.public_keys):
            _bind(signer, f"burning-{number}", module_of(f"(drop (i32.const {number})) {BURNS}"), f"key:{key}")
        others = Votes(everyone.public_keys[2:], port=signer.port)
        burning.next_epoch = others.next_epoch = everyone.next_epoch
        _steady(run, signer, others)  # connections, caches, the first votes
        alone = _steady(run, signer, others)
        beside = []
        for _ in range(run.repeats):
            seconds = _seconds(run) + 1
            write_requests(run.directory / "burning-requests", burning.of_one_slot(int(2_000 * seconds)))
            burnt = threads.submit(
                run_load, signer.port, run.directory / "burning-requests", connections=BURNING, seconds=seconds
            )
            beside.append(_steady(run, signer, others))
            load = burnt.result()
            if load.refused != load.answered:
                raise RuntimeError("the burning policy has allowed something")
        everyone.next_epoch = others.next_epoch = max(others.next_epoch, burning.next_epoch)
        remember(everyone, directory / "progress")
    p50, p99 = (median(getattr(each, name) for each in beside) * 1e3 for name in ("p50", "p99"))
    notes = (
        f"{RATE} requests/s of {len(others.public_keys):,} other keys: p50 {p50:.1f} ms; without it p50"
        f" {alone.p50 * 1e3:.1f} ms, p99 {alone.p99 * 1e3:.1f} ms; the burning keys: {load.per_second:,.0f} refusals/s"
    )
    yield Row(
        "other keys' requests beside two burning policies, p99", f"{p99:.1f} ms", p99, 20, 10, larger_is_better=False,
        notes=notes,
    )  # fmt: skip


def _seconds(run: Run) -> float:
    return run.seconds * 2


def _steady(run: Run, signer: RunningSigner, votes: Votes) -> Load:
    write_requests(run.requests, votes.of_one_slot(int(_seconds(run) * RATE * 2)))
    load = run_load(signer.port, run.requests, connections=16, rate=RATE, seconds=_seconds(run))
    if load.refused:
        raise RuntimeError(f"{load.refused} of {load.answered} were not signed; the first: {load.first_refusal}")
    return load


BOUND_ROWS = {
    "slot-policy": one_slot_with_a_policy,
    "different-policy": all_different_with_a_policy,
    "burning-policy": beside_a_burning_key,
}
