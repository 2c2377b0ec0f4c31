"""From a rule file's verdict to the record: what the rules reserve is what the commit books, and the limit holds."""

import asyncio
from pathlib import Path

import pytest
from journal.record import PlainStory, open_record
from policy.counter_claims import NOON, with_counters
from policy.sample_facts import ETHER, facts, payment

from signer.errors import CounterLimitError
from signer.journal.command import Command
from signer.journal.writer import Writer
from signer.policy.combine import Allowed, Outcome, claim_of, combine
from signer.policy.counters import giving_back
from signer.policy.rules.file import read_rule_file

TREASURY = read_rule_file(
    """
version: 1
otherwise: allow
require:
  - name: daily
    limits: [{at_most: 2 ether, window: 24h}]
  - name: velocity
    uses: [{at_most: 3, window: 1h, per: policy}]
""",
    name="treasury.yaml",
)


@pytest.fixture
def writer(tmp_path: Path):
    record = open_record(tmp_path)
    yield with_counters(record.writer)
    record.close()


async def pay(writer: Writer, amount: int, *, key: str = "treasury-1", at: int = NOON, fails: bool = False) -> str:
    """As the gate will: decide, record, sign; and where signing is known to have failed, give back."""
    asked = facts(transaction=payment(value=str(amount)), signer={"key_id": key}, timestamp=at)
    decision = combine([Outcome("treasury", "01", TREASURY(asked))])
    if not isinstance(decision, Allowed):
        return "denied"
    claim = claim_of(decision, at_seconds=at)
    assert claim is not None
    try:
        await writer.commit(Command((claim,), PlainStory()))
    except CounterLimitError as refusal:
        return str(refusal.evidence["counter"]).partition("/")[0]
    if fails:
        back = giving_back(claim)
        assert back is not None
        await writer.commit(Command((back,), PlainStory()))
        return "failed"
    return "signed"


async def test_each_rules_limit_holds_in_its_own_window_and_for_whom_it_counts(writer: Writer) -> None:
    steps = [
        (ETHER, {}, "signed"),
        (ETHER + 1, {}, "daily"),
        (ETHER, {}, "signed"),
        (1, {}, "daily"),
        (ETHER, {"key": "treasury-2"}, "signed"),
        (0, {"key": "treasury-3"}, "velocity"),
        (1, {"key": "treasury-3", "at": NOON + 3660}, "signed"),
        (1, {"at": NOON + 3660}, "daily"),
        (2 * ETHER, {"at": NOON + 86400 + 1440}, "signed"),
    ]
    for amount, differs, expected in steps:
        assert await pay(writer, amount, **differs) == expected, (amount, differs)


async def test_of_200_racing_payments_the_limit_lets_exactly_one_pass(writer: Writer) -> None:
    verdicts = await asyncio.gather(*(pay(writer, ETHER + 1) for _ in range(200)))
    assert sorted(verdicts) == ["daily"] * 199 + ["signed"]


async def test_a_signature_that_is_known_to_have_failed_spends_neither_amount_nor_use(writer: Writer) -> None:
    assert [await pay(writer, 2 * ETHER, fails=True) for _ in range(5)] == ["failed"] * 5
    assert await pay(writer, 2 * ETHER) == "signed"
    assert await pay(writer, 1) == "daily"
