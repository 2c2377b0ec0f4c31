"""`holdfast policy publish` of a folder: its cases are asked first, and what they say is told."""

import json
from pathlib import Path

import pytest
from aiohttp import web
from cli_line import AdminServer, Cli

DEVELOPMENT = ("--preset", "development", "--data-directory", "data")
RULES = """version: 1
otherwise: allow
deny:
  - {name: exits, types: [VOLUNTARY_EXIT]}
"""
GOOD = """version: 1
cases:
  - {name: a vote, facts: {duty: {type: ATTESTATION}}, expect: allow}
"""
WRONG = (
    GOOD
    + """
  - {name: an exit, facts: {duty: {type: VOLUNTARY_EXIT}}, expect: allow}
  - {name: a block, facts: {duty: {type: BLOCK_V2}}, expect: deny}
"""
)


@pytest.fixture
def orders(server: AdminServer, data: Path) -> list[dict[str, object]]:
    """The orders that a server was given."""
    given: list[dict[str, object]] = []

    async def order(request: web.Request) -> web.Response:
        given.append(json.loads(await request.read()))
        return web.json_response({"revision": 1, "status": "done", "change": "published policy duties", "version": ""})

    server.answer("POST", "/admin/policy/orders", order)
    server.listen_on_socket(data / "admin.sock")
    return given


@pytest.fixture
def folder(cli: Cli) -> Path:
    """Rules without cases; the command line's directory is the test's own."""
    made = Path("duties")
    made.mkdir()
    (made / "policy.yaml").write_text(RULES)
    return made


def test_a_folder_whose_cases_pass_is_published_without_a_word_about_them(
    cli: Cli, orders: list[dict[str, object]], folder: Path
) -> None:
    (folder / "cases.yaml").write_text(GOOD)
    for strict in ((), ("--strict",)):
        said = cli("policy", "publish", folder, *strict, *DEVELOPMENT)
        assert said.code == 0, said.err
        assert "case" not in said.err
    assert len(orders) == 2


def test_cases_that_fail_are_named_and_the_folder_is_published_all_the_same(
    cli: Cli, orders: list[dict[str, object]], folder: Path
) -> None:
    (folder / "cases.yaml").write_text(WRONG)
    said = cli("policy", "publish", folder, "--json", *DEVELOPMENT)
    assert said.code == 0
    assert said.json["status"] == "done", "standard output holds the order's result and nothing else"
    lines = said.err.splitlines()
    assert lines[0] == "warning: 2 of 3 cases fail; `holdfast policy test duties` shows what differs"
    assert lines[1:3] == ["  duties/cases.yaml:5: an exit", "  duties/cases.yaml:6: a block"]
    assert [each["order"] for each in orders] == ["publish"]


def test_strictly_cases_that_fail_publish_nothing(cli: Cli, orders: list[dict[str, object]], folder: Path) -> None:
    (folder / "cases.yaml").write_text(WRONG)
    said = cli("policy", "publish", folder, "--strict", "--json", *DEVELOPMENT)
    assert (said.code, said.problem["code"], orders) == (1, "POLICY_CASES_FAIL", [])
    assert said.problem["cases"] == "duties/cases.yaml:5: an exit\nduties/cases.yaml:6: a block"
    people = cli("policy", "publish", folder, "--strict", *DEVELOPMENT)
    assert "error: 2 of 3 cases fail" in people.err
    assert "duties/cases.yaml:6: a block" in people.err


def test_of_many_that_fail_some_are_named(cli: Cli, orders: list[dict[str, object]], folder: Path) -> None:
    cases = "".join(f"  - {{name: case {n}, facts: {{duty: {{type: BLOCK_V2}}}}, expect: deny}}\n" for n in range(13))
    (folder / "cases.yaml").write_text("version: 1\ncases:\n" + cases)
    said = cli("policy", "publish", folder, *DEVELOPMENT)
    assert said.err.splitlines()[0].startswith("warning: 13 of 13 cases fail; ")
    assert said.err.splitlines()[10:12] == ["  duties/cases.yaml:12: case 9", "  and 3 more"]
    assert len(orders) == 1


def test_a_folder_without_cases_says_so_in_a_line_and_strictly_publishes_nothing(
    cli: Cli, orders: list[dict[str, object]], folder: Path
) -> None:
    strict = cli("policy", "publish", folder, "--strict", "--json", *DEVELOPMENT)
    assert (strict.code, strict.problem["code"], orders) == (1, "POLICY_CASES_FAIL", [])
    said = cli("policy", "publish", folder, *DEVELOPMENT)
    about = [line for line in said.err.splitlines() if "case" in line]
    assert (said.code, len(about), len(orders)) == (0, 1, 1)
    assert "duties/cases.yaml holds no case" in about[0]


def test_cases_that_cannot_be_read_are_a_warning_and_strictly_an_error(
    cli: Cli, orders: list[dict[str, object]], folder: Path
) -> None:
    (folder / "cases.yaml").write_text("version: 1\ncases: [{name: a, expext: allow}]\n")
    strict = cli("policy", "publish", folder, "--strict", *DEVELOPMENT)
    assert (strict.code, orders) == (2, [])
    said = cli("policy", "publish", folder, *DEVELOPMENT)
    assert (said.code, len(orders)) == (0, 1)
    assert "warning: the cases cannot be asked: " in said.err
    assert "expext" in said.err


def test_a_pack_holds_no_cases_and_cannot_be_published_strictly(
    cli: Cli, orders: list[dict[str, object]], folder: Path
) -> None:
    (folder / "cases.yaml").write_text(WRONG)
    assert cli("policy", "build", folder).code == 0
    strict = cli("policy", "publish", folder / "duties.policy", "--strict", *DEVELOPMENT)
    assert (strict.code, "holds no cases" in strict.err, orders) == (2, True, [])
    said = cli("policy", "publish", folder / "duties.policy", *DEVELOPMENT)
    assert (said.code, "case" in said.err, len(orders)) == (0, False, 1)


def test_rules_that_are_none_are_refused_by_the_signer_and_strictly_by_the_command(
    cli: Cli, orders: list[dict[str, object]], folder: Path
) -> None:
    (folder / "cases.yaml").write_text(GOOD)
    (folder / "policy.yaml").write_text(RULES.replace("types", "tipes"))
    strict = cli("policy", "publish", folder, "--strict", *DEVELOPMENT)
    assert (strict.code, "tipes" in strict.err, orders) == (2, True, [])
    assert cli("policy", "publish", folder, *DEVELOPMENT).code == 0
    assert len(orders) == 1, "this signer takes everything; a real one refuses it"
