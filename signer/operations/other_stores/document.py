"""A store as an EIP-3076 document in a private file, for as long as it is needed.

A store that is no file (Web3Signer's PostgreSQL database) comes in here: it becomes a document as the others do.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interchange import serialise
from signer.errors import UnreadableFileError
from signer.operations.other_stores.sqlite_store import SqliteStore, is_sqlite
from signer.units import Root


@contextmanager
def as_document(source: Path, *, genesis_validators_root: Root | None) -> Iterator[tuple[Path, str | None]]:
    """The file to import, and whose store it was made from; a document is itself, and no program's.

    Args:
        source: a document, or another program's store.
        genesis_validators_root: the chain of a store that does not name one.

    Raises:
        UnreadableFileError: it is missing, or a store that cannot be read.
    """
    if not _is_store(source):
        yield source, None
        return
    with tempfile.NamedTemporaryFile(prefix="holdfast-import-", suffix=".json") as document:
        store = SqliteStore(source)
        try:
            document.writelines(serialise(store.metadata(genesis_validators_root), store.histories()))
        finally:
            store.close()
        document.flush()
        yield Path(document.name), store.program


def _is_store(source: Path) -> bool:
    if not source.is_file():
        raise UnreadableFileError(str(source), reason="there is no such file")
    try:
        return is_sqlite(source)
    except OSError as error:
        raise UnreadableFileError(str(source), reason=error.strerror or str(error)) from error
