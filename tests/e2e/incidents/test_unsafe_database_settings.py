"""What Cubist saw behind several slashings: Web3Signer's database misconfigured or unsafely optimised for speed, or its
protection switched off.

Here a PostgreSQL that may forget a commit is refused, and there is no switch: the settings that turn protection off
elsewhere are errors.
"""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from journal.record import vote
from journal.shared_record import open_shared
from operations.record_twin import verdict
from postgres_server import PostgresServer, started_server
from running import holdfast, write_configuration

from signer.errors import StartupError


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of this test's own: it is killed."""
    running = started_server()
    yield running
    running.remove()


TABLE = "CREATE TABLE votes (validator int, target int, head text, UNIQUE (validator, target))"
VOTE = "INSERT INTO votes VALUES (1, 5, '{}')"


def lose_the_power(server: PostgresServer) -> None:
    server.kill()
    server.start()


def test_without_the_safeguard_a_fast_database_forgets_a_vote_that_is_out(server: PostgresServer) -> None:
    server.psql("ALTER SYSTEM SET synchronous_commit = off")
    server.psql("SELECT pg_reload_conf()")
    server.wait_for_setting("synchronous_commit", "off")
    server.psql(TABLE)
    server.psql("CHECKPOINT")
    writer = int(server.psql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"))
    os.kill(writer, signal.SIGSTOP)  # it would write the commit a little later
    server.psql(VOTE.format("one head"))  # committed, as far as anybody was told: the signature is out
    lose_the_power(server)
    server.psql(VOTE.format("another head"))  # no row stands against it
    assert server.psql("SELECT head FROM votes") == "another head", "two votes for one target are out"


@pytest.mark.parametrize("setting", ["synchronous_commit", "fsync", "full_page_writes"])
def test_a_database_that_may_forget_is_refused(server: PostgresServer, tmp_path: Path, setting: str) -> None:
    server.psql(f"ALTER SYSTEM SET {setting} = off")
    server.psql("SELECT pg_reload_conf()")
    server.wait_for_setting(setting, "off")
    with pytest.raises(StartupError, match=setting):
        open_shared(server.make_database("signer"), tmp_path)


async def test_a_database_as_it_should_be_forgets_nothing_that_is_out(server: PostgresServer, tmp_path: Path) -> None:
    url = server.make_database("signer")
    record = open_shared(url, tmp_path)
    try:
        await record.writer.commit(vote(4, 5))
        lose_the_power(server)
    finally:
        record.close()
    # What the lost run held for ten seconds more, by the database's clock: they have passed.
    server.psql("UPDATE holdfast.instances SET expires_at = clock_timestamp()", "signer")
    record = open_shared(url, tmp_path)
    try:
        assert await verdict(record, 4, 5, mark=2) == "DOUBLE_VOTE"  # type: ignore[arg-type]
    finally:
        record.close()


@pytest.mark.parametrize("text", ["slashing_protection_enabled: false", "journal: {synchronous: off}"])
def test_no_key_of_the_configuration_switches_protection_off(tmp_path: Path, text: str) -> None:
    config = write_configuration(tmp_path, {})
    name, _, value = text.partition(": ")
    written = json.loads(config.read_text())
    written[name] = {"synchronous": "off"} if value.startswith("{") else False
    config.write_text(json.dumps(written))
    refused = holdfast(config, "config", "check")
    assert refused.returncode == 2
    assert "slashing_protection_enabled" in refused.stderr or "synchronous" in refused.stderr


def test_web3signers_switch_is_not_taken_over_and_that_is_told(tmp_path: Path) -> None:
    theirs = tmp_path / "web3signer.yaml"
    theirs.write_text("eth2.network: mainnet\neth2.slashing-protection-enabled: false\n")
    ours = tmp_path / "holdfast.yaml"
    told = holdfast(tmp_path / "unused", "config", "from-web3signer", theirs, "--to", ours)
    assert (told.returncode, "no switch turns slashing protection off" in told.stderr) == (0, True)
    settings = [line for line in ours.read_text().splitlines() if not line.startswith("#")]
    assert not [line for line in settings if "protection" in line]
