"""Exports of a part of the record: by key, and what has come since a receipt."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from journal.record import PlainStory, block, public_key, root, vote
from operations.record_twin import CALLER, CHAIN, House
from operations.test_importing import importer

from interchange import Metadata, SignedAttestation, SignedBlock, ValidatorHistory, serialise
from signer.auth.principal import Action, Caller, Principal
from signer.errors import MalformedRequestError, RefusalError
from signer.operations.exporting import ALL, Receipt, Selection, export_document, parse_selection, write_receipt
from signer.operations.kept_record import KeptRecord as Record
from signer.operations.protect import ImportOptions, Protection
from signer.slashing.watermarks import raise_low_watermark
from signer.units import Epoch, Slot

ON_BOTH_DATABASES = True
"""See conftest.py."""


def reading(house: House):
    return house.reading


def exported(house: House, selection: Selection = ALL) -> dict[str, tuple[list[str], list[str]]]:
    """The slots and targets in an export, by the last two digits of the key."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for each in json.loads(b"".join(export_document(reading(house), selection)))["data"]:
        slots, targets = found.setdefault(each["pubkey"][-2:], ([], []))
        slots += [one["slot"] for one in each["signed_blocks"]]
        targets += [one["target_epoch"] for one in each["signed_attestations"]]
    return found


def receipt(house: House) -> Receipt:
    return msgspec.json.decode(msgspec.json.encode(write_receipt(reading(house))), type=Receipt)


def since(told: Receipt) -> Selection:
    return parse_selection(None, told)


async def sign(record: Record, *commands: Any) -> None:
    for command in commands:
        await record.writer.commit(command)


async def take_in(house: House, record: Record, *histories: ValidatorHistory) -> None:
    file = house.directory / "document.json"
    file.write_bytes(b"".join(serialise(Metadata(CHAIN), histories)))
    await importer(house, record).merge(file, CALLER, ImportOptions(far_ahead=True))


async def test_some_validators_alone(house: House, record: Record) -> None:
    await sign(record, vote(1, 2, key=1), vote(3, 4, key=2), block(9, key=3))
    assert set(exported(house)) == {"01", "02", "03"}
    chosen = parse_selection(["0x" + public_key(2).hex(), public_key(3).hex().upper()], None)
    assert exported(house, chosen) == {"02": ([], ["4"]), "03": (["9"], [])}


async def test_a_key_without_a_record_is_an_error_and_no_empty_document(house: House, record: Record) -> None:
    await sign(record, vote(1, 2, key=1))
    with pytest.raises(MalformedRequestError, match="no record of 0x"):
        exported(house, parse_selection(["0x" + public_key(5).hex()], None))
    with pytest.raises(MalformedRequestError, match="no public key"):
        parse_selection(["0x12"], None)


async def test_since_a_receipt_only_what_is_new(house: House, record: Record) -> None:
    await sign(record, vote(1, 2, key=1), block(7, key=1), vote(1, 2, key=2))
    told = receipt(house)
    assert exported(house, since(told)) == {}
    await sign(record, vote(2, 3, key=1), vote(3, 4, key=1), block(8, key=1), vote(5, 6, key=4))
    assert exported(house, since(told)) == {"01": (["8"], ["3", "4"]), "04": ([], ["6"])}
    assert exported(house, since(receipt(house))) == {}


async def test_whoever_imports_both_documents_has_the_whole_record(
    tmp_path: Path, house: House, record: Record
) -> None:
    await sign(record, vote(1, 2), block(7))
    first, told = b"".join(export_document(reading(house), ALL)), receipt(house)
    await sign(record, vote(2, 3), vote(3, 5), block(9))
    second = b"".join(export_document(reading(house), since(told)))
    other = house.beside(tmp_path / "other")
    with other.record() as theirs:
        for number, content in enumerate((first, second)):
            file = other.directory / f"{number}.json"
            file.write_bytes(content)
            await importer(other, theirs).merge(file, CALLER)
        with other.reading() as moment:
            assert len(list(moment.rows("SELECT * FROM signed_attestations"))) == 3
            assert len(list(moment.rows("SELECT * FROM signed_blocks"))) == 2


async def test_older_records_that_an_import_brought_are_told_again(house: House, record: Record) -> None:
    await sign(record, vote(1, 2), vote(10, 20), block(5), block(50))
    told = receipt(house)
    # In the middle, below what the receipt knows; the floor stays where it is.
    await take_in(
        house, record, ValidatorHistory(public_key(1), (), (SignedAttestation(1, 2, root(1)), SignedAttestation(4, 6)))
    )
    assert exported(house, since(told)) == {"01": ([], ["2", "6", "20"])}


async def test_a_source_that_an_import_lowered_is_told_again(house: House, record: Record) -> None:
    await take_in(
        house, record, ValidatorHistory(public_key(1), (), (SignedAttestation(0, 1), SignedAttestation(8, 9)))
    )
    told = receipt(house)
    await take_in(
        house, record, ValidatorHistory(public_key(1), (), (SignedAttestation(0, 1), SignedAttestation(7, 9)))
    )
    assert exported(house, since(told))["01"][1], "its floor's source has risen, and the vote is another one"


async def test_a_raised_watermark_makes_every_validator_told_again(house: House, record: Record) -> None:
    await sign(record, vote(1, 2, key=1), vote(60, 61, key=2))
    told = receipt(house)
    await record.writer.perform(
        lambda t: raise_low_watermark(t, epoch=Epoch(50), slot=Slot(1600)), lambda _: PlainStory()
    )
    assert exported(house, since(told)) == exported(house)
    assert set(exported(house)) == {"01", "02"}


async def test_a_receipt_of_another_database_is_refused(tmp_path: Path, house: House, record: Record) -> None:
    other = house.beside(tmp_path / "other")
    with other.record() as theirs:
        await sign(theirs, vote(1, 2))
        told = receipt(other)
    with pytest.raises(MalformedRequestError, match="another database"):
        exported(house, since(told))
    with pytest.raises(MalformedRequestError, match="not known"):
        since(msgspec.structs.replace(told, format="something"))


async def test_a_block_of_the_highest_slot_does_not_end_the_range(house: House, record: Record) -> None:
    await take_in(house, record, ValidatorHistory(public_key(1), (SignedBlock(2**64 - 1),)))
    assert exported(house, since(receipt(house))) == {}


# --- bound by the watermark of all keys alone -------------------------------------------------------


async def low_watermark(record: Record) -> None:
    await record.writer.perform(
        lambda t: raise_low_watermark(t, epoch=Epoch(50), slot=Slot(1600)), lambda _: PlainStory()
    )


async def test_a_named_key_without_a_record_has_the_floor_of_all_keys(house: House, record: Record) -> None:
    await sign(record, vote(1, 2, key=1))
    await low_watermark(record)
    named = parse_selection(["0x" + public_key(5).hex()], None)
    [element] = json.loads(b"".join(export_document(reading(house), named)))["data"]
    assert element == {
        "pubkey": "0x" + public_key(5).hex(),
        "signed_blocks": [{"slot": "1600"}],
        "signed_attestations": [{"source_epoch": "50", "target_epoch": "50"}],
    }
    assert set(exported(house, parse_selection([public_key(n).hex() for n in (1, 5)], None))) == {"01", "05"}
    assert set(exported(house, parse_selection(named_only(5), receipt(house)))) == {"05"}, "an increment too"


def named_only(key: int) -> list[str]:
    return [public_key(key).hex()]


async def test_an_export_of_everything_has_the_floor_of_each_loaded_key(house: House, record: Record) -> None:
    await sign(record, vote(60, 61, key=2))
    loaded = (public_key(1), public_key(2), public_key(5))
    protection = Protection(imports=importer(house, record), reading=house.reading, loaded=lambda: loaded)

    def keys(caller: Caller = CALLER, selection: Selection = ALL) -> list[str]:
        found = json.loads(b"".join(protection.export_interchange(caller, selection)))["data"]
        return [each["pubkey"][-2:] for each in found]

    assert keys() == ["02"], "nothing binds the others yet"
    await low_watermark(record)
    assert sorted(set(keys())) == ["01", "02", "05"]
    assert {"01", "05"} <= set(keys(selection=since(receipt(house)))), "no receipt tells of a key without a record"
    limited = Principal("one", actions=frozenset({Action.SLASHING_READ}), keys=frozenset({public_key(5)}))
    assert keys(Caller(limited)) == ["05"]


async def test_whoever_imports_the_export_of_such_a_key_refuses_what_was_refused_here(
    tmp_path: Path, house: House, record: Record
) -> None:
    await sign(record, vote(1, 2, key=1))
    await low_watermark(record)
    document = b"".join(export_document(reading(house), parse_selection(named_only(5), None)))
    other = house.beside(tmp_path / "other")
    with other.record() as theirs:
        file = other.directory / "moved.json"
        file.write_bytes(document)
        await importer(other, theirs).merge(file, CALLER)
        for refused in (vote(49, 50, key=5), block(1600, key=5)):
            with pytest.raises(RefusalError):
                await sign(theirs, refused)
        await sign(theirs, vote(50, 51, key=5), block(1601, key=5))
