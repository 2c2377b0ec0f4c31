"""Signers of two releases on one PostgreSQL, while the one is replaced by the other: docs/postgresql.md, Upgrade."""

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from duty_requests import line_to, vote_body
from e2e.shared_signers import name_of, on_database, until_known
from postgres_server import PostgresServer
from running import REPOSITORY, RunningSigner, interop_secret, running_signer

from signer.journal.postgres_setup import newest_schema

NEWEST = newest_schema()
TOMORROW = f"{NEWEST + 1:04}_tomorrow.sql"
"""What the next release adds to our tables, for these tests."""

PUBLIC_KEY = "a99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c"
"""Of the first interop secret."""


@pytest.fixture(scope="module")
def newer_release(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment in which `holdfast` is this program with one schema file more."""
    directory = tmp_path_factory.mktemp("newer")
    for package in ("signer", "interchange"):
        shutil.copytree(REPOSITORY / package, directory / package)
    schema = directory / "signer" / "journal" / "shared" / TOMORROW
    schema.write_text("CREATE TABLE holdfast.tomorrow (id integer PRIMARY KEY);\n")
    # Its own packages come before those of the working directory and the environment.
    return {"PYTHONPATH": str(directory), "PYTHONSAFEPATH": "1"}


def ask(signer: RunningSigner, target: int, mark: str) -> str:
    """A vote, asked until the signer knows; both signers hold one key."""
    key = "0x" + PUBLIC_KEY
    with line_to(signer.port) as line:
        return until_known(lambda: line.sign(key, vote_body(target - 1, target, mark)).verdict)


def conflict(signers: tuple[RunningSigner, ...], target: int) -> list[str]:
    """What each says of a vote of its own for the same target, asked at once."""
    with ThreadPoolExecutor(len(signers)) as pool:
        asked = [pool.submit(ask, signer, target, f"of signer {number}") for number, signer in enumerate(signers)]
        return sorted(one.result() for one in asked)


def schema_of(postgres: PostgresServer, url: str) -> int:
    return int(postgres.psql("SELECT max(number) FROM holdfast.migrations", name_of(url)))


def test_one_signer_after_the_other_is_upgraded_and_nothing_is_signed_twice(
    postgres: PostgresServer, database_url: str, tmp_path: Path, newer_release: Mapping[str, str]
) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    keys, sections = [interop_secret(0)], on_database(database_url)
    with running_signer(tmp_path / "old", secrets=keys, sections=sections) as old:
        assert schema_of(postgres, database_url) == NEWEST
        assert ask(old, 2, "before") == "signed"
        with running_signer(tmp_path / "new", secrets=keys, sections=sections, environment=newer_release) as new:
            assert schema_of(postgres, database_url) == NEWEST + 1, "its first start has brought the tables up to date"
            both = (old, new)
            assert ask(new, 2, "after") == "412 DOUBLE_VOTE"
            for target in range(3, 13):
                assert conflict(both, target) == ["412 DOUBLE_VOTE", "signed"], target

            # Orders given to either hold for both.
            assert new.holdfast("freeze", "0x" + PUBLIC_KEY).returncode == 0
            assert {ask(signer, 13, "frozen") for signer in both} == {"412 KEY_FROZEN"}
            assert old.holdfast("thaw", "0x" + PUBLIC_KEY).returncode == 0

            # The older one goes on with the newer tables, also over a new connection.
            postgres.psql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
                name_of(database_url),
            )
            for target in range(13, 17):
                assert conflict(both, target) == ["412 DOUBLE_VOTE", "signed"], target

            # But it does not start again.
            assert old.stop() == 0
            old.start()
            assert old.process.wait(timeout=60) == 1
            said = old.log.splitlines()[-1]
            for words in (f"schema {NEWEST + 1}", f"knows up to {NEWEST}", "install that release here too"):
                assert words in old.log, said
            status = old.holdfast("slashing", "status")
            assert (status.returncode != 0, "install that release here too" in status.stderr) == (True, True), status
            assert ask(new, 17, "meanwhile") == "signed"

            # Upgraded, it is one of them again, and bound by all that was signed.
            old.environment |= newer_release
            old.start()
            old.wait_until_ready()
            assert ask(old, 17, "late") == "412 DOUBLE_VOTE"
            assert conflict(both, 18) == ["412 DOUBLE_VOTE", "signed"]
    roots = postgres.psql(
        "SELECT count(*), count(DISTINCT target_epoch) FROM signed_attestations", name_of(database_url)
    )
    assert roots == "17|17"
