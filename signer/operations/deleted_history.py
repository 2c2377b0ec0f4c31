"""The EIP-3076 document of keys that are deleted, written key by key as their tombstones are set."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from interchange import Metadata, assembled, serialise_elements
from signer.errors import MalformedRequestError, UnavailableError
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.slashing.exchange import Wanted, export_history, export_metadata
from signer.units import ROOT_BYTES, PublicKey, Root

DOCUMENT_PREFIX = ".holdfast-writing-deleted-"
"""A crash leaves the document behind under this name; the next start sweeps it (durable.py). It is read again from the
record then: deleting keys that are gone answers `not_active`, with their history."""

_NO_CHAIN = Metadata(Root(bytes(ROOT_BYTES)))
"""Where nothing has pinned a chain yet there is no history either."""


class DeletedHistory:
    """A document that is being written. Owned by one order; every call blocks."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self._file = file
        self._elements: list[bytes] = []

    def add(self, elements: bytes) -> None:
        """The elements of one key's history."""
        if self._file is not None and elements:
            self._elements.append(elements)

    def finish(self, reading: Reading) -> None:
        """Write the document. Raises OSError."""
        if self._file is None:
            return
        with reading() as moment:
            metadata = export_metadata(moment) or _NO_CHAIN
        for piece in assembled(metadata, self._elements):
            self._file.write(piece)


@contextmanager
def open_document(directory: Path, name: str) -> Iterator[DeletedHistory]:
    """The document in this file of the data directory, which is there already; none where there is no name.

    Raises:
        MalformedRequestError: that is no name of such a file.
        UnavailableError: the disk refuses; what is deleted by then is deleted, and the same order gives its history.
    """
    if not name:
        yield DeletedHistory(None)
        return
    # The name alone: whatever a worker says, nothing outside the data directory is written, and no other file in it.
    file = directory / Path(name).name
    if not file.name.startswith(DOCUMENT_PREFIX):
        raise MalformedRequestError("the document of a deletion has a name of its own")
    try:
        with file.open("r+b") as opened:
            yield DeletedHistory(opened)
    except OSError as error:
        raise UnavailableError(
            f"the history of the deleted keys could not be written, and asking again gives it: {error}"
        ) from error


def history_of(transaction: Transaction, public_key: PublicKey) -> bytes:
    """The elements of one key's history, the floor of all keys included; empty where there is neither."""
    named = frozenset({public_key})
    return serialise_elements(export_history(transaction, Wanted(keys=named, bound=named)))
