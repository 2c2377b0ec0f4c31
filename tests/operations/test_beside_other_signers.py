"""Imports, pruning and departures on a database that another Holdfast and a Web3Signer sign on meanwhile."""

import asyncio
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from journal.record import public_key, root, vote
from operations.keeping_twin import pruning
from operations.migrating_twin import opened
from operations.record_twin import CALLER, CHAIN, House
from operations.test_importing import CutShortError, Stopping, importer
from properties.test_no_history_is_slashable import SignedVote, slashable
from slashing.test_batches_as_if_alone import found
from slashing.test_web3signer_tables import bound, web3signer_signs_a_vote

from interchange import Metadata, SignedAttestation, ValidatorHistory, serialise
from signer.journal.postgres_session import Session
from signer.operations.record_orders import PruneRecord
from signer.slashing.locking import wait_for_signatures

KEYS = range(1, 5)
FIRST, LAST = 100, 1_500
"""Targets of the imported votes: every second epoch."""

PATIENCE_SECONDS = 60


@pytest.fixture
def house(pool: Iterator[str], tmp_path: Path) -> House:
    databases = iter(pool)
    return House(tmp_path, new_database=lambda: next(databases))


def document(house: House) -> tuple[Path, dict[int, list[SignedVote]]]:
    """Sound votes of four validators, and the same as the judge takes them."""
    votes = {key: [bound((n - 2, n, 7)) for n in range(FIRST, LAST + 1, 2)] for key in KEYS}
    histories = [
        ValidatorHistory(public_key(key), (), tuple(SignedAttestation(s, t, root(mark)) for s, t, mark in own))
        for key, own in votes.items()
    ]
    file = house.directory / "document.json"
    file.write_bytes(b"".join(serialise(Metadata(CHAIN), histories)))
    return file, votes


def another_on(house: House) -> House:
    """A second signer, on the same database."""
    directory = house.directory / "other"
    directory.mkdir()
    return House(directory, new_database=house.make_database)


class Web3Signer:
    """Plays Web3Signer's statements, and keeps what it has signed."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.signed: dict[int, list[SignedVote]] = {key: [] for key in KEYS}

    async def sign(self, key: int, asked: SignedVote) -> None:
        number = await self._connection.fetchval("SELECT id FROM validators WHERE public_key = $1", public_key(key))
        if await web3signer_signs_a_vote(self._connection, number, *asked):
            self.signed[key].append(asked)


class Other:
    """Another Holdfast, and what it has signed."""

    def __init__(self, record: Any) -> None:
        self.record = record
        self.signed: dict[int, list[SignedVote]] = {key: [] for key in KEYS}

    async def sign(self, key: int, asked: SignedVote) -> None:
        if await found(self.record.writer.commit(vote(*asked[:2], mark=asked[2], key=key))) in {"new", "repeat"}:
            self.signed[key].append(asked)


async def until(signer: Web3Signer | Other, done: asyncio.Future[Any], draw: Callable[[], SignedVote]) -> None:
    while not done.done():
        for key in KEYS:
            await signer.sign(key, bound(draw()))


def check_no_pair(*votes: list[SignedVote]) -> None:
    every = sorted({one for some in votes for one in some}, key=lambda one: one[1])
    for number, one in enumerate(every):
        for other in every[number + 1 :]:
            assert not slashable(one, other), (one, other)


async def test_an_import_beside_other_signers_lets_nobody_sign_against_what_has_arrived(house: House) -> None:
    file, imported = document(house)
    chance = random.Random(3)

    def draw() -> SignedVote:
        target = chance.randint(FIRST - 20, LAST + 40)
        return max(0, target - chance.choice((1, 1, 1, 2, 30))), target, chance.randint(1, 2)

    with house.record() as record, another_on(house).record() as second:
        connection = await asyncpg.connect(house.make_database())
        web3signer, other = Web3Signer(connection), Other(second)
        with pytest.raises(CutShortError):
            await importer(house, record, Stopping(record.writer, 2)).merge(file, CALLER)
        for _ in range(60):
            for key in KEYS:
                await other.sign(key, bound(draw()))
        running = asyncio.ensure_future(importer(house, record).merge(file, CALLER))
        signing = [until(web3signer, running, draw), until(other, running, draw)]
        await asyncio.wait_for(asyncio.gather(running, *signing), PATIENCE_SECONDS)
        for key in KEYS:
            # Web3Signer knows of no hold: what it signs before a record has arrived, it may sign against it.
            check_no_pair(web3signer.signed[key], other.signed[key])
            check_no_pair(imported[key], other.signed[key])
            await other.sign(key, bound((LAST - 1, LAST, 1)))
            check_no_pair(imported[key], other.signed[key])
            before = len(web3signer.signed[key])
            await web3signer.sign(key, bound((LAST - 3, LAST + 100, 1)))
            assert len(web3signer.signed[key]) == before, "it would surround what was imported"
            await web3signer.sign(key, bound((LAST + 100, LAST + 101, 1)))
            assert len(web3signer.signed[key]) == before + 1
        await connection.close()


async def test_pruning_beside_other_signers_forgets_nothing_that_protects(house: House) -> None:
    chance = random.Random(4)
    with house.record() as record, another_on(house).record() as second:
        connection = await asyncpg.connect(house.make_database())
        web3signer, other = Web3Signer(connection), Other(second)
        for key in KEYS:
            for future in record.writer.commit_all([vote(n, n + 1, mark=10 * n + 1, key=key) for n in range(700)]):
                await future
            other.signed[key] = [bound((n, n + 1, 1)) for n in range(700)]
        epoch = 700

        def draw() -> SignedVote:
            nonlocal epoch
            epoch += chance.randint(0, 1)
            target = max(1, epoch - chance.choice((0, 0, 1, 5, 60, 500)))
            return max(0, target - chance.choice((1, 1, 2, 40))), target, chance.randint(1, 2)

        running = asyncio.ensure_future(pruning(house, record.writer).carry_out(PruneRecord(keep_epochs=16), None))
        signing = [until(web3signer, running, draw), until(other, running, draw)]
        done = (await asyncio.wait_for(asyncio.gather(running, *signing), PATIENCE_SECONDS))[0]
        assert done.votes > 4 * 600
        for _ in range(10):
            for key in KEYS:
                await web3signer.sign(key, bound(draw()))
                await other.sign(key, bound(draw()))
        for key in KEYS:
            check_no_pair(web3signer.signed[key], other.signed[key])
        await connection.close()


async def test_what_is_being_signed_is_waited_for(house: House) -> None:
    with house.record() as record:
        for key in KEYS:
            await record.writer.commit(vote(1, 2, key=key))
        other = await asyncpg.connect(house.make_database())
        begun = other.transaction()
        await begun.start()
        await other.execute("SELECT pg_advisory_xact_lock(1, 3)")
        keys = [public_key(key) for key in KEYS]
        waiting = asyncio.ensure_future(asyncio.to_thread(wait_for_signatures, house.reading, keys))
        watcher = await asyncpg.connect(house.make_database())
        while not await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            assert not waiting.done()
            await asyncio.sleep(0)
        await begun.rollback()
        await asyncio.wait_for(waiting, PATIENCE_SECONDS)
        await other.close()
        await watcher.close()


def test_a_vote_that_another_signer_is_about_to_commit_leaves_with_its_key(pool: Iterator[str], tmp_path: Path) -> None:
    databases = iter(pool)
    with opened(tmp_path / "first", new_database=lambda: next(databases)) as place:
        assert place.votes(1, 1, 2) == "signed"
        asyncio.run(_leave_while_somebody_signs(place))


async def _leave_while_somebody_signs(place: Any) -> None:
    other = await asyncpg.connect(place.house.make_database())
    begun = other.transaction()
    await begun.start()
    await other.execute("SELECT pg_advisory_xact_lock(1, 1)")
    await other.execute("INSERT INTO signed_attestations VALUES (1, 2, 3, $1)", root(5))
    leaving = asyncio.ensure_future(place.migration.leave([public_key(1)], CALLER, into=place.parcel))
    watcher = await asyncpg.connect(place.house.make_database())
    while not await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
        assert not leaving.done()
        await asyncio.sleep(0)
    await begun.commit()
    await asyncio.wait_for(leaving, PATIENCE_SECONDS)
    assert b'"target_epoch":"3"' in place.parcel.read_bytes().replace(b" ", b"")
    await other.close()
    await watcher.close()


async def test_an_import_costs_a_fixed_number_of_round_trips_for_each_part(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes = tuple(SignedAttestation(n - 1, n, root(7)) for n in range(1, 20_001))
    file = house.directory / "long.json"
    file.write_bytes(b"".join(serialise(Metadata(CHAIN), [ValidatorHistory(public_key(1), (), votes)])))
    trips, run = 0, Session._run

    def count(self: Session, begin: Any, seconds: float) -> Any:
        nonlocal trips
        trips += 1
        return run(self, begin, seconds)

    with house.record() as record:
        await importer(house, record).merge(file, CALLER)  # statements are prepared
        monkeypatch.setattr(Session, "_run", count)
        [told] = await importer(house, record).merge(file, CALLER)
        assert told.attestations == 0
        assert trips <= 20 * 6 + 25, "six for each part, beside what opens and closes the whole"
