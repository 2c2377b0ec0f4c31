"""What a rule file's cases would not notice: the file with one thing changed, and every case still as expected.

A mutant that survives shows a rule, a condition, an entry of a list or a limit that could be lost in an edit without a
case that fails.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from math import gcd
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

_GOLDEN_SECTION = (5**0.5 - 1) / 2

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
    edits: int
    """So many there are; fewer were tried where somebody wanted fewer, or had enough."""

    survivors: tuple[Mutant, ...]
    """In the order of the file."""


class _Edit(Struct, frozen=True):
    """A change that is not made yet: a whole file for each would take much memory."""

    rule: str
    where: str
    change: str
    place: int
    """Of the rule; -1 for the file itself."""

    changed: Rule | None
    """What stands there instead; None where the rule is gone."""


def check_mutants(
    file: RuleFile,
    cases: Sequence[Case],
    *,
    most: int | None = None,
    enough: Callable[[], bool] = lambda: False,
    advance: Callable[[int, int], object] = lambda _done, _total: None,
) -> MutationReport:
    """Try the mutants; says something only where the file itself passes all of its cases.

    Args:
        file: the rules.
        cases: what is asked of each mutant.
        most: try no more than these, spread evenly over the file; the same ones each time.
        enough: asked before each further mutant. Those tried by then are spread over the file too.
        advance: told how many are done, of how many.
    """
    edits = list(_edits_of(file))
    total = len(edits) if most is None else min(most, len(edits))
    tried, surviving = 0, []
    for place in _spread(len(edits))[:total]:
        if enough():
            break
        mutant = _made(file, edits[place])
        if all_pass(mutant.file, cases):
            surviving.append((place, mutant))
        tried += 1
        advance(tried, total)
    survivors = tuple(mutant for _, mutant in sorted(surviving, key=lambda each: each[0]))
    return MutationReport(tried, len(edits), survivors)


def mutants_of(file: RuleFile) -> Iterator[Mutant]:
    """Each with one change that a slip of an editor could make."""
    return (_made(file, edit) for edit in _edits_of(file))


def _spread(count: int) -> list[int]:
    """0 to `count` - 1, so that as many as one takes from the beginning lie all over the range.

    Steps of the golden section leave no large gap, however many there are (Knuth, The Art of Computer Programming,
    volume 3, section 6.4, on multiplicative hashing).
    """
    step = max(1, round(count * _GOLDEN_SECTION))
    while gcd(step, count) > 1:
        step += 1
    return [n * step % count for n in range(count)]


def _edits_of(file: RuleFile) -> Iterator[_Edit]:
    turned = "denied" if file.grants_the_rest else "granted"
    yield _Edit("", file.name, f"what no rule grants is {turned}", -1, None)
    for n, rule in enumerate(file.rules):
        yield _Edit(rule.name, rule.where, "the rule is gone", n, None)
        for change, changed in _changes_of_rule(rule):
            yield _Edit(rule.name, rule.where, change, n, changed)


def _made(file: RuleFile, edit: _Edit) -> Mutant:
    if edit.place < 0:
        mutated = structs.replace(file, grants_the_rest=not file.grants_the_rest)
    else:
        instead = () if edit.changed is None else (edit.changed,)
        rules = (*file.rules[: edit.place], *instead, *file.rules[edit.place + 1 :])
        mutated = structs.replace(file, rules=rules)
    return Mutant(edit.rule, edit.where, edit.change, mutated)


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
