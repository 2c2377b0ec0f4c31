"""A store as an EIP-3076 document in a private file, for as long as it is needed.

Another program's store becomes a document, a file or (Web3Signer's) a PostgreSQL database as it may be.
"""

import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from interchange import Metadata, ValidatorHistory, serialise
from signer.errors import UnreadableFileError
from signer.operations.other_stores.sqlite_store import SqliteStore, is_sqlite
from signer.operations.other_stores.web3signer_store import Web3SignerStore, is_address
from signer.units import Root


@contextmanager
def as_document(source: Path | str, *, genesis_validators_root: Root | None) -> Iterator[tuple[Path, str | None]]:
    """The file to import, and whose store it was made from; a document is itself, and no program's.

    Args:
        source: a document, or another program's store; of Web3Signer's the `postgresql://` URL of its database.
        genesis_validators_root: the chain of a store that does not name one.

    Raises:
        UnreadableFileError: it is missing, or a store that cannot be read.
    """
    store = _open(source)
    if store is None:
        yield Path(source), None
        return
    with tempfile.NamedTemporaryFile(prefix="holdfast-import-", suffix=".json") as document:
        try:
            document.writelines(serialise(store.metadata(genesis_validators_root), store.histories()))
        finally:
            store.close()
        document.flush()
        yield Path(document.name), store.program


class _Store(Protocol):
    """One open store, in one moment."""

    program: str

    def metadata(self, known: Root | None) -> Metadata: ...

    def histories(self) -> Iterator[ValidatorHistory]: ...

    def close(self) -> None: ...


def _open(source: Path | str) -> _Store | None:
    """Another program's store, or None for a document."""
    if is_address(str(source)):
        return Web3SignerStore(str(source))
    file = Path(source)
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            raise UnreadableFileError(str(file), reason=_IRREGULAR.get(stat.S_IFMT(mode), "it is no regular file"))
        return SqliteStore(file) if is_sqlite(file) else None
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        reason = "there is no such file" if missing else error.strerror or str(error)
        raise UnreadableFileError(str(file), reason=reason) from error


_IRREGULAR = {
    stat.S_IFDIR: "it is a directory: name the file in it",
    stat.S_IFIFO: "it is a pipe, and it is read more than once: write it into a file first",
}
"""What is wrong with what is there and is no file."""
