"""Modules that do what nobody should: each is refused or denied with its code, and good policies decide as before.

What a module does to a compiler is in `test_machine_code.py`; loops, traps and places of answers in `test_sandbox.py`.
"""

import asyncio

import pytest
from binary_modules import I32, binary_policy, body, number
from wat_policies import COUNTING, ECHO, PLAIN_ALLOW, answering, place, policy, quoted, rego_like

from signer.errors import PolicyImportError, PolicyModuleError
from signer.policy.evaluations import Evaluations
from signer.policy.faults import Fault
from signer.policy.grants import NO_GRANTS, EmptyHost, Grants, HostFunction
from signer.policy.host_functions import MAX_LOG_LINE_BYTES, MAX_LOG_LINES
from signer.policy.limits import MAX_TABLE_ELEMENTS, Limits
from signer.policy.loading import load_policy
from signer.policy.sandbox import LoadedPolicy
from signer.policy.verdict import ALLOW, BAD_VERDICT, VERDICT_TOO_LARGE, Deny

PAGES_OF_ALL = 256
PATIENCE_SECONDS = 60
SAYS_NO = b'{"verdict":"deny","code":"NO","message":"no"}'


@pytest.fixture
def good(decide):
    """Ask policies that are well-behaved, after whatever came before."""

    def decides_right() -> None:
        assert decide(ECHO, PLAIN_ALLOW.encode()).verdict is ALLOW
        assert decide(ECHO, SAYS_NO).verdict == Deny("NO", "no")

    return decides_right


def allocating(code: str) -> str:
    return f'(func (export "holdfast_allocate") (param i32) (result i32) {code})'


def starting(code: str, rest: str = "") -> str:
    return f"(func $start (local i32 i32 i32) {code}) (start $start) {rest}"


GROW_TO_THE_END = "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))"
WIDE_CALLS = "(call $deeper " + "(i64.const 1)" * 40 + ")"

DENIED = {
    "a start function that takes all memory and stops": (
        policy(rest=starting(GROW_TO_THE_END + "(unreachable)")),
        Fault.TRAPPED,
    ),
    "a start function that calls itself without end": (
        policy(rest="(func $start (call $start) (call $start)) (start $start)"),
        Fault.STACK_OVERFLOW,
    ),
    "a start function that burns all but a little": (
        policy(rest=starting(COUNTING.format(1_000_000, ""))),
        Fault.OUT_OF_FUEL,
    ),
    "calls without end with many parameters": (
        policy(
            "(drop " + WIDE_CALLS + ")" + answering(),
            rest="(func $deeper (param " + "i64 " * 40 + ") (result i64) (i64.add (i64.const 1) " + WIDE_CALLS + "))",
        ),
        Fault.STACK_OVERFLOW,
    ),
    "calls without end with fifty thousand locals": (
        binary_policy(body(b"\x10\x02\x10\x02", locals_=[(50_000, I32)]), start=2),
        Fault.STACK_OVERFLOW,
    ),
    "calls without end through a table": (
        policy(
            "(call_indirect (i32.const 0)) " + answering(),
            rest="(table 1 funcref) (elem (i32.const 0) $f)"
            "(func $f (call_indirect (i32.const 0)) (call_indirect (i32.const 0)))",
        ),
        Fault.STACK_OVERFLOW,
    ),
    "data that begins beyond the memory": (policy(rest='(data (i32.const 65536) "x")'), Fault.TRAPPED),
    "data that begins below zero": (policy(rest='(data (i32.const -1) "xx")'), Fault.TRAPPED),
    "functions beyond the end of their table": (
        policy(rest="(table 2 funcref) (elem (i32.const 2) $f) (func $f)"),
        Fault.TRAPPED,
    ),
    "a copy out of data that is gone": (
        policy('(data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))' + answering(),
               rest='(data $d "abc")'),
        Fault.TRAPPED,
    ),
    "a table copied beyond its end": (
        policy("(table.copy (i32.const 1) (i32.const 0) (i32.const 9))" + answering(), rest="(table 9 funcref)"),
        Fault.TRAPPED,
    ),
    "a function of another type called through a table": (
        policy(
            "(drop (call_indirect (result i64) (i32.const 0))) " + answering(),
            rest="(table 1 funcref) (elem (i32.const 0) $f) (func $f)",
        ),
        Fault.TRAPPED,
    ),
    "a number too large for its conversion": (
        policy("(drop (i32.trunc_f64_s (f64.const 1e300))) " + answering()),
        Fault.TRAPPED,
    ),
    "a quotient that has no place": (
        policy("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1))) " + answering()),
        Fault.TRAPPED,
    ),
    "an allocator whose room is where the answer stands": (policy(allocate=allocating("(i32.const 16)")), BAD_VERDICT),
    "an allocator whose room goes around the end of numbers": (
        policy(allocate=allocating("(i32.const -2)")),
        Fault.BAD_PLACE,
    ),
    "an allocator that takes all memory and gives none": (
        policy(allocate=allocating(GROW_TO_THE_END + "(i32.const 0)")),
        Fault.OUT_OF_MEMORY,
    ),
    "an allocator that takes all memory and stops": (
        policy(allocate=allocating(GROW_TO_THE_END + "(unreachable)")),
        Fault.OUT_OF_MEMORY,
    ),
    "an allocator that gives what lies just beyond the memory it grew to": (
        policy(allocate=allocating("(i32.mul (i32.const 65536) (i32.add (i32.const 1) (memory.grow (i32.const 1))))")),
        Fault.BAD_PLACE,
    ),
    "an answer that goes around the end of numbers": (policy(place(2**32 - 8, 27)), Fault.BAD_PLACE),
    "an answer of nothing at the end of numbers": (policy(place(2**32 - 1, 0)), Fault.BAD_PLACE),
    "an answer of nothing just beyond the memory": (policy(place(65537, 0)), Fault.BAD_PLACE),
    "an answer as long as the largest memory": (
        policy(f"(drop (memory.grow (i32.const {PAGES_OF_ALL - 1})))" + place(0, PAGES_OF_ALL << 16)),
        VERDICT_TOO_LARGE,
    ),
    "an allow behind other bytes": (policy(answering(PLAIN_ALLOW), answer="\0" + PLAIN_ALLOW), BAD_VERDICT),
    "an allow and what comes after it": (policy(place(16, 20)), BAD_VERDICT),
    "an allow with a byte order mark": (policy(answer=b"\xef\xbb\xbf" + PLAIN_ALLOW.encode()), BAD_VERDICT),
    "an allow in UTF-16": (policy(answer=PLAIN_ALLOW.encode("utf-16-le")), BAD_VERDICT),
    "an allow that reserves what is no number": (
        policy(answer='{"verdict":"allow","reserve":[{"counter":"c","window_seconds":0,"amount":"-1","limit":"1"}]}'),
        BAD_VERDICT,
    ),
    "an answer nested without end": (policy(answer="[" * 16_000, pages="2"), BAD_VERDICT),
    "half of a character": (policy(answer='{"verdict":"deny","code":"A","message":"\\ud800"}'), BAD_VERDICT),
    "a code of ours": (policy(answer='{"verdict":"deny","code":"POLICY_TRAPPED","message":"m"}'), BAD_VERDICT),
}  # fmt: skip


@pytest.mark.parametrize(("module", "code"), DENIED.values(), ids=DENIED.keys())
def test_it_is_denied_with_its_code_and_good_policies_decide_as_before(decide, good, module: bytes, code: str):
    for _ in range(2):
        decision = decide(module)
        assert isinstance(decision.verdict, Deny)
        assert decision.verdict.code == code
        assert decision.verdict.message.isprintable()
        assert decision.fuel_used <= Limits().fuel
        good()


async def test_at_the_same_time_on_several_threads_each_gets_its_own_verdict(engine, modules):
    evaluations = Evaluations(engine, long_threads=2)
    limits = Limits(fuel=300_000, wall_seconds=PATIENCE_SECONDS)
    hostile = [(LoadedPolicy(modules.load(module, NO_GRANTS), limits=limits), code) for module, code in DENIED.values()]
    echo = LoadedPolicy(modules.load(ECHO, NO_GRANTS), limits=limits)
    asked, expected = [], []
    for turn in range(5):
        for number_, (policy_, code) in enumerate(hostile):
            asked.append(evaluations.decide([policy_], b"{}", EmptyHost(), key=("hostile", number_)))
            expected.append({code, Fault.OUT_OF_FUEL})
            own = f'{{"verdict":"deny","code":"NO_{turn}_{number_}","message":"no"}}'.encode()
            asked.append(evaluations.decide([echo], own, EmptyHost(), key="good"))
            expected.append({f"NO_{turn}_{number_}"})
    decided = await asyncio.wait_for(asyncio.gather(*asked), PATIENCE_SECONDS)
    await evaluations.close()
    for (decision,), codes in zip(decided, expected, strict=True):
        assert isinstance(decision.verdict, Deny)
        assert decision.verdict.code in codes


AT_THE_END_OF_A_NEW_PAGE = 2 * 65536 - len(PLAIN_ALLOW)

ALLOWED = {
    "its answer stands in memory that it got while it decided": policy(
        "(drop (memory.grow (i32.const 1)))"
        f"(memory.copy (i32.const {AT_THE_END_OF_A_NEW_PAGE}) (i32.const 16) (i32.const {len(PLAIN_ALLOW)}))"
        + place(AT_THE_END_OF_A_NEW_PAGE, len(PLAIN_ALLOW))
    ),
    "its facts stand in memory that its allocator got": policy(
        "(if (i32.ne (i32.load16_u (local.get 0)) (i32.const 0x7d7b)) (then (unreachable)))" + answering(),
        allocate=allocating("(i32.mul (i32.const 65536) (memory.grow (i32.const 3)))"),
    ),
    "its start function takes memory": policy(rest=starting("(drop (memory.grow (i32.const 9)))")),
    "it asks for more memory than there is, and goes on": policy(GROW_TO_THE_END + answering()),
    "its table grows as far as it may": policy(
        "(loop $again (br_if $again (i32.ne (table.grow (ref.null func) (i32.const 100)) (i32.const -1))))"
        f"(if (i32.ne (table.size) (i32.const {MAX_TABLE_ELEMENTS})) (then (unreachable)))" + answering(),
        rest="(table 0 funcref)",
    ),
    "its answer is as large as an answer may be": policy(
        answer=PLAIN_ALLOW.ljust(16 * 1024), allocate=allocating("(i32.const 40000)")
    ),
    "a function of the longest name there may be": policy(rest=f'(func (export "{"n" * 100_000}"))'),
    "sections of nobody, and names that are no names": policy()
    + b"\0" + number(1_000_005) + b"\4name" + b"\xff" * 1_000_000,
    "more data than memory, never used": policy(rest=f'(data "{"x" * 1_000_000}")'),
    "a thousand pieces of data, one over the other": policy(rest='(data (i32.const 40000) "zzzzzz")' * 1000),
    "ten thousand functions in its table": policy(
        rest="(table 10000 funcref) (elem (i32.const 0) " + "$f " * 10_000 + ") (func $f)"
    ),
}  # fmt: skip


@pytest.mark.parametrize("module", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_is_only_strange_decides_all_the_same_and_again(decide, good, module: bytes):
    for _ in range(3):
        assert decide(module).verdict is ALLOW
        good()


ESCAPE = "\x1b]0;signed\x07\r\n\u202e"

REFUSED = {
    "an import whose name moves the cursor": (
        policy(rest=f'(import "holdfast" {quoted(ESCAPE)} (func))'),
        PolicyImportError,
    ),
    "an import with the longest name there may be": (
        policy(rest=f'(import "{"m" * 100_000}" "{"n" * 100_000}" (func))'),
        PolicyImportError,
    ),
    "a name longer than names are": (policy(rest=f'(func (export "{"n" * 100_001}"))'), PolicyModuleError),
    "two exports with a name that moves the cursor": (
        policy(rest='(func $f) (export "one" (func $f)) (export "two" (func $f))')
        .replace(b"\3one", b"\3\x1b[m")
        .replace(b"\3two", b"\3\x1b[m"),
        PolicyModuleError,
    ),
    "a start function that is not there": (binary_policy(start=9), PolicyModuleError),
    "a start function with a parameter": (
        binary_policy(start=0),
        PolicyModuleError,
    ),
    "a hundred thousand globals": (
        binary_policy(globals_=[b"\x7f\x01\x41\x00\x0b"] * 100_000),
        PolicyModuleError,
    ),
    "a table without end": (policy(rest="(table 0xffffffff funcref)"), PolicyModuleError),
    "more tables than a policy may have": (policy(rest="(table 1 funcref)" * 5), PolicyModuleError),
    "memory that begins with all that numbers reach": (policy(pages="65536"), PolicyModuleError),
    "the functions of both interfaces, and what neither takes": (
        rego_like(rest='(import "holdfast" "log" (func (param i32 i32)))'),
        PolicyImportError,
    ),
    "a memory of the host": (
        rego_like().replace(b"\x08opa_eval", b"\x08opa_evil"),
        PolicyImportError,
    ),
}


@pytest.mark.parametrize(("module", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_it_is_not_taken_and_what_is_said_of_it_can_be_printed(modules, good, module: bytes, error: type[Exception]):
    for _ in range(2):
        with pytest.raises(error) as refused:
            modules.load(module, Grants(frozenset(HostFunction)))
        told = [refused.value.sentence, *map(str, refused.value.evidence.values())]
        assert all(text.isprintable() and len(text) < 2000 for text in told)
        good()


ASK = {
    HostFunction.READ_COUNTER: '(import "holdfast" "read_counter" (func $ask (param i32 i32 i32 i32) (result i32)))',
    HostFunction.LIST_CONTAINS: '(import "holdfast" "list_contains" (func $ask (param i32 i32 i32 i32) (result i32)))',
    HostFunction.SHA256: '(import "holdfast" "sha256" (func $ask (param i32 i32 i32)))',
    HostFunction.KECCAK256: '(import "holdfast" "keccak256" (func $ask (param i32 i32 i32)))',
    HostFunction.LOG: '(import "holdfast" "log" (func $ask (param i32 i32)))',
}
EVERYTHING = Grants(frozenset(HostFunction), counters=frozenset({"c"}), lists=frozenset({"c"}))
C_AT = 64
NAMED_C = f"(i32.const {C_AT}) (i32.const 1)"
OUTSIDE = [
    *((HostFunction.READ_COUNTER, f"(i32.const {at}) (i32.const {length}) (i32.const 1) (i32.const 0)")
      for at, length in ((65536, 1), (-1, 2), (0, -1), (65535, 2), (-(2**31), 2**31 - 1))),
    *((HostFunction.READ_COUNTER, f"{NAMED_C} (i32.const 1) (i32.const {at})") for at in (65536, -1, -(2**31))),
    *((HostFunction.LIST_CONTAINS, f"{NAMED_C} (i32.const {at}) (i32.const {length})")
      for at, length in ((65536, 1), (-1, 2), (0, -1), (65535, 2))),
    *((function, f"(i32.const {at}) (i32.const {length}) (i32.const 0)")
      for function in (HostFunction.SHA256, HostFunction.KECCAK256)
      for at, length in ((65536, 1), (-1, 2), (65535, 2), (-(2**31), 9))),
    *((function, f"(i32.const 0) (i32.const 8) (i32.const {at})")
      for function in (HostFunction.SHA256, HostFunction.KECCAK256) for at in (65505, 65536, -1, -32)),
    *((HostFunction.LOG, f"(i32.const {at}) (i32.const {length})")
      for at, length in ((65536, 1), (-1, 2), (65535, 2), (-(2**31), 512))),
]  # fmt: skip


@pytest.mark.parametrize(("function", "arguments"), OUTSIDE)
def test_a_place_outside_of_its_memory_is_not_touched_for_it(decide, good, function: HostFunction, arguments: str):
    ask = f"(call $ask {arguments})"
    question = ask if function in {HostFunction.SHA256, HostFunction.KECCAK256, HostFunction.LOG} else f"(drop {ask})"
    module = policy(question + answering(), rest=f'{ASK[function]} (data (i32.const {C_AT}) "c")')
    decision = decide(module, grants=EVERYTHING)
    assert isinstance(decision.verdict, Deny)
    assert decision.verdict.code == Fault.BAD_PLACE
    good()


@pytest.mark.parametrize("function", [HostFunction.SHA256, HostFunction.KECCAK256])
def test_a_hash_of_a_length_that_is_negative_costs_more_than_there_is(decide, good, function: HostFunction):
    module = policy("(call $ask (i32.const 0) (i32.const -1) (i32.const 0))" + answering(), rest=ASK[function])
    assert decide(module, grants=EVERYTHING).verdict.code == Fault.OUT_OF_FUEL
    good()


def test_a_flood_of_lines_ends_with_its_fuel_and_what_is_kept_of_it_is_small(decide, good):
    module = policy("(loop $again (call $ask (i32.const 0) (i32.const -1)) (br $again)) (unreachable)",
                    rest=ASK[HostFunction.LOG])  # fmt: skip
    decision = decide(module, grants=EVERYTHING)
    assert decision.verdict.code == Fault.OUT_OF_FUEL
    assert len(decision.log) == MAX_LOG_LINES
    assert all(line.isprintable() and len(line) <= 10 * MAX_LOG_LINE_BYTES for line in decision.log)
    good()


def test_a_question_from_the_bottom_of_the_stack_is_answered_or_denied(decide, good):
    """Each call asks on its way down, so that some ask with hardly any stack left."""
    module = policy(
        "(call $deeper)" + answering(),
        rest=ASK[HostFunction.SHA256]
        + "(func $deeper (call $ask (i32.const 0) (i32.const 1) (i32.const 0)) (call $deeper) (call $deeper))",
    )
    decision = decide(module, grants=EVERYTHING, limits=Limits(fuel=10**9))
    assert decision.verdict.code == Fault.STACK_OVERFLOW
    good()


def test_what_asks_for_memory_that_its_limit_forbids_from_a_start_function_gets_none(decide, good):
    module = policy(
        "(if (i32.ne (memory.size) (i32.const 16)) (then (unreachable)))" + answering(), rest=starting(GROW_TO_THE_END)
    )
    assert decide(module, limits=Limits(memory_bytes=1 << 20)).verdict is ALLOW
    good()


def test_a_module_that_stops_only_sometimes_spoils_no_later_decision(decide, good):
    """It writes all over its memory, its globals and its table, and then stops with every other kind of facts."""
    module = policy(
        "(if (i32.or (global.get $dirty) (i32.load8_u (i32.const 60000))) (then (unreachable)))"
        "(if (i32.eqz (ref.is_null (table.get (i32.const 3)))) (then (unreachable)))"
        "(global.set $dirty (i32.const 1)) (memory.fill (i32.const 50000) (i32.const 255) (i32.const 15000))"
        "(table.set (i32.const 3) (ref.func $f)) (drop (memory.grow (i32.const 20)))"
        "(memory.fill (i32.const 65536) (i32.const 255) (i32.const 1000000))"
        "(if (i32.eq (i32.load8_u (local.get 0)) (i32.const 120)) (then (unreachable)))"
        "(if (i32.eq (i32.load8_u (local.get 0)) (i32.const 121)) (then (loop $again (br $again))))" + answering(),
        rest="(global $dirty (mut i32) (i32.const 0)) (table 9 funcref) (func $f) (elem declare func $f)",
    )
    expected = {b"a": None, b"x": Fault.TRAPPED, b"y": Fault.OUT_OF_FUEL}
    for number_ in range(30):
        facts = (b"a", b"x", b"y")[number_ % 3]
        verdict = decide(module, facts).verdict
        assert (verdict.code if isinstance(verdict, Deny) else None) == expected[facts]
    good()


LOOP = "(loop $again (br $again)) (unreachable)"
ABORT = '(import "env" "opa_abort" (func $abort (param i32)))'
PRINT = '(import "env" "opa_println" (func $print (param i32)))'
BUILTIN = '(import "env" "opa_builtin1" (func $builtin (param i32 i32 i32) (result i32)))'

REGO = {
    "an endless rule": (rego_like(LOOP), Fault.OUT_OF_FUEL),
    "an endless allocator": (rego_like(allocate=LOOP), Fault.OUT_OF_FUEL),
    "a trap": (rego_like("(unreachable)"), Fault.TRAPPED),
    "an allocator that gives nothing": (rego_like(allocate="(i32.const 0)"), Fault.OUT_OF_MEMORY),
    "an allocator that gives what lies beyond": (rego_like(allocate="(i32.const -1)"), Fault.BAD_PLACE),
    "an answer that lies beyond": (rego_like("(i32.const 262145)"), Fault.BAD_PLACE),
    "an answer below zero": (rego_like("(i32.const -1)"), Fault.BAD_PLACE),
    "an answer without an end": (
        rego_like("(memory.fill (i32.const 9000) (i32.const 32) (i32.const 200000)) (i32.const 9000)"),
        BAD_VERDICT,
    ),
    "an answer up to the last byte of the memory": (
        rego_like("(memory.fill (i32.const 262100) (i32.const 91) (i32.const 44)) (i32.const 262100)"),
        BAD_VERDICT,
    ),
    "an abort with a text that is not there": (
        rego_like("(call $abort (i32.const -1)) (unreachable)", rest=ABORT),
        Fault.BAD_PLACE,
    ),
    "an abort with a text without an end": (
        rego_like(
            "(memory.fill (i32.const 9000) (i32.const 27) (i32.const 200000)) (call $abort (i32.const 9000))"
            "(unreachable)",
            rest=ABORT,
        ),
        Fault.TRAPPED,
    ),
    "a line that is not there": (
        rego_like("(call $print (i32.const 262145)) (local.get 3)", rest=PRINT),
        Fault.BAD_PLACE,
    ),
    "lines without end": (
        rego_like("(loop $again (call $print (i32.const 64)) (br $again)) (unreachable)", rest=PRINT),
        Fault.OUT_OF_FUEL,
    ),
    "a builtin that it did not announce": (
        rego_like("(call $builtin (i32.const 0) (i32.const 0) (i32.const 0))", rest=BUILTIN),
        Fault.NOT_GRANTED,
    ),
}


@pytest.mark.parametrize(("module", "code"), REGO.values(), ids=REGO.keys())
def test_a_hostile_module_with_the_other_interface_is_denied_too(modules, sandbox, good, module: bytes, code: str):
    loaded = load_policy(modules, sandbox, module)
    for _ in range(2):
        verdict = sandbox.decide(loaded, b"{}", EmptyHost()).verdict
        assert isinstance(verdict, Deny)
        assert verdict.code == code
        assert verdict.message.isprintable()
        good()


UNREADABLE = {
    "builtins whose names move the cursor": rego_like(builtins='{"\\u001b[2J":1}'),
    "entry points whose names move the cursor": rego_like(entry_points='{"\\u001b[2J":1,"b":2}'),
    "thousands of builtins": rego_like(builtins="{" + ",".join(f'"b{each}":1' for each in range(180)) + "}"),
    "no builtins": rego_like(builtins="[]"),
    "builtins that are no numbers": rego_like(builtins='{"a":"b"}'),
    "builtins that are no UTF-8": rego_like(builtins=b'{"\xff":1}'),
    "builtins nested without end": rego_like(builtins='{"a":' + "[" * 1900),
    "no entry points": rego_like(entry_points="{}"),
}


@pytest.mark.parametrize("module", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_module_that_says_of_itself_what_nobody_can_read_is_not_taken(modules, sandbox, good, module: bytes):
    with pytest.raises(PolicyModuleError) as refused:
        load_policy(modules, sandbox, module)
    told = [refused.value.sentence, *map(str, refused.value.evidence.values())]
    assert all(text.isprintable() and len(text) < 2000 for text in told)
    good()
