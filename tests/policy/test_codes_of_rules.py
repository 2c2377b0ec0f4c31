"""The page for authors lists the codes that rules give, all of them and no other."""

import ast
import re
from pathlib import Path

from policy.sample_facts import facts, payment

from signer.policy import rules
from signer.policy.rules import rule
from signer.policy.rules.about_requests import NAMED, OneOf

PAGE = Path(__file__).resolve().parents[2] / "policies" / "rules.md"
SOURCE = Path(str(rules.__file__)).parent

PASSED_ON = {"miss.code", "could[0].because.code"}
"""Codes of verdicts that were given to a finding elsewhere."""


def first_arguments() -> list[ast.expr]:
    """What the code of each denial is written as, in the source of rules."""
    return [
        call.args[0]
        for path in sorted(SOURCE.glob("*.py"))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in {"Miss", "Deny"}
    ]


def codes_of_names() -> set[str]:
    misses = [OneOf(subject, frozenset({"nobody"})).miss(facts(transaction=payment())) for subject in NAMED]
    return {miss.code for miss in misses if miss is not None}


def codes_in_the_source() -> set[str]:
    found = codes_of_names()
    assert len(found) == len(NAMED)
    for written in first_arguments():
        match written:
            case ast.Constant(value=str(code)):
                found.add(code)
            case ast.Name(id=name):
                found.add(getattr(rule, name))
            case ast.JoinedStr():
                assert ast.unparse(written).endswith('_NOT_LISTED"')
            case _:
                assert ast.unparse(written) in PASSED_ON
    return found


def test_the_page_lists_every_code_that_a_rule_gives_once_and_no_other() -> None:
    section = PAGE.read_text().partition("## Codes of denials\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    listed = [code for cell in cells for code in re.findall(r"`([A-Z_]+)`", cell)]
    assert sorted(listed) == sorted(codes_in_the_source())
