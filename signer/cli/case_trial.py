"""The cases of a policy, put to it: what `holdfast policy test` tells whole, and `publish` looks at before it goes on.

Rule: what is published is what a signer takes. Cases are the author's own word about it, so where one fails, or cannot
be read, it is told and the order is given all the same; whoever wants to be stopped says `--strict`.
"""

import shlex
from collections.abc import Sequence

import msgspec

from signer.cli.output import Output
from signer.cli.policy_target import Target, find_cases
from signer.cli.problem import UsageFault
from signer.counted import counted
from signer.errors import ConfigError, PolicyCasesError, PolicyModuleError, UnreadableFileError
from signer.policy.cases import Case, Result, judge
from signer.policy.folder import Folder
from signer.policy.sandbox import Evaluation
from signer.policy.workbench import Opened, Workbench

MOST_NAMED = 10
"""Failing cases that are named one by one."""


class Tested(msgspec.Struct, frozen=True):
    """One case, and what the policy did about it."""

    result: Result
    evaluation: Evaluation


def ask_all(bench: Workbench, policy: Opened, cases: Sequence[Case], *, output: Output) -> list[Tested]:
    """Every case, in order, with a bar where somebody watches."""
    tested = []
    with output.progress("asking") as advance:
        for n, case in enumerate(cases):
            evaluation = bench.ask(policy, case.facts, case.given)
            tested.append(Tested(judge(case, evaluation.verdict), evaluation))
            advance(n + 1, len(cases))
    return tested


def notice_age(output: Output, folder: Folder) -> None:
    """A module that is older than its source, by the files' times: a guess, so it is said and nothing more."""
    source = folder.source
    if source is None or source == folder.content or not source.exists() or not folder.content.exists():
        return
    if source.stat().st_mtime > folder.content.stat().st_mtime:
        place = shlex.quote(str(folder.directory))
        output.notice(f"note: {source} is newer than {folder.content}: `holdfast policy build {place}` builds it")


def try_before_publishing(target: Target, *, strict: bool, output: Output) -> None:
    """Ask a folder's policy its cases, and warn of those that fail; nothing of a pack, which has none.

    Raises:
        PolicyCasesError, UsageFault, ConfigError, UnreadableFileError, PolicyModuleError: with `strict` alone. A case
            fails, there is none, or they cannot be asked.
    """
    if strict:
        check_cases(target, output=output)
        return
    if target.folder is None:
        return
    try:
        check_cases(target, output=output)
    except PolicyCasesError as failing:
        output.notice(f"warning: {failing.sentence}; {failing.remedy}")
        for name in failing.cases[:MOST_NAMED]:
            output.notice(f"  {name}")
        if len(failing.cases) > MOST_NAMED:
            output.notice(f"  and {len(failing.cases) - MOST_NAMED} more")
    except (UsageFault, ConfigError, UnreadableFileError) as error:
        output.notice(f"warning: the cases cannot be asked: {error}")
    except PolicyModuleError:
        return  # the order is refused with the reason


def check_cases(target: Target, *, output: Output) -> None:
    """The policy passes all its cases, and has some.

    Raises:
        PolicyCasesError: it does not, or has none.
        UsageFault, ConfigError, UnreadableFileError, PolicyModuleError: they cannot be asked.
    """
    if target.folder is None:
        raise UsageFault(
            f"{target.where} is a pack, and holds no cases", remedy="publish the policy's folder, or without --strict"
        )
    notice_age(output, target.folder)
    known = find_cases(target, None) if target.folder.cases.exists() else ()
    if not known:
        raise PolicyCasesError(
            f"{target.folder.cases} holds no case: nobody has tried what this policy decides",
            cases=(),
            remedy="`holdfast policy test --help` says what one is",
        )
    with Workbench() as bench:
        tested = ask_all(bench, bench.open(target.pack, name=target.name), known, output=output)
    failed = [each.result.case for each in tested if not each.result.passed]
    if failed:
        raise PolicyCasesError(
            f"{len(failed)} of {counted(len(tested), 'case')} {'fails' if len(failed) == 1 else 'fail'}",
            cases=[f"{case.where}: {case.name}" for case in failed],
            remedy=f"`holdfast policy test {shlex.quote(str(target.where))}` shows what differs",
        )
