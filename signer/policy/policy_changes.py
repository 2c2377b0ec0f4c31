"""What an order makes of a set of policies: from one set to the next, pure.

Rule 1: an order that changes nothing gives back the very set it was given; one that makes no sense raises.
Rule 2: nothing is bound that does not decide, and nothing that is bound goes away.
"""

from collections.abc import Iterable

from msgspec import structs

from signer.counted import counted
from signer.errors import PolicyOrderError, UnknownPolicyError
from signer.policy.bindings import Binding
from signer.policy.policy_set import (
    MAX_DOCUMENT_BYTES,
    MAX_PREVIOUS,
    ChangeGuard,
    NamedList,
    PolicySet,
    ServedPolicy,
    encode_policy_set,
    place_of,
)


def get_policy(policies: PolicySet, name: str) -> ServedPolicy:
    """The policy of this name. Raises UnknownPolicyError."""
    found = policies.find(name)
    if found is None:
        raise UnknownPolicyError(f"no policy {name} is on record; publish it first", evidence={"policy": name})
    return found


def staged(policies: PolicySet, name: str, version: str) -> PolicySet:
    """A published version waits for its activation under its name."""
    policy = policies.find(name) or ServedPolicy(name)
    if version in (policy.staged, policy.version):
        return policies
    return _with(policies, structs.replace(policy, staged=version))


def activated(policies: PolicySet, name: str, version: str) -> PolicySet:
    """A version decides from now on; the one that did can be rolled back to."""
    policy = get_policy(policies, name)
    if version == policy.version:
        return policies
    former = (policy.version,) if policy.version else ()
    return _with(
        policies,
        structs.replace(
            policy,
            version=version,
            previous=(*former, *policy.previous)[:MAX_PREVIOUS],
            staged="" if policy.staged == version else policy.staged,
            shadow="" if policy.shadow == version else policy.shadow,
        ),
    )


def rolled_back(policies: PolicySet, name: str, version: str) -> PolicySet:
    """A former version decides again; the one that does is staged where nothing else is.

    `version`: one of the former ones; empty for the last of them.

    Raises:
        UnknownPolicyError, PolicyOrderError: there is no such former version.
    """
    policy = get_policy(policies, name)
    if not policy.previous:
        raise PolicyOrderError(
            f"policy {name} has no former version: there is nothing to roll back to", evidence={"policy": name}
        )
    wanted = version or policy.previous[0]
    if wanted not in policy.previous:
        raise PolicyOrderError(
            f"version {wanted} of policy {name} is none that decided before; activate it, if it is meant",
            evidence={"policy": name, "version": wanted},
        )
    older = policy.previous[policy.previous.index(wanted) + 1 :]
    return _with(
        policies,
        structs.replace(policy, version=wanted, previous=older, staged=policy.staged or policy.version),
    )


def retired(policies: PolicySet, name: str) -> PolicySet:
    """The policy is gone; its packs stay on record. Raises UnknownPolicyError, PolicyOrderError: it is bound."""
    get_policy(policies, name)
    bound = sum(binding.policy == name for binding in policies.bindings)
    if bound:
        raise PolicyOrderError(
            f"policy {name} is bound in {counted(bound, 'place')}: what it guards would be guarded no more."
            " Unbind it first",
            evidence={"policy": name, "bindings": bound},
        )
    return structs.replace(policies, policies=tuple(each for each in policies.policies if each.name != name))


def bound(policies: PolicySet, binding: Binding) -> PolicySet:
    """The policy has a say there. Raises UnknownPolicyError, PolicyOrderError: it does not decide yet."""
    policy = get_policy(policies, binding.policy)
    if not policy.version:
        raise PolicyOrderError(
            f"no version of policy {policy.name} was activated, so it would deny everything there. Activate one first",
            evidence={"policy": policy.name},
        )
    if binding in policies.bindings:
        return policies
    return structs.replace(policies, bindings=tuple(sorted((*policies.bindings, binding), key=place_of)))


def unbound(policies: PolicySet, binding: Binding) -> PolicySet:
    """The policy has no say there any more. Raises UnknownPolicyError."""
    get_policy(policies, binding.policy)
    if binding not in policies.bindings:
        return policies
    return structs.replace(policies, bindings=tuple(each for each in policies.bindings if each != binding))


def shadowed(policies: PolicySet, name: str, version: str) -> PolicySet:
    """A version runs beside the one that decides; none where it is empty.

    Raises UnknownPolicyError, PolicyOrderError: it decides already.
    """
    policy = get_policy(policies, name)
    if version and version == policy.version:
        raise PolicyOrderError(
            f"version {version} of policy {name} decides already: beside itself it would show nothing",
            evidence={"policy": name, "version": version},
        )
    return policies if policy.shadow == version else _with(policies, structs.replace(policy, shadow=version))


def with_list(policies: PolicySet, name: str, items: Iterable[str]) -> PolicySet:
    """The list holds these items and no others. Raises PolicyOrderError: more than there is room for."""
    wanted = NamedList(name, tuple(sorted(set(items))))
    if wanted in policies.lists:
        return policies
    others = [each for each in policies.lists if each.name != name]
    changed = structs.replace(policies, lists=tuple(sorted((*others, wanted), key=lambda each: each.name)))
    if len(encode_policy_set(changed)) > MAX_DOCUMENT_BYTES:
        raise PolicyOrderError(
            f"with this list of {counted(len(wanted.items), 'item')} the policies on record would take more than"
            f" {MAX_DOCUMENT_BYTES} bytes, which each change of them stores again. Let a policy carry it as its data",
            evidence={"list": name, "items": len(wanted.items)},
        )
    return changed


def without_list(policies: PolicySet, name: str) -> PolicySet:
    """There is no such list: policies that ask it are told that it holds nothing."""
    kept = tuple(each for each in policies.lists if each.name != name)
    return policies if len(kept) == len(policies.lists) else structs.replace(policies, lists=kept)


def items_of(policies: PolicySet, name: str) -> tuple[str, ...]:
    """What a list holds; nothing where there is none."""
    return next((each.items for each in policies.lists if each.name == name), ())


def trusting(policies: PolicySet, key: str) -> PolicySet:
    """Only packs that this key, or another trusted one, has signed are published from now on."""
    return _replaced(policies, "trusted_keys", policies.trusted_keys, {*policies.trusted_keys, key})


def distrusting(policies: PolicySet, key: str) -> PolicySet:
    """What this key has signed is published no more. Raises PolicyOrderError: it was not trusted."""
    if key not in policies.trusted_keys:
        raise PolicyOrderError("this key is not among the trusted ones", evidence={"key": key})
    return _replaced(policies, "trusted_keys", policies.trusted_keys, {*policies.trusted_keys} - {key})


def keeping_facts(policies: PolicySet, namespaces: Iterable[str]) -> PolicySet:
    """The decisions of these namespaces, and of no others, are kept with their facts."""
    return _replaced(policies, "keeps_facts", policies.keeps_facts, namespaces)


def guarded(policies: PolicySet, guard: ChangeGuard | None) -> PolicySet:
    """A change of policies waits for these people's approval from now on; None: for nobody's."""
    wanted = None if guard is None else structs.replace(guard, groups=tuple(sorted(set(guard.groups))))
    return policies if policies.guard == wanted else structs.replace(policies, guard=wanted)


def _with(policies: PolicySet, policy: ServedPolicy) -> PolicySet:
    others = [each for each in policies.policies if each.name != policy.name]
    return structs.replace(policies, policies=tuple(sorted((*others, policy), key=lambda each: each.name)))


def _replaced(policies: PolicySet, field: str, before: tuple[str, ...], after: Iterable[str]) -> PolicySet:
    wanted = tuple(sorted(set(after)))
    return policies if wanted == before else structs.replace(policies, **{field: wanted})
