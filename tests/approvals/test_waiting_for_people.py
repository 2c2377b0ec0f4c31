"""From a held request to its spending, on either database: opened once, decided by those who may, told to the log."""

import asyncio
import json

import pytest
from approvals.sample_approvals import HOUR_MS, KEY, OPENED_MS, demand
from approvals.waiting_twin import (
    ANN,
    ASKS,
    BOB,
    CID,
    EVE,
    EXIT,
    OPERATOR,
    SID,
    SIGNING_KEY,
    WATCH,
    People,
    hold,
    person,
)
from journal.kept_records import DATABASES, open_kept
from journal.record import PlainStory
from msgspec import structs

from signer.approvals.hashes import policies_hash
from signer.approvals.ledger import ApprovalClaim
from signer.approvals.record import get_request, read_sealed
from signer.approvals.request import State
from signer.approvals.signed_statement import check_signature, sign_statement, statement_of
from signer.audit.entry import Kind, Outcome
from signer.auth.approvers import Approver
from signer.auth.principal import ANONYMOUS, Action, Caller
from signer.crypto.ed25519 import ed25519_public_key
from signer.crypto.secret import Secret
from signer.errors import (
    ApprovalChangedError,
    ApprovalClosedError,
    ApprovalDeniedError,
    ApprovalRequiredError,
    ElsewhereError,
    ForbiddenError,
    NotAnApproverError,
    SignerError,
    StatementError,
    TooManyApprovalsError,
    UnapprovableError,
    UnknownApprovalError,
    WrongRequestError,
)
from signer.journal.command import Command
from signer.operations.review_approvals import MOST_LISTED

EMBEDDED = pytest.mark.parametrize("database", ["embedded"])


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def people(database: str, request: pytest.FixtureRequest, tmp_path):
    record = open_kept(database, tmp_path, lambda: request.getfixturevalue("emptied_url"), deadline_seconds=60.0)
    yield People(record)
    record.close()


async def ask(people: People, wanted=None, caller: Caller = ASKS) -> str | ApprovalClaim:
    """The id of the approval that it waits for, or the claim of one that has come."""
    try:
        return await people.held.admit(wanted or hold(), caller)
    except ApprovalRequiredError as waits:
        return str(waits.evidence["approval"])


async def opened(people: People, wanted=None, caller: Caller = ASKS) -> bytes:
    found = await ask(people, wanted, caller)
    assert isinstance(found, str), found
    return bytes.fromhex(found)


async def spend(people: People, claim: ApprovalClaim) -> str:
    try:
        await people.kept.writer.commit(Command((claim,), PlainStory()))
    except ApprovalChangedError:
        return "changed"
    return "spent"


async def test_from_the_question_to_the_spending(people: People) -> None:
    with pytest.raises(ApprovalRequiredError) as waits:
        await people.held.admit(hold(), ASKS)
    approval_id = bytes.fromhex(str(waits.value.evidence["approval"]))
    assert waits.value.evidence == {
        "approval": approval_id.hex(),
        "state": "waiting",
        "request_hash": "0x" + hold().request_hash.hex(),
        "missing": "exits needs 2 approvals from members of custodians",
        "ready_at": None,
        "until": "2027-01-15T09:00:00+00:00",
    }
    assert await opened(people) == approval_id, "whoever asks again waits for the same people"
    told = await people.vote(approval_id, ANN)
    assert (told.state, told.progress[0].missing) == (State.WAITING, 1)
    assert isinstance(await ask(people), str)
    told = await people.vote(approval_id, BOB)
    assert (told.state, told.ready_ms) == (State.APPROVED, OPENED_MS)
    claim = await ask(people)
    assert isinstance(claim, ApprovalClaim)
    assert (claim.approval_id, claim.act) == (approval_id, "spend")
    assert await spend(people, claim) == "spent"
    assert await spend(people, claim) == "changed"
    again = await ask(people)
    assert isinstance(again, ApprovalClaim)
    assert again.act == "again"
    assert await spend(people, again) == "spent"


async def test_every_step_is_in_the_audit_log_in_the_same_commit(people: People) -> None:
    approval_id = await opened(people)
    await people.vote(approval_id, ANN)
    await people.vote(approval_id, BOB, "deny")
    kinds = [entry for entry in people.audit() if entry.kind >= Kind.APPROVAL_OPENED]
    assert [(entry.kind, entry.principal, entry.public_key) for entry in kinds] == [
        (Kind.APPROVAL_OPENED, "validator-client", KEY),
        (Kind.APPROVAL_VOTE, "ann", KEY),
        (Kind.APPROVAL_VOTE, "bob", KEY),
    ]
    notes = [json.loads(entry.note) for entry in kinds]
    assert {note["approval"] for note in notes} == {approval_id.hex()}
    assert {note["request_hash"] for note in notes} == {"0x" + hold().request_hash.hex()}
    assert notes[0]["demands"] == ["exits: 2 of custodians"]
    assert [note.get("decision") for note in notes] == [None, "approve", "deny"]
    assert notes[2]["state"] == "denied"


async def test_a_vote_that_came_too_late_is_an_entry_of_the_log_without_effect(people: People) -> None:
    approval_id = await opened(people)
    await people.vote(approval_id, ANN, "deny")
    for who, decision in ((BOB, "approve"), (ANN, "deny")):
        with pytest.raises(ApprovalClosedError, match="it is denied"):
            await people.vote(approval_id, who, decision)
    with pytest.raises(ForbiddenError):
        await people.review.vote(approval_id, WATCH, decision="approve", request_hash=hold().request_hash, signed=None)
    late = [entry for entry in people.audit() if entry.kind is Kind.APPROVAL_VOTE][1:]
    assert [(entry.outcome, entry.code, entry.principal, entry.public_key) for entry in late] == [
        (Outcome.REFUSED, "APPROVAL_CLOSED", "bob", KEY),
        (Outcome.REFUSED, "APPROVAL_CLOSED", "ann", KEY),
    ]
    notes = [json.loads(entry.note) for entry in late]
    assert [(note["approval"], note["decision"], note["state"]) for note in notes] == [
        (approval_id.hex(), "approve", "denied"),
        (approval_id.hex(), "deny", "denied"),
    ]
    assert [vote.approver for vote in (await people.review.show(approval_id, ANN)).request.votes] == ["ann"]


async def test_other_policies_or_other_demands_make_what_waits_void(people: People) -> None:
    approval_id = await opened(people)
    for who in (ANN, BOB):
        await people.vote(approval_id, who)
    renewed = policies_hash([("exits", "22" * 32)], since=1)
    second = await opened(people, hold(policies_hash=renewed))
    assert second != approval_id
    assert (await people.review.show(approval_id, ASKS)).state is State.VOID
    for who in (ANN, BOB):
        await people.vote(second, who)
    third = await opened(people, hold(demand(3), policies_hash=renewed))
    assert third not in (approval_id, second)
    assert (await people.review.show(second, ASKS)).state is State.VOID
    with pytest.raises(ApprovalClosedError, match="it is void"):
        await people.vote(second, CID)


async def test_the_same_by_somebody_else_or_a_changed_bit_is_another_request(people: People) -> None:
    first = await opened(people)
    for who in (ANN, BOB):
        await people.vote(first, who)
    other = person("other-client", actions=frozenset({Action.SIGN_DUTY}))
    second = await opened(people, hold(requester="other-client"), other)
    third = await opened(people, hold(root=b"\x08" * 32))
    assert len({first, second, third}) == 3
    assert isinstance(await ask(people), ApprovalClaim)


async def test_a_denial_stands_until_the_request_would_have_ended(people: People) -> None:
    approval_id = await opened(people)
    await people.vote(approval_id, ANN, "deny")
    with pytest.raises(ApprovalDeniedError, match="ann has denied"):
        await people.held.admit(hold(), ASKS)
    people.clock.seconds += HOUR_MS / 1000
    assert await opened(people) != approval_id


async def test_what_was_cancelled_or_expired_may_be_asked_again(people: People) -> None:
    first = await opened(people)
    assert (await people.review.cancel(first, ASKS)).state is State.CANCELLED
    with pytest.raises(ApprovalClosedError):
        await people.review.cancel(first, ASKS)
    second = await opened(people)
    people.clock.seconds += HOUR_MS / 1000
    with pytest.raises(ApprovalClosedError, match="it is expired"):
        await people.vote(second, ANN)
    third = await opened(people)
    assert len({first, second, third}) == 3
    assert (await people.review.show(second, ASKS)).state is State.EXPIRED


async def test_the_delay_is_counted_from_the_quorum_and_a_denial_comes_in_time(people: People) -> None:
    wanted = hold(demand(1, delay_seconds=600))
    approval_id = await opened(people, wanted)
    people.clock.seconds += 100
    assert (await people.vote(approval_id, ANN)).state is State.DELAYED
    people.clock.seconds += 599
    with pytest.raises(ApprovalRequiredError) as waits:
        await people.held.admit(wanted, ASKS)
    assert (waits.value.evidence["state"], waits.value.evidence["ready_at"]) == ("delayed", "2027-01-15T08:11:40+00:00")
    people.clock.seconds += 1
    assert isinstance(await ask(people, wanted), ApprovalClaim)
    await people.vote(approval_id, BOB, "deny")
    with pytest.raises(ApprovalDeniedError):
        await people.held.admit(wanted, ASKS)


async def test_who_may_not_decide_changes_nothing(people: People) -> None:
    approval_id = await opened(people, hold(demand(1)))
    told = await people.review.show(approval_id, ANN)
    for who, error in {
        "the requester": (person("validator-client", "custodians"), NotAnApproverError),
        "nobody's group": (EVE, UnknownApprovalError),
        "a watchman": (WATCH, ForbiddenError),
        "without the action": (person("ann", "custodians", actions=frozenset({Action.APPROVALS_READ})), ForbiddenError),
        "of another key": (person("ann", "custodians", keys=frozenset({b"\x01" * 48})), UnknownApprovalError),
    }.values():
        with pytest.raises(error):
            await people.review.vote(
                approval_id, who, decision="approve", request_hash=told.request.request_hash, signed=None
            )
    with pytest.raises(WrongRequestError):
        await people.vote(approval_id, ANN, request_hash=b"\x01" * 32)
    with pytest.raises(ForbiddenError):
        await people.review.cancel(approval_id, ANN)
    assert (await people.review.show(approval_id, ANN)).state is State.WAITING
    assert (await people.review.cancel(approval_id, OPERATOR)).request.ended_by == "op"


async def test_who_sees_what(people: People) -> None:
    approval_id = await opened(people)
    for who in (ASKS, ANN, SID, WATCH, OPERATOR):
        assert (await people.review.show(approval_id, who)).request.approval_id == approval_id
        listed, _ = await people.review.list_requests(who)
        assert [each.request.approval_id for each in listed] == [approval_id]
    with pytest.raises(UnknownApprovalError):
        await people.review.show(approval_id, EVE)
    assert await people.review.list_requests(EVE) == ([], None)
    with pytest.raises(ForbiddenError):
        await people.review.list_requests(person("nobody", actions=frozenset()))
    with pytest.raises(UnknownApprovalError):
        await people.review.show(b"\x01" * 16, WATCH)
    await people.review.cancel(approval_id, ASKS)
    assert await people.review.list_requests(WATCH) == ([], None)
    ended, _ = await people.review.list_requests(WATCH, ended_too=True)
    assert [each.state for each in ended] == [State.CANCELLED]


@EMBEDDED
async def test_nobody_is_asked_in_vain(people: People) -> None:
    with pytest.raises(UnapprovableError, match="exits needs 5 approvals from members of custodians, and"):
        await people.held.admit(hold(demand(5)), ASKS)
    with pytest.raises(UnapprovableError, match="has 3 of them besides who asks"):
        await people.held.admit(hold(demand(4), requester="ann"), ANN)
    with pytest.raises(UnapprovableError, match="nobody knows who asks"):
        await people.held.admit(hold(requester="anonymous"), Caller(ANONYMOUS))
    assert await people.review.list_requests(WATCH) == ([], None)


@EMBEDDED
async def test_a_dry_run_opens_nothing(people: People) -> None:
    with pytest.raises(ApprovalRequiredError) as asked:
        await people.held.admit(hold(), ASKS, opens=False)
    assert asked.value.evidence["state"] == "not asked yet"
    assert await people.review.list_requests(WATCH) == ([], None)


@EMBEDDED
async def test_one_client_cannot_bury_the_request_that_matters(people: People) -> None:
    first = await opened(people)
    for root in (b"\x0a" * 32, b"\x0b" * 32):
        await opened(people, hold(root=root))
    with pytest.raises(TooManyApprovalsError, match="has 3 requests waiting for approval"):
        await people.held.admit(hold(root=b"\x0c" * 32), ASKS)
    assert await opened(people) == first
    await people.review.cancel(first, ASKS)
    await opened(people, hold(root=b"\x0c" * 32))


async def test_who_has_left_since_the_vote_does_not_count(people: People) -> None:
    approval_id = await opened(people)
    for who in (ANN, BOB):
        await people.vote(approval_id, who)
    smaller = People(
        people.kept, approvers=tuple(Approver(name, frozenset({"custodians"})) for name in ("ann", "cid", "sid"))
    )
    assert isinstance(await ask(smaller), str)
    assert (await smaller.review.show(approval_id, WATCH)).progress[0].approvers == ("ann",)


async def test_each_step_is_told_once_and_those_that_wait_are_counted(people: People) -> None:
    denied, approved = await opened(people), await opened(people, hold(root=b"\x08" * 32))
    assert await opened(people) == denied
    await people.orders.tidy()
    assert people.waiting == [2]
    await people.vote(denied, ANN)
    await people.vote(denied, ANN)
    await people.vote(denied, BOB, "deny")
    for who in (ANN, BOB, CID):
        await people.vote(approved, who)
    cancelled = await opened(people, hold(root=b"\x09" * 32))
    await people.review.cancel(cancelled, ASKS)
    await people.orders.tidy()
    assert people.waiting == [2, 1]
    people.clock.seconds += HOUR_MS / 1000
    again = await opened(people, hold(root=b"\x08" * 32))
    await opened(people, hold(policies_hash=policies_hash([("exits", "22" * 32)], since=1), root=b"\x08" * 32))
    people.clock.seconds += HOUR_MS / 1000
    for _ in range(2):
        await people.orders.tidy()
    assert people.waiting == [2, 1, 0, 0]
    assert (await people.review.show(again, ASKS)).state is State.VOID
    assert people.steps == [
        *("opened", "opened", "denied", "approved", "opened", "cancelled"),
        *("expired", "opened", "void", "opened", "expired"),
    ]


# --- statements ------------------------------------------------------------------------------------


async def test_with_a_key_only_what_is_signed_counts_and_the_log_keeps_it_for_anybody_to_verify(people: People) -> None:
    approval_id = await opened(people, hold(demand(1)))
    with pytest.raises(StatementError, match="only with their signature: vote with `--key FILE --as sid`"):
        await people.vote(approval_id, SID)
    request = (await people.review.show(approval_id, SID)).request
    text = statement_of(request, approver="sid", decision="approve", time=OPENED_MS // 1000)
    with pytest.raises(StatementError, match="another key"):
        await people.vote(approval_id, SID, signed=sign_statement(text, Secret(b"\x22" * 32)))
    with pytest.raises(StatementError, match="something else"):
        await people.vote(approval_id, SID, "deny", signed=sign_statement(text, SIGNING_KEY))
    with pytest.raises(StatementError, match="no approval_key"):
        await people.vote(approval_id, ANN, signed=sign_statement(text, SIGNING_KEY))
    signed = sign_statement(text, SIGNING_KEY)
    assert (await people.vote(approval_id, SID, signed=signed)).state is State.APPROVED
    kept = (await people.review.show(approval_id, SID)).request.votes[0].signed
    assert kept == signed
    note = json.loads(next(entry for entry in people.audit() if entry.kind is Kind.APPROVAL_VOTE).note)
    assert note["signed"]["statement"] == text
    said = check_signature(type(signed)(**note["signed"]), public_key=ed25519_public_key(SIGNING_KEY))
    assert (said.decision, said.request_hash) == ("approve", "0x" + request.request_hash.hex())


# --- what is sealed, and what is tidied up -----------------------------------------------------------


async def test_what_was_asked_is_sealed_and_read_again_by_who_asked(people: People) -> None:
    approval_id = await opened(people)
    with people.kept.reading() as moment:
        sealed = read_sealed(moment, approval_id)
    assert KEY not in sealed
    assert await people.review.content(approval_id, ASKS) == EXIT
    with pytest.raises(ForbiddenError, match="only validator-client"):
        await people.review.content(approval_id, ANN)
    elsewhere = People(people.kept, key=b"\x06" * 32)
    with pytest.raises(ElsewhereError):
        await elsewhere.review.content(approval_id, ASKS)
    for who in (ANN, BOB):
        await elsewhere.vote(approval_id, who)
    assert isinstance(await ask(elsewhere), ApprovalClaim), "the same request is collected anywhere"


async def test_upkeep_ends_what_is_overdue_and_removes_what_ended_long_ago(people: People) -> None:
    first = await opened(people)
    second = await opened(people, hold(root=b"\x08" * 32, lifetime_seconds=7200))
    await people.vote(first, ANN)
    before = len(people.audit())
    await people.orders.tidy()
    assert len(people.audit()) == before, "nothing to do is nothing to tell"
    people.clock.seconds += HOUR_MS / 1000
    await people.orders.tidy()
    with people.kept.reading() as moment:
        assert get_request(moment, first).ending is not None
        assert get_request(moment, second).ending is None
    assert (people.audit()[-1].kind, json.loads(people.audit()[-1].note)["state"]) == (Kind.APPROVAL_ENDED, "expired")
    people.clock.seconds += 91 * 86400
    await people.orders.tidy()
    with pytest.raises(UnknownApprovalError):
        await people.review.show(first, WATCH)
    people.clock.seconds += 86400
    await people.orders.tidy()
    assert [entry.note for entry in people.audit() if entry.kind is Kind.APPROVALS_REMOVED] == [
        "approvals=1 keep_days=90"
    ]
    assert (await people.review.show(second, WATCH)).state is State.EXPIRED


# --- races -------------------------------------------------------------------------------------------


async def test_many_who_ask_at_once_wait_for_one_approval(people: People) -> None:
    found = await asyncio.gather(*[ask(people) for _ in range(20)])
    assert len(set(found)) == 1
    listed, _ = await people.review.list_requests(WATCH)
    assert len(listed) == 1


async def test_two_collectors_of_one_approval_spend_it_once(people: People) -> None:
    approval_id = await opened(people, hold(demand(1)))
    await people.vote(approval_id, ANN)
    claims = [await ask(people, hold(demand(1))) for _ in range(2)]
    assert all(isinstance(claim, ApprovalClaim) for claim in claims)
    assert sorted(await asyncio.gather(*[spend(people, claim) for claim in claims])) == ["changed", "spent"]
    second = await ask(people, hold(demand(1)))
    assert isinstance(second, ApprovalClaim)
    assert (second.act, await spend(people, second)) == ("again", "spent")


async def collect(people: People, approval_id: bytes, wanted=None) -> str | ApprovalClaim:
    """What `collect` does, up to the commit; the code of what it is refused with."""
    try:
        await people.review.content(approval_id, ASKS)
        return await people.held.admit(wanted or hold(), structs.replace(ASKS, collects=approval_id))
    except SignerError as refusal:
        return f"{refusal.code} {refusal.evidence['state']}" if "state" in refusal.evidence else refusal.code


async def test_who_collects_asks_nobody_anew_whatever_has_become_of_it(people: People) -> None:
    first = await opened(people)
    assert await collect(people, first) == "APPROVAL_REQUIRED waiting"
    other = hold(policies_hash=policies_hash([("exits", "22" * 32)], since=2))
    assert await collect(people, first, other) == "APPROVAL_CLOSED void"
    await people.review.cancel(first, ASKS)
    assert await collect(people, first) == "APPROVAL_CLOSED cancelled"
    second = await opened(people)
    assert await collect(people, first) == "APPROVAL_CLOSED cancelled", "though the same request waits again"
    people.clock.seconds += HOUR_MS / 1000
    assert await collect(people, second) == "APPROVAL_CLOSED expired"
    third = await opened(people)
    assert await collect(people, second) == "APPROVAL_CLOSED expired"
    await people.vote(third, ANN, "deny")
    assert await collect(people, third) == "APPROVAL_DENIED"
    people.clock.seconds += HOUR_MS / 1000
    assert await collect(people, third) == "APPROVAL_CLOSED denied"
    listed, _ = await people.review.list_requests(WATCH, ended_too=True)
    assert {each.request.approval_id for each in listed} == {first, second, third}


async def test_what_ends_between_the_look_and_the_gate_is_not_asked_anew_either(people: People) -> None:
    approval_id = await opened(people)
    collects = structs.replace(ASKS, collects=approval_id)
    await people.review.content(approval_id, ASKS)
    await people.review.cancel(approval_id, ASKS)
    with pytest.raises(ApprovalClosedError, match="it is cancelled"):
        await people.held.admit(hold(), collects)
    again = await opened(people)
    for who in (ANN, BOB):
        await people.vote(again, who)
    with pytest.raises(ApprovalClosedError, match="it is cancelled"):
        await people.held.admit(hold(), collects)
    claim = await people.held.admit(hold(), structs.replace(ASKS, collects=again))
    assert await spend(people, claim) == "spent"
    assert (await people.held.admit(hold(), structs.replace(ASKS, collects=again))).act == "again"


async def test_pages_are_walked_to_the_end_though_all_were_opened_at_once(database: str, people: People) -> None:
    people.orders._most_waiting = MOST_LISTED + 2
    wanted = {await opened(people, hold(root=bytes([n]) * 32)) for n in range(MOST_LISTED + 2)}
    first, place = await people.review.list_requests(WATCH)
    assert place is not None
    rest, end = await people.review.list_requests(WATCH, before=place)
    assert (len(first), len(rest), end) == (MOST_LISTED, 2, None)
    assert {each.request.approval_id for each in (*first, *rest)} == wanted
