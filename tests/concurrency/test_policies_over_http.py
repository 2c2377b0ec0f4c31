"""Policies under load over HTTP, in one process and with workers: what may be spent once is spent once."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from duty_requests import NO_GUARD, Line, all_at_once, batch_request, block_body, line_to, sign_request, vote_body
from e2e.worker_processes import line_to_each
from policy.policy_packs import module_pack
from policy.wat_policies import policy as wat_policy
from policy_signers import ALLOWS, BURNS, NO_BLOCKS, TRAPS, UNUSED_ONLY, limited, policy_signer
from running import RunningSigner, interop_secret

from signer.crypto import bls
from signer.crypto.bls import SecretKey
from signer.policy.bindings import ToKey

AT_ONCE = 200
SECRETS = [interop_secret(number) for number in range(9)]
KEYS = ["0x" + bytes(bls.load().public_key(SecretKey.from_bytes(each.to_bytes(32, "big")))).hex() for each in SECRETS]
ONCE, COUNTED, BATCHED, NO_BLOCK, BROKEN, TRAPPED, BURNING, FREE, SPENT = KEYS

FOREIGN = module_pack(wat_policy(rest='(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))'), "foreign")
PACKS = [
    limited("once", 1),
    UNUSED_ONLY,
    limited("once-too", 1),
    limited("once-more", 1),
    NO_BLOCKS,
    FOREIGN,
    TRAPS,
    BURNS,
    ALLOWS,
]
BINDINGS = [
    ("once", ToKey(ONCE)),
    ("unused-only", ToKey(COUNTED)),
    ("once-too", ToKey(BATCHED)),
    ("once-more", ToKey(SPENT)),
    ("no-blocks", ToKey(NO_BLOCK)),
    ("allows", ToKey(NO_BLOCK)),
    ("foreign", ToKey(BROKEN)),
    ("traps", ToKey(TRAPPED)),
    ("burns", ToKey(BURNING)),
]


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two workers"])
def signer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    sections = {**NO_GUARD, "server": {"workers": request.param, "request_deadline_seconds": 60}}
    directory = tmp_path_factory.mktemp("policies")
    with policy_signer(directory, PACKS, BINDINGS, secrets=SECRETS, sections=sections) as running:
        yield running


def test_of_two_hundred_at_once_under_a_limit_for_one_exactly_one_is_signed(signer: RunningSigner) -> None:
    answers = all_at_once(signer.port, [sign_request(ONCE, vote_body(n, n + 1)) for n in range(100, 100 + AT_ONCE)])
    verdicts = [answer.verdict for answer in answers]
    assert verdicts.count("signed") == 1, verdicts
    assert set(verdicts) <= {"signed", "412 COUNTER_LIMIT"}
    with line_to(signer.port) as line:
        again = line.sign(ONCE, vote_body(900, 901))
    assert again.verdict == "412 COUNTER_LIMIT"


def test_of_two_hundred_that_judge_by_one_counter_exactly_one_is_signed(signer: RunningSigner) -> None:
    answers = all_at_once(signer.port, [sign_request(COUNTED, vote_body(n, n + 1)) for n in range(100, 100 + AT_ONCE)])
    verdicts = [answer.verdict for answer in answers]
    assert verdicts.count("signed") == 1, verdicts
    assert set(verdicts) <= {"signed", "412 POLICY_TRAPPED", "412 COUNTER_CONTENDED"}


def test_batches_and_single_requests_race_for_one_use(signer: RunningSigner) -> None:
    bodies = [vote_body(n, n + 1) for n in range(100, 220)]
    batches = [batch_request([(BATCHED, body) for body in bodies[at : at + 20]]) for at in range(0, 60, 20)]
    singles = [sign_request(BATCHED, body) for body in bodies[60:]]
    answers = all_at_once(signer.port, [*batches, *singles])
    entries = [entry for answer in answers[:3] for entry in json.loads(answer.body)]
    signed = sum("signature" in entry for entry in entries) + sum(bool(answer.signature) for answer in answers[3:])
    assert signed == 1
    assert {entry["code"] for entry in entries if "code" in entry} <= {"COUNTER_LIMIT"}


VOLATILE = re.compile(r'"request_id":"[^"]*"')


def answers_of(line: Line) -> list[tuple[int, str]]:
    """What one process says to requests with every kind of fate; none of them can be spent."""
    asked = [
        (NO_BLOCK, block_body(64)),
        (NO_BLOCK, vote_body(10, 11)),
        (BROKEN, vote_body(10, 11)),
        (TRAPPED, vote_body(10, 11)),
        (FREE, vote_body(10, 11)),
    ]
    found = []
    for key, body in asked:
        answer = line.sign(key, body)
        found.append((answer.status, VOLATILE.sub("", answer.body.decode())))
    return found


def test_every_process_says_the_same_of_a_denial(signer: RunningSigner) -> None:
    if json.loads(signer.config_file.read_text())["server"]["workers"] == 1:
        with line_to(signer.port) as line:
            said = [answers_of(line)]
    else:
        with line_to_each(signer) as lines:
            said = [answers_of(line) for line in lines.values()]
            assert len(said) == 2
    assert all(each == said[0] for each in said)
    assert [status for status, _ in said[0]] == [412, 200, 412, 412, 200]
    denial = json.loads(said[0][0][1].replace(",,", ","))
    assert (denial["code"], denial["policy"], denial["rule"]) == ("DENIED_BY_RULE", "no-blocks", "blocks")
    assert [json.loads(said[0][n][1].replace(",,", ","))["code"] for n in (2, 3)] == [
        "POLICY_NOT_LOADED",
        "POLICY_TRAPPED",
    ]


def test_a_policy_that_burns_its_time_keeps_nobody_else_waiting(signer: RunningSigner) -> None:
    burning = [sign_request(BURNING, vote_body(n, n + 1)) for n in range(100, 112)]
    quick = [sign_request(NO_BLOCK, vote_body(10, 11))] * 10
    with line_to(signer.port) as line:
        for request in burning[:1]:
            line.send(request)
        answers = all_at_once(signer.port, [*burning[1:], *quick])
        first = line.read()
    assert {answer.verdict for answer in answers[-10:]} == {"signed"}
    assert {answer.verdict for answer in (first, *answers[:-10])} <= {"412 POLICY_TIMED_OUT", "412 POLICY_OUT_OF_FUEL"}


def post(line: Line, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    text = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(text)}\r\n\r\n".encode()
    answer = line.ask(head + text)
    return answer.status, json.loads(answer.body)


def test_our_own_routes_tell_what_each_policy_said(signer: RunningSigner) -> None:
    with line_to(signer.port) as line:
        status, told = post(line, f"/v1/sign/{NO_BLOCK}", vote_body(10, 11))
        assert status == 200
        assert [(one["policy"], one["verdict"]) for one in told["policies"]] == [
            ("allows", "allow"),
            ("no-blocks", "allow"),
        ]
        status, told = post(line, f"/v1/sign/{NO_BLOCK}", block_body(640))
        assert (status, told["code"]) == (412, "DENIED_BY_RULE")
        assert [one["verdict"] for one in told["policies"]] == ["allow", "deny"]
        status, told = post(line, f"/v1/sign/{FREE}", vote_body(10, 11))
        assert (status, told["policies"]) == (200, [])

        asked = {"public_key": ONCE, "request": vote_body(5000, 5001)}
        status, told = post(line, "/v1/policy/evaluate", asked)
        assert (status, told["decision"], told["bound"]) == (200, "allow", ["once"])
        assert [(one["amount"], one["limit"]) for one in told["reserve"]] == [("1", "1")]
        status, told = post(line, f"/api/v1/eth2/explain/{NO_BLOCK}", block_body(640))
        assert (status, told["would_sign"], told["refusal"]["code"]) == (200, False, "DENIED_BY_RULE")
        assert [one["policy"] for one in told["policies"]] == ["allows", "no-blocks"]
        line.sign(SPENT, vote_body(10, 11))
        status, told = post(line, f"/api/v1/eth2/explain/{SPENT}", vote_body(11, 12))
        assert (status, told["would_sign"], told["refusal"]["code"]) == (200, False, "COUNTER_LIMIT")


def test_what_was_refused_and_allowed_is_in_the_audit_log(signer: RunningSigner) -> None:
    with line_to(signer.port) as line:
        assert line.sign(NO_BLOCK, block_body(6400)).verdict == "412 DENIED_BY_RULE"
        assert line.sign(NO_BLOCK, vote_body(10, 11)).signature
    told = signer.holdfast("audit", "show", "--last", "1000", "--json")
    assert told.returncode == 0, told.stderr
    assert "policy=no-blocks; version=" in told.stdout
    assert "policies=allows@" in told.stdout
    assert signer.holdfast("audit", "verify").returncode == 0
