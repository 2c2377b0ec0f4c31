"""`holdfast policy trust`, `status` and `who-can`: how keys and versions are written."""

import json
import subprocess
from pathlib import Path

import pytest
from aiohttp import web
from cli_line import AdminServer, Cli

DEVELOPMENT = ("--preset", "development", "--data-directory", "data")
VERSION = "3fa94c1d" * 8
AUTHOR = "ab" * 32
HOLDS = {
    "revision": 7,
    "digest": "0x" + "cd" * 32,
    "trusted_keys": [AUTHOR],
    "keeps_facts": [],
    "guard": None,
    "policies": [],
    "lists": [],
}
CHANGE = f"activated policy staking: none -> {VERSION} signed by 0x{AUTHOR}"


@pytest.fixture
def orders(server: AdminServer, data: Path) -> list[dict[str, object]]:
    """The orders that a server was given."""
    given: list[dict[str, object]] = []

    async def order(request: web.Request) -> web.Response:
        given.append(json.loads(await request.read()))
        return web.json_response({"revision": 7, "status": "done", "change": CHANGE, "version": ""})

    server.answer("POST", "/admin/policy/orders", order)
    server.answer_json("GET", "/admin/policy", HOLDS)
    server.answer_json("GET", "/admin/policy/shadows", {"shadows": []})
    changes = [{"revision": 7, "at": "2026-01-01T00:00:00Z", "by": "ann", "change": CHANGE}]
    server.answer_json("GET", "/admin/policy/history", {"changes": changes})
    server.listen_on_socket(data / "admin.sock")
    return given


def author_key() -> Path:
    """As the pages say that authors make one; beside it its public half."""
    for line in ("genpkey -algorithm ed25519 -out author.pem", "pkey -in author.pem -pubout -out author.pub.pem"):
        subprocess.run(["openssl", *line.split()], check=True)
    return Path("author.pub.pem")


def test_a_key_is_trusted_by_its_digits_or_its_file(cli: Cli, orders: list[dict[str, object]]) -> None:
    file = author_key()
    for word in (AUTHOR, "0x" + AUTHOR, "0X" + AUTHOR.upper(), str(file)):
        assert cli("policy", "trust", word, *DEVELOPMENT).code == 0
    text = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", file, "-outform", "DER"], check=True, capture_output=True
    ).stdout
    assert [order["key"] for order in orders] == [AUTHOR, AUTHOR, AUTHOR, text[-32:].hex()]


@pytest.mark.parametrize("word", ["author.pem", "missing.pem", "0x12", "a" * 5000, "."])
def test_what_is_no_public_key_is_told_with_where_one_comes_from(
    cli: Cli, orders: list[dict[str, object]], word: str
) -> None:
    author_key()
    said = cli("policy", "trust", word, *DEVELOPMENT)
    assert (said.code, orders) == (2, [])
    assert "build --sign-with" in said.err
    assert "-pubout" in said.err


@pytest.mark.usefixtures("orders")
def test_versions_are_short_for_people_and_whole_for_programs(cli: Cli) -> None:
    for words in (("status",), ("retire", "staking")):
        said = cli("policy", *words, *DEVELOPMENT)
        assert said.code == 0
        assert VERSION[:12] in said.out
        assert VERSION not in said.out
        assert "0x" + AUTHOR in said.out, "keys are never shortened: they are copied"
        assert VERSION in cli("policy", *words, "--json", *DEVELOPMENT).out


def test_who_can_says_where_keys_are_found(cli: Cli) -> None:
    said = cli("policy", "who-can", "demo", "BLOCK_V2", *DEVELOPMENT)
    assert (said.code, "holdfast keys list" in said.err) == (2, True)
