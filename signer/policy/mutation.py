"""What a rule file's cases would not notice: the file with one thing changed, and every case still as expected.

A mutant that survives shows a rule, a condition, an entry of a list or a limit that could be lost in an edit without a
case that fails.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from msgspec import Struct, structs

from signer.policy.cases import Case, all_pass
from signer.policy.rules.charges import SpendLimit
from signer.policy.rules.condition import Condition
from signer.policy.rules.rule import Approval, Rule, RuleFile

MOST_ENTRIES = 16
"""Entries of one list that are taken out, one by one: of longer lists the first, in the order of their texts."""

_ITSELF = "names"
"""The field of a condition that is a list and nothing else: the condition's own name says it."""

T = TypeVar("T")


class Mutant(Struct, frozen=True):
    """A file with one change."""

    rule: str
    """Empty for a change of the file itself."""

    where: str
    change: str
    """In words."""

    file: RuleFile


class MutationReport(Struct, frozen=True):
    """What the cases noticed."""

    tried: int
    survivors: tuple[Mutant, ...]


def check_mutants(file: RuleFile, cases: Sequence[Case]) -> MutationReport:
    """Try every mutant; says something only where the file itself passes all of its cases."""
    mutants = list(mutants_of(file))
    return MutationReport(len(mutants), tuple(mutant for mutant in mutants if all_pass(mutant.file, cases)))


def mutants_of(file: RuleFile) -> Iterator[Mutant]:
    """Each with one change that a slip of an editor could make."""
    turned = "denied" if file.grants_the_rest else "granted"
    flipped = structs.replace(file, grants_the_rest=not file.grants_the_rest)
    yield Mutant("", file.name, f"what no rule grants is {turned}", flipped)
    for n, rule in enumerate(file.rules):
        rest = (*file.rules[:n], *file.rules[n + 1 :])
        yield Mutant(rule.name, rule.where, "the rule is gone", structs.replace(file, rules=rest))
        for change, changed in _changes_of_rule(rule):
            rules = (*file.rules[:n], changed, *file.rules[n + 1 :])
            yield Mutant(rule.name, rule.where, change, structs.replace(file, rules=rules))


def _changes_of_rule(rule: Rule) -> Iterator[tuple[str, Rule]]:
    for place, conditions in (("", rule.conditions), ("when ", rule.when), ("unless ", rule.unless)):
        field = place.strip() or "conditions"
        for n, condition in enumerate(conditions):
            name = f"{place}{_name_of(condition)}"
            yield f"{name} is gone", structs.replace(rule, **{field: _without(conditions, n)})
            for change, changed in _changes_of_condition(condition):
                replaced = (*conditions[:n], changed, *conditions[n + 1 :])
                yield f"{name}: {change}", structs.replace(rule, **{field: replaced})
    for n, charge in enumerate(rule.charges):
        name = f"{_name_of(charge)} in {charge.window_seconds} s per {charge.per}"
        yield f"{name} is gone", structs.replace(rule, charges=_without(rule.charges, n))
        if isinstance(charge, SpendLimit):
            for word, limit in _other_bounds(charge.limit):
                other = (*rule.charges[:n], structs.replace(charge, limit=limit), *rule.charges[n + 1 :])
                yield f"{name}: the limit is {word}", structs.replace(rule, charges=other)
    if rule.approval is not None:
        yield "nobody is asked", structs.replace(rule, approval=None)
        yield "one more is asked", structs.replace(rule, approval=_asking_one_more(rule.approval))


def _changes_of_condition(condition: Condition) -> Iterator[tuple[str, Condition]]:
    if not isinstance(condition, Struct):
        return
    for field in structs.fields(type(condition)):
        value = getattr(condition, field.name)
        if isinstance(value, int) and not isinstance(value, bool):
            for word, number in _other_bounds(value):
                yield f"{field.name} is {word}", structs.replace(condition, **{field.name: number})
        elif value is True:
            yield f"{field.name} is false", structs.replace(condition, **{field.name: False})
        elif isinstance(value, frozenset):
            for entry in sorted(value, key=str)[:MOST_ENTRIES]:
                gone = f"{entry} is gone" if field.name == _ITSELF else f"{field.name} lacks {entry}"
                yield gone, structs.replace(condition, **{field.name: value - {entry}})
        elif isinstance(value, tuple):
            for n, entry in enumerate(value[:MOST_ENTRIES]):
                yield f"{field.name} lacks {entry}", structs.replace(condition, **{field.name: _without(value, n)})


def _other_bounds(bound: int) -> Iterator[tuple[str, int]]:
    """A slip of a digit is more than that: who tries a request a little above and one a little below notices both."""
    if bound > 0:
        yield "twice as high", bound * 2
        yield "half as high", bound // 2


def _asking_one_more(approval: Approval) -> Approval:
    return structs.replace(approval, quorum=approval.quorum + 1)


def _without(entries: tuple[T, ...], n: int) -> tuple[T, ...]:
    return (*entries[:n], *entries[n + 1 :])


def _name_of(part: object) -> str:
    """As an author knows it: `types`, `fee recipients`, `keys`."""
    return str(getattr(part, "subject", "")) or re.sub(r"\B(?=[A-Z])", " ", type(part).__name__).lower()
