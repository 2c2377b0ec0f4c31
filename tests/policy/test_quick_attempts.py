"""A decision is tried with little fuel first; nobody can see that, neither in a verdict nor in what it used."""

import ctypes
from collections.abc import Iterator

import pytest
from wasmtime import Engine
from wat_policies import COUNTING, answering, policy, quoted

from signer.policy import native, sandbox
from signer.policy import pace as pace_module
from signer.policy.faults import Fault
from signer.policy.grants import EmptyHost, Grants, HostFunction
from signer.policy.guest import Guest
from signer.policy.host_functions import Questions
from signer.policy.limits import Limits
from signer.policy.modules import Modules
from signer.policy.pace import Pace
from signer.policy.sandbox import QUICK_FUEL, QUICK_MEMORY_BYTES, Evaluation, LoadedPolicy, Sandbox, TakesLongError
from signer.policy.verdict import ALLOW, Deny

GRANTS = Grants(frozenset({HostFunction.LOG, HostFunction.READ_COUNTER}), counters=frozenset({"spend"}))
IMPORTS = f"""
  (import "holdfast" "log" (func $log (param i32 i32)))
  (import "holdfast" "read_counter" (func $read (param i32 i32 i32 i32) (result i32)))
  (data (i32.const 600) {quoted("spend")})"""
SAYING_AND_READING = (
    "(call $log (i32.const 600) (i32.const 5))"
    "(drop (call $read (i32.const 600) (i32.const 5) (i32.const 60) (i32.const 1000)))"
)
BY_FACTS = f"""(if (i32.eq (i32.load8_u (local.get 0)) (i32.const 49)) (then
  {COUNTING.format(100_000, "")})) {answering()}"""
"""Long where its facts begin with a 1, short otherwise."""


class Spending(EmptyHost):
    def read_counter(self, name: str, *, window_seconds: int) -> int:
        return len(name) + window_seconds


class Attempts:
    """What each attempt of a sandbox was given, and what ran while the interpreter was kept."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.given: list[int | None] = []
        self.kept_with: list[int] = []
        begin, instantiate, call = Guest.begin, native.instantiate_quickly, native.call_quickly

        def noted_begin(guest: Guest, limits: Limits, questions: Questions, *, quick_fuel: int | None = None) -> None:
            self.given.append(quick_fuel)
            begin(guest, limits, questions, quick_fuel=quick_fuel)

        def noted_call(context: int, *rest: int) -> object:
            left = ctypes.c_uint64()
            native.get_fuel(context, ctypes.addressof(left))
            self.kept_with.append(left.value)
            return call(context, *rest)

        def noted_instantiate(prepared: int, context: int, *rest: int) -> object:
            left = ctypes.c_uint64()
            native.get_fuel(context, ctypes.addressof(left))
            self.kept_with.append(left.value)
            return instantiate(prepared, context, *rest)

        patch.setattr(Guest, "begin", noted_begin)
        patch.setattr(native, "call_quickly", noted_call)
        patch.setattr(native, "instantiate_quickly", noted_instantiate)


@pytest.fixture
def attempts() -> Iterator[Attempts]:
    with pytest.MonkeyPatch.context() as patch:
        yield Attempts(patch)


def load(modules: Modules, module: bytes, *, grants: Grants = GRANTS, limits: Limits | None = None) -> LoadedPolicy:
    return LoadedPolicy(modules.load(module, grants), grants, limits or Limits())


def told(evaluation: Evaluation) -> tuple[object, ...]:
    """All but the time."""
    return evaluation.verdict, evaluation.fuel_used, evaluation.counters_read, evaluation.log


@pytest.mark.parametrize("turns", [1, 8_000, 11_990, 12_000, 12_010, 100_000, 10_000_000])
@pytest.mark.parametrize("limit", [50_000, QUICK_FUEL - 1, QUICK_FUEL, QUICK_FUEL + 1, 2_000_000])
def test_a_verdict_is_the_one_that_all_the_fuel_gives(engine: Engine, modules: Modules, turns: int, limit: int) -> None:
    module = policy(f"{SAYING_AND_READING} {COUNTING.format(turns, answering())}", rest=IMPORTS)
    loaded = load(modules, module, limits=Limits(fuel=limit))
    pace = Pace()
    pace.was_slow(loaded.module.sha256)
    at_once = Sandbox(engine, pace=pace)
    once = at_once.decide(loaded, b"{}", Spending())
    tried = Sandbox(engine)
    assert told(tried.decide(loaded, b"{}", Spending())) == told(once)
    assert told(tried.decide(loaded, b"{}", Spending())) == told(once)
    assert len(once.log) == len(once.counters_read) == 1


def test_what_was_not_quick_is_not_tried_again_until_it_was_quick_for_long(
    engine: Engine, modules: Modules, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace_module, "QUICK_AGAIN", 2)
    loaded, deciding = load(modules, policy(BY_FACTS)), Sandbox(engine)
    for facts in (b"0", b"1", b"1", b"0", b"1", b"0", b"0", b"0"):
        deciding.decide(loaded, facts, EmptyHost())
    assert attempts.given == [QUICK_FUEL, QUICK_FUEL, None, None, None, None, None, None, QUICK_FUEL]


def test_little_fuel_that_takes_long_is_not_quick(
    engine: Engine, modules: Modules, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, deciding = load(modules, policy()), Sandbox(engine)
    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "QUICK_SECONDS", 0.0)
        patch.setattr(pace_module, "QUICK_AGAIN", 1)
        for _ in range(3):
            deciding.decide(loaded, b"0", EmptyHost())
    for _ in range(2):
        deciding.decide(loaded, b"0", EmptyHost())
    assert attempts.given == [QUICK_FUEL, None, None, None, QUICK_FUEL]


def test_the_interpreter_is_kept_for_little_fuel_alone(engine: Engine, modules: Modules, attempts: Attempts) -> None:
    deciding = Sandbox(engine)
    starting = "(func $start (loop $again (br $again))) (start $start)"
    for module in (
        policy(),
        policy(BY_FACTS),
        policy("(loop $again (br $again)) (unreachable)"),
        policy(rest=starting),
    ):
        for facts in (b"0", b"1"):
            deciding.decide(load(modules, module), facts, EmptyHost())
    assert len(attempts.kept_with) > 8
    assert max(attempts.kept_with) == QUICK_FUEL


STRAIGHT = "(drop (i32.div_s (i32.const 7) (i32.const 3)))" * 20_000
"""Code without a loop or a call: wasmtime looks at its fuel when it begins, and not again."""


@pytest.mark.parametrize(("limit", "allows"), [(1_000, False), (50_000, False), (QUICK_FUEL, False), (60_100, True)])
def test_code_that_runs_past_the_end_of_its_fuel_is_denied(
    engine: Engine, modules: Modules, limit: int, *, allows: bool
) -> None:
    loaded = load(modules, policy(STRAIGHT + answering()), limits=Limits(fuel=limit))
    for evaluation in (Sandbox(engine).decide(loaded, b"{}", EmptyHost()) for _ in range(2)):
        if allows:
            assert evaluation.verdict is ALLOW
            assert QUICK_FUEL < evaluation.fuel_used < 60_100
        else:
            assert isinstance(evaluation.verdict, Deny)
            assert evaluation.verdict.code == Fault.OUT_OF_FUEL
            assert evaluation.verdict.evidence["fuel_used"] == evaluation.fuel_used == limit


def test_what_may_not_take_long_decides_nothing(engine: Engine, modules: Modules) -> None:
    loaded, pace = load(modules, policy(BY_FACTS)), Pace()
    deciding = Sandbox(engine, pace=pace, only_quick=True)
    assert deciding.decide(loaded, b"0", EmptyHost()).verdict is ALLOW
    for facts in (b"1", b"0"):  # the second: it is known as slow
        with pytest.raises(TakesLongError):
            deciding.decide(loaded, facts, EmptyHost())
    assert Sandbox(engine, pace=pace).decide(loaded, b"1", EmptyHost()).verdict is ALLOW


def test_what_one_sandbox_finds_out_of_a_module_all_of_them_know(
    engine: Engine, modules: Modules, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace_module, "QUICK_AGAIN", 2)
    loaded, pace = load(modules, policy(BY_FACTS)), Pace()
    quick, long = Sandbox(engine, pace=pace, only_quick=True), Sandbox(engine, pace=pace)
    with pytest.raises(TakesLongError):
        quick.decide(loaded, b"1", EmptyHost())
    for _ in range(2):
        with pytest.raises(TakesLongError):
            quick.decide(loaded, b"0", EmptyHost())
        long.decide(loaded, b"0", EmptyHost())
    assert quick.decide(loaded, b"0", EmptyHost()).verdict is ALLOW
    assert attempts.given == [QUICK_FUEL, None, None, QUICK_FUEL]


def test_a_module_that_begins_with_much_memory_is_not_tried(
    engine: Engine, modules: Modules, attempts: Attempts
) -> None:
    pages = QUICK_MEMORY_BYTES // 65536
    for count in (pages, pages + 1):
        Sandbox(engine).decide(load(modules, policy(pages=str(count))), b"{}", EmptyHost())
    assert attempts.given == [QUICK_FUEL, None]


def test_of_very_many_slow_modules_some_are_forgotten(
    engine: Engine, modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace_module, "MODULES_KEPT", 3)
    pace = Pace()
    deciding = Sandbox(engine, pace=pace)
    for number in range(8):
        body = COUNTING.format(100_000 + number, answering())
        deciding.decide(load(modules, policy(body)), b"{}", EmptyHost())
        assert 1 <= len(pace._slow) <= 3
