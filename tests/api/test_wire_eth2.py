"""What a sign request may look like, and what is said of one that cannot be read."""

import json

import pytest
from gloas_samples import GLOAS_REQUESTS

from signer.api.wire_eth2 import (
    decode_extension,
    decode_sign_object,
    decode_sign_request,
    parse_identifier,
)
from signer.api.wire_json import decode_json_object
from signer.errors import MalformedRequestError, RequestError, UnknownDutyError, UnknownKeyError
from signer.eth2.builtin_networks import find_network
from signer.eth2.forks import Fork
from signer.units import UINT64_MAX, PublicKey

MAINNET = find_network("mainnet")
KEY = PublicKey(
    bytes.fromhex("989d34725a2bfc3f15105f3f5fc8741f436c25ee1ee4f948e425d6bcb8c56bce6e06c269635b7e985a7ffa639e2409bf")
)
ROOT = "0x" + "ab" * 32
SIGNATURE = "0x" + "cd" * 96
ADDRESS = "0x" + "ef" * 20
FORK_INFO = {
    "fork": {"previous_version": "0x05000000", "current_version": "0x06000000", "epoch": "411392"},
    "genesis_validators_root": "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95",
}
VOTE = {
    "slot": "13164544",
    "index": "0",
    "beacon_block_root": ROOT,
    "source": {"epoch": "411391", "root": ROOT},
    "target": {"epoch": "411392", "root": ROOT},
}
ATTESTATION = {"type": "ATTESTATION", "fork_info": FORK_INFO, "attestation": VOTE}
AGGREGATE = {
    "aggregator_index": "1",
    "aggregate": {
        "aggregation_bits": "0x0101",
        "data": VOTE,
        "signature": SIGNATURE,
        "committee_bits": "0x01" + "00" * 7,
    },
    "selection_proof": SIGNATURE,
}
HEADER = {"slot": "1", "proposer_index": "2", "parent_root": ROOT, "state_root": ROOT, "body_root": ROOT}
PAYLOAD_VOTE = {"beacon_block_root": ROOT, "slot": "5", "payload_present": True, "blob_data_available": False}


def decode(request, network=MAINNET):
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return decode_sign_request(body, KEY, network)


def attestation(**changes):
    return ATTESTATION | {"attestation": VOTE | changes}


def refusal(request):
    with pytest.raises(RequestError) as error:
        decode(request)
    return error.value


def test_an_attestation_is_decoded_to_its_values():
    intent = decode(ATTESTATION)
    assert intent.public_key == KEY
    assert (intent.duty.slot, intent.duty.index) == (13164544, 0)
    assert (intent.duty.source_epoch, intent.duty.target_epoch) == (411391, 411392)
    assert intent.duty.beacon_block_root == intent.duty.source_root == intent.duty.target_root == b"\xab" * 32
    assert intent.fork_info.previous_version == bytes.fromhex("05000000")
    assert intent.fork_info.current_version == bytes.fromhex("06000000")
    assert intent.fork_info.epoch == 411392
    assert intent.fork_info.genesis_validators_root == MAINNET.genesis_validators_root
    assert intent.claimed_root is None


# --- leniency: Web3Signer's, and so the clients' -----------------------------------------------------------


@pytest.mark.parametrize("value", [0, "0", 7, "7", "007", UINT64_MAX, str(UINT64_MAX)])
def test_a_number_may_be_text_or_a_number(value):
    assert decode(attestation(slot=value)).duty.slot == int(value)


@pytest.mark.parametrize(
    "value",
    [
        *(-1, "-1", "+1", "0x10", "1.0", 1.0, 1.5, "", " 1", "1 ", "1_000", "٣", "1e3", 10**30, "9" * 100000),
        *(UINT64_MAX + 1, str(UINT64_MAX + 1), True, None, [], {}),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_is_no_unsigned_64_bit_number_is_refused_with_its_path(value):
    error = refusal(attestation(slot=value))
    assert isinstance(error, MalformedRequestError)
    assert error.evidence == {"path": "attestation.slot"}
    assert "a decimal number from 0 to 2**64-1" in error.sentence
    assert len(error.sentence) < 300


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0x" + "AB" * 32, b"\xab" * 32),
        ("ab" * 32, b"\xab" * 32),
        ("0X" + "aB" * 32, b"\xab" * 32),
        ("0x01", bytes(31) + b"\1"),
        ("0x", bytes(32)),
        ("", bytes(32)),
    ],
)
def test_a_root_may_lack_its_prefix_and_its_leading_zeros(text, expected):
    assert decode(attestation(beacon_block_root=text)).duty.beacon_block_root == expected


@pytest.mark.parametrize("value", ["0x1", "0x" + "00" * 33, "0x" + "zz" * 32, "0x12 34", 7, None, [], "٣٣"])
def test_what_is_no_root_is_refused_with_its_path(value):
    error = refusal(attestation(beacon_block_root=value))
    assert error.evidence == {"path": "attestation.beacon_block_root"}
    assert "32 bytes in hex" in error.sentence


@pytest.mark.parametrize("value", ["0x060000", "0x0600000000", "6", "", None])
def test_a_fork_version_has_exactly_four_bytes(value):
    fork_info = FORK_INFO | {"fork": FORK_INFO["fork"] | {"current_version": value}}
    error = refusal(ATTESTATION | {"fork_info": fork_info})
    assert error.evidence == {"path": "fork_info.fork.current_version"}


@pytest.mark.parametrize("spelling", ["ATTESTATION", "attestation", "Attestation"])
def test_a_type_may_be_in_any_case(spelling):
    assert decode(ATTESTATION | {"type": spelling}).duty.type == "ATTESTATION"


@pytest.mark.parametrize("value", [None, "", "BLINDED_BLOCK", "BLOB_SIDECAR", 7, [], {}, "x" * 999])
def test_a_type_that_is_missing_or_unknown_is_refused_with_the_known_ones(value):
    error = refusal(ATTESTATION | {"type": value})
    assert isinstance(error, UnknownDutyError)
    assert "ATTESTATION, BLOCK" in error.sentence
    assert len(error.sentence) < 1000


@pytest.mark.parametrize("name", ["signing_root", "signingRoot"])
def test_the_claimed_root_has_two_names(name):
    assert decode(ATTESTATION | {name: ROOT}).claimed_root == b"\xab" * 32


def test_two_claimed_roots_are_refused():
    assert "one of them" in refusal(ATTESTATION | {"signing_root": ROOT, "signingRoot": ROOT}).sentence


@pytest.mark.parametrize("name", ["signing_root", "signingRoot"])
def test_a_claimed_root_that_cannot_be_read_is_refused(name):
    assert refusal(ATTESTATION | {name: "0xnothex"}).evidence == {"path": name}
    assert decode(ATTESTATION | {name: None}).claimed_root is None


def test_unknown_members_are_ignored_at_every_level():
    extra = {"proofs": [{"index": "1", "proof": [ROOT]}], "additional": {"deep": {"er": None}}}
    fork_info = FORK_INFO | extra | {"fork": FORK_INFO["fork"] | extra}
    vote = VOTE | extra | {"source": VOTE["source"] | extra}
    assert decode(ATTESTATION | extra | {"fork_info": fork_info, "attestation": vote}) == decode(ATTESTATION)


def test_camel_case_is_unknown_everywhere_but_in_the_claimed_root():
    request = {"type": "ATTESTATION", "forkInfo": FORK_INFO, "attestation": VOTE}
    assert decode(request).fork_info is None


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_a_missing_object_is_refused_with_its_name(value):
    assert refusal(ATTESTATION | {"attestation": value}).evidence == {"path": "attestation"}
    assert refusal({"type": "RANDAO_REVEAL", "randao_reveal": value}).evidence == {"path": "randao_reveal"}


@pytest.mark.parametrize("value", [[], "x", 1, {}, {"fork": None}, {"fork": {}}])
def test_a_fork_info_that_cannot_be_read_is_refused(value):
    assert refusal(ATTESTATION | {"fork_info": value}).evidence["path"].startswith("fork_info")


def test_a_registration_is_read_with_and_without_fork_info():
    registration = {"fee_recipient": ADDRESS, "gas_limit": "1", "timestamp": "2", "pubkey": "0x" + KEY.hex()}
    request = {"type": "VALIDATOR_REGISTRATION", "validator_registration": registration}
    assert decode(request).fork_info is None
    assert decode(request | {"fork_info": FORK_INFO}).duty == decode(request).duty
    assert decode(request).duty.registered_key == KEY


# --- shapes and spellings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("type_name", ["AGGREGATE_AND_PROOF", "AGGREGATE_AND_PROOF_V2"])
@pytest.mark.parametrize("version", [None, "PHASE0", "electra", "Fulu"])
def test_an_aggregate_may_be_bare_or_wrapped_under_both_names(type_name, version):
    wrapped = AGGREGATE if version is None else {"version": version, "data": AGGREGATE}
    duty = decode({"type": type_name, "fork_info": FORK_INFO, "aggregate_and_proof": wrapped}).duty
    assert duty.declared_fork is (None if version is None else Fork[version.upper()])
    assert duty.vote == decode(ATTESTATION).duty
    assert duty.committee_bits == b"\1" + bytes(7)
    assert duty.aggregation_bits == b"\1\1"


def test_an_aggregate_before_electra_has_no_committee_bits():
    bare = AGGREGATE | {
        "aggregate": {name: v for name, v in AGGREGATE["aggregate"].items() if name != "committee_bits"}
    }
    assert decode({"type": "AGGREGATE_AND_PROOF", "aggregate_and_proof": bare}).duty.committee_bits is None


@pytest.mark.parametrize("bits", ["0x", "0x00", "0x0100", "", None, "0x1"])
def test_aggregation_bits_without_their_delimiter_are_refused(bits):
    aggregate = AGGREGATE | {"aggregate": AGGREGATE["aggregate"] | {"aggregation_bits": bits}}
    error = refusal(
        {"type": "AGGREGATE_AND_PROOF_V2", "aggregate_and_proof": {"version": "ELECTRA", "data": aggregate}}
    )
    assert error.evidence == {"path": "aggregate_and_proof.data.aggregate.aggregation_bits"}


def test_a_fork_of_the_future_is_refused_rather_than_guessed():
    error = refusal({"type": "AGGREGATE_AND_PROOF_V2", "aggregate_and_proof": {"version": "IOSTAR", "data": AGGREGATE}})
    assert error.evidence == {"path": "aggregate_and_proof.version"}


@pytest.mark.parametrize("version", [fork.name for fork in Fork] + ["bellatrix", "Fulu"])
def test_a_block_header_is_taken_at_every_fork(version):
    duty = decode({"type": "BLOCK_V2", "beacon_block": {"version": version, "block_header": HEADER}}).duty
    assert (duty.slot, duty.proposer_index, duty.body_root) == (1, 2, b"\xab" * 32)


@pytest.mark.parametrize(
    ("beacon_block", "path"),
    [
        ({"block_header": HEADER}, "beacon_block.version"),
        ({"version": "NONSENSE", "block_header": HEADER}, "beacon_block.version"),
        ({"version": "DENEB"}, "beacon_block.block_header"),
        ({"version": "DENEB", "block": HEADER}, "beacon_block.block_header"),
        ({"version": "PHASE0"}, "beacon_block.block"),
        ({"version": "PHASE0", "block": []}, "beacon_block.block"),
        ({"version": "PHASE0", "block": HEADER}, "beacon_block.block.body"),
        ({"version": "PHASE0", "block": HEADER | {"body": {}}}, "beacon_block.block.body.randao_reveal"),
        ({"version": "DENEB", "block_header": "0x"}, "beacon_block.block_header"),
        ({"version": "DENEB", "block_header": HEADER | {"body_root": None}}, "beacon_block.block_header.body_root"),
        (None, "beacon_block"),
    ],
)
def test_a_block_that_cannot_be_read_is_refused_with_its_path(beacon_block, path):
    assert refusal({"type": "BLOCK_V2", "beacon_block": beacon_block}).evidence == {"path": path}


@pytest.mark.parametrize("version", ["PHASE0", "DENEB"])
def test_a_block_and_a_header_at_once_must_be_of_one_block(version):
    body = {"body": _phase0_body()} if version == "PHASE0" else {}
    block = {name: value for name, value in HEADER.items() if name != "body_root"} | body
    alone = {"version": version, "block" if body else "block_header": block if body else HEADER}
    header = HEADER | {"body_root": "0x" + decode({"type": "BLOCK_V2", "beacon_block": alone}).duty.body_root.hex()}

    def both(**changes):
        return {
            "type": "BLOCK_V2",
            "beacon_block": {"version": version, "block": block, "block_header": header | changes},
        }

    assert decode(both()).duty == decode({"type": "BLOCK_V2", "beacon_block": alone}).duty
    others = {"slot": "77", "proposer_index": "9", "parent_root": "0x" + "77" * 32, "state_root": "0x" + "78" * 32}
    if body:
        others["body_root"] = "0x" + "79" * 32
    for member, other in others.items():
        error = refusal(both(**{member: other}))
        assert error.evidence == {"path": "beacon_block.block_header"}
        assert "two different blocks" in error.sentence
    if not body:
        foreign = block | {"body_root": "0x" + "79" * 32}
        wrapped = {"version": version, "block": foreign, "block_header": header}
        assert "two different blocks" in refusal({"type": "BLOCK_V2", "beacon_block": wrapped}).sentence


def _phase0_body(**changes):
    body = {
        "randao_reveal": SIGNATURE,
        "eth1_data": {"deposit_root": ROOT, "deposit_count": "0", "block_hash": ROOT},
        "graffiti": "0x",
        "proposer_slashings": [],
        "attester_slashings": [],
        "attestations": [{"aggregation_bits": "0x0101", "data": VOTE, "signature": SIGNATURE}],
        "deposits": [],
        "voluntary_exits": [],
    }
    return body | changes


def _full_block(version, **changes):
    block = HEADER | {"body": _phase0_body(**changes)}
    return {"type": "BLOCK_V2", "beacon_block": {"version": version, "block": block}}


def test_a_full_block_is_reduced_to_its_header():
    duty = decode(_full_block("PHASE0")).duty
    assert duty.slot == 1
    assert duty.body_root not in {b"\xab" * 32, bytes(32)}
    assert decode({"type": "BLOCK", "block": HEADER | {"body": _phase0_body()}}).duty == duty
    other = decode(_full_block("PHASE0", graffiti="0x01")).duty
    assert other.body_root != duty.body_root


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"graffiti": "0x" + "00" * 33}, "graffiti"),
        ({"randao_reveal": "0x00"}, "randao_reveal"),
        ({"eth1_data": []}, "eth1_data"),
        ({"eth1_data": {"deposit_root": ROOT, "deposit_count": -1, "block_hash": ROOT}}, "eth1_data.deposit_count"),
        ({"attestations": {}}, "attestations"),
        ({"attestations": [{}] * 129}, "attestations"),
        ({"attestations": [{}]}, "attestations[0].aggregation_bits"),
        (
            {"attestations": [{"aggregation_bits": "0x" + "00" * 256 + "02", "data": VOTE, "signature": SIGNATURE}]},
            "attestations[0].aggregation_bits",
        ),
        ({"deposits": [{"proof": [ROOT] * 32, "data": {}}]}, "deposits[0].proof"),
        ({"sync_aggregate": {}}, "sync_aggregate"),
    ],
)
def test_a_full_block_that_cannot_be_read_is_refused_with_its_path(changes, path):
    assert refusal(_full_block("PHASE0", **changes)).evidence == {"path": f"beacon_block.block.body.{path}"}


@pytest.mark.parametrize("bits", ["0x" + "00" * 63, "0x" + "00" * 65, "", None])
def test_a_sync_aggregate_has_a_bit_for_each_member(bits):
    aggregate = {"sync_committee_bits": bits, "sync_committee_signature": SIGNATURE}
    error = refusal(_full_block("ALTAIR", sync_aggregate=aggregate))
    assert error.evidence == {"path": "beacon_block.block.body.sync_aggregate.sync_committee_bits"}


def test_a_later_body_is_not_signed_as_an_earlier_one():
    error = refusal(_full_block("ALTAIR", sync_aggregate={}, execution_payload={}))
    assert error.evidence == {"path": "beacon_block.block.body.execution_payload"}


@pytest.mark.parametrize(
    ("type_name", "member", "data"),
    [
        ("PAYLOAD_ATTESTATION_MESSAGE", "payload_attestation_message", PAYLOAD_VOTE),
        ("PAYLOAD_ATTESTATION_MESSAGE", "payload_attestation", PAYLOAD_VOTE),
        ("PAYLOAD_ATTESTATION", "payload_attestation", PAYLOAD_VOTE),
        ("PAYLOAD_ATTESTATION", "payload_attestation_data", PAYLOAD_VOTE),
        (
            "PROPOSER_PREFERENCES",
            "proposer_preferences",
            {
                "dependent_root": ROOT,
                "proposal_slot": "1",
                "validator_index": "2",
                "fee_recipient": ADDRESS,
                "target_gas_limit": "3",
            },
        ),
        ("BUILDER_REQUEST_AUTH", "builder_request_auth", {"data": "0x6869", "slot": "1"}),
        ("REQUEST_AUTH", "builder_request_auth", {"data": "0x6869", "slot": "1"}),
        ("REQUEST_AUTH", "request_auth", {"data": "0x6869", "slot": "1"}),
        (
            "INCLUSION_LIST",
            "inclusion_list",
            {"slot": 1, "validator_index": 2, "inclusion_list_committee_root": ROOT, "transactions": ["0x01", "0x"]},
        ),
        (
            "INCLUSION_LIST",
            "inclusion_list",
            {"slot": 1, "validator_index": 2, "dependent_root": ROOT, "transactions": ["0x01", "0x"]},
        ),
    ],
)
def test_the_newer_types_are_read_bare_and_wrapped_under_every_name(type_name, member, data):
    bare = decode({"type": type_name, member: data}).duty
    wrapped = decode({"type": type_name, member: {"version": "GLOAS", "data": data}}).duty
    assert bare == wrapped


def test_two_names_of_one_object_are_refused():
    request = {
        "type": "PAYLOAD_ATTESTATION",
        "payload_attestation": PAYLOAD_VOTE,
        "payload_attestation_data": PAYLOAD_VOTE,
    }
    assert "send one of them" in refusal(request).sentence


@pytest.mark.parametrize("value", [1, 0, "yes", None, "True", []])
def test_what_is_neither_true_nor_false_is_refused(value):
    error = refusal({"type": "PAYLOAD_ATTESTATION", "payload_attestation": PAYLOAD_VOTE | {"payload_present": value}})
    assert error.evidence == {"path": "payload_attestation.payload_present"}


def test_true_and_false_may_be_text():
    as_text = PAYLOAD_VOTE | {"payload_present": "true", "blob_data_available": "false"}
    spoken = {"type": "PAYLOAD_ATTESTATION", "payload_attestation": as_text}
    assert decode(spoken).duty == decode(spoken | {"payload_attestation": PAYLOAD_VOTE}).duty


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("extra_data", "0x" + "00" * 33),
        ("logs_bloom", "0x" + "00" * 255),
        ("base_fee_per_gas", str(2**256)),
        ("base_fee_per_gas", -1),
        ("slot_number", 2**64),
        ("transactions", "0x"),
        ("transactions", ["0x1"]),
        ("withdrawals", [{}]),
        ("block_access_list", None),
    ],
)
def test_a_payload_that_cannot_be_read_is_refused_with_its_path(member, value):
    (request,) = (known for known in GLOAS_REQUESTS if known["type"] == "EXECUTION_PAYLOAD_ENVELOPE")
    envelope = request["execution_payload_envelope"]
    assert decode(request).duty.slot == 1
    broken = envelope | {"payload": envelope["payload"] | {member: value}}
    error = refusal(request | {"execution_payload_envelope": broken})
    assert error.evidence["path"].startswith(f"execution_payload_envelope.payload.{member}")


@pytest.mark.parametrize("member", ["bls_to_execution_change", "BLS_TO_EXECUTION_CHANGE"])
def test_lodestars_upper_case_member_is_read(member):
    change = {"validator_index": "1", "from_bls_pubkey": "0x" + KEY.hex(), "to_execution_address": ADDRESS}
    duty = decode({"type": "BLS_TO_EXECUTION_CHANGE", member: change}).duty
    assert (duty.validator_index, duty.from_bls_key, duty.to_execution_address) == (1, KEY, b"\xef" * 20)


# --- JSON -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"text"',
        b"17",
        b"{",
        b"{}{}",
        b'{"type": "ATTESTATION"} trailing',
        b'{"type": NaN}',
        b'{"type": Infinity}',
        b'{"type": -Infinity}',
        b'{"type": 1e999}',
        b'{"type": "\xff"}',
        b'{"\xff": 1}',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b"{'type': 'ATTESTATION'}",
        b'{"type": "\\ud800"}',
        b'{"type": 01}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"a": ' + b"9" * 1_000_000 + b"}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_no_json_object_is_refused(body):
    assert isinstance(refusal(body), RequestError)


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"ATTESTATION","type":"ATTESTATION"}',
        b'{"type":"ATTESTATION","attestation":{"slot":"1","slot":"2"}}',
        b'{"type":"RANDAO_REVEAL","x":[{"a":1},{"b":1,"b":1}],"randao_reveal":{"epoch":"1"}}',
        b'{"a":{"b":1},"a":{"b":1}}',
        b'{"type":"x:y","type":"RANDAO_REVEAL"}',
        b'{"epoch":1,"\\u0065poch":1}',
        b'{"":1,"":1}',
    ],
)
def test_a_member_given_twice_is_refused_at_every_level(body):
    error = refusal(body)
    assert isinstance(error, MalformedRequestError)
    assert "given twice" in error.sentence


@pytest.mark.parametrize("graffiti", ["a:b", "::::", "\\u003a", '{"a":1,"a":2}', 'quote " and : colon'])
def test_colons_inside_of_text_are_not_members(graffiti):
    assert decode(ATTESTATION | {"note": graffiti, graffiti: [{"x": graffiti}]}) == decode(ATTESTATION)


def test_a_deep_body_with_colons_in_text_is_refused_and_not_a_traceback():
    nested = b'{"type":"::","a":' + b"[" * 800 + b"]" * 800 + b"}"
    assert isinstance(refusal(nested), RequestError)


def test_an_item_of_a_batch_is_decoded_like_a_request():
    items = decode_json_object(json.dumps({"items": [ATTESTATION, 7, None]}).encode())["items"]
    assert decode_sign_object(items[0], KEY, MAINNET) == decode(ATTESTATION)
    for item in items[1:]:
        with pytest.raises(MalformedRequestError, match="JSON object"):
            decode_sign_object(item, KEY, MAINNET)


# --- ext/sign and identifiers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("timestamp", ["1700000000", 1700000000])
def test_an_extension_keeps_the_very_bytes(timestamp):
    body = json.dumps({"type": "PROOF_OF_VALIDATION", "platform": "x:y", "timestamp": timestamp}, indent=3).encode()
    intent = decode_extension(body, KEY)
    assert (intent.payload, intent.platform, intent.timestamp) == (body, "x:y", 1700000000)
    assert intent.public_key == KEY


@pytest.mark.parametrize(
    "request_",
    [
        {},
        [],
        {"type": "PROOF_OF_VALIDATION", "platform": "x"},
        {"type": "PROOF_OF_VALIDATION", "timestamp": "1"},
        {"type": "PROOF_OF_VALIDATION", "platform": 7, "timestamp": "1"},
        {"type": "PROOF_OF_VALIDATION", "platform": "x", "timestamp": "-1"},
        {"type": "PROOF_OF_VALIDATION", "platform": "x", "timestamp": "1", "more": 1},
        {"type": "proof_of_validation", "platform": "x", "timestamp": "1"},
        {"type": "ATTESTATION", "platform": "x", "timestamp": "1"},
    ],
)
def test_an_extension_of_another_shape_is_refused(request_):
    with pytest.raises(RequestError):
        decode_extension(json.dumps(request_).encode(), KEY)


def test_an_extension_with_a_member_twice_is_refused():
    with pytest.raises(MalformedRequestError, match="given twice"):
        decode_extension(b'{"type":"PROOF_OF_VALIDATION","platform":"x","timestamp":"1","platform":"y"}', KEY)


@pytest.mark.parametrize("text", [KEY.hex(), "0x" + KEY.hex(), "0x" + KEY.hex().upper(), "0X" + KEY.hex().upper()])
def test_an_identifier_is_hex_in_any_case_with_or_without_prefix(text):
    assert parse_identifier(text) == KEY


@pytest.mark.parametrize(
    "text", ["", "0x", "0x00", KEY.hex()[:-1], KEY.hex() + "00", "z" * 96, " " + KEY.hex(), "٣" * 96]
)
def test_an_identifier_that_is_no_public_key_is_an_unknown_key(text):
    with pytest.raises(UnknownKeyError):
        parse_identifier(text)


def test_a_long_identifier_is_not_repeated_whole():
    with pytest.raises(UnknownKeyError) as error:
        parse_identifier("0x" * 10000)
    assert len(error.value.evidence["identifier"]) == 128
