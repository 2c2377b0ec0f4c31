"""What a change of policies would change, in words for who is asked to approve it (`policy/set_differences.py`)."""

import json
from collections.abc import Mapping
from typing import Any

from signer.counted import counted

_TITLES = {"trusted_keys": "trusted keys", "keeps_facts": "namespaces whose facts are kept"}


def change_words(change: Mapping[str, Any]) -> str:
    """One difference. What a newer server tells and nobody here knows is shown as it came."""
    match change:
        case {"what": "version", "policy": policy, "for": places}:
            where = f"it decides for {', '.join(places)}" if places else "it is bound nowhere"
            words = f"policy {policy}: {_versions(change)}; {where}"
        case {"what": "shadow", "policy": policy}:
            words = f"policy {policy}, what runs beside it: {_versions(change)}"
        case {"what": "staged", "policy": policy}:
            words = f"policy {policy}, what is staged: {_versions(change)}"
        case {"what": "bound", "policy": policy, "version": version, "place": place}:
            words = f"policy {policy} has a say in {place} from then on, with version {version or 'none'}"
        case {"what": "unbound", "policy": policy, "version": version, "place": place}:
            words = f"policy {policy} has no say in {place} any more; version {version or 'none'} had"
        case {"what": "list", "list": name, "items": items}:
            left = "is gone" if items is None else f"has {counted(items, 'item')} then"
            words = f"list {name} {left}: {_moved(change)}"
        case {"what": "trusted_keys" | "keeps_facts" as what}:
            words = f"{_TITLES[what]}: {_moved(change)}"
        case {"what": "guard", "goes": goes, "comes": comes}:
            words = f"guard of changes: {_guard(goes)} goes, {_guard(comes)} comes"
        case _:
            words = json.dumps(change)
    return words


def _versions(change: Mapping[str, Any]) -> str:
    words = f"{change['goes'] or 'none'} goes, {change['comes'] or 'none'} comes"
    if "published_by" in change:
        # Quoted: whoever wrote the policy wrote this, and no line of it shall pass for one of ours.
        words += f" ({json.dumps(change['description'])})" if change["description"] else ""
        words += f", published by {change['published_by']}"
        words += f", signed by {change['signed_by']}" if change["signed_by"] else ""
    return words


def _moved(change: Mapping[str, Any]) -> str:
    words = []
    for sign, way in (("+", "comes"), ("-", "goes")):
        named, count = change[way], change[f"{way}_count"]
        words += [f"{sign}{item}" for item in named]
        if count > len(named):
            words.append(f"{sign} {count - len(named)} more")
    return " ".join(words) or "no item moves"


def _guard(guard: Mapping[str, Any] | None) -> str:
    if guard is None:
        return "none"
    delay = f", then {counted(guard['delay_seconds'], 'second')}" if guard.get("delay_seconds") else ""
    groups = " or ".join(guard["groups"])
    return f"{guard['quorum']} of {groups} within {counted(guard['lifetime_seconds'], 'second')}{delay}"
