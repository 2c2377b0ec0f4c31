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
    freeze_every_key,
    freeze_key,
    thaw_key,
)
from signer.keys.tags import Tag, add_tag, freeze_tag, thaw_tag
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


@pytest.mark.parametrize(("stop", "start", "code"), ORDERS, ids=[code for *_, code in ORDERS])
async def test_what_somebody_else_disables_meanwhile_stays_disabled(
    records: list[SharedRecord], database_url: str, stop, start, code: str
) -> None:
    """Its row says `false` already, so nobody but the row itself can tell that it was written."""
    for key in (1, 2):
        assert await use(records[0], 1, key=key) == "signed"
        assert await order(records[0], stop, public_key(key))
    await set_enabled(database_url, OTHER, value=False)
    for key in (1, 2):
        assert await use(records[1], 2, key=key) == code
        assert await order(records[1], start, public_key(key))
    assert await enabled(database_url) == {KEY: True, OTHER: False}
    assert [await use(records[0], 2, key=key) for key in (1, 2)] == ["signed", "DISABLED_IN_DATABASE"]
    await set_enabled(database_url, OTHER, value=True)
    assert await use(records[0], 2, key=2) == "signed", "theirs to give back"


async def test_with_all_keys_frozen_what_somebody_else_disables_stays_disabled(
    records: list[SharedRecord], database_url: str
) -> None:
    for key in (1, 2):
        assert await use(records[0], 1, key=key) == "signed"
    assert await order(records[0], lambda t, key: freeze_key(t, key, now_ms=5), EVERY_KEY)
    await set_enabled(database_url, OTHER, value=False)
    assert await order(records[0], thaw_key, EVERY_KEY)
    assert await enabled(database_url) == {KEY: True, OTHER: False}


async def test_with_a_tag_frozen_what_somebody_else_disables_stays_disabled(
    records: list[SharedRecord], database_url: str
) -> None:
    lido = Tag("lido")
    for key in (KEY, OTHER):
        await order(records[0], lambda t, key: add_tag(t, key, lido), key)
    assert await use(records[0], 1) == "signed"
    assert await order(records[0], lambda t, _: freeze_tag(t, lido, now_ms=5), KEY)
    assert await enabled(database_url) == {KEY: False, OTHER: False}, "the other one was never seen before"
    await set_enabled(database_url, OTHER, value=False)
    assert await order(records[1], lambda t, _: thaw_tag(t, lido), KEY)
    assert await enabled(database_url) == {KEY: True, OTHER: False}


async def test_what_somebody_else_enables_meanwhile_is_stopped_by_the_next_order_and_given_back_once(
    records: list[SharedRecord], database_url: str
) -> None:
    assert await use(records[0], 1) == "signed"
    assert await order(records[0], lambda t, key: freeze_key(t, key, now_ms=5), KEY)
    await set_enabled(database_url, KEY, value=True)
    assert await use(records[0], 2) == "KEY_FROZEN", "by our own mark"
    assert await order(records[0], lambda t, key: disable_key(t, key, now_ms=6), KEY)
    assert await enabled(database_url) == {KEY: False}
    assert await order(records[0], enable_key, KEY)
    assert await enabled(database_url) == {KEY: False}, "it is frozen still"
    assert await order(records[0], thaw_key, KEY)
    assert await enabled(database_url) == {KEY: True}


@pytest.mark.parametrize(("stop", "start", "code"), ORDERS, ids=[code for *_, code in ORDERS])
async def test_a_key_that_the_database_has_never_seen_is_entered_as_one_that_may_not_sign(
    records: list[SharedRecord], database_url: str, stop, start, code: str
) -> None:
    assert await order(records[0], stop, KEY)
    web3signer = await asyncpg.connect(database_url)
    # As a Web3Signer does with every key that it loads.
    await web3signer.execute("SELECT * FROM upsert_validators($1::bytea[])", [bytes(KEY), bytes(OTHER)])
    await web3signer.close()
    assert await enabled(database_url) == {KEY: False, OTHER: True}
    assert await order(records[1], start, KEY)
    assert await enabled(database_url) == {KEY: True, OTHER: True}
    assert await use(records[0], 1) == "signed"


async def test_all_loaded_keys_are_entered_with_a_freeze_of_all(records: list[SharedRecord], database_url: str) -> None:
    assert await order(records[0], lambda t, _: freeze_every_key(t, [OTHER, KEY], now_ms=5), KEY)
    assert await enabled(database_url) == {KEY: False, OTHER: False}
    assert await order(records[1], thaw_key, EVERY_KEY)
    assert await enabled(database_url) == {KEY: True, OTHER: True}


async def test_entering_keys_and_freezing_them_at_once_ends_with_none_that_may_sign(
    records: list[SharedRecord], database_url: str
) -> None:
    """Both enter the same rows; whoever comes second finds them, and no lock is held against another."""
    keys = [public_key(number) for number in range(1, 41)]
    for target in range(1, 6):
        fresh = keys[(target - 1) * 8 : target * 8]
        votes = [use(records[0], target, key=keys.index(key) + 1) for key in reversed(fresh)]
        freezes = [order(records[1], lambda t, key: freeze_key(t, key, now_ms=5), key) for key in fresh]
        async with asyncio.timeout(60):
            await asyncio.gather(*votes, *freezes)
        assert not any(value for key, value in (await enabled(database_url)).items() if key in fresh)


async def set_enabled(url: str, key: PublicKey, *, value: bool) -> None:
    """As somebody else does it, whatever stands there."""
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE validators SET enabled = $2 WHERE public_key = $1", bytes(key), value)
    await connection.close()
