"""2022-09, several operators, 20 validators, and again in 2023-10: the same keys on two signers without one record.

A signer that gets the keys without their history waits until the other one would have shown itself; the same data
directory, or a copy of it, is not served twice.
"""

import json
import shutil
from pathlib import Path

import pytest
from chain_witness import NOW, WITHOUT_QUARANTINE, Witness, signer_at
from e2e.worker_processes import restart_in_one_process
from running import RunningSigner, free_port


def test_without_the_safeguard_two_records_slash(tmp_path: Path) -> None:
    witness = Witness()
    with signer_at(tmp_path / "one", WITHOUT_QUARANTINE) as one, signer_at(tmp_path / "two", WITHOUT_QUARANTINE) as two:
        assert witness.ask(one, NOW - 1, NOW, "head of one client") == "signed"
        assert witness.ask(two, NOW - 1, NOW, "head of another") == "signed"
    assert witness.slashed


def test_the_second_signer_waits_and_says_why_until_when_and_what_to_do(tmp_path: Path) -> None:
    """Two workers serve there, and after its restart one process alone."""
    witness = Witness()
    sections = {"server": {"workers": 2}}
    with signer_at(tmp_path / "one", WITHOUT_QUARANTINE) as one, signer_at(tmp_path / "two", sections) as two:
        key = two.public_keys()[0]
        assert witness.ask(one, NOW - 1, NOW, "head of one client") == "signed"
        for target in (NOW, NOW + 1):
            assert witness.ask(two, target - 1, target, "head of another") == "412 KEY_QUARANTINED"
        listed = json.loads(two.holdfast("keys", "list", "--json").stdout)
        assert listed["keys"][0]["quarantined_until_epoch"] == NOW + 3
        examined = json.loads(two.holdfast("doctor", "--json").stdout)["findings"]
        [told] = [each for each in examined if each["subject"] == "quarantine"]
        for words in (two.log, told["sentence"] + told["remedy"]):
            assert f"epoch {NOW + 3}" in words
            assert "slashing import" in words
            assert "keys release" in words
        assert two.stop() == 0
        restart_in_one_process(two)
        assert witness.ask(two, NOW - 1, NOW, "head of another") == "412 KEY_QUARANTINED", "a restart ends no wait"
        released = two.holdfast("keys", "release", key, "--json")
        assert (released.returncode, json.loads(released.stdout)["keys"][0]["status"]) == (0, "released")
        assert witness.ask(two, NOW, NOW + 1) == "signed", "the operator has said that nothing else signs"
        assert two.holdfast("keys", "release", key).returncode == 1
        assert "keys_released" in two.holdfast("audit", "show", "--json").stdout
    assert not witness.slashed


def test_a_copy_of_the_data_directory_is_not_served_beside_the_first(tmp_path: Path) -> None:
    with signer_at(tmp_path / "one", WITHOUT_QUARANTINE) as one:
        shutil.copytree(tmp_path / "one", tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock", "*.log"))
        settings = json.loads(one.config_file.read_text())
        settings["server"]["port"] = free_port()
        settings["storage"]["data_directory"] = str(tmp_path / "copy" / "data")
        (tmp_path / "copy" / "holdfast.yaml").write_text(json.dumps(settings))
        copy = RunningSigner(tmp_path / "copy" / "holdfast.yaml")
        with pytest.raises(RuntimeError, match="DATA_DIRECTORY_IN_USE"):
            copy.wait_until_ready()
