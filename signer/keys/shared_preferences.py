"""Fee recipient and gas limit on a database that other processes write too: read again for every batch."""

from collections.abc import Sequence

from signer.journal.ledger import Transaction
from signer.journal.postgres_session import array_text
from signer.keys.preference_ledger import LimitsByKey, PreferenceClaim, PreferenceLedger, limits_of

_READ = """
SELECT public_key, fee_recipient, gas_limit FROM holdfast.key_preferences WHERE public_key = ANY (?::text::bytea[])
"""


class SharedPreferenceLedger(PreferenceLedger):
    """Judges as PreferenceLedger does; remembers nothing, since others write the same table."""

    def load(self, transaction: Transaction, claims: Sequence[PreferenceClaim]) -> LimitsByKey:
        """What is set for the batch's keys."""
        keys = sorted({claim.public_key for claim in claims})
        return limits_of(transaction.rows(_READ, (array_text(keys),)))
