"""What of the slashing record goes out, and the receipt that tells the next export what it may leave out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from interchange import serialise
from signer.errors import MalformedRequestError, SignerError
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.slashing.exchange import EVERYTHING, Wanted, export_history, export_metadata
from signer.slashing.receipt import FORMAT, Receipt, by_key, lines_of, named, same_watermark
from signer.slashing.watermarks import read_watermarks
from signer.units import PUBLIC_KEY_BYTES, PublicKey

__all__ = ["ALL", "Receipt", "Selection", "export_document", "parse_selection", "write_receipt"]

_DATABASE_ID = "SELECT database_id FROM identity"
_KNOWN = "SELECT count(*) FROM validators WHERE public_key = ?"


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for; everything by default."""

    keys: tuple[PublicKey, ...] | None = None
    since: Receipt | None = None
    visible: frozenset[PublicKey] | None = None
    """The only keys that the caller may see; None means all."""

    loaded: frozenset[PublicKey] = frozenset()
    """The keys that serve: in an export that names none, these have the floor of all keys at least."""


ALL = Selection()


def parse_selection(keys: Sequence[str] | None, since: Receipt | None) -> Selection:
    """From a request. Raises MalformedRequestError: a key is none, or the receipt is of another format."""
    if since is not None and since.format != FORMAT:
        raise MalformedRequestError(
            f"a receipt of the format {since.format[:50]!r} is not known", path="$.since.format"
        )
    return Selection(None if keys is None else tuple(map(_key, keys)), since)


def export_document(reading: Reading, selection: Selection) -> Iterator[bytes]:
    """The document, in pieces. One read transaction: it shows one moment, whatever is signed meanwhile.

    Raises:
        MalformedRequestError: there is no record of a key, or the receipt is another record's.
        SignerError: nothing has pinned a network yet, so there is nothing to export.
    """
    with reading() as moment:
        metadata = export_metadata(moment)
        if metadata is None:
            raise SignerError("there is no slashing record yet: no genesis_validators_root is configured or was seen")
        yield from serialise(metadata, export_history(moment, _wanted(moment, selection)))


def write_receipt(reading: Reading, *, visible: frozenset[PublicKey] | None = None) -> Receipt:
    """What every export that begins after this holds at least, of all keys or of these. Reads every record once.

    Raises:
        SignerError: as `export_document`.
    """
    with reading() as moment:
        metadata = export_metadata(moment)
        if metadata is None:
            raise SignerError("there is no slashing record yet: no genesis_validators_root is configured or was seen")
        marks = read_watermarks(moment)
        return Receipt(
            database_id=_database_id(moment),
            genesis_validators_root="0x" + metadata.genesis_validators_root.hex(),
            low_epoch=marks.low_epoch,
            low_slot=marks.low_slot,
            validators=named(lines_of(moment, visible).items()),
        )


def _wanted(moment: Transaction, selection: Selection) -> Wanted:
    if selection == ALL:
        return EVERYTHING
    marks = read_watermarks(moment)
    all_are_bound = marks.low_epoch is not None or marks.low_slot is not None
    for number, key in enumerate(selection.keys or ()):
        ((count,),) = moment.rows(_KNOWN, (key,))
        if not (count or all_are_bound) or (selection.visible is not None and key not in selection.visible):
            raise MalformedRequestError(f"there is no record of 0x{key.hex()}", path=f"$.keys[{number}]")
    receipt, since = selection.since, {}
    if receipt is not None:
        if receipt.database_id != _database_id(moment):
            raise MalformedRequestError(
                "the receipt was written for another database; export everything, with a new receipt", path="$.since"
            )
        if same_watermark(moment, receipt):
            try:
                since = by_key(receipt.validators)
            except ValueError as error:
                raise MalformedRequestError(f"a key in the receipt is none: {error}", path="$.since") from error
    if selection.keys is not None:
        named = frozenset(selection.keys)
        return Wanted(named, since, bound=named)
    visible = selection.visible
    return Wanted(visible, since, bound=selection.loaded if visible is None else selection.loaded & visible)


def _database_id(moment: Transaction) -> str:
    ((value,),) = moment.rows(_DATABASE_ID)
    return bytes(value).hex()


def _key(text: str) -> PublicKey:
    try:
        key = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != PUBLIC_KEY_BYTES:
        raise MalformedRequestError(f"{text[:120]!r} is no public key: 0x and 96 hex digits are", path="$.keys")
    return PublicKey(key)
