"""Keys, reload, health, watermark and metrics: the routes that monitoring and scripts call."""

import json

import pytest
from http_twins import KEY, OTHER_KEY, World, listening

from signer.api.assembly import build_metrics
from signer.api.settings import ApiSettings
from signer.errors import JournalDownError
from signer.operations.manage_keys import ReloadStatus, SourceHealth
from signer.operations.protect import HighWatermark

KEYS = "/api/v1/eth2/publicKeys"


async def ask(world: World, method: str, path: str, *headers: str):
    async with listening(world) as listener, listener.client() as client:
        return await client.ask(method, path, *headers)


async def test_the_keys_are_a_list_of_lower_case_hex_in_a_stable_order():
    answer = await ask(World(), "GET", KEYS)
    assert answer.status == 200
    assert answer.header("Content-Type") == "application/json; charset=utf-8"
    assert json.loads(answer.body) == ["0x" + KEY.hex(), "0x" + OTHER_KEY.hex()]


async def test_no_keys_are_an_empty_list():
    world = World()
    world.keys.keys = ()
    assert (await ask(world, "GET", KEYS)).body == b"[]"


async def test_until_the_first_load_is_complete_the_list_is_503_and_never_incomplete():
    world = World()
    world.keys.ready = False
    answer = await ask(world, "GET", KEYS)
    assert answer.status == 503
    assert json.loads(answer.body)["code"] == "NOT_READY"
    assert answer.header("Retry-After") == "1"


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda tag: tag, 304),
        (lambda tag: "W/" + tag, 304),
        (lambda tag: '"other", ' + tag, 304),
        (lambda tag: "*", 304),
        (lambda tag: '"other"', 200),
        (lambda tag: tag.strip('"'), 200),
        (lambda tag: "", 200),
    ],
)
async def test_a_poll_for_an_unchanged_list_is_304_without_a_body(make, status):
    world = World()
    async with listening(world) as listener, listener.client() as client:
        tag = (await client.ask("GET", KEYS)).header("ETag")
        assert tag.startswith('"')
        again = await client.ask("GET", KEYS, f"If-None-Match: {make(tag)}")
        assert again.status == status
        assert again.header("ETag") == tag
        world.keys.keys = (KEY,)
        changed = await client.ask("GET", KEYS, f"If-None-Match: {tag}")
        assert changed.status == 200
        assert changed.header("ETag") != tag


async def test_the_high_watermark_is_texts_and_empty_where_unset():
    world = World()
    assert (await ask(world, "GET", "/api/v1/eth2/highWatermark")).body == b"{}"
    world.protection.mark = HighWatermark(2**64 - 1, 32)
    answer = await ask(world, "GET", "/api/v1/eth2/highWatermark")
    assert json.loads(answer.body) == {"epoch": "18446744073709551615", "slot": "32"}
    world.protection.error = JournalDownError("no")
    assert (await ask(world, "GET", "/api/v1/eth2/highWatermark")).status == 500


async def test_a_reload_is_accepted_once_and_409_while_it_runs():
    world = World()
    async with listening(world) as listener, listener.client() as client:
        first = await client.ask("POST", "/reload")
        second = await client.ask("POST", "/reload", "Content-Type: text/plain", body=b"whatever")
    assert (first.status, first.header("Content-Type")) == (202, "application/json")
    assert json.loads(first.body) == {
        "status": "accepted",
        "message": "Reload operation accepted and is running in the background. Use GET /reload to check status.",
    }
    assert (second.status, second.header("Content-Type")) == (409, "application/json")
    assert json.loads(second.body) == {
        "status": "error",
        "message": "A reload operation is already in progress. Please try again later.",
    }
    assert world.keys.reloads == 1


@pytest.mark.parametrize(
    ("status", "members"),
    [
        (ReloadStatus("idle", None, None), {"status": "idle"}),
        (
            ReloadStatus("running", 1_700_000_000.25, None),
            {"status": "running", "lastOperationTime": "2023-11-14T22:13:20.250Z"},
        ),
        (
            ReloadStatus("completed_with_errors", 0.0, "Reload completed with 2 signer loading error(s)"),
            {
                "status": "completed_with_errors",
                "lastOperationTime": "1970-01-01T00:00:00.000Z",
                "lastError": "Reload completed with 2 signer loading error(s)",
            },
        ),
    ],
)
async def test_the_status_of_a_reload_has_web3signers_members(status, members):
    world = World()
    world.keys.status = status
    answer = await ask(world, "GET", "/reload")
    assert (answer.status, answer.header("Content-Type")) == (200, "application/json")
    assert json.loads(answer.body) == members


@pytest.mark.parametrize(
    ("accept", "body", "content_type"),
    [
        ((), b"OK", "text/plain; charset=utf-8"),
        (("Accept: */*",), b"OK", "text/plain; charset=utf-8"),
        (("Accept: text/plain",), b"OK", "text/plain; charset=utf-8"),
        (("Accept: application/json",), b'{"status":"OK"}', "application/json; charset=utf-8"),
    ],
)
async def test_upcheck_is_text_unless_json_is_named(accept, body, content_type):
    answer = await ask(World(), "GET", "/upcheck", *accept)
    assert (answer.status, answer.body, answer.header("Content-Type")) == (200, body, content_type)


@pytest.mark.parametrize("path", ["/healthcheck", "/healthz"])
async def test_the_health_document_is_web3signers(path):
    answer = await ask(World(), "GET", path)
    assert (answer.status, answer.header("Content-Type")) == (200, "application/json;charset=UTF-8")
    document = json.loads(answer.body)
    assert document["status"] == document["outcome"] == "UP"
    assert document["checks"][:3] == [
        {"id": "default-check", "status": "UP"},
        {
            "id": "keys-check",
            "status": "UP",
            "checks": [
                {
                    "id": "config-files-loading",
                    "status": "UP",
                    "data": {"keys-loaded": 2, "error-count": 0},
                }
            ],
        },
        {"id": "slashing-protection-db-health-check", "status": "UP"},
    ]


@pytest.mark.parametrize(
    ("ready", "errors", "journal", "health", "live", "is_ready", "startup"),
    [
        (True, 0, True, 200, 200, 200, 200),
        (True, 1, True, 503, 200, 200, 200),  # a load error is DOWN for Web3Signer's users, and signs all the same
        (True, 0, False, 503, 200, 503, 200),
        (False, 0, True, 503, 200, 503, 503),
        (False, 0, False, 503, 200, 503, 503),
    ],
)
async def test_each_probe_means_one_thing(ready, errors, journal, health, live, is_ready, startup):
    world = World(journal_up=journal)
    world.keys.ready = ready
    world.keys.sources = (
        SourceHealth("config-files-loading", 2, 0),
        SourceHealth("keystores-bulk-loading", 1, errors),
    )
    async with listening(world) as listener, listener.client() as client:
        expected = {
            "/healthcheck": health,
            "/healthz": health,
            "/health/live": live,
            "/health/ready": is_ready,
            "/health/startup": startup,
        }
        for path, status in expected.items():
            answer = await client.ask("GET", path)
            assert answer.status == status, path
            assert json.loads(answer.body)["status"] == ("UP" if status == 200 else "DOWN")


async def test_a_signer_whose_policies_cannot_be_read_is_not_ready_and_says_why():
    world = World(policies_fault="POLICIES_UNREADABLE: they cannot be read")
    async with listening(world) as listener, listener.client() as client:
        ready, health = await client.ask("GET", "/health/ready"), await client.ask("GET", "/healthcheck")
        assert (ready.status, health.status) == (503, 503)
        assert json.loads(ready.body) == {"status": "DOWN", "reason": world.policies_fault}
        told = {check["id"]: check for check in json.loads(health.body)["checks"]}["holdfast-ready"]
        assert told["data"] == {"reason": world.policies_fault}
        for path in ("/health/live", "/health/startup"):
            assert (await client.ask("GET", path)).status == 200, "a restart would not help"


async def test_the_metrics_have_a_listener_with_an_allow_list_of_their_own():
    settings = ApiSettings(allowed_hosts=frozenset({"prometheus.example"}))
    world = World()
    async with (
        listening(world, build=lambda services: build_metrics(services, settings=settings)) as listener,
        listener.client() as client,
    ):
        assert (await client.ask("GET", "/metrics")).status == 403
        await client.send(b"GET /metrics HTTP/1.1\r\nHost: prometheus.example:9001\r\n\r\n")
        answer = await client.receive()
        assert (answer.status, answer.body) == (200, b"# metrics\n")
        assert answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        await client.send(b"GET /api/v1/eth2/publicKeys HTTP/1.1\r\nHost: prometheus.example\r\n\r\n")
        assert (await client.receive()).status == 404


async def test_the_network_listener_has_no_metrics():
    assert (await ask(World(), "GET", "/metrics")).status == 404
