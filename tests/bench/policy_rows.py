"""Rows of the table about policies: what one decision costs, in each language, and what a policy that burns all its
fuel costs the others.
"""

import asyncio
import time
from collections.abc import Iterator
from statistics import median

import uvloop
from bench_rows import Row, Run
from policy_folders import example_policies
from wasmtime import Engine, wat2wasm

from signer.interpreter import tune_interpreter
from signer.policy.evaluations import Evaluations
from signer.policy.facts import Caller, Duty, Environment, Facts, Signer, encode_facts
from signer.policy.grants import NO_GRANTS, EmptyHost
from signer.policy.modules import Modules
from signer.policy.native import make_engine
from signer.policy.sandbox import LoadedPolicy, Sandbox
from signer.policy.verdict import ALLOW

FACTS_BYTES = 1024
FUEL = 10_000
BURNING = 32
"""Requests of the burning policy that are under way all the time."""

EACH_SECONDS = 0.003
"""Between two requests of the quick policy."""

_MODULE = """(module (memory (export "memory") 17)
  (data (i32.const 16) "{{\\22verdict\\22:\\22allow\\22}}")
  (func (export "holdfast_allocate") (param i32) (result i32) (i32.const 4096))
  (func (export "holdfast_evaluate_1") (param i32 i32) (result i64) (local i32 i32)
    {body}
    (i64.const {answer})))"""

# Reads its facts to their end: ten instructions for each byte.
_READS_ITS_FACTS = """(loop $next
  (drop (i32.load8_u (i32.add (local.get 0) (local.get 2))))
  (br_if $next (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (local.get 1))))"""

SAME_FOR_ALL_FACTS = _READS_ITS_FACTS.replace("(local.get 1)))", f"(i32.const {FACTS_BYTES})))")
"""The body of a policy that reads as if its facts were always 1 kB."""

BURNS = "(loop $again (br $again))"


def policies(run: Run) -> Iterator[Row]:
    """All of them."""
    engine = make_engine()
    modules = Modules(engine)
    quick, burning = (LoadedPolicy(modules.load(module_of(body), NO_GRANTS)) for body in (_READS_ITS_FACTS, BURNS))
    yield _one_decision(run, engine, quick)
    yield from example_policies(run, engine, modules)
    yield uvloop.run(_beside_a_burner(run, engine, quick, burning))


def module_of(body: str) -> bytes:
    """A policy that does this and allows."""
    return bytes(wat2wasm(_MODULE.format(body=body, answer=16 << 32 | len('{"verdict":"allow"}'))))


def _facts() -> bytes:
    key = "0x" + "ab" * 48
    facts = Facts(
        version=1,
        opaque=False,
        payload_hash="0x" + "11" * 32,
        duty=Duty(type="ATTESTATION", slot="9000000", epoch="281250", source_epoch="281249", target_epoch="281250"),
        signer=Signer(key_id=key, public_key=key, algorithm="bls12-381", namespace="default"),
        caller=Caller(identity="validator-client", address="10.0.0.1"),
        environment=Environment(timestamp=1_700_000_000, simulation=False),
    )
    return encode_facts(facts).ljust(FACTS_BYTES)


def _one_decision(run: Run, engine: Engine, policy: LoadedPolicy) -> Row:
    sandbox, facts, host = Sandbox(engine), _facts(), EmptyHost()
    decision = sandbox.decide(policy, facts, host)
    if decision.verdict is not ALLOW or not 0.8 * FUEL < decision.fuel_used < 1.3 * FUEL:
        raise RuntimeError(f"this is not the policy to be measured: {decision}")
    medians, lates, rates = [], [], []
    for _ in range(run.repeats):
        times = []
        end = time.perf_counter() + run.seconds
        while (started := time.perf_counter()) < end:
            sandbox.decide(policy, facts, host)
            times.append(time.perf_counter() - started)
        times.sort()
        medians.append(times[len(times) // 2] * 1e6)
        lates.append(times[int(len(times) * 0.99)] * 1e6)
        rates.append(len(times) / run.seconds)
    value = median(medians)
    notes = (
        f"a fresh store and instance each time; {decision.fuel_used:,} fuel; p99 {median(lates):.0f} us; "
        f"{median(rates):,.0f} decisions/s on one thread"
    )
    return Row(
        "policy of 10,000 fuel, 1 kB of facts, median", f"{value:.0f} us", value, 80, 60, larger_is_better=False,
        notes=notes,
    )  # fmt: skip


async def _beside_a_burner(run: Run, engine: Engine, quick: LoadedPolicy, burning: LoadedPolicy) -> Row:
    tune_interpreter()
    evaluations, facts, host = Evaluations(engine), _facts(), EmptyHost()
    stopping, burnt = asyncio.Event(), 0

    async def burn(key: int) -> None:
        nonlocal burnt
        while not stopping.is_set():
            await evaluations.decide([burning], facts, host, key=("burning", key))
            burnt += 1

    async def late(seconds: float) -> tuple[float, float]:
        times = []
        end = time.perf_counter() + seconds
        while (started := time.perf_counter()) < end:
            await evaluations.decide([quick], facts, host, key="quick")
            times.append(time.perf_counter() - started)
            await asyncio.sleep(EACH_SECONDS)
        times.sort()
        return times[len(times) // 2] * 1e3, times[int(len(times) * 0.99)] * 1e3

    alone = await late(run.seconds)
    burners = [asyncio.create_task(burn(key)) for key in range(BURNING)]
    beside = [await late(run.seconds) for _ in range(run.repeats)]
    stopping.set()
    await asyncio.gather(*burners)
    await evaluations.close()
    p50, p99 = (median(column) for column in zip(*beside, strict=True))
    notes = (
        f"{BURNING} requests of a policy that burns its {burning.limits.fuel:,} fuel under way all the time "
        f"({burnt / run.seconds / run.repeats:,.0f}/s); the others' p50 {p50:.2f} ms; alone p50 {alone[0]:.2f} ms, "
        f"p99 {alone[1]:.2f} ms"
    )
    return Row(
        "other keys' decisions beside a burning policy, p99", f"{p99:.1f} ms", p99, 20, 10, larger_is_better=False,
        notes=notes,
    )  # fmt: skip
