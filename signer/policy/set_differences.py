"""What is not the same in two sets of policies: for people who are asked whether one shall follow the other. Pure.

Each difference is a plain JSON object whose `what` says which one: `version`, `shadow`, `staged`, `bound`, `unbound`,
`list`, `trusted_keys`, `keeps_facts`, `guard`. What goes and what comes stand in `goes` and `comes`; null is nothing.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from signer.policy.bindings import Binding
from signer.policy.policy_changes import items_of
from signer.policy.policy_set import ChangeGuard, PolicySet, ServedPolicy
from signer.policy.target_words import target_words

MOST_ITEMS = 100
"""Items of a list that come or go and are named; all of them are counted."""

Difference = Mapping[str, object]


def differences(before: PolicySet, after: PolicySet) -> list[Difference]:
    """Everything that would decide otherwise, or be kept otherwise, by name; empty where nothing would."""
    return [
        *_of_policies(before, after),
        *_of_bindings("unbound", set(before.bindings) - set(after.bindings), before),
        *_of_bindings("bound", set(after.bindings) - set(before.bindings), after),
        *_of_lists(before, after),
        *_of_names("trusted_keys", before.trusted_keys, after.trusted_keys),
        *_of_names("keeps_facts", before.keeps_facts, after.keeps_facts),
        *_of_guard(before.guard, after.guard),
    ]


def _of_policies(before: PolicySet, after: PolicySet) -> Iterator[Difference]:
    names = sorted({policy.name for policies in (before, after) for policy in policies.policies})
    for name in names:
        had, has = (policies.find(name) or ServedPolicy(name) for policies in (before, after))
        told = {"policy": name}
        if had.version != has.version:
            places = sorted(target_words(each.to) for each in after.bindings if each.policy == name)
            yield told | {"what": "version", "goes": had.version or None, "comes": has.version or None, "for": places}
        elif had.staged != has.staged:
            yield told | {"what": "staged", "goes": had.staged or None, "comes": has.staged or None}
        if had.shadow != has.shadow:
            yield told | {"what": "shadow", "goes": had.shadow or None, "comes": has.shadow or None}


def _of_bindings(what: str, bindings: set[Binding], policies: PolicySet) -> Iterator[Difference]:
    for policy, place in sorted((each.policy, target_words(each.to)) for each in bindings):
        served = policies.find(policy)
        version = None if served is None else served.version or None
        yield {"what": what, "policy": policy, "version": version, "place": place}


def _of_lists(before: PolicySet, after: PolicySet) -> Iterator[Difference]:
    for name in sorted({each.name for policies in (before, after) for each in policies.lists}):
        had, has = (set(items_of(policies, name)) for policies in (before, after))
        was, stays = (any(each.name == name for each in policies.lists) for policies in (before, after))
        if (had, was) != (has, stays):
            moved = _moved(sorted(had - has), sorted(has - had))
            yield {"what": "list", "list": name, "items": len(has) if stays else None, **moved}


def _of_names(what: str, had: Sequence[str], has: Sequence[str]) -> Iterator[Difference]:
    if had != has:
        yield {"what": what, **_moved(sorted(set(had) - set(has)), sorted(set(has) - set(had)))}


def _of_guard(had: ChangeGuard | None, has: ChangeGuard | None) -> Iterator[Difference]:
    if had != has:
        yield {"what": "guard", "goes": msgspec.to_builtins(had), "comes": msgspec.to_builtins(has)}


def _moved(go: Sequence[str], come: Sequence[str]) -> Difference:
    """Items by name, as many as are named, and how many they are."""
    return {
        "goes": list(go[:MOST_ITEMS]),
        "goes_count": len(go),
        "comes": list(come[:MOST_ITEMS]),
        "comes_count": len(come),
    }
