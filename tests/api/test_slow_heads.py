"""Who never sends a whole request head keeps no place: neither for long, nor at the cost of somebody new."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from http_twins import World, listening

from signer.api import connection
from signer.api.settings import ApiSettings
from signer.events import ConnectionRefused

HALF = b"POST /api/v1/eth2/sign/0x HTTP/1.1\r\nHost: localhost\r\nX-A: "


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(connection, "FIRST_BYTES_SECONDS", 0.2)


@pytest.mark.parametrize("sent", [b"", b"G", HALF], ids=["nothing", "a byte", "half a head"])
@pytest.mark.parametrize("used", [False, True], ids=["new", "kept alive"])
async def test_a_head_that_does_not_come_whole_closes_the_connection(impatient, sent, used):
    world = World()
    refused = world.seen(ConnectionRefused)
    async with listening(world) as listener, listener.client() as client, listener.client() as idle:
        assert (await idle.ask("GET", "/upcheck")).status == 200
        if used:
            assert (await client.ask("GET", "/upcheck")).status == 200
        await client.send(sent)
        if used and not sent:  # between requests silence is no fault: keep-alive is the limit
            await client.send(b"G")
        async with asyncio.timeout(5):
            assert await client.at_end()
        assert [event.reason for event in refused] == ["no whole request head within 0 s"]
        assert (await idle.ask("GET", "/upcheck")).status == 200
        assert listener.server.door.open_connections == 1


async def test_a_head_in_two_pieces_and_a_slow_body_are_no_fault(impatient):
    async with listening(World()) as listener, listener.client() as client:
        for _ in range(3):
            await client.send(b"GET /upcheck HTTP/1.1\r\n")
            await asyncio.sleep(0)
            await client.send(b"Host: localhost\r\n\r\n")
            assert (await client.receive()).status == 200
        await client.send(b"POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n")
        assert (await client.receive()).status == 202
        async with listener.client() as late:
            assert await late.at_end()  # so long it has been
        await client.send(b"body")
        assert (await client.ask("GET", "/upcheck")).status == 200


async def test_when_all_places_are_taken_the_oldest_without_a_head_makes_room():
    settings = ApiSettings(max_connections=3)
    world = World()
    async with listening(world, settings=settings) as listener, AsyncExitStack() as stack:
        used, first, second = [await stack.enter_async_context(listener.client()) for _ in range(3)]
        assert (await used.ask("GET", "/upcheck")).status == 200
        await first.send(HALF)
        third = await stack.enter_async_context(listener.client())
        assert (await third.ask("GET", "/upcheck")).status == 200
        assert await first.at_end()
        fourth = await stack.enter_async_context(listener.client())
        assert (await fourth.ask("GET", "/upcheck")).status == 200
        assert await second.at_end()
        fifth = await stack.enter_async_context(listener.client())
        assert await fifth.at_end()
        for client in (used, third, fourth):
            assert (await client.ask("GET", "/upcheck")).status == 200
        assert listener.server.door.open_connections == 3
