"""A directory for a record, and the open record, for whoever asks for no others of their own."""

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from journal.kept_records import DATABASES, empty_database
from operations.record_twin import House
from postgres_server import PostgresServer

from signer.operations.kept_record import KeptRecord


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module that says ON_BOTH_DATABASES has its houses on each in turn."""
    if "house" in metafunc.fixturenames and getattr(metafunc.module, "ON_BOTH_DATABASES", False):
        metafunc.parametrize("house", DATABASES, indirect=True)


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    """An empty directory, and a clock."""
    if getattr(request, "param", "embedded") == "embedded":
        return House(tmp_path)
    empty_databases = iter(request.getfixturevalue("pool"))
    return House(tmp_path, new_database=lambda: next(empty_databases))


class Pool:
    """Databases that tests use one after the other: each is emptied before it is given out again."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._made: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for number in itertools.count():
            if number == len(self._made):
                self._made.append(self._server.make_database("pool_" + secrets.token_hex(6)))
            else:
                empty_database(self._made[number])
            yield self._made[number]


@pytest.fixture(scope="session")
def pool(postgres: PostgresServer) -> Pool:
    """Empty databases, as many as one test asks for."""
    return Pool(postgres)


@pytest.fixture
def record(house: House) -> Iterator[KeptRecord]:
    """The record of that directory, open."""
    with house.record() as opened:
        yield opened
