"""The page for authors of rules tells the truth: its examples are read, and it names every key."""

import re
from pathlib import Path

import pytest
from policy.sample_facts import ALICE, BOB, ETHER, a_duty, facts, payment

from signer.policy.rules.file import read_rule_file
from signer.policy.rules.reading_conditions import CONDITIONS
from signer.policy.rules.rule import RuleFile
from signer.policy.verdict import Allow, Deny, RequireApproval

PAGE = Path(__file__).resolve().parents[2] / "policies" / "rules.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def treasury() -> RuleFile:
    return read_rule_file(EXAMPLES[0], name="treasury.yaml")


@pytest.fixture
def staking() -> RuleFile:
    return read_rule_file(EXAMPLES[1], name="staking.yaml")


def test_every_example_is_a_policy() -> None:
    assert len(EXAMPLES) == 3
    for example in EXAMPLES:
        read_rule_file(example, name="example.yaml")


def test_every_condition_is_on_the_page() -> None:
    text = PAGE.read_text()
    assert [name for name in CONDITIONS if f"`{name}" not in text] == []


def test_the_treasury_decides_as_the_page_says(treasury: RuleFile) -> None:
    assert isinstance(treasury(facts(transaction=payment())), Allow)
    assert isinstance(treasury(facts(transaction=payment(value=str(6 * ETHER)))), RequireApproval)
    for refused in (payment(value=str(11 * ETHER)), payment(to=BOB), payment(chain="eip155:2"), payment(data="0x01")):
        assert isinstance(treasury(facts(transaction=refused)), Deny)


def test_the_staking_operator_decides_as_the_page_says(staking: RuleFile) -> None:
    recipient = "0x" + "fe" * 20
    assert isinstance(staking(facts(duty=a_duty())), Allow)
    assert isinstance(staking(facts(duty=a_duty("BLOCK_V2"))), Allow)
    assert isinstance(staking(facts(duty=a_duty("BLOCK_V2", fee_recipient=BOB))), Deny)
    assert isinstance(staking(facts(duty=a_duty("VOLUNTARY_EXIT"))), RequireApproval)
    registration = a_duty("VALIDATOR_REGISTRATION", fee_recipient=recipient)
    assert isinstance(staking(facts(duty=registration)), Allow)
    assert isinstance(staking(facts(duty=registration, caller={"address": "192.0.2.1"})), Deny)
    assert isinstance(staking(facts(duty=a_duty("BLS_TO_EXECUTION_CHANGE", to_execution_address=ALICE))), Deny)
