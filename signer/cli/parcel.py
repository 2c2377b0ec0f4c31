"""What a migration carries from one signer to the other: a directory with a receipt and a history."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from signer.cli.answers import MigratedOut
from signer.cli.problem import UsageFault
from signer.durable import ensure_private_directory, read_regular, write_durably
from signer.errors import ReceiptError, StartupError, UnreadableFileError
from signer.operations.migration_receipt import MAX_RECEIPT_BYTES, read_receipt

_PIECE_BYTES = 1 << 20

_WHY_NO_RECEIPT = (
    "there is no receipt here: `holdfast migrate out` did not end well with this directory, and no key has left by it"
    " (`holdfast migrate out` again makes a new one, also for keys that it had already disabled)"
)
_WHY_UNDONE = (
    "the move was undone with this receipt, which is receipt-undone.json now: its keys sign where they came from"
)


@dataclass(frozen=True, slots=True)
class Parcel:
    """The two files of one migration."""

    receipt: Path
    history: Path

    def receipt_text(self) -> bytes:
        """The receipt. Raises UnreadableFileError."""
        return read_regular(self.receipt, limit_bytes=MAX_RECEIPT_BYTES).strip()

    def abandon(self) -> None:
        """Leave no history behind that no receipt belongs to: an empty one would be taken for the keys' record."""
        if self.receipt.exists():
            return
        self.history.unlink(missing_ok=True)
        with suppress(OSError):
            self.receipt.parent.rmdir()  # only where nothing else is in it

    def retire(self) -> Path:
        """Put the receipt where `migrate in` does not look; under which name it is then. Raises OSError."""
        return self.receipt.rename(_undone(self))

    def as_one(self) -> IO[bytes]:
        """Receipt and history as a server takes them: one line, and what follows. The caller closes it."""
        body = TemporaryFile()  # noqa: SIM115 - the caller closes it
        body.write(self.receipt_text() + b"\n")
        with self.history.open("rb") as history:
            while piece := history.read(_PIECE_BYTES):
                body.write(piece)
        body.seek(0)
        return body


def prepare_parcel(directory: Path) -> Parcel:
    """An empty place for both files, tried before any key is disabled. Raises UsageFault."""
    parcel = _parcel(directory)
    if parcel.receipt.exists():
        raise UsageFault(
            f"{directory} holds a receipt already", remedy="name a new directory; nothing was disabled by this command"
        )
    try:
        ensure_private_directory(directory)
        write_durably(parcel.history, b"", private=True)
    except (OSError, StartupError) as error:
        reason = error.sentence if isinstance(error, StartupError) else error.strerror or str(error)
        raise UsageFault(
            f"{directory} cannot take the receipt: {reason}", remedy="name a directory of your own, or a new one"
        ) from error
    return parcel


def find_parcel(directory: Path) -> Parcel:
    """What was written by `prepare_parcel`'s user. Raises UnreadableFileError."""
    parcel = _parcel(directory)
    if not parcel.receipt.is_file():
        is_undone = _undone(parcel).is_file()
        raise UnreadableFileError(str(parcel.receipt), reason=_WHY_UNDONE if is_undone else _WHY_NO_RECEIPT)
    if not parcel.history.is_file():
        raise UnreadableFileError(str(parcel.history), reason="the history that belongs to the receipt is not here")
    return parcel


def closed_parcel(text: bytes, parcel: Parcel) -> MigratedOut:
    """Read what was written before it counts: a receipt that fits the history, last of all. Raises ReceiptError."""
    claims = read_receipt(text).claims
    with parcel.history.open("rb") as history:
        if hashlib.file_digest(history, "sha256").hexdigest() != claims.interchange_sha256:
            raise ReceiptError("the history did not arrive whole; give the same command again")
    write_durably(parcel.receipt, text + b"\n", private=True)
    return MigratedOut([one.public_key for one in claims.keys], claims.signed_by)


def split(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first line, and all that follows it."""
    line = b""
    for piece in pieces:
        head, newline, rest = piece.partition(b"\n")
        line += head
        if newline:
            return line, _chain(rest, pieces)
    return line, iter(())


def _chain(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces


def _undone(parcel: Parcel) -> Path:
    return parcel.receipt.with_name("receipt-undone.json")


def _parcel(directory: Path) -> Parcel:
    return Parcel(directory / "receipt.json", directory / "history.json")
