"""The policies of a record without any, as the gate wants them."""

from signer.clock import Clock
from signer.eth2.networks import Network
from signer.events import Events
from signer.journal.reader import Reading
from signer.keys.preferences import NOTHING_SET, Preferences
from signer.operations.policies import Policies
from signer.operations.policy_check import PolicyCheck
from signer.operations.proven_facts import Proving
from signer.policy.combine import IN_PRODUCTION, Defaults


def policy_check(
    reading: Reading,
    network: Network,
    clock: Clock,
    *,
    events: Events | None = None,
    defaults: Defaults = IN_PRODUCTION,
    preferences: Preferences = NOTHING_SET,
) -> PolicyCheck:
    policies = Policies(reading=reading, clock=clock, events=events or Events(), defaults=defaults)
    return PolicyCheck(policies, network, Proving(reading=reading, defaults=preferences))
