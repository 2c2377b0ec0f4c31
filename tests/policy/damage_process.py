"""Loads and asks damaged modules, in a process of its own: `damage_process.py SEED COUNT`. Ends with 0 when each was
refused or decided within its limits and a good policy decided rightly all along; a crash ends it with something else.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

from damage import damaged  # noqa: E402 - the path above comes first
from wat_policies import COUNTING, PLAIN_ALLOW, answering, policy, rego_like  # noqa: E402

from signer.errors import PolicyModuleError  # noqa: E402
from signer.policy.grants import Grants, HostFunction  # noqa: E402
from signer.policy.host_functions import SIGNATURES  # noqa: E402
from signer.policy.limits import Limits  # noqa: E402
from signer.policy.loading import load_policy  # noqa: E402
from signer.policy.modules import Modules  # noqa: E402
from signer.policy.native import make_engine  # noqa: E402
from signer.policy.sandbox import LoadedPolicy, Sandbox  # noqa: E402
from signer.policy.verdict import ALLOW, Allow, Deny, RequireApproval  # noqa: E402


class Answering:
    """A host that has an answer to everything."""

    def read_counter(self, name: str, *, window_seconds: int) -> int:
        return len(name) + window_seconds

    def list_contains(self, name: str, item: str) -> bool:
        return name < item


GRANTS = Grants(frozenset(HostFunction), counters=frozenset({"spend"}), lists=frozenset({"spend"}))
LIMITS = Limits(fuel=200_000)
FACTS = json.dumps({"opaque": False, "transaction": {"to": "0xaa", "value": "5"}}).encode()
IMPORTS = "".join(
    f'(import "holdfast" "{name}" (func ${name} (param {" ".join(parameters)}) {"(result i32)" if results else ""}))'
    for name, (parameters, results) in SIGNATURES.items()
)

BUSY = policy(
    "(drop (call $read_counter (i32.const 600) (i32.const 5) (i32.const 60) (i32.const 1000)))"
    "(drop (call $list_contains (i32.const 600) (i32.const 5) (i32.const 600) (i32.const 5)))"
    "(call $sha256 (i32.const 600) (i32.const 5) (i32.const 1000))"
    "(call $keccak256 (i32.const 600) (i32.const 5) (i32.const 1000))"
    "(call $log (i32.const 600) (i32.const 5))"
    + COUNTING.format(50, "(call $fill) (drop (call_indirect (type $answer) (i32.const 1))) " + answering()),
    rest=IMPORTS + "(type $answer (func (result i32))) (table 2 funcref) (elem (i32.const 0) $one $one)"
    "(func $one (result i32) (i32.const 1)) (func $fill (memory.fill (i32.const 60000) (i32.const 1) (i32.const 9)))"
    '(global $g (mut i64) (i64.const 5)) (data (i32.const 600) "spend") (func $start) (start $start)'
    '(func (export "_initialize") (global.set $g (i64.const 6)))',
)
"""Uses everything that a module may."""

REGO = (HERE / "rego" / "treasury.wasm").read_bytes()
SMALL = (BUSY, BUSY, rego_like())
LARGE_EVERY = 20
"""One in so many is the real Rego module: compiling it takes a quarter of a second."""


def main(seed: int, count: int) -> Counter[str]:
    """How many came to what."""
    engine = make_engine()
    modules, sandbox = Modules(engine), Sandbox(engine)
    good = LoadedPolicy(modules.load(policy(answer=PLAIN_ALLOW), GRANTS))
    source, came_to = Random(seed), Counter[str]()
    for number in range(count):
        whole, entry_point = (REGO, "treasury/verdict") if number % LARGE_EVERY == 0 else (source.choice(SMALL), "")
        came_to[_outcome(modules, sandbox, damaged(whole, source), entry_point)] += 1
        if sandbox.decide(good, FACTS, Answering()).verdict is not ALLOW:
            raise RuntimeError(f"seed {seed}, module {number}: a good policy decides wrongly after it")
    return came_to


def _outcome(modules: Modules, sandbox: Sandbox, module: bytes, entry_point: str) -> str:
    try:
        loaded = load_policy(modules, sandbox, module, grants=GRANTS, limits=LIMITS, entry_point=entry_point)
    except PolicyModuleError as refused:
        if not str(refused).isprintable():
            raise RuntimeError("a refusal does not print") from None
        return "refused"
    decided = sandbox.decide(loaded, FACTS, Answering())
    if decided.fuel_used > LIMITS.fuel:
        raise RuntimeError(f"{decided.fuel_used} fuel were used")
    match decided.verdict:
        case Allow():
            return "allowed"
        case Deny(message=message) if message.isprintable():
            return "denied"
        case RequireApproval():
            return "asked"
    raise RuntimeError(f"this is no decision: {decided.verdict}")


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
