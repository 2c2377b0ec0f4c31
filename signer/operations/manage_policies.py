"""Policies as an operator sees and orders them: who may, what is spelled right, and what is on record."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller, Principal
from signer.errors import ForbiddenError, MalformedRequestError, PolicyRevisionError, UnknownPolicyError
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.operations.guard_policies import PolicyGuard
from signer.operations.policy_orders import BindPolicy, PolicyOrder, PolicyOrdered, PolicyOrders, UnbindPolicy
from signer.operations.reading import read_record
from signer.policy.pack import Manifest
from signer.policy.pack import read_pack as parse_pack
from signer.policy.policy_changes import get_policy
from signer.policy.policy_record import (
    NO_REVISION,
    Change,
    Published,
    read_history,
    read_pack,
    read_policy_set,
    read_policy_set_of,
    read_published,
)
from signer.policy.policy_set import NamedList, PolicySet, ServedPolicy, policy_set_digest
from signer.policy.target_words import checked_target, target_words

MOST_PUBLISHED = 100
"""Packs of one policy that are told of, the newest."""

MOST_CHANGES = 500
"""Of the history, in one answer."""


@dataclass(frozen=True, slots=True)
class PolicyStory:
    """Everything about one policy."""

    policy: ServedPolicy
    bound_to: tuple[str, ...]
    """Where it has a say, in words."""

    published: tuple[Published, ...]
    """Newest first."""

    manifest: Manifest | None
    """Of the version that decides; of the one that is staged where none does."""


class PolicyManagement:
    """One instance for the life of the process; reads through connections of its own."""

    def __init__(self, *, orders: PolicyOrders, reading: Reading, guard: PolicyGuard) -> None:
        self._orders = orders
        self._reading = reading
        self._guard = guard

    async def order(self, order: PolicyOrder, caller: Caller) -> PolicyOrdered:
        """Carry it out, durable and in force on every instance when it returns.

        Raises:
            ForbiddenError, MalformedRequestError: nothing was changed.
            ApprovalRequiredError: changes wait for people, and nothing was changed yet.
            And whatever `PolicyOrders.carry_out` raises.
        """
        self.check_may_order(caller)
        match order:
            case BindPolicy(binding=binding) | UnbindPolicy(binding=binding):
                checked_target(binding.to)
        policies = await asyncio.to_thread(read_record, self._reading, read_policy_set)
        if order.if_revision is not None and order.if_revision != policies.revision:
            raise PolicyRevisionError(wanted=order.if_revision, holds=policies.revision)
        exact, approval_id = await self._guard.admit(order, policies, caller)
        return await self._orders.carry_out(exact, caller, approval_id=approval_id)

    def check_may_order(self, caller: Caller) -> None:
        """Before a body is read. Raises ForbiddenError."""
        check_authorized(caller.principal, Action.POLICY_WRITE)
        _check_all_keys(caller.principal)

    async def policies(self, caller: Caller, *, revision: int | None = None) -> PolicySet:
        """What holds, or what held at a revision. Raises ForbiddenError, UnknownPolicyError."""
        _check_may_read(caller)

        def look(moment: Transaction) -> PolicySet:
            return read_policy_set(moment) if revision is None else read_policy_set_of(moment, revision)

        return await asyncio.to_thread(read_record, self._reading, look)

    async def policy(self, name: str, caller: Caller) -> PolicyStory:
        """Everything about one policy. Raises ForbiddenError, UnknownPolicyError."""
        _check_may_read(caller)

        def look(moment: Transaction) -> PolicyStory:
            policies = read_policy_set(moment)
            policy = get_policy(policies, name)
            shown = policy.version or policy.staged
            return PolicyStory(
                policy,
                bound_to(policies, name),
                tuple(read_published(moment, name, most=MOST_PUBLISHED)),
                parse_pack(read_pack(moment, shown)).manifest if shown else None,
            )

        return await asyncio.to_thread(read_record, self._reading, look)

    async def named_list(self, name: str, caller: Caller, *, revision: int | None = None) -> NamedList:
        """A list that policies may ask, or might at a revision. Raises ForbiddenError, UnknownPolicyError: none."""
        for each in (await self.policies(caller, revision=revision)).lists:
            if each.name == name:
                return each
        raise UnknownPolicyError(f"there is no list {name[:128]!r}", evidence={"list": name[:128]})

    async def pack(self, version: str, caller: Caller) -> bytes:
        """The text of a published pack. Raises ForbiddenError, UnknownPolicyError."""
        _check_may_read(caller)
        return await asyncio.to_thread(read_record, self._reading, lambda moment: read_pack(moment, version))

    async def history(self, caller: Caller, *, before: int | None = None, limit: int) -> Sequence[Change]:
        """How the sets came to be, newest first. Raises ForbiddenError, MalformedRequestError."""
        _check_may_read(caller)
        if not 1 <= limit <= MOST_CHANGES:
            raise MalformedRequestError(f"limit must be 1 to {MOST_CHANGES}", path="limit")
        return await asyncio.to_thread(
            read_record, self._reading, lambda moment: read_history(moment, before=before or NO_REVISION, most=limit)
        )


def bound_to(policies: PolicySet, name: str) -> tuple[str, ...]:
    """Where a policy has a say, in words."""
    return tuple(target_words(binding.to) for binding in policies.bindings if binding.policy == name)


def told_policies(policies: PolicySet) -> Mapping[str, object]:
    """A set as the edges tell it: by words, and lists by their length."""
    guard = policies.guard
    return {
        "revision": policies.revision,
        "digest": "0x" + policy_set_digest(policies).hex(),
        "policies": [told_policy(each, bound_to(policies, each.name)) for each in policies.policies],
        "lists": [{"name": each.name, "items": len(each.items)} for each in policies.lists],
        "trusted_keys": list(policies.trusted_keys),
        "keeps_facts": list(policies.keeps_facts),
        "guard": None
        if guard is None
        else {
            "quorum": guard.quorum,
            "groups": list(guard.groups),
            "lifetime_seconds": guard.lifetime_seconds,
            "delay_seconds": guard.delay_seconds,
        },
    }


def told_policy(policy: ServedPolicy, places: Sequence[str]) -> dict[str, object]:
    """One policy as the edges tell it; None where it has no such version."""
    return {
        "name": policy.name,
        "version": policy.version or None,
        "staged": policy.staged or None,
        "shadow": policy.shadow or None,
        "previous": list(policy.previous),
        "bound_to": list(places),
    }


def told_shadows(policies: PolicySet, counts: Mapping[str, tuple[int, int]]) -> Mapping[str, object]:
    """What shadows have come to: of policies that have one now, or had one since the signer was started."""
    versions = {each.name: each.shadow or None for each in policies.policies}
    named = sorted({name for name, shadow in versions.items() if shadow} | set(counts))
    return {
        "shadows": [
            {
                "policy": name,
                "version": versions.get(name),
                "comparisons": counts.get(name, (0, 0))[0],
                "differences": counts.get(name, (0, 0))[1],
            }
            for name in named
        ]
    }


def told_story(story: PolicyStory) -> Mapping[str, object]:
    """Everything about one policy as the edges tell it."""
    manifest = story.manifest
    return {
        **told_policy(story.policy, story.bound_to),
        "published": [
            {
                "version": each.version,
                "size_bytes": each.size_bytes,
                "signed_by": None if each.signed_by is None else each.signed_by.hex(),
                "published_at": moment_of(each.published_ms),
                "published_by": each.published_by,
            }
            for each in story.published
        ],
        "manifest": None
        if manifest is None
        else {
            "kind": str(manifest.kind),
            "description": manifest.description,
            "functions": [str(each) for each in manifest.functions],
            "counters": list(manifest.counters),
            "lists": list(manifest.lists),
            "fuel": manifest.fuel,
            "memory_bytes": manifest.memory_bytes,
            "wall_milliseconds": manifest.wall_milliseconds,
        },
    }


def told_change(change: Change) -> dict[str, object]:
    """One line of the history as the edges tell it."""
    return {
        "revision": change.revision,
        "at": moment_of(change.changed_ms),
        "by": change.changed_by,
        "change": change.change,
    }


def moment_of(milliseconds: int) -> str:
    """A time in UTC, to the second."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _check_may_read(caller: Caller) -> None:
    check_authorized(caller.principal, Action.POLICY_READ)
    _check_all_keys(caller.principal)


def _check_all_keys(principal: Principal) -> None:
    if principal.keys is not None:
        raise ForbiddenError(
            f"principal {principal.name} is granted single keys, and policies are about all of them",
            evidence={"principal": principal.name},
        )
