"""Lighthouse's and Nimbus' slashing protection files, made with their schemas, read and left as they are."""

import json
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from journal.record import open_record, public_key, root

from interchange import SignedAttestation, SignedBlock, ValidatorHistory, read_interchange
from interchange.serialise import arranged
from signer.errors import UnreadableFileError
from signer.operations.other_stores.document import as_document
from signer.units import Root

CHAIN = Root(b"\x4b" * 32)

RECORDS = (
    "CREATE TABLE signed_blocks (validator_id INTEGER NOT NULL, slot INTEGER NOT NULL, signing_root BLOB NOT NULL,"
    " FOREIGN KEY(validator_id) REFERENCES validators(id) UNIQUE (validator_id, slot))"
)
VOTES_TABLE = (
    "CREATE TABLE signed_attestations (validator_id INTEGER NOT NULL, source_epoch INTEGER NOT NULL,"
    " target_epoch INTEGER NOT NULL, signing_root BLOB NOT NULL, FOREIGN KEY(validator_id) REFERENCES validators(id)"
    " UNIQUE (validator_id, target_epoch))"
)
LIGHTHOUSE_TABLES = (
    "CREATE TABLE validators (id INTEGER PRIMARY KEY, public_key BLOB NOT NULL UNIQUE)",
    RECORDS,
    VOTES_TABLE.replace("validator_id INTEGER NOT NULL,", "validator_id INTEGER,", 1),
    "ALTER TABLE validators ADD COLUMN enabled BOOL NOT NULL DEFAULT TRUE",
)
"""As `slashing_database.rs` makes them, with the column that a later release adds."""

NIMBUS_TABLES = (
    "CREATE TABLE metadata(slashing_db_version INTEGER, genesis_validators_root BLOB NOT NULL)",
    "CREATE TABLE validators(id INTEGER PRIMARY KEY, public_key BLOB NOT NULL UNIQUE)",
    RECORDS,
    VOTES_TABLE,
)
"""As `slashing_protection_v2.nim` makes them."""

BLOCKS = [(1, 40, root(1)), (1, 41, bytes(32)), (2, 7, root(2))]
VOTES = [(1, 2, 30, root(3)), (1, 30, 31, bytes(32))]
EXPECTED = (
    ValidatorHistory(
        public_key(1),
        (SignedBlock(40, root(1)), SignedBlock(41)),
        (SignedAttestation(2, 30, root(3)), SignedAttestation(30, 31)),
    ),
    ValidatorHistory(public_key(2), (SignedBlock(7, root(2)),)),
    ValidatorHistory(public_key(3)),
)


def make(
    file: Path, tables: Iterable[str], keys: Iterable[Any], *, version: int | None = None, wal: bool = False
) -> Path:
    connection = sqlite3.connect(file, isolation_level=None)
    if wal:
        connection.execute("PRAGMA journal_mode=WAL")
    for table in tables:
        connection.execute(table)
    if version is not None:
        connection.execute("INSERT INTO metadata VALUES (?, ?)", (version, bytes(CHAIN)))
    connection.executemany("INSERT INTO validators (public_key) VALUES (?)", [(key,) for key in keys])
    connection.executemany("INSERT INTO signed_blocks VALUES (?, ?, ?)", BLOCKS)
    connection.executemany("INSERT INTO signed_attestations VALUES (?, ?, ?, ?)", VOTES)
    connection.close()
    return file


def lighthouse(directory: Path) -> Path:
    keys = ["0x" + public_key(number).hex() for number in (1, 2, 3)]
    return make(directory / "slashing_protection.sqlite", LIGHTHOUSE_TABLES, keys)


def nimbus(directory: Path, *, version: int = 2) -> Path:
    keys = [public_key(number) for number in (1, 2, 3)]
    return make(directory / "slashing_protection.sqlite3", NIMBUS_TABLES, keys, version=version, wal=True)


@pytest.mark.parametrize(
    ("make_store", "program", "known"), [(lighthouse, "Lighthouse", CHAIN), (nimbus, "Nimbus", None)]
)
def test_a_store_becomes_a_document_and_keeps_its_bytes(tmp_path: Path, make_store, program, known) -> None:
    store = make_store(tmp_path)
    before = store.read_bytes()
    with as_document(store, genesis_validators_root=known) as (document, of):
        assert of == program
        assert document.stat().st_mode & 0o077 == 0
        found = read_interchange([document.read_bytes()])
    assert found.metadata.genesis_validators_root == CHAIN
    assert arranged(found.validators) == EXPECTED
    assert not document.exists()
    assert store.read_bytes() == before


def test_a_document_is_itself(tmp_path: Path) -> None:
    file = tmp_path / "document.json"
    file.write_text(json.dumps({}))
    with as_document(file, genesis_validators_root=None) as (document, program):
        assert (document, program) == (file, None)


def test_a_long_history_is_read_in_pages(tmp_path: Path) -> None:
    store = lighthouse(tmp_path)
    votes = [(2, n, n + 1, root(n)) for n in range(1, 25_000)]
    with sqlite3.connect(store) as connection:
        connection.executemany("INSERT INTO signed_attestations VALUES (?, ?, ?, ?)", votes)
    connection.close()
    with as_document(store, genesis_validators_root=CHAIN) as (document, _):
        found = arranged(read_interchange([document.read_bytes()]).validators)
    assert [(v.source_epoch, v.target_epoch) for v in found[1].attestations] == [(s, t) for _, s, t, _ in votes]


def test_what_is_still_in_the_write_ahead_log_is_read_too(tmp_path: Path) -> None:
    store = nimbus(tmp_path)
    writing = sqlite3.connect(store, isolation_level=None)
    writing.execute("INSERT INTO signed_attestations VALUES (2, 99, 100, ?)", (root(9),))
    with as_document(store, genesis_validators_root=None) as (document, _):
        found = arranged(read_interchange([document.read_bytes()]).validators)
    assert found[1].attestations == (SignedAttestation(99, 100, root(9)),)
    writing.close()


def refused(source: Path, *, chain: Root | None = CHAIN) -> str:
    with pytest.raises(UnreadableFileError) as caught, as_document(source, genesis_validators_root=chain):
        pass
    return caught.value.reason


def test_a_store_that_its_program_holds_is_refused(tmp_path: Path) -> None:
    """Lighthouse keeps its lock (`locking_mode=EXCLUSIVE`) as long as it runs."""
    store = lighthouse(tmp_path)
    running = sqlite3.connect(store, isolation_level=None)
    running.execute("PRAGMA locking_mode=EXCLUSIVE")
    running.execute("BEGIN EXCLUSIVE")
    assert "stop it" in refused(store)
    running.close()


def test_whatever_is_no_store_is_refused_with_the_reason(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "nothing")
    assert "no such file" in refused(tmp_path / "nothing" / "below")
    assert "it is a directory" in refused(tmp_path)
    assert refused(Path("/dev/zero")) == "it is no regular file"
    os.mkfifo(tmp_path / "pipe")
    assert "it is a pipe" in refused(tmp_path / "pipe")
    assert "of which chain" in refused(lighthouse(tmp_path), chain=None)
    old = tmp_path / "old"
    old.mkdir()
    assert "version 2" in refused(nimbus(old, version=1))
    strange = tmp_path / "strange.sqlite"
    with sqlite3.connect(strange) as connection:
        connection.execute("CREATE TABLE something (id INTEGER)")
    connection.close()
    assert "no slashing protection" in refused(strange)
    torn = tmp_path / "torn.sqlite"
    torn.write_bytes((tmp_path / "slashing_protection.sqlite").read_bytes()[:5000])
    assert "SQLite says" in refused(torn)


@pytest.mark.parametrize(
    ("table", "row", "words"),
    [
        ("validators (public_key)", ("0x12",), "public key"),
        ("validators (public_key)", ("zz",), "public key"),
        ("signed_blocks", (1, -5, bytes(32)), "slot or an epoch"),
        ("signed_blocks", (1, "x", bytes(32)), "slot or an epoch"),
        ("signed_blocks", (1, 99, b"\x01\x02"), "signing root"),
        ("signed_attestations", (1, -1, 99, bytes(32)), "slot or an epoch"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(tmp_path: Path, table, row, words) -> None:
    store = lighthouse(tmp_path)
    with sqlite3.connect(store) as connection:
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    connection.close()
    assert words in refused(store)


async def test_our_own_database_is_never_opened_by_the_other_library(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    try:
        assert "holdfast slashing export" in refused(record.database.path)
    finally:
        record.close()
