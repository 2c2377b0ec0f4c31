"""What an operator orders of keys: carried out by the process that keeps the record, wherever it was asked.

An order is checked (who may, which keys) where it arrives; the worker processes pass it on as it is. Each key is dealt
with in a commit of its own, together with its audit entry, and has an answer of its own; keys that move
(`move_orders.py`) are dealt with together.
"""

from typing import Annotated, Literal, Protocol, get_args

from msgspec import Meta, Struct

from signer.auth.principal import Caller
from signer.crypto.secret import STARS
from signer.keys.tags import Tag
from signer.operations.move_orders import MoveOrder
from signer.units import PUBLIC_KEY_BYTES, PublicKey

AnyKey = Annotated[PublicKey, Meta(max_length=PUBLIC_KEY_BYTES)]
"""A public key, or EVERY_KEY."""

Key48 = Annotated[PublicKey, Meta(min_length=PUBLIC_KEY_BYTES, max_length=PUBLIC_KEY_BYTES)]
"""A public key."""


AnyTag = Annotated[Tag, Meta(min_length=1, max_length=64)]
"""A tag."""


class FreezeKeys(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """Sign nothing with these keys, nor with those that bear these tags. Answers `frozen` or `already_frozen`."""

    keys: tuple[AnyKey, ...]
    tags: tuple[AnyTag, ...] = ()


class ThawKeys(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """Take back FreezeKeys. Answers `thawed` or `not_frozen`."""

    keys: tuple[AnyKey, ...]
    tags: tuple[AnyTag, ...] = ()


class ReleaseKeys(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=10):
    """End the wait of keys in quarantine. Answers `released` or `not_in_quarantine`."""

    keys: tuple[AnyKey, ...]


class DeleteKeys(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """Destroy these keys; their tombstones stay.

    Answers `deleted`; `not_active` for a key that is not served but has history or a tombstone here (on a shared record
    it gets its tombstone: another signer may serve it); `not_found`; or `error`, with a sentence: nothing was changed,
    or what could not be removed.
    """

    keys: tuple[Key48, ...]
    history: str = ""
    """The name of a file in the data directory, which is there and is ours: it gets the EIP-3076 document of all keys
    that have a tombstone then or are not active, each read in the transaction of its tombstone. Empty: none is written.
    """


class AllowKeys(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """Take tombstones away, so that deleted keys may be brought in again. Answers `allowed` or `not_deleted`."""

    keys: tuple[Key48, ...]


class TagKeys(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=30):
    """Give tags to these keys, and take tags from them.

    Answers `tagged` or `unchanged`; or `error`, with a sentence: nothing was changed, since a tag that is frozen is
    taken from no key.
    """

    keys: tuple[Key48, ...]
    add: tuple[AnyTag, ...] = ()
    remove: tuple[AnyTag, ...] = ()


class ImportKeystores(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """Open EIP-2335 keystores and serve their keys. Answers `imported`, `duplicate`, or `error` with a sentence."""

    keystores: tuple[str, ...]
    passwords: tuple[str, ...]
    """One for each keystore."""

    def __repr__(self) -> str:
        return f"ImportKeystores({len(self.keystores)} keystores, {STARS})"


PreferenceName = Literal["fee_recipient", "gas_limit", "graffiti"]

PREFERENCE_NAMES: tuple[PreferenceName, ...] = get_args(PreferenceName)


class SetPreferences(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=20):
    """Set what is given for these keys, and clear what is named. Answers `set` or `unchanged`."""

    keys: tuple[Key48, ...]
    fee_recipient: Annotated[bytes, Meta(min_length=20, max_length=20)] | None = None
    gas_limit: Annotated[int, Meta(ge=0)] | None = None
    graffiti: str | None = None
    """At most 32 bytes in UTF-8."""

    cleared: tuple[PreferenceName, ...] = ()
    """The default holds for these again, whatever else is given."""


Order = (
    MoveOrder
    | FreezeKeys
    | ThawKeys
    | TagKeys
    | ReleaseKeys
    | DeleteKeys
    | AllowKeys
    | ImportKeystores
    | SetPreferences
)


class Carried(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What became of one key of an order."""

    public_key: AnyKey
    """Empty too for a keystore that did not open, and where it is told of a tag."""

    status: str
    message: str = ""
    """A sentence, where the status alone does not say it."""

    tag: str = ""
    """Told of instead of a key."""


class Orders(Protocol):
    """Where orders are carried out. Durable when it returns; may be called in parallel; does not retry."""

    async def carry_out(self, order: Order, caller: Caller) -> tuple[Carried, ...]:
        """What became of each key, in order. Asks nobody who the caller is.

        Raises:
            NotReadyError: the first load has not ended, so nobody knows which keys there are.
            SignerError: what an order of keys that move says of itself; nothing was changed.
            JournalDownError, OutcomeUnknownError: of the keys after the first failure nothing is known.
        """
        ...
