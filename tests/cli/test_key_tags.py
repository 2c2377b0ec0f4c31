"""`holdfast keys tag`, `keys list --tag` and `freeze tag:NAME`: with a server, and where none runs."""

import json
from pathlib import Path

import pytest
from aiohttp import web
from cli_line import KEY_A, AdminServer, Cli

SHOWN = "0x" + KEY_A.hex()
OTHER = "0x" + "ab" * 48
DEVELOPMENT = ("--preset", "development", "--data-directory", "data")


@pytest.fixture
def asked(server: AdminServer, data: Path) -> list[object]:
    """The bodies that a server was sent for its tag route."""
    bodies: list[object] = []

    async def tag(request: web.Request) -> web.Response:
        body = await request.json()
        bodies.append(body)
        status = "error" if "frozen" in body["remove"] else "tagged"
        told = [{"public_key": key, "status": status, "message": "so it is"} for key in body["keys"]]
        return web.json_response({"keys": told})

    server.answer("POST", "/admin/keys/tag", tag)
    server.listen_on_socket(data / "admin.sock")
    return bodies


def test_an_order_about_tags_is_passed_on_and_told_key_by_key(cli: Cli, asked: list[object]) -> None:
    said = cli("keys", "tag", SHOWN, OTHER, "--add", "lido", "--add", "paid", "--remove", "test", *DEVELOPMENT)
    assert said.code == 0
    assert asked == [{"keys": [SHOWN, OTHER], "add": ["lido", "paid"], "remove": ["test"]}]
    assert [line.split()[:2] for line in said.out.splitlines()[-2:]] == [["tagged", SHOWN], ["tagged", OTHER]]


def test_a_frozen_tag_that_stays_is_exit_code_1(cli: Cli, asked: list[object]) -> None:
    said = cli("keys", "tag", SHOWN, "--remove", "frozen", "--json", *DEVELOPMENT)
    assert said.code == 1
    assert said.json == {"keys": [{"public_key": SHOWN, "status": "error", "message": "so it is"}]}
    assert asked == [{"keys": [SHOWN], "add": [], "remove": ["frozen"]}]


@pytest.mark.parametrize(
    "words",
    [
        [SHOWN],
        ["0x12", "--add", "a"],
        ["all", "--add", "a"],
        [SHOWN, "--add", "Not A Tag"],
        [SHOWN, "--add", "a", "--remove", "a"],
    ],
)
def test_a_mistake_is_told_before_anybody_is_asked(cli: Cli, asked: list[object], words: list[str]) -> None:
    said = cli("keys", "tag", *words, *DEVELOPMENT)
    assert (said.code, said.out) == (2, "")
    assert asked == []


def test_keys_are_listed_with_their_tags_and_by_them(cli: Cli, server: AdminServer, data: Path) -> None:
    one = {"namespace": "default", "origin": "file-raw", "derivation_path": None}
    keys = [{"public_key": SHOWN, "tags": ["lido", "paid"], **one}, {"public_key": OTHER, "tags": ["lido"], **one}]
    server.answer_json("GET", "/admin/keys", {"keys": keys})
    server.listen_on_socket(data / "admin.sock")

    def listed(*words: str) -> list[str]:
        return [key["public_key"] for key in cli("keys", "list", *words, "--json", *DEVELOPMENT).json["keys"]]

    assert listed() == listed("--tag", "lido") == [SHOWN, OTHER]
    assert listed("--tag", "paid") == listed("--tag", "lido", "--tag", "paid") == [SHOWN]
    assert listed("--tag", "none") == []
    assert "lido paid" in cli("keys", "list", *DEVELOPMENT).out


def test_tags_are_frozen_and_told_where_no_server_runs(cli: Cli) -> None:
    said = cli("freeze", "tag:lido", SHOWN, "--json", *DEVELOPMENT)
    assert said.code == 0
    assert [(each["public_key"], each["status"]) for each in said.json["keys"]] == [
        (SHOWN, "frozen"),
        ("tag:lido", "frozen"),
    ]
    assert said.json["frozen"]["tags"] == [{"tag": "lido", "since_ms": 1_700_000_000_000, "keys": 2}]
    assert "tag:lido is frozen since 2023-11-14T22:13:20Z: 2 keys bear it." in cli("freeze", *DEVELOPMENT).out
    assert cli("thaw", "tag:lido", *DEVELOPMENT).code == 0
    assert "tag:" not in cli("freeze", *DEVELOPMENT).out
    assert cli("freeze", "tag:", *DEVELOPMENT).code == 2


def test_keys_are_tagged_where_no_server_runs(cli: Cli) -> None:
    said = cli("keys", "tag", SHOWN, "--add", "lido", "--json", *DEVELOPMENT)
    assert json.loads(said.out)["keys"] == [{"public_key": SHOWN, "status": "tagged", "message": ""}]
    assert cli("keys", "tag", SHOWN, "--remove", "frozen", *DEVELOPMENT).code == 1
