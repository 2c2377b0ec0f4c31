"""Rows of a Web3Signer database whose validator has no watermark row: none is left out, or counted as nothing."""

from pathlib import Path

import asyncpg
import pytest
from journal.record import public_key
from journal.shared_record import open_shared

from interchange import SignedAttestation, SignedBlock
from signer.slashing.exchange import export_history
from signer.slashing.history import has_history

VOTES = [(3, 5), (4, 9)]
SLOTS = [70, 80]


@pytest.mark.parametrize("votes", [[], VOTES])
@pytest.mark.parametrize("slots", [[], SLOTS])
async def test_all_of_them_are_exported(
    database_url: str, tmp_path: Path, votes: list[tuple[int, int]], slots: list[int]
) -> None:
    record = open_shared(database_url, tmp_path)
    connection = await asyncpg.connect(database_url)
    number = await connection.fetchval(
        "INSERT INTO validators (public_key) VALUES ($1) RETURNING id", bytes(public_key(1))
    )
    for source, target in votes:
        await connection.execute("INSERT INTO signed_attestations VALUES ($1, $2, $3, NULL)", number, source, target)
    for slot in slots:
        await connection.execute("INSERT INTO signed_blocks VALUES ($1, $2, NULL)", number, slot)
    await connection.close()
    with record.view.reading() as moment:
        exported = list(export_history(moment))
        assert has_history(moment, public_key(1)) == bool(votes or slots)
    record.close()
    assert {each.pubkey for each in exported} == ({public_key(1)} if votes or slots else set())
    assert [vote for each in exported for vote in each.attestations] == [SignedAttestation(*v) for v in votes]
    assert [block for each in exported for block in each.blocks] == [SignedBlock(slot) for slot in slots]
