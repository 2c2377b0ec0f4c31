"""What an operator orders of policies: carried out by the process that keeps the record, wherever it was asked.

An order is checked (who may, what is spelled right) where it arrives (`manage_policies.py`); the worker processes pass
it on as it is. Each is one commit, together with its audit entry: a new revision of the set of policies, or nothing.
"""

from typing import Annotated, Literal, Protocol

from msgspec import Meta, Struct

from signer.auth.principal import Caller
from signer.policy.bindings import Binding
from signer.policy.limits import MAX_MODULE_BYTES
from signer.policy.pack import MAX_DATA_BYTES, MAX_MANIFEST_BYTES, GrantedName, Name
from signer.policy.policy_set import (
    ChangeGuard,
    Item,
    Namespace,
    TrustedKey,
    TrustedKeyOrNone,
    VersionOrNone,
)

MAX_PACK_BYTES = MAX_MANIFEST_BYTES + MAX_MODULE_BYTES + MAX_DATA_BYTES + 1024
"""The largest pack that can be read."""

MAX_ITEMS = 20_000
"""Of one list, and of one order about it."""

Revision = Annotated[int, Meta(ge=0, lt=2**53)]


class _Order(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="order"):
    if_revision: Revision | None = None
    """Carry it out only if this revision holds: the one that whoever orders has looked at. None: whichever does."""


class PublishPolicy(_Order, frozen=True, kw_only=True, tag="publish"):
    """Put a pack on record, and let it wait for its activation under its own name."""

    pack: Annotated[bytes, Meta(max_length=MAX_PACK_BYTES)]
    signature: Annotated[bytes, Meta(max_length=64)] = b""
    """Ed25519, over the pack (`policy/pack.py`)."""

    signed_by: TrustedKeyOrNone = ""
    """Whose; may be empty where the key is among the trusted ones."""


class ActivatePolicy(_Order, frozen=True, kw_only=True, tag="activate"):
    """Let a published version decide."""

    name: Name
    version: VersionOrNone = ""
    """Empty: the one that is staged."""


class RollBackPolicy(_Order, frozen=True, kw_only=True, tag="rollback"):
    """Let a former version of one policy decide again."""

    name: Name
    version: VersionOrNone = ""
    """Empty: the last one."""


class RollBackAll(_Order, frozen=True, kw_only=True, tag="rollback_all"):
    """Let everything hold again that held at a revision: versions, bindings, lists, trusted keys, guard."""

    revision: Revision


class RetirePolicy(_Order, frozen=True, kw_only=True, tag="retire"):
    """Take a policy out of use that is bound nowhere; its packs stay on record."""

    name: Name


class BindPolicy(_Order, frozen=True, kw_only=True, tag="bind"):
    """Let a policy have a say there."""

    binding: Binding


class UnbindPolicy(_Order, frozen=True, kw_only=True, tag="unbind"):
    """Let it have none there any more."""

    binding: Binding


class ChangeList(_Order, frozen=True, kw_only=True, tag="list"):
    """Say what a list holds that policies may ask."""

    name: GrantedName
    change: Literal["set", "add", "remove", "drop"]
    """`drop`: there is no such list any more."""

    items: Annotated[tuple[Item, ...], Meta(max_length=MAX_ITEMS)] = ()


class TrustKey(_Order, frozen=True, kw_only=True, tag="trust"):
    """Publish and activate only what this key, or another trusted one, has signed."""

    key: TrustedKey
    trusted: bool = True
    """False: take the key's trust away."""


class KeepFacts(_Order, frozen=True, kw_only=True, tag="keep_facts"):
    """Keep the decisions of these namespaces with their facts, and of no others."""

    namespaces: Annotated[tuple[Namespace, ...], Meta(max_length=64)]


class ShadowPolicy(_Order, frozen=True, kw_only=True, tag="shadow"):
    """Run a version beside the one that decides."""

    name: Name
    version: VersionOrNone = ""
    """Empty: none any more."""


class GuardChanges(_Order, frozen=True, kw_only=True, tag="guard"):
    """Let changes of policies wait for the approval of people; None: of nobody."""

    guard: ChangeGuard | None = None


PolicyOrder = (
    PublishPolicy
    | ActivatePolicy
    | RollBackPolicy
    | RollBackAll
    | RetirePolicy
    | BindPolicy
    | UnbindPolicy
    | ChangeList
    | TrustKey
    | KeepFacts
    | ShadowPolicy
    | GuardChanges
)


class PolicyOrdered(Struct, frozen=True, forbid_unknown_fields=True):
    """What became of an order."""

    revision: int
    """That holds now."""

    status: Literal["done", "unchanged"]
    change: str
    """What was changed, as the audit log tells it."""

    version: str = ""
    """Of the policy that the order was about, where it was about a version."""


class PolicyOrders(Protocol):
    """Where orders are carried out: by the writer here, or at the other end of a worker's link.

    Durable, and in force on every instance, when it returns. May be called in parallel; does not retry; asks nobody who
    the caller is.
    """

    async def carry_out(self, order: PolicyOrder, caller: Caller, *, approval_id: bytes = b"") -> PolicyOrdered:
        """One order, whole or not at all.

        `approval_id`: of the approval that it uses up, where changes wait for people.

        Raises:
            ApprovalChangedError: changes wait for people, and this one has no approval, or none any more.
            UnknownPolicyError, PolicyOrderError, PolicyRevisionError: nothing was changed.
            PolicyPackError, PolicyModuleError, PolicySignatureError: what was to be published, and was not.
            JournalDownError, OutcomeUnknownError.
        """
        ...
