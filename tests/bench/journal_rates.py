"""How many decisions a second the finished journal makes durable, by how many callers wait at once.

Run as `python journal_rates.py DIRECTORY SECONDS`: a vote each, with its slashing check, audit entry and head file,
through the writer that the service uses. A process of its own, so that the slow disk can be preloaded. Prints JSON.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent)]

from signer.auth.principal import OPERATOR, Caller  # noqa: E402 - the path above comes first
from signer.interpreter import tune_interpreter  # noqa: E402
from signer.journal.command import Command  # noqa: E402
from signer.operations.record import Places, open_record  # noqa: E402
from signer.operations.story import DutyStory  # noqa: E402
from signer.slashing.ledger import AttestationClaim  # noqa: E402
from signer.units import Epoch, PublicKey, Root  # noqa: E402

CALLERS = (1, 32, 256)


def command(caller: Caller, validator: int, epoch: int) -> Command:
    """A new vote of one validator."""
    key, root = PublicKey(validator.to_bytes(48)), Root(epoch.to_bytes(32))
    claim = AttestationClaim(key, Epoch(epoch - 1), Epoch(epoch), root)
    story = DutyStory(caller, key, "ATTESTATION", epoch - 1, epoch, root, time_ms=1)
    return Command((claim,), story)


async def rate(directory: Path, *, callers: int, seconds: float) -> float:
    """Commits a second with so many callers, each waiting for its own."""
    record = open_record(
        Places(directory, directory / "head"), genesis_validators_root=Root(bytes(32)), on_death=lambda error: None
    )
    begin = time.perf_counter()
    caller = Caller(OPERATOR)

    async def vote_on(validator: int) -> int:
        epoch = 1
        while time.perf_counter() - begin < seconds:
            await record.writer.commit(command(caller, validator, epoch))
            epoch += 1
        return epoch - 1

    counts = await asyncio.gather(*(vote_on(validator) for validator in range(1, callers + 1)))
    elapsed = time.perf_counter() - begin
    record.close()
    return sum(counts) / elapsed


def main() -> None:
    """Measure each number of callers in a directory of its own."""
    import uvloop

    tune_interpreter()
    rates = {}
    for callers in CALLERS:
        directory = Path(sys.argv[1]) / f"journal-{callers}-{os.getpid()}"
        directory.mkdir(mode=0o700)
        rates[callers] = uvloop.run(rate(directory, callers=callers, seconds=float(sys.argv[2])))
    json.dump(rates, sys.stdout)


def measured(directory: Path, *, seconds: float, environment: dict[str, str]) -> dict[int, float]:
    """Commits a second by number of callers, from a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, directory, str(seconds)],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return {int(callers): each for callers, each in json.loads(done.stdout).items()}


if __name__ == "__main__":
    main()
