"""What every test may ask for."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer, started_server

ROOT = Path(__file__).resolve().parent.parent


def _vectors_directory() -> Path:
    return Path(os.environ.get("HOLDFAST_VECTORS", ROOT.parent / "shared" / "vectors")).resolve()


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
