"""A record on a shared PostgreSQL database for tests, opened as the service opens it."""

from pathlib import Path
from typing import Any

from signer.operations.shared_record import SharedPlaces, SharedRecord, open_shared_record
from signer.units import Root

NETWORK = Root(b"n" * 32)


class Deaths(list[Exception]):
    """What killed the writer."""


def open_shared(url: str, directory: Path, **settings: Any) -> SharedRecord:
    directory.mkdir(exist_ok=True)
    arguments: dict[str, Any] = {"genesis_validators_root": NETWORK, "on_death": Deaths().append, **settings}
    return open_shared_record(SharedPlaces(url, directory, directory / "head"), **arguments)
