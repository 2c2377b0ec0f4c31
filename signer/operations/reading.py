"""One question to the record, read beside the writer."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from signer.journal.ledger import Transaction
from signer.journal.reader import read_sqlite

T = TypeVar("T")


def read_record(database: Path, question: Callable[[Transaction], T]) -> T:
    """What a question finds in one moment of the record. Blocks. Raises StartupError: it cannot be opened."""
    with read_sqlite(database) as moment:
        return question(moment)
