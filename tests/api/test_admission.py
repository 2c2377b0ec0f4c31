"""The Host allow-list, CORS, unknown paths and wrong methods."""

import json

import pytest
from http_twins import KEY, World, attestation, listening

from signer.api.settings import ApiSettings
from signer.events import RequestAccessed

SIGN = f"/api/v1/eth2/sign/0x{KEY.hex()}"


async def ask(settings: ApiSettings, request: str, *, world: World | None = None):
    async with listening(world or World(), settings=settings) as listener, listener.client() as client:
        await client.send(request.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        return await client.receive()


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        ({"localhost", "127.0.0.1"}, "localhost", 200),
        ({"localhost", "127.0.0.1"}, "LocalHost:9000", 200),
        ({"localhost", "127.0.0.1"}, "127.0.0.1:1", 200),
        ({"localhost", "127.0.0.1"}, "signer:9000", 403),
        ({"localhost", "127.0.0.1"}, "localhost.evil.example", 403),
        ({"localhost", "127.0.0.1"}, "evil.example:80:localhost", 403),
        ({"Signer.Internal"}, "signer.internal:9000", 200),
        ({"::1"}, "[::1]:9000", 200),
        ({"::1"}, "[::1]", 200),
        ({"::1"}, "[::2]", 403),
        ({"*"}, "anything.example", 200),
        (set(), "localhost", 403),
    ],
)
async def test_only_a_listed_host_may_be_named(allowed, host, status):
    answer = await ask(ApiSettings(allowed_hosts=frozenset(allowed)), f"GET /upcheck HTTP/1.1\nHost: {host}")
    assert answer.status == status
    if status == 403:
        problem = json.loads(answer.body)
        assert problem["message"] == "Host not authorized."
        assert problem["code"] == "HOST_NOT_ALLOWED"


async def test_a_host_is_refused_however_often_it_comes():
    async with listening(World()) as listener, listener.client() as client:
        for _ in range(3):
            await client.send(b"GET /upcheck HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            assert (await client.receive()).status == 403
            assert (await client.ask("GET", "/upcheck")).status == 200


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ((), "https://a.example", False),
        (("https://a\\.example",), "https://a.example", True),
        (("https://a\\.example",), "https://a.example.evil", False),
        (("https://a\\.example",), "https://aXexample", False),
        (("https://a\\.example", "https://b\\.example"), "https://b.example", True),
        (("https://(a|b)\\.example",), "https://b.example", True),
        (("*",), "https://anything.example", True),
        (("all",), "null", True),
    ],
)
async def test_a_web_page_may_call_only_from_a_listed_origin(origins, origin, allowed):
    answer = await ask(ApiSettings(cors_origins=origins), f"GET /upcheck HTTP/1.1\nHost: localhost\nOrigin: {origin}")
    assert answer.status == (200 if allowed else 403)
    assert answer.header("Access-Control-Allow-Origin") == (origin if allowed else None)
    if not allowed:
        assert json.loads(answer.body)["code"] == "ORIGIN_NOT_ALLOWED"


async def test_an_origin_is_looked_at_before_the_host():
    answer = await ask(ApiSettings(), "GET /upcheck HTTP/1.1\nHost: evil.example\nOrigin: https://a.example")
    assert json.loads(answer.body)["code"] == "ORIGIN_NOT_ALLOWED"


async def test_a_preflight_from_a_listed_origin_is_204():
    answer = await ask(
        ApiSettings(cors_origins=("https://a\\.example",)),
        f"OPTIONS {SIGN} HTTP/1.1\nHost: localhost\nOrigin: https://a.example\nAccess-Control-Request-Method: POST",
    )
    assert answer.status == 204
    assert answer.header("Access-Control-Allow-Origin") == "https://a.example"
    assert answer.header("Access-Control-Allow-Methods") == "GET,POST,DELETE,OPTIONS"
    assert answer.header("Access-Control-Allow-Headers") == "*"
    assert answer.header("Content-Length") is None


async def test_a_listed_page_may_read_why_it_was_refused():
    answer = await ask(
        ApiSettings(cors_origins=("*",)),
        f"POST {SIGN} HTTP/1.1\nHost: localhost\nOrigin: https://a.example\nContent-Length: 0",
    )
    assert answer.status == 400
    assert answer.header("Access-Control-Allow-Origin") == "https://a.example"
    assert json.loads(answer.body)["code"] == "MALFORMED_REQUEST"


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/api/v1/eth2", "/api/v1/eth2/sign/a/b", "/api/v1/eth1/publicKeys", "/upcheck/x", "//"]
)
async def test_an_unknown_path_is_a_404_problem(path):
    answer = await ask(ApiSettings(), f"GET {path} HTTP/1.1\nHost: localhost")
    assert answer.status == 404
    assert answer.header("Content-Type") == "application/problem+json"
    assert json.loads(answer.body)["code"] == "NO_SUCH_ROUTE"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("path", "is_told"),
    [
        ("/eth/v1/validator/0xab/builders", True),
        ("/eth/v1/validator/0xab/builder_config", True),
        ("/eth/v1/validator/0xab/builders/x", False),
        ("/eth/v1/validators/builders", False),
    ],
)
async def test_whoever_looks_for_settings_of_builders_is_told_where_they_are(
    method: str, path: str, *, is_told: bool
) -> None:
    answer = await ask(ApiSettings(), f"{method} {path} HTTP/1.1\nHost: localhost\nContent-Length: 0")
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"]) == (404, "NO_SUCH_ROUTE")
    assert ("settings of builders are the validator client's" in problem["detail"]) is is_told


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", SIGN, "POST"),
        ("DELETE", "/reload", "GET, HEAD, POST"),
        ("POST", "/upcheck", "GET, HEAD"),
        ("OPTIONS", "/api/v1/eth2/sign", "POST"),
        ("PROPFIND", "/upcheck", "GET, HEAD"),
    ],
)
async def test_a_known_path_with_a_wrong_method_is_405_and_says_which_are_right(method, path, allow):
    answer = await ask(ApiSettings(), f"{method} {path} HTTP/1.1\nHost: localhost\nContent-Length: 0")
    assert answer.status == 405
    assert answer.header("Allow") == allow
    assert json.loads(answer.body)["code"] == "WRONG_METHOD"


async def test_the_access_log_is_off_unless_it_is_asked_for():
    world = World()
    lines = world.seen(RequestAccessed)
    await ask(ApiSettings(), "GET /upcheck HTTP/1.1\nHost: localhost", world=world)
    assert lines == []
    await ask(ApiSettings(access_log=True), f"GET {SIGN}?x HTTP/1.1\nHost: localhost\nX-Request-Id: mine", world=world)
    [line] = lines
    assert (line.method, line.path, line.status, line.address) == ("GET", SIGN + "?x", 405, "127.0.0.1")
    assert line.caller_request_id == "mine"


async def test_the_admin_routes_are_not_on_the_network_unless_they_are_asked_for():
    assert (await ask(ApiSettings(), "GET /admin/status HTTP/1.1\nHost: localhost")).status == 404


async def test_the_admin_routes_on_the_network_are_for_named_principals():
    answer = await ask(ApiSettings(admin_over_network=True), "GET /admin/status HTTP/1.1\nHost: localhost")
    assert answer.status == 401
    assert answer.header("WWW-Authenticate").startswith("Basic ")


async def test_a_batch_and_a_single_duty_are_different_paths():
    body = json.dumps(attestation()).encode()
    async with listening(World()) as listener, listener.client() as client:
        assert (await client.ask("POST", "/api/v1/eth2/sign", body=body)).status == 400
        assert (await client.ask("POST", SIGN, body=b"[]")).status == 400
