"""Nobody else signs with these validators until the transaction ends, where others can: on a shared database.

For each validator Web3Signer's two advisory locks are taken, in the order in which every batch takes its own (class 0,
then class 1, ids ascending): so no two of us wait for each other, and Web3Signer, which takes one at a time, for
nobody. A statement of its own: what is read after it was committed before it.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.journal.statement import NOTHING, Statement
from signer.units import PublicKey

MOST_LOCKED = 256
"""Validators locked in one transaction: 512 of the 6400 places that a server's lock table has at its defaults."""

_LOCK_KEYS = Statement(
    embedded=NOTHING,
    shared="""
SELECT pg_advisory_xact_lock(class, id) FROM (
    SELECT class, v.id FROM json_array_elements_text(?::text::json) AS asked (key)
    JOIN validators v ON v.public_key = decode(asked.key, 'hex') CROSS JOIN (VALUES (0), (1)) AS classes (class)
    ORDER BY class, v.id
) AS locks
""",
)
_LOCK_IDS = Statement(
    embedded=NOTHING,
    shared="""
SELECT pg_advisory_xact_lock(class, id) FROM (
    SELECT class, id::int FROM json_array_elements_text(?::text::json) AS asked (id)
    CROSS JOIN (VALUES (0), (1)) AS classes (class) ORDER BY class, id::int
) AS locks
""",
)


def lock_keys(transaction: Transaction, public_keys: Iterable[str]) -> None:
    """The validators of these keys (hex); those that are not on record have nothing to lock."""
    transaction.run(_LOCK_KEYS, (msgspec.json.encode(list(public_keys)).decode(),))


def lock_validators(transaction: Transaction, validator_ids: Iterable[int]) -> None:
    """The validators of these ids."""
    transaction.run(_LOCK_IDS, (msgspec.json.encode(sorted(set(validator_ids))).decode(),))


def wait_for_signatures(reading: Reading, public_keys: Sequence[PublicKey]) -> None:
    """Return once everything that was being signed with these keys is on record. Blocks.

    Whoever has seen to it that nobody begins anew reads afterwards all that there will ever be. So many keys at a time
    as a transaction may lock; each waits for those who sign with them, and holds up the next for an instant.
    """
    for some in _batched(public_keys, MOST_LOCKED):
        with reading() as moment:
            list(moment.rows(_LOCK_KEYS, (msgspec.json.encode([key.hex() for key in some]).decode(),)))


def _batched(public_keys: Sequence[PublicKey], size: int) -> Iterator[Sequence[PublicKey]]:
    """So many at a time."""
    for start in range(0, len(public_keys), size):
        yield public_keys[start : start + size]
