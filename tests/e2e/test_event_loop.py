"""The event loop of a busy signer answers everybody else: nothing heavy runs on it.

Measured from outside: how long a probe takes that needs the loop alone, while votes are signed, batches are judged and
large blocks are decoded. The bounds are generous, and one quiet stretch of several is enough, because other tests share
the machine; work that ran on the loop would break them in every stretch.
"""

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from duty_requests import NO_GUARD, fork_info, line_to, sign_request, vote_body
from running import RunningSigner, interop_secret, running_signer

STRETCH_SECONDS = 4.0
MOST_STRETCHES = 6
MEDIAN_SECONDS = 0.1
SLOW_SECONDS = 0.25
MOST_SLOW_SHARE = 0.25
"""Of a stretch, how much may pass in probes slower than that."""

MOST_SECONDS = 1.0


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    secrets = [interop_secret(number) for number in range(256)]
    sections = {**NO_GUARD, "server": {"request_deadline_seconds": 60}}
    with running_signer(tmp_path_factory.mktemp("busy"), secrets=secrets, sections=sections) as running:
        yield running


class Load:
    """Threads that keep the signer busy until they are told to stop; each counts what it did."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.answers = 0

    def repeat(self, step: Callable[[int], None]) -> None:
        number = 0
        while not self.stopped.is_set():
            step(number)
            number += 1
            self.answers += 1


def probe(port: int, until: float) -> list[float]:
    """Seconds that each probe took."""
    taken = []
    with line_to(port) as line:
        while time.monotonic() < until:
            started = time.monotonic()
            assert line.ask(b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").status == 200
            taken.append(time.monotonic() - started)
            time.sleep(0.005)  # the rhythm of the measurement
    return taken


def is_prompt(taken: list[float]) -> bool:
    """Whether probes were answered as a loop answers that has nothing heavy to do."""
    slow = sum(each for each in taken if each > SLOW_SECONDS)
    return (
        len(taken) > 20
        and statistics.median(taken) < MEDIAN_SECONDS
        and slow < MOST_SLOW_SHARE * STRETCH_SECONDS
        and max(taken) < MOST_SECONDS
    )


def large_altair_block(vectors: Path, slot: int) -> bytes:
    """A recorded Altair block with as many attestations as a block may have."""
    recording = json.loads((vectors / "lodestar-requests" / "BLOCK_V2.altair.mainnet.json").read_text())
    request = next(one["request"] for one in recording["vectors"] if one["request"]["beacon_block"]["block"])
    block = request["beacon_block"]["block"]
    attestation = {
        "aggregation_bits": "0x" + "ff" * 256 + "01",
        "data": vote_body(1, 2)["attestation"],
        "signature": "0x" + "c0" + "00" * 95,
    }
    block = {**block, "slot": str(slot), "body": {**block["body"], "attestations": [attestation] * 128}}
    request = {"type": "BLOCK_V2", "fork_info": fork_info(), "beacon_block": {"version": "ALTAIR", "block": block}}
    return json.dumps(request).encode()


def test_a_busy_signer_answers_probes(vectors: Path, signer: RunningSigner) -> None:
    keys, load = signer.public_keys(), Load()
    # Slots and epochs that rise: everything asked for is signed.
    blocks = [json.loads(large_altair_block(vectors, slot)) for slot in range(1, 200)]

    def votes(number: int) -> None:
        assert lines[0].sign(keys[number % 64], vote_body(number // 64, number // 64 + 1)).signature

    def proposals(number: int) -> None:
        answer = lines[1].ask(sign_request(keys[64 + number // len(blocks)], blocks[number % len(blocks)]))
        assert answer.signature, answer

    def batches(number: int) -> None:
        items = [(key, vote_body(number * 8 + n, number * 8 + n + 1, key)) for n in range(8) for key in keys[128:]]
        assert all(answer.startswith("0x") for answer in lines[2].sign_all(items))

    with line_to(signer.port) as a, line_to(signer.port) as b, line_to(signer.port) as c, ThreadPoolExecutor(4) as pool:
        lines = [a, b, c]
        work = [pool.submit(load.repeat, step) for step in (votes, proposals, batches)]
        try:
            stretches: list[list[float]] = []
            while not stretches or not is_prompt(stretches[-1]):
                slowest = [sorted(taken)[-5:] for taken in stretches]
                assert len(stretches) < MOST_STRETCHES, f"never prompt; the slowest probes of each stretch: {slowest}"
                stretches.append(probe(signer.port, time.monotonic() + STRETCH_SECONDS))
        finally:
            load.stopped.set()
        for each in work:
            each.result()
    assert load.answers > 20, "there was no load"
