"""What an order would make of the policies, before it is carried out: for those who are asked to approve it."""

from collections.abc import Mapping

from signer.errors import UnknownPolicyError
from signer.journal.ledger import Transaction
from signer.operations.policy_orders import ActivatePolicy, PolicyOrder, ShadowPolicy
from signer.operations.policy_plans import plan_of
from signer.policy import policy_changes as changes_of
from signer.policy.pack import read_pack
from signer.policy.policy_record import find_published
from signer.policy.policy_record import read_pack as read_packed
from signer.policy.policy_set import PolicySet
from signer.policy.set_differences import Difference, differences


def foresee(moment: Transaction, order: PolicyOrder, policies: PolicySet) -> list[Difference] | None:
    """What would not be the same any more; None where the order changes nothing.

    Raises:
        UnknownPolicyError, PolicyOrderError: it could not be carried out.
        PolicyPackError: a version that would come cannot be read.
    """
    after = _after(moment, order, policies)
    if after == policies:
        return None
    return [_with_origin(moment, each) for each in differences(policies, after)]


def _after(moment: Transaction, order: PolicyOrder, policies: PolicySet) -> PolicySet:
    match order:
        case ActivatePolicy(name=name, version=version):
            return changes_of.activated(policies, name, version)
        case ShadowPolicy(name=name, version=version):
            return changes_of.shadowed(policies, name, version)
        case _:
            return plan_of(order).make(moment, policies)


def _with_origin(moment: Transaction, difference: Difference) -> Difference:
    """Of a version that comes: whose it is, and what it says of itself."""
    version = difference.get("comes")
    if difference["what"] not in ("version", "shadow") or not isinstance(version, str):
        return difference
    return {**difference, **_origin(moment, version)}


def _origin(moment: Transaction, version: str) -> Mapping[str, object]:
    published = find_published(moment, version)
    if published is None:
        raise UnknownPolicyError(f"no policy of version {version} was ever published here")
    return {
        "description": read_pack(read_packed(moment, version)).manifest.description,
        "published_by": published.published_by,
        "signed_by": None if published.signed_by is None else "0x" + published.signed_by.hex(),
    }
