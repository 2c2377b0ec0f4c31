"""Releasing keys, and keys that move, over HTTP: whoever was granted it, through whatever listener has the routes."""

import json

from custody_twin import HISTORY, SIGNED_BY
from http_twins import KEY, OTHER_KEY, World, connected

from signer.errors import JournalDownError

SHOWN = "0x" + KEY.hex()


async def test_a_release_tells_what_became_of_each_key(world: World) -> None:
    body = json.dumps({"keys": [SHOWN, "0x" + OTHER_KEY.hex()]}).encode()
    async with connected(world) as client:
        answer = await client.ask("POST", "/admin/keys/release", body=body)
    assert [(one["public_key"], one["status"]) for one in json.loads(answer.body)["keys"]] == [
        (SHOWN, "released"),
        ("0x" + OTHER_KEY.hex(), "not_in_quarantine"),
    ]


async def test_what_leaves_is_answered_as_a_line_and_a_history_and_nothing_is_left_behind(world: World) -> None:
    async with connected(world) as client:
        named = await client.ask("POST", "/admin/migration/out", body=json.dumps({"keys": [SHOWN]}).encode())
        everything = await client.ask("POST", "/admin/migration/out", body=b'{"keys": ["all"]}')
        both = await client.ask("POST", "/admin/migration/out", body=json.dumps({"keys": [SHOWN, "all"]}).encode())
    assert named.body == everything.body == b'{"format":"a receipt"}\n' + HISTORY
    assert both.status == 400
    assert world.custody.left == [(KEY,), None]
    assert [path.name for path in world.directory.iterdir() if not path.is_socket()] == []


async def test_what_comes_is_cut_after_its_first_line(world: World) -> None:
    receipt, history = b'{"format":"a receipt"}', HISTORY * 3
    async with connected(world) as client:
        answer = await client.ask("POST", f"/admin/migration/in?signed_by={SIGNED_BY}", body=receipt + b"\n" + history)
    assert json.loads(answer.body) == {"keys": ["0x" + "01" * 48], "signed_by": SIGNED_BY, "receipt": "00112233"}
    assert world.custody.came == [(receipt, history, SIGNED_BY)]


async def test_a_fault_is_a_problem_with_its_code(world: World) -> None:
    async with connected(world) as client:
        bad = await client.ask("POST", "/admin/migration/in", body=b"nonsense")
        world.custody.error = JournalDownError("no")
        down = await client.ask("POST", "/admin/migration/out", body=b'{"keys": ["all"]}')
    assert (bad.status, json.loads(bad.body)["code"]) == (400, "BAD_RECEIPT")
    assert (down.status, json.loads(down.body)["code"]) == (500, "JOURNAL_DOWN")


async def test_an_undo_takes_the_receipt_and_the_operators_words(world: World) -> None:
    receipt = b'{"format":"a receipt"}'
    async with connected(world) as client:
        path = "/admin/migration/undo?reason=it%20never%20started"
        unsure = await client.ask("POST", path, body=receipt)
        answer = await client.ask("POST", path + "&nothing_else_signs=true", body=receipt + b"\n")
    assert unsure.status == 400
    assert json.loads(answer.body) == {"keys": ["0x" + "01" * 48], "receipt": "00112233", "floor_epoch": "300004"}
    assert world.custody.taken_back == [(receipt, "it never started")]
