"""How much of an asset a transaction moves, or lets others move."""

from signer.policy.facts import Transaction
from signer.policy.rules.condition import folded

NATIVE = "native"
"""The chain's own coin, in its smallest unit, without fees."""


def amount_of(transaction: Transaction, asset: str) -> int | None:
    """How much leaves; None where the transaction does not say it so that it can be read."""
    if asset == NATIVE:
        return None if transaction.value is None else int(transaction.value)
    amounts = [transfer.amount for transfer in transaction.transfers if folded(transfer.asset) == asset]
    if None in amounts or (not amounts and _speaks_to(transaction, asset)):
        return None
    return sum(int(amount) for amount in amounts if amount is not None)


def _speaks_to(transaction: Transaction, asset: str) -> bool:
    """True for a call of the token, or a message to it, of which no transfer could be read."""
    called = [call.contract for call in (*transaction.calls, *([transaction.call] if transaction.call else []))]
    if transaction.to is not None and transaction.data not in {None, "0x"}:
        called.append(transaction.to)
    if transaction.typed_data is not None and transaction.typed_data.domain.verifying_contract is not None:
        called.append(transaction.typed_data.domain.verifying_contract)
    return asset in {folded(each) for each in called}
