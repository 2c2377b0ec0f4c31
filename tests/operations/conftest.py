"""A directory for a record, and the open record, for whoever asks for no others of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from operations.record_twin import House

from signer.operations.record import Record


@pytest.fixture
def house(tmp_path: Path) -> House:
    """An empty directory, and a clock."""
    return House(tmp_path)


@pytest.fixture
def record(house: House) -> Iterator[Record]:
    """The record of that directory, open."""
    with house.record() as opened:
        yield opened
