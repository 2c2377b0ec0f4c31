"""Web3Signer's database, made with its schema, read where it is and imported like any document."""

import asyncio
from importlib import resources
from pathlib import Path

import asyncpg
import pytest
from journal.record import PlainStory, open_record, public_key, root
from journal.shared_record import open_shared
from postgres_server import PostgresServer

from interchange import SignedAttestation, SignedBlock, ValidatorHistory, parse, read_interchange
from interchange.serialise import arranged
from signer.errors import RefusalError, UnreadableFileError
from signer.journal.ledger import Transaction
from signer.journal.reader import read_sqlite
from signer.operations.other_stores.document import as_document
from signer.slashing.incoming import import_history
from signer.slashing.judging import judge_block, judge_vote
from signer.slashing.rules import Proposal, Safe, Vote
from signer.units import UINT64_MAX, Epoch, Root, Slot

CHAIN = Root(b"\x4b" * 32)
TABLES = (resources.files("signer.journal") / "shared" / "web3signer_12.sql").read_text()


async def fill(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


def sql(value: bytes | None) -> str:
    return "NULL" if value is None else f"'\\x{value.hex()}'"


@pytest.fixture
async def store(emptied_url: str) -> str:
    """Three validators: one ordinary, one whose watermark stands above rows, one with rows and no watermark."""
    keys = ", ".join(f"({sql(public_key(number))})" for number in (1, 2, 3, 4))
    await fill(
        emptied_url,
        TABLES,
        f"INSERT INTO metadata (id, genesis_validators_root) VALUES (1, {sql(CHAIN)})",
        f"INSERT INTO validators (public_key) VALUES {keys}",
        "INSERT INTO signed_blocks (validator_id, slot, signing_root) VALUES"
        f" (1, 40, {sql(root(1))}), (1, 41, NULL), (2, 7, {sql(root(2))}), (3, {UINT64_MAX}, NULL)",
        "INSERT INTO signed_attestations (validator_id, source_epoch, target_epoch, signing_root) VALUES"
        f" (1, 2, 30, {sql(root(3))}), (1, 30, 31, NULL), (2, 5, 6, {sql(root(3))}), (3, 8, 9, {sql(root(4))})",
        "INSERT INTO low_watermarks (validator_id, slot, source_epoch, target_epoch) VALUES (1, 40, 2, 30)",
        "INSERT INTO low_watermarks (validator_id, slot, source_epoch, target_epoch) VALUES (2, 100, 50, 60)",
    )
    return emptied_url


EXPECTED = (
    ValidatorHistory(
        public_key(1),
        (SignedBlock(40, root(1)), SignedBlock(41)),
        (SignedAttestation(2, 30, root(3)), SignedAttestation(30, 31)),
    ),
    ValidatorHistory(public_key(2), (SignedBlock(100),), (SignedAttestation(50, 60),)),
    ValidatorHistory(public_key(3), (SignedBlock(UINT64_MAX),), (SignedAttestation(8, 9, root(4)),)),
    ValidatorHistory(public_key(4)),
)


async def test_a_database_becomes_a_document_that_keeps_every_floor(store: str) -> None:
    with as_document(store, genesis_validators_root=None) as (document, program):
        assert program == "Web3Signer"
        assert document.stat().st_mode & 0o077 == 0
        found = read_interchange([document.read_bytes()])
    assert found.metadata.genesis_validators_root == CHAIN
    assert arranged(found.validators) == EXPECTED


async def test_what_was_imported_refuses_what_web3signer_would_have_refused(store: str, tmp_path: Path) -> None:
    with as_document(store, genesis_validators_root=None) as (document, _):
        events = list(parse([document.read_bytes()]))
    record = open_record(tmp_path)
    await record.writer.perform(lambda t: import_history(t, events), lambda _: PlainStory())
    told = [
        (2, Vote(Epoch(49), Epoch(70), root(9)), "BELOW_FLOOR"),
        (2, Vote(Epoch(50), Epoch(61), root(9)), "new"),
        (3, Vote(Epoch(7), Epoch(10), root(9)), "BELOW_FLOOR"),
        (2, Proposal(Slot(99), root(9)), "BELOW_FLOOR"),
        (1, Proposal(Slot(42), root(9)), "new"),
    ]
    with read_sqlite(record.database.path) as moment:
        for number, asked, expected in told:
            assert verdict(moment, number, asked) == expected, asked
    record.close()


def verdict(moment: Transaction, number: int, asked: Vote | Proposal) -> str:
    try:
        if isinstance(asked, Vote):
            safe = judge_vote(moment, public_key(number), asked)
        else:
            safe = judge_block(moment, public_key(number), asked)
    except RefusalError as refusal:
        return refusal.code
    return "new" if safe is Safe.NEW else "repeat"


async def test_a_long_history_is_read_in_pages(store: str) -> None:
    await fill(
        store,
        "INSERT INTO signed_attestations (validator_id, source_epoch, target_epoch)"
        " SELECT 1, n - 1, n FROM generate_series(32, 25000) AS n",
    )
    with as_document(store, genesis_validators_root=None) as (document, _):
        found = arranged(read_interchange([document.read_bytes()]).validators)
    assert [vote.target_epoch for vote in found[0].attestations] == list(range(30, 25_001))


def refused(source: str, chain: Root | None = None) -> UnreadableFileError:
    with pytest.raises(UnreadableFileError) as caught, as_document(source, genesis_validators_root=chain):
        pass
    return caught.value


async def test_a_password_on_the_command_line_is_refused_and_not_shown(store: str) -> None:
    for address in (
        store.replace("postgres@", "postgres:hush@"),
        store + "?password=hush",
    ):
        error = refused(address)
        assert "PGPASSFILE" in error.reason
        assert "hush" not in str(error) + repr(error.evidence)


def test_a_url_with_a_password_that_is_no_url_is_not_shown_either() -> None:
    for address, told in {
        "postgresql://hfu:hush/a@127.0.0.1:1/w3": "%2F",
        "postgresql://127.0.0.1:1/w3?p%61ssword=hush": "PGPASSFILE",
        "postgresql://127.0.0.1:1/w3?sslpassword=hush": "PGPASSFILE",
        "jdbc:postgresql://127.0.0.1:1/w3?user=u&password=hush": "it wants postgresql://",
        "POSTGRESQL://u:hush@127.0.0.1:1/w3": "it wants postgresql://",
    }.items():
        error = refused(address)
        assert told in error.reason, address
        assert "hush" not in str(error) + repr(error.evidence)
        assert "journal.url" not in str(error)


def test_a_url_that_the_driver_cannot_use_is_not_blamed_on_the_configuration() -> None:
    error = refused("postgresql://127.0.0.1:1/w3?sslmode=whatever")
    assert error.reason == "the database's URL cannot be used to connect"


async def test_a_password_may_stand_in_a_file(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pgpass"
    file.write_text("*:*:*:*:hush\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    with as_document(store, genesis_validators_root=None) as (_, program):
        assert program == "Web3Signer"


async def test_a_database_that_does_not_name_its_chain_asks_for_it(store: str) -> None:
    await fill(store, "DELETE FROM metadata")
    assert "of which chain" in refused(store).reason
    with as_document(store, genesis_validators_root=CHAIN) as (document, _):
        assert read_interchange([document.read_bytes()]).metadata.genesis_validators_root == CHAIN


async def test_a_web3signer_that_is_still_connected_is_found(store: str) -> None:
    running = await asyncpg.connect(store, server_settings={"application_name": "PostgreSQL JDBC Driver"})
    assert "stop Web3Signer" in (await asyncio.to_thread(refused, store)).reason
    await running.close()


async def test_other_databases_are_refused_with_the_reason(
    store: str, postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    await fill(store, "UPDATE database_version SET version = 11")
    assert "version 11" in refused(store).reason
    assert "no version" in refused(database_url).reason
    assert "does not let us in" in refused(postgres.url("nowhere")).reason
    assert "PostgreSQL says" in refused("postgresql://user@127.0.0.1:1/nothing").reason
    open_shared(database_url, tmp_path).close()
    assert "slashing export" in refused(database_url).reason
