"""Tags over HTTP: given, taken, listed, frozen, by whoever was granted it."""

import json
from typing import Any

import pytest
from http_twins import KEY, OTHER_KEY, World, connected

SHOWN, OTHER = "0x" + KEY.hex(), "0x" + OTHER_KEY.hex()


async def post(world: World, path: str, body: object) -> tuple[int, Any]:
    async with connected(world) as client:
        answer = await client.ask("POST", path, body=json.dumps(body).encode())
    return answer.status, json.loads(answer.body)


async def test_tags_are_given_and_taken_key_by_key(world: World) -> None:
    status, body = await post(world, "/admin/keys/tag", {"keys": [SHOWN, OTHER], "add": ["lido"]})
    told = [{"public_key": key, "status": "tagged", "message": ""} for key in (SHOWN, OTHER)]
    assert (status, body) == (200, {"keys": told})
    await post(world, "/admin/keys/tag", {"keys": [SHOWN], "add": ["b"], "remove": ["lido"]})
    async with connected(world) as client:
        listed = json.loads((await client.ask("GET", "/admin/keys")).body)["keys"]
    assert {key["public_key"]: key["tags"] for key in listed} == {SHOWN: ["b"], OTHER: ["lido"]}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"add": ["a"]}, "keys"),
        ({"keys": [SHOWN], "add": "a"}, "add"),
        ({"keys": [SHOWN], "remove": [1]}, "remove"),
        ({"keys": [SHOWN], "add": ["A"]}, "add"),
        ({"keys": [SHOWN], "add": ["a"], "remove": ["a"]}, "remove"),
        ({"keys": [SHOWN], "add": []}, None),
        ({"keys": ["all"], "add": ["a"]}, None),
        ({"keys": ["tag:a"], "add": ["a"]}, None),
        ({"keys": [], "add": ["a"]}, None),
    ],
)
async def test_what_is_no_order_about_tags_is_refused_with_the_place(world: World, body: object, path: str) -> None:
    status, problem = await post(world, "/admin/keys/tag", body)
    assert (status, problem["code"], problem.get("path")) == (400, "MALFORMED_REQUEST", path)
    assert world.custody.tagging.kept == {}


async def test_a_tag_is_frozen_beside_keys_and_told(world: World) -> None:
    status, body = await post(world, "/admin/keys/freeze", {"keys": [SHOWN, "tag:lido"]})
    assert (status, [one["public_key"] for one in body["keys"]]) == (200, [SHOWN, "tag:lido"])
    async with connected(world) as client:
        frozen = json.loads((await client.ask("GET", "/admin/keys/frozen")).body)
        state = json.loads((await client.ask("GET", "/admin/status")).body)["frozen"]
        health = json.loads((await client.ask("GET", "/healthcheck")).body)
    assert frozen["tags"] == [{"tag": "lido", "since_ms": 1_700_000_000_000, "keys": 2}]
    assert state == {"all": False, "keys": 1, "tags": 1}
    [check] = [one for one in health["checks"] if one["id"] == "holdfast-frozen-keys"]
    assert check["data"] == {"frozen-keys": 1, "all-frozen": False, "frozen-tags": 1}
    assert (await post(world, "/admin/keys/thaw", {"keys": ["tag:lido"]}))[1]["keys"][0]["status"] == "thawed"
    assert (await post(world, "/admin/keys/freeze", {"keys": ["tag:LIDO"]}))[0] == 400
