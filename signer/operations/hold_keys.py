"""Bring keys in and destroy them: what `carry_out.py` does with the orders that change which keys there are.

Deleting: the tombstone and its audit entry are one commit, from which on nothing is signed with the key by anybody who
works on this record. Only then is the key taken from those that are served, and its material destroyed. A crash in
between leaves material without a use: the tombstone keeps it from being served, and the next start ends the work.

Bringing in: the keystore is opened and checked, the audit entry is on record, the key is sealed into the vault, and an
ordinary load serves it, with everything that a load does.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from signer.audit.entry import Kind
from signer.auth.principal import Caller
from signer.clock import Clock
from signer.crypto.bls import Bls
from signer.crypto.secret import Secret
from signer.errors import BusyError, KeyDeletedError, KeyFormatError, NotReadyError, SignerError
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.keys.holdings import Holdings
from signer.keys.key import Key, Origin
from signer.keys.ledger import bury_key, exhume_key, read_deleted, read_key_states
from signer.keys.memory_budget import MemoryBudget, spare_memory_budget
from signer.keys.public_test_keys import publicly_known
from signer.keys.reload import Reloader
from signer.keys.tags import Tag
from signer.keys.unlocking import open_keystore
from signer.operations.changes import Changes
from signer.operations.deleted_history import history_of, open_document
from signer.operations.orders import Carried
from signer.operations.reading import read_record
from signer.operations.story import NoteStory
from signer.slashing.history import has_history
from signer.units import PublicKey

SPREAD_SECONDS = 10.0
"""How long an order waits for the load that tells everybody; what a commit judges needs no telling."""

NO_KEY = PublicKey(b"")


class KeyHolding:
    """One instance for the life of the process that keeps the record, on its event loop."""

    def __init__(
        self,
        *,
        changes: Changes,
        holdings: Holdings,
        reloader: Reloader,
        bls: Bls,
        reading: Reading,
        clock: Clock,
        data_directory: Path,
        refuse_public_test_keys: bool,
        shared: bool = False,
    ) -> None:
        """`shared`: other signers may work on this record, with keys that are not loaded here."""
        self._changes = changes
        self._holdings = holdings
        self._reloader = reloader
        self._bls = bls
        self._reading = reading
        self._clock = clock
        self._data_directory = data_directory
        self._refuse_public_test_keys = refuse_public_test_keys
        self._shared = shared
        self._opening = asyncio.Semaphore(os.cpu_count() or 1)
        self._loading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def loaded(self) -> tuple[PublicKey, ...]:
        """The keys that serve."""
        return self._holdings.ring.public_keys

    def documented_tags(self, key: PublicKey) -> tuple[Tag, ...]:
        """The tags that a loaded key's document names."""
        found = self._holdings.ring.find(key)
        return () if found is None else found.tags

    async def delete(self, keys: Sequence[PublicKey], caller: Caller, *, history: str = "") -> tuple[Carried, ...]:
        """See DeleteKeys. Raises NotReadyError, JournalDownError; as `open_document`."""
        self._check_ready()
        done = list[Carried]()
        with open_document(self._data_directory, history) as document:
            for key in keys:
                carried, elements = await self._delete(key, caller)
                done.append(carried)
                await asyncio.to_thread(document.add, elements)
            await asyncio.to_thread(document.finish, self._reading)
        if any(each.status == "deleted" for each in done):
            await self._spread()
        return tuple(done)

    async def allow(self, keys: Sequence[PublicKey], caller: Caller) -> tuple[Carried, ...]:
        """See AllowKeys. Raises JournalDownError."""
        done = []
        for key in keys:
            allowed = await self._perform(Kind.KEY_ALLOWED, caller, key, partial(exhume_key, public_key=key))
            self._holdings.ring.readmit([key])
            done.append(Carried(key, "allowed" if allowed else "not_deleted"))
        return tuple(done)

    async def follow_others(self) -> None:
        """Serve no more what another signer of the same record has deleted, and no longer bar what one has allowed.

        Its material here stays until the next start, which destroys it as it would after a crash. Raises what reading
        the record raises.
        """
        ring = self._holdings.ring
        barred = ring.banished  # before the record is read: what is barred has its tombstone on record by then
        deleted = await asyncio.to_thread(deleted_keys, self._reading)
        ring.readmit(barred - deleted)
        gone = [key for key in deleted - barred if ring.find(key) is not None]
        self._holdings.withdraw(deleted - barred)
        if gone:
            await self._spread()

    async def bring_in(self, keystores: Sequence[str], passwords: Sequence[str], caller: Caller) -> tuple[Carried, ...]:
        """See ImportKeystores. Raises NotReadyError, JournalDownError."""
        self._check_ready()
        pairs = zip(keystores, passwords, strict=True)
        memory = spare_memory_budget()
        opened = await asyncio.gather(*(self._open(keystore, password, memory) for keystore, password in pairs))
        states = await asyncio.to_thread(read_record, self._reading, read_key_states)
        answers, accepted = list[Carried](), dict[PublicKey, Key]()
        for key in opened:
            answer = key if isinstance(key, Carried) else self._objection(key, accepted)
            if answer is None and isinstance(key, Key):
                state = states.get(key.public_key)
                if state is not None and state.deleted_ms is not None:
                    answer = Carried(key.public_key, "error", _buried(key.public_key))
                else:
                    accepted[key.public_key] = key
                    answer = Carried(key.public_key, "imported")
            if answer is not None:
                answers.append(answer)
        if accepted:
            failures = await self._take_in(list(accepted.values()), caller)
            answers = [failures.get(one.public_key, one) if one.status == "imported" else one for one in answers]
        return tuple(answers)

    # --- deleting ------------------------------------------------------------------------------------

    async def _delete(self, public_key: PublicKey, caller: Caller) -> tuple[Carried, bytes]:
        """What became of the key, and the elements of its history."""
        key = self._holdings.ring.find(public_key)
        if key is None:
            return await self._delete_absent(public_key, caller)
        objection = await asyncio.to_thread(self._holdings.objection, key)
        if objection is not None:
            return Carried(public_key, "error", objection), b""
        try:
            await asyncio.to_thread(self._holdings.begin_to_destroy, key)
        except OSError as error:
            return Carried(public_key, "error", f"nothing was changed, for its files cannot be removed: {error}"), b""
        # Crash before this commit: the key serves on. Crash after it: nobody signs with it, and the next start destroys
        # what is left of it.
        elements = await self._bury(public_key, caller)
        try:
            await asyncio.to_thread(self._holdings.destroy, key)
        except OSError as error:
            reason = f"nothing is signed with the key any more, but its files are not all removed: {error}"
            return Carried(public_key, "error", reason), elements
        return Carried(public_key, "deleted"), elements

    async def _bury(self, public_key: PublicKey, caller: Caller) -> bytes:
        """Set the tombstone, and serve the key no more; the elements of its history."""
        now_ms = self._now_ms()

        def bury(transaction: Transaction) -> tuple[bool, bytes]:
            # In one transaction: what is exported is all that was ever signed here.
            return bury_key(transaction, public_key, now_ms=now_ms), history_of(transaction, public_key)

        _, elements = await self._changes.perform(
            bury,
            lambda done: self._story(Kind.KEY_DELETED, caller, public_key, was_so=not done[0]),
        )
        self._holdings.withdraw([public_key])
        return elements

    async def _delete_absent(self, public_key: PublicKey, caller: Caller) -> tuple[Carried, bytes]:
        """A key that is not loaded here may be at another signer of the record: whoever is asked, it signs nowhere."""
        is_known, is_buried, elements = await asyncio.to_thread(self._absent, public_key)
        if not is_known:
            return Carried(public_key, "not_found"), b""
        if is_buried or not self._shared:
            return Carried(public_key, "not_active"), elements
        told = "not loaded here; no signer of this record signs with it any more, and what holds it keeps its files"
        return Carried(public_key, "not_active", told), await self._bury(public_key, caller)

    def _absent(self, public_key: PublicKey) -> tuple[bool, bool, bytes]:
        """Whether the record knows it, whether it has a tombstone, and the elements of its history."""
        with self._reading() as moment:
            state = read_key_states(moment).get(public_key)
            is_buried = state is not None and state.deleted_ms is not None
            is_known = is_buried or has_history(moment, public_key)
            return is_known, is_buried, history_of(moment, public_key) if is_known else b""

    # --- bringing in ---------------------------------------------------------------------------------

    async def _open(self, keystore: str, password: str, memory: MemoryBudget) -> Key | Carried:
        try:
            async with self._opening:
                key = await asyncio.to_thread(
                    open_keystore, keystore.encode(), Secret(password.encode()), self._bls, memory
                )
        except (KeyFormatError, UnicodeEncodeError) as error:
            sentence = error.sentence if isinstance(error, KeyFormatError) else "it is no UTF-8 text"
            return Carried(NO_KEY, "error", f"the keystore does not open: {sentence}")
        return replace(key, origin=Origin.IMPORTED, source_file=self._holdings.vault.file)

    def _objection(self, key: Key, accepted: dict[PublicKey, Key]) -> Carried | None:
        if key.public_key in accepted or self._holdings.ring.find(key.public_key) is not None:
            return Carried(key.public_key, "duplicate")
        if self._refuse_public_test_keys and publicly_known([key]):
            return Carried(key.public_key, "error", "everybody knows this private key: it is a published test key")
        return None

    async def _take_in(self, keys: Sequence[Key], caller: Caller) -> dict[PublicKey, Carried]:
        """Seal and load; what went wrong, by key."""
        failures: dict[PublicKey, Carried] = {}
        for key in keys:
            try:
                await self._perform(Kind.KEY_IMPORTED, caller, key.public_key, _still_welcome(key.public_key))
            except KeyDeletedError:
                failures[key.public_key] = Carried(key.public_key, "error", _buried(key.public_key))
        wanted = [key for key in keys if key.public_key not in failures]
        try:
            await asyncio.to_thread(self._holdings.vault.add_imported, wanted)
            await self._load()
        except (OSError, SignerError) as error:
            reason = f"the key is not served: {error}"
            return failures | {key.public_key: Carried(key.public_key, "error", reason) for key in wanted}
        for key in wanted:
            if self._holdings.ring.find(key.public_key) is None:
                failures[key.public_key] = Carried(key.public_key, "error", "the key is kept, but did not load")
        return failures

    # --- telling everybody ---------------------------------------------------------------------------

    async def _spread(self) -> None:
        """An ordinary load, so that every process lists what there is; one that takes long goes on by itself."""
        task = asyncio.create_task(self._load_quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait([task], timeout=SPREAD_SECONDS)

    async def _load_quietly(self) -> None:
        try:
            await self._load()
        except SignerError:
            return  # the load has told of it itself; the deleted key is not served either way

    async def _load(self) -> None:
        """Load all keys anew, after any load that runs: that one may have looked before. Raises what a load raises."""
        async with self._loading:
            while True:
                await asyncio.to_thread(self._reloader.wait)
                try:
                    await asyncio.to_thread(self._reloader.load_now)
                except BusyError:
                    continue  # somebody else was quicker; theirs may have begun too early for us
                return

    async def _perform(self, kind: Kind, caller: Caller, key: PublicKey, change: Callable[[Transaction], bool]) -> bool:
        return await self._changes.perform(change, lambda done: self._story(kind, caller, key, was_so=not done))

    def _story(self, kind: Kind, caller: Caller, key: PublicKey, *, was_so: bool) -> NoteStory:
        note = "was so before" if was_so else ""
        return NoteStory(kind, self._now_ms(), note, caller.principal.name, caller.request_id, key)

    def _check_ready(self) -> None:
        if not self._holdings.ring.ready:
            raise NotReadyError("the first load of keys is not complete; ask again in a moment")

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


def _still_welcome(public_key: PublicKey) -> Callable[[Transaction], bool]:
    def change(transaction: Transaction) -> bool:
        state = read_key_states(transaction).get(public_key)
        if state is not None and state.deleted_ms is not None:
            raise KeyDeletedError("0x" + public_key.hex(), since_ms=state.deleted_ms)
        return True

    return change


def _buried(public_key: PublicKey) -> str:
    return (
        "this key was deleted here and may live on another signer; once you are sure that it does not, "
        f"`holdfast keys allow 0x{public_key.hex()}` lets it be imported again"
    )


def deleted_keys(reading: Reading) -> frozenset[PublicKey]:
    """The keys that have a tombstone on record. Blocks."""
    return read_record(reading, read_deleted)
