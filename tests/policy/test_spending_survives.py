"""`kill -9` loses no spend: what a caller was told is spent is on record, whenever the process dies."""

import random
import subprocess
import sys
from pathlib import Path

from journal.record import open_record
from policy.counter_claims import NOON, commit, counter, spend, with_counters

from signer.journal.reader import read_sqlite
from signer.policy.counters import spent_of

SPENDER = Path(__file__).with_name("spending_process.py")
KILLS = 5


def on_record(directory: Path) -> int:
    with read_sqlite(directory / "journal.sqlite") as moment:
        return spent_of(moment, [counter()], at_seconds=NOON)[counter()]


async def test_a_killed_process_has_lost_no_spend_and_its_limit_still_holds(tmp_path: Path) -> None:
    chance = random.Random(9)
    told = 0
    for _ in range(KILLS):
        spender = subprocess.Popen([sys.executable, str(SPENDER), str(tmp_path)], stdout=subprocess.PIPE)
        assert spender.stdout is not None
        for _ in range(chance.randint(1, 60)):
            assert spender.stdout.readline() == b"n\n", "it spends until it is killed"
            told += 1
        spender.kill()
        told += len(spender.stdout.read().splitlines())
        spender.wait()
        spender.stdout.close()
        assert told <= on_record(tmp_path) <= told + 8, "at most what was under way was booked without a word of it"
        told = on_record(tmp_path)
    record = open_record(tmp_path)
    try:
        writer = with_counters(record.writer)
        assert await commit(writer, spend(1, limit=told)) == "COUNTER_LIMIT"
        assert await commit(writer, spend(1, limit=told + 1)) == "signed"
    finally:
        record.close()
