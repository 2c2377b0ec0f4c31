"""What keeps each key from signing is told by the status of the record and by the doctor, on both databases."""

import asyncpg
from journal.record import PlainStory, public_key, vote
from operations.keeping_twin import explaining, horizon
from operations.record_twin import CALLER, House

from signer.auth.principal import Action, Caller, Principal
from signer.keys.ledger import EVERY_KEY, bury_key, freeze_key
from signer.keys.moves import move_out
from signer.keys.quarantine import begin_quarantine
from signer.keys.tags import Tag, add_tag, freeze_tag
from signer.operations.examine.finding import Finding, Grade
from signer.operations.examine.standing_keys import examine_standing
from signer.operations.explain import Explaining
from signer.operations.kept_record import KeptRecord
from signer.units import Epoch

ON_BOTH_DATABASES = True
"""See conftest.py."""

ACTIVE, FROZEN, GONE, AWAY, TAGGED, WAITING, UNKNOWN = (public_key(number) for number in range(1, 8))


async def order(record: KeptRecord, change) -> None:
    await record.writer.perform(change, lambda _: PlainStory())


async def states(asked: Explaining, *, limit: int = 500) -> dict[str, tuple[str, ...]]:
    told: dict[str, tuple[str, ...]] = {}
    after = b""
    while True:
        page = await asked.status(CALLER, after=after, limit=limit)
        told |= {each.public_key: each.state for each in page.keys}
        if page.next_after is None:
            return told
        after = bytes.fromhex(page.next_after[2:])


async def stop_one_of_each(house: House, record: KeptRecord) -> Epoch:
    """Some have signed, others never; the epoch until which one waits."""
    for number in (1, 2, 4):
        await record.writer.commit(vote(1, 2, key=number))
    now = horizon(house).epoch
    assert now is not None
    until = Epoch(now + 3)
    await order(record, lambda t: freeze_key(t, FROZEN, now_ms=5))
    await order(record, lambda t: bury_key(t, GONE, now_ms=5))
    await order(record, lambda t: move_out(t, [AWAY], now_ms=5))
    await order(record, lambda t: add_tag(t, TAGGED, Tag("lido")))
    await order(record, lambda t: freeze_tag(t, Tag("lido"), now_ms=5))
    await order(record, lambda t: begin_quarantine(t, [WAITING], until=until))
    return until


async def test_the_status_tells_what_keeps_each_key_from_signing(house: House, record: KeptRecord) -> None:
    until = await stop_one_of_each(house, record)
    expected = {
        ACTIVE: ("active",),
        FROZEN: ("frozen",),
        GONE: ("deleted",),
        AWAY: ("moved away",),
        TAGGED: ("frozen by tag:lido",),
        WAITING: (f"quarantined until epoch {until}",),
    }
    told = {"0x" + key.hex(): words for key, words in expected.items()}
    assert await states(explaining(house)) == told
    for limit in (1, 2, 5, 6):
        assert await states(explaining(house), limit=limit) == told, "page by page the same"

    await order(record, lambda t: freeze_key(t, EVERY_KEY, now_ms=6))
    await order(record, lambda t: freeze_key(t, AWAY, now_ms=6))
    all_frozen = await states(explaining(house))
    assert all_frozen["0x" + ACTIVE.hex()] == ("frozen by all",)
    assert all_frozen["0x" + AWAY.hex()] == ("moved away", "frozen", "frozen by all")


async def test_one_key_is_told_alone_and_one_of_which_nothing_is_known_not_at_all(
    house: House, record: KeptRecord
) -> None:
    await stop_one_of_each(house, record)
    asked = explaining(house)
    (gone,) = (await asked.status(CALLER, public_key=GONE)).keys
    assert (gone.state, gone.votes, gone.newest_target) == (("deleted",), 0, None)
    assert (await asked.status(CALLER, public_key=UNKNOWN)).keys == ()
    only = Caller(Principal("one", actions=frozenset({Action.SLASHING_READ}), keys=frozenset({FROZEN})))
    assert [each.public_key for each in (await asked.status(only)).keys] == ["0x" + FROZEN.hex()]


async def test_a_wait_that_has_ended_is_told_no_more(house: House, record: KeptRecord) -> None:
    await stop_one_of_each(house, record)
    house.clock.seconds += 10 * 384.0
    assert "0x" + WAITING.hex() not in await states(explaining(house))


async def test_what_somebody_else_has_disabled_in_a_shared_database_is_told_apart(
    house: House, record: KeptRecord
) -> None:
    await stop_one_of_each(house, record)
    address = house.make_database()
    if not address:
        return
    beside = await asyncpg.connect(address)
    await beside.execute("UPDATE validators SET enabled = false WHERE public_key = $1", bytes(ACTIVE))
    await beside.close()
    told = await states(explaining(house))
    assert told["0x" + ACTIVE.hex()] == ("disabled in the database",)
    assert told["0x" + FROZEN.hex()] == ("frozen",), "that is our own doing"
    assert {one.subject for one in examined(house)} >= {"disabled keys"}


def examined(house: House) -> list[Finding]:
    with house.reading() as moment:
        return list(examine_standing(moment, epoch=horizon(house).epoch))


async def test_the_doctor_counts_frozen_moved_and_waiting_keys_by_the_record_alone(
    house: House, record: KeptRecord
) -> None:
    assert examined(house) == []
    until = await stop_one_of_each(house, record)
    found = {one.subject: one for one in examined(house)}
    assert set(found) == {"frozen", "moved keys", "quarantine"}
    assert found["frozen"].figures == {"all": False, "keys": 1, "tags": 1}
    assert found["moved keys"].figures == {"keys": 1}
    assert found["quarantine"].figures == {"keys": 1, "until_epoch": until}
    assert (found["frozen"].grade, found["moved keys"].grade) == (Grade.WARNING, Grade.OK)
