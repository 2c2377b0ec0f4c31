"""What can never be signed any more is told so, and takes no vote: the policies that asked do not decide it now."""

from pathlib import Path

import pytest
from approvals.test_approvals_at_the_gate import ASKS, CLIENT, OTHER, approve, bind, held, request_of, review
from operations.policies_on_record import put
from operations.road_twin import KEYS, Road, right, road, vote
from policy.policy_packs import rules_pack

from signer.approvals.request import Ending, State
from signer.audit.entry import Kind
from signer.auth.principal import Action, Caller, Principal
from signer.errors import ApprovalClosedError
from signer.keys.tags import Tag, add_tag
from signer.operations.approve import LocalApprovalOrders
from signer.operations.bound_tags import bind_anew
from signer.operations.story import NoteStory
from signer.policy.bindings import Target, ToCaller, ToNamespace, ToTag
from signer.policy.policy_set import NamedList

ANN = Caller(Principal("ann", groups=frozenset({"owners"}), actions=frozenset({Action.APPROVALS_VOTE})))
HERE = ToNamespace("default")
LETS_ALL = "version: 1\notherwise: allow\ndeny:\n  - {name: exits, types: [VOLUNTARY_EXIT]}\n"


async def state_of(on: Road, approval_id: bytes) -> tuple[State, bool]:
    """As ann is told, and whether it is among those that wait."""
    people = review(on)
    told = await people.show(approval_id, ANN)
    assert bool(told.reason) is (told.state is State.VOID)
    listed, _ = await people.list_requests(ANN)
    return told.state, approval_id in [each.request.approval_id for each in listed]


async def assert_no_vote(on: Road, approval_id: bytes) -> None:
    for decision in ("approve", "deny"):
        with pytest.raises(ApprovalClosedError, match=r"it is void: other policies decide it now .*make the request"):
            await review(on).vote(
                approval_id,
                ANN,
                decision=decision,  # type: ignore[arg-type]
                request_hash=request_of(on, approval_id).request_hash,
                signed=None,
            )
    late = [entry for entry in on.audit() if entry.kind is Kind.APPROVAL_VOTE and entry.code == "APPROVAL_CLOSED"]
    assert [(entry.principal, '"state":"void"' in entry.note) for entry in late[-2:]] == [("ann", True)] * 2


def orders(on: Road) -> LocalApprovalOrders:
    return review(on)._orders  # type: ignore[return-value]


@pytest.mark.parametrize("votes", [(), ("ann", "bob")], ids=["waiting", "approved"])
async def test_what_other_policies_decide_now_reads_as_void_and_takes_no_vote(
    tmp_path: Path, votes: tuple[str, ...]
) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS)
        approval_id = await held(on, vote())
        if votes:
            await approve(on, approval_id, *votes)
        assert await state_of(on, approval_id) == (State.APPROVED if votes else State.WAITING, True)
        await bind(on, ASKS, description="another version")
        assert await state_of(on, approval_id) == (State.VOID, False)
        await assert_no_vote(on, approval_id)
        await bind(on, ASKS)
        assert await state_of(on, approval_id) == (State.VOID, False), (
            "it stays void when the former version comes back"
        )
        with pytest.raises(ApprovalClosedError, match="it is void"):
            await review(on).content(approval_id, CLIENT)


@pytest.mark.parametrize(
    "bound",
    [[("asks", HERE), ("other", ToCaller("validator-client"))], [("other", HERE)], []],
    ids=["another beside it", "another in its place", "none"],
)
async def test_a_policy_bound_beside_it_or_taken_away_makes_it_void(
    tmp_path: Path, bound: list[tuple[str, Target]]
) -> None:
    packs = [rules_pack("asks", text=ASKS), rules_pack("other", text=LETS_ALL)]
    async with road(tmp_path) as on:
        await put(on.record.writer, packs, [("asks", HERE)])
        await on.policies.refresh()
        approval_id = await held(on, vote())
        await put(on.record.writer, packs, bound)
        assert await state_of(on, approval_id) == (State.VOID, False)
        await assert_no_vote(on, approval_id)


async def test_what_changes_elsewhere_leaves_it_to_the_vote(tmp_path: Path) -> None:
    asks, other = rules_pack("asks", text=ASKS), rules_pack("other", text=LETS_ALL)
    async with road(tmp_path) as on:
        both = [("asks", HERE), ("other", ToCaller("validator-client"))]
        await put(on.record.writer, [asks, other], both)
        await on.policies.refresh()
        approval_id = await held(on, vote())
        await put(on.record.writer, [asks, other], [*both, ("other", ToCaller("other-client"))])
        await put(on.record.writer, [asks, other], both, lists=[NamedList("friends", ("bob",))])
        assert await state_of(on, approval_id) == (State.WAITING, True)
        await orders(on).tidy()
        assert await state_of(on, approval_id) == (State.WAITING, True)
        await approve(on, approval_id)
        await on.policies.refresh()
        assert await on.signing.sign(vote(), CLIENT) == right(vote())
        assert await state_of(on, approval_id) == (State.SPENT, False)


async def test_a_tag_that_brings_another_policy_to_the_key_makes_it_void(tmp_path: Path) -> None:
    asks, other = rules_pack("asks", text=ASKS), rules_pack("other", text=LETS_ALL)
    async with road(tmp_path) as on:
        writer, reading = on.record.writer, on.record.view.reading
        await put(writer, [asks, other], [("asks", HERE), ("other", ToTag("hot"))])
        await on.policies.refresh()
        approval_id = await held(on, vote())
        story = NoteStory(Kind.KEY_TAGGED, 0, "hot")
        await writer.perform(lambda transaction: add_tag(transaction, KEYS[0], Tag("hot")), lambda _: story)
        await bind_anew(writer, reading, [Tag("hot")], caller=None, now_ms=0)
        assert await state_of(on, approval_id) == (State.VOID, False)


async def test_upkeep_puts_it_on_record_once_with_its_reason(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ASKS)
        first, second = await held(on, vote()), await held(on, vote(), OTHER)
        upkeep = orders(on)
        await upkeep.tidy()
        await put(on.record.writer, [rules_pack("asks", text=ASKS)], [("asks", ToCaller("other-client"))])
        for _ in range(2):
            await upkeep.tidy()
        assert (request_of(on, first).ending, request_of(on, second).ending) == (Ending.VOID, None)
        ended = [entry.note for entry in on.audit() if entry.kind is Kind.APPROVAL_ENDED]
        assert len(ended) == 1
        assert f'"{first.hex()}"' in ended[0]
        assert '"state":"void","reason":"other policies decide it now' in ended[0]
        assert await state_of(on, first) == (State.VOID, False)
        await assert_no_vote(on, first)
