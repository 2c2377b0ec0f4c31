"""Frozen, disabled, deleted: judged inside the commit, durable, and undone by nothing but its own opposite."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from journal.record import PlainStory, Record, block, open_record, public_key, vote

from signer.audit.chain import unpack
from signer.audit.entry import decode_entry
from signer.audit.verify import stored_batches
from signer.errors import RefusalError
from signer.journal.command import Command
from signer.journal.ledger import Transaction
from signer.journal.sqlite import SqliteDatabase
from signer.keys.ledger import (
    EVERY_KEY,
    KeyState,
    KeyStateLedger,
    KeyUseClaim,
    bury_key,
    disable_key,
    enable_key,
    exhume_key,
    freeze_key,
    read_key_states,
    thaw_key,
)
from signer.units import PublicKey

ONE, OTHER = public_key(1), public_key(2)
Change = Callable[[Transaction], bool]


def using(key: PublicKey, *claims: object) -> Command:
    return Command((KeyUseClaim(key), *claims), PlainStory(key))


async def verdict(record: Record, command: Command) -> str:
    try:
        receipt = await record.writer.commit(command)
    except RefusalError as refusal:
        return refusal.code
    return "repeat" if receipt.repeat else "new"


async def order(record: Record, change: Change) -> bool:
    return await record.writer.perform(change, lambda _: PlainStory())


def freeze(key: PublicKey, at: int = 5) -> Change:
    return lambda transaction: freeze_key(transaction, key, now_ms=at)


def thaw(key: PublicKey) -> Change:
    return lambda transaction: thaw_key(transaction, key)


def disable(key: PublicKey) -> Change:
    return lambda transaction: disable_key(transaction, key, now_ms=6)


def bury(key: PublicKey) -> Change:
    return lambda transaction: bury_key(transaction, key, now_ms=7)


STORIES: dict[str, list[tuple[Change, bool, str, str]]] = {
    # the order, whether it changed anything, and what becomes of one key's use and another's
    "one key is frozen and thawed": [
        (freeze(ONE), True, "KEY_FROZEN", "new"),
        (freeze(ONE, 99), False, "KEY_FROZEN", "new"),
        (thaw(OTHER), False, "KEY_FROZEN", "new"),
        (thaw(EVERY_KEY), False, "KEY_FROZEN", "new"),
        (thaw(ONE), True, "new", "new"),
        (thaw(ONE), False, "new", "new"),
    ],
    "all keys are frozen; thawing one by its name does not thaw it": [
        (freeze(EVERY_KEY), True, "KEY_FROZEN", "KEY_FROZEN"),
        (freeze(ONE), True, "KEY_FROZEN", "KEY_FROZEN"),
        (thaw(OTHER), False, "KEY_FROZEN", "KEY_FROZEN"),
        (thaw(EVERY_KEY), True, "KEY_FROZEN", "new"),
        (thaw(ONE), True, "new", "new"),
    ],
    "a thawed key stays disabled, an enabled one stays deleted": [
        (freeze(ONE), True, "KEY_FROZEN", "new"),
        (disable(ONE), True, "KEY_DISABLED", "new"),
        (bury(ONE), True, "KEY_DELETED", "new"),
        (thaw(ONE), True, "KEY_DELETED", "new"),
        (lambda t: exhume_key(t, ONE), True, "KEY_DISABLED", "new"),
        (lambda t: exhume_key(t, ONE), False, "KEY_DISABLED", "new"),
        (lambda t: enable_key(t, ONE), True, "new", "new"),
    ],
}


@pytest.mark.parametrize("story", STORIES)
async def test_the_state_of_a_key_decides_every_use_of_it(record: Record, story: str) -> None:
    for step, (change, changed, one, other) in enumerate(STORIES[story]):
        assert await order(record, change) is changed, step
        # Claimed alone, as a RANDAO reveal is, and beside a vote that nothing else stands against.
        assert await verdict(record, using(ONE)) == one, step
        assert await verdict(record, using(ONE, *vote(step, step + 1).claims)) == one, step
        assert await verdict(record, using(OTHER)) == other, step
    assert await record.writer.perform(read_key_states, lambda _: PlainStory()) == {}, "nothing is left behind"


async def test_a_use_alone_is_never_a_repeat_and_makes_no_repeat_new(record: Record) -> None:
    assert await verdict(record, using(ONE)) == "new"
    assert await verdict(record, using(ONE)) == "new"
    assert await verdict(record, using(ONE, *vote(1, 2).claims)) == "new"
    assert await verdict(record, using(ONE, *vote(1, 2).claims)) == "repeat"
    assert await verdict(record, using(ONE, *block(5).claims)) == "new"
    assert await verdict(record, using(ONE, *block(5).claims)) == "repeat"


async def test_a_refused_use_records_no_vote_but_tells_of_itself(record: Record) -> None:
    await order(record, freeze(ONE))
    assert await verdict(record, using(ONE, *vote(8, 9).claims)) == "KEY_FROZEN"
    [*_, refused] = entries(record)
    assert (refused.code, refused.public_key) == ("KEY_FROZEN", ONE)
    await order(record, thaw(ONE))
    assert await verdict(record, using(ONE, *vote(1, 2).claims)) == "new", "9 would be the floor"


async def test_the_refusal_says_since_when_and_what_thaws_it(record: Record) -> None:
    await order(record, freeze(ONE, 1234))
    with pytest.raises(RefusalError, match="holdfast thaw 0x") as refusal:
        await record.writer.commit(using(ONE))
    shown = {"identifier": "0x" + ONE.hex(), "frozen": "key", "frozen_since_ms": 1234}
    assert refusal.value.evidence == shown
    await order(record, freeze(EVERY_KEY, 4321))
    with pytest.raises(RefusalError, match="holdfast thaw all") as refusal:
        await record.writer.commit(using(OTHER))
    assert refusal.value.evidence["frozen_since_ms"] == 4321


async def test_a_freeze_between_two_commands_of_one_caller_lets_the_first_pass_and_not_the_second(
    record: Record,
) -> None:
    first = record.writer.commit_all([using(ONE, *vote(1, 2).claims)] * 300)
    frozen = record.writer.perform(freeze(ONE), lambda _: PlainStory())
    second = record.writer.commit_all([using(ONE, *vote(2, 3).claims)] * 300)
    await frozen
    assert not [one for one in await asyncio.gather(*first, return_exceptions=True) if isinstance(one, Exception)]
    codes = {getattr(one, "code", "passed") for one in await asyncio.gather(*second, return_exceptions=True)}
    assert codes == {"KEY_FROZEN"}


async def test_an_order_that_is_rolled_back_leaves_no_trace_in_what_is_remembered(record: Record) -> None:
    def fails(transaction: Transaction) -> bool:
        freeze_key(transaction, ONE, now_ms=1)
        assert read_key_states(transaction)[ONE] == KeyState(frozen_ms=1)
        raise RuntimeError("nothing of this happened")

    assert await verdict(record, using(ONE)) == "new"
    with pytest.raises(RuntimeError):
        await order(record, fails)
    assert await verdict(record, using(ONE)) == "new"


async def test_states_outlive_the_process(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    await order(record, freeze(EVERY_KEY, 3))
    await order(record, bury(ONE))
    record.close()
    record = open_record(tmp_path)
    try:
        assert await verdict(record, using(OTHER)) == "KEY_FROZEN"
        assert await verdict(record, using(ONE)) == "KEY_DELETED"
        states = await record.writer.perform(read_key_states, lambda _: PlainStory())
        assert states == {EVERY_KEY: KeyState(frozen_ms=3), ONE: KeyState(deleted_ms=7)}
    finally:
        record.close()


def test_a_ledger_that_is_not_alone_reads_the_states_for_every_batch(record: Record) -> None:
    record.writer.close()
    database = SqliteDatabase(record.directory / "journal.sqlite")
    shared, alone = KeyStateLedger(alone=False), KeyStateLedger()
    try:
        with database.transaction() as transaction:
            assert not shared.load(transaction, ())
            assert not alone.load(transaction, ())
            freeze_key(transaction, ONE, now_ms=1)
            assert ONE in shared.load(transaction, ())
            assert not alone.load(transaction, ()), "it relies on being told"
            alone.forget()
            assert ONE in alone.load(transaction, ())
    finally:
        database.close()


def entries(record: Record) -> list:
    database = SqliteDatabase(record.directory / "journal.sqlite", read_only=True)
    try:
        return [decode_entry(entry) for batch in stored_batches(database) for entry in unpack(batch.entries)]
    finally:
        database.close()
