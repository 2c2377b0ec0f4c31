"""What a start tells its operator, and what a clean stop leaves in the data directory."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from e2e.worker_processes import workers_of
from running import RunningSigner, free_port, holdfast, merged, running_signer, set_up, write_configuration

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


@pytest.mark.parametrize("workers", [1, 2])
def test_a_start_that_fails_on_its_way_leaves_nothing_published(tmp_path: Path, workers: int):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config_file = write_configuration(tmp_path, {"server": {"port": port, "workers": workers}})
        set_up(config_file)
        assert holdfast(config_file, "serve").returncode == 1
    assert not {path.name for path in (tmp_path / "data").iterdir()} & PUBLISHED


@pytest.mark.parametrize("workers", [1, 2])
def test_a_start_logs_what_the_operator_should_know_once_and_before_it_serves(tmp_path: Path, workers: int):
    with start(tmp_path, "production", workers, {"server": {"allowed_hosts": ["*"]}}) as signer:
        lines = [json.loads(line) for line in signer.log.splitlines()]
    told = [line["event"] for line in lines if line["level"] == "warning" and "key" in line]
    assert [word.split()[0] for word in told] == ["server.allowed_hosts", "clock.source"]
    [known] = [line for line in lines if line.get("key") == "server.allowed_hosts"]
    assert "name the hosts by which your clients call the signer" in known["event"]
    assert str(tmp_path / "holdfast.yaml") in known["event"]
    assert lines.index(known) < next(n for n, line in enumerate(lines) if line["event"].startswith("serving "))


def test_no_process_that_holds_keys_may_leave_a_core_dump(tmp_path: Path):
    with start(tmp_path, "test", 2) as signer:
        processes = [signer.process.pid, *workers_of(signer)]
        assert len(processes) == 3
        for pid in processes:
            [limit] = [
                line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max core")
            ]
            assert limit.split()[4:6] == ["0", "0"], limit
