"""On a shared database every statement finds its rows by an index: none reads a whole table of Web3Signer's."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from journal.record import public_key
from journal.shared_record import open_shared

from signer.journal.postgres_session import Session, literal, numbered
from signer.journal.statement import Statement
from signer.keys import quarantine
from signer.slashing import exchange, history, locking, receipt, status, web3signer_tables
from signer.slashing import incoming_statements as incoming
from signer.slashing import ledger_statements as ledger
from signer.slashing import pruning_statements as pruning

ZERO = -(2**63)
"""Slot or epoch 0, as it is stored."""

KEY = public_key(1)
KEYS = json.dumps([public_key(number).hex() for number in range(1, 200)])
CUTS = json.dumps([[number, ZERO + 10] for number in range(1, 100)])
MARKS = json.dumps([[public_key(number).hex(), *[ZERO + 5] * 6] for number in range(1, 200)])
VOTES = json.dumps({public_key(number).hex(): [[ZERO + 9, ZERO + 8, None]] for number in range(1, 100)})
BLOCKS = json.dumps({public_key(number).hex(): [[ZERO + 9, None]] for number in range(1, 100)})

STATEMENTS: list[tuple[Statement, tuple[Any, ...]]] = [
    (incoming.FIRST_VOTE_FLOORS, (MARKS,)),
    (incoming.FIRST_BLOCK_FLOORS, (MARKS,)),
    (incoming.HOLD, (MARKS, bytes(32))),
    (incoming.COMPARE_VOTES, (VOTES,)),
    (incoming.COMPARE_BLOCKS, (BLOCKS,)),
    (incoming.TAKE_VOTES, (VOTES,)),
    (incoming.TAKE_BLOCKS, (BLOCKS,)),
    (incoming.RAISE_SOURCES, (MARKS,)),
    (incoming.FLOORS, (KEYS,)),
    (pruning.ENDS, (0, None, 500)),
    (pruning.OLD_VOTES, (CUTS, 256)),
    (pruning.OLD_BLOCKS, (CUTS, 256)),
    (pruning.RAISE_VOTE_FLOORS, (CUTS,)),
    (pruning.RAISE_BLOCK_FLOORS, (CUTS,)),
    (pruning.DELETE_VOTES, (CUTS,)),
    (pruning.DELETE_BLOCKS, (CUTS,)),
    (exchange._VALIDATORS, (b"",)),
    (exchange._BELOW_FLOOR, (1, ZERO, ZERO)),
    (exchange._VOTES, (1, ZERO, ZERO, 10_000)),
    (exchange._BLOCKS, (1, ZERO, 10_000)),
    (receipt._FACTS, (b"",)),
    (receipt._FACTS_BELOW, (1, ZERO, ZERO)),
    (status._PAGE, (b"", 500)),
    (status._ONE, (KEY,)),
    (status._GREATEST_SOURCE, (KEY,)),
    (history._HAS_HISTORY, (KEY,)),
    (quarantine._NEW, (KEYS, ZERO)),
    (locking._LOCK_KEYS, (KEYS,)),
    (ledger.LOAD_VOTES, (json.dumps([[KEY.hex(), ZERO + 2, ZERO + 3]]),)),
    (ledger.LOAD_PROPOSALS, (json.dumps([[KEY.hex(), ZERO + 2]]),)),
    (Statement("", web3signer_tables._LOAD_VOTES), ("{1,2}", "{2,2}", "{3,3}")),
    (Statement("", web3signer_tables._LOAD_PROPOSALS), ("{1,2}", "{2,2}")),
]

RECORDS = ("signed_attestations", "signed_blocks")
"""No statement knows a record by its number: whoever goes by that index reads all of it."""

TABLES = ("validators", *RECORDS, "low_watermarks")


@pytest.fixture
async def connection(emptied_url: str, tmp_path: Path) -> AsyncIterator[asyncpg.Connection]:
    record = open_shared(emptied_url, tmp_path)
    settings = Session(emptied_url, settings={"search_path": record.place.search_path(record.instance)})._settings
    connection = await asyncpg.connect(emptied_url, server_settings=settings)
    await connection.execute(
        "INSERT INTO validators (public_key)"
        " SELECT decode(lpad(to_hex(n), 96, '0'), 'hex') FROM generate_series(1, 500) n;"
        "INSERT INTO signed_attestations (validator_id, source_epoch, target_epoch)"
        " SELECT id, n - 1, n FROM validators, generate_series(1, 20) n;"
        "INSERT INTO signed_blocks (validator_id, slot) SELECT id, n FROM validators, generate_series(1, 5) n;"
        "INSERT INTO low_watermarks (validator_id, source_epoch, target_epoch) SELECT id, 0, 1 FROM validators"
    )
    yield connection
    await connection.close()
    record.close()


@pytest.mark.parametrize("analysed", [False, True], ids=["never analysed", "analysed"])
async def test_no_statement_reads_a_whole_table(connection: asyncpg.Connection, *, analysed: bool) -> None:
    if analysed:
        await connection.execute("ANALYZE")
    for statement, values in STATEMENTS:
        plan = [row[0] for row in await connection.fetch("EXPLAIN " + numbered(statement.shared), *values)]
        check(plan, statement)


@pytest.mark.parametrize("analysed", [False, True], ids=["never analysed", "analysed"])
async def test_nor_does_a_plan_that_the_writer_keeps_for_every_value(
    connection: asyncpg.Connection, *, analysed: bool
) -> None:
    if analysed:
        await connection.execute("ANALYZE")
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    for number, (statement, values) in enumerate(STATEMENTS):
        await connection.execute(f"PREPARE kept_{number} AS {numbered(statement.shared)}")
        given = ", ".join(literal(value) for value in values)
        plan = await connection.fetch(f"EXPLAIN EXECUTE kept_{number} ({given})")
        check([row[0] for row in plan], statement)


def check(plan: list[str], statement: Statement) -> None:
    for line in plan:
        assert not any(f"Seq Scan on {table}" in line for table in TABLES), (statement.shared, plan)
        assert not any(f"using {table}_pkey on {table}" in line for table in RECORDS), (statement.shared, plan)
        assert "Hash Join" not in line, (statement.shared, plan)
        assert "Merge Join" not in line, (statement.shared, plan)
