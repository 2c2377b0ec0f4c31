"""What breaks a naive remote signer: one test for each habit of the six consensus clients that concerns HTTP."""

import asyncio
import base64
import json
import ssl

import pytest
from certificate_twins import client_context, make
from http_twins import KEY, OTHER_KEY, ROOT, World, attestation, block, listening, signature_of

from signer.api.settings import ApiSettings
from signer.api.tls import HotContext
from signer.auth.authenticate import Authenticator
from signer.auth.credentials import BasicCredential, hash_password, parse_password_hash
from signer.auth.principal import Principal
from signer.config.server import TlsSettings
from signer.errors import JournalDownError

SIGN = f"/api/v1/eth2/sign/0x{KEY.hex()}"
TEXT = "0x" + signature_of(KEY).hex()
FORK_INFO = attestation()["fork_info"]

REGISTRATION = {
    "type": "VALIDATOR_REGISTRATION",
    "validator_registration": {
        "fee_recipient": "0x" + "ab" * 20,
        "gas_limit": "30000000",
        "timestamp": "1700000000",
        "pubkey": "0x" + KEY.hex(),
    },
}

AGGREGATE = {
    "aggregator_index": "1",
    "aggregate": {
        "aggregation_bits": "0x0101",
        "data": attestation()["attestation"],
        "signature": "0x" + "00" * 96,
    },
    "selection_proof": "0x" + "00" * 96,
}


def body(**members) -> bytes:
    return json.dumps(attestation(**members)).encode()


async def status_of(request: bytes, *, path: str = SIGN, world: World | None = None) -> int:
    async with listening(world or World()) as listener, listener.client() as client:
        return (await client.ask("POST", path, body=request)).status


def test_01_teku_speaks_tls_1_2_only_and_nobody_needs_http_2(tmp_path):
    server = make(tmp_path, "localhost")
    settings = TlsSettings(certificate_file=server.certificate_file, key_file=server.key_file, allow_any_client=True)

    async def main() -> tuple[int, str]:
        teku = client_context(server, version=ssl.TLSVersion.TLSv1_2)
        async with (
            listening(World(), tls=HotContext.load(settings)) as listener,
            listener.client(teku) as client,
        ):
            answer = await client.ask("POST", SIGN, "Content-Type: application/json", body=body())
            return answer.status, client.writer.get_extra_info("ssl_object").version()

    assert asyncio.run(main()) == (200, "TLSv1.2")


async def test_02_prysm_and_teku_decode_the_whole_body_so_nothing_follows_the_hex():
    async with listening(World()) as listener, listener.client() as client:
        answer = await client.ask("POST", SIGN, "Content-Type: application/json", body=body())
    assert answer.body == TEXT.encode()
    assert len(answer.body) == 194


async def test_03_json_comes_with_its_content_type_and_only_where_it_is_asked_for():
    async with listening(World()) as listener, listener.client() as client:
        lighthouse = await client.ask("POST", SIGN, "Accept: application/json", body=body())
        prysm = await client.ask("POST", SIGN, body=body())
    assert lighthouse.header("Content-Type").startswith("application/json")
    assert json.loads(lighthouse.body) == {"signature": TEXT}
    assert prysm.header("Content-Type").startswith("text/plain")


async def test_04_a_double_slash_is_rewritten_in_place():
    assert await status_of(body(), path="/" + SIGN) == 200


@pytest.mark.parametrize("name", ["signingRoot", "signing_root", None])
async def test_05_a_signing_root_is_optional_and_has_two_names(name):
    world = World()
    assert await status_of(body(**({name: ROOT} if name else {})), world=world) == 200
    assert world.signing.intents[0].claimed_root == (bytes.fromhex(ROOT[2:]) if name else None)


@pytest.mark.parametrize("fork_info", [{}, {"fork_info": FORK_INFO}])
async def test_06_a_registration_comes_with_and_without_fork_info(fork_info):
    assert await status_of(json.dumps(REGISTRATION | fork_info).encode()) == 200


@pytest.mark.parametrize("duty_type", ["AGGREGATE_AND_PROOF", "AGGREGATE_AND_PROOF_V2"])
@pytest.mark.parametrize("wrapped", [None, "PHASE0", "ELECTRA"])
async def test_07_an_aggregate_has_two_names_and_two_shapes(duty_type, wrapped):
    aggregate = AGGREGATE
    if wrapped == "ELECTRA":
        aggregate = AGGREGATE | {"aggregate": AGGREGATE["aggregate"] | {"committee_bits": "0x0100000000000000"}}
    members = {"version": wrapped, "data": aggregate} if wrapped else aggregate
    request = {"type": duty_type, "fork_info": FORK_INFO, "aggregate_and_proof": members}
    assert await status_of(json.dumps(request).encode()) == 200


@pytest.mark.parametrize("version", ["FULU", "fulu", "Fulu"])
async def test_08_a_version_may_be_in_any_case(version):
    header = {"slot": "1", "proposer_index": "2", "parent_root": ROOT, "state_root": ROOT, "body_root": ROOT}
    request = {
        "type": "BLOCK_V2",
        "fork_info": FORK_INFO,
        "beacon_block": {"version": version, "block_header": header},
    }
    assert await status_of(json.dumps(request).encode()) == 200


async def test_09_lodestars_fork_epoch_is_not_checked():
    fork = FORK_INFO["fork"] | {"epoch": "1"}
    assert await status_of(body(fork_info=FORK_INFO | {"fork": fork})) == 200


async def test_10_unknown_members_are_ignored():
    assert await status_of(body(proofs=[{"index": "1", "proof": [ROOT]}], extra={"a": None})) == 200


async def test_11_a_repeat_is_answered_with_the_same_signature():
    async with listening(World()) as listener, listener.client() as client:
        answers = {(await client.ask("POST", SIGN, body=body())).body for _ in range(3)}
    assert answers == {TEXT.encode()}


async def test_12_a_connection_outlives_every_clients_idle_time():
    assert ApiSettings().keep_alive_seconds >= 120
    async with listening(World()) as listener, listener.client() as client:
        for _ in range(3):
            assert (await client.ask("POST", SIGN, body=body())).header("Connection") is None


async def test_13_a_body_of_several_mebibytes_is_read():
    assert await status_of(json.dumps(block(pad="x" * 8 * 2**20)).encode()) == 200


@pytest.mark.parametrize("ready", [True, False])
async def test_14_a_sign_route_answers_neither_429_nor_503(ready):
    world = World()
    world.keys.ready = ready
    world.signing.error = JournalDownError("no")
    assert await status_of(body(), world=world) == 500


async def test_15_a_401_asks_for_basic_first_and_credentials_of_a_url_are_taken():
    hashed = parse_password_hash(hash_password("secret", salt=b"s" * 16), where="test", key="password")
    gate = Authenticator([BasicCredential(Principal("teku"), "teku", hashed)], anonymous=None)
    async with listening(World(), authenticator=gate) as listener, listener.client() as client:
        first = await client.ask("POST", SIGN, body=body())
        assert first.status == 401
        assert first.header("WWW-Authenticate").startswith("Basic realm=")
        assert "Bearer" in first.header("WWW-Authenticate")
        credentials = base64.b64encode(b"teku:secret").decode()
        again = await client.ask("POST", SIGN, f"Authorization: Basic {credentials}", body=body())
        assert again.status == 200


async def test_16_the_list_of_keys_is_503_until_it_is_complete_and_then_sorted_lower_case():
    world = World()
    world.keys.ready = False
    async with listening(world) as listener, listener.client() as client:
        assert (await client.ask("GET", "/api/v1/eth2/publicKeys")).status == 503
        world.keys.ready = True
        listed = json.loads((await client.ask("GET", "/api/v1/eth2/publicKeys")).body)
    assert listed == sorted("0x" + key.hex() for key in (KEY, OTHER_KEY))


@pytest.mark.parametrize("identifier", [KEY.hex(), KEY.hex().upper(), "0x" + KEY.hex().upper()])
async def test_17_the_key_in_the_path_may_lack_its_prefix_or_be_upper_case(identifier):
    assert await status_of(body(), path=f"/api/v1/eth2/sign/{identifier}") == 200


async def test_18_upcheck_is_ok_as_text_and_as_json():
    async with listening(World()) as listener, listener.client() as client:
        assert (await client.ask("GET", "/upcheck")).body == b"OK"
        assert json.loads((await client.ask("GET", "/upcheck", "Accept: application/json")).body) == {"status": "OK"}


async def test_20_a_burst_of_one_slots_attestations_is_answered_whole():
    async with listening(World()) as listener:

        async def one(_: int) -> int:
            async with listener.client() as client:
                return (await client.ask("POST", SIGN, body=body())).status

        assert await asyncio.gather(*(one(number) for number in range(313))) == [200] * 313


@pytest.mark.parametrize(
    ("epoch", "status"),
    [
        ("1", 200),
        (1, 200),
        (str(2**64 - 1), 200),
        (2**64 - 1, 200),
        (str(2**64), 400),
        (2**64, 400),
        ("-1", 400),
        (-1, 400),
        ("+1", 400),
        (1.5, 400),
        ("0x1", 400),
        (True, 400),
        (None, 400),
    ],
)
async def test_21_a_number_may_be_a_text_or_a_number_within_64_bits(epoch, status):
    target = {"epoch": epoch, "root": ROOT}
    assert await status_of(body(attestation=attestation()["attestation"] | {"target": target})) == status


async def test_22_reload_takes_an_empty_body_without_a_content_type():
    async with listening(World()) as listener, listener.client() as client:
        assert (await client.ask("POST", "/reload", "Content-Length: 0")).status == 202
