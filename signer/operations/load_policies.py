"""From the record to the policies in force: packs are read and compiled, each version once.

Rule: what does not load denies whatever it is bound to (POLICY_NOT_LOADED). Fails closed.
"""

import logging
import threading
from collections.abc import Iterable

from wasmtime import Engine

from signer.errors import CorruptDatabaseError, RequestError, UnknownPolicyError
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.keys.tags import read_tags
from signer.operations.policies_in_force import Candidate, Decider, InForce, RolesOf, Served
from signer.policy.load_pack import load_pack
from signer.policy.modules import Modules
from signer.policy.pack import read_pack
from signer.policy.policy_record import read_pack as read_packed
from signer.policy.policy_record import read_policy_set
from signer.policy.policy_set import ServedPolicy
from signer.policy.policy_set_ledger import read_revision
from signer.policy.sandbox import Sandbox
from signer.policy.verdict import Deny

NOT_LOADED = "POLICY_NOT_LOADED"

_log = logging.getLogger("holdfast.policy")


class PolicyLoading:
    """Owned by `Policies`; used by one thread at a time, never on the event loop."""

    def __init__(self, engine: Engine, *, reading: Reading, roles_of: RolesOf) -> None:
        self._modules = Modules(engine)
        self._sandbox = Sandbox(engine)
        self._reading = reading
        self._roles_of = roles_of
        self._loaded: dict[str, Decider] = {}
        """By version. Only what could be loaded."""
        self._alone = threading.Lock()

    def read(self) -> InForce:
        """The policies that the record says hold now.

        Raises:
            StartupError, DatabaseDownError: the record cannot be read.
        """
        with self._alone, self._reading() as moment:
            policies = read_policy_set(moment)
            bound = {binding.policy for binding in policies.bindings}
            served = {each.name: self._served(moment, each) for each in policies.policies if each.name in bound}
            self._forget_others(served.values())
            return InForce(
                policies,
                served,
                {each.name: frozenset(each.items) for each in policies.lists},
                read_tags(moment) if bound or policies.keeps_facts else {},
                self._roles_of,
            )

    def load(self, name: str, version: str) -> Decider:
        """One version that may be bound nowhere. Raises as `read`."""
        with self._alone, self._reading() as moment:
            return self._decider(moment, name, version)

    def _served(self, moment: Transaction, policy: ServedPolicy) -> Served:
        shadow = None
        if policy.shadow:
            shadow = Candidate(policy.shadow, self._decider(moment, policy.name, policy.shadow))
        return Served(policy.name, policy.version, self._decider(moment, policy.name, policy.version), shadow)

    def _decider(self, moment: Transaction, name: str, version: str) -> Decider:
        if not version:
            return _not_loaded(name, "no version of it was activated yet")
        if (known := self._loaded.get(version)) is not None:
            return known
        try:
            decider = load_pack(self._modules, self._sandbox, read_pack(read_packed(moment, version)))
        except (UnknownPolicyError, CorruptDatabaseError, RequestError) as error:
            return _not_loaded(name, str(error))
        self._loaded[version] = decider
        return decider

    def _forget_others(self, served: Iterable[Served]) -> None:
        """Compiled modules take memory: those of versions that serve nowhere are let go."""
        used = {version for each in served for version in (each.version, each.shadow.version if each.shadow else "")}
        self._loaded = {version: decider for version, decider in self._loaded.items() if version in used}


def newest_revision(reading: Reading) -> int:
    """Of the policies on record. Blocks. Raises StartupError, DatabaseDownError."""
    with reading() as moment:
        return read_revision(moment)


def _not_loaded(name: str, reason: str) -> Deny:
    _log.error(
        "policy %s does not load, so whatever it is bound to is denied: %s", name, reason, extra={"code": NOT_LOADED}
    )
    return Deny(NOT_LOADED, f"the policy does not load: {reason}", {})
