"""What a clean stop leaves in the data directory."""

from pathlib import Path
from typing import Any

import pytest
from running import RunningSigner, free_port, merged, running_signer

PRIVATE_KEY = 0x2F0B5A9C71D3E84622A97C1B60D8453F9E07C1B2A4D6583F71902BCE4A8D635F
"""A key that no list of test keys has."""

PUBLISHED = {"admin.sock", "listening.json"}
"""What a start publishes in the data directory."""

KEPT = {"head", "journal.sqlite", "vault"}


def start(directory: Path, preset: str, workers: int, sections: dict[str, Any] | None = None) -> Any:
    settings = {
        "preset": preset,
        "server": {"workers": workers},
        "metrics": {"port": free_port()},
        "clock": {"source": "trusted"},
    }
    return running_signer(directory, secrets=[PRIVATE_KEY], sections=merged(settings, sections or {}))


def names(signer: RunningSigner) -> set[str]:
    return {path.name for path in signer.data_directory.iterdir()}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("preset", ["production", "development", "test"])
def test_a_clean_stop_leaves_nothing_that_the_start_has_published(tmp_path: Path, preset: str, workers: int):
    with start(tmp_path, preset, workers) as signer:
        assert names(signer) >= PUBLISHED
        assert signer.stop() == 0
        assert not names(signer) & PUBLISHED
        assert names(signer) >= KEPT
        assert not [path for path in tmp_path.rglob("*") if path.is_socket()]
        signer.restart()
        assert names(signer) >= PUBLISHED


def test_a_socket_that_a_kill_has_left_behind_stops_no_start(tmp_path: Path):
    with start(tmp_path, "test", 1) as signer:
        signer.kill()
        assert names(signer) >= PUBLISHED
        signer.restart()
        assert signer.stop() == 0
        assert not names(signer) & PUBLISHED
