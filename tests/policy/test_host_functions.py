"""What a policy may ask of its host, and what it costs."""

import hashlib

import pytest
from wasmtime import Engine
from wat_policies import COUNTING, answering, policy, quoted

from signer.policy import native
from signer.policy.faults import Fault
from signer.policy.grants import EmptyHost, Grants, HostFunction
from signer.policy.host_functions import MAX_LOG_LINE_BYTES, MAX_LOG_LINES, CounterRead
from signer.policy.limits import Limits
from signer.policy.verdict import ALLOW, BAD_VERDICT, MAX_AMOUNT, Deny

IMPORTS = {
    HostFunction.READ_COUNTER: '(import "holdfast" "read_counter" (func $ask (param i32 i32 i32 i32) (result i32)))',
    HostFunction.LIST_CONTAINS: '(import "holdfast" "list_contains" (func $ask (param i32 i32 i32 i32) (result i32)))',
    HostFunction.SHA256: '(import "holdfast" "sha256" (func $ask (param i32 i32 i32)))',
    HostFunction.KECCAK256: '(import "holdfast" "keccak256" (func $ask (param i32 i32 i32)))',
    HostFunction.LOG: '(import "holdfast" "log" (func $ask (param i32 i32)))',
}
NAME = "spend"
NAME_AT, ANSWER_ROOM = 600, 1000
NAME_PLACE = f"(i32.const {NAME_AT}) (i32.const {len(NAME)})"
READ = f"(call $ask {NAME_PLACE} (i32.const 60) (i32.const {ANSWER_ROOM}))"
COUNTER = Grants(frozenset({HostFunction.READ_COUNTER}), counters=frozenset({NAME}))
LIST = Grants(frozenset({HostFunction.LIST_CONTAINS}), lists=frozenset({NAME}))
LOG = Grants(frozenset({HostFunction.LOG}))
SHA256 = Grants(frozenset({HostFunction.SHA256}))


def asking(function: HostFunction, body: str, *, at_name: str | bytes = NAME) -> bytes:
    return policy(body, rest=f"{IMPORTS[function]} (data (i32.const {NAME_AT}) {quoted(at_name)})")


class Ledger(EmptyHost):
    """Counters whose values rise with every question."""

    def __init__(self, value: int) -> None:
        self.value = value
        self.asked: list[tuple[str, int]] = []

    def read_counter(self, name: str, *, window_seconds: int) -> int:
        self.asked.append((name, window_seconds))
        return self.value + len(self.asked) - 1


class Lists(EmptyHost):
    def list_contains(self, name: str, item: str) -> bool:
        return (name, item) == (NAME, "0xabc")


class Broken(EmptyHost):
    def read_counter(self, name: str, *, window_seconds: int) -> int:
        raise RuntimeError("the password is hunter2")


def denial(decision) -> str:
    assert isinstance(decision.verdict, Deny)
    return decision.verdict.code


@pytest.mark.parametrize("value", [0, 7, MAX_AMOUNT])
def test_a_counters_value_comes_as_decimal_digits_and_the_verdict_rests_on_it(decide, value: int):
    telling = asking(
        HostFunction.READ_COUNTER,
        f"(i64.or (i64.const {ANSWER_ROOM << 32}) (i64.extend_i32_u {READ}))",
    )
    decision = decide(telling, grants=COUNTER, host=Ledger(value))
    assert decision.counters_read == (CounterRead(NAME, 60, value),)
    assert denial(decision) == BAD_VERDICT  # the digits alone are no verdict
    equal = " ".join(
        f"(if (i32.ne (i32.load8_u (i32.const {ANSWER_ROOM + at})) (i32.const {ord(digit)})) (then (unreachable)))"
        for at, digit in enumerate(str(value))
    )
    checking = asking(
        HostFunction.READ_COUNTER,
        f"(if (i32.ne {READ} (i32.const {len(str(value))})) (then (unreachable))) {equal} {answering()}",
    )
    assert decide(checking, grants=COUNTER, host=Ledger(value)).verdict is ALLOW


def test_the_same_counter_has_one_value_within_a_decision(decide):
    module = asking(HostFunction.READ_COUNTER, f"(drop {READ}) (drop {READ}) {answering()}")
    ledger = Ledger(5)
    decision = decide(module, grants=COUNTER, host=ledger)
    assert decision.verdict is ALLOW
    assert ledger.asked == [(NAME, 60)]
    assert decision.counters_read == (CounterRead(NAME, 60, 5),)


STOPPED = {
    "a counter that is not granted": (HostFunction.READ_COUNTER, f"(drop {READ})", "other", Fault.NOT_GRANTED),
    "a counter whose name is no text": (HostFunction.READ_COUNTER, f"(drop {READ})", b"\xff" * 5, Fault.HOST_FAILED),
    "a name beyond the memory": (
        HostFunction.READ_COUNTER,
        "(drop (call $ask (i32.const 65535) (i32.const 9) (i32.const 60) (i32.const 0)))",
        NAME,
        Fault.BAD_PLACE,
    ),
    "a name as long as numbers go": (
        HostFunction.READ_COUNTER,
        "(drop (call $ask (i32.const -1) (i32.const -1) (i32.const 60) (i32.const 0)))",
        NAME,
        Fault.BAD_PLACE,
    ),
    "a name that is too long": (
        HostFunction.READ_COUNTER,
        "(drop (call $ask (i32.const 0) (i32.const 257) (i32.const 60) (i32.const 0)))",
        NAME,
        Fault.HOST_FAILED,
    ),
    "a window that ends before it begins": (
        HostFunction.READ_COUNTER,
        f"(drop (call $ask {NAME_PLACE} (i32.const -1) (i32.const 0)))",
        NAME,
        Fault.HOST_FAILED,
    ),
    "an answer beyond the memory": (
        HostFunction.READ_COUNTER,
        f"(drop (call $ask {NAME_PLACE} (i32.const 60) (i32.const 65536)))",
        NAME,
        Fault.BAD_PLACE,
    ),
    "a hash of what is not there": (
        HostFunction.SHA256,
        "(call $ask (i32.const 0) (i32.const 65537) (i32.const 0))",
        NAME,
        Fault.BAD_PLACE,
    ),
    "a hash to where nothing is": (
        HostFunction.SHA256,
        "(call $ask (i32.const 0) (i32.const 8) (i32.const 65510))",
        NAME,
        Fault.BAD_PLACE,
    ),
    "a line from where nothing is": (
        HostFunction.LOG,
        "(call $ask (i32.const -5) (i32.const 4))",
        NAME,
        Fault.BAD_PLACE,
    ),
}


@pytest.mark.parametrize(("function", "body", "name", "fault"), STOPPED.values(), ids=STOPPED.keys())
def test_a_question_that_may_not_be_asked_stops_the_decision(decide, function, body: str, name, fault: Fault):
    grants = Grants(frozenset({function}), counters=frozenset({NAME}), lists=frozenset({NAME}))
    module = asking(function, f"{body} {answering()}", at_name=name)
    assert denial(decide(module, grants=grants, host=Ledger(1))) == fault


def test_what_the_host_cannot_tell_denies_and_no_more_is_said_of_it(decide):
    module = asking(HostFunction.READ_COUNTER, f"(drop {READ}) {answering()}")
    decision = decide(module, grants=COUNTER, host=Broken())
    assert denial(decision) == Fault.HOST_FAILED
    assert "hunter2" not in decision.verdict.message
    assert denial(decide(module, grants=COUNTER, host=Ledger(-1))) == Fault.HOST_FAILED
    assert denial(decide(module, grants=COUNTER, host=Ledger(MAX_AMOUNT + 1))) == Fault.HOST_FAILED
    assert decide(module, grants=COUNTER, host=Ledger(0)).verdict is ALLOW


@pytest.mark.parametrize(("item", "held"), [("0xabc", True), ("0xabd", False), ("", False)])
def test_a_list_is_asked_for_one_item(decide, item: str, held: bool):
    module = asking(
        HostFunction.LIST_CONTAINS,
        f"(if (i32.ne (call $ask {NAME_PLACE} (local.get 0) (local.get 1)) (i32.const {int(held)}))"
        f" (then (unreachable))) {answering()}",
    )
    assert decide(module, item.encode(), grants=LIST, host=Lists()).verdict is ALLOW


def test_a_list_that_is_not_granted_stops_the_decision(decide):
    module = asking(HostFunction.LIST_CONTAINS, f"(drop (call $ask {NAME_PLACE} {NAME_PLACE})) {answering()}")
    no_list = Grants(frozenset({HostFunction.LIST_CONTAINS}))
    assert denial(decide(module, grants=no_list, host=Lists())) == Fault.NOT_GRANTED


HASHES = [
    *((HostFunction.SHA256, data, hashlib.sha256(data).hexdigest()) for data in (b"", b"abc", b"x" * 5000)),
    # Known answers: the empty account's code hash, and the selector of a transfer (Ethereum's contract ABI).
    (HostFunction.KECCAK256, b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
    (HostFunction.KECCAK256, b"transfer(address,uint256)", "a9059cbb"),
    (HostFunction.KECCAK256, b"approve(address,uint256)", "095ea7b3"),
]


@pytest.mark.parametrize(("function", "data", "digest"), HASHES)
def test_a_hash_is_that_hash(decide, function: HostFunction, data: bytes, digest: str):
    equal = " ".join(
        f"(if (i32.ne (i32.load8_u (i32.const {ANSWER_ROOM + at})) (i32.const {byte})) (then (unreachable)))"
        for at, byte in enumerate(bytes.fromhex(digest))
    )
    module = asking(
        function, f"(call $ask (local.get 0) (local.get 1) (i32.const {ANSWER_ROOM})) {equal} {answering()}"
    )
    assert decide(module, data, grants=Grants(frozenset({function}))).verdict is ALLOW


def test_a_policy_says_what_it_thinks_in_printable_lines(decide):
    module = asking(HostFunction.LOG, f"(call $ask (local.get 0) (local.get 1)) {answering()}")
    assert decide(module, b"too much", grants=LOG).log == ("too much",)
    assert decide(module, b"a\nsigned\x1b[0m\xff", grants=LOG).log[0].isprintable()


def test_a_policy_that_says_very_much_is_not_heard_to_the_end(decide):
    module = asking(
        HostFunction.LOG,
        COUNTING.format(MAX_LOG_LINES + 9, "").replace("(br_if", "(call $ask (i32.const 0) (i32.const 9000)) (br_if", 1)
        + answering(),
    )
    decision = decide(module, grants=LOG, limits=Limits(fuel=5_000_000))
    assert decision.verdict is ALLOW
    assert len(decision.log) == MAX_LOG_LINES
    assert all(len(line) <= 4 * MAX_LOG_LINE_BYTES for line in decision.log)


@pytest.mark.parametrize(
    ("function", "question"),
    [
        (HostFunction.READ_COUNTER, f"(drop {READ})"),
        (HostFunction.LIST_CONTAINS, f"(drop (call $ask {NAME_PLACE} {NAME_PLACE}))"),
        (HostFunction.SHA256, "(call $ask (i32.const 0) (i32.const 0) (i32.const 2000))"),
        (HostFunction.KECCAK256, "(call $ask (i32.const 0) (i32.const 60000) (i32.const 2000))"),
        (HostFunction.LOG, "(call $ask (i32.const 0) (i32.const 0))"),
    ],
)
def test_questions_without_end_use_up_the_fuel(decide, function: HostFunction, question: str):
    grants = Grants(frozenset({function}), counters=frozenset({NAME}), lists=frozenset({NAME}))
    module = asking(function, f"(loop $again {question} (br $again)) (unreachable)")
    decision = decide(module, grants=grants, limits=Limits(fuel=500_000))
    assert denial(decision) == Fault.OUT_OF_FUEL
    assert decision.fuel_used == 500_000


def test_a_start_function_asks_and_pays_like_any_other(decide):
    module = policy(rest=f"{IMPORTS[HostFunction.LOG]} (func $s (call $ask (i32.const 0) (i32.const 3))) (start $s)")
    assert decide(module, grants=LOG).log == ("\\x00\\x00\\x00",)


def test_what_one_decision_was_told_is_not_left_for_the_next(decide):
    module = asking(HostFunction.READ_COUNTER, f"(drop {READ}) {answering()}")
    for value in range(5):
        assert decide(module, grants=COUNTER, host=Ledger(value)).counters_read == (CounterRead(NAME, 60, value),)
    assert decide(policy()).counters_read == ()


class Stalling(EmptyHost):
    """While it answers, far more ticks pass than a policy has time, and hardly any of the processor's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_contains(self, name: str, item: str) -> bool:
        for _ in range(10_000):
            native.increment_epoch(native.address(self._engine.ptr()))
        return False


def test_what_a_busy_machine_takes_of_a_policys_time_is_not_held_against_it(decide, engine):
    module = asking(
        HostFunction.LIST_CONTAINS,
        f"(drop (call $ask {NAME_PLACE} {NAME_PLACE})) " + COUNTING.format(1_000, answering()),
    )
    limits = Limits(wall_seconds=10.0)
    assert decide(module, grants=LIST, host=Stalling(engine), limits=limits).verdict is ALLOW
