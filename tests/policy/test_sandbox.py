"""One decision of one module: whatever a module does, the answer is a decision, and a fault is a denial."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wat_policies import COUNTING, ECHO, FACTS_AT, answering, place, policy

from signer.errors import PolicyModuleError
from signer.policy.facts import MAX_FACTS_BYTES
from signer.policy.faults import Fault
from signer.policy.limits import MAX_MEMORY_BYTES, Limits
from signer.policy.verdict import ALLOW, BAD_VERDICT, MAX_VERDICT_BYTES, VERDICT_TOO_LARGE, Deny, decode_verdict

FOREVER = "(loop $again (br $again)) (unreachable)"
GROWING = """(loop $again
  (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable)"""
NESTED = policy("(call $deeper) " + answering(), rest="(func $deeper (call $deeper) (call $deeper))")
STARTING = "(func $start {}) (start $start)"

fuzzing = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def denial(decision) -> str:
    assert isinstance(decision.verdict, Deny)
    return decision.verdict.code


def test_a_policy_allows(decide):
    decision = decide(policy())
    assert decision.verdict is ALLOW
    assert 0 < decision.fuel_used < 100


def test_a_policy_denies_in_its_own_words(decide):
    decision = decide(policy(answer='{"verdict":"deny","code":"NO","message":"not today"}'))
    assert decision.verdict == Deny("NO", "not today")


def test_a_policy_sees_its_facts_to_the_last_byte(decide):
    assert decide(ECHO, b'{"verdict":"deny","code":"HEARD","message":"you"}').verdict == Deny("HEARD", "you")
    assert denial(decide(ECHO, b"x" * MAX_VERDICT_BYTES)) == BAD_VERDICT


HOSTILE = {
    "an endless loop": (policy(FOREVER), Fault.OUT_OF_FUEL),
    "a loop that burns more than its fuel and would end": (
        policy(COUNTING.format(100_000_000, answering())),
        Fault.OUT_OF_FUEL,
    ),
    "an endless loop in the allocator": (
        policy(allocate=f'(func (export "holdfast_allocate") (param i32) (result i32) {FOREVER})'),
        Fault.OUT_OF_FUEL,
    ),
    "an endless loop in the start function": (policy(rest=STARTING.format(FOREVER)), Fault.OUT_OF_FUEL),
    "an endless loop in _initialize": (
        policy(rest=f'(func (export "_initialize") {FOREVER})'),
        Fault.OUT_OF_FUEL,
    ),
    "a fill of its whole memory, again and again": (
        policy(
            "(loop $again (memory.fill (i32.const 8192) (i32.const 7) (i32.const 57000)) (br $again)) (unreachable)"
        ),
        Fault.OUT_OF_FUEL,
    ),
    "a memory that grows as far as it may": (policy(GROWING), Fault.OUT_OF_MEMORY),
    "calls without end": (NESTED, Fault.STACK_OVERFLOW),
    "a trap": (policy("(unreachable)"), Fault.TRAPPED),
    "a trap in the start function": (policy(rest=STARTING.format("(unreachable)")), Fault.TRAPPED),
    "a division by zero": (
        policy("(drop (i32.div_u (i32.const 1) (local.get 2))) " + answering()),
        Fault.TRAPPED,
    ),
    "a load outside of its memory": (
        policy("(drop (i32.load (i32.const 0x7fffffff))) " + answering()),
        Fault.TRAPPED,
    ),
    "a store outside of its memory": (
        policy("(i64.store (i32.const -1) (i64.const 1)) " + answering()),
        Fault.TRAPPED,
    ),
    "a call of nothing": (
        policy("(call_indirect (i32.const 3)) " + answering(), rest="(table 4 funcref)"),
        Fault.TRAPPED,
    ),
    "an allocator that gives nothing": (
        policy(allocate='(func (export "holdfast_allocate") (param i32) (result i32) (i32.const 0))'),
        Fault.OUT_OF_MEMORY,
    ),
    "an allocator that gives the end of the memory": (
        policy(allocate='(func (export "holdfast_allocate") (param i32) (result i32) (i32.const 65535))'),
        Fault.BAD_PLACE,
    ),
    "an allocator that gives what lies beyond": (
        policy(allocate='(func (export "holdfast_allocate") (param i32) (result i32) (i32.const -1))'),
        Fault.BAD_PLACE,
    ),
    "an answer that lies beyond": (policy(place(65536, 19)), Fault.BAD_PLACE),
    "an answer that begins inside and ends beyond": (policy(place(65530, 19)), Fault.BAD_PLACE),
    "an answer as long as numbers go": (policy("(i64.const -1)"), Fault.BAD_PLACE),
    "a giant answer": (policy(place(0, 60_000)), VERDICT_TOO_LARGE),
    "no answer": (policy("(i64.const 0)"), BAD_VERDICT),
    "an answer that is no UTF-8": (policy(answer=b'{"verdict":"deny","code":"A","message":"\xff\xfe"}'), BAD_VERDICT),
    "an answer that is no JSON": (policy(answer="allow"), BAD_VERDICT),
    "an answer in a form of its own": (policy(answer='{"allow":true}'), BAD_VERDICT),
}


@pytest.mark.parametrize(("module", "code"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_module_is_denied_with_a_code_of_its_own_and_harms_no_other(decide, module: bytes, code: str):
    decision = decide(module)
    assert denial(decision) == code
    assert decision.verdict.message.isprintable()
    assert decide(policy()).verdict is ALLOW


def test_a_denial_of_ours_shows_what_was_used_of_what_was_allowed(decide):
    decision = decide(policy(FOREVER), limits=Limits(fuel=12_345))
    assert decision.fuel_used == 12_345
    assert decision.verdict.evidence == {
        "trap": "out_of_fuel",
        "fuel_used": 12_345,
        "fuel_limit": 12_345,
        "memory_bytes": 65536,
        "memory_limit_bytes": MAX_MEMORY_BYTES,
    }


def test_memory_ends_where_the_policys_limit_is(decide):
    told = decide(policy(GROWING), limits=Limits(memory_bytes=1 << 20)).verdict.evidence
    assert told["memory_bytes"] == 1 << 20
    assert denial(decide(policy(pages="17"), limits=Limits(memory_bytes=1 << 20))) == Fault.OUT_OF_MEMORY


def test_facts_are_given_up_to_a_size(decide):
    module = policy(pages="8")
    assert decide(module, b"x" * MAX_FACTS_BYTES).verdict is ALLOW
    assert denial(decide(module, b"x" * (MAX_FACTS_BYTES + 1))) == Fault.FACTS_TOO_LARGE


def test_facts_larger_than_the_memory_are_denied(decide):
    assert denial(decide(policy(), b"x" * 65536)) == Fault.BAD_PLACE


def test_a_module_that_traps_only_sometimes_denies_only_then(decide):
    module = policy("(if (i32.eq (i32.load8_u (local.get 0)) (i32.const 120)) (then (unreachable))) " + answering())
    for _ in range(50):
        assert decide(module, b"ok").verdict is ALLOW
        assert denial(decide(module, b"x")) == Fault.TRAPPED


def test_nothing_of_one_decision_is_seen_by_the_next(decide):
    remembering = policy(
        "(if (i32.load (i32.const 40000)) (then (unreachable)))"
        "(if (global.get $seen) (then (unreachable)))"
        "(if (i32.load (i32.const 1000000)) (then (unreachable)))"
        "(i32.store (i32.const 40000) (i32.const 1)) (i32.store (i32.const 1000000) (i32.const 1))"
        "(global.set $seen (i32.const 1)) " + answering(),
        pages="17",
        rest="(global $seen (mut i32) (i32.const 0))",
    )
    for _ in range(100):
        assert decide(remembering).verdict is ALLOW


def test_the_facts_of_one_request_are_not_in_the_memory_of_another_policy(decide):
    secret = b"\x07" * 20_000
    assert denial(decide(policy("(unreachable)"), secret)) == Fault.TRAPPED
    looking = policy(
        f"(local.set 2 (i32.const {FACTS_AT + 16}))"
        "(loop $next (if (i32.load (local.get 2)) (then (unreachable)))"
        "(br_if $next (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 4))) (i32.const 65528)))) " + answering()
    )
    assert decide(looking, b"{}").verdict is ALLOW


def test_the_same_decision_uses_the_same_fuel(decide):
    module = policy(COUNTING.format(1000, answering()))
    assert len({decide(module, b"{}").fuel_used for _ in range(20)}) == 1


def test_what_is_no_number_has_one_bit_pattern(decide):
    """A NaN with a payload goes through arithmetic; on real machines its bits would differ."""
    module = policy(
        "(if (i32.ne (i32.reinterpret_f32 (f32.mul (f32.reinterpret_i32 (i32.const 0x7fa12345)) (f32.const 2)))"
        " (i32.const 0x7fc00000)) (then (unreachable))) " + answering()
    )
    assert decide(module).verdict is ALLOW


def test_initialize_runs_before_the_decision(decide):
    module = policy(
        "(if (i32.eqz (global.get $ready)) (then (unreachable))) " + answering(),
        rest='(global $ready (mut i32) (i32.const 0)) (func (export "_initialize") (global.set $ready (i32.const 1)))',
    )
    assert decide(module).verdict is ALLOW


@fuzzing
@given(st.binary(max_size=2000))
def test_any_answer_is_read_as_it_is(decide, output: bytes):
    assert decide(ECHO, output).verdict == decode_verdict(output)


@fuzzing
@given(
    st.integers(-(2**31), 2**31 - 1) | st.integers(65000, 66000),
    st.integers(-(2**63), 2**63 - 1)
    | st.builds(lambda a, b: a << 32 | b, st.integers(0, 70_000), st.integers(0, 70_000)),
    st.integers(0, 300).map(lambda length: b"x" * length),
)
def test_places_of_any_kind_are_inside_or_denied(decide, allocated: int, answered: int, facts: bytes):
    module = policy(
        f"(i64.const {answered})",
        answer="",
        allocate=f'(func (export "holdfast_allocate") (param i32) (result i32) (i32.const {allocated}))',
    )
    assert denial(decide(module, facts)) in {
        Fault.BAD_PLACE, Fault.OUT_OF_MEMORY, VERDICT_TOO_LARGE, BAD_VERDICT
    }  # fmt: skip


VICTIM = policy(
    COUNTING.format(50, "(call $helper) (drop (call_indirect (type $answer) (i32.const 1))) " + answering()),
    rest="(type $answer (func (result i32))) (table 2 funcref) (elem (i32.const 0) $one $one)"
    "(func $one (result i32) (i32.const 1)) (func $helper (memory.fill (i32.const 60000) (i32.const 1) (i32.const 9)))"
    "(global $g (mut i64) (i64.const 5))",
)


@settings(fuzzing, max_examples=400)
@given(st.data())
def test_a_mutated_module_is_refused_or_decides_within_its_limits(decide, data):
    module = bytearray(VICTIM)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(8, len(module) - 1))
        match data.draw(st.sampled_from(["change", "remove", "insert", "cut"])):
            case "change":
                module[at] = data.draw(st.integers(0, 255))
            case "remove":
                del module[at : at + data.draw(st.integers(1, 8))]
            case "insert":
                module[at:at] = data.draw(st.binary(min_size=1, max_size=8))
            case "cut":
                del module[at:]
        if len(module) <= 9:
            break
    decision = decision_or_refusal(decide, bytes(module))
    if isinstance(decision, PolicyModuleError):
        assert str(decision).isprintable()
    else:
        assert decision.verdict is ALLOW or isinstance(decision.verdict, Deny)
        assert decision.fuel_used <= 100_000


def decision_or_refusal(decide, module: bytes):
    try:
        return decide(module, limits=Limits(fuel=100_000))
    except PolicyModuleError as refused:
        return refused
