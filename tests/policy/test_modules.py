"""Which modules are taken, what is said of those that are not, and that each is compiled once."""

import weakref

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime import wat2wasm
from wat_policies import BUMP, answering, policy

from signer.errors import (
    PolicyExportError,
    PolicyImportError,
    PolicyImportNotGrantedError,
    PolicyModuleError,
    PolicyModuleInvalidError,
    PolicyModuleTooLargeError,
)
from signer.policy.grants import ALL_FUNCTIONS, NO_GRANTS, EmptyHost, Grants, HostFunction
from signer.policy.limits import MAX_EXPORTS, MAX_MEMORY_BYTES, MAX_MODULE_BYTES
from signer.policy.modules import KEPT_MODULES, Modules
from signer.policy.sandbox import LoadedPolicy
from signer.policy.verdict import ALLOW

LOG = '(import "holdfast" "log" (func $log (param i32 i32)))'
EVALUATE = f'(func (export "holdfast_evaluate_1") (param i32 i32) (result i64) {answering()})'
MEMORY = '(memory (export "memory") 1)'
EVERYTHING = Grants(ALL_FUNCTIONS)


def module(text: str) -> bytes:
    return bytes(wat2wasm(f"(module {text})"))


def test_a_module_is_compiled_once_and_known_by_its_sha256(modules):
    first = modules.load(policy(), NO_GRANTS)
    assert modules.load(policy(), NO_GRANTS) is first
    assert modules.load(policy(pages="2"), NO_GRANTS) is not first


def numbered(number: int) -> bytes:
    return policy(f"(drop (i32.const {number})) " + answering())


def test_a_module_in_use_is_there_once_however_many_come_after_it(engine, sandbox):
    own = Modules(engine)
    first = own.load(policy(), NO_GRANTS)
    for number in range(KEPT_MODULES + 1):
        own.load(numbered(number), NO_GRANTS)
    assert own.load(policy(), NO_GRANTS) is first
    assert sandbox.decide(LoadedPolicy(first), b"{}", EmptyHost()).verdict is ALLOW


def test_of_the_modules_that_nobody_uses_the_latest_are_kept(engine):
    own = Modules(engine)
    known = [weakref.ref(own.load(numbered(number), NO_GRANTS)) for number in range(KEPT_MODULES)]
    assert all(each() is not None for each in known)
    own.load(numbered(0), NO_GRANTS)
    own.load(numbered(KEPT_MODULES), NO_GRANTS)
    assert [number for number, each in enumerate(known) if each() is None] == [1]


def test_large_modules_that_nobody_uses_are_kept_up_to_a_size(engine, modules):
    each_bytes = modules.load(numbered(0), NO_GRANTS).code_bytes
    own = Modules(engine, kept_code_bytes=3 * each_bytes)
    known = [weakref.ref(own.load(numbered(number), NO_GRANTS)) for number in range(5)]
    assert [number for number, each in enumerate(known) if each() is not None] == [2, 3, 4]


UNKNOWN = {
    "WASI": '(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))',
    "a clock": '(import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))',
    "randomness": '(import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))',
    "AssemblyScript's abort": '(import "env" "abort" (func (param i32 i32 i32 i32)))',
    "another function of ours": '(import "holdfast" "sign" (func (param i32 i32)))',
    "a memory of the host": '(import "holdfast" "log" (memory 1))',
    "a global of the host": '(import "holdfast" "log" (global i32))',
    "a table of the host": '(import "env" "table" (table 1 funcref))',
    "a name without letters": '(import "" "" (func))',
}


@pytest.mark.parametrize("imported", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_a_module_that_asks_for_anything_else_is_not_taken_and_is_told_what(modules, imported: str):
    memory = MEMORY if "(memory" not in imported else ""
    with pytest.raises(PolicyImportError) as refused:
        modules.load(module(f"{imported} {memory} {BUMP} {EVALUATE}"), EVERYTHING)
    _, host, _, name, _ = imported.split('"')
    assert refused.value.evidence["import"] == f"{host}.{name}"
    assert f"{host}.{name}" in refused.value.sentence
    assert refused.value.code == "POLICY_UNKNOWN_IMPORT"


def test_an_import_of_another_shape_is_not_taken(modules):
    asking = '(import "holdfast" "log" (func (param i64)))'
    with pytest.raises(PolicyImportError, match=r"it is \(i32, i32\) -> nothing"):
        modules.load(module(f"{asking} {MEMORY} {BUMP} {EVALUATE}"), EVERYTHING)


def test_an_import_that_is_not_granted_is_not_taken_though_another_manifest_grants_it(modules):
    asking = module(f"{LOG} {MEMORY} {BUMP} {EVALUATE}")
    modules.load(asking, Grants(frozenset({HostFunction.LOG})))
    with pytest.raises(PolicyImportNotGrantedError) as refused:
        modules.load(asking, Grants(frozenset({HostFunction.SHA256})))
    assert refused.value.evidence == {"import": "holdfast.log"}
    assert refused.value.code == "POLICY_IMPORT_NOT_GRANTED"


INCOMPLETE = {
    "no memory": (f"(memory 1) {BUMP} {EVALUATE}", "memory"),
    "memory by another kind": (f'(memory 1) (func (export "memory")) {BUMP} {EVALUATE}', "memory"),
    "no allocator": (f"{MEMORY} {EVALUATE}", "holdfast_allocate"),
    "no entry": (f"{MEMORY} {BUMP}", "holdfast_evaluate_1"),
    "an entry of another version": (
        f"{MEMORY} {BUMP} " + EVALUATE.replace("evaluate_1", "evaluate_2"),
        "holdfast_evaluate_1",
    ),
    "an entry of another shape": (
        f'{MEMORY} {BUMP} (func (export "holdfast_evaluate_1") (param i32) (result i64) (i64.const 0))',
        "holdfast_evaluate_1",
    ),
    "an entry that is a number": (
        f'{MEMORY} {BUMP} (global (export "holdfast_evaluate_1") i64 (i64.const 0))',
        "holdfast_evaluate_1",
    ),
    "an allocator of another shape": (
        f'{MEMORY} {EVALUATE} (func (export "holdfast_allocate") (param i64) (result i64) (i64.const 0))',
        "holdfast_allocate",
    ),
    "_initialize with an argument": (
        f'{MEMORY} {BUMP} {EVALUATE} (func (export "_initialize") (param i32))',
        "_initialize",
    ),
}


@pytest.mark.parametrize(("text", "export"), INCOMPLETE.values(), ids=INCOMPLETE.keys())
def test_a_module_without_the_interface_is_not_taken_and_is_told_what_is_missing(modules, text: str, export: str):
    with pytest.raises(PolicyExportError) as refused:
        modules.load(module(text), NO_GRANTS)
    assert refused.value.evidence == {"export": export}
    assert refused.value.code == "POLICY_MISSING_EXPORT"


OFF = {
    "shared memory": f'(memory (export "memory") 1 1 shared) {BUMP} {EVALUATE}',
    "64-bit memory": f'(memory (export "memory") i64 1) {BUMP} {EVALUATE}',
    "two memories": f"{MEMORY} (memory 1) {BUMP} {EVALUATE}",
    "vectors": f"{MEMORY} {BUMP} {EVALUATE} (func (param v128))",
    "tail calls": f"{MEMORY} {BUMP} {EVALUATE} (func $again (return_call $again))",
    "exceptions": f"{MEMORY} {BUMP} {EVALUATE} (tag (param i32))",
    "collected objects": f"{MEMORY} {BUMP} {EVALUATE} (type (struct (field i32)))",
    "atomics": f"{MEMORY} {BUMP} {EVALUATE} (func (drop (i32.atomic.load (i32.const 0))))",
}


@pytest.mark.parametrize("text", OFF.values(), ids=OFF.keys())
def test_features_that_are_off_are_not_taken(modules, text: str):
    with pytest.raises(PolicyModuleInvalidError):
        modules.load(module(text), NO_GRANTS)


NO_MODULES = {
    "nothing": b"",
    "four bytes": b"\0asm",
    "the text format": f"(module {MEMORY} {BUMP} {EVALUATE})".encode(),
    "another version": b"\0asm\x02\0\0\0",
    "a component": b"\0asm\x0d\0\x01\0",
    "a section without end": b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f",
    "half of a module": policy()[: len(policy()) // 2],
    "a native library": b"\x7fELF" + b"\0" * 100,
}


@pytest.mark.parametrize("data", NO_MODULES.values(), ids=NO_MODULES.keys())
def test_what_is_no_module_is_not_taken(modules, data: bytes):
    with pytest.raises(PolicyModuleInvalidError) as refused:
        modules.load(data, NO_GRANTS)
    assert refused.value.code == "POLICY_MODULE_INVALID"


def test_compiled_code_is_not_taken_for_a_module(engine, modules):
    from wasmtime import Module

    with pytest.raises(PolicyModuleInvalidError):
        modules.load(bytes(Module(engine, policy()).serialize()), NO_GRANTS)


def test_thousands_of_exports_are_not_taken(modules):
    exports = " ".join(f'(export "e{number}" (func $f))' for number in range(5000))
    with pytest.raises(PolicyModuleTooLargeError) as refused:
        modules.load(policy(rest=f"(func $f) {exports}"), NO_GRANTS)
    assert refused.value.evidence == {"is": 5003, "limit": MAX_EXPORTS}


def test_as_many_exports_as_are_taken_do_not_stand_in_the_way(decide):
    exports = " ".join(f'(export "e{number}" (func $f))' for number in range(MAX_EXPORTS - 3))
    assert decide(policy(rest=f"(func $f) {exports}")).verdict is ALLOW


def test_thousands_of_imports_are_refused_at_the_first_unknown(modules):
    imports = " ".join(f'(import "env" "f{number}" (func))' for number in range(5000))
    with pytest.raises(PolicyImportError) as refused:
        modules.load(module(f"{imports} {MEMORY} {BUMP} {EVALUATE}"), EVERYTHING)
    assert refused.value.evidence == {"import": "env.f0"}


def test_more_memory_than_any_policy_has_is_not_taken(modules):
    pages = MAX_MEMORY_BYTES // 65536
    modules.load(policy(pages=str(pages)), NO_GRANTS)
    with pytest.raises(PolicyModuleError):
        modules.load(policy(pages=str(pages + 1)), NO_GRANTS)


def test_larger_tables_than_any_policy_has_are_not_taken(modules):
    with pytest.raises(PolicyModuleError):
        modules.load(policy(rest="(table 1000000 funcref)"), NO_GRANTS)
    with pytest.raises(PolicyModuleError):
        modules.load(policy(rest="(table 1 funcref)" * 50), NO_GRANTS)


def test_a_module_larger_than_any_is_not_even_looked_at(modules):
    with pytest.raises(PolicyModuleTooLargeError) as refused:
        modules.load(policy() + b"\0" * MAX_MODULE_BYTES, NO_GRANTS)
    assert refused.value.code == "POLICY_MODULE_TOO_LARGE"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_behind_the_magic_number_are_refused_or_taken_without_harm(modules, tail: bytes):
    with pytest.raises(PolicyModuleError) as refused:
        modules.load(b"\0asm\x01\0\0\0" + tail, NO_GRANTS)
    assert refused.value.sentence.isprintable()
