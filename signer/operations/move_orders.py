"""What is ordered of keys that move: each order is one commit for all of its keys, or for none.

Checked where they arrive (`migrate.py`, `undo_migration.py`), carried out by the process that keeps the record
(`move_keys.py`), wherever they were asked.
"""

from typing import Annotated

from msgspec import Meta, Struct

from signer.units import PUBLIC_KEY_BYTES, Epoch, PublicKey

_Key = Annotated[PublicKey, Meta(min_length=PUBLIC_KEY_BYTES, max_length=PUBLIC_KEY_BYTES)]
_Uint64 = Annotated[int, Meta(ge=0)]


class Move(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One key of a receipt, and which move of it that was."""

    key: _Key
    number: Annotated[int, Meta(ge=1)]


class Arriving(Move, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One key of a receipt, and where its history begins: the least slot, source and target; None where it has none."""

    slot: _Uint64 | None = None
    source: _Uint64 | None = None
    target: _Uint64 | None = None


class LeaveKeys(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=40):
    """Sign nothing more with these keys. Answers `left`, and as message the number of each key's move.

    Raises UnknownKeyError: neither loaded nor on record; KeyStateError: deleted, or in quarantine.
    """

    keys: tuple[_Key, ...]


class ArriveKeys(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=41):
    """Let the keys of a receipt sign here, above the beginning of their histories.

    Answers `arrived`. Raises ReceiptUsedError, KeyDeletedError.
    """

    moves: tuple[Arriving, ...]
    receipt: str
    """How the audit log names it."""


class TakeBackKeys(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=42):
    """Undo a move out. Answers `back`. Raises ReceiptError: a key did not leave with it, or has come back since."""

    moves: tuple[Move, ...]
    receipt: str
    reason: str
    """Why, in the operator's words: for the audit log."""

    floor_epoch: Epoch | None
    """Nothing at or below it is signed with them any more; None: what is on record is all there is."""


MoveOrder = LeaveKeys | ArriveKeys | TakeBackKeys
