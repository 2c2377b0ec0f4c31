"""The admin socket: its owner is OPERATOR, everybody else is turned away, and its routes are the command line's."""

import asyncio
import json
import os
import stat
from dataclasses import asdict

import pytest
from http_twins import ENTRY, KEY, OTHER_KEY, connected, listening

from signer.api.assembly import build_api
from signer.api.settings import ApiSettings
from signer.auth.authenticate import Authenticator
from signer.auth.credentials import BearerCredential, parse_token_digest, token_digest_text
from signer.auth.principal import OPERATOR, Action, Principal
from signer.errors import AuditError, JournalDownError, MalformedRequestError
from signer.events import ConnectionRefused, RequestCrashed
from signer.operations.manage_keys import ReloadStatus
from signer.operations.read_audit import AuditQuery


async def test_whoever_reaches_the_socket_is_the_operator(world):
    async with connected(world) as client:
        assert (await client.ask("GET", "/api/v1/eth2/publicKeys")).status == 200
        answer = await client.ask("POST", f"/api/v1/eth2/sign/{KEY.hex()}", body=b"{}")
        assert answer.status == 400
        await client.send(b"GET /upcheck HTTP/1.1\r\nHost: whatever\r\n\r\n")
        assert (await client.receive()).status == 200


async def test_a_process_of_another_user_is_turned_away(world):
    refused = world.seen(ConnectionRefused)
    async with connected(world, owners=frozenset({os.getuid() + 1})) as client:
        assert await client.at_end()
    assert [event.reason for event in refused] == [f"uid {os.getuid()} is not the owner of this socket"]


async def test_the_status_tells_what_runs_and_how_it_is(world):
    world.keys.status = ReloadStatus("completed", 1_700_000_000.0, None)
    async with connected(world) as client:
        answer = await client.ask("GET", "/admin/status")
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "version": "1.2.3",
        "network": "mainnet",
        "data_directory": str(world.directory),
        "ready": True,
        "keys": {
            "loaded": 2,
            "errors": 0,
            "sources": [{"source": "config-files-loading", "keys_loaded": 2, "error_count": 0}],
        },
        "reload": {"status": "completed", "lastOperationTime": "2023-11-14T22:13:20.000Z"},
        "journal": {"entries": 12, "path": "journal.db"},
        "frozen": {"all": False, "keys": 0, "tags": 0},
        "quarantine": {"keys": 1, "until_epoch": 300_003, "until": "2026-01-02T03:04:05+00:00"},
    }


async def test_the_keys_are_described_sorted_and_not_before_they_are_loaded(world):
    async with connected(world) as client:
        listed = json.loads((await client.ask("GET", "/admin/keys")).body)["keys"]
        world.keys.ready = False
        assert (await client.ask("GET", "/admin/keys")).status == 503
    assert [key["public_key"] for key in listed] == ["0x" + KEY.hex(), "0x" + OTHER_KEY.hex()]
    assert listed[0] == {
        "public_key": "0x" + KEY.hex(),
        "namespace": "default",
        "origin": "file-raw",
        "silent": [],
        "derivation_path": None,
        "tags": [],
        "quarantined_until_epoch": 300_003,
        "quarantined_until": "2026-01-02T03:04:05+00:00",
    }
    assert listed[1]["quarantined_until_epoch"] is None


async def test_a_reload_answers_as_the_public_route_does(world):
    async with connected(world) as client:
        assert (await client.ask("POST", "/admin/reload")).status == 202
        assert (await client.ask("POST", "/admin/reload")).status == 409
        assert json.loads((await client.ask("GET", "/reload")).body)["status"] == "running"


async def test_an_export_is_streamed(world):
    async with connected(world) as client:
        answer = await client.ask("GET", "/admin/slashing/export")
        assert answer.status == 200
        assert answer.header("Transfer-Encoding") == "chunked"
        assert answer.header("Content-Type") == "application/json"
        assert answer.header("X-Request-Id")
        assert json.loads(answer.body) == {"metadata": {}, "data": []}
        assert (await client.ask("GET", "/upcheck")).status == 200


async def test_an_export_that_fails_before_its_first_piece_is_a_problem(world):
    world.protection.pieces = [JournalDownError("the disk is gone")]
    async with connected(world) as client:
        answer = await client.ask("GET", "/admin/slashing/export")
    assert (answer.status, json.loads(answer.body)["code"]) == (500, "JOURNAL_DOWN")


async def test_an_export_that_fails_on_the_way_is_torn_and_never_looks_whole(world):
    crashed = world.seen(RequestCrashed)
    world.protection.pieces = [b'{"metadata":{},', JournalDownError("the disk is gone")]
    async with connected(world) as client:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.ask("GET", "/admin/slashing/export")
    assert [type(event.error) for event in crashed] == [JournalDownError]


async def test_an_import_goes_through_a_private_file_that_is_gone_afterwards(world):
    document = b'{"metadata":{},"data":[]}' + b" " * 300_000
    async with connected(world) as client:
        answer = await client.ask("POST", "/admin/slashing/import", body=document)
    assert answer.status == 200
    rest = {"differing": 0, "floors_before": None, "floors_after": None, "ends_quarantine": False}
    assert json.loads(answer.body) == {
        "validators": [
            {"public_key": "0x" + KEY.hex(), "blocks": 3, "attestations": 7, "error": None, **rest},
            {"public_key": "0x" + OTHER_KEY.hex(), "blocks": 0, "attestations": 0, "error": "conflicts", **rest},
        ]
    }
    assert world.protection.imported == [document]
    assert [path.name for path in world.directory.iterdir() if stat.S_ISREG(path.stat().st_mode)] == []


async def test_an_import_that_is_refused_or_too_large_leaves_no_file(world):
    settings = ApiSettings(import_limit_bytes=1000)
    world.protection.error = MalformedRequestError("no interchange", path="metadata")
    async with connected(world, settings=settings) as client:
        answer = await client.ask("POST", "/admin/slashing/import", body=b"{}")
        assert (answer.status, json.loads(answer.body)["path"]) == (400, "metadata")
        await client.send(b"POST /admin/slashing/import HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await client.send(b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")
        assert (await client.receive()).status == 413
    assert world.protection.imported == [b"{}"]
    assert [path.name for path in world.directory.iterdir() if stat.S_ISREG(path.stat().st_mode)] == []


async def test_an_import_that_stalls_is_400(world):
    settings = ApiSettings(body_timeout_seconds=0.05)
    async with connected(world, settings=settings) as client:
        await client.send(b"POST /admin/slashing/import HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{}")
        answer = await client.receive()
    assert answer.status == 400
    assert world.protection.imported == []


async def test_the_audit_log_is_verified_or_broken(world):
    async with connected(world) as client:
        answer = await client.ask("POST", "/admin/audit/verify")
        assert json.loads(answer.body) == {"entries": 12, "head": "0x" + "01" * 32, "verified_from": 0}
        world.audit = AuditError("entry 7 was changed", evidence={"index": 7})
        answer = await client.ask("POST", "/admin/audit/verify")
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"], problem["index"]) == (500, "AUDIT_BROKEN", 7)


async def test_entries_of_the_audit_log_are_told_as_they_were_asked_for(world):
    async with connected(world) as client:
        answer = await client.ask("GET", "/admin/audit/entries")
        document = json.loads(answer.body)
        assert (answer.status, document["next_before"], document["log_begins"]) == (200, 7, 0)
        assert document["entries"] == [asdict(ENTRY)]
        asked = f"last=3&before=9&request_id=0011223344556677&public_key=0x{KEY.hex()}"
        await client.ask("GET", "/admin/audit/entries?" + asked)
    assert world.audit_queries == [AuditQuery(20), AuditQuery(3, bytes.fromhex("0011223344556677"), bytes(KEY), 9)]


@pytest.mark.parametrize(
    "asked",
    [
        "last=0",
        "last=1001",
        "last=-1",
        "last=x",
        "last=%b2",
        "before=-1",
        "before=" + "9" * 30,
        "request_id=00",
        "public_key=0x",
    ],
)
async def test_a_question_about_the_audit_log_that_cannot_be_read_is_400(world, asked):
    async with connected(world) as client:
        answer = await client.ask("GET", "/admin/audit/entries?" + asked)
    assert (answer.status, json.loads(answer.body)["path"]) == (400, asked.partition("=")[0])


async def test_on_the_network_each_route_asks_for_its_own_action(world):
    token = "hf_0123456789abcdef0123456789abcdef"
    digest = parse_token_digest(token_digest_text(token), where="test", key="token")
    routes = {
        ("GET", "/admin/status"): Action.KEYS_LIST,
        ("GET", "/admin/keys"): Action.KEYS_LIST,
        ("POST", "/admin/reload"): Action.KEYS_RELOAD,
        ("GET", "/admin/slashing/export"): Action.SLASHING_READ,
        ("POST", "/admin/slashing/export"): Action.SLASHING_READ,
        ("GET", "/admin/slashing/receipt"): Action.SLASHING_READ,
        ("POST", "/admin/slashing/import"): Action.SLASHING_WRITE,
        ("POST", "/admin/audit/verify"): Action.AUDIT_READ,
        ("GET", "/admin/audit/entries"): Action.AUDIT_READ,
        ("GET", "/admin/slashing/status"): Action.SLASHING_READ,
        ("GET", f"/admin/slashing/explain?public_key={KEY.hex()}&slot=1"): Action.SLASHING_READ,
        ("POST", "/admin/slashing/watermark"): Action.SLASHING_WRITE,
        ("POST", "/admin/slashing/prune"): Action.SLASHING_WRITE,
    }
    for action in Action:
        principal = Principal("remote", actions=frozenset({action}))

        def build(services, principal=principal):
            return build_api(
                services,
                authenticator=Authenticator([BearerCredential(principal, digest)], anonymous=None),
                settings=ApiSettings(admin_over_network=True),
            )

        async with listening(world, build=build) as listener, listener.client() as client:
            for (method, path), needed in routes.items():
                answer = await client.ask(method, path, f"Authorization: Bearer {token}", body=b"{}")
                assert (answer.status == 403) == (action is not needed), (action, path)
                if answer.status == 403:
                    assert json.loads(answer.body)["action"] == needed
            assert (await client.ask("GET", "/admin/status")).status == 401


def test_the_operator_may_do_everything():
    assert OPERATOR.actions == frozenset(Action)
