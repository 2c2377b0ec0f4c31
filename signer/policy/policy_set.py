"""Which policies hold, where, with which lists, and who may change that: one value, which each change makes anew.

Rule 1: a set has one spelling: everything in it is sorted, each thing once, and only policies that are in it are bound.
Rule 2: a set says everything that a decision rests on besides the facts, the counters and the packs that it names.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from msgspec import DecodeError, Meta, Struct, structs
from msgspec import json as fast_json

from signer.errors import CorruptDatabaseError
from signer.policy.bindings import Binding
from signer.policy.pack import GrantedName, Name

MAX_PREVIOUS = 16
"""Versions of one policy that a roll back can name."""

EVERY_NAMESPACE = "*"
"""Among those that keep facts: all of them."""

MAX_DOCUMENT_BYTES = 1 << 20
"""Of a set as it is stored: some twenty thousand addresses in lists. Each change stores another."""

_DIGEST = b"holdfast-policy-set-1\n"

Version = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""SHA-256 of a pack in hexadecimal."""

VersionOrNone = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{64})?\Z")]
"""Empty for none."""

TrustedKey = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""An Ed25519 public key in hexadecimal."""

TrustedKeyOrNone = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{64})?\Z")]
"""Empty for none."""

Group = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:@-]{1,64}\Z")]
"""As verdicts name them."""

Namespace = Annotated[str, Meta(pattern=r"^[!#-&(-\[\]-~]{1,64}\Z")]
"""ASCII that can be seen, without quotation marks and backslashes: nothing that forges a line, or that PostgreSQL's
scripts do not take."""

Item = Annotated[str, Meta(pattern=r"^[ !#-&(-\[\]-~]{1,256}\Z")]
"""The same, with spaces."""


class ServedPolicy(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One policy under its name."""

    name: Name
    version: VersionOrNone = ""
    """The version that decides; empty where none was activated yet."""

    previous: tuple[Version, ...] = ()
    """Those that decided before, newest first, at most MAX_PREVIOUS."""

    staged: VersionOrNone = ""
    """Published last, and not yet activated."""

    shadow: VersionOrNone = ""
    """Runs beside the one that decides, and decides nothing."""


class NamedList(Struct, frozen=True, forbid_unknown_fields=True):
    """A list that policies may ask."""

    name: GrantedName
    items: tuple[Item, ...]


class ChangeGuard(Struct, frozen=True, forbid_unknown_fields=True):
    """A change of policies waits for the approval of people."""

    quorum: Annotated[int, Meta(ge=1, le=64)]
    groups: Annotated[tuple[Group, ...], Meta(min_length=1, max_length=64)]
    lifetime_seconds: Annotated[int, Meta(ge=1, le=30 * 86400)]
    delay_seconds: Annotated[int, Meta(ge=0, le=30 * 86400)] = 0


class PolicySet(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Everything that holds at one revision."""

    revision: int = 0
    """Counts the changes; 0 where nothing was ever published."""

    policies: tuple[ServedPolicy, ...] = ()
    bindings: tuple[Binding, ...] = ()
    lists: tuple[NamedList, ...] = ()
    trusted_keys: tuple[TrustedKey, ...] = ()
    """Where there is one, only packs that one of them has signed are published."""

    keeps_facts: tuple[Namespace, ...] = ()
    """Namespaces whose decisions are kept with their facts; or EVERY_NAMESPACE."""

    guard: ChangeGuard | None = None

    def find(self, name: str) -> ServedPolicy | None:
        """The policy of this name, or None."""
        return next((policy for policy in self.policies if policy.name == name), None)


NOTHING_BOUND = PolicySet()


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["holdfast-policy-set-1"]
    set: PolicySet


_ENCODER = fast_json.Encoder(order="sorted")
_DECODER = fast_json.Decoder(_Document)


def encode_policy_set(policies: PolicySet) -> str:
    """The one text of what a set says; its revision is kept beside it."""
    return _ENCODER.encode(_Document("holdfast-policy-set-1", structs.replace(policies, revision=0))).decode()


def decode_policy_set(document: str, *, revision: int) -> PolicySet:
    """The set with this text. Raises CorruptDatabaseError: it is no set as we write it."""
    try:
        read = _DECODER.decode(document).set
    except (DecodeError, UnicodeDecodeError) as error:
        raise _corrupt(f"cannot be read: {error}") from None
    if encode_policy_set(read) != document:
        raise _corrupt("is not written as we write it")
    if fault := fault_of(read):
        raise _corrupt(fault)
    return structs.replace(read, revision=revision)


def policy_set_digest(policies: PolicySet) -> bytes:
    """32 bytes that tell what a set says from everything else that one could say, whatever its revision."""
    return hashlib.sha256(_DIGEST + encode_policy_set(policies).encode()).digest()


def place_of(binding: Binding) -> tuple[str, ...]:
    """What bindings are sorted by."""
    return (binding.policy, *map(str, structs.astuple(binding.to)), type(binding.to).__name__)


def fault_of(policies: PolicySet) -> str:
    """What makes this no set; empty where it is one. Pure."""
    names = [policy.name for policy in policies.policies]
    places = [place_of(binding) for binding in policies.bindings]
    sorted_parts: Iterable[tuple[str, Sequence[Any]]] = (
        ("policies", names),
        ("bindings", places),
        ("lists", [each.name for each in policies.lists]),
        *((f"list {each.name}", each.items) for each in policies.lists),
        ("trusted keys", policies.trusted_keys),
        ("namespaces that keep facts", policies.keeps_facts),
        ("groups of the guard", policies.guard.groups if policies.guard else ()),
    )
    for what, part in sorted_parts:
        if list(part) != sorted(set(part)):
            return f"its {what} are not sorted, each once"
    if unknown := sorted({binding.policy for binding in policies.bindings} - set(names)):
        return f"policy {unknown[0]} is bound, and there is none"
    if any(len(policy.previous) > MAX_PREVIOUS for policy in policies.policies):
        return f"a policy has more than {MAX_PREVIOUS} former versions"
    return ""


def _corrupt(what: str) -> CorruptDatabaseError:
    return CorruptDatabaseError(
        f"the set of policies on record {what}",
        remedy="a newer Holdfast may have written it: start that one; otherwise restore the database from a backup",
    )
