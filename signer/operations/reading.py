"""One question to the record, read beside the writer."""

from collections.abc import Callable
from typing import TypeVar

from signer.journal.ledger import Transaction
from signer.journal.reader import Reading

T = TypeVar("T")


def read_record(reading: Reading, question: Callable[[Transaction], T]) -> T:
    """What a question finds in one moment of the record. Blocks. Raises StartupError: it cannot be opened."""
    with reading() as moment:
        return question(moment)
