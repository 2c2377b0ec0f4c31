"""Watch the clock while the service runs: the far-future guard is worth what the clock is worth.

A jump raises the alarm, and the guard goes on from where the clock stood (`clock/believed.py`) until a source vouches
for the new time. A source that no longer vouches raises it too; the clock is then believed as long as it does not jump.
An alarm is a log line, a metric and an audit entry when it begins and when it ends, never a refusal by itself.
"""

import asyncio
import logging
from enum import StrEnum

from signer.audit.entry import Kind
from signer.clock import Clock
from signer.clock.believed import BelievedClock
from signer.clock.sources import TRUSTED
from signer.clock.state import ClockSource, ClockState
from signer.errors import SignerError
from signer.events import ClockAlarmChanged, Events
from signer.journal.command import Command, Journal
from signer.operations.story import NoteStory

LOOK_SECONDS = 2.0
"""How often the clock is compared with the time since the machine's start."""

ASK_EVERY = 30
"""Looks between two questions to the source: a minute."""

_log = logging.getLogger("holdfast.clock")


class Alarm(StrEnum):
    """What is wrong with the clock."""

    NONE = "none"
    JUMPED = "jumped"
    UNSYNCHRONISED = "unsynchronised"


class ClockWatch:
    """Runs until cancelled, in every process that has a gate."""

    def __init__(
        self,
        believed: BelievedClock,
        *,
        source: ClockSource | None,
        events: Events,
        clock: Clock,
        journal: Journal | None,
    ) -> None:
        """`source`: who is asked, or None where the preset asks nobody. `journal`: None in a worker process,
        which believes by itself and leaves the alarm to the main process.
        """
        self._believed = believed
        self._source = source
        self._events = events
        self._clock = clock
        self._journal = journal
        self._looks = 0
        self.alarm = Alarm.NONE

    async def run(self) -> None:
        """Look every two seconds."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """One look; asks the source when it is due, and at once after a jump."""
        jump = self._believed.look()
        self._looks += 1
        if jump:
            await self._on_jump(jump)
        elif self.alarm is not Alarm.NONE or self._looks % ASK_EVERY == 0:
            state = await self._ask()
            if state is not None and not state.synchronised:
                await self._change(Alarm.UNSYNCHRONISED, state.sentence)
            else:
                await self._change(Alarm.NONE, "the clock goes on as it should")

    async def _on_jump(self, jump: float) -> None:
        state = await self._ask()
        if state is None or state.source == TRUSTED:
            remedy = "nobody can be asked about it: duties ahead of the clock as it was are refused until a restart"
        elif not state.synchronised:
            remedy = f"duties ahead of the clock as it was are refused until it is synchronised ({state.sentence})"
        else:
            self._believed.accept()
            self.alarm = Alarm.JUMPED
            await self._change(Alarm.NONE, f"the clock was set by {jump:+.1f} s, and {state.source} vouches for it")
            return
        await self._change(Alarm.JUMPED, f"the clock jumped by {jump:+.1f} s; {remedy}")

    async def _ask(self) -> ClockState | None:
        return None if self._source is None else await asyncio.to_thread(self._source.measure)

    async def _change(self, alarm: Alarm, sentence: str) -> None:
        if alarm is self.alarm:
            return
        self.alarm = alarm
        if self._journal is None:
            return
        level = logging.WARNING if alarm is Alarm.NONE else logging.CRITICAL
        _log.log(level, sentence, extra={"code": "CLOCK_ALARM"})
        self._events.publish(ClockAlarmChanged(raised=alarm is not Alarm.NONE))
        story = NoteStory(Kind.CLOCK_ALARM, int(self._clock.now() * 1000), f"alarm={alarm} {sentence}")
        try:
            await self._journal.commit(Command((), story))
        except SignerError as error:
            _log.warning("the clock alarm was not recorded: %s", error, extra={"code": error.code})
