"""What a block's proofs show: fields of a body of which only the root is signed.

A client that sends proofs (Nimbus' verifying-web3signer) sends the branch and not the leaf: whoever has an expectation
knows it. So what is tried is what somebody here expects: what is set for the key, and what the policies list.

Rule: a value is told to policies only if it hashes to the root that is signed. Fails closed: nothing fits, nothing is
told, and a rule that demands the value denies.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from signer.eth2.block_proofs import BodyProof
from signer.eth2.duties import BlockDuty
from signer.journal.reader import Reading
from signer.keys.preferences import ADDRESS_BYTES, GRAFFITI_BYTES, NOTHING_SET, Preferences, read_preferences
from signer.operations.policies_in_force import Bound, InForce
from signer.operations.reading import read_record
from signer.policy.duty_facts import Proven
from signer.policy.rules.about_duties import FeeRecipients, Graffiti
from signer.policy.rules.rule import RuleFile
from signer.policy.sandbox import LoadedPolicy
from signer.units import PublicKey

Kind = TypeVar("Kind")

_ADDRESS = re.compile(rf"0x[0-9a-fA-F]{{{2 * ADDRESS_BYTES}}}")

MAX_TRIED = 2048
"""Values that are tried against one proof: 10 us each."""


class Proving:
    """One for the life of the process. `prove` blocks: call it on a thread."""

    def __init__(self, *, reading: Reading, defaults: Preferences = NOTHING_SET) -> None:
        """`defaults`: fee recipient of keys for which none is set."""
        self._reading = reading
        self._defaults = defaults

    def prove(self, public_key: PublicKey, duty: BlockDuty, bound: Bound, in_force: InForce) -> Proven:
        """What the block's proofs show of values that are expected here. Raises StartupError, DatabaseDownError."""
        own = read_record(self._reading, lambda moment: read_preferences(moment, public_key)).over(self._defaults)
        return Proven(
            _fitting(duty, duty.fee_recipient_proof, _addresses(own, bound, in_force)),
            _fitting(duty, duty.graffiti_proof, _graffiti(own, bound)),
        )


def _fitting(duty: BlockDuty, proof: BodyProof | None, values: Iterable[bytes]) -> bytes | None:
    """The value that the body of this very block holds there."""
    if proof is None or proof.body_root != duty.body_root:
        return None
    tried = islice(dict.fromkeys(values), MAX_TRIED)
    return next((value for value in tried if proof.fits(value)), None)


def _addresses(own: Preferences, bound: Bound, in_force: InForce) -> Iterator[bytes]:
    if own.fee_recipient is not None:
        yield own.fee_recipient
    for rules in _rule_files(bound):
        for condition in _conditions(rules, FeeRecipients):
            yield from (bytes.fromhex(address[2:]) for address in sorted(condition.addresses))
    for name in sorted(_granted_lists(bound)):
        yield from (bytes.fromhex(item[2:]) for item in sorted(in_force.lists.get(name, ())) if _is_address(item))


def _graffiti(own: Preferences, bound: Bound) -> Iterator[bytes]:
    texts = [own.graffiti.encode()] if own.graffiti is not None else []
    for rules in _rule_files(bound):
        for condition in _conditions(rules, Graffiti):
            texts.extend(sorted(condition.texts))
    for text in texts:
        yield text.ljust(GRAFFITI_BYTES, b"\0")


def _rule_files(bound: Bound) -> Iterator[RuleFile]:
    return (policy.decider for policy in bound.policies if isinstance(policy.decider, RuleFile))


def _granted_lists(bound: Bound) -> set[str]:
    granted = (policy.decider.grants.lists for policy in bound.policies if isinstance(policy.decider, LoadedPolicy))
    return {name for names in granted for name in names}


def _conditions(rules: RuleFile, kind: type[Kind]) -> Iterator[Kind]:
    for rule in rules.rules:
        for condition in (*rule.when, *rule.unless, *rule.conditions):
            if isinstance(condition, kind):
                yield condition


def _is_address(item: str) -> bool:
    return _ADDRESS.fullmatch(item) is not None
