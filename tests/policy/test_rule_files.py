"""What is wrong with a rule file is said with its line, its key and a way out, before anything is decided by it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.errors import ConfigError
from signer.policy.rules import values
from signer.policy.rules.file import MAX_ENTRIES, MAX_FILE_BYTES, MAX_RULES, read_rule_file
from signer.policy.verdict import MAX_AMOUNT
from signer.written import NO_PATHS, Origin, Scalar

ADDRESS = "0x" + "a1" * 20
ALLOW = f"version: 1\nallow:\n  - name: it\n    receivers: ['{ADDRESS}']\n"


def fault(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read_rule_file(text, name="rules.yaml")
    return caught.value


FAULTS = [
    # (text, line, key, words of the sentence, words of the remedy)
    ("", 1, "version", "names no version", "version: 1"),
    ("- a\n", 1, "", "not a mapping", "`version:`"),
    ("version: 1\nallow: [\n", 3, "", "not YAML", "check"),
    ("version: 2\n", 1, "version", "wants 1", "write 1"),
    ("version: 1\n", 1, "", "no rules", "allow"),
    ("version: 1\nalow: []\n", 2, "alow", "no key alow", "did you mean allow?"),
    ("version: 1\nallow: []\n", 2, "allow", "at least one entry", "begin each entry"),
    ("version: 1\nallow: {name: it}\n", 2, "allow", "a list", "begin each entry"),
    ("version: 1\nallow:\n  - receivers: [x]\n", 3, "allow[0].name", "has no name", "add `name:`"),
    ("version: 1\nallow:\n  - name: Not This\n", 3, "allow[0].name", "wants 1 to 28", "write"),
    (ALLOW + "    reciever: [x]\n", 5, "allow[0].reciever", "no key", "did you mean receivers?"),
    (ALLOW + "    limits: [{at_most: 1, window: 1h}]\n", 3, "allow[0].limits", "has limits", "a rule of `require`"),
    (ALLOW + "    approval: {}\n", 3, "allow[0].approval", "has approval", "a rule of `require`"),
    (ALLOW + "    touches: [x]\n", 5, "allow[0].touches", "grants nothing", "use it in `deny`"),
    (ALLOW + "    unless: {above: {native: 1}}\n", 5, "allow[0].unless.above", "exempts nothing", "use it in `deny`"),
    (ALLOW + "    unless: {}\n", 5, "allow[0].unless", "at least one condition", "write"),
    (ALLOW + "    chains: [mainnet]\n", 5, "allow[0].chains[0]", "eip155:1", "write"),
    (ALLOW + "    contracts: [0x00]\n", 5, "allow[0].contracts[0]", "names with values", "address, functions"),
    (ALLOW + f"    contracts: [{{address: {ADDRESS}}}]\n", 5, "allow[0].contracts[0].functions", "is missing", "add"),
    (
        ALLOW + f"    contracts: [{{address: {ADDRESS}, functions: [0xa9059c]}}]\n",
        5,
        "allow[0].contracts[0].functions[0]",
        "a selector such as",
        "write",
    ),
    (ALLOW + f"    delegates: [{ADDRESS}0]\n", 5, "allow[0].delegates[0]", "an address", "40 hexadecimal digits"),
    (ALLOW + "    delegates: [0x12]\n", 5, "allow[0].delegates[0]", "not '0x12'", "40 hexadecimal digits"),
    (ALLOW + "    delegates: [~]\n", 5, "allow[0].delegates[0]", "an address", "write"),
    (ALLOW + "    creation: yes\n", 5, "allow[0].creation", "one of true, false", "write"),
    (ALLOW + "    at_most: {native: 1e18}\n", 5, "allow[0].at_most.native", "not '1e18'", "digits"),
    (ALLOW + "    at_most: {native: 1_000}\n", 5, "allow[0].at_most.native", "not '1_000'", "digits"),
    (ALLOW + "    at_most: {native: 1 eth}\n", 5, "allow[0].at_most.native", "an amount", "the units are wei, gwei"),
    (ALLOW + "    at_most: {native: 0.5}\n", 5, "allow[0].at_most.native", "an amount", "no more decimals"),
    (ALLOW + "    at_most: {native: 0.0000000001 gwei}\n", 5, "allow[0].at_most.native", "amount", "no more decimals"),
    (ALLOW + f"    at_most: {{native: {MAX_AMOUNT + 1}}}\n", 5, "allow[0].at_most.native", "below 2^256", "write"),
    (ALLOW + f"    at_most: {{'{ADDRESS}': 1 ether}}\n", 5, f"allow[0].at_most.{ADDRESS}", "of the token", "write"),
    (ALLOW + "    at_most: {}\n", 5, "allow[0].at_most", "assets with amounts", "{native: 1.5 ether}"),
    (ALLOW + "    fees: {}\n", 5, "allow[0].fees", "at least one cap", "write"),
    (ALLOW + "    sources: [10.1.2.3/8]\n", 5, "allow[0].sources[0]", "behind its mask", "write"),
    (ALLOW + "    hours: [{from: 25:00, until: 26:00}]\n", 5, "allow[0].hours[0].from", "time of the day", "08:30"),
    (ALLOW + "    hours: [{from: 08:00}]\n", 5, "allow[0].hours[0].until", "is missing", "add `until:`"),
    (ALLOW + "    hours: [{from: 08:00, until: 08:00}]\n", 5, "allow[0].hours[0].until", "another time", "whole days"),
    (ALLOW + "    hours: [{from: 00:00, until: 00:00}]\n", 5, "allow[0].hours[0].until", "another time", "24:00"),
    (ALLOW + "    hours: [{}]\n", 5, "allow[0].hours[0]", "days, or `from` and `until`", "{days: [sat, sun]}"),
    (ALLOW + "    hours: [{days: [sat], until: 9:00}]\n", 5, "allow[0].hours[0].from", "is missing", "add `from:`"),
    (
        ALLOW + "    hours: [{days: [monday], from: 08:00, until: 9:00}]\n",
        5,
        "allow[0].hours[0].days[0]",
        "mon",
        "one of",
    ),
    (ALLOW + "    period: {from: 2027-01-11}\n", 5, "allow[0].period.from", "a moment in UTC", "write"),
    (ALLOW + "    period: {}\n", 5, "allow[0].period", "a moment", "write"),
    (ALLOW + "    typed_data: [{name: Token}]\n", 5, "allow[0].typed_data[0]", "anybody's", "write"),
    (ALLOW + "    unproven_blocks: allowed\n", 5, "allow[0].unproven_blocks", "conditions it is about", "write"),
    (ALLOW + f"    graffiti: [{'x' * 33}]\n", 5, "allow[0].graffiti[0]", "a text", "write"),
    (ALLOW + "    graffiti: [ééééééééééééééééé]\n", 5, "allow[0].graffiti", "at most 32 bytes", "write"),
    (ALLOW + "    payload: [messages]\n", 5, "allow[0].payload[0]", "transaction, duty, opaque", "write"),
    (ALLOW + "require:\n  - name: r\n", 6, "require[0]", "it requires nothing", "a limit or an approval"),
    (ALLOW + "require:\n  - name: r\n    message: no\n", 6, "require[0]", "it requires nothing", "add a condition"),
    (ALLOW + "deny:\n  - name: d\n", 6, "deny[0]", "it would deny everything", "add a condition"),
    (ALLOW + "deny:\n  - name: d\n    receivers: [x]\n", 7, "deny[0].receivers", "whether anything does", "`touches`"),
    (
        ALLOW + "require:\n  - name: r\n    when: {at_most: {native: 1}}\n    callers: [c]\n",
        7,
        "require[0].when.at_most",
        "whether anything does",
        "`touches`",
    ),
    (
        ALLOW + "require:\n  - name: r\n    chains: [eip155:1]\n    epochs: {most: 1}\n",
        6,
        "require[0]",
        "nothing is both",
        "write two rules",
    ),
    (
        ALLOW + "require:\n  - name: r\n    epochs: {most: 1}\n    limits: [{at_most: 1, window: 1h}]\n",
        6,
        "require[0]",
        "nothing is both",
        "write two rules",
    ),
    (ALLOW + "require:\n  - name: r\n    limits: [{at_most: 1}]\n", 7, "require[0].limits[0].window", "missing", "add"),
    (
        ALLOW + "require:\n  - name: r\n    limits: [{at_most: 1, window: 1w}]\n",
        7,
        "require[0].limits[0].window",
        "90s, 15m, 24h or 7d",
        "lifetime",
    ),
    (
        ALLOW + "require:\n  - name: r\n    limits: [{at_most: 1, window: 367d}]\n",
        7,
        "require[0].limits[0].window",
        "at most 366d",
        "write",
    ),
    (
        ALLOW + "require:\n  - name: r\n    limits: [{at_most: 1, window: 1h}, {at_most: 2, window: 60m}]\n",
        7,
        "require[0]",
        "two limits of the same kind",
        "keep the lower one",
    ),
    (
        ALLOW + "require:\n  - name: r\n    uses: [{at_most: 1, window: 1h, per: tag}]\n",
        7,
        "require[0].uses[0].per",
        "one of key, caller, policy",
        "write",
    ),
    (
        ALLOW + "require:\n  - name: r\n    approval: {quorum: 0, groups: [g], lifetime: 1h}\n",
        7,
        "require[0].approval.quorum",
        "from 1 to 64",
        "decimal digits",
    ),
    (
        ALLOW + "require:\n  - name: r\n    approval: {quorum: 1, groups: [g], lifetime: 1h, delay: 1h}\n",
        6,
        "require.approval.delay",
        "could never be signed",
        "shorter than 3600s",
    ),
    (
        ALLOW
        + "require:\n  - name: r\n    approval: {quorum: 1, groups: [g], lifetime: 1h}\n"
        + "  - name: s\n    approval: {quorum: 1, groups: [h], lifetime: 1h}\n",
        8,
        "require.approval.groups",
        "r and s ask different groups",
        "a policy of its own",
    ),
    (
        ALLOW
        + "require:\n  - name: r\n    approval: {quorum: 1, groups: [g], lifetime: 1h}\n"
        + "  - name: s\n    approval: {quorum: 1, groups: [g], lifetime: 1d, delay: 2h}\n",
        8,
        "require.approval.delay",
        "could never be signed",
        "shorter than 3600s",
    ),
    (
        ALLOW + f"  - name: it\n    receivers: ['{ADDRESS}']\n",
        5,
        "allow.name",
        "two rules are named it",
        "rules.yaml:3",
    ),
    ("version: 1\ndeny:\n  - name: d\n    callers: [c]\n", 1, "otherwise", "deny every request", "otherwise: allow"),
    (
        "version: 1\notherwise: deny\nrequire:\n  - name: d\n    callers: [c]\n",
        1,
        "otherwise",
        "deny every request",
        "otherwise: allow",
    ),
    (
        ALLOW
        + "require:\n  - name: r\n    uses:\n"
        + "".join(f"      - {{at_most: 1, window: {n}h}}\n" for n in range(1, 18)),
        1,
        "require",
        "more than 16 limits",
        "several policies",
    ),
    (ALLOW + "# " + "x" * MAX_FILE_BYTES, None, "", "more than 262144 bytes", "several policies"),
    (
        "version: 1\nallow:\n" + "".join(f"  - {{name: r{n}, creation: true}}\n" for n in range(MAX_RULES + 1)),
        1,
        "",
        "257 rules; at most 256",
        "several policies",
    ),
    (
        "version: 1\nallow:\n  - name: it\n    keys: [" + "a, " * MAX_ENTRIES + "a]\n",
        1,
        "",
        "10002 entries of lists; at most 10000",
        "named list",
    ),
]


def test_a_file_of_as_many_rules_and_entries_as_may_be_is_read() -> None:
    rules = "".join(f"  - {{name: r{n}, creation: true}}\n" for n in range(MAX_RULES - 1))
    names = ", ".join(f"n{n}" for n in range(MAX_ENTRIES - MAX_RULES))
    file = read_rule_file(f"version: 1\nallow:\n{rules}  - {{name: it, callers: [{names}]}}\n", name="f")
    assert len(file.rules) == MAX_RULES


@pytest.mark.parametrize(("text", "line", "key", "words", "remedy"), FAULTS)
def test_a_fault_names_line_key_and_remedy(text: str, line: int | None, key: str, words: str, remedy: str) -> None:
    raised = fault(text)
    assert raised.where == ("rules.yaml" if line is None else f"rules.yaml:{line}")
    assert raised.key == key
    assert words in raised.sentence
    assert remedy in raised.remedy


def written(text: str) -> Scalar:
    return Scalar(text, "text", Origin("x:1", NO_PATHS))


AMOUNTS = [
    ("0", 0),
    ("1 wei", 1),
    ("1.5 ether", 15 * 10**17),
    ("1.5ether", 15 * 10**17),
    ("0.000000000000000001 ether", 1),
    ("30 gwei", 30 * 10**9),
    ("0.00000001 btc", 1),
    ("7 sat", 7),
    ("2.000000001 sol", 2 * 10**9 + 1),
    (str(MAX_AMOUNT), MAX_AMOUNT),
]


@pytest.mark.parametrize(("text", "amount"), AMOUNTS)
def test_amounts_are_exact_in_any_unit(text: str, amount: int) -> None:
    assert values.read_amount(written(text), "k", native=True) == amount


DURATIONS = [("1s", 1), ("90s", 90), ("15m", 900), ("24h", 86400), ("7d", 604800), ("lifetime", 0)]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_time_spans_have_a_unit(text: str, seconds: int) -> None:
    assert values.read_duration(written(text), "k", or_lifetime=True) == seconds


@pytest.mark.parametrize("text", ["0s", "1", "1.5h", "h", "-1h", "01h", "1 h"])
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        values.read_duration(written(text), "k", or_lifetime=True)


def test_a_lifetime_is_no_time_to_wait_for_people() -> None:
    with pytest.raises(ConfigError):
        values.read_duration(written("lifetime"), "k")


def test_an_address_is_no_number_however_yaml_reads_it() -> None:
    file = read_rule_file(f"version: 1\nallow:\n  - name: it\n    receivers: [{ADDRESS}]\n", name="f")
    assert ADDRESS in repr(file)


@settings(deadline=None, max_examples=150)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.sampled_from(["1h", ADDRESS])),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    ["version", "allow", "require", "deny", "name", "when", "unless", "limits", "uses", "approval",
                     "receivers", "contracts", "address", "functions", "at_most", "window", "native", "hours", "fees"]
                ),
                inner,
                max_size=4,
            ),
        ),
        max_leaves=12,
    )
)  # fmt: skip
def test_whatever_stands_in_a_file_it_is_read_or_its_fault_is_told(tree: object) -> None:
    told: list[ConfigError] = []
    for text in (json.dumps(tree), "version: 1\nallow: " + json.dumps(tree)):
        try:
            read_rule_file(text, name="f")
        except ConfigError as error:
            told.append(error)
    assert all(error.remedy and error.where.startswith("f") for error in told)
