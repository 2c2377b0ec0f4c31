"""Tags by an order and by documents: durable, audited, and never a way to thaw a key without a word."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from journal.record import PlainStory, public_key, vote
from operations.keeping_twin import entries
from operations.record_twin import CALLER, House

from signer.audit.entry import MAX_NOTE_BYTES, Entry, Kind
from signer.auth.principal import Action, Caller, Principal
from signer.crypto.bls import SecretKey
from signer.errors import ForbiddenError, KeyFrozenError, MalformedRequestError, UnknownKeyError
from signer.events import Events
from signer.journal.command import Command
from signer.keys.key import Key, Origin
from signer.keys.ledger import KeyUseClaim
from signer.keys.report import LoadReport
from signer.keys.tags import Tag, freeze_tag, read_tags, thaw_tag
from signer.operations.carry_out import LocalOrders
from signer.operations.record import Record
from signer.operations.tag_keys import KEYS_OF_ONE_ENTRY, KeyTagging, TaggingLoader, tag_order
from signer.units import PublicKey

ONE, OTHER = public_key(1), public_key(2)
LIDO, PAID = Tag("lido"), Tag("paid")
ON_BOTH_DATABASES = True


@dataclass
class Documents:
    """What the loaded keys' documents name, and a loader that finds it."""

    named: dict[PublicKey, tuple[Tag, ...]] = field(default_factory=dict)

    def documented_tags(self, key: PublicKey) -> tuple[Tag, ...]:
        return self.named.get(key, ())

    def load(self, _progress: object, _stop: object) -> LoadReport:
        secret = SecretKey.from_bytes((5).to_bytes(32))
        keys = [Key(one, secret, Origin.RAW_FILE, Path("/keys/a.yaml"), tags=self.named[one]) for one in self.named]
        return LoadReport(tuple(keys), (), (), (), 0)


@dataclass
class Post:
    """A record, and somebody who may give orders. Owned by one test."""

    house: House
    record: Record
    documents: Documents
    tagging: KeyTagging

    async def tag(self, key: PublicKey, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> tuple[str, str]:
        [done] = await self.tagging.tag(tag_order([key], add=add, remove=remove), CALLER)
        assert done.public_key == key
        return done.status, done.message

    async def perform(self, change: Any) -> Any:
        return await self.record.writer.perform(change, lambda _: PlainStory())

    def told(self) -> list[Entry]:
        return [entry for entry in entries(self.house) if entry.kind is Kind.KEY_TAGGED]


@asynccontextmanager
async def post(house: House) -> AsyncIterator[Post]:
    documents = Documents()
    with house.record() as record:
        reading = house.reading
        orders = LocalOrders(
            changes=record.writer,
            reading=reading,
            clock=house.clock,
            events=Events(),
            holding=documents,  # type: ignore[arg-type]  # nothing here brings keys in or deletes any
            moving=None,  # type: ignore[arg-type]  # nor moves them
        )
        yield Post(house, record, documents, KeyTagging(orders=orders, reading=reading))


async def test_each_order_about_tags_is_told_once_for_each_key_in_the_audit_log(house: House) -> None:
    async with post(house) as at:
        assert await at.tag(ONE, add=["paid", "lido", "lido"]) == ("tagged", "")
        assert await at.tag(ONE, add=["lido"], remove=["nothing"]) == ("unchanged", "")
        both = await at.tagging.tag(tag_order([ONE, OTHER], add=["new"], remove=["paid"]), CALLER)
        assert [each.status for each in both] == ["tagged", "tagged"]
        assert await at.tagging.tags(CALLER) == {ONE: ("lido", "new"), OTHER: ("new",)}
        assert [(entry.public_key, entry.note, entry.principal) for entry in at.told()] == [
            (ONE, "+paid +lido", "operator"),
            (ONE, "was so before", "operator"),
            (ONE, "+new -paid", "operator"),
            (OTHER, "+new", "operator"),
        ]


async def test_a_frozen_tag_is_taken_from_no_key_and_the_attempt_is_told(house: House) -> None:
    async with post(house) as at:
        await at.tag(ONE, add=["lido"])
        await at.perform(lambda transaction: freeze_tag(transaction, LIDO, now_ms=1))
        status, message = await at.tag(ONE, add=["new"], remove=["lido", "other"])
        assert status == "error"
        assert "nothing was changed" in message
        assert "holdfast thaw tag:lido" in message
        assert await at.tagging.tags(CALLER) == {ONE: ("lido",)}, "nothing of the order was done"
        with pytest.raises(KeyFrozenError):
            await at.record.writer.commit(Command((KeyUseClaim(ONE), *vote(1, 2).claims), PlainStory(ONE)))
        assert await at.tag(OTHER, remove=["lido"]) == ("unchanged", ""), "it never bore it"
        await at.perform(lambda transaction: thaw_tag(transaction, LIDO))
        assert (await at.tag(ONE, remove=["lido"]))[0] == "tagged"
        assert [entry.note for entry in at.told()] == ["+lido", "refused: frozen lido", "was so before", "-lido"]


async def test_who_takes_away_what_a_document_names_is_told_that_it_comes_back(house: House) -> None:
    async with post(house) as at:
        at.documents.named[ONE] = (LIDO, PAID)
        await at.tag(ONE, add=["lido", "own"])
        assert await at.tag(ONE, remove=["own"]) == ("tagged", "")
        status, message = await at.tag(ONE, remove=["lido"])
        assert status == "tagged"
        assert "its document names lido still" in message


async def test_who_sees_one_key_tags_no_other_and_who_only_lists_tags_none(house: House) -> None:
    tenant = Caller(Principal("tenant", keys=frozenset({ONE})))
    watchman = Caller(Principal("watchman", actions=frozenset(Action) - {Action.KEYS_TAG}))
    async with post(house) as at:
        with pytest.raises(UnknownKeyError):
            await at.tagging.tag(tag_order([ONE, OTHER], add=["x"], remove=[]), tenant)
        with pytest.raises(ForbiddenError, match="keys:tag"):
            await at.tagging.tag(tag_order([ONE], add=["x"], remove=[]), watchman)
        with pytest.raises(ForbiddenError, match="keys:list"):
            await at.tagging.tags(Caller(Principal("nobody", actions=frozenset())))
        await at.tagging.tag(tag_order([ONE], add=["x"], remove=[]), tenant)
        await at.tag(OTHER, add=["y"])
        assert await at.tagging.tags(tenant) == {ONE: ("x",)}
        assert at.told()[0].principal == "tenant"


@pytest.mark.parametrize(
    ("add", "remove"),
    [([], []), (["a"], ["a"]), (["A"], []), ([], [""]), (["a"] * 65, []), ([], ["a b"]), (["0f" * 32], [])],
)
def test_an_order_that_says_nothing_or_contradicts_itself_is_none(add: list[str], remove: list[str]) -> None:
    with pytest.raises(MalformedRequestError):
        tag_order([ONE], add=add, remove=remove)


# --- the documents of key files --------------------------------------------------------------------


def load(house: House, record: Record, named: dict[PublicKey, tuple[Tag, ...]]) -> LoadReport:
    """Load keys with these tags in their documents, as the service does."""
    reading = house.reading
    loader = TaggingLoader(Documents(named), changes=record.writer, reading=reading, clock=house.clock)
    return loader.load(lambda _done, _all: None, None)


def kept(house: House) -> dict[PublicKey, set[str]]:
    with house.reading() as moment:
        return {key: set(tags) for key, tags in read_tags(moment).items()}


def notes(house: House) -> list[str]:
    return [entry.note for entry in entries(house) if entry.kind is Kind.KEY_TAGGED]


def test_tags_of_documents_are_on_record_and_in_the_audit_log_before_their_keys_serve(
    house: House, record: Record
) -> None:
    report = load(house, record, {ONE: (LIDO, PAID), OTHER: (LIDO,), public_key(3): ()})
    assert [key.public_key for key in report.keys] == [ONE, OTHER, public_key(3)]
    assert kept(house) == {ONE: {"lido", "paid"}, OTHER: {"lido"}}
    one, other = "0x" + ONE.hex(), "0x" + OTHER.hex()
    told = [f"+lido, named by documents: {one} {other}", f"+paid, named by documents: {one}"]
    assert notes(house) == told
    load(house, record, {ONE: (LIDO, PAID), OTHER: (LIDO,)})
    assert notes(house) == told, "what is on record already is not told again"


def test_a_document_that_names_a_tag_no_more_takes_none_away(house: House, record: Record) -> None:
    load(house, record, {ONE: (LIDO,)})
    load(house, record, {ONE: (PAID,)})
    load(house, record, {})
    assert kept(house) == {ONE: {"lido", "paid"}}


def test_one_audit_entry_has_room_for_all_the_keys_that_it_tells_of(house: House, record: Record) -> None:
    keys = [public_key(number) for number in range(2 * KEYS_OF_ONE_ENTRY + 1)]
    load(house, record, dict.fromkeys(keys, (Tag("g" * 64),)))
    assert set(kept(house)) == set(keys)
    told = notes(house)
    assert len(told) == 3
    assert all(len(note) < MAX_NOTE_BYTES for note in told)
    assert sorted(word for note in told for word in note.split() if word.startswith("0x")) == sorted(
        "0x" + key.hex() for key in keys
    )
