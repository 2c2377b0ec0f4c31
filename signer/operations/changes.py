"""Where an operator's change is made durable."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from signer.journal.command import Chronicle
from signer.journal.ledger import Transaction

T = TypeVar("T")


class Changes(Protocol):
    """Where an operator's change is made durable: the writer."""

    def perform(self, change: Callable[[Transaction], T], story: Callable[[T], Chronicle]) -> "asyncio.Future[T]":
        """See `Writer.perform`."""
        ...
