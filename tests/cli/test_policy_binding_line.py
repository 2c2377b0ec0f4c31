"""`holdfast policy bind`: what a running server's keys say of the places that a policy is bound to."""

from pathlib import Path

import pytest
from aiohttp import web
from cli_line import KEY_A, AdminServer, Cli

SHOWN = "0x" + KEY_A.hex()
OTHER = "0x" + "ab" * 48
DEVELOPMENT = ("--preset", "development", "--data-directory", "data")
KEY = {"public_key": SHOWN, "namespace": "default", "origin": "file-keystore", "derivation_path": None}


@pytest.fixture
def served(server: AdminServer, data: Path) -> AdminServer:
    """One key with the tag `lido`, and orders that are all carried out."""

    async def order(request: web.Request) -> web.Response:
        told = await request.json()
        return web.json_response({"revision": 7, "status": "done", "change": told["order"], "version": ""})

    server.answer("POST", "/admin/policy/orders", order)
    server.answer_json("GET", "/admin/keys", {"keys": [{**KEY, "tags": ["lido"]}]})
    server.listen_on_socket(data / "admin.sock")
    return server


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (("tag:lido", f"key:{SHOWN}", "namespace:default", "caller:nobody"), []),
        (("tag:lidl",), ["no key here bears lidl: it has a say in nothing yet"]),
        ((f"key:{OTHER}", "tag:lido", "tag:b"), [f"no key here is {OTHER}", "no key here bears b"]),
    ],
)
@pytest.mark.usefixtures("served")
def test_a_place_in_which_no_key_is_yet_is_told(cli: Cli, where: tuple[str, ...], told: list[str]) -> None:
    said = cli("policy", "bind", "staking", *where, *DEVELOPMENT)
    assert said.code == 0
    assert said.err.count("no key here") == len(told)
    assert all(each in said.err for each in told), said.err


@pytest.mark.usefixtures("served")
def test_taking_a_policy_from_a_place_tells_nothing_of_its_keys(cli: Cli) -> None:
    said = cli("policy", "unbind", "staking", "tag:lidl", *DEVELOPMENT)
    assert (said.code, said.err) == (0, "")


def test_who_may_not_see_the_keys_binds_all_the_same(cli: Cli, served: AdminServer) -> None:
    served.answer_json("GET", "/admin/keys", {"code": "FORBIDDEN", "detail": "not granted"}, 403)
    said = cli("policy", "bind", "staking", "tag:lidl", *DEVELOPMENT)
    assert (said.code, said.err) == (0, "")


def test_a_policy_and_a_revision_at_once_are_told_to_be_too_much(cli: Cli) -> None:
    said = cli("policy", "rollback", "staking", "--to-revision", "1", *DEVELOPMENT)
    assert (said.code, "not both" in said.err) == (2, True)
