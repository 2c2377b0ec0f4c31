"""Who counts, what is enough, when it may be done: tables, and stories against the dullest judge."""

import pytest
from approvals.sample_approvals import HOUR_MS, OPENED_MS, demand, request, vote, with_fields
from hypothesis import given
from hypothesis import strategies as st

from signer.approvals.in_words import missing_words
from signer.approvals.request import OPEN, Ending, State
from signer.approvals.rules import act_on, cast, counting_today, eligible, end, progress_of, state_of
from signer.errors import ApprovalClosedError, NotAnApproverError

DELAYED = demand(2, "custodians", delay_seconds=600)
TWO_POLICIES = (demand(1, "risk", policy="limits"), demand(2, "custodians", policy="exits"))

TABLE = {
    "nobody has said anything": ((demand(),), [], 0, State.WAITING),
    "one of two": ((demand(),), [vote("ann")], 0, State.WAITING),
    "two of two": ((demand(),), [vote("ann"), vote("bob")], 0, State.APPROVED),
    "the same person twice is one": ((demand(),), [vote("ann"), vote("ann", at=OPENED_MS + 1)], 5, State.WAITING),
    "one denial ends it": ((demand(),), [vote("ann"), vote("bob", approves=False)], 0, State.DENIED),
    "a denial after the quorum ends it": (
        (demand(),),
        [vote("ann"), vote("bob"), vote("cid", approves=False)],
        0,
        State.DENIED,
    ),
    "whoever approved may deny": ((demand(),), [vote("ann"), vote("ann", approves=False)], 0, State.DENIED),
    "the delay begins with the quorum": (
        (DELAYED,),
        [vote("ann"), vote("bob", at=OPENED_MS + 1000)],
        600_999,
        State.DELAYED,
    ),
    "the delay ends": ((DELAYED,), [vote("ann"), vote("bob", at=OPENED_MS + 1000)], 601_000, State.APPROVED),
    "more approvals do not begin the delay anew": (
        (DELAYED,),
        [vote("ann"), vote("bob"), vote("cid", at=OPENED_MS + 500_000)],
        600_000,
        State.APPROVED,
    ),
    "the last millisecond": ((demand(1),), [vote("ann")], HOUR_MS - 1, State.APPROVED),
    "the end of its life": ((demand(1),), [vote("ann")], HOUR_MS, State.EXPIRED),
    "a delay longer than the life": ((demand(1, delay_seconds=7200),), [vote("ann")], HOUR_MS, State.EXPIRED),
    "each policy has its own groups": (TWO_POLICIES, [vote("ann"), vote("bob")], 0, State.WAITING),
    "each policy is met": (TWO_POLICIES, [vote("ann"), vote("bob"), vote("rita", "risk")], 0, State.APPROVED),
    "one person may count for both": (
        TWO_POLICIES,
        [vote("ann", "custodians", "risk"), vote("bob")],
        0,
        State.APPROVED,
    ),
    "any of several groups": (
        (demand(2, "risk", "custodians"),),
        [vote("ann"), vote("rita", "risk")],
        0,
        State.APPROVED,
    ),
}


@pytest.mark.parametrize(("demands", "votes", "after_ms", "expected"), TABLE.values(), ids=TABLE)
def test_what_the_votes_come_to(demands, votes, after_ms: int, expected: State) -> None:
    asked = request(*demands)
    for each in votes:
        asked = cast(asked, each)
    assert state_of(asked, now_ms=OPENED_MS + after_ms) is expected


@pytest.mark.parametrize("approves", [True, False])
def test_who_asks_never_counts_and_cannot_even_deny_it_as_an_approver(approves: bool) -> None:
    asked = request(requester="ann")
    with pytest.raises(NotAnApproverError, match="whoever asks never counts"):
        cast(asked, vote("ann", approves=approves))


def test_a_vote_of_the_requester_that_is_on_record_all_the_same_is_not_counted() -> None:
    asked = with_fields(request(demand(1), requester="ann"), votes=(vote("ann"),))
    assert state_of(asked, now_ms=OPENED_MS) is State.WAITING


@pytest.mark.parametrize("groups", [("drivers",), ("Custodians",), ("custodian",)])
def test_nobody_outside_of_the_groups_is_heard(groups) -> None:
    with pytest.raises(NotAnApproverError, match="members of custodians"):
        cast(request(), vote("eve", *groups))


@pytest.mark.parametrize("ending", list(Ending))
def test_what_has_ended_stays_ended(ending: Ending) -> None:
    asked = end(request(demand(1)), ending, by="ann", now_ms=OPENED_MS)
    for approves in (True, False):
        with pytest.raises(ApprovalClosedError, match=f"it is {ending.value}"):
            cast(asked, vote("bob", approves=approves))
    with pytest.raises(ApprovalClosedError):
        end(asked, Ending.CANCELLED, by="ann", now_ms=OPENED_MS)
    assert act_on(asked, "spend", now_ms=OPENED_MS) is None


def test_a_vote_at_the_very_end_comes_too_late() -> None:
    asked = request(demand(1))
    assert cast(asked, vote("ann", at=OPENED_MS + HOUR_MS - 1)).votes
    with pytest.raises(ApprovalClosedError, match="it is expired"):
        cast(asked, vote("ann", at=OPENED_MS + HOUR_MS))


def test_an_approval_is_spent_once_and_its_signature_given_out_again() -> None:
    approved = cast(request(demand(1)), vote("ann"))
    assert act_on(approved, "again", now_ms=OPENED_MS) is None
    spent = act_on(approved, "spend", now_ms=OPENED_MS)
    assert spent is not None
    assert (spent.ending, spent.collections, spent.ended_by) == (Ending.SPENT, 1, "validator-client")
    assert act_on(spent, "spend", now_ms=OPENED_MS) is None
    again = act_on(spent, "again", now_ms=OPENED_MS + 100 * HOUR_MS)
    assert again is not None
    assert again.collections == 2
    assert act_on(again, "again", now_ms=OPENED_MS) == again


def test_what_nobody_got_a_signature_of_is_given_back_and_otherwise_not() -> None:
    approved = cast(request(demand(1)), vote("ann"))
    spent = act_on(approved, "spend", now_ms=OPENED_MS)
    assert spent is not None
    assert act_on(spent, "give_back", now_ms=OPENED_MS) == approved
    assert act_on(approved, "give_back", now_ms=OPENED_MS) is None
    again = act_on(spent, "again", now_ms=OPENED_MS)
    assert again is not None
    assert act_on(again, "give_back", now_ms=OPENED_MS) is None


def test_who_has_left_the_group_since_does_not_count_any_more() -> None:
    asked = cast(cast(request(), vote("ann")), vote("bob"))
    today = {"ann": {"custodians"}, "bob": {"custodians"}, "cid": {"custodians"}}
    assert state_of(counting_today(asked, today), now_ms=OPENED_MS) is State.APPROVED
    for left in ({**today, "bob": set()}, {"ann": {"custodians"}}):
        assert state_of(counting_today(asked, left), now_ms=OPENED_MS) is State.WAITING
    joined_later = cast(asked, vote("rita", "risk", "custodians"))
    assert counting_today(joined_later, {"rita": {"risk"}}).votes[0].groups == ("risk",)


def test_who_could_approve_is_everybody_of_the_groups_but_who_asks() -> None:
    members = {"ann": {"custodians"}, "bob": {"custodians", "risk"}, "eve": {"drivers"}}
    assert eligible(demand(), requester="ann", members=members) == ("bob",)
    assert eligible(demand(), requester="eve", members=members) == ("ann", "bob")


def test_progress_names_who_counts_and_how_many_are_missing() -> None:
    first, second = progress_of(cast(request(*TWO_POLICIES), vote("ann")))
    assert (first.approvers, first.missing, first.met_ms) == (("ann",), 1, None)
    assert (second.approvers, second.missing) == ((), 1)


# --- stories ---------------------------------------------------------------------------------------

PEOPLE = {
    "ann": ("custodians",),
    "bob": ("custodians", "risk"),
    "rita": ("risk",),
    "asks": ("custodians",),
    "eve": ("drivers",),
}
STEP = st.tuples(st.sampled_from(["approve", "deny", "cancel", "spend"]), st.sampled_from(sorted(PEOPLE)))
DEMANDS = st.lists(
    st.builds(
        lambda policy, quorum, groups, delay: demand(quorum, *groups, delay_seconds=delay, policy=policy),
        st.sampled_from(["exits", "limits"]),
        st.integers(1, 3),
        st.sampled_from([("custodians",), ("risk",), ("custodians", "risk")]),
        st.sampled_from([0, 2]),
    ),
    min_size=1,
    max_size=2,
    unique=True,
)
LIFE = 12


@given(DEMANDS, st.lists(st.tuples(STEP, st.integers(0, 3)), max_size=12))
def test_stories_end_as_the_dullest_judge_says(demands, story) -> None:
    asked, now = request(*demands, requester="asks", lifetime_ms=LIFE * 1000), 0
    told: list[tuple[int, str, str]] = []
    for (what, who), waits in story:
        now += waits
        expected = dull_state(demands, told, now)
        now_ms = OPENED_MS + now * 1000
        assert state_of(asked, now_ms=now_ms).value == expected
        happened = True
        try:
            match what:
                case "approve" | "deny":
                    asked = cast(asked, vote(who, *PEOPLE[who], at=now_ms, approves=what == "approve"))
                case "cancel":
                    asked = end(asked, Ending.CANCELLED, by=who, now_ms=now_ms)
                case _:
                    spent = act_on(asked, "spend", now_ms=now_ms)
                    happened = spent is not None
                    asked = spent or asked
        except (NotAnApproverError, ApprovalClosedError):
            happened = False
        if what in ("approve", "deny"):
            asked_for = any(set(PEOPLE[who]) & set(each.groups) for each in demands)
            assert happened == (asked_for and who != "asks" and expected in ("waiting", "delayed", "approved"))
        if what == "spend":
            assert happened == (expected == "approved")
        if happened:
            told.append((now, what, who))
    assert state_of(asked, now_ms=OPENED_MS + now * 1000).value == dull_state(demands, told, now)


def dull_state(demands, told, now: int) -> str:
    """From all that has happened, from the beginning, by the words of the rules."""
    for _, what, _ in told:
        if what in ("deny", "cancel", "spend"):
            return {"deny": "denied", "cancel": "cancelled", "spend": "spent"}[what]
    if now >= LIFE:
        return "expired"
    begins = 0
    for each in demands:
        approvers: list[str] = []
        met = None
        for at, what, who in told:
            if what == "approve" and who not in approvers and set(PEOPLE[who]) & set(each.groups):
                approvers.append(who)
                if len(approvers) == each.quorum:
                    met = at
        if met is None:
            return "waiting"
        begins = max(begins, met + each.delay_seconds)
    return "approved" if now >= begins else "delayed"


def test_open_states_are_those_that_have_not_ended() -> None:
    assert {state.value for state in OPEN} == {"waiting", "delayed", "approved"}


def test_what_is_missing_is_told_in_sentences() -> None:
    wanted = request(demand(2, "board", "owners", policy="exits"), demand(1, policy="limits"))
    assert missing_words(progress_of(wanted)) == (
        "exits needs 2 approvals from members of board or owners; limits needs 1 approval from members of custodians"
    )
    after = cast(wanted, vote("ann", "board", "custodians"))
    assert missing_words(progress_of(after)) == "exits needs 1 more approval from members of board or owners"
    assert not missing_words(progress_of(cast(after, vote("bob", "owners"))))
