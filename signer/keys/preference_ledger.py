"""Fee recipient and gas limit as signing policy, judged inside the commit of what names one.

Rule 1: where nothing is set, for the key or by default, nothing is refused.
Rule 2: a gas limit is compared where a proposer asks for one. A block's own moves towards it by a 1,024th of the last
block's (`check_gas_limit`, EIP-1559 clients), and cannot be compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from signer.errors import OtherFeeRecipientError, OtherGasLimitError
from signer.eth2.block_proofs import BodyProof
from signer.journal.ledger import Row, Transaction
from signer.keys.preferences import SIGN_BIT
from signer.units import PublicKey

_READ = """
SELECT public_key, fee_recipient, gas_limit FROM key_preferences
WHERE fee_recipient IS NOT NULL OR gas_limit IS NOT NULL
"""

Limits = tuple[bytes | None, int | None]
"""Fee recipient and gas limit of one key's own; None where nothing is set."""

LimitsByKey = Mapping[PublicKey, Limits]


class PreferenceClaim(msgspec.Struct, frozen=True):
    """What this key is about to sign names a fee recipient, a gas limit, or proves the former."""

    public_key: PublicKey
    fee_recipient: bytes | None
    gas_limit: int | None
    proof: BodyProof | None
    default_fee_recipient: bytes | None
    """What holds where nothing is set for the key."""

    default_gas_limit: int | None


class PreferenceLedger:
    """Judges what is named against what is set. Owned by the writer; remembers what only operators change."""

    claim_type = PreferenceClaim

    def __init__(self, *, alone: bool = True) -> None:
        """`alone`: False where others write the same database, or for a single question."""
        self._alone = alone
        self._remembered: LimitsByKey | None = None

    def load(self, transaction: Transaction, _claims: Sequence[PreferenceClaim]) -> LimitsByKey:
        """Every key for which something is set."""
        if self._remembered is None or not self._alone:
            self._remembered = limits_of(transaction.rows(_READ))
        return self._remembered

    def judge(self, claim: PreferenceClaim, facts: LimitsByKey) -> None:
        """Says nothing of repeats. Raises OtherFeeRecipientError, OtherGasLimitError."""
        fee_recipient, gas_limit = facts.get(claim.public_key, (None, None))
        _check_fee_recipient(claim, fee_recipient)
        _check_gas_limit(claim, gas_limit)

    def accept(self, claim: PreferenceClaim, facts: LimitsByKey) -> None:
        """Naming them changes nothing."""

    def store(self, transaction: Transaction, facts: LimitsByKey) -> None:
        """Naming them leaves no record of its own."""

    def forget(self) -> None:
        """See `RemembersFacts.forget`."""
        self._remembered = None


def limits_of(rows: Iterable[Row]) -> LimitsByKey:
    """From rows of public key, fee recipient and gas limit."""
    return MappingProxyType(
        {
            PublicKey(bytes(key)): (
                None if fee_recipient is None else bytes(fee_recipient),
                None if gas_limit is None else gas_limit + SIGN_BIT,
            )
            for key, fee_recipient, gas_limit in rows
        }
    )


def _check_fee_recipient(claim: PreferenceClaim, own: bytes | None) -> None:
    wanted = claim.default_fee_recipient if own is None else own
    if wanted is None or (claim.fee_recipient is None and claim.proof is None):
        return
    agrees = claim.fee_recipient == wanted if claim.proof is None else claim.proof.fits(wanted)
    if not agrees:
        raise OtherFeeRecipientError(
            "0x" + claim.public_key.hex(), requested=claim.fee_recipient, wanted=wanted, by_default=own is None
        )


def _check_gas_limit(claim: PreferenceClaim, own: int | None) -> None:
    wanted = claim.default_gas_limit if own is None else own
    if wanted is not None and claim.gas_limit is not None and claim.gas_limit != wanted:
        raise OtherGasLimitError(
            "0x" + claim.public_key.hex(), requested=claim.gas_limit, wanted=wanted, by_default=own is None
        )
