"""Conditions on transactions: where they go, what they call, what they move and what they cost.

Rule 1: a condition on destinations holds only where it holds for every one of them. `Touches` is the opposite: one is
enough, and it is for rules that deny or ask.
Rule 2: what a wallet gives away besides money is a destination too: contracts that are created, accounts handed over.
"""

from collections.abc import Iterator

from msgspec import Struct

from signer.policy.facts import Call, Facts, Transaction, TypedDataDomain
from signer.policy.rules.assets import amount_of
from signer.policy.rules.condition import Miss, folded, shown, transaction_of


class Chains(Struct, frozen=True):
    """The chain is among those named. A transaction that names none is good on any: nobody can know."""

    names: frozenset[str]

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        transaction = transaction_of(facts)
        if isinstance(transaction, Miss):
            return transaction
        if transaction.chain is None:
            return Miss("CHAIN_UNKNOWN", "the transaction names no chain: it is good on every one", unknown=True)
        if transaction.chain in self.names:
            return None
        return Miss("CHAIN_NOT_LISTED", "the chain is not listed", {"chain": shown(transaction.chain)})


class Contract(Struct, frozen=True):
    """A contract that may be called."""

    address: str
    functions: frozenset[str] | None
    """Selectors (`0xa9059cbb`) and signatures (`transfer(address,uint256)`); None for all."""

    def takes(self, selector: str | None, signature: str | None) -> bool:
        """True for a call of one of the functions."""
        if self.functions is None:
            return True
        return selector in self.functions or signature in self.functions


class Destinations(Struct, frozen=True):
    """Everything the transaction goes to is listed."""

    receivers: frozenset[str] = frozenset()
    """Addresses that may be paid: without data, by a token's transfer, by an output."""

    contracts: tuple[Contract, ...] = ()
    programs: frozenset[str] = frozenset()
    """Programs that instructions may be for."""

    scripts: frozenset[str] = frozenset()
    """Outputs that may be paid, by their scripts."""

    delegates: frozenset[str] = frozenset()
    """Contracts that an account may be handed over to (EIP-7702)."""

    creation: bool = False
    """True where contracts may be created."""

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        transaction = transaction_of(facts)
        if isinstance(transaction, Miss):
            return transaction
        anything = False
        for finding in self._findings(transaction):
            if finding is not None:
                return finding
            anything = True
        if not anything:
            return Miss("DESTINATION_UNKNOWN", "where this goes could not be read", unknown=True)
        return None

    def _findings(self, transaction: Transaction) -> Iterator[Miss | None]:
        yield from self._first(transaction)
        for call in transaction.calls:
            yield self._call(call.contract, None, call.signature)
        for instruction in transaction.instructions:
            yield self._program(instruction.program)
        for transfer in transaction.transfers:
            if self.receivers:
                yield self._receiver(transfer.to)
        for output in transaction.outputs:
            if not output.change and output.script not in self.scripts:
                yield self._receiver(output.address)
            else:
                yield None
        for authorization in transaction.authorizations:
            yield self._delegate(authorization.address)

    def _first(self, transaction: Transaction) -> Iterator[Miss | None]:
        """The transaction's own destination."""
        has_data = transaction.data not in {None, "0x"}
        if transaction.to is None:
            if has_data:
                yield None if self.creation else Miss("CREATION_NOT_ALLOWED", "it creates a contract")
        elif has_data:
            yield self._call(transaction.to, transaction.selector, _signature(transaction.call, transaction.to))
        else:
            yield self._receiver(transaction.to)

    def _receiver(self, address: str | None) -> Miss | None:
        if address is None:
            return Miss("RECEIVER_UNKNOWN", "who is paid could not be read", unknown=True)
        if folded(address) in self.receivers:
            return None
        return Miss("RECEIVER_NOT_LISTED", "the receiver is not listed", {"receiver": shown(address)})

    def _call(self, address: str, selector: str | None, signature: str | None) -> Miss | None:
        known = [contract for contract in self.contracts if contract.address == folded(address)]
        if not known:
            return Miss("CONTRACT_NOT_LISTED", "the contract is not listed", {"contract": shown(address)})
        if any(contract.takes(selector, signature) for contract in known):
            return None
        return Miss(
            "FUNCTION_NOT_LISTED",
            "the contract is listed, and this function of it is not",
            {"contract": shown(address), "selector": shown(selector), "signature": shown(signature)},
        )

    def _program(self, program: str) -> Miss | None:
        if folded(program) in self.programs:
            return None
        return Miss("PROGRAM_NOT_LISTED", "the program is not listed", {"program": shown(program)})

    def _delegate(self, address: str) -> Miss | None:
        if folded(address) in self.delegates:
            return None
        return Miss("DELEGATE_NOT_LISTED", "an account is handed over to this contract", {"delegate": shown(address)})


class Touches(Struct, frozen=True):
    """One of these addresses is anywhere in it: also as bytes of data that nobody decoded."""

    addresses: frozenset[str]

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        transaction = transaction_of(facts)
        if isinstance(transaction, Miss):
            return transaction
        named = {folded(address) for address in _addresses(transaction)}
        if not self.addresses.isdisjoint(named):
            return None
        raw = [transaction.data or "", *(instruction.data for instruction in transaction.instructions)]
        if any(each[2:] in data for each in self.addresses if each.startswith("0x") for data in raw):
            return None
        if any(transfer.to is None for transfer in transaction.transfers):
            return Miss("RECEIVER_UNKNOWN", "who gets a token could not be read", unknown=True)
        return Miss("NOT_TOUCHED", "none of the listed addresses is in it")


class AtMost(Struct, frozen=True):
    """No more than so much of an asset leaves."""

    asset: str
    amount: int

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        transaction = transaction_of(facts)
        if isinstance(transaction, Miss):
            return transaction
        moved = amount_of(transaction, self.asset)
        if moved is None:
            return amount_unknown(self.asset)
        if moved <= self.amount:
            return None
        return Miss(
            "AMOUNT_TOO_LARGE",
            "more leaves than the limit for one transaction",
            {"asset": self.asset, "amount": str(moved), "limit": str(self.amount)},
        )


class Above(Struct, frozen=True):
    """More than so much leaves of at least one of these assets."""

    amounts: tuple[tuple[str, int], ...]
    """Assets, and how much."""

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        transaction = transaction_of(facts)
        if isinstance(transaction, Miss):
            return transaction
        moved = [(asset, amount_of(transaction, asset), amount) for asset, amount in self.amounts]
        if any(found is not None and found > amount for _, found, amount in moved):
            return None
        unknown = next((asset for asset, found, _ in moved if found is None), None)
        if unknown is not None:
            return amount_unknown(unknown)
        return Miss("NOT_ABOVE", "no more leaves than that", {asset: str(found) for asset, found, _ in moved})


class Fees(Struct, frozen=True):
    """What is paid for being included stays below these caps; None for no cap."""

    total: int | None = None
    per_gas: int | None = None
    priority_per_gas: int | None = None
    per_blob_gas: int | None = None
    gas_limit: int | None = None

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        transaction = transaction_of(facts)
        if isinstance(transaction, Miss):
            return transaction
        # A transaction without a priority fee of its own pays all of its price to the proposer.
        priority = transaction.max_priority_fee_per_gas or transaction.max_fee_per_gas
        blob = transaction.max_fee_per_blob_gas or "0"
        caps = (
            ("total", transaction.fee_cap, self.total),
            ("per_gas", transaction.max_fee_per_gas, self.per_gas),
            ("priority_per_gas", priority, self.priority_per_gas),
            ("per_blob_gas", blob, self.per_blob_gas),
            ("gas_limit", transaction.gas_limit, self.gas_limit),
        )
        for name, asked, cap in caps:
            if cap is None:
                continue
            if asked is None:
                return Miss("FEE_UNKNOWN", f"the fee ({name}) could not be read", {"fee": name}, unknown=True)
            if int(asked) > cap:
                return Miss("FEE_TOO_HIGH", "the fee is above its cap", {"fee": name, "asked": asked, "cap": str(cap)})
        return None


class Domain(Struct, frozen=True):
    """What of a typed message's domain must be so; None where anything may be."""

    name: str | None = None
    version: str | None = None
    chain_id: str | None = None
    verifying_contract: str | None = None
    primary_types: frozenset[str] | None = None

    def fits(self, domain: TypedDataDomain, primary_type: str) -> bool:
        """True where all of it is so."""
        contract = domain.verifying_contract
        return (
            self.name in {None, domain.name}
            and self.version in {None, domain.version}
            and self.chain_id in {None, domain.chain_id}
            and self.verifying_contract in {None, None if contract is None else folded(contract)}
            and (self.primary_types is None or primary_type in self.primary_types)
        )


class TypedDataDomains(Struct, frozen=True):
    """It is a typed message for a listed domain."""

    domains: tuple[Domain, ...]

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        transaction = transaction_of(facts)
        if isinstance(transaction, Miss):
            return transaction
        message = transaction.typed_data
        if message is None:
            return Miss("NO_TYPED_DATA", "this is no typed message", {"type": shown(transaction.type)})
        if any(domain.fits(message.domain, message.primary_type) for domain in self.domains):
            return None
        return Miss(
            "DOMAIN_NOT_LISTED",
            "the typed message's domain is not listed",
            {
                "name": shown(message.domain.name),
                "chain_id": message.domain.chain_id,
                "verifying_contract": shown(message.domain.verifying_contract),
                "primary_type": shown(message.primary_type),
            },
        )


def amount_unknown(asset: str) -> Miss:
    """How much leaves is not known; only `unless` exempts such a request from a limit."""
    return Miss(
        "AMOUNT_UNKNOWN",
        "how much of the asset leaves could not be read; a rule that does not mean such requests exempts them with"
        " `unless`",
        {"asset": asset},
        unknown=True,
    )


def _signature(call: Call | None, to: str) -> str | None:
    return call.signature if call is not None and folded(call.contract) == folded(to) else None


def _addresses(transaction: Transaction) -> Iterator[str]:
    """Every address that was decoded."""
    found: list[str | None] = [transaction.to]
    for call in (*transaction.calls, *([transaction.call] if transaction.call else [])):
        found.append(call.contract)
        found.extend(argument.value for argument in call.arguments if isinstance(argument.value, str))
    for transfer in transaction.transfers:
        found.extend((transfer.asset, transfer.sender, transfer.to))
    for output in transaction.outputs:
        found.extend((output.address, output.script))
    for instruction in transaction.instructions:
        found.extend((instruction.program, *instruction.accounts))
    found.extend(authorization.address for authorization in transaction.authorizations)
    if transaction.typed_data is not None:
        found.append(transaction.typed_data.domain.verifying_contract)
        found.extend(field.value for field in transaction.typed_data.fields if isinstance(field.value, str))
    return (each for each in found if each is not None)
