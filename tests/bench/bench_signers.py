"""Signers as production has them, for the bench: durable, every protection on, mainnet, keys that nobody knows."""

import http.client
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from load_generator import slow_fsync
from running import CURVE_ORDER, RunningSigner, free_port, set_up, write_configuration, write_raw_keys
from votes import Votes

KEY_SEED = 20_241_107
"""The bench's keys are the same in every run."""

SAMPLE = re.compile(
    r"^holdfast_(duty_stage_seconds|journal_batch_size|journal_batch_seconds|journal_fsync_seconds)_(sum|count)"
    r"(?:{(.*)})? (\S+)$",
    re.MULTILINE,
)
"""The sums and counts on the metrics page that tell where time goes."""

START_SECONDS = 600.0
"""The first load of 10,000 keys derives 10,000 public keys and seals them."""

SECTIONS: Mapping[str, Any] = {
    "preset": "production",
    "keys": {"quarantine_epochs": 0},
    "clock": {"source": "trusted"},
    "logging": {"level": "warning"},
}
"""`trusted`, because a bench machine's clock may be anything; the far-future guard stays on."""


def make_signer_directory(directory: Path, *, keys: int) -> None:
    """A directory with so many keys, ready to be started from."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = random.Random(KEY_SEED)
    write_raw_keys(directory / "keys", (source.randrange(1, CURVE_ORDER) for _ in range(keys)))


@contextmanager
def bench_signer(directory: Path, *, workers: int = 1, fsync_milliseconds: float = 0) -> Iterator[RunningSigner]:
    """A ready signer on a directory made by `make_signer_directory`, with a disk that is slower by so much."""
    metrics = {"enabled": True, "port": free_port()}
    config_file = write_configuration(directory, {**SECTIONS, "server": {"workers": workers}, "metrics": metrics})
    set_up(config_file)
    environment = {}
    if fsync_milliseconds:
        environment["LD_PRELOAD"] = str(slow_fsync())
        environment["SLOW_FSYNC_MICROSECONDS"] = str(round(fsync_milliseconds * 1000))
    signer = RunningSigner(config_file, environment=environment)
    try:
        signer.wait_until_ready(START_SECONDS)
        yield signer
    finally:
        signer.stop()


def profile(signer: RunningSigner) -> str:
    """Where the time of its requests went since the start, by its own metrics: the mean of each stage."""
    connection = http.client.HTTPConnection("127.0.0.1", signer.metrics_port, timeout=10)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    totals: dict[tuple[str, str], float] = defaultdict(float)
    for name, kind, labels, value in SAMPLE.findall(page):
        stage = re.search(r'stage="(\w+)"', labels)
        totals[stage[1] if stage else name, kind] += float(value)
    means = {key: totals[key, "sum"] / max(1.0, totals[key, "count"]) for key, _ in totals}
    stages = ", ".join(f"{stage} {means[stage] * 1e3:.1f}" for stage in ("queue", "policy", "journal", "crypto"))
    return (
        f"mean ms by stage: {stages}; batches of {means['journal_batch_size']:.0f}, "
        f"{means['journal_batch_seconds'] * 1e3:.1f} ms each, fsync {means['journal_fsync_seconds'] * 1e3:.2f} ms"
    )


def votes_of(signer: RunningSigner, progress: Path) -> Votes:
    """The votes that this signer's keys have not cast yet; `progress` remembers the epoch between servers."""
    votes = Votes(signer.public_keys(), port=signer.port)
    if progress.is_file():
        votes.next_epoch = json.loads(progress.read_text())
    return votes


def remember(votes: Votes, progress: Path) -> None:
    """Note the epoch of the next vote."""
    progress.write_text(json.dumps(votes.next_epoch))
