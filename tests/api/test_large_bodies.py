"""Large bodies: who may send one, what may be in it, and that nobody else waits while it is read."""

import asyncio
import json
import re
import threading

import pytest
from gloas_samples import GLOAS_REQUESTS
from http_twins import KEY, ROOT, World, attestation, block, listening

from signer.api.decoding import INLINE_BODY_BYTES, DecodingThread
from signer.api.settings import ApiSettings
from signer.api.wire_eth2 import ORDINARY_BODY_BYTES, decode_sign_request
from signer.api.wire_json import MAX_NESTED, _object_of_unique_members, decode_json_object
from signer.auth.authenticate import Authenticator
from signer.auth.principal import Action, Principal
from signer.errors import BodyTooLargeError, DeadlineError, MalformedRequestError
from signer.eth2.builtin_networks import find_network

SIGN = f"/api/v1/eth2/sign/0x{KEY.hex()}"
BATCH = "/api/v1/eth2/sign"
MAINNET = find_network("mainnet")
LARGE = 10 * 2**20


def envelope(**payload) -> bytes:
    """An execution payload envelope; `payload` replaces members of its payload."""
    request = json.loads(json.dumps(GLOAS_REQUESTS[1])) | {"fork_info": attestation()["fork_info"]}
    request["execution_payload_envelope"]["payload"].update(payload)
    return json.dumps(request, separators=(",", ":")).encode()


def refusal(body: bytes) -> Exception:
    with pytest.raises((MalformedRequestError, BodyTooLargeError)) as caught:
        decode_sign_request(body, KEY, MAINNET)
    return caught.value


# --- who may ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "grants", "status"),
    [
        (SIGN, {Action.KEYS_LIST}, 403),
        (BATCH, {Action.KEYS_LIST}, 403),
        (f"/api/v1/eth2/ext/sign/0x{KEY.hex()}", {Action.SIGN_DUTY}, 403),
        (f"/api/v1/eth2/sign/0x{'11' * 48}", set(Action), 404),
    ],
)
@pytest.mark.parametrize("announced", [f"Content-Length: {LARGE}", "Transfer-Encoding: chunked"])
async def test_who_may_not_sign_is_told_before_a_byte_of_a_large_body_is_read(path, grants, status, announced):
    world = World()
    somebody = Principal("somebody", actions=frozenset(grants))
    gate = Authenticator([], anonymous=somebody)
    settings = ApiSettings(extension_enabled=True)
    async with (
        listening(world, authenticator=gate, settings=settings) as listener,
        listener.client() as client,
    ):
        await client.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{announced}\r\n\r\n".encode())
        async with asyncio.timeout(5):
            assert (await client.receive()).status == status
    assert world.signing.intents == []


# --- nobody waits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SIGN, envelope(transactions=["0x"] * 2**19)),
        (BATCH, b"[" + b",".join([envelope(transactions=["0x"] * 2**17)[:-1] + b',"identifier":"0x00"}'] * 4) + b"]"),
    ],
)
async def test_others_are_answered_while_a_large_body_is_read(path, body):
    patient = ApiSettings(
        request_deadline_seconds=60
    )  # a machine with other work takes longer than a signer's deadline
    async with listening(World(), settings=patient) as listener, listener.client() as slow, listener.client() as quick:
        asked = asyncio.create_task(slow.ask("POST", path, body=body))
        answered = 0
        while not asked.done():
            assert (await quick.ask("GET", "/upcheck")).status == 200
            answered += 1
        assert (await asked).status == 200
    assert answered > 5  # one or two, where the loop itself reads the body


class HeldDecoder:
    """Decodes when it is told to."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        self.go_on.wait(10)
        return "decoded"


async def test_bodies_wait_for_their_turn():
    thread, held = DecodingThread(deadline_seconds=10), HeldDecoder()
    first = asyncio.create_task(thread.run(held))
    await asyncio.to_thread(held.begun.wait, 10)
    second = asyncio.create_task(thread.run(lambda: "second"))
    await asyncio.sleep(0)
    assert not second.done()
    held.go_on.set()
    assert (await first, await second) == ("decoded", "second")
    thread.close()


async def test_a_decoder_that_runs_on_after_its_deadline_keeps_the_next_one_from_beginning():
    thread, held = DecodingThread(deadline_seconds=0.05), HeldDecoder()
    with pytest.raises(DeadlineError, match="within"):
        await thread.run(held)
    for _ in range(3):
        with pytest.raises(DeadlineError, match="within"):
            await thread.run(lambda: "late")
    assert thread._thread._work_queue.qsize() == 0  # no body waits there without room
    held.go_on.set()
    thread.close()


async def test_a_body_that_is_not_read_in_time_is_an_error_and_the_next_one_is_read():
    thread, held = DecodingThread(deadline_seconds=0.05), HeldDecoder()
    with pytest.raises(DeadlineError, match="within"):
        await thread.run(held)
    with pytest.raises(DeadlineError, match="within"):  # it waits behind the first, which still runs
        await thread.run(lambda: "late")
    held.go_on.set()
    await asyncio.to_thread(thread._thread.submit(str).result)  # whatever stood before it has ended
    assert await thread.run(lambda: "next") == "next"
    thread.close()


async def test_a_deadline_for_a_body_is_answered_500_and_says_when_to_ask_again():
    settings = ApiSettings(request_deadline_seconds=0.01)
    async with listening(World(), settings=settings) as listener, listener.client() as client:
        answer = await client.ask("POST", SIGN, body=envelope(transactions=["0x01"] * 2**19))
    assert (answer.status, json.loads(answer.body)["code"]) == (500, "DEADLINE_PASSED")
    assert answer.header("Retry-After") == "1"


# --- what may be in it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ATTESTATION", "EXECUTION_PAYLOAD_BID", "aggregate_and_proof"])
async def test_a_request_of_an_ordinary_type_may_not_be_large(name):
    body = json.dumps(attestation(type=name, pad="x" * ORDINARY_BODY_BYTES)).encode()
    async with listening(World()) as listener, listener.client() as client:
        answer = await client.ask("POST", SIGN, body=body)
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"], problem["limit_bytes"]) == (413, "BODY_TOO_LARGE", ORDINARY_BODY_BYTES)
    assert str(ORDINARY_BODY_BYTES) in problem["detail"]


async def test_a_large_entry_of_an_ordinary_type_is_refused_alone():
    entries = [attestation(pad="x" * ORDINARY_BODY_BYTES), block(pad="x" * ORDINARY_BODY_BYTES), attestation()]
    body = json.dumps([entry | {"identifier": KEY.hex()} for entry in entries]).encode()
    async with listening(World()) as listener, listener.client() as client:
        answers = json.loads((await client.ask("POST", BATCH, body=body)).body)
    assert [answer.get("code") for answer in answers] == ["BODY_TOO_LARGE", None, None]


WITHDRAWAL = {"index": "0", "validator_index": "0", "address": "0x" + "00" * 20, "amount": "0"}


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ({"transactions": ["0x"] * (2**20 + 1)}, "transactions has 1048577 elements; send at most 1048576"),
        ({"withdrawals": [WITHDRAWAL] * 17}, "withdrawals has 17 elements; send at most 16"),
        ({"withdrawals": [7] * 500_000}, "withdrawals has 500000 elements; send at most 16"),
        ({"transactions": ["0x"] * 1000 + [7]}, r"transactions\[1000\] is 7: send bytes in hex"),
        ({"extra_data": "0x" + "00" * 33}, "extra_data .* at most 32 bytes"),
    ],
)
def test_a_payload_beyond_the_specifications_limits_is_refused(payload, sentence):
    assert re.search(sentence, str(refusal(envelope(**payload))))


@pytest.mark.parametrize(
    ("name", "most"),
    [("deposits", 8192), ("withdrawals", 16), ("consolidations", 2), ("builder_deposits", 64), ("builder_exits", 16)],
)
def test_execution_requests_beyond_the_specifications_limits_are_refused(name, most):
    request = json.loads(envelope())
    request["execution_payload_envelope"]["execution_requests"][name] = [{}] * (most + 1)
    assert f"{name} has {most + 1} elements; send at most {most}" in str(refusal(json.dumps(request).encode()))


@pytest.mark.parametrize(
    ("transactions", "fits"),
    [
        (["0x" + "ab" * 8192], True),
        (["0x" + "ab" * 8193], False),
        (["0x" + "ab" * 4096] * 3, False),
        (["0x"] * 8193, False),
    ],
)
def test_an_inclusion_list_has_at_most_the_specifications_bytes(transactions, fits):
    inclusion_list = {"slot": 1, "validator_index": 2, "dependent_root": ROOT, "transactions": transactions}
    body = json.dumps({"type": "INCLUSION_LIST", "inclusion_list": inclusion_list}).encode()
    if fits:
        assert decode_sign_request(body, KEY, MAINNET).duty.transactions == (bytes.fromhex(transactions[0][2:]),)
    else:
        assert "send at most 8192" in str(refusal(body))


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[' + b",".join([b"[]"] * MAX_NESTED) + b"]}",
        b'{"a":[' + b",".join([b"{}"] * MAX_NESTED) + b"]}",
        b"{" + b",".join(b'"%x":0' % n for n in range(MAX_NESTED + 1)) + b"}",
        b'{"a":[' + b"1," * (2**20 + MAX_NESTED + 1) + b"1]}",
        b'{"a":":","b":"' + b"x" * INLINE_BODY_BYTES + b'"}',
    ],
    ids=["lists", "objects", "members", "values", "a colon in a text"],
)
def test_a_large_body_of_no_duty_s_shape_is_refused(body):
    with pytest.raises(MalformedRequestError):
        decode_json_object(body)


def test_the_second_of_two_members_is_found_in_one_walk():
    pairs = [(str(n), 0) for n in range(200_000)] + [("199999", 0)]
    with pytest.raises(MalformedRequestError, match="199999"):  # minutes, if each name were counted
        _object_of_unique_members(pairs)


def test_a_wrong_value_of_megabytes_is_quoted_in_part():
    error = refusal(envelope(extra_data="z" * 2**20))
    assert len(str(error)) < 300
