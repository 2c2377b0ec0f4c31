"""`holdfast policy bench`: what decisions of a policy cost on this machine."""

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
from signer.cli.commands.policy_options import CaseOption, CasesOption, FactsOption, TargetArgument
from signer.cli.policy_target import Target, find_cases, find_context, find_target
from signer.cli.verdict_words import verdict_kind
from signer.policy.facts import Facts
from signer.policy.given import Given
from signer.policy.sandbox import Evaluation
from signer.policy.workbench import Opened, Workbench

MAX_SECONDS = 30

_WARM_UP = 100
"""Evaluations before those that are counted."""


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    group.command("bench")(bench)


def bench(
    context: typer.Context,
    folder: TargetArgument = Path(),
    *,
    facts: FactsOption = None,
    case: CaseOption = None,
    cases: CasesOption = None,
    seconds: Annotated[int, typer.Option(min=1, max=MAX_SECONDS, help="How long to measure.")] = 2,
) -> None:
    """Measure what decisions of this policy cost here: how many a second, their median and p99, and their fuel.

    On one thread, all of the folder's cases in turn unless one request is named. The time for making the facts' text is
    left out: it is spent once for all policies of a request.

    For example:

    - `holdfast policy bench treasury --case "a large payment"`
    """
    session = session_of(context)
    target = find_target(folder)
    asked = _contexts(target, facts=facts, case=case, cases=cases)
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


def _contexts(target: Target, *, facts: Path | None, case: str | None, cases: Path | None) -> list[tuple[Facts, Given]]:
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
        self.verdicts[verdict_kind(found.verdict)] += 1


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
