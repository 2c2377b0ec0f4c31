"""What a PostgreSQL database must be before it is trusted; an existing one of Web3Signer's is adopted in place."""

import asyncio
import secrets
from importlib import resources
from pathlib import Path

import pytest
from journal.record import block, vote
from journal.shared_record import open_shared
from postgres_server import PostgresServer, started_server

from signer.errors import ForeignDatabaseError, StartupError
from signer.journal.postgres_session import Session, filled, literal, numbered
from signer.journal.postgres_setup import check_advisory_locks
from signer.operations.examine.finding import Grade
from signer.operations.examine.shared_record import examine_shared_record
from signer.operations.shared_record import SharedPlaces
from signer.units import Root


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


def make_web3signer_database(postgres: PostgresServer, name: str) -> None:
    """Web3Signer's tables as its migrations leave them, without anything of ours."""
    postgres.run_file(Path(str(resources.files("signer.journal") / "shared" / "web3signer_12.sql")), name)


@pytest.fixture(scope="module")
def other_server():
    server = started_server()
    yield server
    server.remove()


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("synchronous_commit", "off", "synchronous_commit=off"),
        ("default_transaction_read_only", "on", "read-only"),
        ("session_replication_role", "replica", "session_replication_role=replica"),
    ],
)
def test_a_database_that_would_lose_or_refuse_records_is_refused(
    postgres: PostgresServer, database_url: str, tmp_path: Path, setting: str, value: str, told: str
) -> None:
    postgres.psql(f'ALTER DATABASE "{name_of(database_url)}" SET {setting} = {value}')
    with pytest.raises(StartupError, match=told):
        open_shared(database_url, tmp_path)
    assert not (tmp_path / "head").exists()


@pytest.mark.parametrize("table", ["signed_attestations", "holdfast.instances"])
def test_tables_that_a_crash_would_empty_are_refused(
    postgres: PostgresServer, database_url: str, tmp_path: Path, table: str
) -> None:
    open_shared(database_url, tmp_path).close()
    postgres.psql(f"ALTER TABLE {table} SET UNLOGGED", name_of(database_url))
    with pytest.raises(StartupError, match=f"{table} is UNLOGGED"):
        open_shared(database_url, tmp_path)
    postgres.psql(f"ALTER TABLE {table} SET LOGGED", name_of(database_url))
    open_shared(database_url, tmp_path).close()


NOTHING_DONE = "CREATE FUNCTION nothing() RETURNS trigger AS 'BEGIN RETURN NULL; END' LANGUAGE plpgsql;"


@pytest.mark.parametrize(
    ("meddling", "told", "undone"),
    [
        (
            "CREATE RULE r AS ON INSERT TO signed_attestations DO INSTEAD NOTHING",
            "the rule r on the table signed_attestations",
            "DROP RULE r ON signed_attestations",
        ),
        (
            f"{NOTHING_DONE} CREATE TRIGGER t BEFORE INSERT ON signed_blocks FOR EACH ROW EXECUTE FUNCTION nothing()",
            "the trigger t on the table signed_blocks",
            "DROP TRIGGER t ON signed_blocks",
        ),
        (
            (
                f"{NOTHING_DONE} CREATE TRIGGER check_before_insert_or_update_low_watermarks BEFORE INSERT"
                " ON signed_attestations FOR EACH ROW EXECUTE FUNCTION nothing()"
            ),
            "the trigger check_before_insert_or_update_low_watermarks on the table signed_attestations",
            "DROP TRIGGER check_before_insert_or_update_low_watermarks ON signed_attestations",
        ),
        (
            (
                f"{NOTHING_DONE} CREATE TRIGGER t BEFORE INSERT ON holdfast.key_states"
                " FOR EACH ROW EXECUTE FUNCTION nothing()"
            ),
            "the trigger t on the table holdfast.key_states",
            "DROP TRIGGER t ON holdfast.key_states",
        ),
    ],
    ids=["rule", "trigger", "trigger under a name of Web3Signer's", "trigger on a table of ours"],
)
def test_what_can_drop_a_vote_on_its_way_is_refused_with_its_name(
    postgres: PostgresServer, database_url: str, tmp_path: Path, meddling: str, told: str, undone: str
) -> None:
    open_shared(database_url, tmp_path).close()
    postgres.psql(meddling, name_of(database_url))
    with pytest.raises(StartupError, match=told) as caught:
        open_shared(database_url, tmp_path)
    assert undone in caught.value.remedy
    places = SharedPlaces(database_url, tmp_path, tmp_path / "head")
    findings = list(examine_shared_record(places, shown="the database", may_begin=False, running=False))
    assert [finding.grade for finding in findings] == [Grade.FAULT]
    assert told in findings[0].sentence
    postgres.psql(undone, name_of(database_url))
    open_shared(database_url, tmp_path).close()


def test_row_security_that_hides_votes_from_us_is_refused(
    postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    name, user = name_of(database_url), f"u{secrets.token_hex(8)}"
    open_shared(database_url, tmp_path).close()
    postgres.psql(f"CREATE USER {user}; GRANT ALL ON SCHEMA holdfast TO {user}", name)
    postgres.psql("ALTER TABLE signed_attestations ENABLE ROW LEVEL SECURITY", name)
    with pytest.raises(StartupError, match="row security on the table signed_attestations"):
        open_shared(database_url.replace("//postgres@", f"//{user}@"), tmp_path)
    open_shared(database_url, tmp_path).close()  # it does not hold for a superuser


@pytest.mark.parametrize(
    ("change", "table", "column"),
    [
        ("ALTER TABLE signed_blocks RENAME signing_root TO root", "signed_blocks", "signing_root"),
        ("ALTER TABLE signed_attestations DROP source_epoch", "signed_attestations", "source_epoch"),
        ("ALTER TABLE validators ALTER enabled DROP DEFAULT, ALTER enabled TYPE text", "validators", "enabled"),
        ("ALTER TABLE metadata ADD mandatory integer NOT NULL", "metadata", "mandatory"),
    ],
    ids=["renamed", "missing", "another type", "one more that must be filled in"],
)
def test_columns_that_are_not_those_of_version_12_are_named(
    postgres: PostgresServer, database_url: str, tmp_path: Path, change: str, table: str, column: str
) -> None:
    make_web3signer_database(postgres, name_of(database_url))
    postgres.psql(change, name_of(database_url))
    with pytest.raises(ForeignDatabaseError, match=f"table {table} .* column {column} ") as caught:
        open_shared(database_url, tmp_path)
    assert caught.value.evidence == {"table": table, "column": column}
    assert postgres.psql("SELECT to_regnamespace('holdfast') IS NULL", name_of(database_url)) == "t"


EMPTIED = "CREATE OR REPLACE FUNCTION {} RETURNS trigger AS 'BEGIN RETURN NEW; END' LANGUAGE plpgsql"
OTHER_IDS = (
    "DROP FUNCTION upsert_validators;"
    " CREATE FUNCTION upsert_validators(_vals bytea[]) RETURNS TABLE (v_id integer, v_public_key bytea) AS"
    " 'SELECT 1, v FROM unnest(_vals) v' LANGUAGE sql"
)


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        ("ALTER TABLE validators DROP CONSTRAINT validators_public_key_key", ("validators", "public_key")),
        ("ALTER TABLE signed_blocks DROP CONSTRAINT unique_signed_block", ("signed_blocks", "slot,validator_id")),
        (
            (
                "ALTER TABLE signed_attestations DROP CONSTRAINT unique_signed_attestation;"
                " CREATE UNIQUE INDEX u ON signed_attestations (validator_id, target_epoch) WHERE target_epoch > 9"
            ),
            ("signed_attestations", "target_epoch,validator_id"),
        ),
        (
            (
                "ALTER TABLE low_watermarks DROP CONSTRAINT low_watermarks_validator_id_key;"
                " ALTER TABLE low_watermarks ADD UNIQUE (validator_id) DEFERRABLE INITIALLY DEFERRED"
            ),
            ("low_watermarks", "validator_id"),
        ),
        ("ALTER TABLE metadata DROP CONSTRAINT metadata_pkey", ("metadata", "id")),
    ],
    ids=["keys", "blocks", "votes, but for some", "low watermarks, but later", "metadata"],
)
def test_a_column_that_takes_a_value_twice_is_named(
    postgres: PostgresServer, database_url: str, tmp_path: Path, change: str, evidence: tuple[str, str]
) -> None:
    make_web3signer_database(postgres, name_of(database_url))
    postgres.psql(change, name_of(database_url))
    with pytest.raises(ForeignDatabaseError, match=f"no UNIQUE constraint on {evidence[0]} ") as caught:
        open_shared(database_url, tmp_path)
    assert caught.value.evidence == {"table": evidence[0], "columns": evidence[1]}
    assert postgres.psql("SELECT to_regnamespace('holdfast') IS NULL", name_of(database_url)) == "t"


def test_another_index_that_keeps_values_apart_will_do(
    postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    make_web3signer_database(postgres, name_of(database_url))
    postgres.psql(
        "ALTER TABLE signed_blocks DROP CONSTRAINT unique_signed_block;"
        " CREATE UNIQUE INDEX u ON signed_blocks (slot, validator_id) INCLUDE (signing_root)",
        name_of(database_url),
    )
    open_shared(database_url, tmp_path).close()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (EMPTIED.format("check_low_watermarks()"), "function check_low_watermarks"),
        (EMPTIED.format("check_high_watermarks()"), "function check_high_watermarks"),
        ("DROP FUNCTION upsert_validators", "function upsert_validators"),
        (OTHER_IDS, "function upsert_validators"),
        (
            "ALTER TABLE low_watermarks DISABLE TRIGGER check_before_insert_or_update_low_watermarks",
            "trigger check_before_insert_or_update_low_watermarks",
        ),
        (
            "DROP TRIGGER check_before_insert_or_update_high_watermarks ON metadata",
            "trigger check_before_insert_or_update_high_watermarks",
        ),
        (
            (
                "CREATE OR REPLACE TRIGGER check_before_insert_or_update_low_watermarks BEFORE INSERT ON low_watermarks"
                " FOR EACH ROW EXECUTE FUNCTION check_low_watermarks()"
            ),
            "trigger check_before_insert_or_update_low_watermarks",
        ),
        (
            (
                "CREATE OR REPLACE TRIGGER check_before_insert_or_update_low_watermarks BEFORE INSERT OR UPDATE"
                " ON low_watermarks FOR EACH ROW WHEN (NEW.slot < 0) EXECUTE FUNCTION check_low_watermarks()"
            ),
            "trigger check_before_insert_or_update_low_watermarks",
        ),
    ],
    ids=["low emptied", "high emptied", "ids gone", "ids made up", "off", "dropped", "inserts alone", "on a condition"],
)
def test_a_guard_of_web3signers_that_guards_nothing_is_named(
    postgres: PostgresServer, database_url: str, tmp_path: Path, change: str, told: str
) -> None:
    make_web3signer_database(postgres, name_of(database_url))
    postgres.psql(change, name_of(database_url))
    with pytest.raises(ForeignDatabaseError, match=f"the {told} ") as caught:
        open_shared(database_url, tmp_path)
    assert "migration" in caught.value.remedy
    places = SharedPlaces(database_url, tmp_path, tmp_path / "head")
    findings = examine_shared_record(places, shown="the database", may_begin=False, running=False)
    [fault] = [finding for finding in findings if finding.grade is Grade.FAULT]
    assert told in fault.sentence


def test_a_guard_that_is_emptied_while_the_record_is_in_use_stops_the_next_start(
    postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    open_shared(database_url, tmp_path).close()
    postgres.psql(EMPTIED.format("check_low_watermarks()"), name_of(database_url))
    with pytest.raises(ForeignDatabaseError, match="function check_low_watermarks"):
        open_shared(database_url, tmp_path)


def test_line_breaks_and_capitals_of_a_guard_do_not_count(
    postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    name = name_of(database_url)
    make_web3signer_database(postgres, name)
    text = postgres.psql("SELECT prosrc FROM pg_proc WHERE proname = 'check_low_watermarks'", name)
    spread = text.replace("\n", "\r\n\t ").replace("BEGIN", "begin")
    assert spread != text
    postgres.psql(
        f"CREATE OR REPLACE FUNCTION check_low_watermarks() RETURNS trigger AS $f${spread}$f$ LANGUAGE plpgsql", name
    )
    open_shared(database_url, tmp_path).close()


def test_commits_that_skip_the_replicas_are_refused(other_server: PostgresServer, tmp_path: Path) -> None:
    other_server.psql("ALTER SYSTEM SET synchronous_commit = local")
    other_server.psql("ALTER SYSTEM SET synchronous_standby_names = 'replica'")
    other_server.psql("SELECT pg_reload_conf()")
    other_server.wait_for_setting("synchronous_standby_names", "replica")
    try:
        with pytest.raises(StartupError, match="synchronous_commit=local"):
            open_shared(other_server.url(), tmp_path)
    finally:
        other_server.psql("ALTER SYSTEM RESET ALL")
        other_server.psql("SELECT pg_reload_conf()")
        other_server.wait_for_setting("synchronous_standby_names", "")


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_a_crash_could_damage_is_refused(
    other_server: PostgresServer, tmp_path: Path, setting: str
) -> None:
    other_server.psql(f"ALTER SYSTEM SET {setting} = off")
    other_server.stop()
    other_server.start()
    try:
        with pytest.raises(StartupError, match=f"{setting}=off") as caught:
            open_shared(other_server.url(), tmp_path)
        assert caught.value.remedy
    finally:
        other_server.psql(f"ALTER SYSTEM RESET {setting}")
        other_server.stop()
        other_server.start()


def test_a_standby_is_refused(other_server: PostgresServer, tmp_path: Path) -> None:
    other_server.stop()
    (other_server.data / "standby.signal").touch()
    other_server.start()
    try:
        with pytest.raises(StartupError, match="standby"):
            open_shared(other_server.url(), tmp_path)
    finally:
        other_server.stop()
        (other_server.data / "standby.signal").unlink()
        other_server.start()


def test_a_server_that_nobody_runs_is_told_and_no_password_is_shown(tmp_path: Path) -> None:
    with pytest.raises(StartupError) as caught:
        open_shared("postgresql://me:hunter2@127.0.0.1:1/database", tmp_path)
    assert "does not answer" in caught.value.sentence
    assert "hunter2" not in str(caught.value) + caught.value.remedy


def test_an_address_that_is_none_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(StartupError) as caught:
        open_shared("mysql://me:hunter2@localhost/database", tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(SharedPlaces("postgresql://me:hunter2@localhost/", tmp_path, tmp_path / "head"))


def test_a_database_that_is_not_there_is_told(postgres: PostgresServer, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="does not let us in"):
        open_shared(postgres.url("nothing_of_this_name"), tmp_path)


def test_an_empty_database_is_only_set_up_where_that_is_allowed(
    postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(StartupError, match="no slashing record"):
        open_shared(database_url, tmp_path, may_create=False)
    assert postgres.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name_of(database_url)) == "0"
    open_shared(database_url, tmp_path).close()
    open_shared(database_url, tmp_path, may_create=False).close()


@pytest.mark.parametrize("version", [11, 13])
def test_another_version_of_web3signers_schema_is_refused_and_left_alone(
    postgres: PostgresServer, database_url: str, tmp_path: Path, version: int
) -> None:
    make_web3signer_database(postgres, name_of(database_url))
    postgres.psql(f"UPDATE database_version SET version = {version}", name_of(database_url))
    with pytest.raises(ForeignDatabaseError, match=f"version {version}"):
        open_shared(database_url, tmp_path)
    assert postgres.psql("SELECT to_regnamespace('holdfast') IS NULL", name_of(database_url)) == "t"


def test_tables_of_web3signer_without_a_version_are_refused(
    postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    postgres.psql("CREATE TABLE validators (id serial)", name_of(database_url))
    with pytest.raises(ForeignDatabaseError, match="no database_version"):
        open_shared(database_url, tmp_path)


def test_a_newer_schema_of_ours_is_refused(postgres: PostgresServer, database_url: str, tmp_path: Path) -> None:
    open_shared(database_url, tmp_path).close()
    postgres.psql("INSERT INTO holdfast.migrations VALUES (9999)", name_of(database_url))
    with pytest.raises(ForeignDatabaseError, match="9999"):
        open_shared(database_url, tmp_path)


def test_a_database_of_another_network_is_refused(database_url: str, tmp_path: Path) -> None:
    open_shared(database_url, tmp_path / "1").close()
    with pytest.raises(ForeignDatabaseError, match="another network"):
        open_shared(database_url, tmp_path / "2", genesis_validators_root=Root(b"x" * 32))


def test_locks_that_do_nothing_are_noticed(database_url: str) -> None:
    """Two connections to two databases stand for a server whose locks do nothing: each gets what the other has."""
    first, second = Session(database_url), Session(database_url.rpartition("/")[0] + "/postgres")
    third = Session(database_url)
    for session in (first, second, third):
        session.open(seconds=10)
    with pytest.raises(StartupError, match="advisory locks do nothing"):
        check_advisory_locks(first, second)
    check_advisory_locks(first, third)
    for session in (first, second, third):
        session.close()


async def test_a_database_of_web3signers_is_adopted_with_its_data_and_stays_as_it_is(
    postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    name = name_of(database_url)
    make_web3signer_database(postgres, name)
    key = (1).to_bytes(48, "big").hex()
    postgres.psql(
        f"INSERT INTO validators (public_key) VALUES ('\\x{key}');"
        f"INSERT INTO metadata (id, genesis_validators_root) VALUES (1, '\\x{b'n'.hex() * 32}');"
        f"INSERT INTO signed_attestations VALUES (1, 3, 8, '\\x{(1).to_bytes(32, 'big').hex()}');"
        "INSERT INTO low_watermarks (validator_id, source_epoch, target_epoch) VALUES (1, 3, 8)",
        name,
    )
    question = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
    before = postgres.psql(question, name)
    record = open_shared(database_url, tmp_path)
    verdicts = await asyncio.gather(
        *(record.writer.commit(one) for one in (vote(3, 8), vote(4, 7), vote(3, 9), block(5))), return_exceptions=True
    )
    assert verdicts[0].repeat
    assert verdicts[1].code == "SURROUNDED_VOTE"
    assert not verdicts[2].repeat
    assert not verdicts[3].repeat
    record.close()
    assert postgres.psql(question, name) == before
    assert postgres.psql("SELECT count(*) FROM signed_attestations WHERE validator_id = 1", name) == "2"


def test_an_ordinary_owner_of_a_database_may_set_it_up(postgres: PostgresServer, tmp_path: Path) -> None:
    postgres.psql("CREATE ROLE plain LOGIN")
    postgres.psql("CREATE DATABASE plain OWNER plain")
    url = postgres.url("plain").replace("postgres@", "plain@")
    open_shared(url, tmp_path).close()
    open_shared(url, tmp_path).close()


def test_a_user_without_the_rights_is_told_what_to_grant(
    postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    postgres.psql("CREATE ROLE guest LOGIN")
    with pytest.raises(StartupError, match="permission denied") as caught:
        open_shared(database_url.replace("postgres@", "guest@"), tmp_path)
    assert "grant" in caught.value.remedy


def test_tables_may_stand_in_a_schema_of_their_own(postgres: PostgresServer, database_url: str, tmp_path: Path) -> None:
    name = name_of(database_url)
    postgres.psql('CREATE SCHEMA "Slashing"', name)
    postgres.psql(f'ALTER DATABASE "{name}" SET search_path = "Slashing"', name)
    record = open_shared(database_url, tmp_path)
    asyncio.run(_commit(record.writer, vote(1, 2)))
    record.close()
    assert postgres.psql('SELECT count(*) FROM "Slashing".signed_attestations', name) == "1"


async def _commit(writer, command):
    return await writer.commit(command)


def test_values_are_written_into_scripts_so_that_none_can_end_a_quotation() -> None:
    assert literal(b"';DROP") == "'\\x273b44524f50'::bytea"
    assert literal([1, None, 2**64]) == "'{1,NULL,18446744073709551616}'"
    assert literal([b"\x00", None]) == "'{\"\\\\x00\",NULL}'"
    assert literal("client:a-1?") == "'client:a-1?'"
    assert filled("a = ?2 AND b = ?1 AND c = ?2", (1, None)) == "a = NULL AND b = (1) AND c = NULL"
    assert numbered("VALUES (?, ?, ?)") == "VALUES ($1, $2, $3)"
    for wrong in ("a'", "a\\", "a\0", 1.5, ["text"], [True], {}):
        with pytest.raises(TypeError):
            literal(wrong)
