"""What `holdfast policy` says of one of anything, it says of one; of more, of more."""

import re
from pathlib import Path
from typing import Any

import pytest
from cli_line import AdminServer, Cli
from policy.policy_packs import rules_pack, version_of
from policy.sample_facts import a_duty, facts

from signer.policy.combine import Outcome
from signer.policy.kept_facts import KeptDecision, encode_decision
from signer.policy.verdict import Allow

DEVELOPMENT = ("--preset", "development", "--data-directory", "data")
ONE_OF_MANY = re.compile(
    r"\b1 (times|keys|cases|decisions|edits|pages|items|places|published versions)\b|\b1 (are|were|have|differ)\b"
)
KEY = "0x" + "02" * 33
TEXT = "version: 1\notherwise: allow\ndeny:\n  - {name: votes, types: [ATTESTATION]}\n"


def kept(*audit: str, policy: str = "duties") -> list[dict[str, Any]]:
    """Decisions that allowed a vote; of each what the audit log says."""
    body = encode_decision(
        KeptDecision(facts(duty=a_duty("ATTESTATION")), 1, (Outcome(policy, "ab" * 32, Allow()),), ())
    )
    return [
        {
            "log": "",
            "audit_index": n,
            "time_ms": 1_800_000_000_000 + n,
            "public_key": KEY,
            "code": "",
            "audit": said,
            "body": body.decode(),
        }
        for n, said in enumerate(audit)
    ]


@pytest.fixture
def folder(cli: Cli) -> Path:
    """Rules with one rule, and one case that passes."""
    made = Path("duties")
    made.mkdir()
    (made / "policy.yaml").write_text(TEXT)
    (made / "cases.yaml").write_text(
        "version: 1\ncases:\n  - {name: a vote, facts: {duty: {type: ATTESTATION}}, expect: deny}\n"
    )
    return made


def test_of_one_case_and_one_edit(cli: Cli, folder: Path) -> None:
    said = cli("policy", "test", folder, "--mutations", "1")
    assert re.fullmatch(
        r"1 case: 1 passed, 0 failed; only 1 of \d+ edits of the rules was tried \(--mutations N: so many\),"
        r" of which (1 is|0 are) noticed",
        said.out.splitlines()[-1],
    )
    assert not ONE_OF_MANY.search(said.out)
    (folder / "cases.yaml").write_text((folder / "cases.yaml").read_text().replace("deny", "allow"))
    assert cli("policy", "test", folder).out.splitlines()[-1].startswith("1 case: 0 passed, 1 failed; ")


@pytest.mark.parametrize(
    ("rows", "out", "err"),
    [
        (
            kept("archived"),
            ["1 time allow -> deny DENIED_BY_RULE", "1 decision: 0 the same, 1 different"],
            ["1 decision could not be compared with the audit log: archived (audit.archive_directory)"],
        ),
        (
            kept("archived", "matches", "archived"),
            ["3 times allow -> deny DENIED_BY_RULE", "3 decisions: 0 the same, 3 different"],
            ["2 decisions could not be compared with the audit log: archived (audit.archive_directory)"],
        ),
        (
            kept("differs"),
            [
                "1 decision: 0 the same, 1 different",
                "1 decision is not what the audit log says: altered, and not replayed",
            ],
            [],
        ),
        (
            kept("differs", "differs"),
            [
                "2 decisions: 0 the same, 2 different",
                "2 decisions are not what the audit log says: altered, and not replayed",
            ],
            [],
        ),
        (
            kept("matches", policy="other"),
            ["1 decision: 0 the same, 0 different"],
            ["in 1 decision no policy duties had a say (--everywhere replays those too)"],
        ),
        (
            [],
            ["0 decisions: 0 the same, 0 different"],
            ["no decision is kept of that time: `holdfast policy keep-facts` begins it"],
        ),
    ],
)
def test_of_replayed_decisions(
    cli: Cli,
    server: AdminServer,
    data: Path,
    folder: Path,
    rows: list[dict[str, Any]],
    out: list[str],
    err: list[str],
) -> None:
    server.answer_json("GET", "/admin/policy/decisions", {"decisions": rows, "next_after": None})
    server.listen_on_socket(data / "admin.sock")
    said = cli("policy", "replay", folder, *DEVELOPMENT)
    assert said.out.splitlines()[-len(out) :] == out
    assert said.err.splitlines() == err
    assert not ONE_OF_MANY.search(said.out + said.err)


def test_of_requests_that_were_compared_with_a_shadow(cli: Cli, server: AdminServer, data: Path) -> None:
    version = version_of(rules_pack())
    server.answer_json(
        "GET",
        "/admin/policy",
        {
            "revision": 1,
            "digest": "0x" + "cd" * 32,
            "trusted_keys": [],
            "keeps_facts": [],
            "guard": None,
            "policies": [],
            "lists": [],
        },
    )
    server.answer_json("GET", "/admin/policy/history", {"changes": []})
    shadows = [
        {"policy": name, "version": version, "comparisons": count, "differences": count}
        for name, count in (("one", 1), ("two", 2))
    ]
    server.answer_json("GET", "/admin/policy/shadows", {"shadows": shadows})
    server.listen_on_socket(data / "admin.sock")
    said = cli("policy", "status", *DEVELOPMENT)
    assert said.code == 0, said.err
    assert "one: 1 compared since the start, 1 differs" in said.out
    assert "two: 2 compared since the start, 2 differ" in said.out
