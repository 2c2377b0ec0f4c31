"""Is there a history of a key at all: one look, without reading it."""

from signer.journal.ledger import Transaction
from signer.journal.statement import Statement
from signer.units import PublicKey

_HAS_HISTORY = Statement(
    embedded="SELECT 1 FROM validators WHERE public_key = ? AND (floor_target IS NOT NULL OR floor_slot IS NOT NULL)",
    shared="""
SELECT 1 FROM known_validators() v WHERE public_key = ? AND (
    floor_target IS NOT NULL OR floor_slot IS NOT NULL
    OR EXISTS (SELECT 1 FROM signed_attestations a WHERE a.validator_id = v.id)
    OR EXISTS (SELECT 1 FROM signed_blocks b WHERE b.validator_id = v.id))
""",
)


def has_history(transaction: Transaction, public_key: PublicKey) -> bool:
    """True where a vote or a block of this key is on record, signed here or imported."""
    return any(True for _ in transaction.rows(_HAS_HISTORY, (public_key,)))
