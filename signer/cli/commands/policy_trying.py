"""`holdfast policy eval|explain`: one request put to a policy, and why it decides so."""

from pathlib import Path
from typing import Any

import typer

from signer.cli.commands import policy_bench
from signer.cli.commands.context import session_of
from signer.cli.commands.policy_options import CaseOption, CasesOption, FactsOption, TargetArgument
from signer.cli.policy_target import find_context, find_target
from signer.cli.problem import UsageFault
from signer.cli.verdict_words import verdict_document, verdict_lines
from signer.policy.rules.rule import Explanation, Finding, RuleFile
from signer.policy.verdict import Deny
from signer.policy.workbench import Workbench


def add_to(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("eval")(evaluate)
    group.command("explain")(explain)
    policy_bench.add_to(group)


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
