"""Duties that nothing takes back: exits, changes of withdrawal credentials, deposits. Asked for by name, or refused.

Fails closed: where they are to be granted, only what a grant names exactly is signed (its type, its client, its key).
"""

from dataclasses import dataclass

from signer.errors import IrreversibleDutyError
from signer.units import PublicKey

IRREVERSIBLE_DUTIES = frozenset({"VOLUNTARY_EXIT", "BLS_TO_EXECUTION_CHANGE", "DEPOSIT"})
"""The types of the remote signing API."""

GRANTS_SETTING = "policy.irreversible_grants"
"""Where they are turned on, one by one."""


@dataclass(frozen=True, slots=True)
class IrreversibleGrant:
    """One type that one principal may have signed with some keys."""

    duty: str
    principal: str
    keys: frozenset[PublicKey]


@dataclass(frozen=True, slots=True)
class IrreversibleRule:
    """What is granted. Immutable."""

    allowed: bool
    """True where no grant is asked for."""

    grants: tuple[IrreversibleGrant, ...] = ()

    def check(self, duty_type: str, *, principal: str, public_key: PublicKey) -> None:
        """Raises IrreversibleDutyError for a duty that nothing takes back and nobody has granted."""
        if self.allowed or duty_type not in IRREVERSIBLE_DUTIES:
            return
        for grant in self.grants:
            if grant.duty == duty_type and grant.principal == principal and public_key in grant.keys:
                return
        raise IrreversibleDutyError(duty_type, principal=principal, identifier="0x" + public_key.hex())
