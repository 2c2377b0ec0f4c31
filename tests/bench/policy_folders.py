"""Rows of the table about the policies in `policies/`: each that has cases is asked these, one after the other."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from bench_rows import Row, Run
from wasmtime import Engine

from signer.policy.cases import Case, judge, read_cases
from signer.policy.facts import encode_facts
from signer.policy.folder import Folder, pack_folder, read_folder
from signer.policy.loading import load_policy
from signer.policy.modules import Modules
from signer.policy.pack import Kind
from signer.policy.rules.file import read_rule_file
from signer.policy.sandbox import Evaluation, Sandbox
from signer.policy.verdict import Verdict

POLICIES = Path(__file__).resolve().parent.parent.parent / "policies"

Ask = Callable[[], object]
"""One decision."""


def policy_folders(directory: Path = POLICIES) -> Iterator[Folder]:
    """The folders of policies that have cases."""
    for each in sorted(directory.iterdir()):
        if (each / "manifest.yaml").is_file() or (each / "policy.yaml").is_file():
            folder = read_folder(each)
            if folder.cases.is_file():
                yield folder


def example_policies(run: Run, engine: Engine, modules: Modules, *, directory: Path = POLICIES) -> Iterator[Row]:
    """One row for each folder. Raises RuntimeError where a policy does not decide as its cases expect."""
    sandbox = Sandbox(engine)
    for folder in policy_folders(directory):
        cases = read_cases(folder.cases.read_text(encoding="utf-8"), name=str(folder.cases))
        asking = (
            _asking_rules(folder) if folder.manifest.kind is Kind.RULES else _asking_module(folder, modules, sandbox)
        )
        yield _row(run, folder, [asking(case) for case in cases])


def _asking_rules(folder: Folder) -> Callable[[Case], Ask]:
    rules = read_rule_file(folder.content.read_text(encoding="utf-8"), name=str(folder.content))

    def asking(case: Case) -> Ask:
        _check(case, rules(case.facts))
        return partial(rules, case.facts)

    return asking


def _asking_module(folder: Folder, modules: Modules, sandbox: Sandbox) -> Callable[[Case], Ask]:
    pack = pack_folder(folder)
    policy = load_policy(
        modules,
        sandbox,
        pack.content,
        grants=pack.manifest.grants,
        limits=pack.manifest.limits,
        data=pack.data,
        entry_point=pack.manifest.entry_point,
    )

    def asking(case: Case) -> Ask:
        text = encode_facts(case.facts)
        _check(case, sandbox.decide(policy, text, case.given).verdict)
        return partial(sandbox.decide, policy, text, case.given)

    return asking


def _check(case: Case, verdict: Verdict) -> None:
    result = judge(case, verdict)
    if not result.passed:
        raise RuntimeError(f"{case.where}: {case.name}: {result.differs}")


def _row(run: Run, folder: Folder, asks: list[Ask]) -> Row:
    fuel = [decided.fuel_used for decided in (ask() for ask in asks) if isinstance(decided, Evaluation)]
    medians, lates, rates = [], [], []
    for _ in range(run.repeats):
        times: list[float] = []
        end = time.perf_counter() + run.seconds / 2
        while time.perf_counter() < end:
            for ask in asks:
                started = time.perf_counter()
                ask()
                times.append(time.perf_counter() - started)
        times.sort()
        medians.append(times[len(times) // 2] * 1e6)
        lates.append(times[int(len(times) * 0.99)] * 1e6)
        rates.append(len(times) / sum(times))
    used = f"{min(fuel):,} to {max(fuel):,} fuel" if fuel else "rules use no fuel"
    language = folder.language.value if folder.language else "module"
    value = median(medians)
    return Row(
        f"policies/{folder.directory.name} ({language}), median", f"{value:.0f} us", value, larger_is_better=False,
        notes=f"{median(rates):,.0f} decisions/s on one thread; p99 {median(lates):.0f} us; {len(asks)} cases; {used}",
    )  # fmt: skip
