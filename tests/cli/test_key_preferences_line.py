"""`holdfast keys set` and `holdfast keys show`: what is asked of a server, and mistakes that nobody is asked about."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cli_line import KEY_A, AdminServer, Cli

SHOWN = "0x" + KEY_A.hex()
OTHER = "0x" + "ab" * 48
PAID_TO = "0x" + "Ab" * 20
DEVELOPMENT = ("--preset", "development", "--data-directory", "data")
NOTHING: dict[str, Any] = {"fee_recipient": None, "gas_limit": None, "graffiti": None}


@pytest.fixture
def asked(server: AdminServer, data: Path) -> list[Any]:
    """The bodies that a server was sent for its route of preferences."""
    bodies: list[Any] = []

    async def set_(request: web.Request) -> web.Response:
        body = await request.json()
        bodies.append(body)
        told = [{"public_key": key, "status": "set", "message": ""} for key in body["keys"]]
        return web.json_response({"keys": told})

    async def show(_request: web.Request) -> web.Response:
        own = NOTHING | {"gas_limit": "5"}
        defaults = NOTHING | {"gas_limit": "6", "fee_recipient": PAID_TO}
        return web.json_response({"public_key": SHOWN, "own": own, "defaults": defaults})

    server.answer("POST", "/admin/keys/preferences", set_)
    server.answer("GET", f"/admin/keys/preferences/{SHOWN}", show)
    server.listen_on_socket(data / "admin.sock")
    return bodies


def test_what_is_set_and_cleared_is_passed_on(cli: Cli, asked: list[Any]) -> None:
    words = ("--fee-recipient", PAID_TO, "--clear", "gas-limit", "--clear", "graffiti")
    said = cli("keys", "set", SHOWN, OTHER, *words, *DEVELOPMENT)
    assert (said.code, said.err) == (0, "")
    cleared = ["gas_limit", "graffiti"]
    assert asked == [NOTHING | {"keys": [SHOWN, OTHER], "fee_recipient": PAID_TO.lower(), "cleared": cleared}]
    assert [line.split("\t") for line in said.out.splitlines()] == [["set", SHOWN], ["set", OTHER]]


def test_what_holds_for_a_key_is_shown_with_where_it_comes_from(cli: Cli, asked: list[Any]) -> None:
    said = cli("keys", "show", SHOWN, *DEVELOPMENT)
    assert [line.split("\t")[1:] for line in said.out.splitlines()] == [
        ["fee_recipient", PAID_TO, "default"],
        ["gas_limit", "5", "key"],
        ["graffiti", "-", "-"],
    ]
    assert cli("keys", "show", SHOWN, "--json", *DEVELOPMENT).json["keys"][0]["own"]["gas_limit"] == "5"
    assert asked == []


@pytest.mark.parametrize(
    "words",
    [
        [SHOWN],
        ["0x12", "--gas-limit", "5"],
        [SHOWN, "--gas-limit", "0"],
        [SHOWN, "--gas-limit", "many"],
        [SHOWN, "--fee-recipient", "0x" + "00" * 20],
        [SHOWN, "--fee-recipient", "11" * 20],
        [SHOWN, "--graffiti", "x" * 33],
        [SHOWN, "--clear", "everything"],
        [SHOWN, "--gas-limit", "5", "--clear", "gas-limit"],
    ],
)
def test_a_mistake_is_told_before_anybody_is_asked(cli: Cli, asked: list[Any], words: list[str]) -> None:
    said = cli("keys", "set", *words, *DEVELOPMENT)
    assert (said.code, said.out) == (2, "")
    assert asked == []
