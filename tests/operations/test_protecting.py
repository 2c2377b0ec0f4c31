"""The slashing record as an operator sees it: watermarks, and EIP-3076 documents in and out, all or nothing."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from journal.record import PlainStory, block, public_key, vote
from operations.keeping_twin import horizon
from operations.record_twin import CALLER, CHAIN, House, verdict

from signer.audit.chain import unpack
from signer.audit.entry import Kind, decode_entry
from signer.audit.verify import stored_batches
from signer.auth.principal import Action, Caller, Principal
from signer.errors import ForbiddenError, MalformedRequestError, SignerError, WrongNetworkError
from signer.journal.reader import read_sqlite
from signer.journal.sqlite import SqliteDatabase
from signer.operations.exporting import ALL, Selection
from signer.operations.importing import WriterImports
from signer.operations.protect import Changes, ImportOptions, Protection
from signer.operations.record import Record

KEY = "0x" + "00" * 47 + "01"
OTHER = "0x" + "99" * 32
NOBODY = Caller(Principal("nobody", actions=frozenset({Action.SIGN_DUTY})))


def protection(house: House, record: Record) -> Protection:
    return Protection(imports=imports(house, record), reading=house.places.view.reading)


def imports(house: House, record: Record, changes: Changes | None = None) -> WriterImports:
    return WriterImports(
        changes=changes or record.writer,
        horizon=horizon(house),
        pinned=lambda: record.pinned,
        reading=partial(read_sqlite, house.places.database),
        data_directory=house.data,
    )


def document(*votes: tuple[int, int], chain: str = "0x" + CHAIN.hex(), **members: Any) -> dict[str, Any]:
    data = {
        "pubkey": KEY,
        "signed_blocks": [],
        "signed_attestations": [{"source_epoch": str(s), "target_epoch": str(t)} for s, t in votes],
    }
    metadata = {"interchange_format_version": "5", "genesis_validators_root": chain}
    return {"metadata": metadata, "data": [data], **members}


def write(house: House, content: Any) -> Path:
    file = house.directory / "document.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


async def test_what_was_imported_is_counted_recorded_told_and_protects(house: House, record: Record) -> None:
    file = write(house, document((10, 11), (11, 12)))
    [imported] = await protection(house, record).import_interchange(file, CALLER)
    assert (imported.public_key.hex(), imported.blocks, imported.attestations) == (KEY[2:], 0, 2)
    assert await verdict(record, 10, 12) == "DOUBLE_VOTE"
    assert await verdict(record, 12, 13) == "new"
    database = SqliteDatabase(house.places.database, read_only=True)
    [first, *_] = stored_batches(database)
    database.close()
    told = decode_entry(next(iter(unpack(first.entries))))
    assert (told.kind, told.principal) == (Kind.INTERCHANGE_IMPORTED, "operator")
    assert told.note == "validators=1 blocks=0 attestations=2"


async def test_an_export_is_the_record(house: House, record: Record) -> None:
    await record.writer.commit(vote(1, 2))
    await record.writer.commit(block(70))
    found = json.loads(b"".join(protection(house, record).export_interchange(CALLER)))
    assert found["metadata"]["genesis_validators_root"] == "0x" + CHAIN.hex()
    [validator] = found["data"]
    assert validator["pubkey"] == KEY
    assert validator["signed_blocks"][0]["slot"] == "70"
    assert validator["signed_attestations"][0]["target_epoch"] == "2"


async def test_an_export_shows_one_moment(house: House, record: Record) -> None:
    await record.writer.commit(vote(1, 2))
    pieces = protection(house, record).export_interchange(CALLER)
    text = next(pieces)
    await record.writer.commit(vote(2, 3))
    found = json.loads(text + b"".join(pieces))
    assert len(found["data"][0]["signed_attestations"]) == 1


async def test_another_chains_document_is_refused(house: House, record: Record) -> None:
    with pytest.raises(WrongNetworkError):
        await protection(house, record).import_interchange(write(house, document((1, 2), chain=OTHER)), CALLER)
    assert record.log.head.size == 0


async def test_the_first_document_pins_a_chain_where_nothing_did(house: House) -> None:
    with house.record(genesis_validators_root=None) as record:
        guard = protection(house, record)
        with pytest.raises(SignerError, match="no slashing record yet"):
            next(guard.export_interchange(CALLER))
        await guard.import_interchange(write(house, document((1, 2), chain=OTHER)), CALLER)
        with pytest.raises(WrongNetworkError):
            await guard.import_interchange(write(house, document((1, 2))), CALLER)
    with house.record(genesis_validators_root=None) as record:
        assert record.pinned is not None
        assert record.pinned.hex() == OTHER[2:]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no json",
        json.dumps({"data": []}),
        json.dumps({"metadata": {"interchange_format_version": "4", "genesis_validators_root": OTHER}, "data": []}),
        json.dumps(document((1, 2), data=[{"pubkey": "0x12"}])),
        json.dumps(document((3, 4)))[:-40],
    ],
    ids=["empty", "no json", "no metadata", "old format", "bad key", "cut off"],
)
async def test_a_document_that_cannot_be_read_changes_nothing(house: House, record: Record, content: str) -> None:
    with pytest.raises(MalformedRequestError):
        await protection(house, record).import_interchange(write(house, content), CALLER)
    assert record.log.head.size == 0
    assert record.writer.alive
    assert await verdict(record, 0, 1) == "new", "no floor was set"


async def test_a_file_that_never_was_stops_nothing(house: House, record: Record) -> None:
    guard = protection(house, record)
    with pytest.raises(MalformedRequestError, match="cannot be read"):
        await guard.import_interchange(house.directory / "nothing", CALLER)
    assert record.writer.alive
    assert not house.deaths
    assert await verdict(record, 1, 2) == "new"


async def test_watermarks_are_told(house: House, record: Record) -> None:
    guard = protection(house, record)
    unset = await guard.high_watermark(CALLER)
    assert (unset.epoch, unset.slot) == (None, None)
    statement = "UPDATE watermarks SET high_epoch = ?, high_slot = ?"
    await record.writer.perform(lambda t: t.run(statement, (50 - 2**63, 1600 - 2**63)), lambda _: PlainStory())
    told = await guard.high_watermark(CALLER)
    assert (told.epoch, told.slot) == (50, 1600)


async def test_who_is_granted_single_keys_sees_no_others_record(house: House, record: Record) -> None:
    guard = protection(house, record)
    await record.writer.commit(vote(1, 2, key=1))
    await record.writer.commit(vote(1, 2, key=2))
    granted, other, unused = public_key(1), public_key(2), public_key(3)
    limited = Caller(Principal("one", actions=frozenset(Action), keys=frozenset({granted, unused})))

    def keys_of(selection: Selection) -> list[str]:
        return [each["pubkey"] for each in json.loads(b"".join(guard.export_interchange(limited, selection)))["data"]]

    assert keys_of(ALL) == ["0x" + granted.hex()]
    assert keys_of(Selection((granted,))) == ["0x" + granted.hex()]
    for hidden in (other, unused):  # one that is hidden answers as one that is not there
        with pytest.raises(MalformedRequestError, match="there is no record of"):
            keys_of(Selection((granted, hidden)))
    assert list((await guard.receipt(limited)).validators) == ["0x" + granted.hex()]
    assert len((await guard.receipt(CALLER)).validators) == 2
    for dry_run in (True, False):
        with pytest.raises(ForbiddenError, match="granted single keys"):
            await guard.import_interchange(write(house, document((5, 6))), limited, ImportOptions(dry_run=dry_run))
    assert await verdict(record, 5, 6) == "new", "nothing was imported"
    everybody = Caller(Principal("all", actions=frozenset(Action)))
    assert len(json.loads(b"".join(guard.export_interchange(everybody)))["data"]) == 2


async def test_who_may_not_is_refused(house: House, record: Record) -> None:
    guard = protection(house, record)
    with pytest.raises(ForbiddenError):
        await guard.high_watermark(NOBODY)
    with pytest.raises(ForbiddenError):
        await guard.import_interchange(write(house, document((1, 2))), NOBODY)
    with pytest.raises(ForbiddenError):
        guard.export_interchange(NOBODY)
