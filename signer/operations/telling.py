"""What the writer and the loader of keys report, told on: as events, in the log and in the audit log."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from signer.audit.entry import Kind
from signer.clock import Clock
from signer.errors import ShutDownError, SignerError
from signer.events import BatchCommitted, Events, KeyOpened, KeysLoaded
from signer.journal.command import Command, Journal
from signer.keys.reload import LoadResult
from signer.keys.ring import KeyRing
from signer.operations.story import NoteStory

FROZEN_SECONDS = 15.0
"""How often what others have frozen is looked for: a scrape of the metrics."""

MOVED_SECONDS = 2.0
"""How often it is looked for which keys others have moved: so long a database that goes back may hide a move here."""

DELETED_SECONDS = 2.0
"""How often what others have deleted is looked for: as long are such keys listed, and refused with KEY_DELETED."""


class CommitEvents:
    """The writer's batches as events."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def batch_committed(self, *, commands: int, seconds: float, commit_seconds: float) -> None:
        """See `CommitObserver`."""
        self._events.publish(BatchCommitted(commands, seconds, commit_seconds))


class OthersWatch:
    """Looks again and again at what others have done on a shared database. Runs until cancelled.

    It is for those who watch; every commit judges for itself.
    """

    def __init__(self, look: Callable[[], Awaitable[None]], *, seconds: float) -> None:
        self._look = look
        self._seconds = seconds

    async def run(self) -> None:
        """While the database does not answer, what was found last stands."""
        while True:
            await asyncio.sleep(self._seconds)
            with contextlib.suppress(SignerError):
                await self._look()


class FirstLoad:
    """Hears of every load; calls `refused` for a first one that failed: there is nothing to serve.

    A later one that fails changes nothing, and one that was given up because the service stops is no failure.
    """

    def __init__(self, ring: KeyRing, refused: Callable[[Exception], object]) -> None:
        self._ring = ring
        self._refused = refused

    def __call__(self, result: LoadResult) -> None:
        """Called from the loading thread."""
        if result.error is not None and not self._ring.ready and not isinstance(result.error, ShutDownError):
            self._refused(result.error)


class TombstoneWatch:
    """Tells of sources that still hold a deleted key: it is not served, and should not lie about."""

    def __call__(self, result: LoadResult) -> None:
        """Called from the loading thread."""
        for key in result.withheld:
            logging.getLogger("holdfast.keys").warning(
                "%s holds 0x%s, which was deleted here: it is not served. Remove it there; `holdfast keys allow` "
                "would let it be served again",
                key.source_file,
                key.public_key.hex(),
                extra={"code": "KEY_DELETED"},
            )


class LoadStory:
    """Tells of each load of keys: in the audit log, to the metrics, and each broken file in the log.

    Made on the event loop whose journal it writes to; without one, the audit log hears nothing.
    """

    def __init__(self, journal: Journal, clock: Clock, events: Events) -> None:
        self._journal = journal
        self._clock = clock
        self._events = events
        self._loop: asyncio.AbstractEventLoop | None = None
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    def __call__(self, result: LoadResult) -> None:
        """Called from the loading thread."""
        log = logging.getLogger("holdfast.keys")
        if result.report is None:
            reason = result.error.sentence if isinstance(result.error, SignerError) else repr(result.error)
            log.error("the keys could not be loaded: %s", reason)
            note = f"failed: {type(result.error).__name__}"
        else:
            for fault in result.report.errors:
                log.error("%s: %s", fault.file, fault.sentence, extra={"code": fault.code})
            for warning in result.report.warnings:
                log.warning(warning)
            read = len(result.report.keys) - len(result.withheld)
            note = f"loaded={read} kept={result.kept} errors={len(result.report.errors)}"
            loaded = read + result.kept
            for retrieval in result.report.retrievals:
                self._events.publish(KeyOpened(str(retrieval.origin), retrieval.seconds))
            self._events.publish(KeysLoaded(loaded, len(result.report.errors), result.seconds))
        story = NoteStory(Kind.KEYS_LOADED, int(self._clock.now() * 1000), note)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._journal.commit, Command((), story))
