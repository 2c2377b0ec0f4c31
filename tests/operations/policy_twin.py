"""The policies of a record without any, as the gate wants them."""

from signer.auth.approvers import Approver, Approvers
from signer.clock import Clock
from signer.crypto.aead import KEY_BYTES, Sealer
from signer.crypto.secret import Secret
from signer.eth2.networks import Network
from signer.events import Events
from signer.journal.reader import Reading
from signer.keys.preferences import NOTHING_SET, Preferences
from signer.operations.approve import LocalApprovalOrders
from signer.operations.changes import Changes
from signer.operations.held_requests import HeldRequests
from signer.operations.hold_for_people import PeopleStep
from signer.operations.policies import Policies
from signer.operations.policy_check import PolicyCheck
from signer.operations.proven_facts import Proving
from signer.operations.serving_policies import ServingPolicies
from signer.policy.combine import IN_PRODUCTION, Defaults

OWNERS = Approvers(Approver(name, frozenset({"owners"})) for name in ("ann", "bob", "cid"))
"""Who may approve."""


def policy_check(
    reading: Reading,
    network: Network,
    clock: Clock,
    *,
    events: Events | None = None,
    defaults: Defaults = IN_PRODUCTION,
    preferences: Preferences = NOTHING_SET,
    changes: Changes | None = None,
) -> PolicyCheck:
    """`changes`: where what waits for people is written; without, nothing may come to wait."""
    policies = Policies(reading=reading, clock=clock, events=events or Events(), defaults=defaults)
    proving = Proving(reading=reading, defaults=preferences)
    return PolicyCheck(
        policies, network, proving, PeopleStep(held_requests(reading, clock, changes), ServingPolicies(reading))
    )


def held_requests(reading: Reading, clock: Clock, changes: Changes | None) -> HeldRequests:
    orders = LocalApprovalOrders(
        changes=changes,  # type: ignore[arg-type]
        reading=reading,
        clock=clock,
        events=Events(),
        sealer=Sealer(Secret(b"\x05" * KEY_BYTES)),
        most_waiting=3,
        keep_days=90,
    )
    return HeldRequests(orders=orders, reading=reading, clock=clock, approvers=OWNERS)
