"""`holdfast slashing import` and `export` against a real signer: previews, exit codes, stores, receipts."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journal.record import public_key
from operations.test_other_stores import CHAIN, lighthouse, nimbus
from running import HOLDFAST, REPOSITORY, RunningSigner, running_signer

SECTIONS = {"network": {"name": "minimal", "genesis_validators_root": "0x" + CHAIN.hex()}}
ROOT = "0x" + "11" * 32


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    with running_signer(tmp_path_factory.mktemp("signer"), secrets=[1], sections=SECTIONS) as running:
        yield running


def history(key: int, *votes: tuple[int, int]) -> dict[str, Any]:
    signed = [{"source_epoch": str(s), "target_epoch": str(t), "signing_root": ROOT} for s, t in votes]
    return {"pubkey": "0x" + public_key(key).hex(), "signed_blocks": [], "signed_attestations": signed}


def document(path: Path, *data: Any, version: str = "5") -> Path:
    metadata = {"interchange_format_version": version, "genesis_validators_root": "0x" + CHAIN.hex()}
    path.write_text(json.dumps({"metadata": metadata, "data": data}))
    return path


def targets(signer: RunningSigner, file: Path, *words: str) -> dict[str, list[str]]:
    file.unlink(missing_ok=True)
    told = signer.holdfast("slashing", "export", "--to", file, *words)
    assert told.returncode == 0, told.stderr
    data = json.loads(file.read_text())["data"]
    return {one["pubkey"][-2:]: [vote["target_epoch"] for vote in one["signed_attestations"]] for one in data}


def test_a_dry_run_shows_each_validator_and_changes_nothing(signer: RunningSigner, tmp_path: Path) -> None:
    file = document(tmp_path / "document.json", history(0x21, (1, 2), (2, 3)))
    for _ in range(2):
        told = signer.holdfast("slashing", "import", file, "--dry-run", "--json")
        assert told.returncode == 0, told.stderr
        answer = json.loads(told.stdout)
        assert answer["dry_run"] is True
        [validator] = answer["validators"]
        assert (validator["attestations"], validator["floors_before"]) == (2, None)
        assert validator["floors_after"] == {"slot": None, "source_epoch": "1", "target_epoch": "2", "held": False}
    told = signer.holdfast("slashing", "import", file)
    assert told.returncode == 0, told.stderr
    assert "1 validators imported, 0 refused" in told.stdout
    again = json.loads(signer.holdfast("slashing", "import", file, "--json").stdout)
    assert [one["attestations"] for one in again["validators"]] == [0], "all of it is there already"


def test_a_faulty_history_stops_all_or_is_left_out(signer: RunningSigner, tmp_path: Path) -> None:
    broken = history(0x32, (1, 2))
    broken["signed_attestations"][0]["target_epoch"] = 2
    file = document(tmp_path / "document.json", history(0x31, (1, 2)), broken)
    told = signer.holdfast("slashing", "import", file)
    assert (told.returncode, told.stdout) == (1, "")
    assert "UNUSABLE_HISTORIES" in told.stderr
    assert f"0x{public_key(0x32).hex()}: $.data[1].signed_attestations[0].target_epoch" in told.stderr
    assert "31" not in targets(signer, tmp_path / "out.json")
    told = signer.holdfast("slashing", "import", file, "--partial")
    assert told.returncode == 1
    assert "1 validators imported, 1 refused" in told.stdout
    assert "31" in targets(signer, tmp_path / "out.json")


def test_the_command_line_at_fault_ends_with_2(signer: RunningSigner, tmp_path: Path) -> None:
    file = document(tmp_path / "document.json")
    told = signer.holdfast("slashing", "import", file, "--genesis-validators-root", "0x12")
    assert told.returncode == 2
    assert signer.holdfast("slashing", "import", tmp_path / "nothing").returncode == 1


@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_the_changes_are_shown_and_somebody_is_asked(
    signer: RunningSigner, tmp_path: Path, answer: str
) -> None:
    key = 0x41 if answer == "y" else 0x42
    file = document(tmp_path / "document.json", history(key, (1, 2)))
    ours, theirs = pty.openpty()
    try:
        command = [*HOLDFAST, "slashing", "import", file, "--config", signer.config_file]
        with subprocess.Popen(
            command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY, text=True
        ) as process:
            os.write(ours, f"{answer}\n".encode())
            out, _ = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert public_key(key).hex() in out
    assert "Import 1 validators?" in out
    assert process.returncode == (0 if answer == "y" else 1)
    assert (f"{key:x}" in targets(signer, tmp_path / "out.json")) is (answer == "y")


@pytest.mark.parametrize(("make_store", "program"), [(lighthouse, "Lighthouse"), (nimbus, "Nimbus")])
def test_other_programs_stores_are_read(signer: RunningSigner, tmp_path: Path, make_store, program) -> None:
    told = signer.holdfast("slashing", "import", make_store(tmp_path))
    assert told.returncode == 0, told.stderr
    assert f"{program}'s store" in told.stderr
    assert targets(signer, tmp_path / "out.json")["01"] == ["30", "31"]


def test_exports_by_key_and_since_a_receipt(signer: RunningSigner, tmp_path: Path) -> None:
    first, second = history(0x51, (1, 2)), history(0x52, (1, 2))
    assert signer.holdfast("slashing", "import", document(tmp_path / "1.json", first, second)).returncode == 0
    receipt = tmp_path / "receipt"
    everything = targets(signer, tmp_path / "out.json", "--receipt", str(receipt))
    assert {"51", "52"} <= everything.keys()
    assert receipt.stat().st_mode & 0o077 == 0
    assert targets(signer, tmp_path / "new.json", "--since", str(receipt)) == {}
    more = document(tmp_path / "2.json", history(0x52, (1, 2), (2, 3)))
    assert signer.holdfast("slashing", "import", more).returncode == 0
    assert targets(signer, tmp_path / "new.json", "--since", str(receipt)) == {"52": ["3"]}
    key = "0x" + public_key(0x51).hex()
    assert targets(signer, tmp_path / "one.json", "--key", key) == {"51": ["2"]}
    told = signer.holdfast("slashing", "export", "--to", tmp_path / "x", "--key", "0x" + "ab" * 48)
    assert told.returncode == 1
    assert "no record of 0xabab" in told.stderr


CLIENT_FILES = {
    "eip/eip-3076-example.json": 0,
    "teku/format1_complete.json": 0,
    "teku/format2_minimal.json": 0,
    "teku/oldMetadata.json": 1,
    "teku/signedBlock.json": 1,
    "teku/invalid_json.json": 1,
    "web3signer/singleValidBlock.json": 0,
    "web3signer/singleValidAttestation.json": 0,
    "web3signer/conflictingBlocks.json": 0,
    "web3signer/multipleNullSigningRootBlock.json": 0,
    "web3signer/errorInSecondValidator.json": 1,
    "lodestar/lodestar-1.5.1-v5.json": 0,
    "lodestar/lodestar-1.5.1-cli-raw.json": 1,
}
"""Files that clients export or test with, and how importing them ends."""


def test_files_of_other_clients_end_as_they_should(signer: RunningSigner, vectors: Path, tmp_path: Path) -> None:
    """Rewritten for this signer's chain where they name another one."""
    for name, code in CLIENT_FILES.items():
        text = (vectors / "interchange-clients" / name).read_text()
        try:
            content = json.loads(text)
            content["metadata"]["genesis_validators_root"] = "0x" + CHAIN.hex()
            text = json.dumps(content)
        except (ValueError, KeyError):
            pass
        file = tmp_path / Path(name).name
        file.write_text(text)
        told = signer.holdfast("slashing", "import", file, "--dry-run")
        assert told.returncode == code, (name, told.stdout, told.stderr)
        if name == "lodestar/lodestar-1.5.1-cli-raw.json":
            assert "export again with a newer release" in told.stderr
