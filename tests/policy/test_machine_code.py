"""Modules that are made to keep a compiler busy, or to break it: they are not taken, and harm nobody."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from binary_modules import F64, I32, NOTHING, OWN_TYPE, binary_policy, body, function_type, number
from wat_policies import policy

from signer.errors import PolicyModuleError, PolicyModuleInvalidError
from signer.policy.grants import NO_GRANTS
from signer.policy.machine_code import Compiler
from signer.policy.verdict import ALLOW

IF = b"\x20\x00\x04\x40\x0b"
"""A branch that does nothing."""


def many_branches(count: int) -> bytes:
    return binary_policy(body(IF * count, locals_=[(1, I32)]))


def nested_branches(count: int) -> bytes:
    return binary_policy(body(b"\x20\x00\x04\x40" * count + b"\x0b" * count, locals_=[(1, I32)]))


def nested_blocks(count: int) -> bytes:
    return binary_policy(body(b"\x02\x40" * count + b"\x0b" * count))


def wide_calls(count: int) -> bytes:
    """Each call hands a thousand numbers on; three bytes each."""
    wide = function_type([I32] * 1000, [I32] * 1000)
    numbers = b"\x41\x00" * 1000
    return binary_policy(
        body(numbers + b"\x10\x03" * count + b"\x1a" * 1000), body(numbers), types=[wide], kinds=[NOTHING, OWN_TYPE]
    )


def wide_branches(count: int) -> bytes:
    """Each branch out of a block hands a thousand numbers on."""
    block = b"\x02\x03" + b"\x41\x00" * 1000 + b"\x41\x00\x0d\x00" * count + b"\x0b" + b"\x1a" * 1000
    return binary_policy(body(block), types=[function_type([], [I32] * 1000)])


def loops_of_locals(count: int) -> bytes:
    """Loops in loops, each with two thousand locals that change in it."""
    changes = b"".join(b"\x20" + number(each) + b"\x41\x01\x6a\x21" + number(each) for each in range(2000))
    return binary_policy(body(b"\x03\x40" * count + changes + b"\x41\x00\x0d\x00\x0b" * count, locals_=[(2000, I32)]))


def conversions(count: int) -> bytes:
    return binary_policy(body(b"\x20\x00\xb0\x1a" * count, locals_=[(1, F64)]))


def many_locals(count: int) -> bytes:
    return binary_policy(*[body(b"", locals_=[(50_000, I32)])] * count)


def large_jump_tables(count: int) -> bytes:
    return binary_policy(body((b"\x02\x40\x41\x00\x0e" + number(60_000) + b"\0" * 60_001 + b"\x0b") * count))


def many_functions(count: int) -> bytes:
    return binary_policy(*[body(b"")] * count)


def many_types(count: int) -> bytes:
    return binary_policy(types=[function_type([I32] * (each % 50)) for each in range(count)])


BOMBS = {
    "a thousand numbers handed on by a call, again and again": wide_calls(5_000),
    "as many branches as a module holds": many_branches(830_000),
    "branches in branches": nested_branches(800_000),
    "conversions without end": conversions(1_000_000),
    "loops in loops that change two thousand locals": loops_of_locals(2_000),
    "fifty thousand locals in every function": many_locals(50_000),
}
"""Each takes minutes, or many gigabytes, of a compiler that is let run."""

LARGE = {
    "branches": many_branches(2_000),
    "branches in branches": nested_branches(1_000),
    "blocks in blocks": nested_blocks(20_000),
    "a thousand numbers handed on by branches": wide_branches(300),
    "fifty thousand locals": many_locals(5),
    "jump tables": large_jump_tables(3),
    "functions": many_functions(2_000),
    "types": many_types(50_000),
}
"""The same in sizes that are compiled soon."""


def refused(modules, module: bytes) -> str:
    with pytest.raises(PolicyModuleInvalidError) as error:
        modules.load(module, NO_GRANTS)
    assert error.value.code == "POLICY_MODULE_INVALID"
    return error.value.sentence


STRICT = {
    "memory": ({"most_bytes": 160 << 20}, wide_calls(5_000)),
    "processor time": ({"most_seconds": 0.3}, many_branches(100_000)),
}


@pytest.mark.parametrize(("bounds", "module"), STRICT.values(), ids=STRICT.keys())
def test_a_module_that_takes_more_than_it_may_is_not_taken_and_the_next_one_is(bounds, module: bytes):
    compiler = Compiler(**bounds)
    with pytest.raises(PolicyModuleInvalidError, match="cannot be compiled within") as error:
        compiler.compile(module)
    assert error.value.sentence.isprintable()
    assert compiler.compile(policy())
    compiler.end()


def test_a_module_that_becomes_more_code_than_is_kept_is_not_taken_and_the_next_one_is():
    compiler = Compiler(most_code_bytes=200_000)
    with pytest.raises(PolicyModuleInvalidError, match="at most 200000 are kept"):
        compiler.compile(wide_calls(30))
    assert compiler.compile(policy())
    compiler.end()


@pytest.mark.torture
@pytest.mark.parametrize("module", BOMBS.values(), ids=BOMBS.keys())
def test_a_module_that_would_be_compiled_for_minutes_is_not_taken(modules, decide, module: bytes):
    begun = time.process_time()
    assert "cannot be compiled within" in refused(modules, module)
    assert time.process_time() - begun < 1.0  # not in this process
    assert decide(policy()).verdict is ALLOW


@pytest.mark.parametrize("module", LARGE.values(), ids=LARGE.keys())
def test_a_module_that_is_large_in_one_way_is_refused_or_decides(decide, module: bytes):
    with contextlib.suppress(PolicyModuleError):
        assert decide(module).verdict is ALLOW
    assert decide(policy()).verdict is ALLOW


PATIENCE_SECONDS = 60


@pytest.fixture
def compiler() -> Iterator[Compiler]:
    made = Compiler()
    yield made
    made.end()


def wait_until(holds) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill(process_id: int) -> None:
    """End it, and wait for that without taking notice of it in its parent's place."""
    os.kill(process_id, signal.SIGKILL)
    os.waitid(os.P_PID, process_id, os.WEXITED | os.WNOWAIT)


def test_one_process_compiles_one_module_after_the_other(compiler):
    code = compiler.compile(policy())
    first = compiler.process_id
    assert compiler.compile(policy()) == code
    with pytest.raises(PolicyModuleInvalidError):
        compiler.compile(b"\0asm\1\0\0\0\1")
    assert compiler.compile(policy()) == code
    assert compiler.process_id == first


def test_a_process_that_was_ended_between_two_modules_is_started_again(compiler):
    code = compiler.compile(policy())
    kill(compiler.process_id)
    assert compiler.compile(policy()) == code


def test_a_module_whose_compiler_dies_is_not_taken_and_the_next_one_is(compiler):
    with ThreadPoolExecutor(1) as threads:
        compiling = threads.submit(compiler.compile, wide_calls(5_000))
        wait_until(lambda: compiler.process_id is not None or compiling.done())
        if (process_id := compiler.process_id) is not None:
            os.kill(process_id, signal.SIGKILL)
        with pytest.raises(PolicyModuleInvalidError, match="cannot be compiled"):
            compiling.result(PATIENCE_SECONDS)
    assert compiler.compile(policy())


def test_whoever_is_interrupted_while_it_waits_leaves_no_answer_for_the_next_module(compiler):
    """The signal comes while this thread waits for the code of a module that takes long."""

    def interrupt(*_) -> None:
        raise InterruptedByTest

    class InterruptedByTest(BaseException):
        pass

    code = compiler.compile(policy())
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(InterruptedByTest):
            compiler.compile(wide_calls(5_000))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert compiler.compile(policy()) == code


def test_the_process_ends_when_no_module_comes_any_more():
    compiler = Compiler(idle_seconds=0)
    assert compiler.compile(policy())
    wait_until(lambda: compiler.process_id is None)
    assert compiler.compile(policy())
    compiler.end()


def test_the_process_does_not_outlive_its_owner(compiler):
    compiler.compile(policy())
    process_id = compiler.process_id
    compiler.end()
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)
