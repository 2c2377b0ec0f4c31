"""Orders about keys hold for every instance of a shared database, and for a Web3Signer beside them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from journal.record import PlainStory, public_key, vote
from journal.shared_record import open_shared

from signer.errors import SignerError
from signer.journal.command import Command
from signer.journal.ledger import Transaction
from signer.keys.ledger import (
    EVERY_KEY,
    KeyUseClaim,
    bury_key,
    disable_key,
    enable_key,
    exhume_key,
    freeze_key,
    thaw_key,
)
from signer.operations.shared_record import SharedRecord
from signer.units import Epoch, PublicKey

KEY = public_key(1)
OTHER = public_key(2)

ORDERS = [
    (lambda t, key: freeze_key(t, key, now_ms=5), thaw_key, "KEY_FROZEN"),
    (lambda t, key: disable_key(t, key, now_ms=5), enable_key, "KEY_DISABLED"),
    (lambda t, key: bury_key(t, key, now_ms=5), exhume_key, "KEY_DELETED"),
]


@pytest.fixture
def records(database_url: str, tmp_path: Path):
    opened = [open_shared(database_url, tmp_path / name) for name in ("1", "2")]
    yield opened
    for record in opened:
        record.close()


async def use(record: SharedRecord, target: int, *, key: int = 1) -> str:
    plain = vote(target - 1, target, key=key)
    claims = (KeyUseClaim(public_key(key), Epoch(target)), *plain.claims)
    try:
        await record.writer.commit(Command(claims, plain.story))
    except SignerError as error:
        return error.code
    return "signed"


async def order(record: SharedRecord, change: Callable[[Transaction, PublicKey], bool], key: PublicKey) -> bool:
    return await record.writer.perform(lambda transaction: change(transaction, key), lambda _: PlainStory())


async def enabled(url: str) -> dict[bytes, bool]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT public_key, enabled FROM validators")
    await connection.close()
    return {bytes(key): value for key, value in rows}


@pytest.mark.parametrize(("stop", "start", "code"), ORDERS, ids=[code for *_, code in ORDERS])
async def test_an_order_holds_for_the_next_batch_of_every_instance_and_for_web3signer(
    records: list[SharedRecord], database_url: str, stop, start, code: str
) -> None:
    for key in (1, 2):
        assert await use(records[0], 1, key=key) == "signed"
    assert await order(records[1], stop, KEY)
    assert not await order(records[1], stop, KEY)
    assert [await use(record, 2) for record in records] == [code, code]
    assert await use(records[0], 2, key=2) == "signed"
    assert await enabled(database_url) == {KEY: False, OTHER: True}
    assert await order(records[0], start, KEY)
    assert [await use(record, 3) for record in records] == ["signed", "signed"]
    assert await enabled(database_url) == {KEY: True, OTHER: True}


async def test_all_keys_are_frozen_and_thawed_and_what_was_disabled_before_stays_so(
    records: list[SharedRecord], database_url: str
) -> None:
    for key in (1, 2):
        assert await use(records[0], 1, key=key) == "signed"
    web3signer = await asyncpg.connect(database_url)
    await web3signer.execute("UPDATE validators SET enabled = false WHERE public_key = $1", OTHER)
    await web3signer.close()
    assert await order(records[0], lambda t, key: freeze_key(t, key, now_ms=5), EVERY_KEY)
    assert await order(records[0], lambda t, key: disable_key(t, key, now_ms=6), KEY)
    assert await use(records[1], 2) == "KEY_DISABLED"
    assert await use(records[1], 2, key=3) == "KEY_FROZEN"  # never seen before: entered as one that may not sign
    assert await enabled(database_url) == {KEY: False, OTHER: False, public_key(3): False}
    assert await order(records[0], thaw_key, EVERY_KEY)
    assert await enabled(database_url) == {KEY: False, OTHER: False, public_key(3): True}
    assert await use(records[1], 2, key=2) == "DISABLED_IN_DATABASE"
    assert await use(records[1], 2, key=3) == "signed"


async def test_an_order_waits_for_the_signature_under_way(records: list[SharedRecord], database_url: str) -> None:
    """Whoever deletes a key and exports its history in one step must find what was being signed meanwhile."""
    assert await use(records[0], 1) == "signed"
    web3signer = await asyncpg.connect(database_url)
    begun = web3signer.transaction()
    await begun.start()
    await web3signer.execute("SELECT pg_advisory_xact_lock(1, 1)")

    def bury_and_count(transaction: Transaction) -> int:
        bury_key(transaction, KEY, now_ms=5)
        ((count,),) = transaction.rows("SELECT count(*) FROM signed_attestations")
        return int(count)

    ordered = asyncio.ensure_future(records[0].writer.perform(bury_and_count, lambda _: PlainStory()))
    watcher = await asyncpg.connect(database_url)
    while not await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
        assert not ordered.done()
    await web3signer.execute("INSERT INTO signed_attestations VALUES (1, 7, 8, NULL)")
    await begun.commit()
    assert await ordered == 2
    await web3signer.close()
    await watcher.close()
