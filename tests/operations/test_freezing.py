"""Freezing keys: durable, audited in the same commit, and only by who may."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from journal.record import PlainStory, public_key
from operations.keeping_twin import entries
from operations.record_twin import CALLER, NOW, House

from signer.audit.entry import Entry, Kind
from signer.auth.principal import Action, Caller, Principal
from signer.errors import ForbiddenError, MalformedRequestError, UnknownKeyError
from signer.events import Events, KeysFrozen
from signer.keys.ledger import EVERY_KEY, disable_key
from signer.keys.tags import Tag, add_tag
from signer.operations.carry_out import LocalOrders
from signer.operations.freeze_keys import (
    Frozen,
    FrozenGroup,
    FrozenKey,
    KeyFreezing,
    Targets,
    parse_keys,
    parse_targets,
    shown,
    target_of,
)
from signer.operations.orders import Carried
from signer.operations.record import Record

ONE, OTHER = public_key(1), public_key(2)
LIDO, PAID = Tag("lido"), Tag("paid")
NOW_MS = int(NOW * 1000)


@dataclass
class Post:
    """A record, and somebody who may give orders. Owned by one test."""

    house: House
    record: Record
    freezing: KeyFreezing
    events: list[KeysFrozen]

    def audit(self) -> list[Entry]:
        return entries(self.house)


class Served:
    """The keys of a signer that serves two."""

    loaded = (ONE, OTHER)


@asynccontextmanager
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    house, events, published = House(tmp_path), Events(), list[KeysFrozen]()
    events.subscribe(KeysFrozen, published.append)
    with house.record() as record:
        orders = LocalOrders(
            changes=record.writer,
            reading=house.places.view.reading,
            clock=house.clock,
            events=events,
            holding=Served(),  # type: ignore[arg-type]  # nothing here brings keys in or deletes any
            moving=None,  # type: ignore[arg-type]  # or moves them
        )
        yield Post(house, record, KeyFreezing(orders=orders, reading=house.places.view.reading), published)


async def test_each_order_is_told_once_for_each_key_in_the_audit_log(tmp_path: Path) -> None:
    async with post(tmp_path) as at:
        done = await at.freezing.freeze(Targets((ONE, EVERY_KEY)), CALLER)
        assert [(each.public_key, each.status) for each in done] == [(ONE, "frozen"), (EVERY_KEY, "frozen")]
        again = await at.freezing.freeze(Targets((ONE, OTHER)), CALLER)
        assert [each.status for each in again] == ["already_frozen", "frozen"]
        assert await at.freezing.frozen(CALLER) == Frozen(NOW_MS, (FrozenKey(ONE, NOW_MS), FrozenKey(OTHER, NOW_MS)))
        thawed = await at.freezing.thaw(Targets((OTHER, OTHER, EVERY_KEY)), CALLER)
        assert [each.status for each in thawed] == ["thawed", "not_frozen", "thawed"]
        assert await at.freezing.frozen(CALLER) == Frozen(None, (FrozenKey(ONE, NOW_MS),))
        assert [(entry.kind, entry.public_key, entry.note, entry.principal) for entry in at.audit()] == [
            (Kind.KEY_FROZEN, ONE, "", "operator"),
            (Kind.KEY_FROZEN, b"", "every key", "operator"),
            (Kind.KEY_FROZEN, ONE, "was frozen before", "operator"),
            (Kind.KEY_FROZEN, OTHER, "", "operator"),
            (Kind.KEY_THAWED, OTHER, "", "operator"),
            (Kind.KEY_THAWED, OTHER, "was not frozen", "operator"),
            (Kind.KEY_THAWED, b"", "every key", "operator"),
        ]
        assert at.events == [KeysFrozen(1, True), KeysFrozen(2, True), KeysFrozen(1, False)]


async def test_a_key_that_is_thawed_is_told_what_still_freezes_it(tmp_path: Path) -> None:
    async with post(tmp_path) as at:
        await at.record.writer.perform(lambda t: add_tag(t, ONE, LIDO), lambda _: PlainStory())
        await at.freezing.freeze(Targets((ONE, EVERY_KEY), (LIDO,)), CALLER)
        [one] = await at.freezing.thaw(Targets((ONE,)), CALLER)
        assert one.status == "thawed"
        assert "by tag:lido (holdfast thaw tag:lido) and by all (holdfast thaw all)" in one.message
        everybody, again, other = await at.freezing.thaw(Targets((EVERY_KEY, ONE, OTHER)), CALLER)
        assert (everybody.message, other.message) == ("", "")
        assert again.status == "not_frozen"
        assert "all" not in again.message.replace("holdfast", "")
        await at.record.writer.perform(lambda t: disable_key(t, OTHER, now_ms=1), lambda _: PlainStory())
        assert await at.freezing.why_silent(CALLER) == {ONE: ("frozen by tag:lido",), OTHER: ("moved away",)}
        [done] = await at.freezing.thaw(Targets((), (LIDO,)), CALLER)
        assert (done.status, done.message) == ("thawed", "")


async def test_tags_are_frozen_beside_keys_and_each_is_told_with_those_who_bear_it(tmp_path: Path) -> None:
    async with post(tmp_path) as at:
        await at.record.writer.perform(
            lambda t: (add_tag(t, ONE, LIDO), add_tag(t, OTHER, LIDO)), lambda _: PlainStory()
        )
        done = await at.freezing.freeze(Targets((ONE,), (LIDO, PAID)), CALLER)
        assert [(target_of(each), each.status) for each in done] == [
            (shown(ONE), "frozen"),
            ("tag:lido", "frozen"),
            ("tag:paid", "frozen"),
        ]
        groups = (FrozenGroup(LIDO, NOW_MS, 2), FrozenGroup(PAID, NOW_MS, 0))
        assert await at.freezing.frozen(CALLER) == Frozen(None, (FrozenKey(ONE, NOW_MS),), groups)
        tenant = Caller(Principal("tenant", keys=frozenset({OTHER})))
        assert await at.freezing.frozen(tenant) == Frozen(None, (), (FrozenGroup(LIDO, NOW_MS, 1),))
        thawed = await at.freezing.thaw(Targets((), (PAID, PAID)), CALLER)
        assert [(target_of(each), each.status) for each in thawed] == [
            ("tag:paid", "thawed"),
            ("tag:paid", "not_frozen"),
        ]
        told = [(entry.kind, entry.public_key, entry.note, entry.principal) for entry in at.audit()[1:]]
        assert told == [
            (Kind.KEY_FROZEN, ONE, "", "operator"),
            (Kind.KEY_FROZEN, b"", "tag lido", "operator"),
            (Kind.KEY_FROZEN, b"", "tag paid", "operator"),
            (Kind.KEY_THAWED, b"", "tag paid", "operator"),
            (Kind.KEY_THAWED, b"", "tag paid: was not frozen", "operator"),
        ]
        assert at.events == [KeysFrozen(1, everything=False, tags=2), KeysFrozen(1, everything=False, tags=1)]


async def test_who_may_freeze_may_not_thaw_unless_granted_too(tmp_path: Path) -> None:
    watchman = Caller(Principal("watchman", actions=frozenset({Action.KEYS_FREEZE})))
    async with post(tmp_path) as at:
        await at.freezing.freeze(Targets((ONE,)), watchman)
        with pytest.raises(ForbiddenError, match="keys:thaw"):
            await at.freezing.thaw(Targets((ONE,)), watchman)
        with pytest.raises(ForbiddenError, match="keys:list"):
            await at.freezing.frozen(watchman)
        nobody = Caller(Principal("nobody", actions=frozenset({Action.KEYS_THAW})))
        with pytest.raises(ForbiddenError, match="keys:freeze"):
            await at.freezing.freeze(Targets((ONE,)), nobody)
        assert [entry.kind for entry in at.audit()] == [Kind.KEY_FROZEN]


async def test_who_sees_one_key_freezes_neither_another_nor_all(tmp_path: Path) -> None:
    tenant = Caller(Principal("tenant", keys=frozenset({ONE})))
    async with post(tmp_path) as at:
        for keys, tags in (((OTHER,), ()), ((EVERY_KEY,), ()), ((ONE, OTHER), ()), ((ONE,), (LIDO,))):
            targets = Targets(keys, tags)
            with pytest.raises(UnknownKeyError):
                await at.freezing.freeze(targets, tenant)
        await at.freezing.freeze(Targets((OTHER,)), CALLER)
        await at.freezing.freeze(Targets((ONE,)), tenant)
        assert await at.freezing.frozen(tenant) == Frozen(None, (FrozenKey(ONE, NOW_MS),))


def test_keys_are_named_in_hexadecimal_of_any_case_or_by_the_word_all() -> None:
    words = ["0x" + ONE.hex(), "0X" + OTHER.hex().upper(), ONE.hex(), "all", "all"]
    assert parse_keys(words) == (ONE, OTHER, EVERY_KEY)
    assert [shown(key) for key in (ONE, EVERY_KEY)] == ["0x" + ONE.hex(), "all"]


def test_tags_are_named_behind_a_word_of_their_own() -> None:
    words = ["tag:lido", "0x" + ONE.hex(), "tag:tag:x", "all", "tag:lido"]
    assert parse_targets(words) == Targets((ONE, EVERY_KEY), (LIDO, Tag("tag:x")))
    assert parse_targets(["tag:lido"]) == Targets((), (LIDO,))
    assert target_of(Carried(EVERY_KEY, "frozen", tag="lido")) == "tag:lido"
    for word in ("tag:", "tag:Lido", "TAG:lido", "lido", "tag:a b"):
        with pytest.raises(MalformedRequestError):
            parse_targets([word])


@pytest.mark.parametrize("words", [[], ["ALL"], [""], ["0x"], ["0x12"], ["zz" * 48], ["all", "0x"], ["all"] * 10_001])
def test_what_is_no_key_is_refused_as_a_whole(words: list[str]) -> None:
    for parse in (parse_keys, parse_targets):
        with pytest.raises(MalformedRequestError):
            parse(words)
