"""Approvals on the road to a private key: held, approved, walked again, spent once, given back with what was spent."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from operations.policies_on_record import put
from operations.policy_twin import OWNERS, held_requests
from operations.road_twin import BLS, KEYS, NETWORK, NOW_EPOCH, SECRETS, Road, block, right, road, vote
from policy.policy_packs import rules_pack

from signer.approvals.ledger import ApprovalClaim
from signer.approvals.record import NEWEST, get_request, read_page
from signer.approvals.request import Ending, Request
from signer.audit.entry import Kind, Outcome
from signer.auth.principal import ANONYMOUS, Action, Caller, Principal
from signer.errors import (
    ApprovalRequiredError,
    CounterLimitError,
    DoubleVoteError,
    MalformedRequestError,
    PolicyDeniedError,
    SigningFailedError,
    UnapprovableError,
)
from signer.events import ApprovalMoved
from signer.intent import SignExtension
from signer.operations.dry_run import DryRun
from signer.operations.review_approvals import ApprovalReview
from signer.policy.bindings import ToCaller, ToNamespace
from signer.policy.counters import CounterId, spent_of
from signer.policy.policy_set import NamedList

CLIENT = Caller(Principal("validator-client"), request_id=b"request1")
OTHER = Caller(Principal("other-client"), request_id=b"request2")
ASKS = """version: 1
otherwise: allow
require:
  - {name: two, approval: {quorum: 2, groups: [owners], lifetime: 1h}}
"""
ONCE = """version: 1
otherwise: allow
require:
  - name: one
    uses: [{at_most: 1, window: 24h, per: policy}]
    approval: {quorum: 2, groups: [owners], lifetime: 1h}
"""


async def bind(on: Road, text: str, *, description: str = "") -> None:
    pack = rules_pack("asks", text=text, description=description)
    await put(on.record.writer, [pack], [("asks", ToNamespace("default"))])
    await on.policies.refresh()


def review(on: Road) -> ApprovalReview:
    held = held_requests(on.record.view.reading, on.house.clock, on.record.writer)
    return ApprovalReview(orders=held._orders, reading=on.record.view.reading, clock=on.house.clock, approvers=OWNERS)


async def held(on: Road, intent, caller: Caller = CLIENT) -> bytes:
    with pytest.raises(ApprovalRequiredError) as waits:
        await on.signing.sign(intent, caller)
    return bytes.fromhex(str(waits.value.evidence["approval"]))


async def approve(on: Road, approval_id: bytes, *names: str) -> None:
    people = review(on)
    for name in names or ("ann", "bob"):
        who = Caller(Principal(name, groups=frozenset({"owners"}), actions=frozenset({Action.APPROVALS_VOTE})))
        hashed = request_of(on, approval_id).request_hash
        await people.vote(approval_id, who, decision="approve", request_hash=hashed, signed=None)


def request_of(on: Road, approval_id: bytes) -> Request:
    with on.record.view.reading() as moment:
        return get_request(moment, approval_id)


def uses(on: Road) -> int:
    with on.record.view.reading() as moment:
        rows = list(moment.rows("SELECT policy, counter, window_seconds FROM policy_counters"))
        counters = [CounterId(*row) for row in rows]
        return sum(spent_of(moment, counters, at_seconds=int(on.house.clock.now())).values()) if counters else 0


async def test_what_is_held_is_signed_when_people_have_approved_it_and_not_before(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS)
        approval_id = await held(on, vote())
        assert await held(on, vote()) == approval_id
        await approve(on, approval_id, "ann")
        assert await held(on, vote()) == approval_id
        assert on.backend.signed == []
        await approve(on, approval_id, "bob")
        assert await on.signing.sign(vote(), CLIENT) == right(vote())
        assert request_of(on, approval_id).ending is Ending.SPENT
        assert await on.signing.sign(vote(), CLIENT) == right(vote())
        kinds = [(entry.kind, entry.outcome, entry.code) for entry in on.audit() if entry.kind is Kind.DUTY]
        assert on.audit()[-1].note.endswith(f"; approval={approval_id.hex()}")
        assert kinds == [(Kind.DUTY, Outcome.REFUSED, "APPROVAL_REQUIRED")] * 3 + [(Kind.DUTY, Outcome.ALLOWED, "")] * 2


async def test_people_are_shown_what_will_be_signed(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS)
        request = request_of(on, await held(on, block(NOW_EPOCH * 32)))
        facts = msgspec.json.decode(request.facts)
        assert facts["payload_hash"] == "0x" + request.signing_root.hex()
        assert (facts["duty"]["type"], facts["duty"]["slot"]) == ("BLOCK_V2", str(NOW_EPOCH * 32))
        assert facts["caller"]["identity"] == "validator-client"
        assert facts["environment"]["simulation"] is False


async def test_somebody_else_cannot_use_it_nor_can_another_payload(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS)
        approval_id = await held(on, vote())
        await approve(on, approval_id)
        assert await held(on, vote(), OTHER) != approval_id
        assert await held(on, vote(mark=2)) != approval_id
        assert on.backend.signed == []


async def test_a_changed_policy_makes_it_void_also_after_the_quorum(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS)
        first = await held(on, vote())
        await approve(on, first)
        await bind(on, ASKS, description="another version")
        second = await held(on, vote())
        assert second != first
        assert request_of(on, first).ending is Ending.VOID


async def test_a_policy_that_has_come_back_is_not_the_one_it_was_approved_under(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS)
        first = await held(on, vote())
        await approve(on, first)
        await bind(on, "version: 1\notherwise: allow\n")
        await bind(on, ASKS)
        second = await held(on, vote())
        assert second != first
        assert (request_of(on, first).ending, on.backend.signed) == (Ending.VOID, [])
        await approve(on, second)
        assert await on.signing.sign(vote(), CLIENT) == right(vote())


async def test_what_was_bound_beside_it_for_a_while_makes_it_void_too(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        pack, other = (rules_pack(name, text=ASKS) for name in ("asks", "beside"))
        place = ToNamespace("default")
        for bound in (["asks"], ["asks", "beside"], ["asks"]):
            await put(on.record.writer, [pack, other], [(name, place) for name in bound])
            await on.policies.refresh()
            if bound == ["asks"]:
                found = await held(on, vote())
            if on.policies.in_force.revision == 1:
                first = found
                await approve(on, first)
        assert found != first
        assert request_of(on, first).ending is Ending.VOID


async def test_what_changes_elsewhere_leaves_it_as_it_is(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        pack, other = rules_pack("asks", text=ASKS), rules_pack("other", text=ASKS)
        here, elsewhere = ToNamespace("default"), ToCaller("other-client")
        await put(on.record.writer, [pack], [("asks", here)])
        await on.policies.refresh()
        approval_id = await held(on, vote())
        await approve(on, approval_id)
        await put(on.record.writer, [pack, other], [("asks", here)])
        await put(on.record.writer, [pack, other], [("asks", here), ("other", elsewhere)])
        await put(on.record.writer, [pack, other], [("asks", here)], lists=[NamedList("friends", ("bob",))])
        await put(on.record.writer, [pack], [("asks", here)], shadows=[rules_pack("asks", text=ONCE)])
        await on.policies.refresh()
        assert await on.signing.sign(vote(), CLIENT) == right(vote())
        assert request_of(on, approval_id).ending is Ending.SPENT


async def test_a_process_that_has_not_seen_the_change_opens_nothing_and_asks_the_newer_policies(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS)
        newer = rules_pack("asks", text=ASKS, description="another version")
        await put(on.record.writer, [newer], [("asks", ToNamespace("default"))])
        assert on.policies.in_force.revision == 1, "it has not looked again yet"
        approval_id = await held(on, vote())
        assert on.policies.in_force.revision == 2
        with on.record.view.reading() as moment:
            everything = read_page(moment, before=NEWEST, ended_too=True, limit=9)
        assert [each.approval_id for each in everything] == [approval_id]
        await approve(on, approval_id)
        assert await on.signing.sign(vote(), CLIENT) == right(vote())


async def test_nor_does_it_take_an_approval_under_the_newer_ones_away(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS)
        behind = on.policies.in_force
        await bind(on, ASKS, description="another version")
        approval_id = await held(on, vote())
        await approve(on, approval_id)
        on.policies._in_force = behind
        assert await on.signing.sign(vote(), CLIENT) == right(vote())
        assert request_of(on, approval_id).ending is Ending.SPENT


async def test_the_whole_gate_runs_again_when_it_is_collected(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS)
        approval_id = await held(on, vote(mark=1))
        await approve(on, approval_id)
        other = await held(on, vote(mark=2))
        await approve(on, other)
        assert await on.signing.sign(vote(mark=1), CLIENT) == right(vote(mark=1))
        with pytest.raises(DoubleVoteError):
            await on.signing.sign(vote(mark=2), CLIENT)
        assert request_of(on, other).ending is None, "what was refused did not spend its approval"
        await bind(on, "version: 1\notherwise: allow\ndeny:\n  - {name: votes, types: [ATTESTATION]}\n")
        with pytest.raises(PolicyDeniedError):
            await on.signing.sign(vote(mark=1), CLIENT)


async def test_what_waits_reserves_nothing_and_is_counted_once_when_it_is_signed(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ONCE)
        first, second = await held(on, vote()), await held(on, vote(NOW_EPOCH + 1))
        assert uses(on) == 0
        await approve(on, first)
        await approve(on, second)
        for _ in range(3):
            assert await on.signing.sign(vote(), CLIENT) == right(vote())
        assert uses(on) == 1
        with pytest.raises(CounterLimitError):
            await on.signing.sign(vote(NOW_EPOCH + 1), CLIENT)
        assert request_of(on, second).ending is None


async def test_racing_collectors_spend_it_once_and_all_get_the_same_signature(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ONCE)
        spent: list[ApprovalMoved] = []
        on.events.subscribe(ApprovalMoved, spent.append)
        await approve(on, await held(on, vote()))
        signatures = await asyncio.gather(*[on.signing.sign(vote(), CLIENT) for _ in range(20)])
        assert set(signatures) == {right(vote())}
        assert uses(on) == 1
        assert spent == [ApprovalMoved("spent")]


async def test_collectors_of_a_batch_do_too(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ONCE)
        await approve(on, await held(on, vote()))
        answers = await on.signing.sign_each([vote()] * 5, CLIENT)
        assert answers == [right(vote())] * 5
        assert uses(on) == 1


async def test_a_known_failure_gives_the_approval_back_with_what_was_spent(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ONCE)
        approval_id = await held(on, vote())
        await approve(on, approval_id)
        on.backend.failing = True
        with pytest.raises(SigningFailedError):
            await on.signing.sign(vote(), CLIENT)
        assert request_of(on, approval_id).ending is None
        assert uses(on) == 0
        on.backend.failing = False
        assert await on.signing.sign(vote(), CLIENT) == right(vote())
        assert uses(on) == 1


async def test_where_a_second_collector_has_the_signature_a_failure_gives_nothing_back(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ONCE)
        approval_id = await held(on, vote())
        await approve(on, approval_id)
        on.backend.dawdling, entered = asyncio.Event(), asyncio.Event()
        on.backend.before = entered.set
        first = asyncio.create_task(on.signing.sign(vote(), CLIENT))
        await asyncio.wait_for(entered.wait(), 60)
        dawdling, on.backend.dawdling = on.backend.dawdling, None
        assert await on.signing.sign(vote(), CLIENT) == right(vote())
        on.backend.failing = True
        dawdling.set()
        with pytest.raises(SigningFailedError):
            await first
        assert (request_of(on, approval_id).ending, uses(on)) == (Ending.SPENT, 1)


async def test_a_signature_that_nobody_waited_for_is_given_out_when_it_is_asked_for_again(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ONCE)
        approval_id = await held(on, vote())
        await approve(on, approval_id)
        on.backend.dawdling, entered = asyncio.Event(), asyncio.Event()
        on.backend.before = entered.set
        first = asyncio.create_task(on.signing.sign(vote(), CLIENT))
        await asyncio.wait_for(entered.wait(), 60)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (request_of(on, approval_id).ending, on.backend.signed) == (Ending.SPENT, [])
        on.backend.dawdling = None
        assert await on.signing.sign(vote(), CLIENT) == right(vote())
        assert uses(on) == 1


async def test_raw_bytes_wait_too_and_are_asked_for_again_as_they_were(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS + "allow:\n  - {name: raw, payload: [opaque]}\n")
        raw = SignExtension(KEYS[0], b"bytes", "DIRK", 1)
        with pytest.raises(ApprovalRequiredError) as waits:
            await on.signing.sign_extension(raw, CLIENT)
        approval_id = bytes.fromhex(str(waits.value.evidence["approval"]))
        assert msgspec.json.decode(request_of(on, approval_id).facts)["opaque"] is True
        await approve(on, approval_id)
        with pytest.raises(MalformedRequestError, match="send the same request again"):
            await review(on).content(approval_id, CLIENT)
        assert await on.signing.sign_extension(raw, CLIENT) == bytes(BLS.sign(SECRETS[0], b"bytes"))
        assert request_of(on, approval_id).ending is Ending.SPENT


async def test_a_dry_run_says_what_is_missing_and_asks_nobody(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS)
        dry_run = DryRun(gate=on.gate, read=on.record.view.reading, network=NETWORK)
        told = await dry_run(vote(), CLIENT)
        assert told.refusal is not None
        assert (told.refusal.code, told.refusal.evidence["state"]) == ("APPROVAL_REQUIRED", "not asked yet")
        with on.record.view.reading() as moment:
            assert read_page(moment, before=NEWEST, ended_too=True, limit=9) == []
        approval_id = await held(on, vote())
        assert (await dry_run(vote(), CLIENT)).refusal.evidence["approval"] == approval_id.hex()
        await approve(on, approval_id)
        assert (await dry_run(vote(), CLIENT)).refusal is None
        assert request_of(on, approval_id).ending is None


async def test_who_has_no_name_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS)
        with pytest.raises(UnapprovableError, match="nobody knows who asks"):
            await on.signing.sign(vote(), Caller(ANONYMOUS))
        assert [entry.code for entry in on.audit() if entry.kind is Kind.DUTY] == ["NOBODY_CAN_APPROVE"]


def test_a_claim_spends_where_nothing_else_is_said() -> None:
    assert ApprovalClaim(b"\1" * 16, b"\2" * 32, b"\3" * 32, 0).act == "spend"
