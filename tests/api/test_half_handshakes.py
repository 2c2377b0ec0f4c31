"""TLS handshakes that never end keep no place: neither for long, nor at the cost of somebody new."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from certificate_twins import client_context, make
from http_twins import Listener, RawClient, World, listening

from signer.api import connection
from signer.api.settings import ApiSettings
from signer.api.tls import HotContext
from signer.config.server import TlsSettings
from signer.events import ConnectionRefused

PLACES = 3
HALF = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)
"""The beginning of a ClientHello (RFC 8446, 4.1.2) of 512 bytes."""

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    """Runs a coroutine on one of the two event loops."""

    def on_loop(coroutine):
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(coroutine)

    return on_loop


class Door:
    """A TLS listener with PLACES places, by one of the two engines."""

    def __init__(self, directory: Path, *, known: bool) -> None:
        server, client = make(directory, "localhost"), make(directory, "client")
        list_file = directory / "known-clients.txt"
        list_file.write_text(f"client {client.fingerprint}\n")
        self.settings = TlsSettings(
            certificate_file=server.certificate_file,
            key_file=server.key_file,
            known_clients_file=list_file if known else None,
            allow_any_client=not known,
        )
        self.client: ssl.SSLContext = client_context(server, shows=client)
        self.world = World()
        self.refused = self.world.seen(ConnectionRefused)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Listener]:
        settings = ApiSettings(max_connections=PLACES)
        async with listening(self.world, settings=settings, tls=HotContext.load(self.settings)) as listener:
            yield listener

    @property
    def reasons(self) -> list[str]:
        return [event.reason for event in self.refused]


@pytest.fixture(params=[False, True], ids=["standard library", "pyOpenSSL"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Door:
    return Door(tmp_path, known=request.param)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def is_served(client: RawClient) -> bool:
    return (await client.ask("GET", "/upcheck")).status == 200


@pytest.mark.parametrize("sent", [b"", HALF], ids=["nothing", "half a hello"])
def test_half_open_handshakes_never_take_more_places_than_there_are_and_keep_nobody_out(run, door, sent):
    async def main() -> None:
        async with door.open() as listener, AsyncExitStack() as stack:
            taken = listener.server.door
            used = await stack.enter_async_context(listener.client(door.client))
            assert await is_served(used)
            half_open = []
            for number in range(4 * PLACES):
                half_open.append(await stack.enter_async_context(listener.client()))
                await half_open[-1].send(sent)
                await until(lambda number=number: len(door.reasons) >= number + 2 - PLACES)
                assert taken.open_connections <= PLACES
            fresh = await stack.enter_async_context(listener.client(door.client))
            assert await is_served(fresh)
            assert await is_served(used), "who has sent a request before is never turned out"
            assert await half_open[0].at_end()
            assert taken.open_connections == PLACES
            assert set(door.reasons) == {"made room for a new connection: no finished TLS handshake had come"}

    run(main())


def test_where_all_places_are_in_use_a_handshake_is_not_begun(run, door):
    async def main() -> None:
        async with door.open() as listener, AsyncExitStack() as stack:
            used = [await stack.enter_async_context(listener.client(door.client)) for _ in range(PLACES)]
            for client in used:
                assert await is_served(client)
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                async with listener.client(door.client) as late:
                    await is_served(late)
            assert door.reasons == [f"more than {PLACES} connections"]
            for client in used:
                assert await is_served(client)
            await used.pop().close()
            await until(lambda: listener.server.door.open_connections < PLACES)
            async with listener.client(door.client) as next_one:
                assert await is_served(next_one)

    run(main())


@pytest.mark.parametrize("sent", [b"", HALF], ids=["nothing", "half a hello"])
def test_a_handshake_that_does_not_end_in_time_is_closed_and_told_of_once(run, door, sent, monkeypatch):
    monkeypatch.setattr(connection, "FIRST_BYTES_SECONDS", 0.2)

    async def main() -> None:
        async with door.open() as listener, listener.client() as slow:
            await slow.send(sent)
            async with asyncio.timeout(10):
                assert await slow.at_end()
            assert door.reasons == ["no finished TLS handshake within 0 s"]
            assert listener.server.door.open_connections == 0

    run(main())


@pytest.mark.parametrize("sent", [b"", HALF, b"GET / HTTP/1.1\r\n\r\n"], ids=["nothing", "half a hello", "no TLS"])
def test_who_leaves_or_fails_in_the_handshake_gives_the_place_back(run, door, sent):
    async def main() -> None:
        async with door.open() as listener:
            for _ in range(2 * PLACES):
                client = await listener.client().__aenter__()
                await client.send(sent)
                await client.close()
            await until(lambda: listener.server.door.open_connections == 0)

    run(main())
