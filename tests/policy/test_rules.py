"""Declarative rules against tables of requests: a condition holds, or not, or nobody can know and it is no help."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from policy.sample_facts import ALICE, BOB, ETHER, TOKEN, a_duty, facts, payment

from signer.policy.combine import Outcome, combine
from signer.policy.facts import (
    Authorization,
    Call,
    Facts,
    Input,
    Instruction,
    Output,
    Transfer,
    TypedData,
    TypedDataDomain,
)
from signer.policy.rules.file import read_rule_file
from signer.policy.rules.rule import Effect, RuleFile
from signer.policy.verdict import ALLOW, Allow, Deny, RequireApproval, Verdict, decode_verdict, encode_verdict

TRANSFER = "0xa9059cbb"
CAROL = "0x" + "ca" * 20
KEY = "0x" + "02" * 33


def policy(text: str) -> RuleFile:
    return read_rule_file(text, name="rules.yaml")


def granting(condition: str) -> RuleFile:
    return policy(f"version: 1\nallow:\n  - name: it\n    {condition}\n")


def denying(condition: str) -> RuleFile:
    return policy(f"version: 1\notherwise: allow\ndeny:\n  - name: it\n    {condition}\n")


def requiring(condition: str) -> RuleFile:
    return policy(f"version: 1\notherwise: allow\nrequire:\n  - name: it\n    {condition}\n")


def code(verdict: Verdict) -> str:
    return verdict.code if isinstance(verdict, Deny) else "ALLOW" if isinstance(verdict, Allow) else "ASK"


def token_call(to: str = TOKEN, **fields: Any):
    moved = Transfer(kind="transfer", asset=TOKEN, to=ALICE, amount="500")
    ordinary: dict[str, Any] = {"data": TRANSFER + "00" * 64, "selector": TRANSFER, "value": "0", "transfers": (moved,)}
    return payment(to=to, **{**ordinary, **fields})


def permit(**domain: Any) -> Any:
    named = {"name": "Token", "chain_id": "1", "verifying_contract": TOKEN, **domain}
    message = TypedData(domain=TypedDataDomain(**named), primary_type="Permit")
    return payment(type="eip712", to=None, value=None, data=None, typed_data=message)


def psbt(*outputs: Output) -> Any:
    given = (Input(outpoint="00" * 32 + ":0", own=True),)
    return payment(chain="bip122:00", type="psbt", to=None, data=None, inputs=given, outputs=outputs)


def solana(*programs: str, **fields: Any) -> Any:
    steps = tuple(Instruction(program=program, accounts=("Acc1",), data="0xdead") for program in programs)
    return payment(chain="solana:main", type="solana", to=None, data=None, instructions=steps, **fields)


GRANTED = [
    # (condition, transaction, code)
    ("chains: [eip155:1, eip155:10]", payment(), "ALLOW"),
    ("chains: [eip155:10]", payment(), "CHAIN_NOT_LISTED"),
    ("chains: [eip155:10]", payment(chain="eip155:100"), "CHAIN_NOT_LISTED"),
    ("chains: [eip155:1]", payment(chain=None), "CHAIN_UNKNOWN"),
    ("types: [eip1559, legacy]", payment(), "ALLOW"),
    ("types: [legacy]", payment(), "TYPE_NOT_LISTED"),
    (f"receivers: [{ALICE}]", payment(), "ALLOW"),
    (f"receivers: [{ALICE.upper().replace('0X', '0x')}]", payment(), "ALLOW"),
    (f"receivers: [{ALICE}]", payment(to=ALICE.upper()), "ALLOW"),
    (f"receivers: [{BOB}]", payment(), "RECEIVER_NOT_LISTED"),
    (f"receivers: [{ALICE}]", payment(data=None), "ALLOW"),
    (f"receivers: [{ALICE}]", payment(data="0x00"), "CONTRACT_NOT_LISTED"),
    (f"receivers: [{ALICE}]", payment(to=None, data="0x6000"), "CREATION_NOT_ALLOWED"),
    (f"receivers: [{ALICE}]", payment(to=None), "DESTINATION_UNKNOWN"),
    ("creation: true", payment(to=None, data="0x6000"), "ALLOW"),
    ("creation: false", payment(to=None, data="0x6000"), "CREATION_NOT_ALLOWED"),
    ("creation: true", payment(), "RECEIVER_NOT_LISTED"),
    (f"contracts: [{{address: {TOKEN}, functions: any}}]", token_call(), "ALLOW"),
    (f"contracts: [{{address: {TOKEN}, functions: ['{TRANSFER}']}}]", token_call(), "ALLOW"),
    (
        f"contracts: [{{address: {TOKEN}, functions: ['{TRANSFER.upper().replace('0X', '0x')}']}}]",
        token_call(),
        "ALLOW",
    ),
    (f"contracts: [{{address: {TOKEN}, functions: ['0x095ea7b3']}}]", token_call(), "FUNCTION_NOT_LISTED"),
    (f"contracts: [{{address: {BOB}, functions: any}}]", token_call(), "CONTRACT_NOT_LISTED"),
    (f"contracts: [{{address: {TOKEN}, functions: any}}]", payment(to=TOKEN), "RECEIVER_NOT_LISTED"),
    (f"contracts: [{{address: {TOKEN}, functions: ['{TRANSFER}']}}]", token_call(selector=None), "FUNCTION_NOT_LISTED"),
    (
        f"contracts: [{{address: {TOKEN}, functions: ['transfer(address,uint256)']}}]",
        token_call(call=Call(contract=TOKEN, signature="transfer(address,uint256)")),
        "ALLOW",
    ),
    (
        f"contracts: [{{address: {TOKEN}, functions: ['transfer(address,uint256)']}}]",
        token_call(call=Call(contract=BOB, signature="transfer(address,uint256)")),
        "FUNCTION_NOT_LISTED",
    ),
    (
        f"contracts: [{{address: {TOKEN}, functions: ['{TRANSFER}']}}]",
        token_call(calls=(Call(contract=BOB, signature="drain()"),)),
        "CONTRACT_NOT_LISTED",
    ),
    (
        f"contracts: [{{address: {TOKEN}, functions: ['{TRANSFER}']}}]",
        token_call(calls=(Call(contract=TOKEN, signature="drain()"),)),
        "FUNCTION_NOT_LISTED",
    ),
    (f"{{contracts: [{{address: {TOKEN}, functions: any}}], receivers: [{ALICE}]}}", token_call(), "ALLOW"),
    (f"{{contracts: [{{address: {TOKEN}, functions: any}}], receivers: [{BOB}]}}", token_call(), "RECEIVER_NOT_LISTED"),
    (
        f"{{contracts: [{{address: {TOKEN}, functions: any}}], receivers: [{ALICE}]}}",
        token_call(transfers=(Transfer(kind="transfer", asset=TOKEN, amount="5"),)),
        "RECEIVER_UNKNOWN",
    ),
    (
        f"receivers: [{ALICE}]",
        payment(authorizations=(Authorization(chain_id="1", address=BOB, nonce="0"),)),
        "DELEGATE_NOT_LISTED",
    ),
    (
        f"{{receivers: [{ALICE}], delegates: [{BOB}]}}",
        payment(authorizations=(Authorization(chain_id="1", address=BOB, nonce="0"),)),
        "ALLOW",
    ),
    ("programs: [Tokenkeg]", solana("Tokenkeg", "Tokenkeg"), "ALLOW"),
    ("programs: [Tokenkeg]", solana("Tokenkeg", "tokenkeg"), "PROGRAM_NOT_LISTED"),
    ("programs: [Tokenkeg]", solana(), "DESTINATION_UNKNOWN"),
    (
        "receivers: [Acc1]",
        solana("Drain", transfers=(Transfer(kind="transfer", asset="M", to="Acc1", amount="1"),)),
        "PROGRAM_NOT_LISTED",
    ),
    ("receivers: [bc1qfriend]", psbt(Output(script="0x00", address="bc1qfriend", amount="1")), "ALLOW"),
    ("receivers: [bc1qfriend]", psbt(Output(script="0x00", address="bc1qother", amount="1")), "RECEIVER_NOT_LISTED"),
    ("receivers: [bc1qfriend]", psbt(Output(script="0x51", amount="1")), "RECEIVER_UNKNOWN"),
    ("scripts: ['0x51']", psbt(Output(script="0x51", amount="1")), "ALLOW"),
    ("scripts: ['0x51']", psbt(Output(script="0x52", amount="1")), "RECEIVER_UNKNOWN"),
    (
        "scripts: ['0x51']",
        psbt(Output(script="0x51", amount="1"), Output(script="0x52", amount="9", change=True)),
        "ALLOW",
    ),
    ("at_most: {native: 1 ether}", payment(), "ALLOW"),
    ("at_most: {native: 999999999999999999}", payment(), "AMOUNT_TOO_LARGE"),
    ("at_most: {native: 1 ether}", payment(value=None), "AMOUNT_UNKNOWN"),
    (f"at_most: {{native: 0, '{TOKEN}': 500}}", token_call(), "ALLOW"),
    (f"at_most: {{native: 1 ether, '{TOKEN}': 499}}", token_call(), "AMOUNT_TOO_LARGE"),
    (f"at_most: {{'{TOKEN}': 500}}", token_call(transfers=()), "AMOUNT_UNKNOWN"),
    (
        f"at_most: {{'{TOKEN}': 500}}",
        token_call(transfers=(Transfer(kind="approve_all", asset=TOKEN, to=ALICE),)),
        "AMOUNT_UNKNOWN",
    ),
    (f"at_most: {{'{TOKEN}': 500}}", permit(), "AMOUNT_UNKNOWN"),
    (f"at_most: {{'{TOKEN}': 0}}", payment(), "ALLOW"),
    ("fees: {total: 0.00063 ether, per_gas: 30 gwei, priority_per_gas: 1 gwei, gas_limit: 21000}", payment(), "ALLOW"),
    ("fees: {total: 629999999999999}", payment(), "FEE_TOO_HIGH"),
    ("fees: {total: 1 ether}", payment(fee_cap=None), "FEE_UNKNOWN"),
    ("fees: {per_gas: 29 gwei}", payment(), "FEE_TOO_HIGH"),
    ("fees: {priority_per_gas: 999999999}", payment(), "FEE_TOO_HIGH"),
    ("fees: {priority_per_gas: 29 gwei}", payment(max_priority_fee_per_gas=None), "FEE_TOO_HIGH"),
    ("fees: {gas_limit: 20999}", payment(), "FEE_TOO_HIGH"),
    ("fees: {per_blob_gas: 1}", payment(), "ALLOW"),
    ("fees: {per_blob_gas: 1}", payment(max_fee_per_blob_gas="2"), "FEE_TOO_HIGH"),
    (f"typed_data: [{{verifying_contract: {TOKEN}, chain_id: 1}}]", permit(), "ALLOW"),
    (f"typed_data: [{{verifying_contract: {TOKEN}, chain_id: 1}}]", permit(chain_id="10"), "DOMAIN_NOT_LISTED"),
    (f"typed_data: [{{verifying_contract: {TOKEN}, chain_id: 1}}]", permit(chain_id=None), "DOMAIN_NOT_LISTED"),
    (f"typed_data: [{{verifying_contract: {BOB}}}]", permit(), "DOMAIN_NOT_LISTED"),
    (f"typed_data: [{{verifying_contract: {TOKEN}}}]", permit(verifying_contract=None), "DOMAIN_NOT_LISTED"),
    (f"typed_data: [{{verifying_contract: {TOKEN}, primary_types: [Order]}}]", permit(), "DOMAIN_NOT_LISTED"),
    (f"typed_data: [{{verifying_contract: {TOKEN}, name: Tokem}}]", permit(), "DOMAIN_NOT_LISTED"),
    (f"typed_data: [{{verifying_contract: {TOKEN}, version: '2'}}]", permit(version="1"), "DOMAIN_NOT_LISTED"),
    (f"typed_data: [{{verifying_contract: {TOKEN}}}]", payment(), "NO_TYPED_DATA"),
]


@pytest.mark.parametrize(("condition", "transaction", "expected"), GRANTED)
def test_a_rule_grants_a_transaction_of_which_everything_fits(condition: str, transaction, expected: str) -> None:
    text = condition if not condition.startswith("{") else "\n    ".join(_entries(condition))
    assert code(granting(text)(facts(transaction=transaction))) == expected


def _entries(flow: str) -> list[str]:
    """The lines of a flow mapping's entries that stand two deep."""
    inner, depth, lines = flow[1:-1], 0, [""]
    for letter in inner:
        depth += (letter in "{[") - (letter in "}]")
        if letter == "," and depth == 0:
            lines.append("")
        else:
            lines[-1] += letter
    return [line.strip() for line in lines]


RECIPIENT = "0x" + "fe" * 20
CREDENTIALS = "0x01" + "00" * 11 + "fe" * 20
HELLO = "0x" + b"hello world".ljust(32, b"\0").hex()
DEPOSIT = a_duty("DEPOSIT", public_key=KEY, withdrawal_credentials=CREDENTIALS, amount_gwei="32000000000")

DUTIES = [
    ("types: [ATTESTATION]", a_duty(), "ALLOW"),
    ("types: [BLOCK_V2]", a_duty(), "TYPE_NOT_LISTED"),
    ("chains: [eip155:1]", a_duty(), "NO_TRANSACTION"),
    (f"fee_recipients: ['{RECIPIENT}']", a_duty("VALIDATOR_REGISTRATION", fee_recipient=RECIPIENT), "ALLOW"),
    (
        f"fee_recipients: ['{RECIPIENT}']",
        a_duty("VALIDATOR_REGISTRATION", fee_recipient=BOB),
        "FEE_RECIPIENT_NOT_LISTED",
    ),
    (f"fee_recipients: ['{RECIPIENT}']", a_duty("VALIDATOR_REGISTRATION"), "NOT_PROVEN"),
    (f"fee_recipients: ['{RECIPIENT}']", a_duty("BLOCK_V2"), "NOT_PROVEN"),
    (f"fee_recipients: ['{RECIPIENT}']", a_duty("BLOCK_V2", fee_recipient=RECIPIENT), "ALLOW"),
    (f"{{fee_recipients: ['{RECIPIENT}'], unproven_blocks: allowed}}", a_duty("BLOCK_V2"), "ALLOW"),
    (
        f"{{fee_recipients: ['{RECIPIENT}'], unproven_blocks: allowed}}",
        a_duty("BLOCK_V2", fee_recipient=BOB),
        "FEE_RECIPIENT_NOT_LISTED",
    ),
    (f"{{fee_recipients: ['{RECIPIENT}'], unproven_blocks: allowed}}", a_duty("VALIDATOR_REGISTRATION"), "NOT_PROVEN"),
    (f"fee_recipients: ['{RECIPIENT}']", a_duty("ATTESTATION"), "ALLOW"),
    ("gas_limits: {least: 30, most: 36}", a_duty("VALIDATOR_REGISTRATION", gas_limit="30"), "ALLOW"),
    ("gas_limits: {least: 30, most: 36}", a_duty("VALIDATOR_REGISTRATION", gas_limit="36"), "ALLOW"),
    ("gas_limits: {least: 30, most: 36}", a_duty("BLOCK_V2", gas_limit="29"), "GAS_LIMIT_OUT_OF_BOUNDS"),
    ("gas_limits: {least: 30, most: 36}", a_duty("BLOCK_V2", gas_limit="37"), "GAS_LIMIT_OUT_OF_BOUNDS"),
    ("gas_limits: {least: 30, most: 36}", a_duty("BLOCK_V2"), "NOT_PROVEN"),
    ("graffiti: [hello world]", a_duty("BLOCK_V2", graffiti=HELLO), "ALLOW"),
    ("graffiti: [hello]", a_duty("BLOCK_V2", graffiti=HELLO), "GRAFFITI_NOT_LISTED"),
    ("graffiti: ['hello*']", a_duty("BLOCK_V2", graffiti=HELLO), "ALLOW"),
    ("graffiti: ['world*']", a_duty("BLOCK_V2", graffiti=HELLO), "GRAFFITI_NOT_LISTED"),
    ("graffiti: ['']", a_duty("BLOCK_V2", graffiti="0x" + "00" * 32), "ALLOW"),
    ("graffiti: [hello]", a_duty("BLOCK_V2"), "NOT_PROVEN"),
    ("graffiti: [hello]", a_duty("VALIDATOR_REGISTRATION"), "ALLOW"),
    (f"deposits: {{withdrawal_credentials: ['{CREDENTIALS}'], most_gwei: 32000000000}}", DEPOSIT, "ALLOW"),
    (f"deposits: {{withdrawal_credentials: ['{CREDENTIALS}'], most_gwei: 31999999999}}", DEPOSIT, "DEPOSIT_TOO_LARGE"),
    (f"deposits: {{withdrawal_credentials: ['0x{'00' * 32}']}}", DEPOSIT, "CREDENTIALS_NOT_LISTED"),
    (
        f"deposits: {{withdrawal_credentials: ['{CREDENTIALS}']}}",
        replace(DEPOSIT, public_key="0x" + "03" * 33),
        "OTHER_VALIDATOR",
    ),
    (f"deposits: {{withdrawal_credentials: ['{CREDENTIALS}']}}", replace(DEPOSIT, amount_gwei=None), "DEPOSIT_UNKNOWN"),
    (f"deposits: {{withdrawal_credentials: ['{CREDENTIALS}']}}", a_duty(), "ALLOW"),
    (
        f"execution_addresses: ['{RECIPIENT}']",
        a_duty("BLS_TO_EXECUTION_CHANGE", to_execution_address=RECIPIENT),
        "ALLOW",
    ),
    (
        f"execution_addresses: ['{RECIPIENT}']",
        a_duty("BLS_TO_EXECUTION_CHANGE", to_execution_address=BOB),
        "EXECUTION_ADDRESS_NOT_LISTED",
    ),
    (f"execution_addresses: ['{RECIPIENT}']", a_duty("BLS_TO_EXECUTION_CHANGE"), "EXECUTION_ADDRESS_NOT_LISTED"),
    ("epochs: {least: 5, most: 6}", a_duty(epoch="5"), "ALLOW"),
    ("epochs: {least: 5, most: 6}", a_duty(epoch="6"), "ALLOW"),
    ("epochs: {least: 5, most: 6}", a_duty(epoch="4"), "EPOCH_OUT_OF_BOUNDS"),
    ("epochs: {most: 6}", a_duty(epoch="7"), "EPOCH_OUT_OF_BOUNDS"),
    ("epochs: {most: 6}", a_duty(), "EPOCH_UNKNOWN"),
]


@pytest.mark.parametrize(("condition", "duty", "expected"), DUTIES)
def test_a_rule_grants_a_duty_of_which_everything_fits(condition: str, duty, expected: str) -> None:
    text = condition if not condition.startswith("{") else "\n    ".join(_entries(condition))
    assert code(granting(text)(facts(duty=duty))) == expected


MONDAY = 1_799_625_600
"""Monday, 11 January 2027, 00:00 UTC."""
HOUR, DAY = 3600, 86400

REQUESTS = [
    ("keys: [treasury-1]", {}, "ALLOW"),
    (f"keys: ['{KEY}']", {}, "ALLOW"),
    ("keys: [treasury]", {}, "KEY_NOT_LISTED"),
    ("tags: [cold, hot]", {}, "ALLOW"),
    ("tags: [cold]", {}, "TAG_NOT_LISTED"),
    ("tags: [cold]", {"signer": {"tags": ()}}, "TAG_NOT_LISTED"),
    ("namespaces: [production]", {}, "ALLOW"),
    ("namespaces: [test]", {}, "NAMESPACE_NOT_LISTED"),
    ("callers: [payroll]", {}, "ALLOW"),
    ("callers: [Payroll]", {}, "CALLER_NOT_LISTED"),
    ("caller_roles: [payer]", {}, "ALLOW"),
    ("caller_roles: [admin]", {}, "CALLER_ROLE_NOT_LISTED"),
    ("sources: [10.1.0.0/16]", {}, "ALLOW"),
    ("sources: [10.2.0.0/16, 10.1.2.3]", {}, "ALLOW"),
    ("sources: [10.2.0.0/16]", {}, "SOURCE_NOT_LISTED"),
    ("sources: ['2001:db8::/32']", {}, "SOURCE_NOT_LISTED"),
    ("sources: ['2001:db8::/32']", {"caller": {"address": "2001:db8::1"}}, "ALLOW"),
    ("sources: [10.1.0.0/16]", {"caller": {"address": "::ffff:10.1.2.3"}}, "ALLOW"),
    ("sources: [0.0.0.0/0]", {"caller": {"address": None}}, "SOURCE_UNKNOWN"),
    ("sources: [0.0.0.0/0]", {"caller": {"address": "nonsense"}}, "SOURCE_UNKNOWN"),
    ("payload: [transaction]", {}, "ALLOW"),
    ("payload: [duty, opaque]", {}, "PAYLOAD_NOT_LISTED"),
    ("hours: [{days: [mon], from: 08:00, until: 18:00}]", {"timestamp": MONDAY + 8 * HOUR}, "ALLOW"),
    ("hours: [{days: [mon], from: 08:00, until: 18:00}]", {"timestamp": MONDAY + 8 * HOUR - 1}, "OUTSIDE_HOURS"),
    ("hours: [{days: [mon], from: 08:00, until: 18:00}]", {"timestamp": MONDAY + 18 * HOUR - 1}, "ALLOW"),
    ("hours: [{days: [mon], from: 08:00, until: 18:00}]", {"timestamp": MONDAY + 18 * HOUR}, "OUTSIDE_HOURS"),
    ("hours: [{days: [mon], from: 08:00, until: 18:00}]", {"timestamp": MONDAY + DAY + 9 * HOUR}, "OUTSIDE_HOURS"),
    ("hours: [{days: [sun], from: 22:00, until: 02:00}]", {"timestamp": MONDAY + 2 * HOUR - 1}, "ALLOW"),
    ("hours: [{days: [sun], from: 22:00, until: 02:00}]", {"timestamp": MONDAY + 2 * HOUR}, "OUTSIDE_HOURS"),
    ("hours: [{days: [sun], from: 22:00, until: 02:00}]", {"timestamp": MONDAY + 23 * HOUR}, "OUTSIDE_HOURS"),
    ("hours: [{days: [mon], from: 22:00, until: 02:00}]", {"timestamp": MONDAY + 22 * HOUR}, "ALLOW"),
    ("hours: [{from: 00:00, until: 24:00}]", {"timestamp": MONDAY + DAY - 1}, "ALLOW"),
    ("hours: [{days: [mon]}]", {"timestamp": MONDAY - 1}, "OUTSIDE_HOURS"),
    ("hours: [{days: [mon]}]", {"timestamp": MONDAY}, "ALLOW"),
    ("hours: [{days: [mon]}]", {"timestamp": MONDAY + DAY - 1}, "ALLOW"),
    ("hours: [{days: [mon]}]", {"timestamp": MONDAY + DAY}, "OUTSIDE_HOURS"),
    ("hours: [{days: [mon, wed]}, {from: 1:00, until: 2:00}]", {"timestamp": MONDAY + DAY + HOUR}, "ALLOW"),
    ("hours: [{from: 1:00, until: 2:00}, {from: 3:00, until: 4:00}]", {"timestamp": MONDAY + 3 * HOUR}, "ALLOW"),
    ("period: {from: 2027-01-11T00:00:00Z, until: 2027-01-12T00:00:00Z}", {"timestamp": MONDAY}, "ALLOW"),
    ("period: {from: 2027-01-11T00:00:00Z}", {"timestamp": MONDAY - 1}, "OUTSIDE_PERIOD"),
    ("period: {until: 2027-01-12T00:00:00Z}", {"timestamp": MONDAY + DAY}, "OUTSIDE_PERIOD"),
    ("period: {until: 2027-01-12T00:00:00Z}", {"timestamp": MONDAY + DAY - 1}, "ALLOW"),
]


@pytest.mark.parametrize(("condition", "differs", "expected"), REQUESTS)
def test_a_rule_grants_what_the_right_caller_asks_of_the_right_key_at_the_right_time(
    condition: str, differs: dict, expected: str
) -> None:
    assert code(granting(condition)(facts(transaction=payment(), **differs))) == expected


DENIED = [
    # (condition, transaction, whether the rule denies it)
    (f"touches: ['{ALICE}']", payment(), True),
    (f"touches: ['{BOB}']", payment(), False),
    (f"touches: ['{BOB}', '{ALICE}']", payment(), True),
    (f"touches: ['{BOB}']", token_call(transfers=(Transfer(kind="transfer", asset=TOKEN, to=BOB, amount="1"),)), True),
    (f"touches: ['{TOKEN}']", token_call(to=BOB), True),
    (f"touches: ['{BOB}']", token_call(transfers=(Transfer(kind="transfer", asset=TOKEN, amount="1"),)), True),
    (f"touches: ['{CAROL}']", payment(data="0x12345678" + "00" * 12 + CAROL[2:]), True),
    (f"touches: ['{CAROL}']", payment(authorizations=(Authorization(chain_id="1", address=CAROL, nonce="0"),)), True),
    (f"touches: ['{CAROL}']", token_call(calls=(Call(contract=CAROL, signature="x()"),)), True),
    (f"touches: ['{TOKEN}']", permit(), True),
    ("touches: [bc1qbad]", psbt(Output(script="0x00", address="bc1qbad", amount="1")), True),
    ("touches: [Acc1]", solana("P"), True),
    ("touches: [P]", solana("Q", "P"), True),
    ("above: {native: 0.99 ether}", payment(), True),
    ("above: {native: 1 ether}", payment(), False),
    ("above: {native: 1 ether}", payment(value=None), True),
    (f"above: {{native: 1 ether, '{TOKEN}': 499}}", token_call(), True),
    (f"above: {{native: 1 ether, '{TOKEN}': 500}}", token_call(), False),
    ("chains: [eip155:1]", payment(), True),
    ("chains: [eip155:2]", payment(), False),
    ("chains: [eip155:2]", payment(chain=None), True),
    ("types: [eip7702]", payment(), False),
    ("sources: [192.168.0.0/16]", payment(), False),
]


@pytest.mark.parametrize(("condition", "transaction", "denied"), DENIED)
def test_a_rule_denies_a_transaction_of_which_anything_fits_or_may(condition: str, transaction, denied: bool) -> None:
    assert code(denying(condition)(facts(transaction=transaction))) == ("DENIED_BY_RULE" if denied else "ALLOW")


OPAQUE = [
    (granting("payload: [opaque]"), "ALLOW"),
    (granting("payload: [opaque, transaction]"), "ALLOW"),
    (granting("payload: [transaction]"), "PAYLOAD_NOT_LISTED"),
    (granting("keys: [treasury-1]"), "OPAQUE"),
    (granting("types: [ATTESTATION]"), "OPAQUE"),
    (granting(f"receivers: ['{ALICE}']"), "OPAQUE"),
    (granting("{payload: [opaque], chains: [eip155:1]}".strip("{}").replace(", chains", "\n    chains")), "OPAQUE"),
    (denying("types: [eip7702]"), "DENIED_BY_RULE"),
    (denying("callers: [nobody]"), "OPAQUE"),
    (requiring("keys: [treasury-1]"), "OPAQUE"),
    (requiring("limits: [{at_most: 1 ether, window: 1h}]"), "AMOUNT_UNKNOWN"),
    (requiring(f"fee_recipients: ['{RECIPIENT}']"), "OPAQUE"),
]


@pytest.mark.parametrize(("rules", "expected"), OPAQUE)
def test_what_cannot_be_read_is_granted_by_its_name_alone(rules: RuleFile, expected: str) -> None:
    assert code(rules(facts(opaque=True))) == expected


OF_TRANSACTIONS = [
    "chains: [eip155:1]",
    f"receivers: ['{ALICE}']",
    "at_most: {native: 1 ether}",
    "fees: {total: 1 ether}",
    f"typed_data: [{{verifying_contract: '{TOKEN}'}}]",
]
OF_DUTIES = [
    f"fee_recipients: ['{RECIPIENT}']",
    "gas_limits: {least: 1, most: 2}",
    "graffiti: [hello]",
    f"deposits: {{withdrawal_credentials: ['{CREDENTIALS}']}}",
    f"execution_addresses: ['{RECIPIENT}']",
    "epochs: {most: 6}",
]


@pytest.mark.parametrize("condition", OF_TRANSACTIONS)
def test_a_condition_on_transactions_fits_nothing_else(condition: str) -> None:
    assert code(granting(condition)(facts(duty=a_duty()))) == "NO_TRANSACTION"
    assert code(granting(condition)(facts(opaque=True))) == "OPAQUE"
    assert code(requiring(condition)(facts(duty=a_duty()))) == "ALLOW", "the rule is about something else"
    assert code(requiring(condition)(facts(opaque=True))) == "OPAQUE"


@pytest.mark.parametrize("condition", OF_DUTIES)
def test_a_condition_on_duties_fits_nothing_else(condition: str) -> None:
    assert code(granting(condition)(facts(transaction=payment()))) == "NO_DUTY"
    assert code(granting(condition)(facts(opaque=True))) == "OPAQUE"
    assert code(requiring(condition)(facts(transaction=payment()))) == "ALLOW", "the rule is about something else"
    assert code(requiring(condition)(facts(opaque=True))) == "OPAQUE"


@pytest.mark.parametrize("condition", [f"touches: ['{ALICE}']", "above: {native: 1}"])
def test_a_rule_that_denies_transactions_denies_what_may_be_one(condition: str) -> None:
    assert code(denying(condition)(facts(duty=a_duty()))) == "ALLOW"
    assert code(denying(condition)(facts(opaque=True))) == "DENIED_BY_RULE"


TREASURY = policy(
    f"""
version: 1
allow:
  - name: friends
    receivers: ["{ALICE}", "{BOB}"]
  - name: duties
    payload: [duty]
require:
  - name: daily
    unless: {{keys: [treasury-9]}}
    limits:
      - {{at_most: 2 ether, window: 24h}}
      - {{at_most: 5 ether, window: 7d, per: policy}}
  - name: velocity
    uses: [{{at_most: 10, window: 1h, per: caller}}, {{at_most: 1000, window: lifetime}}]
  - name: large
    when: {{above: {{native: 1.5 ether}}}}
    approval: {{quorum: 1, groups: [treasurers], lifetime: 24h}}
  - name: very-large
    when: {{above: {{native: 1.8 ether}}}}
    approval: {{quorum: 3, groups: [treasurers], lifetime: 12h, delay: 1h}}
  - name: mainnet
    message: only the main chain
    chains: [eip155:1]
deny:
  - name: carol
    touches: ["{CAROL}"]
    unless: {{callers: [auditor]}}
"""
)


def ether(tenths: int, **fields: Any) -> Facts:
    return facts(transaction=payment(value=str(tenths * ETHER // 10), **fields))


def test_what_is_allowed_reserves_in_every_window_of_every_rule_that_applies() -> None:
    verdict = TREASURY(ether(10))
    assert isinstance(verdict, Allow)
    assert [
        (each.counter.partition("/")[0], each.window_seconds, each.amount, each.limit) for each in verdict.reserve
    ] == [
        ("daily", DAY, ETHER, 2 * ETHER),
        ("daily", 7 * DAY, ETHER, 5 * ETHER),
        ("velocity", HOUR, 1, 10),
        ("velocity", 0, 1, 1000),
    ]
    names = {each.counter for each in verdict.reserve}
    assert len(names) == 4
    assert all("treasury-1" not in name and "payroll" not in name for name in names), "any name fits a counter's"
    assert decode_verdict(encode_verdict(verdict)) == verdict, "as a policy of any other kind could have said"


def test_counters_are_the_keys_or_the_callers_or_everybodys() -> None:
    def named(**differs: Any) -> list[str]:
        verdict = TREASURY(facts(transaction=payment(), **differs))
        assert isinstance(verdict, Allow)
        return [each.counter for each in verdict.reserve]

    mine, key, caller = named(), named(signer={"key_id": "k"}), named(caller={"identity": "c"})
    assert [mine[n] == key[n] for n in range(4)] == [False, True, True, False]
    assert [mine[n] == caller[n] for n in range(4)] == [True, True, False, True]


def test_nothing_is_reserved_where_nothing_leaves_or_the_rule_is_about_something_else() -> None:
    def windows(asked: Facts) -> list[str]:
        verdict = TREASURY(asked)
        assert isinstance(verdict, Allow)
        return [each.counter.partition("/")[0] for each in verdict.reserve]

    assert windows(ether(0)) == ["velocity", "velocity"]
    assert windows(facts(duty=a_duty())) == ["velocity", "velocity"]
    assert windows(facts(transaction=payment(), signer={"key_id": "treasury-9"})) == ["velocity", "velocity"]


ASKED = [
    (10, Allow),
    (15, Allow),
    (16, (1, 24 * HOUR, 0)),
    (18, (1, 24 * HOUR, 0)),
    (19, (3, 12 * HOUR, HOUR)),
    (20, (3, 12 * HOUR, HOUR)),
]


@pytest.mark.parametrize(("tenths", "expected"), ASKED)
def test_the_strictest_of_the_demands_that_apply_is_made(tenths: int, expected) -> None:
    verdict = TREASURY(ether(tenths))
    if expected is Allow:
        assert isinstance(verdict, Allow)
    else:
        assert isinstance(verdict, RequireApproval)
        assert (verdict.quorum, verdict.lifetime_seconds, verdict.delay_seconds) == expected
        assert verdict.groups == ("treasurers",)
        assert len(verdict.reserve) == 4


EXPLAINED = [
    # (request, verdict's code, who decided)
    (ether(10), "ALLOW", ("friends",)),
    (ether(16), "ASK", ("large",)),
    (ether(19), "ASK", ("large", "very-large")),
    (ether(21), "AMOUNT_TOO_LARGE", ("daily",)),
    (ether(10, to=CAROL), "DENIED_BY_RULE", ("carol",)),
    (ether(21, to=CAROL), "DENIED_BY_RULE", ("carol", "daily")),
    (ether(10, chain="eip155:5"), "CHAIN_NOT_LISTED", ("mainnet",)),
    (ether(10, to=TOKEN), "NOT_GRANTED", ()),
    (facts(duty=a_duty()), "ALLOW", ("duties",)),
    (facts(transaction=payment(to=CAROL), caller={"identity": "auditor"}), "NOT_GRANTED", ()),
]


@pytest.mark.parametrize(("asked", "expected", "deciders"), EXPLAINED)
def test_an_explanation_names_the_rules_that_decide(asked: Facts, expected: str, deciders: tuple[str, ...]) -> None:
    explanation = TREASURY.explain(asked)
    assert code(explanation.verdict) == expected
    assert explanation.decided_by == deciders
    assert explanation.verdict == TREASURY(asked)
    assert [finding.rule for finding in explanation.findings] == [
        "carol", "daily", "large", "mainnet", "velocity", "very-large", "duties", "friends",
    ]  # fmt: skip


def test_a_denial_names_rule_line_and_values_and_says_what_its_author_wanted_said() -> None:
    verdict = TREASURY(ether(10, chain="eip155:5"))
    assert isinstance(verdict, Deny)
    assert verdict.message == "rule mainnet: only the main chain"
    assert verdict.evidence == {"chain": "eip155:5", "rule": "mainnet", "where": "rules.yaml:22"}


def test_a_rule_that_denies_says_so_or_what_its_author_wanted_said() -> None:
    for lines, said in (("", "it denies what this is"), ("\n    message: ask Ann", "ask Ann")):
        verdict = denying(f"callers: [payroll]{lines}")(facts(transaction=payment()))
        assert isinstance(verdict, Deny)
        assert verdict.message == f"rule it: {said}"
        assert verdict.evidence == {"rule": "it", "where": "rules.yaml:4"}


MAY_BE = "and a rule of `deny` denies what may be"
RESTS_ON_UNKNOWN = [
    ("epochs: {most: 5}", {"duty": a_duty("DEPOSIT")}, f"the duty's epoch is not known, {MAY_BE}", "EPOCH_UNKNOWN"),
    (
        "epochs: {most: 5}\n    message: ask Ann",
        {"duty": a_duty("DEPOSIT")},
        f"ask Ann (the duty's epoch is not known, {MAY_BE})",
        "EPOCH_UNKNOWN",
    ),
    (
        "sources: [10.0.0.0/8]\n    epochs: {most: 5}",
        {"duty": a_duty("DEPOSIT"), "caller": {"address": None}},
        f"where the caller asks from is not known; the duty's epoch is not known, {MAY_BE}",
        "SOURCE_UNKNOWN, EPOCH_UNKNOWN",
    ),
    (
        "callers: [payroll]\n    unless: {epochs: {most: 5}}",
        {"duty": a_duty("DEPOSIT")},
        "the duty's epoch is not known, and `unless` exempts only what fits for sure",
        "EPOCH_UNKNOWN",
    ),
    ("epochs: {most: 5}", {"duty": a_duty(epoch="5")}, "it denies what this is", None),
    (
        "callers: [payroll]\n    unless: {epochs: {most: 5}, namespaces: [other]}",
        {"duty": a_duty("DEPOSIT")},
        "it denies what this is",
        None,
    ),
]


@pytest.mark.parametrize(("lines", "asked", "said", "unknown"), RESTS_ON_UNKNOWN)
def test_a_denial_that_rests_on_what_is_not_known_names_it(
    lines: str, asked: dict[str, Any], said: str, unknown: str | None
) -> None:
    verdict = denying(lines)(facts(**asked))
    assert isinstance(verdict, Deny)
    assert (verdict.code, verdict.message) == ("DENIED_BY_RULE", f"rule it: {said}")
    assert verdict.evidence.get("unknown") == unknown
    assert decode_verdict(encode_verdict(verdict)) == verdict


def test_where_one_rule_could_grant_its_reason_is_told() -> None:
    verdict = granting(f"receivers: ['{BOB}']")(facts(transaction=payment()))
    assert isinstance(verdict, Deny)
    assert verdict.message == "no rule grants it; it does not: the receiver is not listed"
    assert verdict.evidence == {"receiver": ALICE, "rule": "it", "where": "rules.yaml:3"}


@pytest.mark.parametrize(("count", "names"), [(8, "r1, r2, r3, r4, r5, r6, r7, r8)"), (9, "r7, r8 and 1 more)")])
def test_where_many_rules_could_grant_some_are_named(count: int, names: str) -> None:
    lines = "".join(f"  - {{name: r{n}, callers: [nobody]}}\n" for n in range(1, count + 1))
    verdict = policy(f"version: 1\nallow:\n{lines}")(facts(transaction=payment()))
    assert isinstance(verdict, Deny)
    assert verdict.message.endswith(names)
    assert verdict.evidence == {"rules": count}


def test_an_explanation_says_of_each_rule_what_it_did_and_why() -> None:
    found = {finding.rule: finding for finding in TREASURY.explain(ether(16)).findings}
    assert {name: finding.effect for name, finding in found.items()} == {
        "carol": Effect.PASSES_BY,
        "daily": Effect.HOLDS,
        "large": Effect.ASKS,
        "mainnet": Effect.HOLDS,
        "velocity": Effect.HOLDS,
        "very-large": Effect.PASSES_BY,
        "duties": Effect.PASSES_BY,
        "friends": Effect.GRANTS,
    }
    assert found["very-large"].because is not None
    assert found["very-large"].because.code == "NOT_ABOVE"


UNLESS = [
    # in `allow` and `require` something that may fit `unless` exempts from nothing
    ("allow", "unless: {chains: [eip155:1]}", payment(), "EXEMPTED"),
    ("allow", "unless: {chains: [eip155:1]}", payment(chain=None), "EXEMPTED"),
    ("allow", "unless: {chains: [eip155:2]}", payment(), "ALLOW"),
    ("allow", "unless: {chains: [eip155:1], types: [legacy]}", payment(), "ALLOW"),
    ("require", "callers: [nobody]\n    unless: {chains: [eip155:1]}", payment(), "ALLOW"),
    ("require", "callers: [nobody]\n    unless: {chains: [eip155:1]}", payment(chain=None), "CALLER_NOT_LISTED"),
    ("require", "callers: [nobody]\n    unless: {chains: [eip155:2]}", payment(), "CALLER_NOT_LISTED"),
    ("require", "callers: [nobody]\n    when: {chains: [eip155:2]}", payment(), "ALLOW"),
    ("require", "callers: [nobody]\n    when: {chains: [eip155:2]}", payment(chain=None), "CALLER_NOT_LISTED"),
    ("deny", "callers: [payroll]\n    unless: {chains: [eip155:1]}", payment(), "ALLOW"),
    ("deny", "callers: [payroll]\n    unless: {chains: [eip155:1]}", payment(chain=None), "DENIED_BY_RULE"),
    ("deny", f"callers: [payroll]\n    unless: {{receivers: ['{ALICE}']}}", payment(), "ALLOW"),
    ("deny", f"callers: [payroll]\n    unless: {{receivers: ['{BOB}']}}", payment(), "DENIED_BY_RULE"),
]


@pytest.mark.parametrize(("section", "lines", "transaction", "expected"), UNLESS)
def test_a_fact_that_is_not_there_exempts_from_nothing(section: str, lines: str, transaction, expected: str) -> None:
    otherwise = "deny" if section == "allow" else "allow"
    rules = policy(f"version: 1\notherwise: {otherwise}\n{section}:\n  - name: it\n    {lines}\n")
    assert code(rules(facts(transaction=transaction))) == expected


def test_a_file_that_only_restricts_grants_the_rest() -> None:
    rules = denying("callers: [nobody]")
    assert rules(facts(transaction=payment())) == ALLOW
    assert rules(facts(duty=a_duty())) == ALLOW
    assert code(rules(facts())) == "OPAQUE"


def test_what_a_payload_says_is_shown_so_that_it_forges_no_line() -> None:
    verdict = granting("types: [legacy]")(facts(transaction=payment(type="a\nb" + "c" * 500)))
    assert isinstance(verdict, Deny)
    shown = verdict.evidence["type"]
    assert isinstance(shown, str)
    assert shown.startswith("a\\nbcc")
    assert len(shown) < 250


STRICT = policy(
    f"""
version: 1
allow:
  - name: payments
    chains: [eip155:1]
    receivers: ["{ALICE}"]
    contracts: [{{address: "{TOKEN}", functions: ["{TRANSFER}"]}}]
    fees: {{total: 1 ether, per_gas: 100 gwei, priority_per_gas: 100 gwei, gas_limit: 100000}}
  - name: blocks
    types: [BLOCK_V2, ATTESTATION]
    epochs: {{most: 100}}
require:
  - name: limits
    limits: [{{at_most: 2 ether, window: 1h}}, {{asset: "{TOKEN}", at_most: 1000, window: 1h}}]
  - name: proposals
    when: {{payload: [duty]}}
    fee_recipients: ["{RECIPIENT}"]
    gas_limits: {{least: 1, most: 50}}
    graffiti: ["hello*"]
  - name: office
    unless: {{sources: [10.0.0.0/8]}}
    approval: {{quorum: 1, groups: [g], lifetime: 1h}}
deny:
  - name: others
    chains: [eip155:7]
  - name: carol
    touches: ["{CAROL}"]
"""
)
BLOCK = a_duty("BLOCK_V2", epoch="7", fee_recipient=RECIPIENT, gas_limit="30", graffiti=HELLO)
SEVERITY = {"ALLOW": 0, "ASK": 1}


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([payment(), token_call(), payment(to=CAROL), payment(chain="eip155:7"), payment(value="0")]),
    st.sets(st.sampled_from(["chain", "value", "fee_cap", "gas_limit", "max_fee_per_gas", "to", "selector"])),
    st.sampled_from(["10.1.1.1", "192.168.0.1"]),
    st.booleans(),
)
def test_a_fact_that_is_taken_from_a_transaction_never_makes_its_verdict_more_lenient(
    transaction, without: set[str], address: str, anonymous: bool
) -> None:
    all_there = STRICT(facts(transaction=transaction, caller={"address": address}))
    less = STRICT(
        facts(
            transaction=replace(transaction, **dict.fromkeys(without)),
            caller={"address": None if anonymous else address},
        )
    )
    assert SEVERITY.get(code(less), 2) >= SEVERITY.get(code(all_there), 2)


@settings(deadline=None, max_examples=100)
@given(st.sets(st.sampled_from(["epoch", "fee_recipient", "gas_limit", "graffiti"])))
def test_a_fact_that_is_taken_from_a_duty_never_makes_its_verdict_more_lenient(without: set[str]) -> None:
    inside = {"address": "10.1.1.1"}
    assert code(STRICT(facts(duty=BLOCK, caller=inside))) == "ALLOW"
    less = STRICT(facts(duty=replace(BLOCK, **dict.fromkeys(without)), caller=inside))
    assert (code(less) == "ALLOW") == (not without)


@settings(deadline=None, max_examples=100)
@given(st.randoms(use_true_random=False), st.sampled_from([ether(n) for n in (0, 10, 19, 21)] + [ether(1, to=CAROL)]))
def test_the_order_of_a_files_rules_says_nothing(chance, asked: Facts) -> None:
    rules = list(TREASURY.rules)
    chance.shuffle(rules)
    assert RuleFile("rules.yaml", tuple(rules)).explain(asked) == TREASURY.explain(asked)


def test_verdicts_of_rules_combine_as_those_of_any_policy() -> None:
    outcomes = [Outcome("a", "01", TREASURY(ether(19))), Outcome("b", "01", denying("callers: [payroll]")(ether(19)))]
    assert type(combine(outcomes)).__name__ == "Denied"
