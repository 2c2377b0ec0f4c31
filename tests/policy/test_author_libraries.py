"""The libraries for authors, in Rust, C and AssemblyScript: they read what is canonical alone, and count right.

Each is compiled with a policy that says what the library found (`probes/`), and all three are asked the same.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy.compilers import compilers_or_skip

from signer.policy.building.compiler import Source
from signer.policy.building.languages import BUILDS
from signer.policy.given import Given
from signer.policy.grants import ALL_FUNCTIONS, Grants
from signer.policy.manifest_file import SOURCES, Language
from signer.policy.sandbox import Evaluation, LoadedPolicy
from signer.policy.verdict import MAX_AMOUNT, Deny

HERE = Path(__file__).parent
SDK = HERE.parents[1] / "policies" / "sdk"
GRANTS = Grants(ALL_FUNCTIONS, frozenset({"spent"}), frozenset({"names"}))
HOST = Given({"spent": MAX_AMOUNT}, {"names": frozenset({"0xa1"})})

Probe = Callable[[bytes], Evaluation]

LIBRARIES = (Language.RUST, Language.C, Language.ASSEMBLYSCRIPT)


@pytest.fixture(scope="module", params=LIBRARIES)
def probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, modules, sandbox) -> Probe:
    """Ask the policy that was compiled with a library, with facts as they are written."""
    language: Language = request.param
    root = tmp_path_factory.mktemp("probe")
    shutil.copytree(SDK, root / "sdk")
    file = root / "probe" / SOURCES[language]
    file.parent.mkdir()
    shutil.copy(HERE / "probes" / file.name, file)
    with compilers_or_skip():
        built = BUILDS[language](Source(file.parent, file))
    assert built.said == ""
    policy = LoadedPolicy(modules.load(built.module, GRANTS), GRANTS)
    return lambda text: sandbox.decide(policy, text, HOST)


def written(value: Any) -> bytes:
    """Canonical JSON of what has no numbers but whole ones."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def facts(value: object = "1", fee_cap: object = "1", **rest: object) -> bytes:
    transaction = {"value": value, "fee_cap": fee_cap, "to": "0xa1", "data": "0x00ff", **rest}
    return written(
        {
            "version": 1,
            "transaction": transaction,
            "caller": {"identity": 'a "quoted" \\ é'},
            "environment": {"timestamp": 1_800_000_000},
        }
    )


def denial(found: Evaluation) -> Deny:
    assert isinstance(found.verdict, Deny)
    return found.verdict


@settings(max_examples=150, deadline=None)
@given(st.integers(0, MAX_AMOUNT) | st.integers(0, 10**12), st.integers(0, MAX_AMOUNT) | st.integers(0, 10**12))
def test_amounts_are_added_subtracted_and_compared(probe: Probe, one: int, other: int) -> None:
    evidence = denial(probe(facts(str(one), str(other)))).evidence
    assert evidence["sum"] == (str(one + other) if one + other <= MAX_AMOUNT else "none")
    assert evidence["rest"] == (str(one - other) if one >= other else "none")
    assert evidence["order"] == ("less" if one < other else "more" if one > other else "equal")


@pytest.mark.parametrize(("one", "other"), [(MAX_AMOUNT, 0), (MAX_AMOUNT, 1), (10**77, 9 * 10**76), (1, MAX_AMOUNT)])
def test_the_largest_amounts_are_whole(probe: Probe, one: int, other: int) -> None:
    test_amounts_are_added_subtracted_and_compared.hypothesis.inner_test(probe, one, other)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    ["", "00", "01", "-1", "+1", "1.0", "1e3", " 1", "1 ", "0x1", "\u0661", str(MAX_AMOUNT + 1), "9" * 78, "9" * 79, 1,
     None, True, ["1"], {"1": "1"}, '1"', "1\\"],
)  # fmt: skip
def test_what_is_no_amount_is_none(probe: Probe, text: object) -> None:
    assert denial(probe(facts(text))).code == "NOT_AN_AMOUNT"
    assert denial(probe(facts("1", text))).code == "NOT_AN_AMOUNT"


def test_questions_are_answered_by_the_host(probe: Probe) -> None:
    found = probe(facts())
    evidence = denial(found).evidence
    assert (evidence["listed"], evidence["spent"]) == ("yes", str(MAX_AMOUNT))
    assert evidence["sha256"] == hashlib.sha256(b"0x00ff").hexdigest()
    # Of the six letters, by `signer/policy/keccak.py`, which is held to the vectors of others.
    assert evidence["keccak256"] == "8aebf9b2694d7a45c128a010fcabcb96312bd1f24c6ff43d0507958b904494d6"
    assert denial(probe(facts(to="0xa2"))).evidence["listed"] == "no"
    assert denial(probe(facts(to=None))).evidence["listed"] == "no"
    assert found.log == ("probed",)


def test_evidence_is_shown_as_the_facts_write_it(probe: Probe) -> None:
    found = denial(probe(facts()))
    assert found.message == 'what was found: "\\'
    assert found.evidence["identity"] == 'a "quoted" \\ é'
    assert found.evidence["timestamp"] == 1_800_000_000
    assert found.evidence["nothing"] is None


CANONICAL = facts().decode()


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "{", "}", "[]extra", '{"version":1}\n', ' {"version":1}', '{"version": 1}', '{"version":1,}',
        '{"a":1 ,"version":1}', '{"version":1,"version":1}', '{"version":1,"a":1}', '{"a":01,"version":1}',
        '{"a":1.5,"version":1}', '{"a":1e3,"version":1}', '{"a":-0,"version":1}', '{"a":-,"version":1}',
        '{"a":12345678901234567,"version":1}', '{"a":tru,"version":1}', '{"a":True,"version":1}', "{'version':1}",
        '{"a":"\t","version":1}', '{"a":"\\x","version":1}', '{"a":"\\u00g0","version":1}', '{"a":"\\u00","version":1}',
        '{"a":"no end}', '{"a":"no end\\', '{"a":[1,],"version":1}', '{"a":[1 2],"version":1}', '{"a":[1}', "[1]]",
        '{"a"}', '{1:1}', '{"a":{"b":1,"b":2},"version":1}', "[" * 34 + "]" * 34, "[" * 100_000,
        '{"version":1}{"version":1}', "null,", '"version":1',
    ],
)  # fmt: skip
def test_facts_that_are_not_canonical_are_not_read(probe: Probe, text: str) -> None:
    assert denial(probe(text.encode())).code == "FACTS_UNREADABLE"


@pytest.mark.parametrize(
    "text",
    ["null", "[]", "{}", "1", '"version"', '{"version":2}', '{"version":"1"}', '{"version":10}', '{"a":{"version":1}}'],
)
def test_facts_of_another_version_are_denied_as_such(probe: Probe, text: str) -> None:
    assert denial(probe(text.encode())).code in {"FACTS_OF_ANOTHER_VERSION", "FACTS_UNREADABLE"}
    if text != "null":
        assert denial(probe(text.encode())).code == "FACTS_OF_ANOTHER_VERSION"


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, len(CANONICAL) - 1),
    st.sampled_from('{}[]",:\\ 0a-\x00\x7f'),
    st.sampled_from(["replace", "insert", "drop"]),
)
def test_facts_with_a_changed_letter_are_read_only_where_they_are_json(
    probe: Probe, at: int, letter: str, how: str
) -> None:
    text = CANONICAL[:at] + ("" if how == "drop" else letter) + CANONICAL[at + (how != "insert") :]
    found = denial(probe(text.encode()))
    try:
        value = json.loads(text)
    except ValueError:
        assert found.code == "FACTS_UNREADABLE"
        return
    if written(value) != text.encode():
        assert found.code == "FACTS_UNREADABLE" or "\\" in text
    else:
        assert found.code != "FACTS_UNREADABLE"


def test_names_are_found_wherever_they_stand_and_texts_of_every_length_are_read(probe: Probe) -> None:
    for length in range(40):
        found = denial(probe(facts(aaa="x" * length, zzz=["é" * length, {"value": "9"}], data="0x" + "ab" * length)))
        assert found.evidence["sum"] == "2"
        assert found.evidence["sha256"] == hashlib.sha256(b"0x" + b"ab" * length).hexdigest()


def test_large_facts_are_read_within_the_ordinary_fuel(probe: Probe) -> None:
    found = probe(facts(unknown="0x" + "ab" * 120_000))
    assert denial(found).code == "PROBED"
    assert found.fuel_used < 1_900_000
