"""A signer process of a test: votes for what it is told by its seed, and says each released vote before the next batch.

Line: `<key> <source> <target> <mark>` for what would be signed and released; `- <code>` for what failed.
"""

import asyncio
import random
import sys
from pathlib import Path

from journal.record import vote
from journal.shared_record import open_shared
from properties.test_no_history_is_slashable import propose_vote

from signer.errors import RefusalError, SignerError, StartupError

KEYS = 6


async def run(url: str, directory: Path, seed: int, turns: int) -> None:
    deaths: list[Exception] = []
    while True:
        try:
            record = await asyncio.to_thread(open_shared, url, directory, on_death=deaths.append, deadline_seconds=1.0)
            break
        except StartupError as error:
            if "answer" not in error.sentence:
                raise
            print("-", error.code, flush=True)  # the database is being killed: what runs us would start us again
    chance = random.Random(seed)
    print("ready", flush=True)
    turn = 0
    while turn < turns:
        served = True
        horizon = 5 + turn // 2
        wanted = [(chance.randrange(KEYS), propose_vote(chance, horizon=horizon)) for _ in range(8)]
        commands = [vote(v[0], v[1], key=k, mark=10 * v[0] + v[2]) for k, v in wanted]
        for (key, one), future in zip(wanted, record.writer.commit_all(commands), strict=True):
            try:
                await future
            except RefusalError:
                continue
            except SignerError as error:
                print("-", error.code, flush=True)
                served = False  # this turn does not count: whoever ends while nothing serves cannot say goodbye
                await asyncio.sleep(0.01)  # the client's pause; not waited upon by anybody
            else:
                print(key, one[0], one[1], 10 * one[0] + one[2], flush=True)
        if deaths:
            print("died", type(deaths[0]).__name__, deaths[0], flush=True)
            break
        turn += served
    await asyncio.to_thread(record.close)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
