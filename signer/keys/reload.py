"""Load the keys in the background, one load at a time, and put them on the ring."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from signer.clock import Clock
from signer.errors import BusyError, SignerError
from signer.keys.guard import LoadsKeys
from signer.keys.key import Key
from signer.keys.loader import no_progress
from signer.keys.report import LoadReport, Progress, keys_to_keep
from signer.keys.ring import KeyRing

State = Literal["idle", "running", "completed", "completed_with_errors", "failed"]
"""Web3Signer's words for `GET /reload`."""


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """How the last load went, the first one included."""

    state: State
    changed_at: float | None
    """Seconds since the Unix epoch when it last began or ended; None before the first."""

    last_error: str | None
    """A sentence, kept until a later load ends without one."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """One load as told to whoever listens: a report, or the error that ended it."""

    report: LoadReport | None
    kept: int
    """Keys that still serve though their file could not be read again."""

    withheld: tuple[Key, ...]
    """Keys that were read and are not served, for they were deleted here."""

    error: Exception | None
    seconds: float
    """How long the load took."""


Listener = Callable[[LoadResult], None]
"""Called from the loading thread after the ring was replaced, or was not."""


def tell_each(listeners: Sequence[Listener], result: LoadResult) -> None:
    """Tell several, in order."""
    for listener in listeners:
        listener(result)


def nobody_listens(_result: LoadResult) -> None:
    """Tell nobody."""


class Reloader:
    """Owns the loading thread, for the life of the process. Safe from any thread."""

    def __init__(self, loader: LoadsKeys, ring: KeyRing, clock: Clock, *, listener: Listener = nobody_listens) -> None:
        self._loader = loader
        self._ring = ring
        self._clock = clock
        self._listener = listener
        self._status = ReloadStatus("idle", None, None)
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._report: LoadReport | None = None

    @property
    def status(self) -> ReloadStatus:
        """How the last load went, or that one runs."""
        return self._status

    @property
    def report(self) -> LoadReport | None:
        """The last load that ended with keys; None before the first."""
        return self._report

    def start(self, progress: Progress = no_progress) -> None:
        """Begin to load in the background. Raises BusyError while a load runs."""
        with self._starting:
            self._claim()
            # A daemon: close() waits for it, and a process that dies without close() does not hang.
            self._thread = threading.Thread(target=self._run, args=(progress,), name="key-reload", daemon=True)
            self._thread.start()

    def load_now(self, progress: Progress = no_progress) -> LoadReport:
        """Load in this thread. Raises BusyError, and what `Loader.load` raises."""
        with self._starting:
            self._claim()
        result = self._load(progress)
        if result.error is not None:
            raise result.error
        if result.report is None:
            raise SignerError("a load ended with neither keys nor an error")
        return result.report

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait for the load that `start` began; True if none runs any more."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_seconds)
        return self._status.state != "running"

    def close(self) -> None:
        """Give up a load that runs: at most the keystores that are being opened are waited for."""
        self._stop.set()
        self.wait()

    def _claim(self) -> None:
        if self._status.state == "running":
            raise BusyError("keys are being loaded already; ask for the status and try again")
        self._status = replace(self._status, state="running", changed_at=self._clock.now())

    def _run(self, progress: Progress) -> None:
        self._load(progress)

    def _load(self, progress: Progress) -> LoadResult:
        started = time.perf_counter()
        try:
            report = self._loader.load(progress, self._stop)
            kept = self._replace_ring(report)
            withheld = tuple(key for key in report.keys if key.public_key in self._ring.banished)
            result = LoadResult(report, kept, withheld, None, time.perf_counter() - started)
        except Exception as fault:  # noqa: BLE001  # whatever it was, the ring is untouched and "running" must end
            result = LoadResult(None, 0, (), fault, time.perf_counter() - started)
        self._listener(result)
        self._status = self._status_after(result)
        return result

    def _replace_ring(self, report: LoadReport) -> int:
        """How many keys still serve that could not be read again."""
        kept = keys_to_keep(self._ring.current.keys.values(), report)
        self._ring.replace((*report.keys, *kept))
        self._report = report
        return len(kept)

    def _status_after(self, result: LoadResult) -> ReloadStatus:
        now = self._clock.now()
        if result.report is None:
            reason = result.error.sentence if isinstance(result.error, SignerError) else type(result.error).__name__
            return ReloadStatus("failed", now, reason)
        told = []
        if result.report.errors:
            told.append(f"Reload completed with {len(result.report.errors)} signer loading error(s)")
        if result.withheld:
            told.append(_told_withheld(result.withheld))
        return (
            ReloadStatus("completed_with_errors", now, "; ".join(told))
            if told
            else ReloadStatus("completed", now, None)
        )


def _told_withheld(keys: Sequence[Key]) -> str:
    first = "0x" + keys[0].public_key.hex() + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")
    return (
        f"{first} not served: deleted here (KEY_DELETED). Remove the key from its source, or let it be served again"
        " with `holdfast keys allow`"
    )
