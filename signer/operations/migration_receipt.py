"""The receipt of a migration: what one signer has given up, for the one that takes over.

    {"format": "holdfast migration receipt 1", "genesis_validators_root": "0x...", "database_id": "...",
     "epoch": 300000 | null, "time": "2026-...Z", "interchange_sha256": "...",
     "keys": [{"public_key": "0x...", "moves": 1, "source_epoch": 4, "target_epoch": 5, "slot": 160}],
     "signed_by": "0x...", "signature": "0x..."}

The signature is Ed25519 over LABEL and the JSON of all other members in this order, without spaces. `signed_by` is the
public key of the data directory that the keys leave; `migrate out` shows it, and `migrate in` can demand it.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import msgspec

from signer.crypto.ed25519 import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, ed25519_public_key, ed25519_sign, ed25519_verifies
from signer.crypto.secret import Secret
from signer.errors import ReceiptError
from signer.units import PUBLIC_KEY_BYTES as VALIDATOR_KEY_BYTES
from signer.units import ROOT_BYTES, PublicKey, Root

LABEL = b"holdfast migration receipt 1\n"
"""Bound to the signature, so that nothing else signed with the key passes for a receipt."""

MAX_RECEIPT_BYTES = 16 << 20
"""Some 60,000 keys."""


class MovedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key, and up to where it has signed; None where it never has."""

    public_key: str
    moves: int
    """Which move of this key it is: a signer takes no receipt whose number it has seen."""

    source_epoch: int | None
    target_epoch: int | None
    slot: int | None

    @property
    def key(self) -> PublicKey:
        """The key as bytes."""
        return PublicKey(_unhex(self.public_key, VALIDATOR_KEY_BYTES))


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the receipt says."""

    format: Literal["holdfast migration receipt 1"] = "holdfast migration receipt 1"
    genesis_validators_root: str
    database_id: str
    epoch: int | None
    time: str
    interchange_sha256: str
    keys: list[MovedKey]
    signed_by: str

    @property
    def root(self) -> Root:
        """The chain."""
        return Root(_unhex(self.genesis_validators_root, ROOT_BYTES))


class _Signed(Claims, frozen=True, forbid_unknown_fields=True, kw_only=True):
    signature: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt whose signature is right."""

    claims: Claims
    text: bytes


def sign_receipt(claims: Claims, private_key: Secret) -> bytes:
    """The receipt's text. `signed_by` must be this key's public one: see `signer_of`."""
    signature = "0x" + ed25519_sign(private_key, LABEL + msgspec.json.encode(claims)).hex()
    return msgspec.json.encode(_Signed(**msgspec.structs.asdict(claims), signature=signature))


def signer_of(private_key: Secret) -> str:
    """How a receipt names who signed it."""
    return "0x" + ed25519_public_key(private_key).hex()


def read_receipt(text: bytes) -> Receipt:
    """The receipt. Raises ReceiptError: it is none, or not what its signer wrote."""
    try:
        signed = msgspec.json.decode(text, type=_Signed)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ReceiptError(f"this is no migration receipt: {error}") from None
    members = msgspec.structs.asdict(signed)
    signature = _unhex(members.pop("signature"), SIGNATURE_BYTES)
    claims = Claims(**members)
    message = LABEL + msgspec.json.encode(claims)
    if not ed25519_verifies(_unhex(claims.signed_by, PUBLIC_KEY_BYTES), message, signature):
        raise ReceiptError("the receipt was changed after it was signed: its signature is not of this content")
    keys = [one.key for one in claims.keys]
    if not keys or len(set(keys)) != len(keys):
        raise ReceiptError("the receipt names no key, or one twice")
    _ = claims.root
    return Receipt(claims, text)


def receipt_id(text: bytes) -> str:
    """How the audit log names a receipt."""
    return hashlib.sha256(text).hexdigest()[:16]


def _unhex(text: str, length: int) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != length or text != "0x" + value.hex():
        raise ReceiptError(f"the receipt holds {text[:80]!r} where {length} bytes in hexadecimal belong")
    return value
