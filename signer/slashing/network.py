"""The chain this record belongs to: its genesis_validators_root, pinned once, never by trust in a production client."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

from signer.errors import ForeignDatabaseError, WrongNetworkError
from signer.journal.ledger import Transaction
from signer.journal.statement import Statement
from signer.units import Root

_READ = Statement(
    embedded="SELECT genesis_validators_root FROM network",
    shared="SELECT genesis_validators_root FROM metadata WHERE id = 1",
)
_WRITE = Statement(
    embedded="INSERT INTO network (id, genesis_validators_root) VALUES (1, ?)",
    shared="INSERT INTO metadata (id, genesis_validators_root) VALUES (1, ?)",
)

_ENSURE = Statement(
    embedded=f"{_WRITE.embedded} ON CONFLICT DO NOTHING", shared=f"{_WRITE.shared} ON CONFLICT DO NOTHING"
)
"""Two signers may pin a shared database at once: the first one counts, and the other compares."""


class NetworkClaim(Struct, frozen=True):
    """The next duties are for this chain."""

    genesis_validators_root: Root


@dataclass(slots=True)
class NetworkFacts:
    """The pinned root, and whether this batch pins it."""

    pinned: Root | None
    is_new: bool = False


class NetworkLedger:
    """Pins the first root seen, where the configuration names none (`development` and `test` presets only)."""

    claim_type = NetworkClaim

    def load(self, transaction: Transaction, _claims: Sequence[NetworkClaim]) -> NetworkFacts:
        """The root on record."""
        return NetworkFacts(recorded_network(transaction))

    def judge(self, claim: NetworkClaim, facts: NetworkFacts) -> bool:
        """Raises WrongNetworkError for any root but the pinned one."""
        if facts.pinned is None:
            return True
        if facts.pinned != claim.genesis_validators_root:
            raise WrongNetworkError(requested=claim.genesis_validators_root, pinned=facts.pinned)
        return False

    def accept(self, claim: NetworkClaim, facts: NetworkFacts) -> None:
        """The first root is the pinned one from here on."""
        facts.pinned = claim.genesis_validators_root
        facts.is_new = True

    def store(self, transaction: Transaction, facts: NetworkFacts) -> None:
        """The pin, if this batch made it."""
        if facts.is_new:
            transaction.run(_WRITE, (None if facts.pinned is None else bytes(facts.pinned),))


def recorded_network(transaction: Transaction) -> Root | None:
    """The genesis_validators_root this record is for, or None where nothing pinned it yet."""
    for (root,) in transaction.rows(_READ):
        return Root(bytes(root))
    return None


def bind_network(transaction: Transaction, root: Root | None) -> Root | None:
    """At start: the configured root must be the recorded one; the first is recorded. What is pinned now.

    Raises:
        ForeignDatabaseError: the record belongs to another chain.
    """
    recorded = recorded_network(transaction)
    if root is None:
        return recorded
    if recorded is None:
        transaction.run(_ENSURE, (bytes(root),))
        recorded = recorded_network(transaction)
    check_same_network(recorded, root)
    return recorded


def check_same_network(recorded: Root | None, root: Root) -> None:
    """Raises ForeignDatabaseError: what is on record is of another chain than the configured root."""
    if recorded != root:
        raise ForeignDatabaseError(
            "the database holds the record of another network",
            remedy="correct network.name (or genesis_validators_root), or use that network's own data directory or"
            " database",
            evidence={
                "database_genesis_validators_root": None if recorded is None else "0x" + recorded.hex(),
                "configured_genesis_validators_root": "0x" + root.hex(),
            },
        )
