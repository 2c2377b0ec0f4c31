"""`/v1`: signing with what each policy said, and asking the policies alone."""

import json
from typing import Any

import pytest
from http_twins import KEY, World, attestation, listening, signature_of
from policy.sample_facts import facts

from signer.errors import CounterLimitError, PolicyDeniedError
from signer.policy.combine import Demand, Denied, Held, Outcome
from signer.policy.counters import CounterId, Spend
from signer.policy.facts import encode_facts
from signer.policy.verdict import ALLOW, Deny, RequireApproval, Reservation

SIGN = "/v1/sign/0x" + KEY.hex()
EVALUATE = "/v1/policy/evaluate"
VERSION = "ab" * 32
NO = Outcome("treasury", VERSION, Deny("TOO_MUCH", "it is too much", {"amount": "7"}))
YES = Outcome("staking", VERSION, ALLOW)


async def ask(world: World, path: str, body: object, *, accept: str = "*/*") -> tuple[int, dict[str, Any]]:
    async with listening(world) as listener, listener.client() as client:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await client.ask("POST", path, f"Accept: {accept}", body=data)
        return answer.status, json.loads(answer.body)


async def test_a_signature_comes_with_what_each_policy_said() -> None:
    world = World()
    world.signing.outcomes = (YES,)
    told = await ask(world, SIGN, attestation(), accept="text/plain")
    assert told == (
        200,
        {
            "signature": "0x" + signature_of(KEY).hex(),
            "policies": [{"policy": "staking", "version": VERSION, "verdict": "allow"}],
        },
    )


async def test_a_denial_names_its_policy_and_tells_of_all_that_were_asked() -> None:
    world = World()
    world.signing.outcomes = (YES, NO)
    deny = NO.verdict
    assert isinstance(deny, Deny)
    world.signing.error = PolicyDeniedError(
        "treasury", version=VERSION, code=deny.code, message=deny.message, evidence=deny.evidence
    )
    status, problem = await ask(world, SIGN, attestation())
    assert (status, problem["code"], problem["policy"], problem["version"]) == (412, "TOO_MUCH", "treasury", VERSION)
    assert problem["amount"] == "7"
    assert [one["verdict"] for one in problem["policies"]] == ["allow", "deny"]
    assert problem["policies"][1]["evidence"] == {"amount": "7"}
    bare, told = await ask(world, "/api/v1/eth2/sign/0x" + KEY.hex(), attestation())
    assert (bare, told["code"]) == (412, "TOO_MUCH")
    assert "policies" not in told


async def test_what_the_commit_refuses_tells_of_the_policies_too() -> None:
    world = World()
    world.signing.outcomes = (YES,)
    world.signing.error = CounterLimitError(
        "staking", counter="uses", window_seconds=0, spent=1, amount=1, limit=1, frees_at_seconds=None
    )
    status, problem = await ask(world, SIGN, attestation())
    assert (status, problem["code"], len(problem["policies"])) == (412, "COUNTER_LIMIT", 1)


async def test_a_request_is_evaluated_and_the_answer_says_what_would_be_booked_and_who_would_be_asked() -> None:
    world = World()
    reserve = Reservation("day", 86400, 5, 10)
    verdict = RequireApproval(2, ("owners",), 3600, 60, (reserve,))
    world.policy_evaluation.evaluated = type(world.policy_evaluation.evaluated)(
        Held(
            (Outcome("treasury", VERSION, verdict),),
            (Demand("treasury", 2, ("owners",), 3600, 60),),
            (Spend(CounterId("treasury", "day", 86400), 5, 10),),
        ),
        7,
        ("treasury",),
    )
    status, told = await ask(world, EVALUATE, {"public_key": KEY.hex(), "request": attestation()})
    assert status == 200
    assert (told["decision"], told["revision"], told["bound"]) == ("require_approval", 7, ["treasury"])
    assert told["reserve"] == [
        {"policy": "treasury", "counter": "day", "window_seconds": 86400, "amount": "5", "limit": "10"}
    ]
    assert told["demands"] == [
        {"policy": "treasury", "quorum": 2, "groups": ["owners"], "lifetime_seconds": 3600, "delay_seconds": 60}
    ]
    assert told["policies"][0]["verdict"] == "require_approval"
    [asked] = world.policy_evaluation.questions
    assert asked.public_key == KEY


async def test_facts_are_evaluated_by_the_policies_that_are_named() -> None:
    world = World()
    world.policy_evaluation.evaluated = type(world.policy_evaluation.evaluated)(
        Denied((NO,), "treasury", "TOO_MUCH", "it is too much", {}), 7, ("treasury",)
    )
    written = encode_facts(facts())
    status, told = await ask(world, EVALUATE, b'{"facts":%b,"policies":["treasury"]}' % written)
    assert (status, told["decision"], told["reserve"]) == (200, "deny", [])
    assert world.policy_evaluation.questions == [(facts(), ("treasury",))]


MALFORMED: dict[str, object] = {
    "nothing": {},
    "a request without its key": {"request": {}},
    "a key without a request": {"public_key": KEY.hex()},
    "both": {"public_key": KEY.hex(), "request": {}, "facts": {}},
    "policies for a request": {"public_key": KEY.hex(), "request": {}, "policies": ["a"]},
    "facts that are none": {"facts": {"version": 1}},
    "facts of another version": {"facts": {**json.loads(encode_facts(facts())), "version": 2}},
    "something unknown": {"facts": {}, "sign": True},
    "no object": [],
    "no JSON": b"nonsense",
    "no UTF-8": b'{"facts": "\xff"}',
    "too many policies": {"facts": json.loads(encode_facts(facts())), "policies": ["a"] * 65},
    "nested too deeply": b'{"facts":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_what_is_no_question_is_refused(kind: str) -> None:
    world = World()
    status, problem = await ask(world, EVALUATE, MALFORMED[kind])
    assert (status, problem["code"]) == (400, "MALFORMED_REQUEST")
    assert world.policy_evaluation.questions == []
