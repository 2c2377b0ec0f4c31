"""Keys that arrive without history: which they are, until when they wait, and how the wait ends.

A key is new to the record that has neither history nor a mark of quarantine. Its mark outlives the wait, so that a key
waits once: what has ended stands there as epoch 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from signer.journal.ledger import Transaction
from signer.journal.statement import Statement
from signer.keys.ledger import read_key_states
from signer.units import Epoch, PublicKey

_ENDED = -(2**63)
"""Epoch 0, as it is stored."""

_NEW = Statement(
    embedded="""
SELECT j.value AS key FROM json_each(?1) j
WHERE NOT EXISTS (
    SELECT 1 FROM validators v WHERE v.public_key = unhex(j.value)
        AND (v.floor_target IS NOT NULL OR v.floor_slot IS NOT NULL OR v.held_by IS NOT NULL)
) AND NOT EXISTS (
    SELECT 1 FROM key_states k WHERE k.public_key = unhex(j.value) AND k.quarantine_until IS NOT NULL
)
""",
    shared="""
SELECT asked.key FROM json_array_elements_text(?1::text::json) AS asked (key)
WHERE NOT EXISTS (
    SELECT 1 FROM known_validators() v WHERE v.public_key = decode(asked.key, 'hex')
        AND (v.floor_target IS NOT NULL OR v.floor_slot IS NOT NULL OR v.held_by IS NOT NULL)
) AND NOT EXISTS (
    SELECT 1 FROM key_states k WHERE k.public_key = decode(asked.key, 'hex') AND k.quarantine_until IS NOT NULL
)
""",
)
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
    return tuple(PublicKey(bytes.fromhex(key)) for (key,) in transaction.rows(_NEW, (_texts(public_keys),)))


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
