"""What an operator has set for one key: fee recipient, gas limit, graffiti (ethereum/keymanager-APIs).

Fee recipient and gas limit are signing policy: `preference_ledger.py` refuses what says something else. A signer puts
no graffiti into blocks; it is kept for whoever asks.
"""

from dataclasses import dataclass

from signer.journal.ledger import Transaction
from signer.units import PublicKey

ADDRESS_BYTES = 20
"""An execution layer address."""

GRAFFITI_BYTES = 32
"""Of a block's graffiti (phase0, BeaconBlockBody)."""

SIGN_BIT = 2**63
"""Taken from unsigned 64-bit numbers when they are stored, which keeps their order."""

_READ = "SELECT fee_recipient, gas_limit, graffiti FROM key_preferences WHERE public_key = ?1"
_WRITE = """
INSERT INTO key_preferences (public_key, fee_recipient, gas_limit, graffiti) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (public_key) DO UPDATE
SET fee_recipient = excluded.fee_recipient, gas_limit = excluded.gas_limit, graffiti = excluded.graffiti
"""
_DROP_EMPTY = """
DELETE FROM key_preferences
WHERE public_key = ?1 AND fee_recipient IS NULL AND gas_limit IS NULL AND graffiti IS NULL
"""


@dataclass(frozen=True, slots=True)
class Preferences:
    """None where nothing is set."""

    fee_recipient: bytes | None = None
    gas_limit: int | None = None
    graffiti: str | None = None

    def over(self, defaults: "Preferences") -> "Preferences":
        """These, and where nothing is set the defaults."""
        return Preferences(
            defaults.fee_recipient if self.fee_recipient is None else self.fee_recipient,
            defaults.gas_limit if self.gas_limit is None else self.gas_limit,
            defaults.graffiti if self.graffiti is None else self.graffiti,
        )

    def told(self) -> dict[str, str | None]:
        """In texts."""
        return {
            "fee_recipient": None if self.fee_recipient is None else "0x" + self.fee_recipient.hex(),
            "gas_limit": None if self.gas_limit is None else str(self.gas_limit),
            "graffiti": self.graffiti,
        }


NOTHING_SET = Preferences()


def read_preferences(transaction: Transaction, public_key: PublicKey) -> Preferences:
    """What is set for this key itself."""
    for fee_recipient, gas_limit, graffiti in transaction.rows(_READ, (public_key,)):
        return Preferences(
            None if fee_recipient is None else bytes(fee_recipient),
            None if gas_limit is None else gas_limit + SIGN_BIT,
            None if graffiti is None else bytes(graffiti).decode(),
        )
    return NOTHING_SET


def write_preferences(transaction: Transaction, public_key: PublicKey, preferences: Preferences) -> None:
    """Set all of them for this key, from this commit on."""
    gas_limit, graffiti = preferences.gas_limit, preferences.graffiti
    values = (
        public_key,
        preferences.fee_recipient,
        None if gas_limit is None else gas_limit - SIGN_BIT,
        None if graffiti is None else graffiti.encode(),
    )
    transaction.run(_WRITE, values)
    transaction.run(_DROP_EMPTY, (public_key,))
