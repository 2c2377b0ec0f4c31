"""`holdfast policy eval|explain|bench`: one request put to a policy, why it decides so, and what it costs."""

import time
from array import array
from collections import Counter
from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any

import typer

from signer.cli.commands.context import session_of
from signer.cli.policy_target import Target, find_cases, find_context, find_target
from signer.cli.problem import UsageFault
from signer.cli.verdict_words import verdict_document, verdict_lines
from signer.policy.facts import Facts
from signer.policy.given import Given
from signer.policy.rules.rule import Explanation, Finding, RuleFile
from signer.policy.sandbox import Evaluation
from signer.policy.verdict import Allow, Deny, RequireApproval, Verdict
from signer.policy.workbench import Opened, Workbench

MAX_BENCH_SECONDS = 30

_WARM_UP = 100
"""Evaluations before those that are counted."""

TargetArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The policy's folder, or its pack; this folder if none.")
]
FactsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The request's facts, JSON or as in a case; - reads standard input."),
]
CaseOption = Annotated[str | None, typer.Option(metavar="NAME", help="The facts of this case instead.")]
CasesOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The cases; the folder's own if none are named.")
]


def add_to(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("eval")(evaluate)
    group.command("explain")(explain)
    group.command("bench")(bench)


def evaluate(
    context: typer.Context,
    folder: TargetArgument = Path(),
    *,
    facts: FactsOption = None,
    case: CaseOption = None,
    cases: CasesOption = None,
) -> None:
    """Ask the policy about one request: its verdict, the fuel it used, its log, and the counters it read.

    Facts that the file does not name are ordinary ones, as in a case. Exit code 0 whatever the verdict.

    For example:

    - `holdfast policy eval treasury --case "a large payment"`
    - `echo 'transaction: {type: eip1559, value: 5}' | holdfast policy eval treasury --facts -`
    """
    session = session_of(context)
    target = find_target(folder)
    asked, given = find_context(target, facts=facts, case=case, cases=cases)
    with Workbench() as bench:
        found = bench.ask(bench.open(target.pack, name=target.name), asked, given)
    session.output.document(
        {
            "verdict": verdict_document(found.verdict),
            "fuel_used": found.fuel_used,
            "fuel_limit": target.pack.manifest.fuel,
            "microseconds": round(found.seconds * 1e6, 1),
            "counters_read": [
                {"counter": each.counter, "window_seconds": each.window_seconds, "value": str(each.value)}
                for each in found.counters_read
            ],
            "log": list(found.log),
        }
    )
    for line in verdict_lines(found.verdict):
        session.output.line(line)
    if found.fuel_used:
        session.output.line(f"fuel {found.fuel_used} of {target.pack.manifest.fuel}")
    for read in found.counters_read:
        session.output.line(f"read counter {read.counter} in {read.window_seconds} s: {read.value}")
    for line in found.log:
        session.output.line(f"log: {line}")


def explain(
    context: typer.Context,
    folder: TargetArgument = Path(),
    *,
    facts: FactsOption = None,
    case: CaseOption = None,
    cases: CasesOption = None,
) -> None:
    """Show which rules decide about a request, and what every other rule had to do with it, with file and line.

    For policies of rules. A module explains itself by its code, message and evidence: `holdfast policy eval`.

    For example:

    - `holdfast policy explain treasury --case "a large payment"`
    - `holdfast policy explain treasury --facts request.json --json`
    """
    session = session_of(context)
    target = find_target(folder)
    with Workbench() as bench:
        rules = bench.open(target.pack, name=target.name).decider
    if not isinstance(rules, RuleFile):
        raise UsageFault(
            "a module has no rules that could be shown",
            remedy="see what it says of a request: `holdfast policy eval`",
        )
    asked, _ = find_context(target, facts=facts, case=case, cases=cases)
    found = rules.explain(asked)
    session.output.document(_explanation_document(found))
    for line in verdict_lines(found.verdict):
        session.output.line(line)
    places = {finding.rule: finding.where for finding in found.findings}
    for name in found.decided_by:
        session.output.line(f"decided by rule {name} ({places[name]})")
    if not found.decided_by:
        said = "otherwise: allow" if rules.grants_the_rest and not isinstance(found.verdict, Deny) else "no rule"
        session.output.line(f"decided by {said}")
    session.output.headed_table(
        ("where", "section", "rule", "what it does", "because"),
        [
            (each.where, each.section.value, each.rule, each.effect.value, each.because.message if each.because else "")
            for each in found.findings
        ],
    )


def bench(
    context: typer.Context,
    folder: TargetArgument = Path(),
    *,
    facts: FactsOption = None,
    case: CaseOption = None,
    cases: CasesOption = None,
    seconds: Annotated[int, typer.Option(min=1, max=MAX_BENCH_SECONDS, help="How long to measure.")] = 2,
) -> None:
    """Measure what decisions of this policy cost here: how many a second, their median and p99, and their fuel.

    On one thread, all of the folder's cases in turn unless one request is named. The time for making the facts' text is
    left out: it is spent once for all policies of a request.

    For example:

    - `holdfast policy bench treasury --case "a large payment"`
    """
    session = session_of(context)
    target = find_target(folder)
    asked = _contexts(target, facts, case, cases)
    with Workbench() as workbench, session.output.progress("measuring"):
        policy = workbench.open(target.pack, name=target.name)
        found = _measure(workbench, policy, asked, seconds=seconds)
    measured = _figures(found)
    session.output.document(measured)
    session.output.line(
        f"{measured['evaluations_per_second']} evaluations a second, {measured['evaluations']} measured:"
        f" median {measured['median_microseconds']} us, p99 {measured['p99_microseconds']} us"
    )
    if measured["most_fuel"]:
        limit = target.pack.manifest.fuel
        session.output.line(f"fuel: median {measured['median_fuel']}, most {measured['most_fuel']} of {limit}")
    for told, times in measured["verdicts"].items():
        session.output.line(f"{told}: {times}")


def _contexts(target: Target, facts: Path | None, case: str | None, cases: Path | None) -> list[tuple[Facts, Given]]:
    if facts is None and case is None:
        return [(each.facts, each.given) for each in find_cases(target, cases)]
    return [find_context(target, facts=facts, case=case, cases=cases)]


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers alone: half a minute makes a million of each."""

    seconds: MutableSequence[float] = field(default_factory=lambda: array("d"))
    fuel: MutableSequence[int] = field(default_factory=lambda: array("Q"))
    verdicts: Counter[str] = field(default_factory=Counter)

    def add(self, found: Evaluation) -> None:
        """One more."""
        self.seconds.append(found.seconds)
        self.fuel.append(found.fuel_used)
        self.verdicts[_kind(found.verdict)] += 1


def _measure(bench: Workbench, policy: Opened, asked: Sequence[tuple[Facts, Given]], *, seconds: int) -> Measured:
    for n in range(_WARM_UP):
        bench.ask(policy, *asked[n % len(asked)])
    measured = Measured()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for facts, given in asked:
            measured.add(bench.ask(policy, facts, given))
    return measured


def _figures(measured: Measured) -> dict[str, Any]:
    took, fuel = measured.seconds, measured.fuel
    return {
        "evaluations": len(took),
        "evaluations_per_second": round(len(took) / sum(took)),
        "median_microseconds": round(median(took) * 1e6, 1),
        "p99_microseconds": round((quantiles(took, n=100)[-1] if len(took) > 1 else took[0]) * 1e6, 1),
        "median_fuel": round(median(fuel)),
        "most_fuel": max(fuel),
        "verdicts": dict(measured.verdicts.most_common()),
    }


def _kind(verdict: Verdict) -> str:
    match verdict:
        case Deny(code):
            return f"deny {code}"
        case RequireApproval():
            return "require_approval"
        case Allow():
            return "allow"


def _explanation_document(found: Explanation) -> dict[str, Any]:
    return {
        "verdict": verdict_document(found.verdict),
        "decided_by": list(found.decided_by),
        "findings": [_finding_document(each) for each in found.findings],
    }


def _finding_document(finding: Finding) -> dict[str, Any]:
    because = finding.because
    return {
        "rule": finding.rule,
        "section": finding.section.value,
        "where": finding.where,
        "effect": finding.effect.value,
        "because": None if because is None else {"code": because.code, "message": because.message},
    }
