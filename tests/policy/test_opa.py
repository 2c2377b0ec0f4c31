"""Modules of Open Policy Agent. Those in `rego/` were built from their sources by the real tool, version 1.22.2:

opa build -t wasm -e treasury/verdict -e treasury/allow treasury.rego
opa build -t wasm -e needs/verdict needs_host.rego
"""

import json
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from signer.errors import PolicyExportError, PolicyImportError, PolicyModuleError
from signer.policy.faults import Fault
from signer.policy.grants import NO_GRANTS, EmptyHost
from signer.policy.limits import DEFAULT_LIMITS, Limits
from signer.policy.loading import load_policy
from signer.policy.opa import NOT_ALLOWED
from signer.policy.pack import MAX_DATA_BYTES
from signer.policy.sandbox import LoadedPolicy
from signer.policy.verdict import ALLOW, Allow, Deny, RequireApproval, Reservation

REGO = Path(__file__).parent / "rego"
TREASURY = (REGO / "treasury.wasm").read_bytes()
DATA = json.dumps({"receivers": ["0xaa", "0xcc"], "limits": {"daily": "1000"}}).encode()


def facts(**transaction: str) -> bytes:
    return json.dumps({"opaque": False, "transaction": transaction}).encode()


@pytest.fixture(scope="module")
def load(modules, sandbox):
    def loaded(module: bytes = TREASURY, **said) -> LoadedPolicy:
        return load_policy(modules, sandbox, module, **said)

    return loaded


@pytest.fixture(scope="module")
def ask(sandbox, load):
    def asked(text: bytes, entry_point: str = "treasury/verdict", data: bytes = DATA, limits: Limits = DEFAULT_LIMITS):
        policy = load(data=data, entry_point=entry_point, limits=limits)
        return sandbox.decide(policy, text, EmptyHost()).verdict

    return asked


LARGE = "5" * 19


@pytest.mark.parametrize(
    ("transaction", "verdict"),
    [
        ({"to": "0xaa", "value": "5"}, Allow((Reservation("eth", 86400, 5, 1000),))),
        ({"to": "0xcc", "value": "7"}, Allow((Reservation("eth", 86400, 7, 1000),))),
        ({"to": "0xaa", "value": LARGE}, RequireApproval(2, ("treasury",), 3600)),
        ({"to": "0xbb", "value": "5"}, Deny("RECEIVER_NOT_LISTED", "the receiver is not on the list")),
        ({"value": "5"}, Deny("RECEIVER_NOT_LISTED", "the receiver is not on the list")),
    ],
)
def test_a_rule_that_gives_verdicts_is_read_like_every_policy(ask, transaction, verdict):
    assert ask(facts(**transaction)) == verdict


@pytest.mark.parametrize(("receiver", "allowed"), [("0xaa", True), ("0xbb", False), ("", False)])
def test_a_rule_that_is_true_allows_and_whatever_else_denies(ask, receiver: str, allowed: bool):
    verdict = ask(facts(to=receiver, value="1"), "treasury/allow")
    assert verdict is ALLOW if allowed else verdict.code == NOT_ALLOWED


def test_the_data_document_decides_with_the_facts(ask):
    elsewhere = json.dumps({"receivers": ["0xbb"], "limits": {"daily": "1"}}).encode()
    assert ask(facts(to="0xbb", value="1"), data=elsewhere) == Allow((Reservation("eth", 86400, 1, 1),))
    assert ask(facts(to="0xaa", value="1"), data=elsewhere).code == "RECEIVER_NOT_LISTED"


def test_without_data_a_rule_that_needs_it_does_not_hold(ask):
    assert ask(facts(to="0xaa", value="1"), data=b"").code == "RECEIVER_NOT_LISTED"


def test_facts_that_are_no_json_are_denied(ask):
    for text in (b"", b"{", b"\xff\xfe", b"nothing"):
        assert isinstance(ask(text), Deny)


def test_large_facts_are_read_to_their_end(ask):
    assert ask(facts(data="0x" + "ab" * 50_000, to="0xaa", value="5"), limits=Limits(fuel=20_000_000)) == Allow(
        (Reservation("eth", 86400, 5, 1000),)
    )


def test_fuel_ends_a_rego_policy_too(sandbox, load):
    policy = load(data=DATA, entry_point="treasury/verdict")
    starved = LoadedPolicy(policy.module, data=DATA, entry_point=policy.entry_point, limits=Limits(fuel=9000))
    verdict = sandbox.decide(starved, facts(to="0xaa", value="5"), EmptyHost()).verdict
    assert isinstance(verdict, Deny)
    assert verdict.code == Fault.OUT_OF_FUEL


def test_nothing_of_one_decision_is_seen_by_the_next(ask):
    for _ in range(20):
        assert ask(facts(to="0xaa", value="5")) == Allow((Reservation("eth", 86400, 5, 1000),))
        assert ask(facts(to="0xbb", value="5")).code == "RECEIVER_NOT_LISTED"


def test_builtins_that_would_run_in_the_host_are_refused_by_name(load):
    with pytest.raises(PolicyImportError) as refused:
        load((REGO / "needs_host.wasm").read_bytes())
    assert refused.value.evidence == {"import": "http.send"}
    for name in ("http.send", "sprintf", "time.now_ns"):
        assert name in refused.value.sentence


def test_an_entry_point_must_be_named_where_there_are_several(load):
    for entry_point in ("", "treasury/nothing"):
        with pytest.raises(PolicyExportError, match="treasury/allow, treasury/verdict"):
            load(entry_point=entry_point)


@pytest.mark.parametrize(
    "data",
    [b"[]", b"1", b"{", b'{"a":"\xff"}', b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", b" " * (MAX_DATA_BYTES + 1)],
)
def test_a_data_document_that_is_no_object_is_refused(load, data: bytes):
    with pytest.raises(PolicyModuleError):
        load(data=data, entry_point="treasury/verdict")


def test_data_and_entry_points_are_not_for_our_own_interface(modules, sandbox):
    from wat_policies import policy

    for said in ({"data": b"{}"}, {"entry_point": "a/b"}):
        with pytest.raises(PolicyModuleError, match="Open Policy Agent"):
            load_policy(modules, sandbox, policy(), **said)
    assert load_policy(modules, sandbox, policy()).data == b""


def test_a_module_that_only_calls_itself_one_of_theirs_is_refused(modules, sandbox):
    pretending = bytes(wat2wasm('(module (import "env" "memory" (memory 1)) (func (export "opa_eval")))'))
    with pytest.raises(PolicyExportError):
        modules.load(pretending, NO_GRANTS)
    importing = bytes(
        wat2wasm(
            '(module (import "env" "memory" (memory 1)) (import "env" "emscripten_sleep" (func))'
            ' (func (export "opa_eval")))'
        )
    )
    with pytest.raises(PolicyImportError, match="emscripten_sleep"):
        modules.load(importing, NO_GRANTS)
