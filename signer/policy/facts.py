"""What a policy is told: facts parsed from the payload that will be signed, and who asks, for which key, when.

Rule 1: nothing here was said by the caller beside the payload. A claim is compared elsewhere; here are only facts.
Rule 2: a fact that is not there was not in the payload or could not be proven; a policy that needs it denies.
Rule 3: facts have one JSON text: fields in alphabetical order, no spaces, whole numbers only (RFC 8785).
Rule 4: a number that may pass 2 to the 53rd is a decimal string; bytes are 0x and lower-case hexadecimal.

Fields are only ever added; what changes meaning gets a new `version`.
"""

from typing import Annotated

from msgspec import DecodeError, Meta, Struct, ValidationError, field
from msgspec import json as fast_json

from signer.errors import MalformedRequestError
from signer.nesting import is_nested_deeper

VERSION = 1
"""Of the facts, as a policy reads it."""

MAX_FACTS_BYTES = 256 * 1024
"""The largest facts that are given to a policy: calldata of 128 KiB (what Ethereum's nodes pass on) fits nearly."""

MAX_LEVELS = 12
"""How deeply facts may be nested: decoded arguments hold lists of lists."""

Decimal = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,77})\Z")]
"""A whole number in decimal: an amount in the smallest unit, a slot, an epoch, an index."""

Hex = Annotated[str, Meta(pattern=r"^0x([0-9a-f]{2})*\Z")]
"""Bytes."""

ChainId = Annotated[str, Meta(pattern=r"^[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}\Z")]
"""A chain as CAIP-2 writes it: `eip155:1`, `bip122:000000000019d6689c085ae165831e93`."""


class Argument(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One argument of a decoded call."""

    name: str = ""
    type: str
    """As the contract's interface writes it: `address`, `uint256[]`."""

    value: str | bool | None = None
    """A number as a decimal string, bytes and addresses in hexadecimal."""

    items: "tuple[Argument, ...]" = ()
    """Instead of a value: the members of an array or a tuple."""


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A call of a contract, decoded by an interface that the operator gave."""

    contract: str
    signature: str
    """`transfer(address,uint256)`."""

    arguments: tuple[Argument, ...] = ()


class Transfer(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A movement of a token, or the right to move it, that the transaction itself spells out."""

    kind: str
    """`transfer`, `approve`, `approve_all`, `mint`, ..."""

    asset: str
    """The token's contract or mint, in its chain's own spelling."""

    sender: str | None = field(name="from", default=None)
    to: str | None = None
    amount: Decimal | None = None
    token_id: Decimal | None = None


class Output(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An output of a Bitcoin transaction."""

    script: Hex
    address: str | None = None
    amount: Decimal
    """Satoshi."""

    change: bool = False
    """True only where the script was derived again from our own key."""


class Input(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An input of a Bitcoin transaction."""

    outpoint: str
    """`txid:index`, the id as explorers write it."""

    amount: Decimal | None = None
    script_type: str | None = None
    own: bool = False
    """True where our key signs it."""

    sighash: str | None = None


class Instruction(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A call of a program (Solana) or an account's call (Starknet)."""

    program: str
    name: str | None = None
    """What it does, where the program is known."""

    accounts: tuple[str, ...] = ()
    data: Hex = "0x"


class TypedDataDomain(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """EIP-712's domain."""

    name: str | None = None
    version: str | None = None
    chain_id: Decimal | None = None
    verifying_contract: str | None = None
    salt: Hex | None = None


class TypedData(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A structured message: EIP-712, SNIP-12."""

    domain: TypedDataDomain
    primary_type: str
    fields: tuple[Argument, ...] = ()


class Authorization(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """EIP-7702: an account is handed to a contract's code. Chain 0 is every chain."""

    chain_id: Decimal
    address: str
    nonce: Decimal


class Transaction(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A transaction, or a message with a transaction's consequences."""

    chain: ChainId | None = None
    """None where the payload names none: it is good on every chain."""

    type: str
    """`legacy`, `eip2930`, `eip1559`, `eip4844`, `eip7702`, `eip712`, `eip191`, `psbt`, `solana`, `starknet`, ..."""

    sender: str | None = field(name="from", default=None)
    to: str | None = None
    """None where a contract is created, or where the chain's transactions have several receivers."""

    value: Decimal | None = None
    """Of the chain's own coin, in its smallest unit: all that leaves, without the fee."""

    fee_cap: Decimal | None = None
    """The most that all of it can cost in fees, in the same unit."""

    nonce: Decimal | None = None
    gas_limit: Decimal | None = None
    max_fee_per_gas: Decimal | None = None
    """`gasPrice` where the type has no other."""

    max_priority_fee_per_gas: Decimal | None = None
    max_fee_per_blob_gas: Decimal | None = None
    data: Hex | None = None
    selector: Hex | None = None
    """The first four bytes of `data`, where there are four."""

    call: Call | None = None
    calls: tuple[Call, ...] = ()
    """The calls inside of it (multicall, Safe), all the way down, or none at all."""

    transfers: tuple[Transfer, ...] = ()
    authorizations: tuple[Authorization, ...] = ()
    typed_data: TypedData | None = None
    message: Hex | None = None
    """The text of a personal message (EIP-191, BIP-322)."""

    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    instructions: tuple[Instruction, ...] = ()
    replaceable: bool | None = None


class Duty(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A consensus duty: what a validator, or a finality provider, signs."""

    type: str
    """The remote signing API's name: `ATTESTATION`, `BLOCK_V2`, ..."""

    slot: Decimal | None = None
    epoch: Decimal | None = None
    """The slot's, the message's own, or an attestation's target."""

    source_epoch: Decimal | None = None
    target_epoch: Decimal | None = None
    height: Decimal | None = None
    """Of a chain that counts heights (Babylon)."""

    beacon_block_root: Hex | None = None
    validator_index: Decimal | None = None
    public_key: Hex | None = None
    """The validator that the message is about, where it names one: it need not be the signer."""

    amount_gwei: Decimal | None = None
    withdrawal_credentials: Hex | None = None
    to_execution_address: Hex | None = None
    fee_recipient: Hex | None = None
    """Of a block only where a proof showed it."""

    gas_limit: Decimal | None = None
    """Of a block only where a proof showed it."""

    graffiti: Hex | None = None
    """Of a block only where a proof showed it."""


class Signer(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The key that would sign."""

    key_id: str
    public_key: Hex
    algorithm: str
    """`bls12-381`, `secp256k1`, ..."""

    namespace: str
    tags: tuple[str, ...] = ()
    """Alphabetical."""

    purpose: str | None = None
    """What the key is for: `validator` for those that sign consensus duties."""

    roles: tuple[str, ...] = ()
    """Those that may use it, alphabetical."""


class Caller(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who asks."""

    identity: str
    roles: tuple[str, ...] = ()
    """Alphabetical."""

    address: str | None = None
    """Where from, as an IP address."""


class Environment(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is neither in the payload nor about who asks."""

    timestamp: int
    """Seconds since the Unix epoch, by the signer's clock, once for all policies of a request."""

    chain_id: str | None = None
    """The chain that this signer serves, as the payload's kind writes it."""

    simulation: bool
    """True where nothing will be signed whatever the verdict: dry runs, replays, shadows."""


class Facts(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Everything that a policy is told."""

    version: int
    """VERSION."""

    opaque: bool
    """True where the payload could not be read: then neither transaction nor duty is there."""

    payload_hash: Hex
    """What is signed: the digest or root that we computed from the payload."""

    transaction: Transaction | None = None
    duty: Duty | None = None
    signer: Signer
    caller: Caller
    environment: Environment


_ENCODER = fast_json.Encoder(order="sorted")
_DECODER = fast_json.Decoder(Facts)


def encode_facts(facts: Facts) -> bytes:
    """The one JSON text of these facts: what policies read and what approvals and audit entries hash."""
    return _ENCODER.encode(facts)


def decode_facts(text: bytes) -> Facts:
    """Facts that somebody wrote down: a case of a test, a context to try. Raises MalformedRequestError."""
    if len(text) > MAX_FACTS_BYTES:
        raise MalformedRequestError(f"facts of {len(text)} bytes: at most {MAX_FACTS_BYTES} are read")
    if is_nested_deeper(text, levels=MAX_LEVELS):
        raise MalformedRequestError(f"facts are nested more than {MAX_LEVELS} levels deep")
    try:
        facts = _DECODER.decode(text)
    except (ValidationError, DecodeError, UnicodeDecodeError) as error:
        raise MalformedRequestError(f"these are no facts: {error}") from None
    if facts.version != VERSION:
        raise MalformedRequestError(f"facts of version {facts.version}: this signer knows {VERSION}", path="$.version")
    return facts
