"""Requests byte for byte, as clients, scripts and scanners send them. Garbage is answered, never with a traceback."""

import asyncio
import json
import logging
import re

import pytest
from http_twins import KEY, RawClient, World, attestation, listening, signature_of

from signer.api.settings import ApiSettings
from signer.errors import JournalDownError
from signer.events import ConnectionRefused, RequestAnswered, RequestRefused

BODY = json.dumps(attestation()).encode()
SIGN = f"/api/v1/eth2/sign/0x{KEY.hex()}"
TEXT = b"0x" + signature_of(KEY).hex().encode()
SETTINGS = ApiSettings(keep_alive_seconds=0.05, body_timeout_seconds=0.05)


def sign_request(*headers: str, path: str = SIGN, version: str = "1.1", body: bytes = BODY) -> bytes:
    lines = [f"POST {path} HTTP/{version}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_without_accept_the_answer_is_bare_hex_without_a_newline():
    async with listening(World()) as listener, listener.client() as client:
        await client.send(sign_request("Host: localhost:9000"))
        answer = await client.receive()
    assert (answer.status, answer.body) == (200, TEXT)
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"


async def test_an_http_1_1_request_without_host_is_400():
    async with listening(World()) as listener, listener.client() as client:
        await client.send(sign_request())
        answer = await client.receive()
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == "NOT_HTTP"


async def test_two_hosts_are_400():
    async with listening(World()) as listener, listener.client() as client:
        await client.send(sign_request("Host: localhost", "Host: evil.example"))
        assert (await client.receive()).status == 400


async def test_an_empty_host_is_403():
    async with listening(World()) as listener, listener.client() as client:
        await client.send(sign_request("Host: "))
        answer = await client.receive()
    assert answer.status == 403
    assert json.loads(answer.body)["message"] == "Host not authorized."


async def test_http_1_0_closes_unless_it_asks_to_stay():
    async with listening(World()) as listener:
        async with listener.client() as client:
            await client.send(sign_request("Host: localhost", version="1.0"))
            answer = await client.receive()
            assert (answer.status, answer.body) == (200, TEXT)
            assert answer.header("Connection") == "close"
            assert await client.at_end()
        async with listener.client() as client:
            for _ in range(2):
                await client.send(sign_request("Host: localhost", "Connection: keep-alive", version="1.0"))
                answer = await client.receive()
                assert answer.header("Connection") == "keep-alive"


async def test_http_1_0_without_host_is_403_unless_every_host_may_call():
    async with listening(World()) as listener, listener.client() as client:
        await client.send(sign_request(version="1.0"))
        assert (await client.receive()).status == 403
    anywhere = ApiSettings(allowed_hosts=frozenset({"*"}))
    async with listening(World(), settings=anywhere) as listener, listener.client() as client:
        await client.send(sign_request(version="1.0"))
        assert (await client.receive()).status == 200


async def test_connection_close_is_honoured():
    async with listening(World()) as listener, listener.client() as client:
        await client.send(sign_request("Host: localhost", "Connection: close"))
        answer = await client.receive()
        assert answer.header("Connection") == "close"
        assert await client.at_end()


async def test_pipelined_requests_are_answered_in_order():
    world = World()
    async with listening(world) as listener, listener.client() as client:
        requests = [sign_request("Host: localhost"), b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n"] * 50
        await client.send(b"".join(requests))
        for _ in range(50):
            assert (await client.receive()).body == TEXT
            assert (await client.receive()).body == b"OK"


async def test_a_chunked_body_is_read():
    async with listening(World()) as listener, listener.client() as client:
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:300], BODY[300:]))
        head = f"POST {SIGN} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        await client.send(head + chunks[:20])
        await client.send(chunks[20:] + b"0\r\n\r\n")
        assert (await client.receive()).body == TEXT


async def test_a_body_that_comes_after_its_head_is_read():
    async with listening(World()) as listener, listener.client() as client:
        request = sign_request("Host: localhost")
        for cut in range(0, len(request), 97):
            await client.send(request[cut : cut + 97])
            await asyncio.sleep(0)
        assert (await client.receive()).body == TEXT


@pytest.mark.parametrize("pause", [False, True])
async def test_broken_chunks_are_400(pause):
    async with listening(World(), settings=SETTINGS) as listener, listener.client() as client:
        head = f"POST {SIGN} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        await client.send(head + b"5\r\nhello\r\n")
        while pause and not listener.server.in_flight:
            await asyncio.sleep(0)
        await client.send(b"zz\r\n")
        answer = await client.receive()
    assert answer.status == 400
    assert answer.header("Connection") == "close"


async def test_expect_100_continue_is_answered_before_the_body_is_sent():
    async with listening(World()) as listener, listener.client() as client:
        request = sign_request("Host: localhost", "Expect: 100-continue")
        await client.send(request[: -len(BODY)])
        assert (await client.receive()).status == 100
        await client.send(BODY)
        answer = await client.receive()
    assert (answer.status, answer.body) == (200, TEXT)


async def test_nobody_is_asked_for_a_body_that_is_too_large():
    async with listening(World()) as listener, listener.client() as client:
        head = f"POST {SIGN} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        await client.send(f"{head}Content-Length: {2**24 + 1}\r\n\r\n".encode())
        answer = await client.receive()
    assert answer.status == 413
    assert answer.header("Connection") == "close"


@pytest.mark.parametrize(
    "path",
    [
        f"//api/v1/eth2/sign/0x{KEY.hex()}",
        f"/api/v1//eth2/sign/0x{KEY.hex()}",
        f"/api/v1/eth2/sign/0x{KEY.hex()}/",
        f"/api/v1/eth2/sign/0x{KEY.hex()}?x=1",
        f"/api/v1/eth2/s%69gn/0x{KEY.hex()}",
        f"http://localhost:9000/api/v1/eth2/sign/0x{KEY.hex()}",
    ],
)
async def test_a_path_is_understood_in_place_and_never_redirected(path):
    async with listening(World()) as listener, listener.client() as client:
        await client.send(sign_request("Host: localhost", path=path))
        answer = await client.receive()
    assert (answer.status, answer.body) == (200, TEXT)


async def test_reload_takes_an_empty_post_without_a_content_type():
    world = World()
    async with listening(world) as listener, listener.client() as client:
        await client.send(b"POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await client.receive()
    assert answer.status == 202
    assert world.keys.reloads == 1


async def test_an_idle_connection_is_closed_after_its_time_and_not_before():
    async with listening(World(), settings=SETTINGS) as listener, listener.client() as client:
        assert (await client.ask("GET", "/upcheck")).status == 200
        assert (await client.ask("GET", "/upcheck")).status == 200
        assert await asyncio.wait_for(client.at_end(), 60)


def test_connections_idle_longer_than_any_clients_patience():
    assert ApiSettings().keep_alive_seconds >= 120  # Go keeps idle connections for 90 s


async def test_a_connection_that_never_sends_a_request_is_closed():
    async with listening(World(), settings=SETTINGS) as listener, listener.client() as client:
        await client.send(b"POST /api")
        assert await asyncio.wait_for(client.at_end(), 60)


async def test_a_body_that_never_ends_is_400():
    async with listening(World(), settings=SETTINGS) as listener, listener.client() as client:
        await client.send(sign_request("Host: localhost")[:-1])
        answer = await asyncio.wait_for(client.receive(), 60)
    assert answer.status == 400
    assert "in time" in json.loads(answer.body)["detail"]


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error():
    world = World()
    crashed = world.seen(RequestRefused)
    async with listening(world) as listener:
        async with listener.client() as client:
            await client.send(sign_request("Host: localhost")[:-10])
        async with listener.client() as client:
            assert (await client.ask("GET", "/upcheck")).status == 200
        while listener.server.in_flight:
            await asyncio.sleep(0)
    assert crashed == []
    assert world.signing.intents == []


GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32,
    b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: \x00\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"BREW / HTCPCP/1.0\r\n\r\n",
    b"\r\n\r\n\x00\x01\x02\x03\r\n\r\n",
    b"POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda data: repr(data[:24]))
async def test_garbage_is_400_and_never_a_traceback(garbage, caplog):
    world = World()
    refused = world.seen(ConnectionRefused)
    with caplog.at_level(logging.DEBUG):
        async with listening(world) as listener, listener.client() as client:
            await client.send(garbage)
            answer = await asyncio.wait_for(client.receive(), 60)
    assert answer.status == 400
    assert answer.header("Content-Type") == "application/problem+json"
    assert json.loads(answer.body)["status"] == 400
    assert "Traceback" not in caplog.text
    assert b"Traceback" not in answer.body
    assert b"aiohttp" not in answer.body
    assert world.keys.reloads == 0
    assert len(refused) == 1


END = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
TOO_MUCH = [
    (b"GET /" + b"a" * 20_000 + END, 414, "TARGET_TOO_LONG"),
    (b"GET /upcheck?" + b"a" * 20_000 + END, 414, "TARGET_TOO_LONG"),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: /" + b"a" * 20_000 + b"\r\n\r\n", 431, "HEAD_TOO_LARGE"),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a" * 20_000 + b": y\r\n\r\n", 431, "HEAD_TOO_LARGE"),
    (
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(300)) + b"\r\n",
        431,
        "HEAD_TOO_LARGE",
    ),
    (b"BREW /upcheck" + END, 501, "UNKNOWN_METHOD"),
    (b"GETT /upcheck" + END, 501, "UNKNOWN_METHOD"),
    (b"get /upcheck" + END, 501, "UNKNOWN_METHOD"),
    (b"PURGE /upcheck" + END, 405, "WRONG_METHOD"),
]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(("sent", "status", "code"), TOO_MUCH, ids=lambda value: repr(value)[:24])
async def test_what_the_parser_can_tell_apart_has_a_status_and_a_code_of_its_own(at_once, sent, status, code):
    async with listening(World()) as listener, listener.client() as client:
        pieces = [sent] if at_once else [sent[:9], sent[9:]]
        for piece in pieces:
            await client.send(piece)
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(client.receive(), 60)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
    assert b"aaaa" not in answer.body


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip,chunked", "identity, chunked"])
async def test_a_transfer_coding_that_is_not_understood_is_501_and_ends_the_connection(coding):
    world = World()
    async with listening(world) as listener, listener.client() as client:
        head = f"POST /reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {coding}\r\n\r\n"
        await client.send(head.encode() + b"0\r\n\r\nGET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await client.receive()
        assert (answer.status, json.loads(answer.body)["code"]) == (501, "UNKNOWN_TRANSFER_CODING")
        assert await client.at_end()
    assert world.keys.reloads == 0


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://localhost:9000/upcheck", "localhost", 200),
        ("HTTP://LOCALHOST/upcheck", "localhost", 200),
        ("http://evil.example/upcheck", "localhost", 403),
        ("http://evil.example?x=/upcheck", "localhost", 403),
        ("http://localhost:x@evil.example/upcheck", "localhost", 403),
        ("http://localhost/upcheck", "evil.example", 403),
    ],
)
async def test_a_target_that_names_a_host_is_judged_by_that_too(target, host, status):
    async with listening(World()) as listener, listener.client() as client:
        assert (await client.ask("GET", "/upcheck")).status == 200  # localhost is a name seen before
        await client.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (await asyncio.wait_for(client.receive(), 60)).status == status


STRANGE = [
    b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/v1/eth2/sign HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"PUT /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
    b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nOrigin: \xff\xfe\r\n\r\n",
    b'GET /api/v1/eth2/publicKeys HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \xff"\r\nAccept: \xfe\r\n\r\n',
    b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nExpect: the-unexpected\r\n\r\n",
    b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nAuthorization: \xff\xff \xff\r\n\r\n",
]


@pytest.mark.parametrize("request_bytes", STRANGE, ids=lambda data: repr(data[:40]))
async def test_strange_requests_have_an_answer_below_500(request_bytes, caplog):
    with caplog.at_level(logging.DEBUG):
        async with listening(World()) as listener, listener.client() as client:
            await client.send(request_bytes)
            answer = await asyncio.wait_for(client.receive(), 60)
    assert answer.status < 500
    assert "Traceback" not in caplog.text


async def test_every_answer_has_a_date_a_length_and_a_request_id_and_names_no_software():
    async with listening(World()) as listener, listener.client() as client:
        for method, path in (("GET", "/upcheck"), ("GET", "/nothing"), ("POST", "/upcheck"), ("GET", "/reload")):
            answer = await client.ask(method, path)
            assert answer.header("Date") == "Tue, 14 Nov 2023 22:13:20 GMT"
            assert re.fullmatch("[0-9a-f]{16}", answer.header("X-Request-Id"))
            assert answer.header("Server") is None
            assert answer.version == "HTTP/1.1"


async def test_one_connection_too_many_is_closed_and_the_others_are_served():
    world = World()
    refused = world.seen(ConnectionRefused)
    async with listening(world, settings=ApiSettings(max_connections=2)) as listener:
        async with listener.client() as first, listener.client() as second:
            assert (await first.ask("GET", "/upcheck")).status == 200
            assert (await second.ask("GET", "/upcheck")).status == 200
            async with listener.client() as third:
                assert await third.at_end()
            assert (await first.ask("GET", "/upcheck")).status == 200
        while listener.server.door.open_connections:
            await asyncio.sleep(0)
        async with listener.client() as later:
            assert (await later.ask("GET", "/upcheck")).status == 200
    assert [event.reason for event in refused] == ["more than 2 connections"]


async def test_head_has_the_head_of_get_and_no_body():
    async with listening(World()) as listener, listener.client() as client:
        answer = await client.ask("HEAD", "/upcheck")
        assert (answer.status, answer.header("Content-Length")) == (200, "2")
        assert (await client.ask("GET", "/upcheck")).body == b"OK"


async def test_an_error_after_a_body_that_was_not_read_does_not_spoil_the_next_request():
    async with listening(World()) as listener, listener.client() as client:
        answer = await client.ask("POST", "/upcheck", body=b"x" * 100)
        assert answer.status == 405
        assert (await client.ask("GET", "/upcheck")).status == 200


async def test_an_event_tells_of_each_answer_by_template_never_by_path():
    world = World()
    world.signing.error = JournalDownError("no")
    answered = world.seen(RequestAnswered)
    async with listening(world) as listener, listener.client() as client:
        await client.ask("GET", "/nothing/secret")
        await client.send(sign_request("Host: localhost"))
        await client.receive()
    assert [(event.route, event.status, event.duty_type) for event in answered] == [
        ("unmatched", 404, ""),
        ("/api/v1/eth2/sign/{identifier}", 500, "ATTESTATION"),
    ]
    assert all(event.seconds >= 0 for event in answered)


async def test_a_slow_reader_does_not_lose_its_answer():
    world = World()
    world.keys.keys = tuple(number.to_bytes(48, "big") for number in range(20_000))
    async with listening(world) as listener, listener.client() as client:
        client.writer.transport.pause_reading()
        await client.send(b"GET /api/v1/eth2/publicKeys HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with listener.client() as other:
            assert (await other.ask("GET", "/upcheck")).status == 200
        client.writer.transport.resume_reading()
        answer = await client.receive()
    assert len(json.loads(answer.body)) == 20_000


async def test_requests_of_one_connection_and_of_many_are_served_at_once():
    async with listening(World()) as listener:

        async def ask(_: int) -> bytes:
            async with listener.client() as client:
                await client.send(sign_request("Host: localhost"))
                return (await RawClient.receive(client)).body

        assert set(await asyncio.gather(*(ask(number) for number in range(200)))) == {TEXT}
