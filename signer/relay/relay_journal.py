"""The journal of a worker: its commands go to the main process, all that gathered in one frame.

While FRAMES_UNDER_WAY frames wait for their verdicts, the next one gathers: nothing is added when idle, and when busy a
frame carries about as many commands as one commit takes. A frame costs both processes a system call and a turn of their
event loops, a command in it next to nothing.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from signer.journal.command import Command, Receipt
from signer.relay.command_rows import CommandRow
from signer.relay.commands import command_row
from signer.relay.frames import Commands, Verdicts
from signer.relay.refusals import error_of

FRAMES_UNDER_WAY = 2
"""One that is being committed, and one that the writer finds when it is done with it."""


class RelayJournal:
    """See Journal. Holds nothing of the record: only who waits for which number.

    A worker whose link is lost ends at once (`birth.py`), so nobody waits here for a main process that is gone.
    """

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Receipt]] = {}
        self._gathered: list[CommandRow] = []
        self._under_way: deque[int] = deque()
        """The last number of each frame whose verdicts have not all come: verdicts come in order."""

    def commit(self, command: Command) -> "asyncio.Future[Receipt]":
        """See Journal."""
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        row = command_row(number, command)
        if not self._gathered:
            # Runs after every request that this turn of the loop has brought: one frame for all of them.
            loop.call_soon(self._flush)
        self._gathered.append(row)
        future = self._waiting[number] = loop.create_future()
        return future

    def commit_all(self, commands: Sequence[Command]) -> "Sequence[asyncio.Future[Receipt]]":
        """See Journal."""
        return [self.commit(command) for command in commands]

    def settle(self, verdicts: Verdicts) -> None:
        """The main process has decided. Whoever waits no longer is passed over: its record stands."""
        last = 0
        for number, repeat, audit_index in verdicts.receipts:
            last = max(last, number)
            future = self._waiting.pop(number, None)
            if future is not None and not future.done():
                future.set_result(Receipt(repeat, audit_index))
        for number, problem in verdicts.refusals:
            last = max(last, number)
            future = self._waiting.pop(number, None)
            if future is not None and not future.done():
                future.set_exception(error_of(problem))
        while self._under_way and self._under_way[0] <= last:
            self._under_way.popleft()
        self._flush()

    def _flush(self) -> None:
        if not self._gathered or len(self._under_way) >= FRAMES_UNDER_WAY:
            return  # `settle` will send them
        rows, self._gathered = self._gathered, []
        self._under_way.append(rows[-1].number)
        self._send(Commands(rows))
