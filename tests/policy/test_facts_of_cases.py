"""What a case need not write of its facts: a duty's epoch follows from what it writes, and a time may be a date."""

import pytest

from signer.errors import ConfigError
from signer.policy.cases import all_pass, read_cases, read_facts
from signer.policy.facts import Facts
from signer.policy.rules.file import read_rule_file

CASES = """
version: 1
facts: {duty: {type: ATTESTATION}}
cases:
  - name: last of the epochs that are denied
    facts: {duty: {slot: 9000031}}
    expect: deny
    code: DENIED_BY_RULE
  - name: the next slot
    facts: {duty: {slot: 9000032}}
    expect: allow
  - name: nobody knows the epoch
    facts: {duty: {slot: 9000032, epoch: ~}}
    expect: deny
    code: DENIED_BY_RULE
"""


def of_a_duty(fields: str) -> Facts:
    return read_facts(f"duty: {{type: ATTESTATION, {fields}}}", name="facts.yaml")


@pytest.mark.parametrize(
    ("fields", "epoch"),
    [
        ("slot: 9000000", "281250"),
        ("slot: 31", "0"),
        ("slot: 32", "1"),
        ("slot: 64, target_epoch: 7", "7"),
        ("target_epoch: 7", "7"),
        ("slot: 64, epoch: 4", "4"),
        ("slot: 64, target_epoch: 7, epoch: 4", "4"),
        ("slot: 64, epoch: ~", None),
        ("source_epoch: 3", None),
        ("validator_index: 3", None),
    ],
)
def test_an_epoch_that_is_not_written_follows_from_the_target_or_the_slot(fields: str, epoch: str | None) -> None:
    duty = of_a_duty(fields).duty
    assert duty is not None
    assert duty.epoch == epoch


def test_a_rule_about_epochs_decides_cases_that_write_slots() -> None:
    rules = read_rule_file(
        "version: 1\notherwise: allow\ndeny: [{name: old, epochs: {most: 281250}}]\n", name="rules.yaml"
    )
    assert all_pass(rules, read_cases(CASES, name="cases.yaml"))


@pytest.mark.parametrize("written", ["1795392000", "2026-11-23T00:00:00Z", "'2026-11-23T00:00:00Z'"])
def test_a_time_is_written_in_seconds_or_as_a_moment(written: str) -> None:
    facts = read_facts(f"environment: {{timestamp: {written}}}", name="facts.yaml")
    assert facts.environment.timestamp == 1_795_392_000
    assert facts.environment.simulation


@pytest.mark.parametrize(
    ("written", "key", "words"),
    [
        ("2026-11-23T00:00:00", "facts.environment.timestamp", "a moment in UTC"),
        ("2026-11-23T25:00:00Z", "facts.environment.timestamp", "a moment in UTC"),
        ("tomorrow", "facts", "$.environment.timestamp"),
    ],
)
def test_a_time_that_is_none_is_refused_with_its_line(written: str, key: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_facts(f"opaque: true\nenvironment: {{timestamp: {written}}}", name="facts.yaml")
    assert caught.value.key == key
    assert words in caught.value.sentence
