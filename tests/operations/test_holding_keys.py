"""Bringing keys in and destroying them, where something comes in between or the disk refuses."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from journal.record import PlainStory, public_key
from operations.keeping_twin import entries
from operations.record_twin import CALLER, House

from signer.audit.entry import Kind
from signer.crypto import bls
from signer.crypto.bls import SecretKey
from signer.crypto.kdf import Argon2Cost
from signer.crypto.secret import Secret
from signer.errors import NotReadyError
from signer.journal.ledger import Transaction
from signer.journal.writer import Writer
from signer.keys.data_key import PasswordUnlock
from signer.keys.deletions import Deletions
from signer.keys.guard import LoadsKeys
from signer.keys.holdings import Holdings
from signer.keys.keystore import Pbkdf2Cost
from signer.keys.keystore_writer import encode_keystore
from signer.keys.ledger import bury_key, exhume_key, read_key_states
from signer.keys.loader import Loader
from signer.keys.reload import Reloader
from signer.keys.report import LoadReport, Progress
from signer.keys.ring import KeyRing
from signer.keys.sources import KeyLocations
from signer.keys.vault import open_vault
from signer.operations.hold_keys import KeyHolding, deleted_keys
from signer.units import PublicKey

WAIT_SECONDS = 60.0


@dataclass
class Meddler:
    """The writer, before whose next change somebody else makes one."""

    writer: Writer
    before: list[Callable[[Transaction], Any]] = field(default_factory=list)

    def perform(self, change: Callable[[Transaction], Any], story: Callable[[Any], Any]) -> "asyncio.Future[Any]":
        while self.before:
            self.writer.perform(self.before.pop(), lambda _: PlainStory())
        return self.writer.perform(change, story)


@dataclass
class Gated:
    """A loader that stands at a gate, once it is there; and that can be blind for what it loads."""

    loader: LoadsKeys
    gate: threading.Event | None = None
    at_the_gate: threading.Event = field(default_factory=threading.Event)
    blind: bool = False

    def load(self, progress: Progress, stop: threading.Event | None) -> LoadReport:
        report = LoadReport((), (), (), (), 0) if self.blind else self.loader.load(progress, stop)
        gate, self.gate = self.gate, None
        if gate is not None:
            self.at_the_gate.set()
            assert gate.wait(WAIT_SECONDS)
        return report


@dataclass
class Post:
    """A signer's keys, and who brings them in and destroys them. Owned by one test."""

    house: House
    holding: KeyHolding
    holdings: Holdings
    reloader: Reloader
    loader: Gated
    changes: Meddler

    @property
    def ring(self) -> KeyRing:
        return self.holdings.ring

    async def bring_in(self, *keystores: str, password: str = "pass") -> list[tuple[str, str]]:
        done = await self.holding.bring_in(keystores, [password] * len(keystores), CALLER)
        return [(each.status, each.message) for each in done]

    def sealed(self) -> set[PublicKey]:
        return {sealed.public_key for sealed in self.holdings.vault.read().keys}

    def kinds(self) -> list[Kind]:
        return [entry.kind for entry in entries(self.house)]


@asynccontextmanager
async def post(house: House, *, refuse_public_test_keys: bool = False, loaded: bool = True) -> AsyncIterator[Post]:
    directory = house.directory / "keys"
    directory.mkdir()
    unlock = PasswordUnlock(Secret(b"vault password"), Argon2Cost(iterations=1, lanes=1, memory_kib=8))
    vault, ring = open_vault(house.directory / "vault", unlock), KeyRing()
    loader = Gated(Loader(KeyLocations(directory), bls.load(), vault, threads=1))
    reloader = Reloader(loader, ring, house.clock)
    holdings = Holdings(ring, vault, directory, Deletions(house.directory / "deletions"))
    with house.record() as record:
        changes = Meddler(record.writer)
        holding = KeyHolding(
            changes=changes,
            holdings=holdings,
            reloader=reloader,
            bls=bls.load(),
            reading=house.reading,
            clock=house.clock,
            data_directory=house.data,
            refuse_public_test_keys=refuse_public_test_keys,
        )
        if loaded:
            reloader.load_now()
        yield Post(house, holding, holdings, reloader, loader, changes)
        reloader.close()


def key_of(number: int) -> PublicKey:
    return bls.load().public_key(SecretKey.from_bytes(number.to_bytes(32)))


def keystore(number: int) -> str:
    """A keystore of a private key that nobody else would think of, with the password `pass`."""
    secret = SecretKey.from_bytes(number.to_bytes(32))
    return encode_keystore(secret, key_of(number), Secret(b"pass"), cost=Pbkdf2Cost(1), derivation_path="").decode()


async def test_each_keystore_of_a_request_has_an_answer_of_its_own(house: House) -> None:
    async with post(house) as at:
        done = await at.bring_in(keystore(11), keystore(12), keystore(11), "{}", "\ud800")
        assert [status for status, _ in done] == ["imported", "imported", "duplicate", "error", "error"]
        assert done[4][1] == "the keystore does not open: it is no UTF-8 text"
        assert set(at.ring.public_keys) == at.sealed() == {key_of(11), key_of(12)}
        assert await at.bring_in(keystore(12)) == [("duplicate", "")]
        wrong = await at.bring_in(keystore(13), password="wrong")
        assert wrong[0][0] == "error"
        assert "wrong" not in wrong[0][1], "the password is in no answer"
        assert at.kinds() == [Kind.KEY_IMPORTED] * 2


async def test_a_key_that_is_deleted_elsewhere_while_it_is_brought_in_stays_out(house: House) -> None:
    async with post(house) as at:
        at.changes.before.append(lambda transaction: bury_key(transaction, key_of(11), now_ms=1))
        refused, imported = await at.bring_in(keystore(11), keystore(12))
        assert imported == ("imported", "")
        assert refused[0] == "error"
        assert f"holdfast keys allow 0x{key_of(11).hex()}" in refused[1]
        assert set(at.ring.public_keys) == at.sealed() == {key_of(12)}
        assert (await at.bring_in(keystore(11)))[0][0] == "error", "and later too"
        await at.holding.allow([key_of(11)], CALLER)
        assert await at.bring_in(keystore(11)) == [("imported", "")]


async def test_a_key_that_cannot_be_sealed_is_not_served(house: House) -> None:
    async with post(house) as at:
        shutil.rmtree(house.directory / "vault")  # as a disk that is gone
        [(status, message)] = await at.bring_in(keystore(11))
        assert status == "error"
        assert "the key is not served" in message
        assert at.ring.public_keys == ()


async def test_a_key_whose_material_cannot_be_removed_signs_nothing_and_the_answer_says_so(house: House) -> None:
    async with post(house) as at:
        await at.bring_in(keystore(11), keystore(12))
        shutil.rmtree(house.directory / "vault")
        [done] = await at.holding.delete([key_of(11)], CALLER)
        assert done.status == "error"
        assert "nothing is signed with the key any more" in done.message
        assert "not all removed" in done.message
        assert at.ring.public_keys == (key_of(12),)
        assert deleted_keys(house.reading) == {key_of(11)}
        at.reloader.load_now()
        assert key_of(11) not in at.ring.public_keys, "whatever a load brings"


async def test_what_is_not_served_is_told_with_what_is_known_of_it(house: House) -> None:
    async with post(house) as at:
        await at.bring_in(keystore(11))
        done = await at.holding.delete([key_of(11), key_of(11), public_key(7)], CALLER)
        assert [each.status for each in done] == ["deleted", "not_active", "not_found"]
        assert at.sealed() == set()
        again = await at.holding.allow([key_of(11), key_of(11)], CALLER)
        assert [each.status for each in again] == ["allowed", "not_deleted"]
        with house.reading() as moment:
            assert read_key_states(moment) == {}


async def test_a_load_that_began_too_early_is_followed_by_one_that_brings_the_key(house: House) -> None:
    async with post(house) as at:
        gate = at.loader.gate = threading.Event()
        at.reloader.start()
        assert await asyncio.to_thread(at.loader.at_the_gate.wait, WAIT_SECONDS)
        bringing = asyncio.ensure_future(at.bring_in(keystore(11)))
        while key_of(11) not in await asyncio.to_thread(at.sealed):
            assert not bringing.done()
        gate.set()
        assert await bringing == [("imported", "")]
        assert at.ring.public_keys == (key_of(11),)


async def test_a_key_that_is_kept_and_does_not_load_is_told_as_such(house: House) -> None:
    async with post(house) as at:
        at.loader.blind = True
        assert await at.bring_in(keystore(11)) == [("error", "the key is kept, but did not load")]


async def test_a_published_test_key_is_brought_in_only_where_nothing_is_at_stake(house: House, tmp_path: Path) -> None:
    interop = "25295f0d1d592a90b333e26e85149708208e9f8e8bc18f6c77bd62f8ad7a6866"  # the first of the interop keys
    number = int(interop, 16)
    async with post(house, refuse_public_test_keys=True) as at:
        [(status, message)] = await at.bring_in(keystore(number))
        assert (status, "published test key" in message) == ("error", True)
        assert at.sealed() == set()
    (tmp_path / "elsewhere").mkdir()
    async with post(House(tmp_path / "elsewhere")) as at:
        assert await at.bring_in(keystore(number)) == [("imported", "")]


async def test_before_the_first_load_nobody_knows_which_keys_there_are(house: House) -> None:
    async with post(house, loaded=False) as at:
        with pytest.raises(NotReadyError):
            await at.bring_in(keystore(11))
        with pytest.raises(NotReadyError):
            await at.holding.delete([key_of(11)], CALLER)
        assert at.kinds() == []


async def test_what_another_signer_deletes_or_allows_is_followed(house: House) -> None:
    async with post(house) as at:
        assert await at.bring_in(keystore(1), keystore(2)) == [("imported", ""), ("imported", "")]
        one, other = at.ring.public_keys
        await at.holding.follow_others()
        assert at.ring.public_keys == (one, other), "nothing has happened"

        await at.changes.writer.perform(lambda t: bury_key(t, one, now_ms=5), lambda _: PlainStory())
        await at.holding.follow_others()
        assert (at.ring.public_keys, at.ring.banished) == ((other,), {one})
        assert one in at.sealed(), "its material is the next start's to destroy"
        assert "deleted here (KEY_DELETED)" in str(at.reloader.status.last_error), "a load has told of it"

        await at.changes.writer.perform(lambda t: exhume_key(t, one), lambda _: PlainStory())
        await at.holding.follow_others()
        assert at.ring.banished == frozenset()
        at.reloader.load_now()
        assert at.ring.public_keys == (one, other)
