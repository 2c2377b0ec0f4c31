"""Tags of keys: a frozen tag holds for whoever bears it, now or later, and no key is thawed by losing one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from journal.record import PlainStory, open_record, public_key, vote
from journal.shared_record import open_shared

from signer.errors import JournalDownError, RefusalError
from signer.journal.command import Command
from signer.journal.ledger import Transaction
from signer.journal.writer import Writer
from signer.keys.ledger import EVERY_KEY, FrozenTag, KeyUseClaim, freeze_key, read_key_states, thaw_key
from signer.keys.tags import (
    Tag,
    add_tag,
    add_tags,
    freeze_tag,
    is_tag,
    missing_tags,
    read_frozen_tags,
    read_tags,
    remove_tag,
    thaw_tag,
)
from signer.units import PublicKey

ONE, OTHER = public_key(1), public_key(2)
LIDO, PAID = Tag("lido"), Tag("client:paid-2")

Change = Callable[[Transaction], bool]


@pytest.fixture(params=["embedded", "shared"])
def journal(request: pytest.FixtureRequest, tmp_path: Path):
    """Two instances on a shared database; or the one writer of an embedded one, twice."""
    if request.param == "embedded":
        alone = open_record(tmp_path)
        yield alone.writer, alone.writer
        alone.close()
        return
    url = request.getfixturevalue("emptied_url")
    both = [open_shared(url, tmp_path / name) for name in ("1", "2")]
    yield tuple(each.writer for each in both)
    for each in both:
        each.close()


async def use(writer: Writer, key: PublicKey, *claims: object) -> str:
    try:
        await writer.commit(Command((KeyUseClaim(key), *claims), PlainStory(key)))
    except RefusalError as refusal:
        return str(refusal.evidence.get("frozen", refusal.code))
    return "signed"


async def perform(writer: Writer, change: Callable[[Transaction], Any]) -> Any:
    return await writer.perform(change, lambda _: PlainStory())


def tag(key: PublicKey, name: Tag) -> Change:
    return lambda transaction: add_tag(transaction, key, name)


def untag(key: PublicKey, name: Tag) -> Change:
    return lambda transaction: remove_tag(transaction, key, name)


def freeze(name: Tag, at: int = 5) -> Change:
    return lambda transaction: freeze_tag(transaction, name, now_ms=at)


def thaw(name: Tag) -> Change:
    return lambda transaction: thaw_tag(transaction, name)


def freeze_one(transaction: Transaction) -> bool:
    return freeze_key(transaction, ONE, now_ms=1)


def thaw_one(transaction: Transaction) -> bool:
    return thaw_key(transaction, ONE)


STORIES: dict[str, list[tuple[Change, bool, str, str]]] = {
    # the order, whether it changed anything, and what becomes of one key's use and another's
    "a frozen tag holds for those that bear it, and for those that get it later": [
        (tag(ONE, LIDO), True, "signed", "signed"),
        (tag(ONE, LIDO), False, "signed", "signed"),
        (freeze(LIDO), True, "tag:lido", "signed"),
        (freeze(LIDO, 99), False, "tag:lido", "signed"),
        (tag(OTHER, LIDO), True, "tag:lido", "tag:lido"),
        (thaw(PAID), False, "tag:lido", "tag:lido"),
        (thaw(LIDO), True, "signed", "signed"),
        (thaw(LIDO), False, "signed", "signed"),
        (untag(OTHER, LIDO), True, "signed", "signed"),
        (untag(OTHER, LIDO), False, "signed", "signed"),
        (freeze(LIDO), True, "tag:lido", "signed"),
        (thaw(LIDO), True, "signed", "signed"),
        (untag(ONE, LIDO), True, "signed", "signed"),
    ],
    "a tag is frozen before any key bears it": [
        (freeze(PAID), True, "signed", "signed"),
        (tag(ONE, PAID), True, "tag:client:paid-2", "signed"),
        (thaw(PAID), True, "signed", "signed"),
        (untag(ONE, PAID), True, "signed", "signed"),
    ],
    "thawing a tag thaws neither a key frozen by its own name, nor one with another frozen tag, nor all keys": [
        (tag(ONE, LIDO), True, "signed", "signed"),
        (tag(ONE, PAID), True, "signed", "signed"),
        (freeze_one, True, "key", "signed"),
        (freeze(LIDO), True, "key", "signed"),
        (thaw(LIDO), True, "key", "signed"),
        (freeze(PAID), True, "key", "signed"),
        (freeze(LIDO), True, "key", "signed"),
        (thaw_one, True, "tag:client:paid-2", "signed"),
        (lambda t: freeze_key(t, EVERY_KEY, now_ms=1), True, "tag:client:paid-2", "all"),
        (thaw(PAID), True, "tag:lido", "all"),
        (thaw(LIDO), True, "all", "all"),
        (lambda t: thaw_key(t, EVERY_KEY), True, "signed", "signed"),
        (untag(ONE, PAID), True, "signed", "signed"),
        (untag(ONE, LIDO), True, "signed", "signed"),
    ],
}


@pytest.mark.parametrize("story", STORIES)
async def test_frozen_tags_decide_every_use_of_the_keys_that_bear_them(journal, story: str) -> None:
    first, second = journal
    for step, (change, changed, one, other) in enumerate(STORIES[story]):
        assert await perform((first, second)[step % 2], change) is changed, step
        for writer in (first, second):
            assert await use(writer, ONE) == one, step
            assert await use(writer, ONE, *vote(step, step + 1).claims) == one, step
            assert await use(writer, OTHER) == other, step
    assert await perform(first, read_tags) == {}, "nothing is left behind"


async def test_tags_and_their_frost_outlive_the_process(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    await perform(record.writer, tag(ONE, LIDO))
    await perform(record.writer, tag(ONE, PAID))
    await perform(record.writer, freeze(LIDO, 1234))
    record.close()
    record = open_record(tmp_path)
    try:
        assert await use(record.writer, ONE) == "tag:lido"
        states = await perform(record.writer, read_key_states)
        assert states[ONE].frozen_tags == (FrozenTag(LIDO, 1234),)
        assert await perform(record.writer, read_tags) == {ONE: {LIDO, PAID}}
        assert await perform(record.writer, read_frozen_tags) == {LIDO: 1234}
    finally:
        record.close()


async def test_the_refusal_names_the_tag_since_when_and_what_thaws_it(journal) -> None:
    await perform(journal[0], tag(ONE, LIDO))
    await perform(journal[0], freeze(LIDO, 1234))
    with pytest.raises(RefusalError, match="holdfast thaw tag:lido") as refusal:
        await journal[1].commit(Command((KeyUseClaim(ONE),), PlainStory(ONE)))
    assert refusal.value.code == "KEY_FROZEN"
    shown = {"identifier": "0x" + ONE.hex(), "frozen": "tag:lido", "frozen_since_ms": 1234}
    assert refusal.value.evidence == shown


async def test_many_tags_are_given_at_once_and_only_those_that_are_missing(journal) -> None:
    wanted = {public_key(number): (LIDO, PAID) for number in range(1, 40)}
    await perform(journal[0], tag(ONE, LIDO))
    missing = await perform(journal[0], lambda transaction: missing_tags(transaction, wanted))
    assert len(missing) == 77
    assert missing[0] == (ONE, PAID)
    await perform(journal[0], lambda transaction: add_tags(transaction, missing))
    assert await perform(journal[1], lambda transaction: missing_tags(transaction, wanted)) == ()
    assert await perform(journal[1], lambda transaction: missing_tags(transaction, {})) == ()


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("a", True),
        ("lido.csm:7_b-0", True),
        ("g" * 64, True),
        ("0f" * 31, True),
        ("a" * 65, False),
        ("", False),
        ("Lido", False),
        ("a b", False),
        ("a\n", False),
        ("tag/a", False),
        ("é", False),
        ("'; --", False),
    ],
)
async def test_a_tag_is_a_short_plain_word_to_the_program_and_to_the_database(tmp_path: Path, text, verdict) -> None:
    assert is_tag(text) is verdict
    record = open_record(tmp_path)
    try:
        given = asyncio.ensure_future(perform(record.writer, tag(ONE, Tag(text))))
        [outcome] = await asyncio.gather(given, return_exceptions=True)
        assert (outcome is True) is verdict
    finally:
        record.close()


def test_what_could_be_a_private_key_is_no_tag() -> None:
    assert not is_tag("0f" * 32)


# --- on a shared database, Web3Signer's `enabled` follows -----------------------------------------


async def enabled(url: str) -> dict[bytes, bool]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT public_key, enabled FROM validators")
    await connection.close()
    return {bytes(key): value for key, value in rows}


@pytest.fixture
def shared(emptied_url: str, tmp_path: Path):
    record = open_shared(emptied_url, tmp_path / "1")
    yield record.writer
    record.close()


@pytest.mark.parametrize("story", STORIES)
async def test_web3signer_beside_us_stops_and_goes_on_with_the_tags(shared: Writer, emptied_url: str, story) -> None:
    for key in (1, 2):
        await shared.commit(Command((KeyUseClaim(public_key(key)), *vote(0, 1, key=key).claims), PlainStory()))
    for step, (change, _, one, other) in enumerate(STORIES[story]):
        await perform(shared, change)
        assert await enabled(emptied_url) == {ONE: one == "signed", OTHER: other == "signed"}, step


async def test_what_web3signer_has_disabled_is_not_enabled_by_a_thaw(shared: Writer, emptied_url: str) -> None:
    await shared.commit(Command((KeyUseClaim(ONE), *vote(0, 1).claims), PlainStory()))
    web3signer = await asyncpg.connect(emptied_url)
    await web3signer.execute("UPDATE validators SET enabled = false")
    await web3signer.close()
    for change in (tag(ONE, LIDO), freeze(LIDO), thaw(LIDO)):
        await perform(shared, change)
    assert await enabled(emptied_url) == {ONE: False}


async def test_a_tag_frozen_while_it_is_given_to_a_key_stops_the_key_for_web3signer_too(
    shared: Writer, emptied_url: str
) -> None:
    await shared.commit(Command((KeyUseClaim(ONE), *vote(0, 1).claims), PlainStory()))
    async with other_instance(emptied_url) as begun:
        await begun.execute("INSERT INTO holdfast.key_tags VALUES ($1, 'lido')", ONE)
        frozen = asyncio.ensure_future(perform(shared, freeze(LIDO)))
        await somebody_waits(emptied_url, frozen)
    assert await frozen
    assert await enabled(emptied_url) == {ONE: False}
    assert await use(shared, ONE) == "tag:lido"


async def test_a_tag_frozen_while_it_is_taken_from_a_key_stays_with_it(shared: Writer, emptied_url: str) -> None:
    await perform(shared, tag(ONE, LIDO))
    async with other_instance(emptied_url) as begun:
        await begun.execute("INSERT INTO holdfast.frozen_tags VALUES ('lido', 1)")
        taken = asyncio.ensure_future(perform(shared, untag(ONE, LIDO)))
        await somebody_waits(emptied_url, taken)
    with pytest.raises(JournalDownError, match="thaw it before"):
        await taken
    assert await use(shared, ONE) == "tag:lido"


@asynccontextmanager
async def other_instance(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A transaction of another signer, which commits at the end."""
    connection = await asyncpg.connect(url)
    async with connection.transaction():
        yield connection
    await connection.close()


async def somebody_waits(url: str, change: "asyncio.Future[Any]") -> None:
    watcher = await asyncpg.connect(url)
    while not await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
        assert not change.done()
    await watcher.close()
