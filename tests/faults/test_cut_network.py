"""The cable between a signer and its database is pulled: nobody refuses, nobody answers, and nothing signs twice."""

import os
import queue
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.cutting_proxy import CuttingProxy
from faults.networks import DATABASE_SIDE, Cable, Network
from faults.shared_judge import check_all_on_record, check_no_slashable_pair, released_by
from postgres_server import PostgresServer

TESTS = Path(__file__).resolve().parent.parent
LINE_SECONDS = 60


class Signer:
    """A signer process whose lines are read as they come."""

    def __init__(self, command: list[str]) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.lines: list[str] = []
        self._new: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._new.put(line.rstrip("\n"))
        self._new.put(None)

    def read_until(self, *, released: int = 0, failed: int = 0) -> None:
        """So many more votes were released and so many refused for want of the database."""
        while released > 0 or failed > 0:
            line = self._new.get(timeout=LINE_SECONDS)
            assert line is not None, self.lines[-5:]
            self.lines.append(line)
            released -= line[0].isdigit()
            failed -= line.startswith("- ")

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()
        while (line := self._new.get(timeout=LINE_SECONDS)) is not None:
            self.lines.append(line)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def far() -> Iterator[tuple[Network, Cable, Network]]:
    near, signers = Network(), Network()
    yield near, Cable(near, signers), signers
    signers.close()
    near.close()


async def test_a_signer_cut_off_signs_nothing_another_goes_on_and_both_sign_once_the_cable_is_back(
    far: tuple[Network, Cable, Network], postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    near, cable, signers = far
    proxy = CuttingProxy(postgres.port, listener=near.listener(DATABASE_SIDE))
    database = database_url.rpartition("/")[2]
    program = [sys.executable, str(TESTS / "faults" / "shared_signer.py")]
    distant = f"postgresql://postgres@{DATABASE_SIDE}:{proxy.port}/{database}"
    cut_off = Signer(signers.inside(*program, distant, str(tmp_path / "cut"), "1", "1000000"))
    beside = Signer([*program, database_url, str(tmp_path / "beside"), "2", "1000000"])
    try:
        for _ in range(2):
            for signer in (cut_off, beside):
                signer.read_until(released=30)
            cable.pull()
            cut_off.read_until(failed=8)  # its batch was under way at most once: each of these found no database
            said = len(cut_off.lines)
            beside.read_until(released=30)
            cut_off.read_until(failed=8)
            assert not [line for line in cut_off.lines[said:] if not line.startswith("- ")]
            cable.plug()
        for signer in (cut_off, beside):
            signer.read_until(released=30)
    finally:
        for signer in (cut_off, beside):
            signer.end()
        proxy.close()
    released = defaultdict(list)
    for signer in (cut_off, beside):
        assert "Traceback" not in "\n".join(signer.lines)
        for key, vote in released_by(signer.lines):
            released[key].append(vote)
    check_no_slashable_pair(released)
    await check_all_on_record(database_url, released)
