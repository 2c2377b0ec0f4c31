"""A policy on its author's bench decides as it does in a signer."""

import pytest
from policy.sample_facts import facts, payment
from policy.wat_policies import policy
from wasmtime import wat2wasm

from signer.errors import ConfigError, PolicyImportNotGrantedError, PolicyModuleError
from signer.policy.compiled import Interface
from signer.policy.faults import Fault
from signer.policy.given import Given
from signer.policy.grants import HostFunction
from signer.policy.pack import Kind, Manifest, Pack
from signer.policy.rules.rule import RuleFile
from signer.policy.verdict import ALLOW, Deny
from signer.policy.workbench import Workbench

ASKS_A_LIST = r"""
(module
  (import "holdfast" "list_contains" (func $listed (param i32 i32 i32 i32) (result i32)))
  (import "holdfast" "log" (func $log (param i32 i32)))
  (memory (export "memory") 8)
  (data (i32.const 16) "{\"verdict\":\"allow\"}")
  (data (i32.const 64) "friendsalice")
  (func (export "holdfast_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "holdfast_evaluate_1") (param i32 i32) (result i64)
    (call $log (i32.const 71) (i32.const 5))
    (if (i32.eqz (call $listed (i32.const 64) (i32.const 7) (i32.const 71) (i32.const 5))) (then (unreachable)))
    (i64.or (i64.shl (i64.const 16) (i64.const 32)) (i64.const 19))))
"""
SPINS = r"""
(module
  (memory (export "memory") 8)
  (func (export "holdfast_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "holdfast_evaluate_1") (param i32 i32) (result i64) (loop (br 0)) (unreachable)))
"""
# A call of wasmtime costs little fuel and much time: what may be spent here would last for ten seconds and more.
GROWS_BY_NOTHING = SPINS.replace("(loop (br 0))", "(loop (drop (memory.grow (i32.const 0))) (br 0))")


def manifest(**fields: object) -> Manifest:
    return Manifest(name="a", kind=Kind.MODULE, **fields)


def test_a_module_is_answered_what_is_given_and_its_log_is_kept() -> None:
    granted = manifest(functions=(HostFunction.LIST_CONTAINS, HostFunction.LOG), lists=("friends",))
    with Workbench() as bench:
        opened = bench.open(Pack(granted, bytes(wat2wasm(ASKS_A_LIST))), name="policy.wasm")
        friend = bench.ask(opened, facts(), Given(lists={"friends": frozenset({"alice"})}))
        stranger = bench.ask(opened, facts())
    assert (friend.verdict, friend.log) == (ALLOW, ("alice",))
    assert friend.fuel_used > 40_000, "two calls of the host, at 20,000 each"
    assert isinstance(stranger.verdict, Deny)
    assert stranger.verdict.code == Fault.TRAPPED


def test_grants_and_limits_are_those_of_the_manifest() -> None:
    with Workbench() as bench:
        with pytest.raises(PolicyImportNotGrantedError, match="list_contains"):
            bench.open(Pack(manifest(), bytes(wat2wasm(ASKS_A_LIST))), name="policy.wasm")
        spins = bench.open(Pack(manifest(fuel=10_000), bytes(wat2wasm(SPINS))), name="policy.wasm")
        spent = bench.ask(spins, facts())
    assert isinstance(spent.verdict, Deny)
    assert (spent.verdict.code, spent.fuel_used) == (Fault.OUT_OF_FUEL, 10_000)


def test_what_takes_too_long_is_ended_by_the_clock() -> None:
    slow = manifest(fuel=1_000_000_000, wall_milliseconds=10)
    with Workbench() as bench:
        found = bench.ask(bench.open(Pack(slow, bytes(wat2wasm(GROWS_BY_NOTHING))), name="policy.wasm"), facts())
    assert isinstance(found.verdict, Deny)
    assert found.verdict.code == Fault.TIMED_OUT


def test_rules_decide_and_are_called_by_their_file() -> None:
    rules = b"version: 1\notherwise: allow\ndeny:\n  - {name: payments, payload: [transaction]}\n"
    with Workbench() as bench:
        opened = bench.open(Pack(Manifest(name="a", kind=Kind.RULES), rules), name="treasury/policy.yaml")
        found = bench.ask(opened, facts(transaction=payment()))
        assert isinstance(opened.decider, RuleFile)
        assert isinstance(found.verdict, Deny)
        assert found.verdict.evidence["where"] == "treasury/policy.yaml:4"
        for wrong in (b"version: 1\n", b"\xff"):
            with pytest.raises(ConfigError, match=r"policy\.yaml|rules"):
                bench.open(Pack(Manifest(name="a", kind=Kind.RULES), wrong), name="policy.yaml")


def test_a_module_alone_is_judged_as_if_all_were_granted() -> None:
    with Workbench() as bench:
        assert bench.check_module(bytes(wat2wasm(ASKS_A_LIST))) is Interface.VERSION_1
        assert bench.check_module(policy()) is Interface.VERSION_1
        with pytest.raises(PolicyModuleError, match="wasi"):
            bench.check_module(bytes(wat2wasm('(module (import "wasi" "clock" (func)))')))
