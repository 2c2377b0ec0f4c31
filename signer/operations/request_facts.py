"""What policies are told of a request: from intent, key and caller to facts.

Rule: the payload's facts come from the object whose root is signed, and from nothing else that the request says.
"""

from collections.abc import Iterable

from signer.auth import principal as auth
from signer.eth2.networks import Network
from signer.intent import SignDuty, SignExtension
from signer.keys.key import Key
from signer.policy.duty_facts import NOTHING_PROVEN, Proven, duty_facts
from signer.policy.facts import VERSION, Caller, Environment, Facts, Signer
from signer.units import Root

ALGORITHM = "bls12-381"
"""Of every key that signs consensus duties."""

PURPOSE = "validator"
"""What such a key is for."""


def signer_facts(key: Key, *, tags: Iterable[str], roles: Iterable[str]) -> Signer:
    """The key. `tags`: those on record; `roles`: the groups whose members may use it."""
    written = "0x" + key.public_key.hex()
    return Signer(
        key_id=written,
        public_key=written,
        algorithm=ALGORITHM,
        namespace=key.namespace,
        tags=tuple(sorted(tags)),
        purpose=PURPOSE,
        roles=tuple(sorted(roles)),
    )


def caller_facts(caller: auth.Caller) -> Caller:
    """Who asks, and from where."""
    principal = caller.principal
    return Caller(identity=principal.name, roles=tuple(sorted(principal.groups)), address=caller.address or None)


def facts_of_duty(
    intent: SignDuty,
    root: Root,
    *,
    signer: Signer,
    caller: auth.Caller,
    network: Network,
    at_seconds: int,
    simulation: bool,
    proven: Proven = NOTHING_PROVEN,
) -> Facts:
    """A consensus duty. `root` is what would be signed; `proven`: what was verified against the root of a body."""
    return Facts(
        version=VERSION,
        opaque=False,
        payload_hash="0x" + root.hex(),
        duty=duty_facts(intent.duty, slots_per_epoch=network.preset.slots_per_epoch, proven=proven),
        signer=signer,
        caller=caller_facts(caller),
        environment=Environment(timestamp=at_seconds, chain_id=network.name, simulation=simulation),
    )


def facts_of_extension(
    _intent: SignExtension,
    digest: bytes,
    *,
    signer: Signer,
    caller: auth.Caller,
    network: Network,
    at_seconds: int,
) -> Facts:
    """Raw bytes that are signed as they come: opaque. `digest` is their SHA-256."""
    return Facts(
        version=VERSION,
        opaque=True,
        payload_hash="0x" + digest.hex(),
        signer=signer,
        caller=caller_facts(caller),
        environment=Environment(timestamp=at_seconds, chain_id=network.name, simulation=False),
    )
