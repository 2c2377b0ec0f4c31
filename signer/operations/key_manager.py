"""What the Ethereum key manager API asks of keys: list them, bring keystores in, delete keys with their history."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from signer.auth.authorize import check_authorized, may_see
from signer.auth.principal import Action, Caller
from signer.errors import ForbiddenError, MalformedRequestError, NotReadyError
from signer.keys.holdings import is_ours_to_destroy
from signer.keys.ring import KeyRing
from signer.operations.deleted_history import DOCUMENT_PREFIX
from signer.operations.orders import AllowKeys, Carried, DeleteKeys, ImportKeystores, Orders
from signer.units import PublicKey


@dataclass(frozen=True, slots=True)
class ManagedKey:
    """One key for a listing: never its secret."""

    public_key: PublicKey
    derivation_path: str | None
    readonly: bool
    """True where its files are not this program's to remove."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """What became of the keys, and the history of those that are gone."""

    keys: tuple[Carried, ...]
    interchange: bytes
    """An EIP-3076 document."""


class KeyManager:
    """One instance for the life of the process; reads through connections of its own."""

    def __init__(self, *, orders: Orders, ring: KeyRing, data_directory: Path, config_directory: Path) -> None:
        self._orders = orders
        self._ring = ring
        self._data_directory = data_directory
        self._config_directory = config_directory

    def list_keys(self, caller: Caller) -> tuple[ManagedKey, ...]:
        """The keys that serve, sorted. Raises NotReadyError until the first load is complete, ForbiddenError."""
        check_authorized(caller.principal, Action.KEYS_LIST)
        if not self._ring.ready:
            raise NotReadyError("the first load of keys is not complete; ask again in a moment")
        keys = self._ring.current.keys
        return tuple(
            ManagedKey(key, keys[key].derivation_path, not is_ours_to_destroy(keys[key], self._config_directory))
            for key in sorted(keys)
            if may_see(caller.principal, key)
        )

    def check_may_change(self, caller: Caller) -> None:
        """Before a body is read or a history imported. Raises ForbiddenError."""
        check_authorized(caller.principal, Action.KEYS_WRITE)
        if caller.principal.keys is not None:
            raise ForbiddenError(
                f"principal {caller.principal.name} is limited to single keys, and may not bring in or delete any",
                evidence={"principal": caller.principal.name, "action": str(Action.KEYS_WRITE)},
            )

    async def import_keystores(
        self, keystores: Sequence[str], passwords: Sequence[str], caller: Caller
    ) -> tuple[Carried, ...]:
        """What became of each keystore, in order; import its history before.

        Raises:
            MalformedRequestError: not as many passwords as keystores.
            ForbiddenError, NotReadyError, JournalDownError.
        """
        self.check_may_change(caller)
        if len(keystores) != len(passwords):
            raise MalformedRequestError(
                f"{len(keystores)} keystores and {len(passwords)} passwords: send one for each", path="passwords"
            )
        return await self._orders.carry_out(ImportKeystores(tuple(keystores), tuple(passwords)), caller)

    async def delete_keys(self, keys: Sequence[PublicKey], caller: Caller) -> Deletion:
        """Delete keys, and export the history of those that are gone.

        Each key's history is read in the transaction of its tombstone. Where the answer is lost, the same request gets
        it again, with `not_active`.

        Raises:
            ForbiddenError, NotReadyError, JournalDownError.
        """
        self.check_may_change(caller)
        single = tuple(dict.fromkeys(keys))
        with tempfile.NamedTemporaryFile(dir=self._data_directory, prefix=DOCUMENT_PREFIX) as document:
            order = DeleteKeys(single, Path(document.name).name)
            done = {one.public_key: one for one in await self._orders.carry_out(order, caller)}
            interchange = await asyncio.to_thread(Path(document.name).read_bytes)
        return Deletion(tuple(done[key] for key in keys), interchange)

    async def allow_keys(self, keys: Sequence[PublicKey], caller: Caller) -> tuple[Carried, ...]:
        """Let deleted keys be brought in again. Raises ForbiddenError, JournalDownError."""
        self.check_may_change(caller)
        return await self._orders.carry_out(AllowKeys(tuple(dict.fromkeys(keys))), caller)
