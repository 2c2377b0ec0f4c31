"""Verdicts of several policies as one: a denial overrides, demands add up, order says nothing."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy.sample_facts import a_duty, facts, payment

from signer.policy.combine import (
    IN_PRODUCTION,
    Allowed,
    Defaults,
    Demand,
    Denied,
    Held,
    Outcome,
    by_default,
    claim_of,
    combine,
)
from signer.policy.counters import CounterClaim, CounterId, GiveBack, Seen, Spend, giving_back
from signer.policy.verdict import ALLOW, Allow, Deny, RequireApproval, Reservation

WEI = Reservation("wei", 86400, 5, 10)
USES = Reservation("uses", 0, 1, 3)
DENY = Deny("TOO_MUCH", "it is too much", {"amount": "5"})
ASK = RequireApproval(2, ("treasurers", "directors"), 3600, 60)


def said(policy: str, verdict, version: str = "01") -> Outcome:
    return Outcome(policy, version, verdict)


def test_nothing_against_it_and_nothing_to_book_is_allowed() -> None:
    decision = combine([said("b", ALLOW), said("a", ALLOW)])
    assert decision == Allowed((said("a", ALLOW), said("b", ALLOW)), ())


def test_a_denial_overrides_and_the_outcome_of_every_policy_is_kept() -> None:
    outcomes = [said("c", DENY), said("b", ASK), said("a", Allow((WEI,)))]
    decision = combine(outcomes)
    assert decision == Denied(tuple(reversed(outcomes)), "c", "TOO_MUCH", "it is too much", {"amount": "5"})


def test_of_several_denials_the_first_by_name_is_told() -> None:
    decision = combine([said("z", DENY), said("y", Deny("NO", "no"))])
    assert isinstance(decision, Denied)
    assert (decision.policy, decision.code) == ("y", "NO")


def test_demands_add_up_and_each_policy_keeps_its_quorum() -> None:
    decision = combine([said("b", ASK), said("a", RequireApproval(1, ("directors",), 600)), said("c", ALLOW)])
    assert isinstance(decision, Held)
    assert decision.demands == (
        Demand("a", 1, ("directors",), 600, 0),
        Demand("b", 2, ("directors", "treasurers"), 3600, 60),
    )
    assert decision.lifetime_seconds == 600


def test_equal_demands_of_two_policies_are_two_demands() -> None:
    decision = combine([said("a", ASK), said("b", ASK)])
    assert isinstance(decision, Held)
    assert [demand.policy for demand in decision.demands] == ["a", "b"]


def test_reservations_are_united_under_the_names_of_their_policies() -> None:
    decision = combine([said("b", Allow((WEI,))), said("a", Allow((WEI, USES)))])
    assert isinstance(decision, Allowed)
    assert decision.spendings == (
        Spend(CounterId("a", "uses", 0), 1, 3),
        Spend(CounterId("a", "wei", 86400), 5, 10),
        Spend(CounterId("b", "wei", 86400), 5, 10),
    )


def test_a_policy_may_spend_twice_of_one_counter_in_one_verdict() -> None:
    decision = combine([said("a", Allow((WEI, WEI)))])
    assert isinstance(decision, Allowed)
    assert len(decision.spendings) == 2


def test_what_waits_for_people_brings_all_reservations_to_be_booked_when_it_is_signed() -> None:
    asking = RequireApproval(1, ("directors",), 600, 0, (USES,))
    decision = combine([said("a", asking), said("b", Allow((WEI,)))])
    assert isinstance(decision, Held)
    assert [spending.counter.counter for spending in decision.spendings] == ["uses", "wei"]


def test_nothing_is_decided_by_nobody() -> None:
    with pytest.raises(ValueError, match="no policy was heard"):
        combine([])


def test_one_claim_carries_what_was_read_and_what_is_spent() -> None:
    uses = CounterId("a", "uses", 0)
    seen = Seen(CounterId("b", "wei", 60), 7), Seen(CounterId("a", "wei", 60), 3)
    decision = combine([said("a", Allow((USES,)))])
    assert isinstance(decision, Allowed)
    claim = claim_of(decision, at_seconds=5, seen=[*seen, *seen])
    assert claim == CounterClaim(5, (seen[1], seen[0], Spend(uses, 1, 3)))
    assert giving_back(claim) == CounterClaim(5, (GiveBack(uses, 1),))
    held = combine([said("a", RequireApproval(1, ("g",), 600, 0, (USES,)))])
    assert isinstance(held, Held)
    assert claim_of(held, at_seconds=5) == CounterClaim(5, (Spend(uses, 1, 3),))


def test_what_neither_reads_nor_spends_claims_nothing_and_gives_nothing_back() -> None:
    nothing = combine([said("a", ALLOW)])
    assert isinstance(nothing, Allowed)
    assert claim_of(nothing, at_seconds=5) is None
    assert giving_back(CounterClaim(5, (Seen(CounterId("a", "wei", 60), 3),))) is None


EVERYTHING = Defaults(transactions=True, duties=True)
NOTHING = Defaults(transactions=False, duties=False)
DEFAULTS = [
    (facts(transaction=payment()), IN_PRODUCTION, "POLICY_NONE_BOUND"),
    (facts(duty=a_duty()), IN_PRODUCTION, None),
    (facts(transaction=payment()), EVERYTHING, None),
    (facts(duty=a_duty()), NOTHING, "POLICY_NONE_BOUND"),
    (facts(opaque=True), EVERYTHING, "POLICY_OPAQUE"),
    (facts(), EVERYTHING, "POLICY_OPAQUE"),
    (facts(opaque=True, duty=a_duty()), EVERYTHING, "POLICY_OPAQUE"),
    (facts(duty=a_duty(), transaction=payment()), IN_PRODUCTION, "POLICY_NONE_BOUND"),
]


@pytest.mark.parametrize(("asked", "defaults", "code"), DEFAULTS)
def test_where_no_policy_is_bound_the_namespace_decides(asked, defaults: Defaults, code: str | None) -> None:
    decision = by_default(asked, defaults)
    assert (decision.code if isinstance(decision, Denied) else None) == code
    assert [outcome.policy for outcome in decision.outcomes] == ["default"]


names = st.sampled_from(["a", "b", "c"])
reservations = st.lists(
    st.builds(Reservation, st.sampled_from(["wei", "uses"]), st.sampled_from([0, 60]), st.integers(0, 9), st.just(9)),
    max_size=3,
).map(tuple)
verdicts = st.one_of(
    st.builds(Allow, reservations),
    st.builds(Deny, st.sampled_from(["X", "Y"]), st.just("no"), st.dictionaries(st.sampled_from("pq"), st.integers())),
    st.builds(
        RequireApproval,
        st.integers(1, 3),
        st.sets(st.sampled_from("gh"), min_size=1).map(lambda groups: tuple(sorted(groups))),
        st.integers(1, 9),
        st.just(0),
        reservations,
    ),
)
several = st.lists(st.builds(Outcome, names, st.sampled_from(["01", "02"]), verdicts), min_size=1, max_size=6)


@settings(deadline=None, max_examples=300)
@given(several, st.integers(0, 2**32))
def test_neither_the_order_of_verdicts_nor_hearing_one_twice_changes_anything(outcomes, seed: int) -> None:
    chance = random.Random(seed)
    shuffled = [*outcomes, *chance.choices(outcomes, k=3)]
    chance.shuffle(shuffled)
    assert combine(shuffled) == combine(outcomes)


@settings(deadline=None, max_examples=300)
@given(several, several)
def test_another_policy_never_makes_a_decision_more_lenient(outcomes, more) -> None:
    few, many = combine(outcomes), combine([*outcomes, *more])
    severity = {Allowed: 0, Held: 1, Denied: 2}
    assert severity[type(many)] >= severity[type(few)]
    if isinstance(few, Held) and isinstance(many, Held):
        assert set(few.demands) <= set(many.demands)
    if not isinstance(few, Denied) and not isinstance(many, Denied):
        assert all(many.spendings.count(spending) >= few.spendings.count(spending) for spending in few.spendings)


@settings(deadline=None, max_examples=300)
@given(several)
def test_a_decision_agrees_with_the_dullest_judge(outcomes) -> None:
    verdicts = [outcome.verdict for outcome in outcomes]
    decision = combine(outcomes)
    if any(isinstance(verdict, Deny) for verdict in verdicts):
        assert isinstance(decision, Denied)
    elif any(isinstance(verdict, RequireApproval) for verdict in verdicts):
        assert isinstance(decision, Held)
    else:
        assert isinstance(decision, Allowed)
    assert all(outcome in decision.outcomes for outcome in outcomes)
