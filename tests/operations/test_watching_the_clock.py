"""The clock's alarm: raised and ended once each, on record, and believed again only when somebody vouches for it."""

import pytest
from operations.keeping_twin import entries
from operations.record_twin import House

from signer.audit.entry import Kind
from signer.clock import FixedClock
from signer.clock.believed import BelievedClock
from signer.clock.state import ClockState
from signer.events import ClockAlarmChanged, Events
from signer.operations.clock_watch import ASK_EVERY, Alarm, ClockWatch
from signer.operations.record import Record


class Source:
    """Answers as it is told, and counts the questions."""

    def __init__(self, name: str = "kernel") -> None:
        self.name, self.good, self.asked = name, True, 0

    def measure(self) -> ClockState:
        self.asked += 1
        return ClockState(self.good, None, None, self.name, "measured" if self.good else "nothing synchronises it")


class Scene:
    """A watch over a clock that can be set."""

    def __init__(self, record: Record | None, source: Source | None) -> None:
        self.wall, self.elapsed = 1_700_000_000.0, 5.0
        self.believed = BelievedClock(wall=lambda: self.wall, elapsed=lambda: self.elapsed)
        self.raised: list[bool] = []
        events = Events()
        events.subscribe(ClockAlarmChanged, lambda event: self.raised.append(event.raised))
        self.watch = ClockWatch(
            self.believed,
            source=source,
            events=events,
            clock=FixedClock(1.0),
            journal=None if record is None else record.writer,
        )

    async def pass_by(self, seconds: float = 2.0, *, jump: float = 0.0) -> Alarm:
        self.elapsed += seconds
        self.wall += seconds + jump
        await self.watch.look()
        return self.watch.alarm


def notes(house: House) -> list[str]:
    return [entry.note for entry in entries(house) if entry.kind is Kind.CLOCK_ALARM]


@pytest.mark.parametrize("source", [None, Source("trusted")], ids=["nobody", "trusted"])
async def test_a_jump_that_nobody_can_vouch_for_stays_until_it_is_taken_back(house: House, source) -> None:
    with house.record() as record:
        scene = Scene(record, source)
        assert await scene.pass_by() is Alarm.NONE
        assert await scene.pass_by(jump=3_600) is Alarm.JUMPED
        assert await scene.pass_by() is Alarm.JUMPED
        assert scene.believed.now() < scene.wall - 3_000
        assert await scene.pass_by(jump=-3_600) is Alarm.NONE
        assert scene.raised == [True, False], "told once each"
        first, second = notes(house)
        assert first.startswith("alarm=jumped the clock jumped by +3600.0 s")
        assert "until a restart" in first
        assert second.startswith("alarm=none")


async def test_a_jump_is_believed_once_the_source_vouches_for_it(house: House) -> None:
    source = Source()
    with house.record() as record:
        scene = Scene(record, source)
        source.good = False
        assert await scene.pass_by(jump=60) is Alarm.JUMPED
        assert scene.believed.now() < scene.wall - 50
        source.good = True
        assert await scene.pass_by() is Alarm.NONE
        assert scene.believed.now() == scene.wall
        assert len(notes(house)) == 2


async def test_a_step_of_a_good_time_service_is_on_record_and_no_alarm_stays(house: House) -> None:
    with house.record() as record:
        scene = Scene(record, Source())
        assert await scene.pass_by(jump=-4.0) is Alarm.NONE
        assert scene.believed.now() == scene.wall
        assert notes(house) == ["alarm=none the clock was set by -4.0 s, and kernel vouches for it"]


async def test_a_source_that_no_longer_vouches_is_told_of_and_the_clock_goes_on(house: House) -> None:
    source = Source()
    with house.record() as record:
        scene = Scene(record, source)
        source.good = False
        alarms = [await scene.pass_by() for _ in range(ASK_EVERY)]
        assert alarms[-1] is Alarm.UNSYNCHRONISED
        assert source.asked == 1, "a minute passes between two questions while all is well"
        assert scene.believed.now() == scene.wall, "a clock that goes on is no reason to refuse"
        assert await scene.pass_by(jump=30) is Alarm.JUMPED
        assert scene.believed.now() < scene.wall - 20
        source.good = True
        assert await scene.pass_by() is Alarm.NONE


async def test_a_worker_believes_by_itself_and_leaves_the_alarm_to_the_main_process() -> None:
    scene = Scene(None, None)
    assert await scene.pass_by(jump=3_600) is Alarm.JUMPED
    assert scene.believed.now() < scene.wall - 3_000
    assert scene.raised == []
