"""Log lines: structured, as JSON or for eyes, to stderr, stdout or a file that is rotated.

Rule 1: a refusal is one line, with its code, its evidence and the request id that the caller was given too.
Rule 2: never a secret. Tracebacks are plain text: structlog's and rich's own show the local variables of each frame.
Rule 3: a full disk or a stuck pipe delays nobody. Lines go through a bounded queue to a thread; what does not fit is
        dropped and counted, and the count is the next line that fits.
"""

import logging
import logging.handlers
import os
import queue
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal

import structlog

_QUEUED_LINES = 10_000
"""Lines waiting to be written; a line is about 500 bytes."""

_LIBRARIES_AT_WARNING = ("aiohttp", "asyncio")
"""Loggers of libraries that tell of every connection below this level."""


class PrivateRotatingFile(logging.handlers.RotatingFileHandler):
    """A log file of mode 0600 from its first byte, renamed when it is full."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return open(descriptor, "a", encoding="utf-8", errors="backslashreplace")  # noqa: PTH123 - a descriptor, not a path


class _BoundedQueue(logging.handlers.QueueHandler):
    """Never waits: counts what the queue does not take."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Leave the record as it is: it stays in this process, and its event is formatted by the writing thread."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a line, after one that tells of lines dropped before it."""
        try:
            if self.dropped:
                note = logging.LogRecord(__name__, logging.WARNING, "", 0, f"dropped {self.dropped} lines", None, None)
                self.queue.put_nowait(note)
                self.dropped = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class Logs:
    """The log of one process: started once, stopped last so that the last lines are written."""

    def __init__(
        self,
        *,
        level: Literal["debug", "info", "warning", "error"],
        form: Literal["json", "console"],
        handlers: Sequence[logging.Handler],
    ) -> None:
        """`handlers` come from `stream_handler` and `file_handler`."""
        self._lines: queue.Queue[Any] = queue.Queue(_QUEUED_LINES)
        self._handler = _BoundedQueue(self._lines)
        formatter = _formatter(form)
        for handler in handlers:
            handler.setFormatter(formatter)
        self._handlers = tuple(handlers)
        self._listener = logging.handlers.QueueListener(self._lines, *handlers)
        self._level = getattr(logging, level.upper())

    def start(self) -> None:
        """Take over the root logger: from now on every library's lines look like ours."""
        root = logging.getLogger()
        root.handlers[:] = [self._handler]
        root.setLevel(self._level)
        for name in _LIBRARIES_AT_WARNING:
            logging.getLogger(name).setLevel(max(self._level, logging.WARNING))
        structlog.configure(
            processors=[
                structlog.stdlib.filter_by_level,
                *_SHARED_PROCESSORS,
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
            logger_factory=structlog.stdlib.LoggerFactory(),
            cache_logger_on_first_use=False,
        )
        self._listener.start()

    def stop(self) -> None:
        """Write what is queued and close the files."""
        self._listener.stop()
        logging.getLogger().removeHandler(self._handler)
        for handler in self._handlers:
            handler.close()


class LineHandler(logging.Handler):
    """Hands each finished line on: a worker's lines are written by the main process, which has the files open."""

    def __init__(self, write: Callable[[int, str], None]) -> None:
        """`write` takes level and line; it is called from the writing thread and does not block."""
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """See logging."""
        self._write(record.levelno, self.format(record))


def write_line(level: int, line: str) -> None:
    """Write a line that a LineHandler has handed on, as it is."""
    logging.getLogger("holdfast.workers").log(level, "%s", line, extra={_FINISHED: True})


def open_outputs(
    names: Sequence[Literal["stderr", "stdout", "file"]], *, file: Path | None, max_bytes: int, count: int
) -> list[logging.Handler]:
    """The handlers of these outputs; `file` belongs to the output of its name. Raises OSError."""
    return [
        file_handler(file, max_bytes=max_bytes, count=count)
        if name == "file" and file is not None
        else stream_handler("stdout" if name == "stdout" else "stderr")
        for name in names
    ]


def stream_handler(name: Literal["stderr", "stdout"]) -> logging.Handler:
    """Lines to a standard stream: what systemd and container engines collect."""
    return logging.StreamHandler(sys.stderr if name == "stderr" else sys.stdout)


def file_handler(file: Path, *, max_bytes: int, count: int) -> logging.Handler:
    """Lines to a file, renamed at `max_bytes`; `count` renamed ones are kept. Raises OSError."""
    return PrivateRotatingFile(file, maxBytes=max_bytes, backupCount=count)


_SHARED_PROCESSORS: tuple[Any, ...] = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


_EXTRA_FIELDS = ("code", "key")
"""What our own lines through the standard library carry as `extra`; libraries' extras are not for the log."""

_FINISHED = "finished"
"""Marks a record whose message is a whole line already."""


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage() if getattr(record, _FINISHED, False) else super().format(record)


def _formatter(form: Literal["json", "console"]) -> logging.Formatter:
    final: list[Any]
    if form == "json":
        final = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        final = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    return _Formatter(
        foreign_pre_chain=[*_SHARED_PROCESSORS, structlog.stdlib.ExtraAdder(allow=_EXTRA_FIELDS)],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
    )
