"""Which policies have a say in a request: pure matching of bindings against key and caller.

Rule 1: every binding that fits counts; none is more special than another, and their order says nothing.
Rule 2: a binding names exactly: no patterns, no prefixes, no case folding. Who means many keys binds to a tag.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct

from signer.policy.facts import Caller, Signer


class ToKey(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="key"):
    """To whatever this key signs."""

    key_id: str


class ToTag(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="tag"):
    """To whatever keys that bear this tag sign."""

    tag: str


class ToNamespace(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="namespace"):
    """To whatever keys of this namespace sign."""

    namespace: str


class ToCaller(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="caller"):
    """To whatever this caller asks for."""

    identity: str


class ToCallerAndKey(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="caller+key"):
    """To whatever this caller asks of this key."""

    identity: str
    key_id: str


Target = ToKey | ToTag | ToNamespace | ToCaller | ToCallerAndKey


class Binding(Struct, frozen=True, forbid_unknown_fields=True):
    """A policy, and where it has a say."""

    policy: str
    to: Target


class Bindings:
    """All bindings, indexed for the question that every request asks. Immutable: a change makes a new one."""

    def __init__(self, bindings: Iterable[Binding] = ()) -> None:
        found: dict[Target, set[str]] = {}
        for binding in bindings:
            found.setdefault(binding.to, set()).add(binding.policy)
        self._policies: Mapping[Target, frozenset[str]] = MappingProxyType(
            {target: frozenset(policies) for target, policies in found.items()}
        )

    def bound(self, signer: Signer, caller: Caller) -> tuple[str, ...]:
        """The policies that have a say, each once, by name; empty where the namespace's default decides."""
        if not self._policies:
            return ()
        policies: set[str] = set()
        for target in targets_of(signer, caller):
            policies |= self._policies.get(target, frozenset())
        return tuple(sorted(policies))

    def why(self, policy: str, signer: Signer, caller: Caller) -> tuple[Target, ...]:
        """Through which of its bindings a policy has a say."""
        return tuple(each for each in targets_of(signer, caller) if policy in self._policies.get(each, frozenset()))


def targets_of(signer: Signer, caller: Caller) -> tuple[Target, ...]:
    """Everything that a binding could name to reach this request."""
    return (
        ToKey(signer.key_id),
        *(ToTag(tag) for tag in signer.tags),
        ToNamespace(signer.namespace),
        ToCaller(caller.identity),
        ToCallerAndKey(caller.identity, signer.key_id),
    )
