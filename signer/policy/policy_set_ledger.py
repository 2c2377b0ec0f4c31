"""No signature by policies that do not hold any more: the revision that was asked is judged again in the commit.

Rule 1: every signing command carries the claim, also where nothing is bound: then it says that nothing is.
Rule 2: once a change of policies is durable, nothing that was judged by the former ones is committed any more, on any
instance. Whoever is refused with PolicyChangedError reads the policies again, and asks them.
"""

from collections.abc import Sequence

from msgspec import Struct

from signer.errors import PolicyChangedError
from signer.journal.ledger import Transaction

_READ = "SELECT coalesce(max(revision), 0) FROM policy_sets"
_CHECK = "SELECT holdfast.check_policy_revision(?)"


class PolicySetClaim(Struct, frozen=True):
    """The policies of this revision were asked."""

    revision: int


class PolicySetLedger:
    """Judges the revision that was asked. Owned by the writer; remembers what only operators' changes alter."""

    claim_type = PolicySetClaim

    def __init__(self, *, alone: bool = True) -> None:
        """`alone`: False for a single question beside the writer."""
        self._alone = alone
        self._remembered: int | None = None

    def load(self, transaction: Transaction, _claims: Sequence[PolicySetClaim]) -> int:
        """The newest revision."""
        if self._remembered is None or not self._alone:
            self._remembered = read_revision(transaction)
        return self._remembered

    def judge(self, claim: PolicySetClaim, facts: int) -> None:
        """Says nothing of repeats. Raises PolicyChangedError: the policies that hold have another revision."""
        if claim.revision != facts:
            raise PolicyChangedError(judged_by=claim.revision, newest=facts)

    def accept(self, claim: PolicySetClaim, facts: int) -> None:
        """Having asked changes nothing."""

    def store(self, transaction: Transaction, facts: int) -> None:
        """Having asked leaves no record of its own."""

    def forget(self) -> None:
        """See `RemembersFacts.forget`."""
        self._remembered = None


class SharedPolicySetLedger(PolicySetLedger):
    """The same where other signers change the policies too, without a round trip.

    It trusts what it remembers as long as the claims say the same, and lets the database check that with the commit
    (HF010: the batch is judged again, and what was remembered is forgotten).
    """

    def load(self, transaction: Transaction, claims: Sequence[PolicySetClaim]) -> int:
        """The newest revision, as far as we know: read again where a claim knows another one."""
        if any(claim.revision != self._remembered for claim in claims):
            self._remembered = read_revision(transaction)
        return super().load(transaction, claims)

    def store(self, transaction: Transaction, facts: int) -> None:
        """Let the commit fail unless this is the newest revision still. No policy changes until it has ended."""
        transaction.run(_CHECK, (facts,))


def read_revision(transaction: Transaction) -> int:
    """The newest revision; 0 where nothing was ever published."""
    ((revision,),) = transaction.rows(_READ)
    return int(revision)
