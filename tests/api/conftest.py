"""What the edges stand on in most tests."""

from pathlib import Path

import pytest
from http_twins import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Operations in memory, to be told what to answer."""
    return World(directory=tmp_path)
