"""Fee recipient, gas limit, graffiti and exits of the key manager API, in every process of a running signer."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from duty_requests import MAINNET_ROOT, NO_GUARD, Line, block_body, line_to, vote_body
from e2e.worker_processes import line_to_each
from running import RunningSigner, interop_secret, merged, running_signer

from signer.crypto import bls
from signer.crypto.bls import SecretKey
from signer.eth2.builtin_networks import find_network
from signer.eth2.duties import VoluntaryExitDuty
from signer.eth2.forks import ForkInfo
from signer.eth2.signing_root import signing_root
from signer.eth2.ssz import bytes_leaf, hash_pair
from signer.units import Epoch, Root, Signature, Version

BLS = bls.load()
OURS, OTHER, DEFAULT = "0x" + "11" * 20, "0x" + "22" * 20, "0x" + "dd" * 20
MEMBERS = {"feerecipient": "ethaddress", "gas_limit": "gas_limit", "graffiti": "graffiti"}
UNKNOWN = "0x" + "ab" * 48


def ask(
    signer: RunningSigner, method: str, path: str, body: Any = None, *, token: str | None = ""
) -> tuple[int, dict[str, Any]]:
    """Status and document; the token is the signer's own unless another is given, or None."""
    shown = (signer.data_directory / "key-manager-token").read_text().strip() if token == "" else token
    headers = {} if shown is None else {"Authorization": f"Bearer {shown}"}
    data = None if body is None else json.dumps(body).encode()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", signer.port, timeout=60)) as connection:
        connection.request(method, path, body=data, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}


def path_of(key: str, name: str) -> str:
    return f"/eth/v1/validator/{key}/{name}"


@pytest.fixture(scope="module", params=[1, 2])
def signer(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[RunningSigner]:
    """One process, and two workers; a default for the fee recipient, none for the gas limit."""
    sections = {
        "server": {"workers": request.param},
        "key_manager": {"enabled": True},
        "keys": {"fee_recipient": DEFAULT, "graffiti": "of us all"},
    }
    secrets = [interop_secret(number) for number in range(4)]
    directory = tmp_path_factory.mktemp(f"preferences{request.param}")
    with running_signer(directory, secrets=secrets, sections=merged(sections, NO_GUARD)) as running:
        yield running


@contextlib.contextmanager
def lines(signer: RunningSigner) -> Iterator[list[Line]]:
    """A connection to every process that signs."""
    if json.loads(signer.config_file.read_text())["server"]["workers"] == 1:
        with line_to(signer.port) as line:
            yield [line]
        return
    with line_to_each(signer) as found:
        yield list(found.values())


def verdicts(signer: RunningSigner, key: str, body: dict[str, Any]) -> set[str]:
    with lines(signer) as found:
        return {line.sign(key, body).verdict for line in found}


def registration(key: str, fee_recipient: str = DEFAULT, gas_limit: int = 30_000_000) -> dict[str, Any]:
    members = {"fee_recipient": fee_recipient, "gas_limit": str(gas_limit), "timestamp": "100", "pubkey": key}
    return {"type": "VALIDATOR_REGISTRATION", "validator_registration": members}


def proven_block(slot: int, fee_recipient: str) -> dict[str, Any]:
    """A Deneb header whose body holds this fee recipient, and the proof of it."""
    sisters = [bytes([number]) * 32 for number in range(9)]
    node, index = bytes_leaf(bytes.fromhex(fee_recipient[2:])), 801
    for sister in sisters:
        node = hash_pair(sister, node) if index % 2 else hash_pair(node, sister)
        index //= 2
    body = block_body(slot, fee_recipient)
    body["beacon_block"]["version"] = "DENEB"
    body["beacon_block"]["block_header"]["body_root"] = "0x" + node.hex()
    return {**body, "proofs": [{"index": "801", "proof": ["0x" + sister.hex() for sister in sisters]}]}


@pytest.mark.parametrize("name", [*MEMBERS, "voluntary_exit"])
def test_nobody_gets_in_without_the_right_token(signer: RunningSigner, name: str) -> None:
    key = signer.public_keys()[0]
    for method in ("POST",) if name == "voluntary_exit" else ("GET", "POST", "DELETE"):
        for token, expected in ((None, (401, "UNAUTHENTICATED")), ("wrong", (403, "WRONG_TOKEN"))):
            status, problem = ask(signer, method, path_of(key, name), {} if method == "POST" else None, token=token)
            assert (status, problem["code"], bool(problem["message"])) == (*expected, True)


@pytest.mark.parametrize(
    ("name", "values", "default"),
    [
        ("feerecipient", [OURS, OTHER], DEFAULT),
        ("gas_limit", ["30000000", "18446744073709551615"], None),
        ("graffiti", ["plain text value", "", "ü" * 16], "of us all"),
    ],
)
def test_what_is_set_is_told_by_every_process_until_it_is_cleared(
    signer: RunningSigner, name: str, values: list[str], default: str | None
) -> None:
    key, path = signer.public_keys()[0], path_of(signer.public_keys()[0], name)
    member = MEMBERS[name]

    def told() -> set[tuple[int, str]]:
        token = (signer.data_directory / "key-manager-token").read_text().strip()
        request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n".encode()
        with lines(signer) as found:
            answers = [line.ask(request) for line in found]
        for answer in answers:
            assert answer.status != 200 or json.loads(answer.body)["data"]["pubkey"] == key
        return {
            (one.status, json.loads(one.body)["data"][member] if one.status == 200 else one.code) for one in answers
        }

    nothing = {(404, "NOTHING_SET")} if default is None else {(200, default)}
    assert told() == nothing
    for value in values:
        assert ask(signer, "POST", path, {member: value}) == (202, {})
        assert told() == {(200, value)}
    assert ask(signer, "DELETE", path) == (204, {})
    assert told() == nothing
    assert ask(signer, "DELETE", path) == (204, {}), "nothing was set"
    entries = json.loads(signer.holdfast("audit", "show", "--key", key, "--last", "50", "--json").stdout)["entries"]
    notes = [entry["note"] for entry in entries if entry["kind"] == "key_preferences"]
    told_of = {"feerecipient": "fee_recipient"}.get(name, name)
    assert [note for note in notes if note.startswith(f"{told_of}: ")][-1].endswith(" -> None")
    assert {entry["principal"] for entry in entries if entry["kind"] == "key_preferences"} == {"key-manager"}


def test_a_registration_with_other_values_is_refused_by_every_process(signer: RunningSigner) -> None:
    key, other = signer.public_keys()[1:3]
    assert verdicts(signer, key, registration(key)) == {"signed"}
    assert verdicts(signer, key, registration(key, OURS)) == {"412 OTHER_FEE_RECIPIENT"}, "the default holds"
    assert ask(signer, "POST", path_of(key, "feerecipient"), {"ethaddress": OURS.upper().replace("0X", "0x")})[0] == 202
    assert ask(signer, "POST", path_of(key, "gas_limit"), {"gas_limit": "36000000"})[0] == 202
    assert verdicts(signer, key, registration(key, OURS, 36_000_000)) == {"signed"}
    assert verdicts(signer, key, registration(key, DEFAULT, 36_000_000)) == {"412 OTHER_FEE_RECIPIENT"}
    assert verdicts(signer, key, registration(key, OURS, 30_000_000)) == {"412 OTHER_GAS_LIMIT"}
    assert verdicts(signer, other, registration(other)) == {"signed"}, "another key"
    assert verdicts(signer, key, vote_body(1, 2)) == {"signed"}, "nothing else names them"
    with lines(signer) as found:
        problem = json.loads(found[0].sign(key, registration(key, OTHER, 36_000_000)).body)
    assert (problem["requested"], problem["set"], problem["set_by"]) == (OTHER, OURS, "key")
    assert "holdfast keys set" in problem["remedy"]
    status, explained = ask(
        signer, "POST", f"/api/v1/eth2/explain/{key}", registration(key, OTHER, 36_000_000), token=None
    )
    assert (status, explained["would_sign"], explained["refusal"]["code"]) == (200, False, "OTHER_FEE_RECIPIENT")
    assert explained["refusal"]["set"] == OURS
    entries = json.loads(signer.holdfast("audit", "show", "--key", key, "--last", "5", "--json").stdout)["entries"]
    assert entries[0]["code"] == "OTHER_FEE_RECIPIENT" or entries[-1]["code"] == "OTHER_FEE_RECIPIENT"


def test_a_block_that_proves_another_fee_recipient_is_refused_and_a_header_alone_is_not(signer: RunningSigner) -> None:
    key = signer.public_keys()[3]
    assert verdicts(signer, key, proven_block(10, OTHER)) == {"412 OTHER_FEE_RECIPIENT"}
    assert verdicts(signer, key, proven_block(10, DEFAULT)) == {"signed"}, "the refused one is not on record"
    header = proven_block(11, OTHER)
    del header["proofs"]
    assert verdicts(signer, key, header) == {"signed"}
    forged = proven_block(12, OTHER)
    forged["proofs"] = proven_block(12, DEFAULT)["proofs"][:1]
    forged["proofs"][0]["proof"][0] = "0x" + "77" * 32
    assert verdicts(signer, key, forged) == {"412 OTHER_FEE_RECIPIENT"}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("feerecipient", {"ethaddress": "0x" + "00" * 20}),
        ("feerecipient", {"ethaddress": "0x12"}),
        ("feerecipient", {"address": OURS}),
        ("gas_limit", {"gas_limit": "0"}),
        ("gas_limit", {"gas_limit": "18446744073709551616"}),
        ("gas_limit", {"gas_limit": "-1"}),
        ("gas_limit", {"gas_limit": True}),
        ("graffiti", {"graffiti": "x" * 33}),
        ("graffiti", {"graffiti": "ü" * 17}),
        ("graffiti", {"graffiti": None}),
        ("graffiti", []),
    ],
)
def test_what_is_no_value_is_refused_and_changes_nothing(signer: RunningSigner, name: str, body: Any) -> None:
    path = path_of(signer.public_keys()[2], name)
    before = ask(signer, "GET", path)
    status, problem = ask(signer, "POST", path, body)
    assert (status, problem["code"]) == (400, "MALFORMED_REQUEST")
    assert ask(signer, "GET", path)[0] == before[0]


@pytest.mark.parametrize("name", [*MEMBERS, "voluntary_exit"])
def test_a_key_that_is_not_loaded_is_unknown_and_what_is_no_key_is_a_fault(signer: RunningSigner, name: str) -> None:
    for method in ("POST",) if name == "voluntary_exit" else ("GET", "POST", "DELETE"):
        body = {MEMBERS.get(name, ""): OURS} if method == "POST" else None
        status, problem = ask(signer, method, path_of(UNKNOWN, name) + "?validator_index=1", body)
        assert (status, problem["code"]) == (404, "UNKNOWN_KEY")
        status, problem = ask(signer, method, path_of("0x12", name), body)
        assert (status, problem["code"]) == (400, "MALFORMED_REQUEST")


def test_an_exit_is_signed_for_the_index_that_is_told_and_for_none_otherwise(signer: RunningSigner) -> None:
    key = signer.public_keys()[0]
    status, problem = ask(signer, "POST", path_of(key, "voluntary_exit") + "?epoch=300")
    assert (status, problem["code"]) == (400, "VALIDATOR_INDEX_NEEDED")
    assert f"/eth/v1/beacon/states/head/validators/{key}" in problem["remedy"]
    status, answer = ask(signer, "POST", path_of(key, "voluntary_exit") + "?epoch=300&validator_index=64")
    assert (status, answer["data"]["message"]) == (200, {"epoch": "300", "validator_index": "64"})
    network = find_network("mainnet")
    assert network is not None
    # EIP-7044: since Deneb all exits are signed under Capella's version.
    capella = ForkInfo(Version(bytes(4)), Version(b"\x03\0\0\0"), Epoch(0), Root(bytes.fromhex(MAINNET_ROOT[2:])))
    duty = VoluntaryExitDuty(epoch=Epoch(300), validator_index=64)
    signature = Signature(bytes.fromhex(answer["data"]["signature"][2:]))
    assert BLS.verify(bytes.fromhex(key[2:]), signing_root(duty, capella, network), signature)
    status, answer = ask(signer, "POST", path_of(key, "voluntary_exit") + "?validator_index=64")
    assert (status, int(answer["data"]["message"]["epoch"]) > 300_000) == (200, True), "the present epoch"
    for query in ("?validator_index=x", "?validator_index=1&epoch=-1", f"?validator_index={2**64}"):
        assert ask(signer, "POST", path_of(key, "voluntary_exit") + query)[0] == 400
    assert signer.holdfast("freeze", key).returncode == 0
    status, problem = ask(signer, "POST", path_of(key, "voluntary_exit") + "?epoch=300&validator_index=64")
    assert (status, problem["code"]) == (412, "KEY_FROZEN")
    assert signer.holdfast("thaw", key).returncode == 0


def test_the_command_line_sets_what_the_api_tells_with_a_server_and_without(signer: RunningSigner) -> None:
    key = signer.public_keys()[2]
    done = signer.holdfast("keys", "set", key, "--fee-recipient", OURS, "--graffiti", "by hand")
    assert done.returncode == 0, done.stderr
    assert ask(signer, "GET", path_of(key, "feerecipient"))[1]["data"]["ethaddress"] == OURS
    signer.stop()
    done = signer.holdfast("keys", "set", key, "--gas-limit", "36000000", "--clear", "fee-recipient")
    assert done.returncode == 0, done.stderr
    [shown] = json.loads(signer.holdfast("keys", "show", key, "--json").stdout)["keys"]
    assert shown["own"] == {"fee_recipient": None, "gas_limit": "36000000", "graffiti": "by hand"}
    assert shown["defaults"] == {"fee_recipient": DEFAULT, "gas_limit": None, "graffiti": "of us all"}
    assert signer.holdfast("keys", "set", UNKNOWN, "--gas-limit", "5").returncode != 0
    signer.restart()
    assert verdicts(signer, key, registration(key, DEFAULT, 36_000_000)) == {"signed"}
    assert verdicts(signer, key, registration(key, DEFAULT, 36_000_001)) == {"412 OTHER_GAS_LIMIT"}
    entries = json.loads(signer.holdfast("audit", "show", "--key", key, "--last", "50", "--json").stdout)["entries"]
    assert {entry["principal"] for entry in entries if entry["kind"] == "key_preferences"} == {"operator"}


def test_an_exit_needs_a_grant_for_the_tokens_holder_where_grants_are_asked_for(tmp_path: Path) -> None:
    keys = [interop_secret(0), interop_secret(1)]
    granted, other = ("0x" + BLS.public_key(SecretKey.from_bytes(key.to_bytes(32, "big"))).hex() for key in keys)
    grants = [{"duty": "VOLUNTARY_EXIT", "principal": "key-manager", "keys": [granted]}]
    sections = {
        "key_manager": {"enabled": True},
        "policy": {"irreversible_duties": "granted", "irreversible_grants": grants},
    }
    with running_signer(tmp_path, secrets=keys, sections=merged(sections, NO_GUARD)) as signer:
        query = "?epoch=300&validator_index=64"
        assert ask(signer, "POST", path_of(granted, "voluntary_exit") + query)[0] == 200
        status, problem = ask(signer, "POST", path_of(other, "voluntary_exit") + query)
        assert (status, problem["code"]) == (412, "IRREVERSIBLE_NOT_GRANTED")
        assert problem["principal"] == "key-manager"
        told = json.loads(signer.holdfast("audit", "show", "--last", "5", "--json").stdout)["entries"]
        assert "IRREVERSIBLE_NOT_GRANTED" in {entry["code"] for entry in told}
