"""What keeps keys from signing, on a database that other processes write too: read again for every batch.

The orders (`freeze_key`, `disable_key`, `bury_key` and their opposites in `ledger.py`) are the same statements on both
databases; here a trigger lets Web3Signer's `enabled` follow them.
"""

from collections.abc import Sequence

from signer.journal.ledger import Row, Transaction
from signer.journal.postgres_session import array_text
from signer.keys.ledger import EVERY_KEY, KeyState, KeyStateLedger, KeyStates, KeyUseClaim, with_frozen_tags
from signer.units import Epoch, PublicKey

_READ = """
SELECT k.public_key, NULL AS tag, k.frozen_ms, k.disabled_ms, k.deleted_ms,
    CASE WHEN k.quarantine_until > -9223372036854775808 AND NOT EXISTS (
        SELECT 1 FROM validators v JOIN signed_attestations a ON a.validator_id = v.id
        WHERE v.public_key = k.public_key
            AND a.target_epoch > 0 AND a.target_epoch < k.quarantine_until + 9223372036854775808
    ) THEN k.quarantine_until END,
    EXISTS (SELECT 1 FROM validators v WHERE v.public_key = k.public_key AND NOT v.enabled)
FROM holdfast.key_states k WHERE k.public_key = ANY (?1::text::bytea[])
UNION ALL
SELECT bearer, name, since_ms, NULL, NULL, NULL, NULL FROM holdfast.frozen_tags_of(?1::text::bytea[])
"""
# In quarantine no vote is signed: one below its end was imported, and history is what the key has waited for.


class SharedKeyStateLedger(KeyStateLedger):
    """Judges the use of keys as KeyStateLedger does; remembers nothing, since others write the same table."""

    def load(self, transaction: Transaction, claims: Sequence[KeyUseClaim]) -> KeyStates:
        """The states of the batch's keys, and of all keys together; one statement, for it is a round trip."""
        keys = sorted({claim.public_key for claim in claims} | {EVERY_KEY})
        states, tagged = dict[PublicKey, KeyState](), list[Row]()
        for key, tag, frozen_ms, disabled_ms, deleted_ms, until, is_off in transaction.rows(_READ, (array_text(keys),)):
            if tag is not None:
                tagged.append((key, tag, frozen_ms))
                continue
            states[PublicKey(bytes(key))] = KeyState(
                frozen_ms,
                disabled_ms,
                deleted_ms,
                None if until is None else Epoch(until + 2**63),
                is_disabled_beside=bool(is_off),
            )
        return with_frozen_tags(states, tagged)
