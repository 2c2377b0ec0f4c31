"""Whatever a module answers and whatever a module is: no allow that is not one, and no crash."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from damage_process import main as load_damaged
from dull_reader import is_allow, is_rego_allow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wat_policies import ECHO, PLAIN_ALLOW, rego_like

from signer.policy.grants import NO_GRANTS, EmptyHost
from signer.policy.loading import load_policy
from signer.policy.sandbox import LoadedPolicy
from signer.policy.verdict import MAX_AMOUNT, MAX_VERDICT_BYTES, Allow, RequireApproval

EXAMPLES = 400
MANY = 50_000
fuzzing = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
long_fuzzing = settings(fuzzing, max_examples=MANY)

reservations = st.fixed_dictionaries(
    {
        "counter": st.sampled_from(["c", "", "a b", "x" * 129]) | st.integers(),
        "window_seconds": st.sampled_from([0, 1, 86400, 366 * 86400, 366 * 86400 + 1, -1, True, 1.0, "1", None]),
        "amount": st.sampled_from(["0", "1", "01", "-1", "1 ", "\u0661", str(MAX_AMOUNT), str(MAX_AMOUNT + 1), 1, ""]),
        "limit": st.sampled_from(["0", "7", str(MAX_AMOUNT)]),
    },
    optional={"note": st.just("x")},
)
plain_reservations = st.fixed_dictionaries(
    {
        "counter": st.just("c"),
        "window_seconds": st.integers(0, 366 * 86400),
        "amount": st.integers(0, MAX_AMOUNT).map(str),
        "limit": st.integers(0, MAX_AMOUNT).map(str),
    }
)
nearly_allows = st.fixed_dictionaries(
    {"verdict": st.sampled_from(["allow", "allow", "allow", "Allow", "allow ", "deny", "", None, True, ["allow"]])},
    optional={
        "reserve": st.lists(reservations | plain_reservations, max_size=3)
        | st.lists(plain_reservations, max_size=18)
        | st.sampled_from([None, {}, "", 0]),
        "code": st.just("A"),
        "message": st.just("m"),
        "allow": st.booleans(),
    },
)
others = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
written = st.builds(
    lambda value, spaces, plain: json.dumps(value, indent=spaces, ensure_ascii=plain).encode(errors="surrogatepass"),
    nearly_allows | nearly_allows | others,
    st.sampled_from([None, None, 0, 1]),
    st.booleans(),
)
TWICE = (
    b'{"verdict":"deny","verdict":"allow"}', b'{"verdict":"allow","verdict":"allow"}', b'{"verdict":"allow"}\0',
    b'\xef\xbb\xbf{"verdict":"allow"}', b'{"verdict":"allow"}{"verdict":"deny"}', b'{"verdict":"allow",}',
    b'{"verdict":"allow"}//', b'{"verdict":"all\\u006fw"}', b'{"v\\u0065rdict":"allow"}',
    b'{"verdict":"allow","reserve":[]}',
    b'{"verdict":"allow","reserve":[],"reserve":[]}', b"{'verdict':'allow'}", b'{verdict:"allow"}', b'"allow"', b"true",
)  # fmt: skip


@st.composite
def touched(draw, texts=written) -> bytes:
    """A text of the others with a few bytes changed, cut out, put in, or doubled."""
    text = bytearray(draw(texts))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(text)


outputs = (
    touched()
    | touched(st.just(PLAIN_ALLOW.encode()))
    | st.sampled_from(TWICE)
    | st.binary(max_size=64)
    | st.integers(MAX_VERDICT_BYTES - 1, MAX_VERDICT_BYTES + 1).map(PLAIN_ALLOW.encode().ljust)
)


@pytest.fixture(scope="module")
def echo(modules, sandbox):
    policy = LoadedPolicy(modules.load(ECHO, NO_GRANTS))
    return lambda output: sandbox.decide(policy, output, EmptyHost()).verdict


@pytest.fixture(scope="module")
def rego_echo(modules, sandbox):
    policy = load_policy(modules, sandbox, rego_like())
    return lambda output: sandbox.decide(policy, output, EmptyHost()).verdict


def check_answer(echo, output: bytes) -> None:
    assert isinstance(echo(output), Allow) == is_allow(output)


def check_rego_answer(rego_echo, output: bytes) -> None:
    read = output.partition(b"\0")[0]  # a text ends at its first zero
    verdict = rego_echo(output)
    assert isinstance(verdict, Allow) == is_rego_allow(read)
    if isinstance(verdict, RequireApproval):
        assert json.loads(read)[0]["result"]["verdict"] == "require_approval"


def in_results(output: bytes) -> bytes:
    return b'[{"result":' + output + b"}]"


rego_outputs = (
    outputs.map(in_results)
    | touched(st.sampled_from([b'[{"result":true}]', b'[{"result":{"verdict":"allow"}}]']))
    | st.sampled_from(
        [b'[{"result":false,"result":true}]', b'[{"result":true,"more":1}]', b"[]", b"true", b"[true]", b"[[]]",
         b'[{"result":true},{"result":true}]', b'[{"result":1}]', b'[{"result":"true"}]', b'{"result":true}']
    )
    | outputs
)  # fmt: skip


@fuzzing
@given(outputs)
def test_an_answer_allows_only_where_a_dull_reader_finds_an_allow(echo, output: bytes):
    check_answer(echo, output)


@fuzzing
@given(rego_outputs)
def test_an_answer_of_the_other_interface_allows_only_where_a_dull_reader_finds_an_allow(rego_echo, output: bytes):
    check_rego_answer(rego_echo, output)


@pytest.mark.torture
@long_fuzzing
@given(outputs)
def test_tens_of_thousands_of_answers_allow_only_where_a_dull_reader_finds_an_allow(echo, output: bytes):
    check_answer(echo, output)


@pytest.mark.torture
@long_fuzzing
@given(rego_outputs)
def test_tens_of_thousands_of_answers_of_the_other_interface_do_too(rego_echo, output: bytes):
    check_rego_answer(rego_echo, output)


def test_damaged_modules_are_refused_or_decide_within_their_limits():
    came_to = load_damaged(seed=1, count=200)
    assert came_to.total() == 200
    assert came_to["refused"] > 100
    assert came_to["allowed"]
    assert came_to["denied"]


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(8))
def test_thousands_of_damaged_modules_do_not_end_the_process(seed: int):
    program = Path(__file__).parent / "damage_process.py"
    ended = subprocess.run(
        [sys.executable, str(program), str(seed), "5000"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert sum(json.loads(ended.stdout).values()) == 5000
