"""Cases of a policy: what is expected is compared, what was not tried is told, and a slip of an editor is noticed."""

from itertools import pairwise

import pytest
from policy.sample_facts import ALICE, BOB, ETHER

from signer.errors import ConfigError
from signer.policy.cases import all_pass, coverage_of, read_cases, read_facts, run_cases
from signer.policy.facts import Facts, encode_facts
from signer.policy.mutation import MOST_ENTRIES, check_mutants, mutants_of
from signer.policy.rules.file import read_rule_file
from signer.policy.rules.rule import Effect
from signer.policy.verdict import Allow, Deny, RequireApproval, Reservation, Verdict

RULES = f"""
version: 1
allow:
  - name: friends
    receivers: ["{ALICE}", "{BOB}"]
require:
  - name: daily
    limits: [{{at_most: 2 ether, window: 24h}}]
  - name: large
    when: {{above: {{native: 1 ether}}}}
    approval: {{quorum: 2, groups: [treasurers], lifetime: 24h}}
deny:
  - name: strangers
    callers: [stranger]
"""

CASES = f"""
version: 1
facts:
  caller: {{identity: payroll}}
  transaction: {{chain: "eip155:1", type: eip1559, to: "{ALICE}", value: {ETHER}, data: "0x"}}
cases:
  - name: a payment to Alice
    expect: allow
    reserves: [{{counter: daily/spent/native/*, amount: 1 ether}}]
  - name: a payment to Bob
    facts: {{transaction: {{to: "{BOB}"}}}}
    expect: allow
  - name: a payment to somebody else
    facts: {{transaction: {{to: "0x{"cc" * 20}"}}}}
    expect: deny
    code: RECEIVER_NOT_LISTED
  - name: a large payment
    facts: {{transaction: {{value: {ETHER * 3 // 2}}}}}
    expect: require_approval
    quorum: 2
    groups: [treasurers]
  - name: as much as a day allows
    facts: {{transaction: {{value: {2 * ETHER}}}}}
    expect: require_approval
  - name: more than a day allows
    facts: {{transaction: {{value: {3 * ETHER}}}}}
    expect: deny
    code: AMOUNT_TOO_LARGE
  - name: a stranger
    facts: {{caller: {{identity: stranger}}}}
    expect: deny
    code: DENIED_BY_RULE
  - name: a duty
    facts: {{transaction: ~, duty: {{type: ATTESTATION, slot: 5}}}}
    expect: deny
"""


def cases(text: str = CASES):
    return read_cases(text, name="cases.yaml")


def rules(text: str = RULES):
    return read_rule_file(text, name="rules.yaml")


def test_every_case_is_asked_and_compared() -> None:
    results = run_cases(rules(), cases())
    assert [result.differs for result in results] == [""] * 8
    assert all_pass(rules(), cases())


def test_facts_of_a_case_stand_over_those_of_the_file_and_these_over_ordinary_ones() -> None:
    by_name = {case.name: case.facts for case in cases()}
    bob = by_name["a payment to Bob"]
    assert bob.transaction is not None
    assert (bob.transaction.to, bob.transaction.value, bob.caller.identity) == (BOB, str(ETHER), "payroll")
    assert (bob.signer.key_id, bob.environment.timestamp, bob.environment.simulation) == ("key-1", 1_800_000_000, True)
    duty = by_name["a duty"]
    assert duty.transaction is None
    assert duty.duty is not None
    assert duty.duty.slot == "5"


def test_a_case_names_its_line() -> None:
    assert [case.where for case in cases()][:2] == ["cases.yaml:7", "cases.yaml:10"]


RESERVED = (Reservation("daily/x", 60, 5, 9), Reservation("daily/x", 60, 5, 9))
ASKING = RequireApproval(2, ("b", "a"), 60, 0, RESERVED)
DIFFERENCES = [
    # (lines of the case, what the policy says, what is told)
    ("expect: allow", Allow(), ""),
    ("expect: allow", Allow(RESERVED), ""),
    ("expect: allow", Deny("NO", "because"), "expected allow, the policy says deny (NO: because)"),
    ("expect: deny", Allow(), "expected deny, the policy says allow"),
    ("expect: deny", Deny("NO", "because"), ""),
    ("{expect: deny, code: NO}", Deny("NO", "because"), ""),
    ("{expect: deny, code: NO}", Deny("NOT", "because"), "expected the code NO, the policy says NOT (because)"),
    ("expect: require_approval", Allow(), "expected require_approval, the policy says allow"),
    ("expect: allow", ASKING, "expected allow, the policy says require_approval"),
    ("{expect: require_approval, quorum: 2, groups: [a, b]}", ASKING, ""),
    ("{expect: require_approval, quorum: 3}", ASKING, "expected a quorum of 3, the policy asks for 2"),
    ("{expect: require_approval, groups: [a]}", ASKING, "expected the groups a, the policy asks b, a"),
    ("{expect: allow, reserves: []}", Allow(), ""),
    ("{expect: allow, reserves: []}", Allow(RESERVED), "expected nothing to be reserved of daily/x, 5 is"),
    (
        "{expect: allow, reserves: [{counter: daily/x, amount: 5}]}",
        Allow(RESERVED),
        "expected nothing to be reserved of daily/x, 5 is",
    ),
    ("{expect: allow, reserves: [{counter: daily/x, amount: 5}, {counter: 'daily*', amount: 5}]}", Allow(RESERVED), ""),
    ("{expect: require_approval, reserves: []}", ASKING, "expected nothing to be reserved of daily/x, 5 is"),
    (
        "{expect: allow, reserves: [{counter: daily/x, amount: 4}]}",
        Allow(RESERVED[:1]),
        "expected 4 to be reserved of daily/x, it is not: the policy reserves 5 within 9 in 60 s of daily/x",
    ),
    (
        "{expect: allow, reserves: [{counter: daily, amount: 5}]}",
        Allow(RESERVED[:1]),
        "expected 5 to be reserved of daily, it is not: the policy reserves 5 within 9 in 60 s of daily/x",
    ),
    ("{expect: allow, reserves: [{counter: daily/x, amount: 5, limit: 9, window: 1m}]}", Allow(RESERVED[:1]), ""),
    (
        "{expect: allow, reserves: [{counter: daily/x, amount: 5, limit: 8}]}",
        Allow(RESERVED[:1]),
        "expected 5 within 8 to be reserved of daily/x, it is not: the policy reserves 5 within 9 in 60 s of daily/x",
    ),
    (
        "{expect: allow, reserves: [{counter: daily/x, amount: 5, window: lifetime}]}",
        Allow(),
        "expected 5 in 0 s to be reserved of daily/x, it is not: the policy reserves nothing",
    ),
    ("{expect: require_approval, lifetime: 1m}", ASKING, ""),
    (
        "{expect: require_approval, lifetime: 2m}",
        ASKING,
        "expected a lifetime in seconds of 120, the policy asks for 60",
    ),
    ("{expect: require_approval, delay: 1s}", ASKING, "expected a delay in seconds of 1, the policy asks for 0"),
]


@pytest.mark.parametrize(("lines", "verdict", "told"), DIFFERENCES)
def test_what_differs_from_the_expectation_is_told(lines: str, verdict: Verdict, told: str) -> None:
    body = lines if lines.startswith("{") else "{" + lines + "}"
    text = "version: 1\ncases:\n  - " + body.replace("{", "{name: it, ", 1) + "\n"
    (result,) = run_cases(lambda _: verdict, cases(text))
    assert result.differs == told
    assert result.passed == (told == "")


def test_a_policy_of_any_kind_is_asked_with_the_facts_of_the_case() -> None:
    asked: list[Facts] = []

    def policy(facts: Facts) -> Verdict:
        asked.append(facts)
        return Allow()

    run_cases(policy, cases())
    assert asked == [case.facts for case in cases()]


ONE = "version: 1\ncases:\n  - name: it\n    expect: allow\n"
FAULTS = [
    ("version: 1\n", 1, "cases", "names no cases"),
    ("cases: []\n", 1, "version", "names no version"),
    ("version: 3\ncases: [{name: a, expect: allow}]\n", 1, "version", "wants 1"),
    ("version: 1\ncases: []\n", 2, "cases", "at least one entry"),
    ("version: 1\ncases:\n  - name: it\n", 3, "cases[0].expect", "is missing"),
    ("version: 1\ncases:\n  - expect: allow\n", 3, "cases[0].name", "is missing"),
    ("version: 1\ncases:\n  - {name: it, expect: denied}\n", 3, "cases[0].expect", "one of allow, deny"),
    (ONE + "    expects: allow\n", 5, "cases[0].expects", "there is no key"),
    (ONE + "    code: NO\n", 5, "cases[0].code", "says nothing about a verdict that is allow"),
    (ONE + "    delay: 5m\n", 5, "cases[0].delay", "says nothing about a verdict that is allow"),
    (ONE + "    reserves: [{counter: a, amount: 1, window: 5}]\n", 5, "cases[0].reserves[0].window", "a time span"),
    (ONE + "    facts: [1]\n", 5, "cases[0].facts", "facts by their names"),
    (ONE + "    facts: {transaction: {to: '0x00'}}\n", 3, "cases[0].facts", "missing required field `type`"),
    (ONE + "    facts: {transaktion: {}}\n", 3, "cases[0].facts", "unknown field `transaktion`"),
    (ONE + "    facts: {duty: {type: ATTESTATION, slot: five}}\n", 3, "cases[0].facts", "$.duty.slot"),
    (ONE + "    facts: {version: 2}\n", 3, "cases[0].facts", "another version"),
    (ONE + "    facts: {transaction: {type: x, data: '0x" + "00" * 140_000 + "'}}\n", 3, "cases[0].facts", "too large"),
    (ONE + "  - name: it\n    expect: allow\n", 5, "cases", "two cases are named 'it'"),
]


@pytest.mark.parametrize(("text", "line", "key", "words"), FAULTS, ids=[words for *_, words in FAULTS])
def test_a_case_that_is_none_is_refused_with_its_line(text: str, line: int, key: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cases(text)
    assert (caught.value.where, caught.value.key) == (f"cases.yaml:{line}", key)
    assert words in caught.value.sentence
    assert caught.value.remedy


def test_coverage_shows_what_no_case_has_tried_of_a_rule() -> None:
    everything = {each.rule: each.missing for each in coverage_of(rules(), cases())}
    assert everything == {"friends": (), "daily": (), "large": (), "strangers": ()}
    alice = coverage_of(rules(), cases()[:1])
    assert {each.rule: each.missing for each in alice} == {
        "strangers": (Effect.DENIES,),
        "daily": (),
        "large": (Effect.ASKS,),
        "friends": (Effect.PASSES_BY,),
    }
    assert {each.rule: set(each.seen) for each in alice}["friends"] == {Effect.GRANTS}


def test_cases_that_try_everything_let_no_mutant_live() -> None:
    report = check_mutants(rules(), cases())
    assert report.survivors == ()
    assert report.tried == len(list(mutants_of(rules()))) > 15


LEFT_OUT = [
    ("a payment to Bob", {("friends", f"destinations: receivers lacks {BOB}")}),
    ("a stranger", {("strangers", "the rule is gone"), ("strangers", "callers: stranger is gone")}),
    ("a large payment", {("large", "one more is asked")}),
    ("more than a day allows", {("daily", "spend limit in 86400 s per key: the limit is twice as high")}),
    ("as much as a day allows", set()),
    ("a duty", set()),
]


@pytest.mark.parametrize(("name", "survivors"), LEFT_OUT)
def test_a_case_that_is_left_out_lets_the_mutants_live_that_it_would_notice(name: str, survivors: set) -> None:
    kept = [case for case in cases() if case.name != name]
    assert len(kept) == len(cases()) - 1
    assert {(mutant.rule, mutant.change) for mutant in check_mutants(rules(), kept).survivors} == survivors


def test_a_part_of_the_edits_is_the_same_each_time_and_lies_all_over_the_file() -> None:
    file = rules()
    every = len(list(mutants_of(file)))
    some = check_mutants(file, (), most=every // 2)
    assert (some.tried, some.edits, len(some.survivors)) == (every // 2, every, every // 2)
    assert some == check_mutants(file, (), most=every // 2)
    order = [(each.rule, each.change) for each in mutants_of(file)]
    places = [order.index((each.rule, each.change)) for each in some.survivors]
    assert places == sorted(set(places)), "each once, in the order of the file"
    assert max(b - a for a, b in pairwise([-1, *places, every])) <= 4, "no large gap"
    assert check_mutants(file, (), most=every * 2).tried == every


def test_who_has_had_enough_is_told_how_far_it_came() -> None:
    file, told = rules(), []
    every = len(list(mutants_of(file)))
    report = check_mutants(file, cases(), enough=lambda: len(told) == 3, advance=lambda *done: told.append(done))
    assert (report.tried, report.edits) == (3, every)
    assert told == [(1, every), (2, every), (3, every)]
    assert check_mutants(file, cases(), enough=lambda: True).tried == 0


def test_a_survivor_names_the_line_of_its_rule() -> None:
    kept = [case for case in cases() if case.name != "a stranger"]
    assert {mutant.where for mutant in check_mutants(rules(), kept).survivors} == {"rules.yaml:13"}


def test_of_a_long_list_only_some_entries_are_taken_out() -> None:
    many = ", ".join(f'"0x{n:040x}"' for n in range(1000))
    file = rules(f"version: 1\nallow:\n  - name: it\n    receivers: [{many}]\n")
    assert sum("lacks" in mutant.change for mutant in mutants_of(file)) == MOST_ENTRIES


GIVEN = """
version: 1
given:
  counters: {"eth:spend": 5 ether, uses: {1h: 3, lifetime: 20}}
  lists: {receivers: [a, b], callers: [c]}
cases:
  - {name: shared, expect: allow}
  - name: own
    expect: allow
    given: {counters: {uses: 7}, lists: {receivers: [], "more": [d]}}
"""


def test_what_a_module_is_answered_stands_in_the_case_and_above_in_the_file() -> None:
    shared, own = (case.given for case in cases(GIVEN))
    assert [shared.read_counter("eth:spend", window_seconds=w) for w in (0, 60)] == [5 * ETHER] * 2
    assert [shared.read_counter("uses", window_seconds=w) for w in (3600, 0, 60)] == [3, 20, 0]
    assert [own.read_counter("uses", window_seconds=w) for w in (3600, 0, 60)] == [7, 7, 7]
    assert (own.read_counter("eth:spend", window_seconds=60), own.read_counter("x", window_seconds=60)) == (
        5 * ETHER,
        0,
    )
    assert [shared.list_contains("receivers", item) for item in "abc"] == [True, True, False]
    assert [own.list_contains("receivers", item) for item in "abc"] == [False] * 3
    assert (own.list_contains("callers", "c"), own.list_contains("more", "d")) == (True, True)
    assert cases()[0].given.lists == {}


@pytest.mark.parametrize(
    "given",
    ["[]", "{counter: {}}", "{counters: 5}", "{counters: {a: b}}", "{counters: {a: {1w: 5}}}", "{lists: {a: b}}"],
)
def test_answers_that_cannot_be_read_are_told(given: str) -> None:
    with pytest.raises(ConfigError) as refused:
        cases(f"version: 1\ncases:\n  - name: a\n    expect: allow\n    given: {given}\n")
    assert refused.value.where == "cases.yaml:5"


def test_one_context_is_written_as_a_case_writes_it_or_as_json() -> None:
    brief = read_facts("transaction: {type: eip1559, value: 5}", name="facts.yaml")
    assert brief.transaction is not None
    assert (brief.transaction.value, brief.signer.namespace) == ("5", "default")
    assert read_facts(encode_facts(brief).decode(), name="facts.json") == brief
    with pytest.raises(ConfigError, match="are no facts"):
        read_facts("transaction: {kind: eip1559}", name="facts.yaml")
