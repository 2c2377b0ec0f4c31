"""How far the opening of keystores is: a bar where somebody watches, a log line now and then where nobody does."""

import logging
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_SECONDS = 10.0
"""How often a line is logged where there is no terminal: the first load of 10,000 scrypt keystores takes an hour."""


class LoadProgress:
    """Called with (opened, to open) from the thread that loads; one for each load."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        """`now` is a steady clock in seconds."""
        self._log = logging.getLogger("holdfast.keys")
        self._now = now
        self._next_line = now() + LINE_SECONDS
        self._bar: Progress | None = None

    def __call__(self, done: int, total: int) -> None:
        """One more keystore was opened."""
        if sys.stderr.isatty():
            self._draw(done, total)
        elif self._now() >= self._next_line:
            self._next_line = self._now() + LINE_SECONDS
            self._log.info("opening keystores: %d of %d", done, total)

    def _draw(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("opening keystores"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.add_task("keys", total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total)
        if done >= total:
            self._bar.stop()
            self._bar = None
