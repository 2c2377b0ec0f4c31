"""Watermarks moved by hand: low ones rise and never fall, the high one is set and cleared; all of it is audited."""

from typing import Any

import pytest
from journal.record import block, public_key
from operations.keeping_twin import entries, explaining, horizon, keeping
from operations.record_twin import CALLER, House, verdict

from signer.audit.entry import Kind
from signer.auth.principal import Action, Caller, Principal
from signer.errors import BadWatermarkError, ForbiddenError, MalformedRequestError
from signer.operations.keep_record import FURTHEST_LOW_EPOCHS
from signer.operations.record_orders import Moved, MoveWatermarks, PruneRecord

ON_BOTH_DATABASES = True
"""See conftest.py."""

KEY = public_key(1)


async def marks(house: House) -> tuple[int | None, ...]:
    told = (await explaining(house).status(CALLER)).watermarks
    return told.low_epoch, told.low_slot, told.high_epoch, told.high_slot


async def test_a_low_watermark_rises_for_every_key_and_never_falls(house: House) -> None:
    with house.record() as record:
        keep = keeping(house, record)
        unset = dict.fromkeys(("low_epoch", "low_slot", "high_epoch", "high_slot"))
        assert await keep.move(MoveWatermarks(low_epoch=100), CALLER) == Moved(unset, {**unset, "low_epoch": 100})
        assert await marks(house) == (100, None, None, None)
        await keep.move(MoveWatermarks(low_epoch=90, low_slot=3200), CALLER)
        assert await marks(house) == (100, 3200, None, None)
        assert await verdict(record, 100, 100, key=7) == "BELOW_FLOOR"
        assert await verdict(record, 100, 101, key=7) == "new"


async def test_the_floors_of_one_key_rise_known_or_not_and_its_neighbours_stay(house: House) -> None:
    with house.record() as record:
        assert await verdict(record, 10, 11) == "new"
        keep = keeping(house, record)
        moved = await keep.move(MoveWatermarks(public_key=KEY, low_epoch=50), CALLER)
        assert moved.before == {"floor_source": 10, "floor_target": 11, "floor_slot": None}
        assert moved.after == {"floor_source": 50, "floor_target": 50, "floor_slot": None}
        await keep.move(MoveWatermarks(public_key=public_key(9), low_epoch=50, low_slot=1600), CALLER)
        for key in (1, 9):
            assert await verdict(record, 50, 50, key=key) == "BELOW_FLOOR"
            assert await verdict(record, 50, 51, key=key) == "new"
        await keep.move(MoveWatermarks(public_key=KEY, low_epoch=20), CALLER)
        assert await verdict(record, 49, 60) == "BELOW_FLOOR"
        assert await verdict(record, 10, 11, key=2) == "new"


async def test_the_high_watermark_stops_signing_where_it_was_set_until_it_is_cleared(house: House) -> None:
    with house.record() as record:
        keep = keeping(house, record)
        await keep.move(MoveWatermarks(high_epoch=50, high_slot=1600), CALLER)
        assert await verdict(record, 48, 49) == "new"
        assert await verdict(record, 49, 50) == "HIGH_WATERMARK"
        await keep.move(MoveWatermarks(high_epoch=60), CALLER)
        assert await marks(house) == (None, None, 60, 1600)
        assert await verdict(record, 49, 50) == "new"
        await keep.move(MoveWatermarks(clear_high=True), CALLER)
        assert await marks(house) == (None, None, None, None)
        assert await verdict(record, 60, 61) == "new"


async def test_each_move_is_audited_with_who_and_what_changed(house: House) -> None:
    with house.record() as record:
        keep = keeping(house, record)
        alice = Caller(Principal("alice"), request_id=b"12345678")
        await keep.move(MoveWatermarks(low_epoch=100, high_epoch=200), alice)
        await keep.move(MoveWatermarks(low_epoch=90), alice)
        await keep.move(MoveWatermarks(public_key=KEY, low_slot=7), CALLER)
        told = entries(house)
    assert [one.kind for one in told] == [Kind.WATERMARK_MOVED] * 3
    assert [one.note for one in told] == [
        "low_epoch=None->100 high_epoch=None->200",
        "nothing changed",
        "floor_slot=None->7",
    ]
    assert [(one.principal, one.request_id) for one in told[:2]] == [("alice", b"12345678")] * 2
    assert [one.public_key for one in told] == [b"", b"", KEY]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (MoveWatermarks(low_epoch=100), MoveWatermarks(high_epoch=101)),
        (MoveWatermarks(high_epoch=101), MoveWatermarks(low_epoch=100)),
        (MoveWatermarks(low_slot=100), MoveWatermarks(high_slot=100)),
        (None, MoveWatermarks(low_slot=100, high_slot=7)),
    ],
)
async def test_marks_that_leave_no_room_are_refused_whole(
    house: House, first: MoveWatermarks | None, then: MoveWatermarks
) -> None:
    with house.record() as record:
        keep = keeping(house, record)
        if first is not None:
            await keep.move(first, CALLER)
        before, size = await marks(house), record.log.head.size
        with pytest.raises(BadWatermarkError, match="nothing could be signed"):
            await keep.move(then, CALLER)
        assert (await marks(house), record.log.head.size) == (before, size)
        assert record.writer.alive


async def test_a_low_watermark_far_ahead_of_the_clock_must_be_meant(house: House) -> None:
    """A slot typed for an epoch would stop the keys for years, and nothing lowers it again."""
    with house.record() as record:
        keep, now = keeping(house, record), horizon(house).epoch
        assert now is not None
        slot = (now + FURTHEST_LOW_EPOCHS + 1) * 32
        for order in (MoveWatermarks(low_epoch=now * 32), MoveWatermarks(low_slot=slot)):
            with pytest.raises(BadWatermarkError, match="ahead of the clock"):
                await keep.move(order, CALLER)
        assert await marks(house) == (None, None, None, None)
        await keep.move(MoveWatermarks(low_epoch=now + FURTHEST_LOW_EPOCHS, low_slot=slot - 1), CALLER)
        await keep.move(MoveWatermarks(low_slot=slot), CALLER, far_ahead=True)
        assert await marks(house) == (now + FURTHEST_LOW_EPOCHS, slot, None, None)


@pytest.mark.parametrize(
    "order",
    [
        MoveWatermarks(),
        MoveWatermarks(high_epoch=9, clear_high=True),
        MoveWatermarks(public_key=KEY, high_slot=9),
        MoveWatermarks(public_key=KEY, clear_high=True),
        PruneRecord(keep_epochs=15),
        PruneRecord(keep_slots=0),
    ],
)
async def test_orders_that_make_no_sense_change_nothing(house: House, order: Any) -> None:
    with house.record() as record:
        keep = keeping(house, record)
        with pytest.raises(MalformedRequestError):
            await (keep.move(order, CALLER) if isinstance(order, MoveWatermarks) else keep.prune(order, CALLER))
        assert record.log.head.size == 0


async def test_who_may_not_is_refused_and_who_has_single_keys_names_one(house: House) -> None:
    limited = Caller(Principal("limited", keys=frozenset({bytes(KEY)})))
    nobody = Caller(Principal("nobody", actions=frozenset(Action) - {Action.SLASHING_WRITE}))
    with house.record() as record:
        keep = keeping(house, record)
        await record.writer.commit(block(5))
        for caller, order in [
            (nobody, MoveWatermarks(low_slot=9)),
            (nobody, MoveWatermarks(public_key=KEY, low_slot=9)),
            (limited, MoveWatermarks(low_slot=9)),
            (limited, MoveWatermarks(clear_high=True)),
            (limited, MoveWatermarks(public_key=public_key(2), low_slot=9)),
        ]:
            with pytest.raises(ForbiddenError):
                await keep.move(order, caller)
        for caller, prune in [
            (nobody, PruneRecord()),
            (limited, PruneRecord()),
            (limited, PruneRecord(public_key=public_key(2))),
        ]:
            with pytest.raises(ForbiddenError):
                await keep.prune(prune, caller)
        await keep.move(MoveWatermarks(public_key=KEY, low_slot=9), limited)
        await keep.prune(PruneRecord(public_key=KEY), limited)
