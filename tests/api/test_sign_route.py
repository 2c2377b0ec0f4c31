"""`POST /api/v1/eth2/sign/{identifier}` and `ext/sign`: what is answered, in which form, and with which status."""

import base64
import gzip
import json

import pytest
from http_twins import KEY, OTHER_KEY, ROOT, World, attestation, block, listening, signature_of

from signer.api.settings import ApiSettings
from signer.auth.authenticate import Authenticator
from signer.auth.credentials import BearerCredential, parse_token_digest, token_digest_text
from signer.auth.principal import Action, Principal
from signer.errors import (
    BelowFloorError,
    DeadlineError,
    FarFutureError,
    ForbiddenError,
    JournalDownError,
    NotReadyError,
    OutcomeUnknownError,
    PolicyRefusalError,
    RefusalError,
    SignerError,
    SigningFailedError,
    SigningRootMismatchError,
    SlashingError,
    UnavailableError,
    WrongNetworkError,
)
from signer.events import RequestCrashed, RequestRefused

SIGN = f"/api/v1/eth2/sign/0x{KEY.hex()}"
TEXT = "0x" + signature_of(KEY).hex()
BODY = json.dumps(attestation()).encode()


@pytest.mark.parametrize(
    ("accept", "as_json"),
    [
        ((), False),
        (("text/plain",), False),
        (("application/json",), True),
        (("*/*",), True),
        (("APPLICATION/JSON",), True),
        (("application/json; charset=utf-8",), True),
        (("application/json;q=0",), True),
        (("text/plain, application/json;q=0.1",), True),
        (("text/plain;q=1.0,*/*;q=0.1",), True),
        (("application/*",), False),
        (("application/problem+json",), False),
        (("",), False),
        ((",;,",), False),
        (("text/plain", "application/json"), True),
    ],
)
async def test_the_form_of_the_answer_follows_web3signers_reading_of_accept(accept, as_json):
    async with listening(World()) as listener, listener.client() as client:
        for _ in range(2):
            answer = await client.ask("POST", SIGN, *(f"Accept: {value}" for value in accept), body=BODY)
            assert answer.status == 200
            if as_json:
                assert answer.header("Content-Type") == "application/json; charset=utf-8"
                assert json.loads(answer.body) == {"signature": TEXT}
            else:
                assert answer.header("Content-Type") == "text/plain; charset=utf-8"
                assert answer.body.decode() == TEXT


@pytest.mark.parametrize("identifier", ["0x" + KEY.hex(), KEY.hex(), KEY.hex().upper(), "0X" + KEY.hex().upper()])
async def test_an_identifier_may_be_in_any_case_and_without_prefix(identifier):
    world = World()
    async with listening(world) as listener, listener.client() as client:
        assert (await client.ask("POST", f"/api/v1/eth2/sign/{identifier}", body=BODY)).status == 200
    assert world.signing.intents[0].public_key == KEY


@pytest.mark.parametrize(
    "identifier", ["0x00", "nonsense", "0x" + "zz" * 48, KEY.hex() + "00", "0x" + "11" * 48, "%00"]
)
async def test_what_is_no_loaded_key_is_404(identifier):
    async with listening(World()) as listener, listener.client() as client:
        answer = await client.ask("POST", f"/api/v1/eth2/sign/{identifier}", body=BODY)
    assert answer.status == 404
    assert json.loads(answer.body)["code"] == "UNKNOWN_KEY"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MALFORMED_REQUEST"),
        (b"{", "MALFORMED_REQUEST"),
        (b"[]", "MALFORMED_REQUEST"),
        (b"\xff", "MALFORMED_REQUEST"),
        (b"{}", "UNKNOWN_TYPE"),
        (json.dumps(attestation(type="NONSENSE")).encode(), "UNKNOWN_TYPE"),
        (json.dumps(attestation(attestation=None)).encode(), "MALFORMED_REQUEST"),
        (BODY[:-1] + b',"type":"ATTESTATION"}', "MALFORMED_REQUEST"),
        (b"[" * 100_000, "MALFORMED_REQUEST"),
    ],
)
async def test_a_body_that_cannot_be_read_is_400(body, code):
    world = World()
    async with listening(world) as listener, listener.client() as client:
        answer = await client.ask("POST", SIGN, body=body)
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == code
    assert world.signing.intents == []


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "nonsense"])
async def test_the_content_type_of_a_request_is_not_looked_at(content_type):
    async with listening(World()) as listener, listener.client() as client:
        assert (await client.ask("POST", SIGN, f"Content-Type: {content_type}", body=BODY)).status == 200


async def test_a_compressed_body_is_not_unpacked():
    async with listening(World()) as listener, listener.client() as client:
        answer = await client.ask("POST", SIGN, "Content-Encoding: gzip", body=gzip.compress(BODY))
    assert answer.status == 400


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"signingRoot": ROOT},
        {"signing_root": ROOT},
        {"type": "attestation"},
        {"proofs": [{"index": "1", "proof": [ROOT]}], "unknown": {"deep": [1]}},
        {"fork_info": attestation()["fork_info"] | {"unknown": 1}},
    ],
)
async def test_what_clients_leave_out_or_add_does_not_matter(changes):
    async with listening(World()) as listener, listener.client() as client:
        assert (await client.ask("POST", SIGN, body=json.dumps(attestation(**changes)).encode())).status == 200


ROOT_BYTES = bytes.fromhex(ROOT[2:])


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (SigningRootMismatchError(claimed=ROOT_BYTES, computed=bytes(32)), 400, "SIGNING_ROOT_MISMATCH"),
        (ForbiddenError("no"), 403, "FORBIDDEN"),
        (RefusalError("no"), 412, "REFUSED"),
        (SlashingError("no"), 412, "SLASHABLE"),
        (WrongNetworkError(requested=ROOT_BYTES, pinned=bytes(32)), 412, "WRONG_NETWORK"),
        (FarFutureError(field="target_epoch", requested=9, limit=3), 412, "FAR_FUTURE"),
        (PolicyRefusalError("no"), 412, "POLICY_REFUSED"),
        (UnavailableError("no"), 500, "UNAVAILABLE"),
        (JournalDownError("no"), 500, "JOURNAL_DOWN"),
        (OutcomeUnknownError("no"), 500, "OUTCOME_UNKNOWN"),
        (DeadlineError("no"), 500, "DEADLINE_PASSED"),
        (SigningFailedError("no"), 500, "SIGNING_FAILED"),
        (NotReadyError("no"), 500, "NOT_READY"),
        (SignerError("no"), 500, "SIGNER_ERROR"),
        (ValueError("0xdeadbeef"), 500, "INTERNAL"),
        (KeyError("0xdeadbeef"), 500, "INTERNAL"),
        (TimeoutError("0xdeadbeef"), 500, "INTERNAL"),
    ],
)
async def test_each_error_has_its_status_and_its_problem_document(error, status, code):
    world = World()
    world.signing.error = error
    async with listening(world) as listener, listener.client() as client:
        answer = await client.ask("POST", SIGN, "Accept: text/plain", body=BODY)
        assert (await client.ask("GET", "/upcheck")).status == 200  # the connection lives on
    assert answer.status == status
    assert answer.header("Content-Type") == "application/problem+json"
    problem = json.loads(answer.body)
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"] == "urn:holdfast:problem:" + code.lower().replace("_", "-")
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.header("X-Request-Id")
    assert b"deadbeef" not in answer.body
    if isinstance(error, SignerError):
        assert problem.items() >= dict(error.evidence).items()
    assert (answer.header("Retry-After") == "1") == isinstance(error, UnavailableError | NotReadyError)


def test_every_error_class_has_a_status_and_no_sign_route_answers_503():
    from signer import errors
    from signer.api.problems import status_of

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SignerError)]
    assert len(kinds) > 20
    for kind in kinds:
        error = kind.__new__(kind)
        assert status_of(error, policy_refusal=412, signs=True) in {400, 401, 403, 404, 409, 412, 413, 500}
        on_other_routes = status_of(error, policy_refusal=412, signs=False)
        assert (on_other_routes == 503) == issubclass(kind, NotReadyError)


async def test_a_policy_refusal_is_403_where_the_setting_says_so():
    world = World()
    world.signing.error = PolicyRefusalError("no")
    async with listening(world, settings=ApiSettings(policy_refusal_status=403)) as listener:
        async with listener.client() as client:
            assert (await client.ask("POST", SIGN, body=BODY)).status == 403
        world.signing.error = SlashingError("no")
        async with listener.client() as client:
            assert (await client.ask("POST", SIGN, body=BODY)).status == 412


async def test_a_refusal_is_one_event_with_code_evidence_and_the_callers_own_request_id():
    world = World()
    refused = world.seen(RequestRefused)
    world.signing.error = WrongNetworkError(requested=ROOT_BYTES, pinned=bytes(32))
    async with listening(world) as listener, listener.client() as client:
        answer = await client.ask("POST", SIGN, "X-Request-Id: client-7", body=BODY)
        bad = await client.ask("POST", SIGN, "X-Request-Id: two words", body=BODY)
    first, second = refused
    assert first.code == "WRONG_NETWORK"
    assert first.evidence["requested_genesis_validators_root"] == ROOT
    assert first.request_id == answer.header("X-Request-Id") != "client-7"
    assert first.caller_request_id == "client-7"
    assert first.address == "127.0.0.1"
    assert first.principal == "anonymous"
    assert (second.request_id, second.caller_request_id) == (bad.header("X-Request-Id"), "")


async def test_something_unforeseen_is_told_to_the_log_alone():
    world = World()
    crashed = world.seen(RequestCrashed)
    world.signing.error = ValueError("the database password is hunter2")
    async with listening(world) as listener, listener.client() as client:
        answer = await client.ask("POST", SIGN, body=BODY)
    [event] = crashed
    assert event.error is world.signing.error
    assert event.request_id == json.loads(answer.body)["request_id"]
    assert b"hunter2" not in answer.body


async def test_evidence_never_replaces_a_member_of_the_problem():
    world = World()
    world.signing.error = SlashingError("no", evidence={"status": 200, "code": "FINE", "target_epoch": 7})
    async with listening(world) as listener, listener.client() as client:
        problem = json.loads((await client.ask("POST", SIGN, body=BODY)).body)
    assert (problem["status"], problem["code"], problem["target_epoch"]) == (412, "SLASHABLE", 7)


async def test_a_refusal_names_the_key_and_the_duty_in_its_body_and_in_its_event():
    world = World()
    refused = world.seen(RequestRefused)
    world.signing.error = SlashingError("no", evidence={"public_key": "0xother"})
    async with listening(world) as listener, listener.client() as client:
        problem = json.loads((await client.ask("POST", SIGN, body=BODY)).body)
    assert (problem["public_key"], problem["duty_type"]) == ("0x" + KEY.hex(), "ATTESTATION")
    assert problem["error"] == problem["detail"] == "no"  # Nimbus reads `error`
    [event] = refused
    assert (event.public_key, event.duty_type) == ("0x" + KEY.hex(), "ATTESTATION")


async def test_a_refusal_names_no_duty_that_could_not_be_read_and_no_key_where_none_is_meant():
    world = World()
    refused = world.seen(RequestRefused)
    async with listening(world) as listener, listener.client() as client:
        unread = json.loads((await client.ask("POST", SIGN, body=b"{}")).body)
        unmatched = json.loads((await client.ask("GET", "/nowhere")).body)
    assert unread["public_key"] == "0x" + KEY.hex()
    assert "duty_type" not in unread
    assert not {"public_key", "duty_type", "error"} & set(unmatched)
    assert [(event.public_key, event.duty_type) for event in refused] == [("0x" + KEY.hex(), ""), ("", "")]


async def test_a_floor_refusal_shows_its_evidence():
    error = BelowFloorError.__new__(BelowFloorError)
    SignerError.__init__(error, "below", evidence={"floor": 5})
    world = World()
    world.signing.error = error
    async with listening(world) as listener, listener.client() as client:
        assert json.loads((await client.ask("POST", SIGN, body=BODY)).body)["floor"] == 5


async def test_sixteen_mebibytes_are_read_and_one_byte_more_is_413():
    world = World()
    limit = ApiSettings().sign_body_limit_bytes
    assert limit == 16 * 2**20
    body = json.dumps(block()).encode()
    padded = body[:-1] + b',"pad":"' + b"x" * (limit - len(body) - 9) + b'"}'
    async with listening(world) as listener:
        async with listener.client() as client:
            assert len(padded) == limit
            assert (await client.ask("POST", SIGN, body=padded)).status == 200
        async with listener.client() as client:
            answer = await client.ask("POST", SIGN, body=padded + b" ")
            assert answer.status == 413
            assert json.loads(answer.body)["limit_bytes"] == limit


async def test_a_chunked_body_is_counted_as_it_comes():
    settings = ApiSettings(sign_body_limit_bytes=1000)
    async with listening(World(), settings=settings) as listener, listener.client() as client:
        head = f"POST {SIGN} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(head.encode() + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")
        assert (await client.receive()).status == 413


TOKEN = "hf_0123456789abcdef0123456789abcdef"
NARROW = Principal("narrow", actions=frozenset({Action.SIGN_DUTY, Action.KEYS_LIST}), keys=frozenset({KEY, OTHER_KEY}))


def locked() -> Authenticator:
    digest = parse_token_digest(token_digest_text(TOKEN), where="test", key="token")
    return Authenticator([BearerCredential(NARROW, digest)], anonymous=None)


async def test_without_credentials_it_is_401_with_a_challenge_before_the_body_is_read():
    world = World()
    async with listening(world, authenticator=locked()) as listener, listener.client() as client:
        await client.send(f"POST {SIGN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n".encode())
        answer = await client.receive()  # though not a byte of the body was sent
    assert answer.status == 401
    assert answer.header("WWW-Authenticate") == 'Basic realm="holdfast", Bearer'
    assert answer.header("Connection") == "close"
    assert json.loads(answer.body)["code"] == "UNAUTHENTICATED"
    assert world.signing.intents == []


async def test_a_client_that_is_asked_for_credentials_may_send_them_on_the_same_connection():
    world = World()
    async with listening(world, authenticator=locked()) as listener, listener.client() as client:
        assert (await client.ask("POST", SIGN, body=BODY)).status == 401
        answer = await client.ask("POST", SIGN, f"Authorization: Bearer {TOKEN}", body=BODY)
        assert answer.status == 200
        assert (await client.ask("POST", SIGN, body=BODY)).status == 401
    [caller] = world.signing.callers
    assert caller.principal is NARROW
    assert caller.address == "127.0.0.1"
    assert caller.request_id.hex() == answer.header("X-Request-Id")


async def test_probes_and_the_document_need_no_credentials():
    async with listening(World(), authenticator=locked()) as listener, listener.client() as client:
        for path in ("/upcheck", "/healthcheck", "/healthz", "/health/live", "/health/ready", "/openapi.json"):
            assert (await client.ask("GET", path)).status == 200
        for path in ("/api/v1/eth2/publicKeys", "/api/v1/eth2/highWatermark", "/reload"):
            assert (await client.ask("GET", path)).status == 401


EXTENSION = f"/api/v1/eth2/ext/sign/0x{KEY.hex()}"
PROOF = b'{"type": "PROOF_OF_VALIDATION",  "platform": "x", "timestamp": "5"}'


async def test_the_extension_is_not_there_unless_it_is_enabled():
    async with listening(World()) as listener, listener.client() as client:
        assert (await client.ask("POST", EXTENSION, body=PROOF)).status == 404


async def test_the_extension_signs_the_raw_body_and_returns_it():
    world = World()
    async with listening(world, settings=ApiSettings(extension_enabled=True)) as listener, listener.client() as client:
        answer = await client.ask("POST", EXTENSION, body=PROOF)
        assert answer.status == 200
        assert answer.header("Content-Type") == "application/json; charset=utf-8"
        assert json.loads(answer.body) == {"payload": base64.b64encode(PROOF).decode(), "signature": TEXT}
        assert world.signing.intents[0].payload == PROOF
        for bad in (b"{}", b"", PROOF[:-1] + b',"more":1}', b'{"type":"PROOF_OF_VALIDATION"}'):
            assert (await client.ask("POST", EXTENSION, body=bad)).status == 400
        assert (await client.ask("POST", EXTENSION[:-2], body=PROOF)).status == 404
