"""What is set for a key at one signer of a shared database holds at the other, from its very next request on."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from duty_requests import line_to, vote_body
from e2e.shared_signers import on_database
from e2e.worker_processes import line_to_each
from postgres_server import PostgresServer
from running import RunningSigner, interop_secret, running_signer

OURS, OTHER = "0x" + "11" * 20, "0x" + "22" * 20


@pytest.fixture(scope="module")
def signers(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningSigner]]:
    """One process, and one with two workers."""
    url = postgres.make_database("preferences")
    directory = tmp_path_factory.mktemp("preferences")
    with contextlib.ExitStack() as running:
        started = []
        for workers in (1, 2):
            place = directory / str(workers)
            place.mkdir()
            sections = on_database(url, {"server": {"workers": workers}, "key_manager": {"enabled": True}})
            secrets = [interop_secret(number) for number in range(2)]
            started.append(running.enter_context(running_signer(place, secrets=secrets, sections=sections)))
        yield started


def ask(signer: RunningSigner, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    token = (signer.data_directory / "key-manager-token").read_text().strip()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", signer.port, timeout=60)) as connection:
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, path, data, {"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


def everywhere(signers: list[RunningSigner], key: str, body: dict[str, Any]) -> set[str]:
    """What every process of every signer says."""
    with contextlib.ExitStack() as lines:
        one = lines.enter_context(line_to(signers[0].port))
        others = lines.enter_context(line_to_each(signers[1]))
        return {line.sign(key, body).verdict for line in (one, *others.values())}


def registration(fee_recipient: str, gas_limit: int) -> dict[str, Any]:
    members = {
        "fee_recipient": fee_recipient,
        "gas_limit": str(gas_limit),
        "timestamp": "1",
        "pubkey": "0x" + "12" * 48,
    }
    return {"type": "VALIDATOR_REGISTRATION", "validator_registration": members}


def test_what_one_signer_was_told_the_other_tells_and_enforces(signers: list[RunningSigner]) -> None:
    one, other = signers
    key, free = one.public_keys()
    path = f"/eth/v1/validator/{key}"
    assert everywhere(signers, key, registration(OTHER, 5)) == {"signed"}
    assert ask(one, "POST", f"{path}/feerecipient", {"ethaddress": OURS})[0] == 202
    assert everywhere(signers, key, registration(OTHER, 5)) == {"412 OTHER_FEE_RECIPIENT"}
    assert ask(other, "GET", f"{path}/feerecipient")[1]["data"]["ethaddress"] == OURS
    assert ask(other, "POST", f"{path}/gas_limit", {"gas_limit": str(2**64 - 1)})[0] == 202
    assert ask(other, "POST", f"{path}/graffiti", {"graffiti": "ü, at both"})[0] == 202
    assert everywhere(signers, key, registration(OURS, 5)) == {"412 OTHER_GAS_LIMIT"}
    assert ask(one, "GET", f"{path}/gas_limit")[1]["data"]["gas_limit"] == str(2**64 - 1)
    assert ask(one, "GET", f"{path}/graffiti")[1]["data"]["graffiti"] == "ü, at both"
    assert everywhere(signers, key, registration(OURS, 2**64 - 1)) == {"signed"}
    assert everywhere(signers, free, registration(OTHER, 5)) == {"signed"}
    assert everywhere(signers, key, vote_body(1, 2)) == {"signed"}
    for signer in signers:
        explained = ask(signer, "POST", f"/api/v1/eth2/explain/{key}", registration(OTHER, 2**64 - 1))[1]
        assert (explained["would_sign"], explained["refusal"]["code"]) == (False, "OTHER_FEE_RECIPIENT")
    for name in ("feerecipient", "gas_limit", "graffiti"):
        assert ask(one, "DELETE", f"{path}/{name}")[0] == 204
    assert everywhere(signers, key, registration(OTHER, 5)) == {"signed"}
    assert ask(other, "GET", f"{path}/feerecipient")[1]["code"] == "NOTHING_SET"
    entries = json.loads(one.holdfast("audit", "show", "--key", key, "--last", "20", "--json").stdout)["entries"]
    assert "key_preferences" in {entry["kind"] for entry in entries}


def test_an_exit_is_signed_with_a_record_that_is_shared(signers: list[RunningSigner]) -> None:
    key = signers[0].public_keys()[0]
    answers = [
        ask(signer, "POST", f"/eth/v1/validator/{key}/voluntary_exit?epoch=300&validator_index=7") for signer in signers
    ]
    assert answers[0][0] == 200
    assert answers[0] == answers[1], "the same exit has the same signature"
