"""Signers on one PostgreSQL database: their configuration, and what they say until a database serves again."""

import os
import time
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from duty_requests import NO_GUARD, Line
from postgres_server import PostgresServer
from running import merged

GIVE_UP_SECONDS = 60.0
UNSURE = {"500 DATABASE_DOWN", "500 OUTCOME_UNKNOWN", "500 JOURNAL_DOWN", "500 DEADLINE_PASSED"}
"""What a signer answers while it cannot know: nothing was signed, and asking again is safe."""


def on_database(url: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The sections of a signer's configuration that put its record there."""
    return merged(merged({"journal": {"url": url}}, NO_GUARD), more or {})


def name_of(url: str) -> str:
    """The database in a URL."""
    return url.rpartition("/")[2]


def soon(line: Line, public_key: str, body: dict[str, Any]) -> str:
    """Ask until the signer knows; what it says then."""
    return until_known(lambda: line.sign(public_key, body).verdict)


def until_known(ask: Callable[[], str]) -> str:
    """Ask until the answer is none of UNSURE."""
    ends = time.monotonic() + GIVE_UP_SECONDS
    while (verdict := ask()) in UNSURE:
        assert time.monotonic() < ends, verdict
    return verdict


def make_web3signer_database(postgres: PostgresServer, name: str) -> None:
    """Web3Signer's tables, empty: by its own migrations where HOLDFAST_WEB3SIGNER_MIGRATIONS names their directory."""
    theirs = os.environ.get("HOLDFAST_WEB3SIGNER_MIGRATIONS")
    if theirs is None:
        postgres.run_file(Path(str(resources.files("signer.journal") / "shared" / "web3signer_12.sql")), name)
        return
    files = sorted(Path(theirs).glob("V*.sql"))
    assert files
    for file in files:
        postgres.run_file(file, name)
