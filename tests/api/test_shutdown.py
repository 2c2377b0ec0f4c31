"""A listener that is closed cuts nobody who waits for an answer."""

import asyncio
import json
from contextlib import asynccontextmanager

from http_twins import KEY, RawClient, World, attestation

from signer.api.assembly import build_api
from signer.api.listeners import Listeners
from signer.api.settings import ApiSettings
from signer.auth.authenticate import Authenticator
from signer.auth.principal import ANONYMOUS

SIGN = f"/api/v1/eth2/sign/0x{KEY.hex()}"
BODY = json.dumps(attestation()).encode()


class SlowSigning:
    """Answers when it is let."""

    def __init__(self, twin):
        self.twin = twin
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()

    async def sign(self, intent, caller):
        self.entered.set()
        await self.gate.wait()
        return await self.twin.sign(intent, caller)


@asynccontextmanager
async def open_listeners(world, *, grace_seconds=30.0):
    """What a process opens, on a free port; closed by the test or at the end."""
    listeners = Listeners(grace_seconds=grace_seconds)
    server = build_api(world.services(), authenticator=Authenticator((), anonymous=ANONYMOUS), settings=ApiSettings())
    await listeners.listen("http", server, host="127.0.0.1", port=0, backlog=64)
    try:
        yield listeners, server
    finally:
        await listeners.close()


async def connect(listeners):
    port = int(listeners.addresses["http"].rpartition(":")[2])
    return RawClient(*await asyncio.open_connection("127.0.0.1", port))


async def ask_until_told_to_close(client):
    """How many answers came until one said that it is the last; raises if the connection ends without saying so."""
    answers = 0
    while True:
        answer = await client.ask("POST", SIGN, body=BODY)
        assert answer.status == 200
        answers += 1
        if answer.header("Connection") == "close":
            assert await client.at_end()
            return answers


async def test_clients_that_never_stop_asking_are_answered_and_told_to_go():
    world = World()
    async with open_listeners(world) as (listeners, server):
        clients = [await connect(listeners) for _ in range(24)]
        busy = [asyncio.create_task(ask_until_told_to_close(client)) for client in clients]
        while server.requests_count < 200:
            await asyncio.sleep(0)
        closing = asyncio.create_task(listeners.close())
        answers = await asyncio.wait_for(asyncio.gather(*busy), 10)  # IncompleteReadError: cut without an answer
        await asyncio.wait_for(closing, 10)  # long before the grace ends
        assert sum(answers) == server.requests_count
        for client in clients:
            await client.close()


async def test_a_request_under_way_is_answered_although_the_server_stops():
    world = World()
    world.signing = SlowSigning(world.signing)
    async with open_listeners(world) as (listeners, server):
        client = await connect(listeners)
        asked = asyncio.create_task(client.ask("POST", SIGN, body=BODY))
        await world.signing.entered.wait()
        closing = asyncio.create_task(listeners.close())
        while not server.draining:
            await asyncio.sleep(0)
        world.signing.gate.set()
        answer = await asyncio.wait_for(asked, 10)
        assert (answer.status, answer.header("Connection")) == (200, "close")
        await asyncio.wait_for(closing, 10)
        await client.close()


async def test_a_request_that_comes_after_the_order_to_stop_is_answered_on_a_connection_that_was_open():
    async with open_listeners(World()) as (listeners, server):
        client = await connect(listeners)
        assert (await client.ask("GET", "/upcheck")).header("Connection") is None
        closing = asyncio.create_task(listeners.close())
        while not server.draining:
            await asyncio.sleep(0)
        answer = await client.ask("POST", SIGN, body=BODY)
        assert (answer.status, answer.header("Connection")) == (200, "close")
        await closing
        await client.close()


async def test_idle_connections_do_not_hold_the_shutdown_up():
    async with open_listeners(World()) as (listeners, _):
        client = await connect(listeners)
        await client.ask("GET", "/upcheck")
        await asyncio.wait_for(listeners.close(), 25)  # the grace is 30 s
        assert await client.at_end()
        await client.close()


async def test_what_has_no_answer_when_the_grace_ends_is_cut():
    world = World()
    world.signing = SlowSigning(world.signing)
    async with open_listeners(world, grace_seconds=0.05) as (listeners, _):
        client = await connect(listeners)
        await client.send(
            f"POST {SIGN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
        )
        await world.signing.entered.wait()
        await asyncio.wait_for(listeners.close(), 10)
        assert await client.at_end()
        await client.close()
