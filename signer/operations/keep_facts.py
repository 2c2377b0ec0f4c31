"""Keep what decisions were made of, where the key's namespace does: beside their audit entries, for replays.

Rule: it is written in the commit of the decision, also of what is denied or held; where nobody keeps facts, nothing is.
"""

import asyncio
import logging
from functools import partial
from typing import Any

from msgspec.structs import replace

from signer.audit.entry import Kind
from signer.clock import Clock
from signer.journal.command import Command, Keepsake
from signer.journal.reader import Reading
from signer.operations.changes import Changes
from signer.operations.policies import Judged
from signer.operations.policy_check import Hear, Passed
from signer.operations.reading import read_record
from signer.operations.story import DutyStory, ExtensionStory, NoteStory
from signer.policy.kept_facts import KeptDecision, any_older, digest_of, encode_decision, remove_older

UPKEEP_SECONDS = 600.0
"""How often facts past their age are looked for."""

ROWS_AT_ONCE = 256
"""Most rows that one transaction removes: a few milliseconds, for which signing waits."""

REST = 4
"""Rests are so many times as long as the transaction before, as pruning's are."""

DAY_MS = 86_400_000

_log = logging.getLogger("holdfast.upkeep")


class Listening:
    """Hears what was judged of one request, passes on what each policy said, and makes the command of it."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._judged: Judged | None = None

    def __call__(self, judged: Judged) -> None:
        """See `Listen`."""
        self._judged = judged
        self._hear(judged.outcomes)

    @property
    def judged(self) -> Judged | None:
        """What it has heard; None where no policy was asked."""
        return self._judged

    def command(self, claims: tuple[Any, ...], story: DutyStory | ExtensionStory, waiting: Passed) -> Command:
        """These claims and this story, with the facts where they are kept. `waiting`: as it was before policies."""
        asking, judged = waiting.asking, self._judged
        if asking is None or judged is None or not asking.in_force.keeps(waiting.key.namespace):
            return Command(claims, story)
        body = encode_decision(KeptDecision(judged.facts, judged.revision, judged.outcomes, judged.seen))
        code = "" if story.refused_as is None else story.refused_as.code
        kept = Keepsake(body, story.public_key, story.time_ms, code)
        return Command(claims, replace(story, kept=digest_of(body)), kept)


class FactsUpkeep:
    """Removes facts past their age. Owned by the process that keeps the record; `run` until cancelled."""

    def __init__(self, *, changes: Changes, reading: Reading, clock: Clock, keep_days: int) -> None:
        self._changes = changes
        self._reading = reading
        self._clock = clock
        self._keep_days = keep_days

    async def run(self) -> None:
        """Look again and again, the first time at once."""
        while True:
            try:
                await self.tidy()
            except Exception as error:  # noqa: BLE001 - whatever it was, the rows stay for the next time
                _log.warning("kept facts past their age stay in the database: %s", error)
            await asyncio.sleep(UPKEEP_SECONDS)

    async def tidy(self) -> int:
        """Remove all that are too old, a few at a time; how many. Raises UnavailableError, StartupError."""
        now_ms = int(self._clock.now() * 1000)
        before_ms = now_ms - self._keep_days * DAY_MS
        loop, whole = asyncio.get_running_loop(), 0
        while await asyncio.to_thread(read_record, self._reading, partial(any_older, before_ms=before_ms)):
            began = loop.time()
            # Crash before this commit: the rows stay, and go the next time.
            done = await self._changes.perform(
                partial(remove_older, before_ms=before_ms, most=ROWS_AT_ONCE), partial(self._story, now_ms)
            )
            whole += done
            if done == 0:
                break  # another signer on the same database is at them
            await asyncio.sleep(REST * (loop.time() - began))
        return whole

    def _story(self, now_ms: int, done: int) -> NoteStory:
        return NoteStory(Kind.PRUNED, now_ms, f"facts_of_decisions={done} keep_days={self._keep_days}")
