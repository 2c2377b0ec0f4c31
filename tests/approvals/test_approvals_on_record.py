"""Approvals on either database: what is written is read again, and each is spent once whoever races for it."""

import asyncio
import secrets

import pytest
from approvals.sample_approvals import HOUR_MS, OPENED_MS, POLICIES, demand, opened, request, vote
from journal.kept_records import DATABASES, KeptRecord, open_kept
from journal.record import PlainStory

from signer.approvals.hashes import change_hash, policies_hash, request_hash
from signer.approvals.ledger import ApprovalClaim
from signer.approvals.record import (
    NEWEST,
    Place,
    change_request,
    count_open,
    get_request,
    place_of,
    read_by_hash,
    read_overdue,
    read_page,
    read_sealed,
    remove_ended,
)
from signer.approvals.request import Ending, Request, SignedStatement, State
from signer.approvals.rules import cast, end, state_of
from signer.errors import ApprovalChangedError, ApprovalClosedError, SignerError, UnknownApprovalError
from signer.journal.command import Command

PATIENCE_SECONDS = 60.0


@pytest.fixture(params=DATABASES)
def kept(request: pytest.FixtureRequest, tmp_path):
    record = open_kept(
        request.param, tmp_path, lambda: request.getfixturevalue("emptied_url"), deadline_seconds=PATIENCE_SECONDS
    )
    yield record
    record.close()


async def perform(kept: KeptRecord, change):
    return await kept.writer.perform(change, lambda _: PlainStory())


async def open_one(kept: KeptRecord, wanted: Request | None = None) -> Request:
    return await perform(kept, lambda transaction: opened(transaction, wanted or request(demand(1))))


async def say(kept: KeptRecord, asked: Request, one) -> Request:
    return await perform(kept, lambda t: change_request(t, asked.approval_id, lambda found: cast(found, one)))


async def stop(kept: KeptRecord, asked: Request, ending: Ending, *, at: int = OPENED_MS, by: str = "ann") -> Request:
    rule = lambda found: end(found, ending, by=by, now_ms=at)  # noqa: E731
    return await perform(kept, lambda t: change_request(t, asked.approval_id, rule))


def claim(asked: Request, act: str = "spend", at: int = OPENED_MS, **fields) -> Command:
    values = {"request_hash": asked.request_hash, "policies_hash": asked.policies_hash, **fields}
    return Command((ApprovalClaim(asked.approval_id, at_ms=at, act=act, **values),), PlainStory())


async def attempt(kept: KeptRecord, command: Command) -> str:
    try:
        receipt = await kept.writer.commit(command)
    except ApprovalChangedError:
        return "changed"
    return "repeat" if receipt.repeat else "done"


def found(kept: KeptRecord, asked: Request) -> Request:
    with kept.reading() as moment:
        return get_request(moment, asked.approval_id)


async def test_what_is_written_is_read_again(kept: KeptRecord) -> None:
    wanted = request(demand(2, "risk", "custodians", delay_seconds=60), demand(1, "risk", policy="limits"))
    assert await open_one(kept, wanted) == wanted
    signed = SignedStatement("ed25519", '{"a":"?\'"}', "0x01", "0x02")
    one, other = vote("ann", 'it\'s \\ "them"', "custodians"), vote("bob", "risk", at=OPENED_MS + 5)
    with_key = type(one)(other.approver, other.groups, other.approves, other.cast_ms, signed)
    await say(kept, wanted, one)
    after = await say(kept, wanted, with_key)
    assert found(kept, wanted) == after
    assert after.votes == (one, with_key)
    with kept.reading() as moment:
        assert read_sealed(moment, wanted.approval_id) == b"sealed"
        assert read_by_hash(moment, wanted.request_hash) == [after]
        with pytest.raises(UnknownApprovalError):
            get_request(moment, secrets.token_bytes(16))
        with pytest.raises(UnknownApprovalError):
            read_sealed(moment, secrets.token_bytes(16))


async def test_the_same_request_is_open_once_however_often_it_is_asked(kept: KeptRecord) -> None:
    first = await open_one(kept)
    assert await open_one(kept) == first
    await stop(kept, first, Ending.CANCELLED)
    second = await open_one(kept)
    assert second.approval_id != first.approval_id
    with kept.reading() as moment:
        assert {each.ending for each in read_by_hash(moment, first.request_hash)} == {None, Ending.CANCELLED}


async def test_a_denial_is_on_record_with_its_voter(kept: KeptRecord) -> None:
    asked = await open_one(kept)
    await say(kept, asked, vote("ann"))
    await say(kept, asked, vote("ann", approves=False, at=OPENED_MS + 1))
    ended = found(kept, asked)
    assert (ended.ending, ended.ended_by, ended.ended_ms) == (Ending.DENIED, "ann", OPENED_MS + 1)
    assert [each.approves for each in ended.votes] == [False]
    with pytest.raises(ApprovalClosedError):
        await say(kept, asked, vote("bob"))


async def test_an_approval_is_spent_by_one_of_many_and_the_others_are_told_to_look_again(kept: KeptRecord) -> None:
    asked = await open_one(kept)
    assert await attempt(kept, claim(asked)) == "changed"  # nobody has approved
    await say(kept, asked, vote("ann"))
    outcomes = await asyncio.gather(*[attempt(kept, claim(asked)) for _ in range(50)])
    assert sorted(outcomes) == ["changed"] * 49 + ["done"]
    assert (found(kept, asked).ending, found(kept, asked).collections) == (Ending.SPENT, 1)
    assert await attempt(kept, claim(asked, "again")) == "done"
    assert await attempt(kept, claim(asked, "again")) == "repeat"
    assert await attempt(kept, claim(asked, "give_back")) == "changed"
    assert found(kept, asked).collections == 2


async def test_what_failed_before_anybody_had_a_signature_is_given_back(kept: KeptRecord) -> None:
    asked = await open_one(kept)
    await say(kept, asked, vote("ann"))
    assert await attempt(kept, claim(asked)) == "done"
    assert await attempt(kept, claim(asked, "give_back")) == "done"
    assert await attempt(kept, claim(asked, "give_back")) == "changed"
    assert state_of(found(kept, asked), now_ms=OPENED_MS) is State.APPROVED
    assert await attempt(kept, claim(asked)) == "done"


@pytest.mark.parametrize("field", ["request_hash", "policies_hash"])
async def test_an_approval_is_good_for_nothing_else(kept: KeptRecord, field: str) -> None:
    asked = await open_one(kept)
    await say(kept, asked, vote("ann"))
    assert await attempt(kept, claim(asked, **{field: b"\x01" * 32})) == "changed"
    assert found(kept, asked).ending is None


async def test_an_approval_is_not_spent_after_its_time_nor_before_its_delay(kept: KeptRecord) -> None:
    asked = await open_one(kept, request(demand(1, delay_seconds=60)))
    await say(kept, asked, vote("ann"))
    assert await attempt(kept, claim(asked, at=OPENED_MS + 59_999)) == "changed"
    assert await attempt(kept, claim(asked, at=OPENED_MS + HOUR_MS)) == "changed"
    assert await attempt(kept, claim(asked, at=OPENED_MS + 60_000)) == "done"


@pytest.mark.parametrize("round_", range(8))
async def test_the_last_vote_an_expiry_a_revocation_and_the_spending_at_once_leave_one_ending(
    kept: KeptRecord, round_: int
) -> None:
    asked = await open_one(kept, request(demand(2)))
    await say(kept, asked, vote("ann"))
    acts = [
        say(kept, asked, vote("bob")),
        stop(kept, asked, Ending.EXPIRED, at=OPENED_MS + HOUR_MS, by=""),
        stop(kept, asked, Ending.CANCELLED),
        say(kept, asked, vote("cid", approves=False)),
        attempt(kept, claim(asked)),
        attempt(kept, claim(asked)),
    ]
    order = [(round_ * 5 + n * (1 + round_ % 5)) % len(acts) for n in range(len(acts))]
    first = [acts[n] for n in dict.fromkeys([*order, *range(len(acts))])]
    results = await asyncio.gather(*first, return_exceptions=True)
    assert all(isinstance(each, Request | str | SignerError) for each in results), results
    ending = found(kept, asked).ending
    spent = results.count("done")
    enders = [each for each in results if isinstance(each, Request) and each.ending is not None]
    assert len(enders) + spent == 1, "exactly one of them has ended it"
    assert ending is (Ending.SPENT if spent else enders[0].ending)


async def test_what_is_overdue_is_found_and_what_has_ended_long_ago_is_removed(kept: KeptRecord) -> None:
    short = await open_one(kept, request(demand(1), lifetime_ms=1000))
    longer = await open_one(kept, request(demand(1), root=b"\x09" * 32))
    await say(kept, short, vote("ann"))
    with kept.reading() as moment:
        assert read_overdue(moment, now_ms=OPENED_MS + 999) == []
        assert [each.approval_id for each in read_overdue(moment, now_ms=OPENED_MS + 1000)] == [short.approval_id]
        assert count_open(moment, "validator-client", now_ms=OPENED_MS) == 2
        assert count_open(moment, "validator-client", now_ms=OPENED_MS + 1000) == 1
        assert count_open(moment, "somebody", now_ms=OPENED_MS) == 0
    await stop(kept, short, Ending.EXPIRED, at=OPENED_MS + 2000)
    with kept.reading() as moment:
        assert [one.approval_id for one in read_page(moment, before=NEWEST, ended_too=False, limit=9)] == [
            longer.approval_id
        ]
        assert len(read_page(moment, before=NEWEST, ended_too=True, limit=9)) == 2
        assert len(read_page(moment, before=NEWEST, ended_too=True, limit=1)) == 1
        assert read_page(moment, before=Place(OPENED_MS, b"\xff" * 16), ended_too=True, limit=9) == []
    assert await perform(kept, lambda t: remove_ended(t, before_ms=OPENED_MS + 1999)) == 0
    assert await perform(kept, lambda t: remove_ended(t, before_ms=OPENED_MS + 2000)) == 1
    with kept.reading() as moment, pytest.raises(UnknownApprovalError):
        get_request(moment, short.approval_id)
    assert found(kept, longer) == longer


def test_hashes_tell_every_part_from_every_other() -> None:
    base = {"requester": "ann", "public_key": b"\x01" * 48, "signing_root": b"\x02" * 32, "subject": "VOLUNTARY_EXIT"}
    others = [
        {**base, "requester": "bob"},
        {**base, "public_key": b"\x03" * 48},
        {**base, "signing_root": b"\x03" * 32},
        {**base, "subject": "DEPOSIT"},
    ]
    assert len({request_hash(**each) for each in [base, *others]}) == 5
    assert policies_hash([("a", "1"), ("b", "2")], since=1) == policies_hash(
        [("b", "2"), ("a", "1"), ("a", "1")], since=1
    )
    assert (
        policies_hash([("a", "1")], since=1)
        != policies_hash([("a", "2")], since=1)
        != policies_hash([("a", "1"), ("b", "1")], since=1)
    )
    assert change_hash(requester="ann", order=b"x") != change_hash(requester="annx", order=b"")
    assert policies_hash([("exits", "11" * 32)], since=1) == POLICIES


async def test_pages_leave_nobody_out_who_was_opened_in_the_same_millisecond(kept: KeptRecord) -> None:
    wanted = [request(demand(1), root=bytes([n]) * 32) for n in range(7)]
    wanted += [request(demand(1), root=bytes([n]) * 32, opened_ms=OPENED_MS + n) for n in (8, 9)]
    for each in wanted:
        await open_one(kept, each)
    in_order = sorted(wanted, key=lambda each: (-each.opened_ms, each.approval_id))
    found, before = [], NEWEST
    with kept.reading() as moment:
        while page := read_page(moment, before=before, ended_too=False, limit=2):
            found += page
            before = place_of(page[-1])
    assert [each.approval_id for each in found] == [each.approval_id for each in in_order]
