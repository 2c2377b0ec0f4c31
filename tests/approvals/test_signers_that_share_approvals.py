"""Two signers on one PostgreSQL: one approval is spent once between them, and whoever decides, decides for both."""

import asyncio
from pathlib import Path

import pytest
from approvals.sample_approvals import demand
from approvals.waiting_twin import ANN, ASKS, BOB, People, hold
from journal.kept_records import KeptRecord
from journal.record import PlainStory
from journal.shared_record import open_shared

from signer.approvals.ledger import ApprovalClaim
from signer.approvals.request import State
from signer.errors import ApprovalChangedError, ApprovalRequiredError, SignerError
from signer.journal.command import Command


@pytest.fixture
def two(emptied_url: str, tmp_path: Path):
    records = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir(mode=0o700)
        record = open_shared(emptied_url, tmp_path / name, genesis_validators_root=None, deadline_seconds=60.0)
        records.append(KeptRecord(record.writer, record.view.reading, record))
    yield [People(record, key=bytes([n]) * 32) for n, record in enumerate(records)]
    for record in records:
        record.close()


async def waiting(people: People, wanted) -> bytes:
    with pytest.raises(ApprovalRequiredError) as waits:
        await people.held.admit(wanted, ASKS)
    return bytes.fromhex(str(waits.value.evidence["approval"]))


async def spend(people: People, wanted) -> str:
    try:
        claim = await people.held.admit(wanted, ASKS)
        await people.kept.writer.commit(Command((claim,), PlainStory()))
    except ApprovalChangedError:
        return "changed"
    except SignerError as error:
        return error.code
    return claim.act


async def test_who_asks_either_of_them_waits_for_one_approval_and_it_is_spent_once(two: list[People]) -> None:
    first, second = two
    for round_ in range(5):
        wanted = hold(demand(2), root=bytes([0x40 + round_]) * 32)
        found = await asyncio.gather(*[waiting(people, wanted) for people in (first, second) * 3])
        assert len(set(found)) == 1
        approval_id = found[0]
        await asyncio.gather(first.vote(approval_id, ANN), second.vote(approval_id, BOB))
        assert (await first.review.show(approval_id, ASKS)).state is State.APPROVED
        claims = [await people.held.admit(wanted, ASKS) for people in (first, second) * 4]
        outcomes = await asyncio.gather(
            *[commit(people, claim) for people, claim in zip((first, second) * 4, claims, strict=True)]
        )
        assert sorted(outcomes) == ["changed"] * 7 + ["spent"]
        assert [await spend(people, wanted) for people in two] == ["again", "again"]


async def commit(people: People, claim: ApprovalClaim) -> str:
    try:
        await people.kept.writer.commit(Command((claim,), PlainStory()))
    except ApprovalChangedError:
        return "changed"
    return "spent"


async def test_a_denial_here_and_a_spending_there_leave_one_of_them(two: list[People]) -> None:
    first, second = two
    for round_ in range(5):
        wanted = hold(demand(1), root=bytes([0x60 + round_]) * 32)
        approval_id = await waiting(first, wanted)
        await first.vote(approval_id, ANN)
        claim = await second.held.admit(wanted, ASKS)
        spent, denied = await asyncio.gather(
            commit(second, claim), first.vote(approval_id, BOB, "deny"), return_exceptions=True
        )
        state = (await second.review.show(approval_id, ASKS)).state
        assert (spent == "spent") is (state is State.SPENT)
        assert isinstance(denied, SignerError) is (state is State.SPENT)
        assert state in (State.SPENT, State.DENIED)
