"""A process that spends, and writes down each spending once its commit is durable; the tests kill it.

Arguments: the data directory. Output: one line `n` for each request of one unit that passed.
"""

import asyncio
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT.parent)]

from journal.record import open_record  # noqa: E402
from policy.counter_claims import commit, spend, with_counters  # noqa: E402

LIMIT = 10**6


async def spend_on(directory: Path) -> None:
    writer = with_counters(open_record(directory).writer)

    async def one() -> None:
        while await commit(writer, spend(1, limit=LIMIT)) == "signed":
            os.write(1, b"n\n")  # one write, so that a kill leaves a whole line or none

    await asyncio.gather(*(one() for _ in range(8)))


if __name__ == "__main__":
    asyncio.run(spend_on(Path(sys.argv[1])))
