"""Signing off the event loop: right, at once, and never lost."""

import asyncio
import random
import threading

import pytest

from signer.backends.software import SoftwareBackend
from signer.crypto import bls as bls_scheme
from signer.crypto.bls import HashedMessage, SecretKey
from signer.crypto.bls.through_ckzg import CkzgBls
from signer.errors import SigningFailedError
from signer.units import Signature

BLS = bls_scheme.load()
KEYS = [SecretKey.from_bytes(number.to_bytes(32, "big")) for number in range(1, 33)]


class CountingBls(CkzgBls):
    """Counts hashes and signatures; signs as always."""

    def __init__(self) -> None:
        super().__init__()
        self.hashes: list[bytes] = []
        self.signatures = 0

    def hash_to_g2(self, message: bytes) -> HashedMessage:
        self.hashes.append(message)
        return super().hash_to_g2(message)

    def sign_hashed(self, secret: SecretKey, hashed: HashedMessage) -> Signature:
        self.signatures += 1
        return super().sign_hashed(secret, hashed)


class GatedBls(CkzgBls):
    """Signs nothing until the gate opens, and says when somebody stands before it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.reached = threading.Event()
        self.signed: list[bytes] = []

    def hash_to_g2(self, message: bytes) -> HashedMessage:
        self.reached.set()
        self.gate.wait()
        self.signed.append(message)
        return super().hash_to_g2(message)


async def test_a_signature_is_the_librarys() -> None:
    backend = SoftwareBackend(BLS, threads=2)
    assert await backend.sign(KEYS[0], b"root") == BLS.sign(KEYS[0], b"root")
    await backend.close()


async def test_two_hundred_at_once_each_get_their_own() -> None:
    backend = SoftwareBackend(BLS, threads=4)
    dice = random.Random(2)
    jobs = [(dice.choice(KEYS), bytes([dice.randrange(7)]) * 32) for _ in range(200)]
    signatures = await asyncio.gather(*(backend.sign(key, root) for key, root in jobs))
    assert signatures == [BLS.sign(key, root) for key, root in jobs]
    await backend.close()


async def test_a_batch_is_answered_in_order() -> None:
    backend = SoftwareBackend(BLS, threads=2)
    jobs = [(key, bytes([number % 3]) * 32) for number, key in enumerate(KEYS)]
    assert await backend.sign_many(jobs) == [BLS.sign(key, root) for key, root in jobs]
    assert await backend.sign_many([]) == []
    await backend.close()


async def test_one_root_signed_by_many_keys_is_hashed_once() -> None:
    counting = CountingBls()
    backend = SoftwareBackend(counting, threads=4)
    await backend.sign_many([(key, b"slot root") for key in KEYS])
    await backend.sign_many([(key, b"slot root") for key in KEYS])
    assert counting.hashes == [b"slot root"]
    assert counting.signatures == 2 * len(KEYS)
    await backend.close()


async def test_a_key_that_cannot_sign_fails_alone_and_the_threads_live_on() -> None:
    backend = SoftwareBackend(BLS, threads=1)
    wiped = SecretKey.from_bytes(b"\1" * 32)
    wiped.wipe()
    with pytest.raises(SigningFailedError, match="could not sign: ValueError"):
        await backend.sign(wiped, b"root")
    results = await backend.sign_many([(KEYS[0], b"root"), (wiped, b"root"), (KEYS[1], b"root")])
    assert results[0] == BLS.sign(KEYS[0], b"root")
    assert isinstance(results[1], SigningFailedError)
    assert results[2] == BLS.sign(KEYS[1], b"root")
    await backend.close()


async def test_the_loop_stays_free_while_threads_sign() -> None:
    gated = GatedBls()
    backend = SoftwareBackend(gated, threads=2)
    pending = backend.sign(KEYS[0], b"root")
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not pending.done()
    gated.gate.set()
    assert await pending == BLS.sign(KEYS[0], b"root")
    await backend.close()


async def test_a_job_whose_caller_has_gone_is_not_signed() -> None:
    gated = GatedBls()
    backend = SoftwareBackend(gated, threads=1)
    first, second, third = (backend.sign(KEYS[0], root) for root in (b"first", b"second", b"third"))
    await asyncio.to_thread(gated.reached.wait)
    second.cancel()
    gated.gate.set()
    await asyncio.gather(first, third)
    assert gated.signed == [b"first", b"third"]
    await backend.close()


async def test_a_cancelled_batch_leaves_nothing_to_sign() -> None:
    gated = GatedBls()
    backend = SoftwareBackend(gated, threads=1)
    batch = asyncio.create_task(backend.sign_many([(KEYS[0], bytes([number])) for number in range(50)]))
    await asyncio.to_thread(gated.reached.wait)
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    gated.gate.set()
    last = await backend.sign(KEYS[0], b"last")
    assert last == BLS.sign(KEYS[0], b"last")
    assert gated.signed == [b"\0", b"last"]
    await backend.close()


async def test_a_result_held_back_is_delivered_when_the_work_behind_it_was_cancelled() -> None:
    for _ in range(50):
        gated = GatedBls()
        backend = SoftwareBackend(gated, threads=2)
        pending = [backend.sign(KEYS[0], b"root") for _ in range(6)]
        await asyncio.to_thread(gated.reached.wait)
        for cancelled in pending[3:]:
            cancelled.cancel()
        gated.gate.set()
        await asyncio.wait_for(asyncio.gather(*pending[:3]), timeout=10)
        await backend.close()


async def test_closing_fails_what_waits_and_finishes_what_was_begun() -> None:
    gated = GatedBls()
    backend = SoftwareBackend(gated, threads=1)
    begun, waiting = backend.sign(KEYS[0], b"begun"), backend.sign(KEYS[0], b"waiting")
    await asyncio.to_thread(gated.reached.wait)
    closing = asyncio.create_task(backend.close())
    await asyncio.sleep(0)
    gated.gate.set()
    assert await begun == BLS.sign(KEYS[0], b"begun")
    with pytest.raises(SigningFailedError, match="stopping"):
        await waiting
    await closing


async def test_nothing_is_signed_after_close() -> None:
    counting = CountingBls()
    backend = SoftwareBackend(counting, threads=2)
    await backend.close()
    with pytest.raises(SigningFailedError, match="stopping"):
        await backend.sign(KEYS[0], b"root")
    assert [type(result) for result in await backend.sign_many([(KEYS[0], b"root")])] == [SigningFailedError]
    assert counting.signatures == 0


async def test_close_ends_the_threads() -> None:
    before = threading.active_count()
    backend = SoftwareBackend(BLS, threads=3)
    assert threading.active_count() == before + 3
    await backend.close()
    assert [thread for thread in threading.enumerate() if thread.name.startswith("signing-")] == []


def test_a_backend_serves_one_event_loop() -> None:
    backend = SoftwareBackend(BLS, threads=1)

    async def sign() -> Signature:
        return await backend.sign(KEYS[0], b"root")

    asyncio.run(sign())
    with pytest.raises(RuntimeError, match="no other"):
        asyncio.run(sign())
    asyncio.run(backend.close())


def test_a_loop_that_died_under_a_signature_harms_no_thread() -> None:
    gated = GatedBls()
    backend = SoftwareBackend(gated, threads=1)

    async def leave() -> None:
        backend.sign(KEYS[0], b"root")
        await asyncio.to_thread(gated.reached.wait)

    asyncio.run(leave())
    gated.gate.set()
    asyncio.run(backend.close())
    assert gated.signed == [b"root"]


class InstantBls(CkzgBls):
    """Signs in no time, so that threads and loop meet at every step of the delivery."""

    def hash_to_g2(self, message: bytes) -> HashedMessage:
        return HashedMessage(message)

    def sign_hashed(self, secret: SecretKey, hashed: HashedMessage) -> Signature:
        return Signature(hashed.point)


async def test_no_result_is_ever_left_behind() -> None:
    backend = SoftwareBackend(InstantBls(), threads=3)
    dice = random.Random(3)
    for _ in range(500):
        pending = [backend.sign(KEYS[0], bytes([number])) for number in range(dice.randrange(1, 20))]
        gone = [one for one in pending if dice.random() < 0.3]
        for one in gone:
            one.cancel()
        if dice.random() < 0.5:
            await asyncio.sleep(0)
        results = await asyncio.wait_for(asyncio.gather(*pending, return_exceptions=True), timeout=10)
        for number, result in enumerate(results):
            assert result == bytes([number]) or isinstance(result, asyncio.CancelledError)
    await backend.close()
