"""What policies are told: one JSON text, read back strictly, and published as schemas."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.errors import MalformedRequestError
from signer.policy.facts import (
    MAX_FACTS_BYTES,
    VERSION,
    Argument,
    Call,
    Caller,
    Duty,
    Environment,
    Facts,
    Output,
    Signer,
    Transaction,
    Transfer,
    decode_facts,
    encode_facts,
)
from signer.policy.schemas import render_schemas

POLICIES = Path(__file__).resolve().parents[2] / "policies"

SIGNER = Signer(key_id="treasury-1", public_key="0x02" + "ab" * 32, algorithm="secp256k1", namespace="production")
CALLER = Caller(identity="payments", roles=("payer",), address="10.0.0.7")
NOW = Environment(timestamp=1_700_000_000, chain_id="eip155:1", simulation=False)

TRANSFER = Transaction(
    chain="eip155:1",
    type="eip1559",
    sender="0x" + "11" * 20,
    to="0x" + "22" * 20,
    value="0",
    data="0xa9059cbb" + "00" * 64,
    selector="0xa9059cbb",
    call=Call(
        contract="0x" + "22" * 20,
        signature="transfer(address,uint256)",
        arguments=(
            Argument(name="to", type="address", value="0x" + "33" * 20),
            Argument(name="path", type="uint256[]", items=(Argument(type="uint256", value="5"),)),
        ),
    ),
    transfers=(Transfer(kind="transfer", asset="0x" + "22" * 20, to="0x" + "33" * 20, amount=str(2**255)),),
)


def facts(**changes: object) -> Facts:
    whole = {"version": VERSION, "opaque": False, "payload_hash": "0x" + "44" * 32}
    return Facts(**{**whole, "signer": SIGNER, "caller": CALLER, "environment": NOW, **changes})  # type: ignore[arg-type]


EXAMPLES = [
    facts(transaction=TRANSFER),
    facts(duty=Duty(type="ATTESTATION", slot=str(2**64 - 1), epoch="5", source_epoch="4", target_epoch="5")),
    facts(transaction=Transaction(type="psbt", outputs=(Output(script="0x0014", amount="9", change=True),))),
    facts(opaque=True),
]


@pytest.mark.parametrize("told", EXAMPLES)
def test_facts_survive_their_json(told: Facts):
    assert decode_facts(encode_facts(told)) == told


@pytest.mark.parametrize("told", EXAMPLES)
def test_facts_have_one_text_with_names_in_order_and_nothing_between(told: Facts):
    text = encode_facts(told)
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_a_fact_that_is_not_there_is_not_said_but_opaque_and_simulation_always_are():
    said = json.loads(encode_facts(facts(opaque=True)))
    assert set(said) == {"version", "opaque", "payload_hash", "signer", "caller", "environment"}
    assert said["opaque"] is True
    assert said["environment"]["simulation"] is False


def test_sender_is_called_from_in_json():
    assert json.loads(encode_facts(EXAMPLES[0]))["transaction"]["from"] == "0x" + "11" * 20


@given(st.text())
def test_any_text_in_a_fact_stays_what_it_is(text: str):
    told = facts(transaction=Transaction(type="eip712", to=text))
    assert decode_facts(encode_facts(told)) == told


def broken(change: dict[str, object]) -> bytes:
    return json.dumps({**json.loads(encode_facts(facts())), **change}).encode()


NO_FACTS = {
    "no JSON": b"{",
    "no text": b'{"version":"\xff"}',
    "nothing said": b"{}",
    "another version": broken({"version": VERSION + 1}),
    "an unknown fact": broken({"weather": "rain"}),
    "a hash in capitals": broken({"payload_hash": "0xAB"}),
    "half a byte": broken({"payload_hash": "0x1"}),
    "an amount as a number": broken({"transaction": {"type": "legacy", "value": 5}}),
    "an amount with a zero before it": broken({"transaction": {"type": "legacy", "value": "05"}}),
    "an amount with a line after it": broken({"transaction": {"type": "legacy", "value": "5\n"}}),
    "a chain that is no chain": broken({"transaction": {"type": "legacy", "chain": "mainnet"}}),
    "opaque as a word": broken({"opaque": "false"}),
    "nested without end": b'{"transaction":' + b"[" * 100_000,
    "too large": b" " * (MAX_FACTS_BYTES + 1),
}


@pytest.mark.parametrize("text", NO_FACTS.values(), ids=NO_FACTS.keys())
def test_what_are_no_facts_is_refused(text: bytes):
    with pytest.raises(MalformedRequestError):
        decode_facts(text)


def test_the_published_schemas_are_those_of_the_code():
    for name, text in render_schemas().items():
        assert (POLICIES / name).read_text(encoding="utf-8") == text, "run `python -m signer.policy`"
