"""A message is hashed once, and not remembered for ever."""

import threading

import pytest

from signer.backends.hashed_messages import HashedMessages
from signer.crypto.bls import HashedMessage
from signer.crypto.bls.through_ckzg import CkzgBls


class SlowBls(CkzgBls):
    """Hashes behind a gate; may fail the first time."""

    def __init__(self, *, fails_first: bool = False) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.hashed: list[bytes] = []
        self.fails_first = fails_first

    def hash_to_g2(self, message: bytes) -> HashedMessage:
        self.hashed.append(message)
        first = len(self.hashed) == 1
        self.gate.wait()
        if first and self.fails_first:
            raise MemoryError
        return super().hash_to_g2(message)


def ask_at_once(messages: HashedMessages, bls: SlowBls, count: int) -> tuple[list[HashedMessage], list[Exception]]:
    points: list[HashedMessage] = []
    faults: list[Exception] = []
    begun = threading.Barrier(count + 1)

    def ask() -> None:
        begun.wait()
        try:
            points.append(messages.hashed(b"root"))
        except MemoryError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    begun.wait()
    bls.gate.set()
    for thread in threads:
        thread.join()
    return points, faults


def test_twenty_threads_that_miss_at_once_hash_once() -> None:
    for _ in range(20):
        bls = SlowBls()
        points, faults = ask_at_once(HashedMessages(bls), bls, 20)
        assert bls.hashed == [b"root"]
        assert len(points) == 20
        assert len(set(map(id, points))) == 1
        assert faults == []


def test_when_the_one_that_hashes_fails_the_others_hash_for_themselves() -> None:
    bls = SlowBls(fails_first=True)
    messages = HashedMessages(bls)
    points, faults = ask_at_once(messages, bls, 5)
    assert len(points) + len(faults) == 5
    assert len(faults) == 1
    assert messages.hashed(b"root") is not None


def test_the_oldest_message_is_forgotten_first_and_a_use_keeps_one_young() -> None:
    bls = SlowBls()
    bls.gate.set()
    messages = HashedMessages(bls, entries=2)
    for message in (b"a", b"b", b"a", b"c", b"a", b"b"):
        messages.hashed(message)
    assert bls.hashed == [b"a", b"b", b"c", b"b"]


@pytest.mark.parametrize("entries", [1, 3])
def test_no_more_are_kept_than_allowed(entries: int) -> None:
    bls = SlowBls()
    bls.gate.set()
    messages = HashedMessages(bls, entries=entries)
    for number in range(10):
        messages.hashed(bytes([number]))
    assert len(messages._entries) == entries
