"""Forget old records without forgetting what they protect from: the floor rises in the transaction that deletes.

After it the least kept vote is the floor: a new vote needs a target above it and a source not below it. In a history
without slashable pairs no deleted source is above the least kept one; where an import brought such pairs along, the
floor's source is the greatest deleted one.
"""

from signer.journal.ledger import Transaction
from signer.slashing.records import ordered
from signer.units import Epoch, Slot

_LEAST_KEPT_VOTE = """
SELECT source_epoch, target_epoch FROM signed_attestations
WHERE validator_id = ?1
  AND target_epoch >= min(?2, (SELECT max(target_epoch) FROM signed_attestations WHERE validator_id = ?1))
ORDER BY target_epoch LIMIT 1
"""
_GREATEST_DELETED_SOURCE = """
SELECT max(source_epoch) FROM signed_attestations WHERE validator_id = ? AND target_epoch < ?
"""
_RAISE_VOTE_FLOOR = """
UPDATE validators SET
    floor_source = max(coalesce(floor_source, ?2), ?2), floor_target = max(coalesce(floor_target, ?3), ?3)
WHERE id = ?1
"""
_DELETE_VOTES = "DELETE FROM signed_attestations WHERE validator_id = ? AND target_epoch < ?"

_LEAST_KEPT_BLOCK = """
SELECT slot FROM signed_blocks
WHERE validator_id = ?1 AND slot >= min(?2, (SELECT max(slot) FROM signed_blocks WHERE validator_id = ?1))
ORDER BY slot LIMIT 1
"""
_RAISE_BLOCK_FLOOR = "UPDATE validators SET floor_slot = max(coalesce(floor_slot, ?2), ?2) WHERE id = ?1"
_DELETE_BLOCKS = "DELETE FROM signed_blocks WHERE validator_id = ? AND slot < ?"


def prune_votes(transaction: Transaction, validator_id: int, *, before: Epoch) -> None:
    """Delete this validator's votes with a target before an epoch, but never its newest."""
    for source, target in list(transaction.rows(_LEAST_KEPT_VOTE, (validator_id, ordered(before)))):
        ((deleted,),) = transaction.rows(_GREATEST_DELETED_SOURCE, (validator_id, target))
        floor_source = source if deleted is None else max(source, deleted)
        transaction.run(_RAISE_VOTE_FLOOR, (validator_id, floor_source, target))
        transaction.run(_DELETE_VOTES, (validator_id, target))


def prune_blocks(transaction: Transaction, validator_id: int, *, before: Slot) -> None:
    """Delete this validator's blocks before a slot, but never its newest."""
    for (slot,) in list(transaction.rows(_LEAST_KEPT_BLOCK, (validator_id, ordered(before)))):
        transaction.run(_RAISE_BLOCK_FLOOR, (validator_id, slot))
        transaction.run(_DELETE_BLOCKS, (validator_id, slot))
