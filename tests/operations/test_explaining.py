"""Whether a vote or a block would be signed: the verdict that signing gets, with what stands against it; no trace."""

import random

import pytest
from journal.record import PlainStory, block, public_key, root, vote
from operations.keeping_twin import explaining, horizon, keeping
from operations.record_twin import CALLER, House

from signer.auth.principal import Action, Caller, Principal
from signer.errors import ForbiddenError, MalformedRequestError, RefusalError
from signer.keys.ledger import freeze_key
from signer.keys.quarantine import begin_quarantine
from signer.operations.explain import Explaining, Explanation, Question, Room
from signer.operations.kept_record import KeptRecord as Record
from signer.operations.record_orders import MoveWatermarks
from signer.units import Epoch

ON_BOTH_DATABASES = True
"""See conftest.py."""

KEY = public_key(1)


async def ask(house: House, *, key: int = 1, mark: int | None = 1, **asked: int) -> Explanation:
    text = None if mark is None else "0x" + root(mark).hex()
    question = Question.parse(public_key=public_key(key).hex(), root=text, **asked)
    return await explaining(house).explain(question, CALLER)


async def signed(record: Record, command) -> str:
    try:
        return "repeat" if (await record.writer.commit(command)).repeat else "new"
    except RefusalError as refusal:
        return refusal.code


async def test_what_is_explained_is_what_signing_then_answers(house: House) -> None:
    draw = random.Random(11)
    seen = set()
    with house.record() as record:
        for _ in range(400):
            mark, key = draw.randrange(2), draw.randrange(2)
            if draw.random() < 0.3:
                slot = draw.randrange(20)
                told, command = await ask(house, key=key, mark=mark, slot=slot), block(slot, key=key, mark=mark)
            else:
                source = draw.randrange(12)
                target = source + draw.randrange(-1 if source else 0, 8)
                told = await ask(house, key=key, mark=mark, source=source, target=target)
                command = vote(source, target, key=key, mark=mark)
            verdict = await signed(record, command)
            assert verdict == (told.code or told.verdict)
            seen.add(verdict)
    assert seen >= {"new", "repeat", "DOUBLE_VOTE", "SURROUNDING_VOTE", "SURROUNDED_VOTE", "DOUBLE_PROPOSAL"}


async def test_asking_leaves_no_trace(house: House) -> None:
    with house.record() as record:
        await record.writer.commit(vote(1, 2))
        before = (record.log.head.size, await explaining(house).status(CALLER))
        assert (await ask(house, source=2, target=3)).verdict == "new"
        assert (await ask(house, source=2, target=3, mark=2)).verdict == "new"
        assert (await ask(house, key=9, slot=3)).record is None
        assert (record.log.head.size, await explaining(house).status(CALLER)) == before


async def test_the_record_that_stands_against_it_is_shown_with_floors_and_watermarks(house: House) -> None:
    with house.record() as record:
        for command in (vote(1, 2), vote(3, 8), block(70)):
            await record.writer.commit(command)
        await keeping(house, record).move(MoveWatermarks(low_epoch=2, high_epoch=50), CALLER)
        told = await ask(house, source=4, target=7)
    assert (told.verdict, told.code) == ("refused", "SURROUNDED_VOTE")
    assert (told.evidence["recorded_source_epoch"], told.evidence["recorded_target_epoch"]) == (3, 8)
    assert told.record is not None
    source = 1 if house.new_database is None else 2  # a shared one raises each key's own floor, for Web3Signer
    assert (told.record.floor_source, told.record.floor_target, told.record.floor_slot) == (source, 2, 70)
    assert (told.record.newest_source, told.record.newest_target, told.record.votes) == (3, 8, 2)
    assert (told.watermarks.low_epoch, told.watermarks.high_epoch) == (2, 50)
    assert (told.room.least_source, told.room.least_target, told.room.greatest_target) == (3, 9, 49)


async def test_whatever_is_in_the_room_that_is_told_is_signed(house: House) -> None:
    draw = random.Random(3)
    with house.record() as record:
        for _ in range(60):
            source = draw.randrange(30)
            await signed(record, vote(source, source + draw.randrange(1, 9), mark=draw.randrange(3)))
            await signed(record, block(draw.randrange(60), mark=draw.randrange(3)))
            room = (await ask(house, source=0, target=0)).room
            assert room.least_source is not None
            assert room.least_target is not None
            assert room.least_slot is not None
            inside = (
                max(room.least_target, room.least_source) + draw.randrange(3),
                room.least_slot + draw.randrange(3),
            )
            assert (await ask(house, source=room.least_source, target=inside[0], mark=None)).verdict == "new"
            assert (await ask(house, slot=inside[1], mark=None)).verdict == "new"


async def test_an_unknown_key_has_room_up_to_the_clock_and_the_high_watermark(house: House) -> None:
    now = horizon(house)
    with house.record() as record:
        told = await ask(house, source=1, target=2)
        assert (told.verdict, told.record) == ("new", None)
        assert told.room == Room(None, None, now.last_epoch, None, now.last_slot)
        await keeping(house, record).move(MoveWatermarks(high_epoch=9, high_slot=5), CALLER)
        assert (await ask(house, source=1, target=2)).room == Room(None, None, 8, None, 4)
        assert (await ask(house, slot=5)).code == "HIGH_WATERMARK"


async def test_without_a_root_nothing_is_a_repeat_and_the_root_on_record_is_shown(house: House) -> None:
    with house.record() as record:
        await record.writer.commit(vote(1, 2))
        told = await ask(house, source=1, target=2, mark=None)
        assert (told.code, told.evidence["recorded_signing_root"]) == ("DOUBLE_VOTE", "0x" + root(1).hex())


async def test_the_clock_and_the_state_of_the_key_are_asked_too(house: House) -> None:
    now = horizon(house).last_epoch
    assert now is not None
    with house.record() as record:
        assert (await ask(house, source=1, target=now)).verdict == "new"
        assert (await ask(house, source=1, target=now + 1)).code == "FAR_FUTURE"
        assert (await ask(house, slot=(now + 1) * 32)).code == "FAR_FUTURE"
        await record.writer.perform(lambda t: begin_quarantine(t, [KEY], until=Epoch(now + 2)), lambda _: PlainStory())
        assert (await ask(house, source=1, target=now)).code == "KEY_QUARANTINED"
        assert (await ask(house, slot=now * 32)).code == "KEY_QUARANTINED"
        await record.writer.perform(lambda t: freeze_key(t, KEY, now_ms=1), lambda _: PlainStory())
        assert (await ask(house, source=1, target=now)).code == "KEY_FROZEN"


async def test_a_key_that_is_not_loaded_is_told_before_anything_of_the_record(house: House) -> None:
    with house.record() as record:
        await record.writer.commit(vote(1, 2))
        for key_loaded, verdict, would_sign in ((True, "new", True), (False, "not_loaded", False), (None, "new", None)):
            desk = Explaining(
                read=house.reading, horizon=horizon(house), loaded=lambda _, is_there=key_loaded: is_there
            )
            told = await desk.explain(Question.parse(public_key=KEY.hex(), source=2, target=3), CALLER)
            assert (told.verdict, told.would_sign, told.key_loaded) == (verdict, would_sign, key_loaded)
            assert (told.code == "UNKNOWN_KEY") is (key_loaded is False)


async def test_a_key_without_history_would_wait_from_its_first_load_on(house: House) -> None:
    now = horizon(house).epoch
    assert now is not None

    async def code() -> str:
        desk = Explaining(read=house.reading, horizon=horizon(house), quarantine_epochs=3)
        return (await desk.explain(Question.parse(public_key=KEY.hex(), source=now - 1, target=now), CALLER)).code

    with house.record() as record:
        assert await code() == "KEY_QUARANTINED"
        await record.writer.commit(vote(1, 2))
        assert await code() == ""


@pytest.mark.parametrize(("wrong", "path"), [({"public_key": "0x12"}, "public_key"), ({"root": "0x12"}, "root")])
def test_what_is_wrong_with_a_question_is_named(wrong: dict, path: str) -> None:
    with pytest.raises(MalformedRequestError) as caught:
        Question.parse(**{"public_key": KEY.hex(), "slot": 1, **wrong})
    assert caught.value.evidence["path"] == path


async def test_the_status_comes_in_pages_and_shows_what_the_caller_may_see(house: House) -> None:
    with house.record() as record:
        for key in range(1, 8):
            await record.writer.commit(vote(key, key + 1, key=key))
        desk = explaining(house)
        first = await desk.status(CALLER, limit=3)
        assert first.next_after == "0x" + public_key(3).hex()
        rest = await desk.status(CALLER, after=public_key(3))
        assert [one.newest_target for one in (*first.keys, *rest.keys)] == list(range(2, 9))
        assert rest.next_after is None
        limited = Caller(Principal("limited", keys=frozenset({bytes(public_key(4))})))
        assert [one.floor_target for one in (await desk.status(limited)).keys] == [5]
        [one] = (await desk.status(CALLER, public_key=public_key(7))).keys
        assert (one.public_key, one.votes, one.blocks) == ("0x" + public_key(7).hex(), 1, 0)
        assert (await desk.status(CALLER, public_key=public_key(99))).keys == ()
        with pytest.raises(ForbiddenError):
            await desk.status(limited, public_key=public_key(5))
        with pytest.raises(ForbiddenError):
            await desk.explain(Question.parse(public_key=public_key(5).hex(), slot=1), limited)
        with pytest.raises(ForbiddenError):
            await desk.status(Caller(Principal("nobody", actions=frozenset({Action.SIGN_DUTY}))))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"source": 1},
        {"source": 1, "target": 2, "slot": 3},
        {"slot": 1, "target": 2},
        {"slot": -1},
        {"slot": 2**64},
        {"slot": 1, "root": "0x12"},
        {"slot": 1, "public_key": "0x12"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(wrong: dict) -> None:
    with pytest.raises(MalformedRequestError):
        Question.parse(**{"public_key": KEY.hex(), **wrong})
