"""The load generator against a trivial server: it counts, it times, it tells refusals."""

import asyncio
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from aiohttp import web
from load_generator import run_load, write_requests

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")

STALL_SECONDS = 0.5


class Echo:
    """A server on a free port in a thread of its own that answers by the path asked for."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.connections: set[object] = set()
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.serve(),))
        self.thread.start()
        self.ready.wait(10)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.seen[body] += 1
        self.connections.add(request.transport)
        if request.path == "/stall":
            await asyncio.sleep(STALL_SECONDS)
        if request.path == "/quiet":
            return web.Response()
        return web.Response(text=body, status=412 if request.path == "/refuse" else 200)

    async def serve(self) -> None:
        self.over = asyncio.Event()
        application = web.Application()
        application.router.add_post("/{path:.*}", self.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self.ready.set()
        await self.over.wait()
        await runner.cleanup()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


def post(path: str, body: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def test_every_request_of_the_file_is_sent_once_over_as_many_connections_as_asked(echo, tmp_path):
    write_requests(tmp_path / "requests", (post("/", str(n)) for n in range(500)))
    load = run_load(echo.port, tmp_path / "requests", connections=7, count=500)
    assert (load.answered, load.refused) == (500, 0)
    assert echo.seen == Counter(str(n) for n in range(500))
    assert len(echo.connections) == 7
    assert 0 < load.p50 <= load.p99 <= load.max < load.seconds


def test_anything_but_a_200_is_counted_and_the_first_is_shown(echo, tmp_path):
    write_requests(tmp_path / "requests", [post("/", "a"), post("/refuse", "the reason"), post("/refuse", "b")])
    load = run_load(echo.port, tmp_path / "requests", count=3)
    assert (load.answered, load.refused) == (3, 2)
    assert "412" in load.first_refusal
    assert "the reason" in load.first_refusal


def test_a_burst_goes_out_at_once_and_ends_with_its_last_answer(echo, tmp_path):
    requests = [post("/stall" if n == 17 else "/", str(n)) for n in range(150)]
    write_requests(tmp_path / "requests", requests)
    load = run_load(echo.port, tmp_path / "requests", burst=50, count=150)
    assert len(load.bursts) == 3
    assert load.answered == 150
    assert load.bursts[0] >= STALL_SECONDS > load.bursts[1]


def test_on_a_timetable_a_stall_is_charged_to_every_request_it_held_up(echo, tmp_path):
    requests = [post("/stall" if n == 0 else "/", str(n)) for n in range(40)]
    write_requests(tmp_path / "requests", requests)
    load = run_load(echo.port, tmp_path / "requests", connections=1, rate=100, count=40)
    assert load.answered == 40
    # One connection, one stall of 500 ms: the request due at 100 ms waited for about 400 ms more.
    assert load.max >= STALL_SECONDS
    assert load.p90 >= STALL_SECONDS / 2


def test_the_timetable_is_kept_by_a_server_that_keeps_up(echo, tmp_path):
    write_requests(tmp_path / "requests", (post("/", str(n)) for n in range(50)))
    load = run_load(echo.port, tmp_path / "requests", connections=4, rate=200, count=50)
    assert load.seconds >= 49 / 200
    assert load.answered == 50


def test_a_large_request_goes_out_in_pieces(echo, tmp_path):
    write_requests(tmp_path / "requests", [post("/quiet", "x" * 900_000)] * 2)
    assert run_load(echo.port, tmp_path / "requests", count=2).answered == 2
    assert echo.seen == Counter({"x" * 900_000: 2})


def test_a_file_that_is_missing_is_said(echo, tmp_path):
    with pytest.raises(subprocess.CalledProcessError) as failure:
        run_load(echo.port, tmp_path / "missing", count=1)
    assert "missing" in failure.value.stderr
