"""Conditions on consensus duties: what a block or a registration pays to whom, deposits, withdrawals and epochs.

Rule: a duty that could not name a fact at all fits every condition on it; one that could, and did not prove it, is
unknown.
"""

from msgspec import Struct

from signer.policy.facts import Duty, Facts
from signer.policy.rules.condition import Miss, duty_of, shown

_REGISTRATION = "VALIDATOR_REGISTRATION"


class FeeRecipients(Struct, frozen=True):
    """A block's fees, and what a registration asks for, go to a listed address."""

    addresses: frozenset[str]
    unproven_blocks: bool
    """True where a block that does not prove its own passes."""

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        duty = duty_of(facts)
        if isinstance(duty, Miss):
            return duty
        if duty.fee_recipient is None:
            return _unproven(duty, "fee recipient", passes=self.unproven_blocks)
        if duty.fee_recipient in self.addresses:
            return None
        return Miss(
            "FEE_RECIPIENT_NOT_LISTED", "the fee recipient is not listed", {"fee_recipient": duty.fee_recipient}
        )


class GasLimits(Struct, frozen=True):
    """The gas limit is within these bounds, both included."""

    least: int
    most: int
    unproven_blocks: bool

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        duty = duty_of(facts)
        if isinstance(duty, Miss):
            return duty
        if duty.gas_limit is None:
            return _unproven(duty, "gas limit", passes=self.unproven_blocks)
        if self.least <= int(duty.gas_limit) <= self.most:
            return None
        return Miss("GAS_LIMIT_OUT_OF_BOUNDS", "the gas limit is out of its bounds", {"gas_limit": duty.gas_limit})


class Graffiti(Struct, frozen=True):
    """A block's graffiti is one of these texts, or begins with one of these."""

    texts: frozenset[bytes]
    beginnings: tuple[bytes, ...]
    unproven_blocks: bool

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        duty = duty_of(facts)
        if isinstance(duty, Miss):
            return duty
        if duty.graffiti is None:
            return None if duty.type == _REGISTRATION else _unproven(duty, "graffiti", passes=self.unproven_blocks)
        text = bytes.fromhex(duty.graffiti[2:]).rstrip(b"\0")
        if text in self.texts or (self.beginnings and text.startswith(self.beginnings)):
            return None
        return Miss(
            "GRAFFITI_NOT_LISTED",
            "the graffiti is not listed",
            {"graffiti": shown(text.decode("utf-8", errors="backslashreplace"))},
        )


class Deposits(Struct, frozen=True):
    """A deposit can be withdrawn only with listed credentials, is no larger, and is for the key that signs it."""

    withdrawal_credentials: frozenset[str]
    most_gwei: int | None

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        duty = duty_of(facts)
        if isinstance(duty, Miss):
            return duty
        return self._deposit(duty, facts.signer.public_key) if duty.type == "DEPOSIT" else None

    def _deposit(self, deposit: Duty, own_key: str) -> Miss | None:
        if deposit.withdrawal_credentials is None or deposit.amount_gwei is None or deposit.public_key is None:
            return Miss("DEPOSIT_UNKNOWN", "the deposit could not be read", unknown=True)
        if deposit.withdrawal_credentials not in self.withdrawal_credentials:
            return Miss(
                "CREDENTIALS_NOT_LISTED",
                "the withdrawal credentials are not listed",
                {"withdrawal_credentials": deposit.withdrawal_credentials},
            )
        if deposit.public_key != own_key:
            return Miss("OTHER_VALIDATOR", "the deposit is for another validator", {"public_key": deposit.public_key})
        if self.most_gwei is not None and int(deposit.amount_gwei) > self.most_gwei:
            return Miss(
                "DEPOSIT_TOO_LARGE",
                "the deposit is above its limit",
                {"amount_gwei": deposit.amount_gwei, "limit_gwei": str(self.most_gwei)},
            )
        return None


class ExecutionAddresses(Struct, frozen=True):
    """Withdrawals move to a listed address."""

    addresses: frozenset[str]

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        duty = duty_of(facts)
        if isinstance(duty, Miss):
            return duty
        if duty.type != "BLS_TO_EXECUTION_CHANGE" or duty.to_execution_address in self.addresses:
            return None
        return Miss(
            "EXECUTION_ADDRESS_NOT_LISTED",
            "withdrawals would move to an address that is not listed",
            {"to_execution_address": duty.to_execution_address},
            unknown=duty.to_execution_address is None,
        )


class Epochs(Struct, frozen=True):
    """The duty's epoch is within these bounds, both included; None for none."""

    least: int | None
    most: int | None

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        duty = duty_of(facts)
        if isinstance(duty, Miss):
            return duty
        if duty.epoch is None:
            return Miss("EPOCH_UNKNOWN", "the duty's epoch is not known", {"type": shown(duty.type)}, unknown=True)
        epoch = int(duty.epoch)
        if (self.least is None or epoch >= self.least) and (self.most is None or epoch <= self.most):
            return None
        return Miss("EPOCH_OUT_OF_BOUNDS", "the duty's epoch is out of its bounds", {"epoch": duty.epoch})


def _unproven(duty: Duty, what: str, *, passes: bool) -> Miss | None:
    is_block = duty.type.startswith("BLOCK")
    if (is_block and passes) or not (is_block or duty.type == _REGISTRATION):
        return None
    return Miss(
        "NOT_PROVEN",
        f"the {what} is not shown by what is signed; a client that sends proofs (verifying web3signer mode) shows it",
        {"type": shown(duty.type)},
        unknown=True,
    )
