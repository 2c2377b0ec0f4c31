"""`POST /api/v1/eth2/sign` without identifier: many duties in one request."""

import json

import pytest
from http_twins import KEY, OTHER_KEY, World, attestation, listening, signature_of

from signer.api.settings import MAX_BATCH
from signer.errors import JournalDownError, SlashingError
from signer.events import RequestRefused

BATCH = "/api/v1/eth2/sign"


def entry(identifier: str = "0x" + KEY.hex(), **changes) -> dict:
    return {"identifier": identifier} | attestation(**changes)


async def ask(world: World, body: object) -> tuple[int, list | dict]:
    async with listening(world) as listener, listener.client() as client:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await client.ask("POST", BATCH, body=data)
        assert answer.header("Content-Type") in {"application/json; charset=utf-8", "application/problem+json"}
        return answer.status, json.loads(answer.body)


async def test_each_entry_is_answered_in_order_with_a_signature_or_a_problem():
    world = World()
    refused = world.seen(RequestRefused)
    status, answers = await ask(
        world,
        [
            entry(),
            entry("0x" + "11" * 48),
            entry(OTHER_KEY.hex().upper()),
            entry(type="NONSENSE"),
            entry("zz"),
            attestation(),
            entry(7),
            ["no", "object"],
            entry(attestation={}),
            entry(),
        ],
    )
    assert status == 200
    signed = {"signature": "0x" + signature_of(KEY).hex()}
    assert answers[0] == signed
    assert answers[2] == {"signature": "0x" + signature_of(OTHER_KEY).hex()}
    assert answers[9] == signed
    codes = [answer.get("code") for answer in answers]
    assert codes == [
        None,
        "UNKNOWN_KEY",
        None,
        "UNKNOWN_TYPE",
        "UNKNOWN_KEY",
        "MALFORMED_REQUEST",
        "MALFORMED_REQUEST",
        "MALFORMED_REQUEST",
        "MALFORMED_REQUEST",
        None,
    ]
    assert [answer.get("status") for answer in answers] == [None, 404, None, 400, 404, 400, 400, 400, 400, None]
    assert len({answer["request_id"] for answer in answers if "code" in answer}) == 1
    assert [event.code for event in refused] == [code for code in codes if code]


async def test_a_refused_entry_is_a_problem_and_never_a_failed_request():
    for error, status in ((SlashingError("no"), 412), (JournalDownError("no"), 500)):
        world = World()
        world.signing.error = error
        answered, answers = await ask(world, [entry(), entry()])
        assert answered == 200
        assert [answer["status"] for answer in answers] == [status, status]


async def test_each_refused_entry_names_its_key_and_its_duty():
    world = World()
    refused = world.seen(RequestRefused)
    world.signing.error = SlashingError("no")
    _, answers = await ask(world, [entry(), entry("0x" + OTHER_KEY.hex()), entry(type="NONSENSE")])
    named = [(answer.get("public_key"), answer.get("duty_type")) for answer in answers]
    assert named == [("0x" + KEY.hex(), "ATTESTATION"), ("0x" + OTHER_KEY.hex(), "ATTESTATION"), (None, None)]
    assert [(event.public_key or None, event.duty_type or None) for event in refused] == named


async def test_an_empty_batch_is_answered_with_an_empty_list():
    assert await ask(World(), []) == (200, [])


async def test_a_full_batch_is_answered_and_one_entry_more_is_400():
    status, answers = await ask(World(), [entry()] * MAX_BATCH)
    assert (status, len(answers)) == (200, 4096)
    status, problem = await ask(World(), [entry()] * (MAX_BATCH + 1))
    assert (status, problem["code"]) == (400, "MALFORMED_REQUEST")


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b'"x"', b"[{]", b"\xff", b"[" * 100_000, b"[] []"])
async def test_what_is_no_list_is_400(body):
    status, problem = await ask(World(), body)
    assert (status, problem["code"]) == (400, "MALFORMED_REQUEST")


async def test_a_member_given_twice_in_one_entry_is_that_entrys_problem():
    one = json.dumps(entry())
    status, answers = await ask(World(), f'[{one},{one[:-1]},"identifier":"0x00"}}]'.encode())
    assert status == 200
    assert [answer.get("code") for answer in answers] == [None, "MALFORMED_REQUEST"]


async def test_others_are_served_while_a_large_batch_is_decoded():
    world = World()
    async with listening(world) as listener, listener.client() as client, listener.client() as other:
        body = json.dumps([entry()] * MAX_BATCH).encode()
        head = f"POST {BATCH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        await client.send(head.encode() + body)
        while not listener.server.in_flight:
            await other.ask("GET", "/upcheck")
        answer = await other.ask("GET", "/upcheck")
        assert answer.status == 200
        assert listener.server.in_flight == 1  # the batch is still at work
        assert len(json.loads((await client.receive()).body)) == MAX_BATCH
