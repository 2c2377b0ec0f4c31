"""Keys that arrive without history: which they are, until when they wait, and how the wait ends.

A key is new to the record that has neither history nor a mark of quarantine. Its mark outlives the wait, so that a key
waits once: what has ended stands there as epoch 0.

Rule 1: history is a vote above epoch 0 or a block above slot 0, signed here or imported. A vote 0 -> 0 and a block of
slot 0 are none: clients write these for a validator that has never signed.
Rule 2: a floor is no history. An operator's watermark says nothing of what was signed elsewhere, and whoever may raise
one may not release a key for that.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from signer.journal.ledger import Transaction
from signer.journal.statement import Statement
from signer.keys.ledger import read_key_states
from signer.units import Epoch, PublicKey

_ENDED = -(2**63)
"""Epoch 0 and slot 0, as they are stored."""

_NEW = Statement(
    embedded="""
SELECT j.value AS key FROM json_each(?1) j
WHERE NOT EXISTS (
    SELECT 1 FROM validators v WHERE v.public_key = unhex(j.value) AND (
        EXISTS (SELECT 1 FROM signed_attestations a WHERE a.validator_id = v.id AND a.target_epoch > ?2)
        OR EXISTS (SELECT 1 FROM signed_blocks b WHERE b.validator_id = v.id AND b.slot > ?2)
        OR v.held_target > ?2 OR v.held_slot > ?2
    )
) AND NOT EXISTS (
    SELECT 1 FROM key_states k WHERE k.public_key = unhex(j.value) AND k.quarantine_until IS NOT NULL
)
""",
    shared="""
SELECT asked.key FROM json_array_elements_text(?1::text::json) AS asked (key)
WHERE (
    SELECT coalesce(
        (SELECT 1 FROM signed_attestations a
         WHERE a.validator_id = v.id AND a.target_epoch > as_number(?2::bigint) LIMIT 1),
        (SELECT 1 FROM signed_blocks b WHERE b.validator_id = v.id AND b.slot > as_number(?2::bigint) LIMIT 1),
        (SELECT 1 FROM held_floors h WHERE h.validator_id = v.id
            AND (h.target_epoch > as_number(?2::bigint) OR h.slot > as_number(?2::bigint)))
    ) FROM validators v WHERE v.public_key = decode(asked.key, 'hex')
) IS NULL AND NOT EXISTS (
    SELECT 1 FROM key_states k WHERE k.public_key = decode(asked.key, 'hex') AND k.quarantine_until IS NOT NULL
)
""",
)
"""Rows, and not floors, as the rules have it; and what an import under way holds a validator at."""

_MARK = Statement(
    embedded="""
INSERT INTO key_states (public_key, quarantine_until) SELECT unhex(value), ?2 FROM json_each(?1) WHERE true
ON CONFLICT (public_key) DO UPDATE SET quarantine_until = excluded.quarantine_until
""",
    shared="""
INSERT INTO key_states (public_key, quarantine_until)
SELECT decode(key, 'hex'), ?2 FROM json_array_elements_text(?1::text::json) AS asked (key)
ON CONFLICT (public_key) DO UPDATE SET quarantine_until = excluded.quarantine_until
""",
)
_RELEASE = "UPDATE key_states SET quarantine_until = ?2 WHERE public_key = ?1 AND quarantine_until > ?2"
_SETTLE = "UPDATE key_states SET quarantine_until = ?2 WHERE quarantine_until > ?2 AND quarantine_until <= ?1"


@dataclass(frozen=True, slots=True)
class WaitingKey:
    """A key in quarantine."""

    public_key: PublicKey
    until_epoch: Epoch
    """The first epoch whose votes and blocks are signed."""


def find_new_keys(transaction: Transaction, public_keys: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
    """Those that the record knows nothing of."""
    return tuple(PublicKey(bytes.fromhex(key)) for (key,) in transaction.rows(_NEW, (_texts(public_keys), _ENDED)))


def begin_quarantine(
    transaction: Transaction, public_keys: Iterable[PublicKey], *, until: Epoch
) -> tuple[PublicKey, ...]:
    """Let those that the record knows nothing of wait; which they are."""
    new = find_new_keys(transaction, public_keys)
    transaction.run(_MARK, (_texts(new), until + _ENDED))
    return new


def settle_quarantine(transaction: Transaction, *, before: Epoch) -> None:
    """Waits that have ended before this epoch are over for good: nobody needs to be asked about them again."""
    transaction.run(_SETTLE, (before + _ENDED, _ENDED))


def end_quarantine(transaction: Transaction, public_keys: Iterable[PublicKey]) -> None:
    """These wait no more, and never will; the same for keys that have not been seen yet."""
    transaction.run(_MARK, (_texts(public_keys), _ENDED))


def release_key(transaction: Transaction, public_key: PublicKey) -> bool:
    """This key waits no more; False where it has no wait on record."""
    transaction.run(_RELEASE, (public_key, _ENDED))
    return transaction.changed() > 0


def read_quarantine(transaction: Transaction) -> tuple[WaitingKey, ...]:
    """The keys that have a wait on record, ended or not, by public key."""
    states = read_key_states(transaction)
    return tuple(
        WaitingKey(key, states[key].quarantine_until or Epoch(0))
        for key in sorted(states)
        if states[key].quarantine_until is not None
    )


def _texts(public_keys: Iterable[PublicKey]) -> str:
    return msgspec.json.encode([key.hex() for key in public_keys]).decode()
