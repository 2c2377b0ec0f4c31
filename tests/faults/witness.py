"""Everything that clients of a signer were given, remembered outside its process."""

import contextlib
import random
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from duty_requests import Line, block_body, root_of, vote_body

from signer.crypto.bls import Bls, SecretKey


@dataclass(frozen=True, slots=True)
class Asked:
    """One duty that was asked for; `source` is None for a block, whose slot is `target`."""

    key: int
    source: int | None
    target: int
    mark: int

    def body(self) -> dict[str, Any]:
        """As a client sends it."""
        if self.source is None:
            return block_body(self.target, self.mark)
        return vote_body(self.source, self.target, self.mark)

    def against(self) -> "Asked":
        """Another message that must never be signed beside this one."""
        return Asked(self.key, self.source, self.target, self.mark + 100)

    def conflicts(self, other: "Asked") -> bool:
        """Whether both together are slashable (consensus-specs, is_slashable_attestation_data and double proposals)."""
        if self == other or self.key != other.key or (self.source is None) != (other.source is None):
            return False
        if self.target == other.target:
            return True
        if self.source is None or other.source is None:
            return False
        inner, outer = sorted((self, other), key=lambda asked: asked.target)
        assert outer.source is not None
        assert inner.source is not None
        return outer.source < inner.source


@dataclass
class Witness:
    """What was received by whom. Shared by the clients' threads; one for a whole test."""

    keys: list[str]
    secrets: list[SecretKey]
    bls: Bls
    received: dict[Asked, str] = field(default_factory=dict)
    refused: int = 0
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def saw(self, asked: Asked, signature: str) -> None:
        """A signature came. A second one for the same duty must be the same."""
        with self.lock:
            if self.received.setdefault(asked, signature) != signature:
                self.faults.append(f"two signatures for {asked}")

    def check_no_conflicts(self) -> None:
        """No two of all signatures ever received are slashable together; all pairs are looked at."""
        of_key: dict[int, list[Asked]] = defaultdict(list)
        for asked in self.received:
            for other in of_key[asked.key]:
                assert not asked.conflicts(other), (asked, other)
            of_key[asked.key].append(asked)
        assert not self.faults, self.faults

    def check_signature(self, asked: Asked) -> None:
        """What came is the one right signature."""
        right = self.bls.sign(self.secrets[asked.key], self.root(asked))
        assert self.received[asked] == "0x" + right.hex(), asked

    def root(self, asked: Asked) -> bytes:
        """The signing root of a duty."""
        return root_of(asked.body())


class LoadingClient(threading.Thread):
    """Asks without a pause until it is told to stop or the signer dies: votes and blocks, repeats and conflicts."""

    def __init__(self, port: int, witness: Witness, *, seed: str, start_at: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._witness = witness
        self._draw = random.Random(seed)
        self._start_at = start_at
        self._ended = threading.Event()

    def run(self) -> None:
        """Until the connection breaks: an answer that did not come whole was not received."""
        with contextlib.suppress(OSError), contextlib.closing(Line(self._port)) as line:
            while not self._ended.is_set():
                self._ask(line)

    def stop(self) -> None:
        """After the request under way."""
        self._ended.set()

    def _ask(self, line: Line) -> None:
        asked = self._next()
        answer = line.sign(self._witness.keys[asked.key], asked.body())
        signature = answer.signature
        if signature is not None:
            self._witness.saw(asked, signature)
        elif answer.status == 412:
            self._witness.refused += 1
        elif answer.status != 500:  # a signer whose journal has stopped says so
            self._witness.faults.append(answer.verdict)

    def _next(self) -> Asked:
        draw = self._draw
        key, mark = draw.randrange(len(self._witness.keys)), draw.randrange(2)
        target = self._start_at + draw.randrange(12)
        if draw.random() < 0.25:
            return Asked(key, None, target, mark)
        return Asked(key, target - draw.randrange(1, 4), target, mark)
