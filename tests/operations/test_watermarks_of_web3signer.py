"""Watermarks on a shared database are Web3Signer's own: it follows them, and what its tables forbid is explained."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from journal.record import block, public_key, root, vote
from operations.keeping_twin import explaining, keeping
from operations.record_twin import CALLER, CHAIN, House, verdict
from operations.test_importing import importer
from slashing.test_web3signer_tables import web3signer_signs_a_vote

from interchange import Metadata, SignedAttestation, SignedBlock, ValidatorHistory, serialise
from signer.errors import BadWatermarkError, SignerError
from signer.operations.explain import Question
from signer.operations.record_orders import MoveWatermarks


@pytest.fixture
def house(pool: Iterator[str], tmp_path: Path) -> House:
    databases = iter(pool)
    return House(tmp_path, new_database=lambda: next(databases))


async def asked(house: House, statement: str, *values: Any) -> Any:
    connection = await asyncpg.connect(house.make_database())
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


def document(house: House, *histories: ValidatorHistory) -> Path:
    file = house.directory / "document.json"
    file.write_bytes(b"".join(serialise(Metadata(CHAIN), histories)))
    return file


async def test_a_low_watermark_of_all_keys_binds_a_web3signer_too(house: House) -> None:
    with house.record() as record:
        await record.writer.commit(vote(1, 2))
        await keeping(house, record).move(MoveWatermarks(low_epoch=50, low_slot=1600), CALLER)
        connection = await asyncpg.connect(house.make_database())
        assert not await web3signer_signs_a_vote(connection, 1, 49, 51, 1)
        assert await web3signer_signs_a_vote(connection, 1, 50, 51, 1)
        await connection.close()
        assert await verdict(record, 49, 60, key=77) == "BELOW_FLOOR", "a validator that nobody knew"


async def test_a_high_watermark_stops_web3signer_and_us_and_is_cleared_again(house: House) -> None:
    with house.record() as record:
        await record.writer.commit(vote(1, 2))
        done = await keeping(house, record).move(MoveWatermarks(high_epoch=50, high_slot=1600), CALLER)
        assert (done.after["high_epoch"], done.after["high_slot"]) == (50, 1600)
        assert await asked(house, "SELECT high_watermark_epoch::int FROM metadata") == 50
        assert await verdict(record, 49, 50) == "HIGH_WATERMARK"
        await keeping(house, record).move(MoveWatermarks(clear_high=True), CALLER)
        assert await verdict(record, 49, 50) == "new"


async def test_a_high_watermark_at_or_below_a_floor_is_refused(house: House) -> None:
    with house.record() as record:
        for command in (vote(30, 31), block(900)):
            await record.writer.commit(command)
        for order in (MoveWatermarks(high_epoch=31), MoveWatermarks(high_slot=900)):
            with pytest.raises(BadWatermarkError, match="floor of one of the keys"):
                await keeping(house, record).move(order, CALLER)
        await keeping(house, record).move(MoveWatermarks(high_epoch=32, high_slot=901), CALLER)


async def test_no_floor_rises_above_the_high_watermark(house: House) -> None:
    with house.record() as record:
        await record.writer.commit(vote(1, 2))
        await keeping(house, record).move(MoveWatermarks(high_epoch=50), CALLER)
        with pytest.raises(BadWatermarkError, match="clear the high watermark first"):
            await keeping(house, record).move(MoveWatermarks(public_key(1), low_epoch=51), CALLER)
        with pytest.raises(BadWatermarkError, match="nothing could be signed"):
            await keeping(house, record).move(MoveWatermarks(low_epoch=60), CALLER)
        done = await keeping(house, record).move(MoveWatermarks(low_epoch=60, clear_high=True), CALLER)
        assert done.after["low_epoch"] == 60


async def test_an_import_that_would_set_a_floor_above_the_high_watermark_is_refused_before_anything_changes(
    house: House,
) -> None:
    with house.record() as record:
        await keeping(house, record).move(MoveWatermarks(high_epoch=50, high_slot=1600), CALLER)
        for history in (
            ValidatorHistory(public_key(1), (), (SignedAttestation(49, 51, root(1)),)),
            ValidatorHistory(public_key(1), (SignedBlock(1601),)),
        ):
            with pytest.raises(BadWatermarkError, match="above the high watermark"):
                await importer(house, record).merge(document(house, history), CALLER)
        assert await asked(house, "SELECT count(*) FROM validators") == 0
        sound = ValidatorHistory(
            public_key(1), (SignedBlock(1600),), (SignedAttestation(3, 4), SignedAttestation(5, 99))
        )
        [told] = await importer(house, record).merge(document(house, sound), CALLER)
        assert (told.blocks, told.attestations) == (1, 2)


async def test_a_high_watermark_needs_a_chain_to_stand_beside(house: House) -> None:
    with (
        house.record(genesis_validators_root=None) as record,
        pytest.raises(SignerError, match="genesis_validators_root"),
    ):
        await keeping(house, record).move(MoveWatermarks(high_epoch=50), CALLER)


async def test_a_key_that_web3signer_has_disabled_is_explained_as_signing_would_answer(house: House) -> None:
    with house.record() as record:
        await record.writer.commit(vote(1, 2))
        await asked(house, "UPDATE validators SET enabled = false")
        question = Question.parse(public_key=public_key(1).hex(), source=2, target=3)
        told = await explaining(house).explain(question, CALLER)
        assert (told.verdict, told.code) == ("refused", "DISABLED_IN_DATABASE")
        assert await verdict(record, 2, 3) == told.code
