"""`kill -9` under load: whatever was signed is on the counter, and the limit holds over all restarts."""

import contextlib
import random
import threading
from pathlib import Path

import pytest
from duty_requests import NO_GUARD, Line, vote_body
from policy_signers import limited, policy_signer
from running import RunningSigner, interop_secret

from signer.journal.reader import read_sqlite
from signer.policy.bindings import ToNamespace

LIMIT = 120
KILLS = 3
THREADS = 4


class Spenders:
    """Threads that ask for one vote after the other, and count the signatures that they were given."""

    def __init__(self, signer: RunningSigner, key: str) -> None:
        self._signer = signer
        self._key = key
        self._lock = threading.Lock()
        self._epoch = 10
        self.signed = 0
        self.limited = threading.Event()
        self.reached = threading.Condition(self._lock)

    def run(self) -> None:
        with contextlib.suppress(OSError), contextlib.closing(Line(self._signer.port)) as line:
            while not self.limited.is_set():
                with self._lock:
                    self._epoch += 1
                    epoch = self._epoch
                answer = line.sign(self._key, vote_body(epoch, epoch + 1))
                with self._lock:
                    self.signed += bool(answer.signature)
                    self.reached.notify_all()
                if answer.verdict == "412 COUNTER_LIMIT":
                    self.limited.set()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_limit_holds_over_kills_and_nothing_that_was_signed_is_forgotten(tmp_path: Path, workers: int) -> None:
    chance = random.Random(7)
    sections = {**NO_GUARD, "server": {"workers": workers}}
    packs, bindings = [limited("capped", LIMIT)], [("capped", ToNamespace("default"))]
    with policy_signer(tmp_path, packs, bindings, secrets=[interop_secret(0)], sections=sections) as signer:
        spenders = Spenders(signer, signer.public_keys()[0])
        for life in range(KILLS + 1):
            threads = [threading.Thread(target=spenders.run) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            if life < KILLS:
                aim = spenders.signed + chance.randint(5, 20)
                with spenders.reached:
                    assert spenders.reached.wait_for(lambda aim=aim: spenders.signed >= aim, timeout=60)
                signer.kill()
            for thread in threads:
                thread.join()
            if life < KILLS:
                assert spenders.signed <= spent(signer) <= LIMIT
                signer.restart()
        assert spenders.limited.is_set()
        assert spenders.signed <= spent(signer) == LIMIT
        assert spenders.signed >= LIMIT - KILLS * THREADS, "a kill costs at most what was under way"


def spent(signer: RunningSigner) -> int:
    """What is on the counter."""
    with read_sqlite(signer.data_directory / "journal.sqlite") as moment:
        return sum(int(amount) for (amount,) in moment.rows("SELECT amount FROM policy_counters"))
