"""What each order about policies does to the set, and what the audit log says of it."""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import structs

from signer.audit.entry import Kind
from signer.counted import are, counted
from signer.journal.ledger import Transaction
from signer.operations.policy_orders import (
    BindPolicy,
    ChangeList,
    GuardChanges,
    KeepFacts,
    PolicyOrder,
    RetirePolicy,
    RollBackAll,
    RollBackPolicy,
    TrustKey,
    UnbindPolicy,
)
from signer.policy import policy_changes as changes_of
from signer.policy.policy_record import read_policy_set_of
from signer.policy.policy_set import PolicySet
from signer.policy.target_words import target_words

MOVED_ITEMS_TOLD = 20
"""Items of a list that an audit entry names: it has room for forty addresses. The set on record has all of them."""

Make = Callable[[Transaction, PolicySet], PolicySet]
"""What an order makes of the set, in its transaction. Raises UnknownPolicyError, PolicyOrderError."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, once everything that takes time is over."""

    kind: Kind
    make: Make
    told: Callable[[PolicySet, PolicySet], str]
    """What the audit log says of the change, from the set before and the set after."""

    version: str = ""
    """That the order came to be about."""


def _rolling_back(order: RollBackPolicy) -> Plan:
    name = order.name

    def make(_transaction: Transaction, policies: PolicySet) -> PolicySet:
        return changes_of.rolled_back(policies, name, order.version)

    return Plan(Kind.POLICY_ROLLED_BACK, make, versions_told(name, "rolled back"), order.version)


def plan_of(order: PolicyOrder) -> Plan:
    """Of an order that needs nothing but the set. Raises TypeError: it needs a look at packs first."""
    match order:
        case RollBackPolicy():
            plan = _rolling_back(order)
        case RollBackAll(revision=revision):
            plan = Plan(
                Kind.POLICY_ROLLED_BACK,
                lambda transaction, policies: _as_it_was(transaction, policies, revision),
                lambda before, _: f"rolled everything back to revision {revision} from {before.revision}",
            )
        case RetirePolicy(name=name):
            plan = Plan(
                Kind.POLICY_RETIRED,
                lambda _, policies: changes_of.retired(policies, name),
                lambda before, _: f"retired policy {name} version {_version(before, name)}",
            )
        case BindPolicy(binding=binding):
            plan = Plan(
                Kind.POLICY_BOUND,
                lambda _, policies: changes_of.bound(policies, binding),
                lambda _, after: (
                    f"bound policy {binding.policy} version {_version(after, binding.policy)} to"
                    f" {target_words(binding.to)}"
                ),
            )
        case UnbindPolicy(binding=binding):
            plan = Plan(
                Kind.POLICY_UNBOUND,
                lambda _, policies: changes_of.unbound(policies, binding),
                lambda before, _: (
                    f"unbound policy {binding.policy} version {_version(before, binding.policy)} from"
                    f" {target_words(binding.to)}"
                ),
            )
        case ChangeList():
            plan = _changing_list(order)
        case TrustKey(key=key, trusted=trusted):
            change = changes_of.trusting if trusted else changes_of.distrusting
            plan = Plan(
                Kind.POLICY_TRUST_CHANGED,
                lambda _, policies: change(policies, key),
                lambda _, after: f"{'trusts' if trusted else 'trusts no more'} key 0x{key}; {_trusted(after)}",
            )
        case KeepFacts(namespaces=namespaces):
            plan = Plan(
                Kind.POLICY_SETTINGS_CHANGED,
                lambda _, policies: changes_of.keeping_facts(policies, namespaces),
                lambda before, after: f"keeps facts of: {_names(before.keeps_facts)} -> {_names(after.keeps_facts)}",
            )
        case GuardChanges(guard=guard):
            plan = Plan(
                Kind.POLICY_SETTINGS_CHANGED,
                lambda _, policies: changes_of.guarded(policies, guard),
                lambda before, after: f"guard of changes: {_guard(before)} -> {_guard(after)}",
            )
        case _:
            raise TypeError(f"{type(order).__name__} wants a look at packs first")
    return plan


def _trusted(policies: PolicySet) -> str:
    count = len(policies.trusted_keys)
    return f"{counted(count, 'key')} {are(count)} trusted"


def _changing_list(order: ChangeList) -> Plan:
    name, items = order.name, order.items

    def make(_transaction: Transaction, policies: PolicySet) -> PolicySet:
        known = changes_of.items_of(policies, name)
        match order.change:
            case "set":
                return changes_of.with_list(policies, name, items)
            case "add":
                return changes_of.with_list(policies, name, {*known, *items})
            case "remove":
                return changes_of.with_list(policies, name, set(known) - set(items))
            case "drop":
                return changes_of.without_list(policies, name)

    def told(before: PolicySet, after: PolicySet) -> str:
        had, has = (set(changes_of.items_of(each, name)) for each in (before, after))
        moved = [f"+{item}" for item in sorted(has - had)] + [f"-{item}" for item in sorted(had - has)]
        shown = " ".join(moved[:MOVED_ITEMS_TOLD]) + (
            f" and {len(moved) - MOVED_ITEMS_TOLD} more" if len(moved) > MOVED_ITEMS_TOLD else ""
        )
        is_there = any(each.name == name for each in after.lists)
        now = counted(len(has), "item") if is_there else "no such list"
        return f"list {name}: {len(had)} -> {now} {shown}".rstrip()

    return Plan(Kind.POLICY_LIST_CHANGED, make, told)


def _as_it_was(transaction: Transaction, policies: PolicySet, revision: int) -> PolicySet:
    return structs.replace(read_policy_set_of(transaction, revision), revision=policies.revision)


def versions_told(name: str, done: str) -> Callable[[PolicySet, PolicySet], str]:
    """Tells of a policy's version before and after."""
    return lambda before, after: f"{done} policy {name}: {_version(before, name)} -> {_version(after, name)}"


def _version(policies: PolicySet, name: str) -> str:
    policy = policies.find(name)
    return "none" if policy is None else policy.version or "none"


def _names(names: tuple[str, ...]) -> str:
    return " ".join(names) or "none"


def _guard(policies: PolicySet) -> str:
    guard = policies.guard
    if guard is None:
        return "none"
    return f"{guard.quorum} of {' '.join(guard.groups)}, {guard.lifetime_seconds} s, delay {guard.delay_seconds} s"
