"""A module that imports its memory gets one of its own, and is the same in everything else."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime import Config, Engine, Module, WasmtimeError, wat2wasm

from signer.errors import PolicyModuleInvalidError
from signer.policy.own_memory import with_own_memory

ENGINE = Engine(Config())

LAYOUTS = {
    "nothing else": "",
    "functions before and behind": '(func $f (result i32) (i32.const 1)) (export "f" (func $f))',
    "tables and their functions": "(table 3 funcref) (elem (i32.const 0) $g) (func $g)",
    "globals": '(global (export "g") (mut i32) (i32.const 7))',
    "data": '(data (i32.const 3) "abc")',
    "data that waits": '(data $d "abc") (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3)))',
    "a start": "(func $s) (start $s)",
    "an exported memory": '(export "memory" (memory 0))',
    "a section of nobody": '(@custom "name of nobody" "content")',
}


def importing(rest: str, limits: str = "2") -> bytes:
    return bytes(
        wat2wasm(
            f'(module (import "env" "before" (func (param i32))) (import "env" "memory" (memory {limits}))'
            f' (import "env" "behind" (func (result i32))) {rest})'
        )
    )


@pytest.mark.parametrize("rest", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("limits", ["2", "2 300"])
def test_the_memory_is_its_own_and_all_else_is_what_it_was(rest: str, limits: str):
    before, after = importing(rest, limits), with_own_memory(importing(rest, limits), host="env", name="memory")
    old, new = Module(ENGINE, before), Module(ENGINE, after)
    assert [each.name for each in old.imports] == ["before", "memory", "behind"]
    assert [each.name for each in new.imports] == ["before", "behind"]
    assert [each.name for each in new.exports] == [each.name for each in old.exports]
    for each in new.exports:
        if each.name == "memory":
            assert (each.type.limits.min, each.type.limits.max) == (2, None if limits == "2" else 300)


def test_a_module_with_a_memory_of_its_own_stays_as_it_is():
    module = bytes(wat2wasm('(module (import "env" "f" (func)) (memory (export "memory") 1))'))
    assert with_own_memory(module, host="env", name="memory") == module
    other = bytes(wat2wasm('(module (import "other" "memory" (memory 1)))'))
    assert with_own_memory(other, host="env", name="memory") == other


def test_imported_tables_and_globals_are_refused():
    for imported in ('"env" "t" (table 1 funcref)', '"env" "g" (global i32)'):
        with pytest.raises(PolicyModuleInvalidError):
            with_own_memory(bytes(wat2wasm(f"(module (import {imported}))")), host="env", name="memory")


WHOLE = importing(" ".join(LAYOUTS[name] for name in ("tables and their functions", "globals", "data")))


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_module_is_refused_or_becomes_bytes_for_the_compiler_to_judge(data):
    module = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(8, len(module) - 1))
        module[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del module[data.draw(st.integers(9, len(module))) :]
    try:
        changed = with_own_memory(bytes(module), host="env", name="memory")
        Module.validate(ENGINE, changed)
    except (PolicyModuleInvalidError, WasmtimeError):
        return
    # What the compiler takes after the change, it would have taken before.
    Module.validate(ENGINE, bytes(module))
