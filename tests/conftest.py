"""What every test may ask for."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from journal.kept_records import DATABASES, KeptRecord, empty_database, open_kept
from journal.record import Record, open_record
from postgres_server import PostgresServer, started_server
from warm_starts import WARM_STARTS

ROOT = Path(__file__).resolve().parent.parent


def _vectors_directory() -> Path:
    return Path(os.environ.get("HOLDFAST_VECTORS", ROOT.parent / "shared" / "vectors")).resolve()


@pytest.fixture(scope="session", autouse=True)
def warm_starts() -> Iterator[None]:
    """Lines of the command cost no imports."""
    with WARM_STARTS.allowed():
        yield


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The third-party vectors, read in place; CI must have them."""
    directory = _vectors_directory()
    if not (directory / "INDEX.md").is_file():
        if os.environ.get("CI"):
            pytest.fail(f"CI must run the third-party vectors; none at {directory} (set HOLDFAST_VECTORS)")
        pytest.skip(f"no third-party vectors at {directory}; set HOLDFAST_VECTORS")
    return directory


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL that the tests of one process share; whoever stops one starts its own."""
    server = started_server()
    yield server
    server.remove()


@pytest.fixture
def database_url(postgres: PostgresServer) -> str:
    """A new, empty database."""
    return postgres.make_database("t" + secrets.token_hex(6))


@pytest.fixture(scope="session")
def reused_url(postgres: PostgresServer) -> str:
    """A database that many tests use, one after the other: each empties it first."""
    return postgres.make_database("reused")


@pytest.fixture
def emptied_url(reused_url: str) -> str:
    """A database without a record. Faster than a new one."""
    empty_database(reused_url)
    return reused_url


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """A journal on disk with the ledgers of the service, without what surrounds it there."""
    opened = open_record(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(params=DATABASES)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeptRecord]:
    """An open record, on each database in turn."""
    record = open_kept(request.param, tmp_path, lambda: request.getfixturevalue("emptied_url"))
    yield record
    record.close()
