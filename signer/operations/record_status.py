"""What is on record, key by key, as operators are told: floors, newest duties, and what keeps a key from signing."""

from collections.abc import Callable
from dataclasses import dataclass

from signer.journal.ledger import Transaction
from signer.keys.standing import Standings, read_standings
from signer.slashing.status import Hold, KeyRecord, find_key_record, read_key_records
from signer.slashing.watermarks import Watermarks, read_watermarks
from signer.units import Epoch, PublicKey

MAX_KEYS = 500
"""Keys of one page of the status: every row of theirs is counted."""


@dataclass(frozen=True, slots=True)
class ToldWatermarks:
    """For every key; None where unset."""

    low_epoch: int | None
    low_slot: int | None
    high_epoch: int | None
    high_slot: int | None


@dataclass(frozen=True, slots=True)
class ToldRecord:
    """What is on record for one key; None where there is nothing, roots with 0x."""

    public_key: str
    floor_source: int | None
    floor_target: int | None
    floor_slot: int | None
    votes: int
    newest_source: int | None
    """Of the vote with the highest target."""

    newest_target: int | None
    newest_vote_root: str | None
    blocks: int
    newest_slot: int | None
    newest_block_root: str | None
    unfinished_import: str | None = None
    """The document (how its audit entries name it) whose import was interrupted: the floors are its newest records
    until the same import is run again, and completes it."""

    state: tuple[str, ...] = ()
    """What keeps the key from signing, in words; `active` alone where nothing on record does."""


@dataclass(frozen=True, slots=True)
class RecordStatus:
    """The whole record in short, or a page of it."""

    watermarks: ToldWatermarks
    keys: tuple[ToldRecord, ...]
    next_after: str | None
    """Ask again with this `after` for the next keys; None when these were the last."""


def find_status(moment: Transaction, public_key: PublicKey, *, epoch: Epoch | None) -> RecordStatus:
    """What is on record for one key; `epoch`: the present one, None if nobody knows it."""
    standings, record = read_standings(moment), find_key_record(moment, public_key)
    if record is None and public_key in standings.kept(epoch=epoch):
        record = _without_duties(public_key)
    told = () if record is None else (told_record(record, standings, epoch=epoch),)
    return RecordStatus(told_watermarks(read_watermarks(moment)), told, None)


def read_status(
    moment: Transaction, *, after: bytes, limit: int, visible: Callable[[PublicKey], bool], epoch: Epoch | None
) -> RecordStatus:
    """The next keys behind another one: those with a record, and those that something else keeps from signing."""
    standings = read_standings(moment)
    records = {one.public_key: one for one in read_key_records(moment, after=after, limit=limit)}
    last = max(records) if len(records) == limit else None
    for key in standings.kept(epoch=epoch):
        if key > after and (last is None or key < last):
            records.setdefault(key, _without_duties(key))
    page = sorted(records)[:limit]
    seen = tuple(told_record(records[key], standings, epoch=epoch) for key in page if visible(key))
    more = _shown(page[-1]) if len(page) == limit else None
    return RecordStatus(told_watermarks(read_watermarks(moment)), seen, more)


def told_record(record: KeyRecord, standings: Standings, *, epoch: Epoch | None) -> ToldRecord:
    """One key's record, and how it stands."""
    floor, vote, block = record.vote_floor, record.newest_vote, record.newest_block
    return ToldRecord(
        public_key=_shown(record.public_key),
        floor_source=None if floor is None else floor.source_epoch,
        floor_target=None if floor is None else floor.target_epoch,
        floor_slot=record.block_floor,
        votes=record.votes,
        newest_source=None if vote is None else vote.source_epoch,
        newest_target=None if vote is None else vote.target_epoch,
        newest_vote_root=None if vote is None or vote.signing_root is None else _shown(vote.signing_root),
        blocks=record.blocks,
        newest_slot=None if block is None else block.slot,
        newest_block_root=None if block is None or block.signing_root is None else _shown(block.signing_root),
        unfinished_import=None if record.hold is None else document_name(record.hold),
        state=standings.of(record.public_key, epoch=epoch),
    )


def told_watermarks(marks: Watermarks) -> ToldWatermarks:
    """The watermarks of all keys."""
    return ToldWatermarks(marks.low_epoch, marks.low_slot, marks.high_epoch, marks.high_slot)


def document_name(hold: Hold) -> str:
    """How the audit entries of an import name its document."""
    return hold.document.hex()[:16]


def _without_duties(public_key: PublicKey) -> KeyRecord:
    return KeyRecord(public_key, None, None, None, None, 0, 0, None)


def _shown(value: bytes) -> str:
    return "0x" + value.hex()
