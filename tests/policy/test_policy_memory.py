"""Memory stays flat, however many decisions are made and however many modules come and go."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from binary_modules import binary_policy, body
from wat_policies import ECHO, answering, policy, rego_like

from signer.errors import PolicyModuleError
from signer.policy.grants import ALL_FUNCTIONS, EmptyHost, Grants
from signer.policy.host_functions import SIGNATURES
from signer.policy.limits import Limits
from signer.policy.loading import load_policy
from signer.policy.modules import KEPT_MODULES, Modules
from signer.policy.native import make_engine
from signer.policy.sandbox import LoadedPolicy, Sandbox
from signer.policy.verdict import ALLOW

IMPORTS = "".join(
    f'(import "holdfast" "{name}" (func ${name} (param {" ".join(parameters)}) {"(result i32)" if results else ""}))'
    for name, (parameters, results) in SIGNATURES.items()
)
GRANTS = Grants(ALL_FUNCTIONS, frozenset({"c"}), frozenset({"c"}))
ASKING = policy(
    "(drop (call $read_counter (i32.const 64) (i32.const 1) (i32.const 60) (i32.const 1000)))"
    "(drop (call $list_contains (i32.const 64) (i32.const 1) (i32.const 64) (i32.const 1)))"
    "(call $sha256 (i32.const 0) (i32.const 64) (i32.const 1000))"
    "(call $keccak256 (i32.const 0) (i32.const 64) (i32.const 1000))"
    "(call $log (i32.const 64) (i32.const 1))" + answering(),
    rest=IMPORTS + '(data (i32.const 64) "c")',
)
FOREVER = "(loop $again (br $again)) (unreachable)"
OFTEN = (policy(), ECHO, policy("(unreachable)"), policy("(i64.const -1)"), ASKING, rego_like())
SELDOM = (
    policy("(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable)"),
    policy("(call $deeper) " + answering(), rest="(func $deeper (call $deeper) (call $deeper))"),
    policy(FOREVER),
    policy(rest="(func $start (unreachable)) (start $start)"),
    policy("(call $log (i32.const -1) (i32.const 9))" + answering(), rest=IMPORTS),
)
"""Those that take long, or much; one decision in a hundred."""


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def gained(step: Callable[[int], None], count: int) -> int:
    """How much memory the process has gained since the first quarter of the steps."""
    for number in range(count // 4):
        step(number)
    before = resident_bytes()
    for number in range(count // 4, count):
        step(number)
    return resident_bytes() - before


@pytest.fixture(scope="module")
def deciding(modules, sandbox) -> Callable[[int], None]:
    """Makes one decision, each of another kind than the one before it."""
    limits = Limits(fuel=150_000)
    often, seldom = (
        [load_policy(modules, sandbox, module, grants=GRANTS, limits=limits) for module in kinds]
        for kinds in (OFTEN, SELDOM)
    )
    facts, host = b"x" * 1024, EmptyHost()

    def decide(number: int) -> None:
        kinds = seldom if number % 100 == 0 else often
        sandbox.decide(kinds[number // 100 % len(kinds) if kinds is seldom else number % len(kinds)], facts, host)

    return decide


def test_memory_stays_flat_over_many_decisions_of_every_kind(deciding):
    assert gained(deciding, 50_000) < 4 << 20


@pytest.mark.torture
def test_memory_stays_flat_over_a_million_decisions(deciding):
    assert gained(deciding, 1_000_000) < 8 << 20


def numbered(number: int) -> bytes:
    """Policies of 3 kB, no two alike."""
    return binary_policy(
        body(b"\x41\x00\x1a" * 1_000 + b"".join(b"\x41" + bytes([d]) + b"\x1a" for d in _digits(number)))
    )


def _digits(number: int) -> bytes:
    return bytes(number >> shift & 0x3F for shift in (0, 6, 12))


def broken(number: int) -> bytes:
    return binary_policy(body(b"\x1a" * 1_000 + _digits(number)))


@pytest.fixture(scope="module")
def coming_and_going(engine, sandbox) -> Callable[[int], None]:
    """Loads one module that nobody has seen yet, asks it, and lets it go; every fourth is refused."""
    modules = Modules(engine)

    def load(number: int) -> None:
        if number % 4 == 0:
            with pytest.raises(PolicyModuleError):
                modules.load(broken(number), GRANTS)
            return
        loaded = LoadedPolicy(modules.load(numbered(number), GRANTS))
        assert sandbox.decide(loaded, b"{}", EmptyHost()).verdict is ALLOW

    return load


def test_memory_stays_flat_while_hundreds_of_modules_come_and_go(coming_and_going):
    assert gained(coming_and_going, 6 * KEPT_MODULES) < 4 << 20


@pytest.mark.torture
def test_memory_stays_flat_while_ten_thousand_modules_come_and_go(coming_and_going):
    assert gained(coming_and_going, 10_000) < 8 << 20


def test_a_module_in_use_keeps_no_file_open(engine, sandbox):
    modules = Modules(engine)
    in_use = [LoadedPolicy(modules.load(policy(), GRANTS))]
    sandbox.decide(in_use[0], b"{}", EmptyHost())
    open_files = len(os.listdir("/proc/self/fd"))
    for number in range(KEPT_MODULES):
        in_use.append(LoadedPolicy(modules.load(numbered(number), GRANTS)))
        assert sandbox.decide(in_use[-1], b"{}", EmptyHost()).verdict is ALLOW
    assert len(os.listdir("/proc/self/fd")) < open_files + KEPT_MODULES // 2


def test_memory_stays_flat_while_sandboxes_come_and_go(engine, modules):
    """Each has a place among those of the engine: what is not given back would end them."""
    loaded = LoadedPolicy(modules.load(policy(), GRANTS))

    def decide(_number: int) -> None:
        assert Sandbox(engine).decide(loaded, b"{}", EmptyHost()).verdict is ALLOW

    assert gained(decide, 80) < 4 << 20


def test_the_engine_keeps_little_address_space():
    """Where memory is counted by what might be used, a process that asks for gigabytes is not started."""

    def writable_kilobytes() -> int:
        (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmData:"))
        return int(line.split()[1])

    before = writable_kilobytes()
    engine = make_engine()
    assert writable_kilobytes() - before < 100_000
    del engine
