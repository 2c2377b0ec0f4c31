"""Signers as production has them, for the bench: durable, every protection on, mainnet, keys that nobody knows."""

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from load_generator import slow_fsync
from running import CURVE_ORDER, RunningSigner, set_up, write_configuration, write_raw_keys
from votes import Votes

KEY_SEED = 20_241_107
"""The bench's keys are the same in every run."""

START_SECONDS = 600.0
"""The first load of 10,000 keys derives 10,000 public keys and seals them."""

SECTIONS: Mapping[str, Any] = {
    "preset": "production",
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
    config_file = write_configuration(directory, {**SECTIONS, "server": {"workers": workers}})
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


def votes_of(signer: RunningSigner, progress: Path) -> Votes:
    """The votes that this signer's keys have not cast yet; `progress` remembers the epoch between servers."""
    votes = Votes(signer.public_keys(), port=signer.port)
    if progress.is_file():
        votes.next_epoch = json.loads(progress.read_text())
    return votes


def remember(votes: Votes, progress: Path) -> None:
    """Note the epoch of the next vote."""
    progress.write_text(json.dumps(votes.next_epoch))
