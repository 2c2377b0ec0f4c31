"""What every test may ask for."""

import os
from pathlib import Path

import pytest

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
