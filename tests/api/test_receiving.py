"""Room for large bodies: who gets it, who waits, who loses it, and that it is always given back."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest
from http_twins import KEY, World, block, listening

from signer.api import receiving
from signer.api.receiving import MAX_WAITING, BodyRoom
from signer.errors import NoRoomError

SIGN = f"/api/v1/eth2/sign/0x{KEY.hex()}"
LARGEST = 16 * 2**20
PATIENCE_SECONDS = 20.0


def room() -> BodyRoom:
    return BodyRoom(room_bytes=100, trim=lambda: None)


async def waiting(room: BodyRoom, size_bytes: int, *, patience_seconds: float = PATIENCE_SECONDS) -> asyncio.Task:
    task = asyncio.create_task(room.take(size_bytes, patience_seconds=patience_seconds))
    await asyncio.sleep(0)
    return task


async def test_room_is_taken_until_there_is_none_and_what_is_given_back_goes_to_the_smallest_that_waits():
    of = room()
    first = await of.take(60, patience_seconds=0)
    second = await of.take(40, patience_seconds=0)
    large, small = await waiting(of, 70), await waiting(of, 30)
    of.give_back(second)
    assert (await small).size_bytes == 30
    assert not large.done()
    of.give_back(first)
    assert (await large).size_bytes == 70
    of.close()


async def test_a_body_larger_than_all_room_is_received_alone():
    of = room()
    alone = await of.take(1000, patience_seconds=0)
    other = await waiting(of, 1)
    assert not other.done()
    of.give_back(alone)
    assert (await other).size_bytes == 1
    of.close()


async def test_who_waits_in_vain_is_told_so_and_takes_nothing():
    of = room()
    held = await of.take(100, patience_seconds=0)
    with pytest.raises(NoRoomError, match=r"within 0\.01 s"):
        await of.take(1, patience_seconds=0.01)
    of.give_back(held)
    of.give_back(await of.take(100, patience_seconds=0))
    of.close()


async def test_of_too_many_that_wait_the_largest_is_refused_at_once():
    of = room()
    held = await of.take(100, patience_seconds=0)
    largest = await waiting(of, 50)
    others = [await waiting(of, 1) for _ in range(MAX_WAITING)]
    with pytest.raises(NoRoomError, match="too many"):
        await largest
    with pytest.raises(NoRoomError, match="too many"):
        await of.take(2, patience_seconds=PATIENCE_SECONDS)
    of.give_back(held)
    assert len(await asyncio.gather(*others)) == MAX_WAITING
    of.close()


async def test_room_given_to_a_request_that_is_cancelled_in_that_moment_is_not_lost():
    of = room()
    held = await of.take(100, patience_seconds=0)
    gone = await waiting(of, 100)
    of.give_back(held)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    of.give_back(await of.take(100, patience_seconds=0))
    of.close()


@pytest.mark.parametrize("waits_first", [True, False])
async def test_a_body_on_its_way_is_hurried_only_when_others_wait(waits_first):
    of = room()
    share = await of.take(100, patience_seconds=0)
    async with asyncio.timeout(1000) as limit:
        if waits_first:
            other = await waiting(of, 1)
        of.watch(share, limit)
        if not waits_first:
            assert limit.when() > share.since + 900
            other = await waiting(of, 1)
        assert limit.when() == share.since + receiving.CROWDED_SECONDS
        assert share.hurried
        of.unwatch(share)
    of.give_back(share)
    await other
    of.close()


async def test_what_a_body_of_unknown_length_did_not_need_is_free_for_others():
    of = room()
    share = await of.take(100, patience_seconds=0)
    other = await waiting(of, 60)
    of.shrink(share, 40)
    assert (await other).size_bytes == 60
    of.close()


async def test_memory_is_given_back_a_moment_after_a_body_has_ended_and_once_for_several(monkeypatch):
    monkeypatch.setattr(receiving, "TRIM_SECONDS", 0.01)
    trimmed, loop = asyncio.Event(), asyncio.get_running_loop()
    times = []

    def trim() -> None:
        times.append(1)
        loop.call_soon_threadsafe(trimmed.set)

    of = BodyRoom(room_bytes=100, trim=trim)
    for share in [await of.take(10, patience_seconds=0) for _ in range(5)]:
        of.give_back(share)
    async with asyncio.timeout(10):
        await trimmed.wait()
    assert times == [1]


# --- over real sockets --------------------------------------------------------------------------------------


def head(announced: str) -> bytes:
    return f"POST {SIGN} HTTP/1.1\r\nHost: localhost\r\n{announced}\r\n\r\n".encode()


def large_block() -> bytes:
    return json.dumps(block(pad="x" * 200_000)).encode()


async def test_a_block_is_signed_although_stalled_bodies_hold_all_room():
    async with listening(World()) as listener, AsyncExitStack() as clients:
        for _ in range(4 + 8):  # four fill the room, the others wait before the block does
            stalled = await clients.enter_async_context(listener.client())
            await stalled.send(head(f"Content-Length: {LARGEST}") + b"x")
        honest = await clients.enter_async_context(listener.client())
        assert (await honest.ask("POST", SIGN, body=large_block())).status == 200


async def test_a_stalled_body_is_refused_when_others_wait_and_says_when_to_ask_again():
    async with listening(World()) as listener, AsyncExitStack() as clients:
        stalled = [await clients.enter_async_context(listener.client()) for _ in range(5)]
        for client in stalled:
            await client.send(head(f"Content-Length: {LARGEST}") + b"x")
        async with asyncio.timeout(10):
            answer = await stalled[0].receive()
    assert (answer.status, json.loads(answer.body)["code"]) == (500, "NO_ROOM_FOR_BODY")
    assert "while others waited" in json.loads(answer.body)["detail"]
    assert answer.header("Retry-After") == "1"


async def test_small_bodies_never_wait_for_room():
    async with listening(World()) as listener, AsyncExitStack() as clients:
        for _ in range(4):
            stalled = await clients.enter_async_context(listener.client())
            await stalled.send(head(f"Content-Length: {LARGEST}") + b"x")
        honest = await clients.enter_async_context(listener.client())
        body = json.dumps(block()).encode()
        await honest.send(head(f"Content-Length: {len(body)}"))
        await honest.send(body)  # later than its head: it is not there yet when it is asked for
        async with asyncio.timeout(0.9):  # before any stalled body would be given up
            assert (await honest.receive()).status == 200


@pytest.mark.parametrize("chunked", [True, False])
async def test_every_body_s_room_is_free_again_after_its_answer(chunked):
    body = large_block()
    async with listening(World()) as listener, listener.client() as client:
        of = listener.server._services.body_room
        for _ in range(3):
            if chunked:
                await client.send(head("Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
                assert (await client.receive()).status == 200
            else:
                assert (await client.ask("POST", SIGN, body=body)).status == 200
        assert of._taken_bytes == 0
        async with listener.client() as leaves:
            await leaves.send(head(f"Content-Length: {LARGEST}") + b"x" * 300_000)
        async with asyncio.timeout(10):
            while of._taken_bytes or listener.server.in_flight:
                await asyncio.sleep(0)
    assert of._taken_bytes == 0
