"""Kept facts and shadows against running signers with workers: by commands through the admin socket, and beside it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from duty_requests import NO_GUARD, line_to, vote_body
from e2e.worker_processes import line_to_each
from policy.policy_packs import rules_pack, version_of
from policy_signers import ALLOWS, policy_signer
from running import RunningSigner, free_port, holdfast, interop_secret, merged

from signer.policy.bindings import ToNamespace

PATIENCE_SECONDS = 60.0
CANDIDATE = rules_pack("allows", text="version: 1\notherwise: allow\ndeny:\n  - {name: votes, types: [ATTESTATION]}\n")
SAME = rules_pack("allows", text="version: 1\notherwise: allow\ndeny:\n  - {name: none, types: [DEPOSIT, BLOCK_V2]}\n")


@contextmanager
def two_workers(directory: Path, more: dict[str, Any] | None = None) -> Iterator[RunningSigner]:
    sections = merged({"server": {"workers": 2}, **(more or {})}, NO_GUARD)
    bound = [("allows", ToNamespace("default"))]
    with policy_signer(directory, [ALLOWS], bound, secrets=[interop_secret(0)], sections=sections) as signer:
        yield signer


def told(signer: RunningSigner, *words: str | Path, code: int = 0) -> dict[str, Any]:
    said = signer.holdfast("policy", *words, "--json")
    assert said.returncode == code, said.stderr
    return json.loads(said.stdout)


def sign_votes(signer: RunningSigner, *epochs: int) -> list[str]:
    """One by each worker, of each epoch and the one after it."""
    [key] = signer.public_keys()
    found = []
    with line_to_each(signer) as lines:
        for epoch in epochs:
            for n, line in enumerate(lines.values()):
                found.append(line.sign(key, vote_body(epoch + n, epoch + n + 1)).verdict.split()[0])
    return found


def written(directory: Path, pack: bytes) -> Path:
    file = directory / f"{version_of(pack)[:8]}.policy"
    file.write_bytes(pack)
    return file


def prove_replays(signer: RunningSigner, directory: Path) -> None:
    assert sign_votes(signer, 1) == ["signed"] * 2
    assert told(signer, "replay", "allows")["decisions"] == 0, "nothing is kept yet"
    told(signer, "keep-facts", "default")
    assert sign_votes(signer, 5) == ["signed"] * 2
    found = told(signer, "replay", written(directory, CANDIDATE), code=1)
    assert (found["decisions"], found["different"], found["altered"], found["archived"]) == (2, 2, 0, 0)
    log = json.loads(signer.holdfast("audit", "show", "--last", "50", "--json").stdout)["entries"]
    votes = {each["index"]: each for each in log if each["note"].startswith("facts=")}
    for each in found["differences"]:
        assert votes[each["audit_index"]]["public_key"] == each["public_key"]
        assert (each["then"]["decision"], each["now"]["decision"]) == ("allow", "deny")
        assert each["rules"] == ["votes"]
    assert told(signer, "replay", written(directory, SAME))["same"] == 2
    told(signer, "publish", written(directory, CANDIDATE))
    for name in ("allows", f"allows@{version_of(CANDIDATE)[:8]}"):
        assert told(signer, "replay", name, code=1)["different"] == 2
    assert told(signer, "replay", f"allows@{version_of(ALLOWS)}")["same"] == 2
    [key] = signer.public_keys()
    assert told(signer, "replay", "allows", "--key", key, "--since", "1h", code=1)["decisions"] == 2
    assert told(signer, "replay", "allows", "--key", "0x" + "ab" * 48)["decisions"] == 0
    assert told(signer, "replay", "allows", "--until", "2020-01-01")["decisions"] == 0
    assert told(signer, "replay", "allows", "--limit", "1", code=1)["decisions"] == 1


def test_decisions_of_workers_are_kept_and_replayed_while_the_signer_runs_and_after(tmp_path: Path) -> None:
    with two_workers(tmp_path) as signer:
        prove_replays(signer, tmp_path)
        configuration = signer.config_file
        signer.stop()
        said = holdfast(configuration, "policy", "replay", "allows", "--json")
        assert said.returncode == 1, said.stderr
        assert json.loads(said.stdout)["different"] == 2


def test_the_same_on_postgresql(tmp_path: Path, emptied_url: str) -> None:
    with two_workers(tmp_path, {"journal": {"url": emptied_url}}) as signer:
        prove_replays(signer, tmp_path)


def shadow_of(signer: RunningSigner) -> dict[str, Any]:
    [found] = told(signer, "status")["shadows"]
    return found


def test_a_shadow_is_compared_on_the_traffic_of_every_worker_counted_logged_and_decides_nothing(tmp_path: Path) -> None:
    with two_workers(tmp_path, {"metrics": {"enabled": True, "port": free_port()}}) as signer:
        told(signer, "publish", written(tmp_path, CANDIDATE))
        told(signer, "shadow", "allows", version_of(CANDIDATE)[:8])
        assert sign_votes(signer, 1) == ["signed"] * 2
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := shadow_of(signer))["comparisons"] < 2:
            assert time.monotonic() < deadline, found
        assert found == {"policy": "allows", "version": version_of(CANDIDATE), "comparisons": 2, "differences": 2}
        assert signer.metrics_port is not None
        with line_to(signer.metrics_port) as line:
            page = line.get("/metrics").body.decode()
        assert 'shadow_comparisons_total{live="allow",policy="allows",shadow="deny"} 2.0' in page
        assert 'shadow_differences_total{policy="allows"} 2.0' in page
        while signer.log.count("a version beside the live one has decided otherwise") < 2:
            assert time.monotonic() < deadline, signer.log
        told(signer, "shadow", "allows", "off")
        # A worker that has not heard of it yet compares once more, and is told by the commit.
        assert sign_votes(signer, 5, 9, 13) == ["signed"] * 6
        last = shadow_of(signer)
        assert last["version"] is None
        assert last["comparisons"] <= 4
