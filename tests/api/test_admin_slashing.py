"""The record by hand over HTTP: what is asked arrives as it was meant; what makes no sense is 400, and not done."""

import json

import pytest
from http_twins import KEY, connected

from signer.api.settings import ApiSettings
from signer.operations.record_orders import MoveWatermarks, PruneRecord


async def test_a_page_of_the_status_is_asked_for_by_key_place_and_length(world):
    async with connected(world) as client:
        document = json.loads((await client.ask("GET", "/admin/slashing/status")).body)
        await client.ask("GET", f"/admin/slashing/status?after=0x{KEY.hex()}&limit=7")
        await client.ask("GET", f"/admin/slashing/status?public_key={KEY.hex().upper()}")
    assert world.explaining.asked == [(None, b"", 500), (None, bytes(KEY), 7), (KEY, b"", 500)]
    assert document["watermarks"] == {"low_epoch": 90, "low_slot": None, "high_epoch": None, "high_slot": 6400}
    assert document["keys"][0]["newest_target"] == 2**64 - 1
    assert document["next_after"] == "0x" + KEY.hex()


async def test_a_question_is_answered_with_its_evidence(world):
    async with connected(world) as client:
        asked = f"/admin/slashing/explain?public_key=0x{KEY.hex()}"
        answer = await client.ask("GET", f"{asked}&source=3&target={2**64 - 1}&root=0x{'ab' * 32}")
        assert (await client.ask("GET", f"{asked}&slot=9")).status == 200
    document = json.loads(answer.body)
    assert (document["verdict"], document["code"]) == ("refused", "DOUBLE_VOTE")
    assert document["evidence"] == {"recorded_target_epoch": 5, "signing_root": None}
    assert [one.told() for one in world.explaining.questions] == [
        {"public_key": "0x" + KEY.hex(), "source": "3", "target": str(2**64 - 1), "root": "0x" + "ab" * 32},
        {"public_key": "0x" + KEY.hex(), "slot": "9"},
    ]


async def test_orders_arrive_whole(world):
    top = 2**64 - 1
    async with connected(world) as client:
        body = json.dumps({"public_key": "0x" + KEY.hex(), "low_epoch": top, "low_slot": 0, "far_ahead": True})
        assert (await client.ask("POST", "/admin/slashing/watermark", body=body.encode())).status == 200
        body = json.dumps({"high_epoch": 5, "high_slot": None, "clear_high": False})
        answer = await client.ask("POST", "/admin/slashing/watermark", body=body.encode())
        assert json.loads(answer.body)["before"]["low_epoch"] is None
        answer = await client.ask("POST", "/admin/slashing/prune")
        assert json.loads(answer.body) == {"votes": 250, "blocks": 6, "transactions": 1, "more": True}
        await client.ask("POST", "/admin/slashing/prune", body=b'{"keep_epochs": 20, "keep_slots": 640}')
    assert world.keeping.moves == [
        (MoveWatermarks(KEY, low_epoch=top, low_slot=0), True),
        (MoveWatermarks(high_epoch=5), False),
    ]
    assert world.keeping.prunes == [PruneRecord(), PruneRecord(20, 640)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("watermark", b"[]"),
        ("watermark", b'{"low_epoch": "7"}'),
        ("watermark", b'{"low_epoch": -1}'),
        ("watermark", b'{"low_epoch": 18446744073709551616}'),
        ("watermark", b'{"low_epoch": 1.5}'),
        ("watermark", b'{"low_epohc": 7}'),
        ("watermark", b'{"low_epoch": 7, "public_key": "0x12"}'),
        ("watermark", b"\xff"),
        ("prune", b'{"keep_epochs": true}'),
        ("prune", b'{"keep": 7}'),
    ],
)
async def test_an_order_that_cannot_be_read_is_400_and_nothing_is_done(world, path, body):
    async with connected(world) as client:
        answer = await client.ask("POST", f"/admin/slashing/{path}", body=body)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "MALFORMED_REQUEST")
    assert world.keeping.moves == []
    assert world.keeping.prunes == []


@pytest.mark.parametrize(
    "asked",
    [
        "status?limit=0",
        "status?limit=501",
        "status?limit=%b2",
        "status?after=12",
        "explain?slot=1",
        f"explain?public_key={KEY.hex()}&slot=-1",
        f"explain?public_key={KEY.hex()}&slot={2**64}",
        f"explain?public_key={KEY.hex()}&source=1",
        f"explain?public_key={KEY.hex()}&slot=1&root=12",
    ],
)
async def test_a_question_that_cannot_be_read_is_400(world, asked):
    async with connected(world) as client:
        assert (await client.ask("GET", f"/admin/slashing/{asked}")).status == 400


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("POST", "/admin/slashing/import?dry-run=true", "dry_run, far_ahead, partial"),
        ("POST", "/admin/slashing/import?dry_run=true&Partial=true", "dry_run, far_ahead, partial"),
        ("POST", "/admin/slashing/import?dry_run=true&dry_run=false", "dry_run more than once"),
        ("POST", "/admin/slashing/import?dry_run=true&dry%5frun=true", "dry_run more than once"),
        ("POST", "/admin/slashing/import?dry_run", "true or false"),
        ("POST", "/admin/slashing/import?dry_run=1", "true or false"),
        ("POST", "/admin/slashing/watermark?dry_run=true", "none is known"),
        ("POST", "/admin/slashing/prune?keep_epochs=9", "none is known"),
        ("GET", "/admin/slashing/export?keys=0xab", "none is known"),
        ("POST", "/admin/slashing/export?since=x", "none is known"),
        ("GET", "/admin/slashing/receipt?x", "none is known"),
        ("GET", "/admin/slashing/status?publickey=0xab", "after, limit, public_key"),
        ("GET", "/admin/slashing/explain?public_key=0xab&epoch=3", "public_key, root, slot, source, target"),
        ("POST", "/admin/migration/in?signedby=0xab", "signed_by"),
        ("POST", "/admin/migration/out?dry_run=true", "none is known"),
        ("POST", "/admin/migration/undo?reason=a&reason=b", "reason more than once"),
        ("POST", "/admin/keys/freeze?dry_run=true", "none is known"),
        ("POST", "/admin/reload?dry_run=true", "none is known"),
        ("GET", "/admin/audit/entries?lst=3", "before, last, public_key, request_id"),
        ("POST", f"/eth/v1/validator/0x{KEY.hex()}/voluntary_exit?epcoh=7", "epoch, validator_index"),
    ],
)
async def test_a_query_that_is_not_understood_is_refused_and_nothing_is_done(world, method, path, told):
    async with connected(world, settings=ApiSettings(admin_over_network=True, key_manager=True)) as client:
        answer = await client.ask(method, path, body=b"{}")
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"]) == (400, "MALFORMED_REQUEST")
    assert told in problem["detail"]
    assert world.protection.imported == []


async def test_other_routes_overlook_a_query_as_web3signer_does(world):
    async with connected(world) as client:
        assert (await client.ask("GET", "/api/v1/eth2/publicKeys?cache=no&cache=no")).status == 200
        assert (await client.ask("GET", "/upcheck?x")).status == 200
