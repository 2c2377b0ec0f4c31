"""The policies that hold at one revision of the record, and what is loaded of them: every decision of that time is
made by it.

Rule: immutable but for caches of what follows from it. A change of the policies makes another one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from signer.auth.principal import Principal
from signer.keys.key import Key
from signer.keys.tags import Tag
from signer.operations.request_facts import signer_facts
from signer.policy import facts
from signer.policy.bindings import Bindings
from signer.policy.policy_set import EVERY_NAMESPACE, NOTHING_BOUND, PolicySet
from signer.policy.policy_set_ledger import PolicySetClaim
from signer.policy.rules.rule import RuleFile
from signer.policy.sandbox import LoadedPolicy
from signer.policy.verdict import Deny
from signer.units import PublicKey

Decider = RuleFile | LoadedPolicy | Deny
"""A file of rules, a module, or the denial of a policy that did not load."""

RolesOf = Callable[[PublicKey], tuple[str, ...]]
"""The groups whose members may use a key."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that runs beside the one that decides."""

    version: str
    decider: Decider | None
    """None where it was being loaded when this was read."""


@dataclass(frozen=True, slots=True)
class Served:
    """A policy that is bound somewhere."""

    name: str
    version: str
    decider: Decider | None
    """None where it was being loaded when this was read: whoever is bound to it waits (`Policies.loaded`)."""

    shadow: Candidate | None = None

    def is_as(self, other: "Served | None") -> bool:
        """Whether both are loaded alike; of the same policy set."""
        if other is None or self.decider is not other.decider:
            return False
        ours, theirs = self.shadow, other.shadow
        return (None if ours is None else ours.decider) is (None if theirs is None else theirs.decider)


@dataclass(frozen=True, slots=True)
class Bound:
    """The policies that have a say in a request, by name; none where the default decides."""

    policies: tuple[Served, ...] = ()
    group: tuple[str, ...] = field(init=False)
    """What tells these policies from others, for the turns that they take."""

    is_loaded: bool = field(init=False)
    """Whether each of them is ready to decide."""

    has_shadows: bool = field(init=False)
    """Whether versions run beside them."""

    def __post_init__(self) -> None:
        policies = self.policies
        object.__setattr__(self, "group", tuple([policy.version for policy in policies]))
        object.__setattr__(self, "is_loaded", all(policy.decider is not None for policy in policies))
        object.__setattr__(self, "has_shadows", any(policy.shadow is not None for policy in policies))


NOBODY = Bound()


@dataclass(frozen=True, slots=True)
class InForce:
    """Owned by `Policies`; whoever has begun with one ends with it, and the commit refuses what it no longer says."""

    policies: PolicySet = NOTHING_BOUND
    served: Mapping[str, Served] = field(default_factory=dict)
    """Every policy that is bound."""

    lists: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tags: Mapping[PublicKey, frozenset[Tag]] = field(default_factory=dict)
    roles_of: RolesOf = lambda _: ()
    bindings: Bindings = field(init=False)
    claim: PolicySetClaim = field(init=False)
    _bound: dict[tuple[PublicKey, str, str], Bound] = field(default_factory=dict)
    _signers: dict[tuple[PublicKey, str], facts.Signer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bindings", Bindings(self.policies.bindings))
        object.__setattr__(self, "claim", PolicySetClaim(self.policies.revision))

    @property
    def revision(self) -> int:
        """Of the record."""
        return self.policies.revision

    def with_loaded(self, found: Iterable[Served]) -> "InForce":
        """The same, with what is loaded by now: nobody looks for it again."""
        fresh = {
            each.name: replace(known, decider=each.decider)
            for each in found
            if (known := self.served.get(each.name)) and known.version == each.version and known.decider is None
        }
        return replace(self, served={**self.served, **fresh}, _bound={}) if fresh else self

    def is_as(self, other: "InForce") -> bool:
        """Whether every decision would be made alike: then what follows from it need not be found again."""
        return (
            self.policies == other.policies
            and self.tags == other.tags
            and all(each.is_as(other.served.get(name)) for name, each in self.served.items())
        )

    def keeps(self, namespace: str) -> bool:
        """Whether the facts of decisions in this namespace are kept."""
        keeping = self.policies.keeps_facts
        return bool(keeping) and (namespace in keeping or EVERY_NAMESPACE in keeping)

    def bound(self, key: Key, principal: Principal) -> Bound:
        """The policies that have a say in what this principal asks of this key: one look into a dict."""
        if not self.policies.bindings:
            return NOBODY
        place = (key.public_key, key.namespace, principal.name)
        found = self._bound.get(place)
        if found is None:
            found = self._bound[place] = self._find_bound(key, principal)
        return found

    def signer(self, key: Key) -> facts.Signer:
        """What policies are told of this key."""
        place = (key.public_key, key.namespace)
        found = self._signers.get(place)
        if found is None:
            tags = self.tags.get(key.public_key, ())
            found = self._signers[place] = signer_facts(key, tags=tags, roles=self.roles_of(key.public_key))
        return found

    def _find_bound(self, key: Key, principal: Principal) -> Bound:
        names = self.bindings.bound(self.signer(key), facts.Caller(identity=principal.name))
        return Bound(tuple(self.served[name] for name in names)) if names else NOBODY
