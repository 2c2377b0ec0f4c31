"""`holdfast policy test`: the cases of a policy, what they leave untried, and what they would not notice."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from signer.cli.case_trial import Tested, ask_all, notice_age
from signer.cli.commands.context import session_of
from signer.cli.commands.policy_options import CasesOption, TargetArgument
from signer.cli.output import Output
from signer.cli.policy_target import find_cases, find_target
from signer.cli.problem import EXIT_REFUSED
from signer.cli.verdict_words import verdict_document, verdict_kind
from signer.counted import are, counted
from signer.policy.cases import Case, Coverage, coverage_of
from signer.policy.mutation import Mutant, MutationReport, check_mutants
from signer.policy.rules.rule import RuleFile
from signer.policy.workbench import Workbench

MUTATION_SECONDS = 60.0
"""So long edits are tried, where nobody says how many."""


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    group.command("test")(try_cases)


def try_cases(
    context: typer.Context,
    folder: TargetArgument = Path(),
    *,
    cases: CasesOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail also where cases leave rules untried, or would not notice an edit.")
    ] = False,
    mutations: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=f"Try N edits, however long they take, not all that {MUTATION_SECONDS:.0f} seconds are enough for.",
        ),
    ] = None,
) -> int:
    """Ask the policy every case, and compare its verdicts with those expected. Exit code 1 where one differs.

    A case holds a request's facts, the verdict expected of it (`allow`, `deny`, `require_approval`) and, where it
    matters, `code`, `quorum`, `groups` and `reserves`. Of rules it is also told which of them no case has tried, and
    which edits no case would notice: each rule, condition, limit and entry of a list is taken out in turn, each bound
    halved and doubled, and every case asked again. Of a module it is told what it said: write a case for each code.

    Where there are many rules and cases, a minute is not enough for every edit: it is told how many were tried of how
    many, which are spread evenly over the file, and `--strict` fails. `--mutations N` tries just so many, always the
    same.

    For example:

    - `holdfast policy build treasury && holdfast policy test treasury`
    - `holdfast policy test treasury --strict`
    - `holdfast policy test treasury.policy --cases cases.yaml --json`
    """
    session = session_of(context)
    target = find_target(folder)
    known = find_cases(target, cases)
    if target.folder:
        notice_age(session.output, target.folder)
    with Workbench() as bench:
        policy = bench.open(target.pack, name=target.name)
        tested = ask_all(bench, policy, known, output=session.output)
    failed = [each for each in tested if not each.result.passed]
    rules = policy.decider if isinstance(policy.decider, RuleFile) else None
    untried: list[Coverage] = []
    mutation: MutationReport | None = None
    if rules is not None:
        untried = [each for each in coverage_of(rules, known) if each.missing]
        if not failed:
            mutation = _check_mutants(rules, known, mutations, output=session.output)
    _tell(session.output, tested, rules=rules, untried=untried, mutation=mutation)
    stopped = mutation is not None and mutations is None and mutation.tried < mutation.edits
    left = bool(untried or (mutation and mutation.survivors) or stopped)
    return EXIT_REFUSED if failed or (strict and left) else 0


def _check_mutants(rules: RuleFile, cases: Sequence[Case], mutations: int | None, *, output: Output) -> MutationReport:
    end = time.monotonic() + MUTATION_SECONDS
    with output.progress("taking rules out") as advance:
        if mutations is not None:
            return check_mutants(rules, cases, most=mutations, advance=advance)
        return check_mutants(rules, cases, enough=lambda: time.monotonic() >= end, advance=advance)


# --- what is told -----------------------------------------------------------------------------------


def _tell(
    output: Output,
    tested: Sequence[Tested],
    *,
    rules: RuleFile | None,
    untried: Sequence[Coverage],
    mutation: MutationReport | None,
) -> None:
    failed = [each for each in tested if not each.result.passed]
    survivors = mutation.survivors if mutation else ()
    said = Counter(verdict_kind(each.evaluation.verdict) for each in tested)
    output.document(
        {
            "passed": len(tested) - len(failed),
            "failed": len(failed),
            "said": dict(said),
            "cases": [_case_document(each, rules) for each in tested],
            "untried": [_coverage_document(each) for each in untried],
            "mutants": mutation.tried if mutation else 0,
            "mutants_possible": mutation.edits if mutation else 0,
            "unnoticed": [{"rule": each.rule, "where": each.where, "change": each.change} for each in survivors],
        }
    )
    for each in failed:
        for line in _failure_lines(each, rules):
            output.line(line)
    for coverage in untried:
        output.line(f"untried: {_coverage_words(coverage)}", style="yellow")
    for mutant in survivors:
        output.line(f"unnoticed: {_mutant_words(mutant)}", style="yellow")
    if rules is None:
        output.line(f"said: {', '.join(f'{kind} {times}' for kind, times in said.items())}")
    output.line(_summary(tested, rules=rules, mutation=mutation), style="bold red" if failed else None)


def _failure_lines(tested: Tested, rules: RuleFile | None) -> list[str]:
    case = tested.result.case
    lines = [f"failed: {case.where}: {case.name}", f"  {tested.result.differs}"]
    lines += [f"  decided by {each}" for each in _deciders(case, rules)]
    return lines + [f"  log: {line}" for line in tested.evaluation.log]


def _deciders(case: Case, rules: RuleFile | None) -> list[str]:
    if rules is None:
        return []
    explanation = rules.explain(case.facts)
    places = {finding.rule: finding.where for finding in explanation.findings}
    return [f"rule {name} ({places[name]})" for name in explanation.decided_by]


def _coverage_words(coverage: Coverage) -> str:
    missing = ", nor where it ".join(each.value for each in coverage.missing)
    return f"{coverage.where}: rule {coverage.rule}: no case where it {missing}"


def _mutant_words(mutant: Mutant) -> str:
    rule = f"rule {mutant.rule}: " if mutant.rule else ""
    return f"{mutant.where}: {rule}{mutant.change}, and every case passes"


def _summary(tested: Sequence[Tested], *, rules: RuleFile | None, mutation: MutationReport | None) -> str:
    passed = sum(each.result.passed for each in tested)
    told = f"{counted(len(tested), 'case')}: {passed} passed, {len(tested) - passed} failed"
    if mutation is not None:
        noticed = mutation.tried - len(mutation.survivors)
        if mutation.tried < mutation.edits:
            tried = f"{mutation.tried} of {counted(mutation.edits, 'edit')} of the rules"
            were = "was" if mutation.tried == 1 else "were"
            return (
                f"{told}; only {tried} {were} tried (--mutations N: so many), of which {noticed} {are(noticed)} noticed"
            )
        return f"{told}; of {counted(mutation.tried, 'edit')} of the rules {noticed} {are(noticed)} noticed"
    return f"{told}; edits of the rules are tried once every case passes" if rules is not None else told


def _case_document(tested: Tested, rules: RuleFile | None) -> dict[str, Any]:
    case = tested.result.case
    return {
        "name": case.name,
        "where": case.where,
        "passed": tested.result.passed,
        "expected": case.verdict,
        "differs": tested.result.differs,
        "verdict": verdict_document(tested.evaluation.verdict),
        "fuel_used": tested.evaluation.fuel_used,
        "log": list(tested.evaluation.log),
        "decided_by": _deciders(case, rules),
    }


def _coverage_document(coverage: Coverage) -> dict[str, Any]:
    missing = [each.value for each in coverage.missing]
    return {"rule": coverage.rule, "where": coverage.where, "missing": missing}
