"""2023-10, Launchnodes, 20 validators: a fault of infrastructure and configuration; the signer did not use the
protection that held the keys' past.

A signer that is pointed at another place begins no record by itself; where an operator has one made, the keys wait
that are new to it; and a database that belongs to another signer is not taken.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from chain_witness import NOW, WITHOUT_QUARANTINE, Witness, signer_at
from running import RunningSigner, set_up


def point_elsewhere(signer: RunningSigner, **settings: Any) -> None:
    """The mistake: the next start finds its data somewhere else."""
    signer.stop()
    written = json.loads(signer.config_file.read_text())
    elsewhere = signer.directory / "elsewhere"
    elsewhere.mkdir(mode=0o700, exist_ok=True)
    written["storage"]["data_directory"] = str(elsewhere)
    written["keys"] |= settings
    signer.config_file.write_text(json.dumps(written))
    signer.data_directory = elsewhere


def test_without_the_safeguards_another_record_slashes(tmp_path: Path) -> None:
    witness = Witness()
    with signer_at(tmp_path, WITHOUT_QUARANTINE) as signer:
        assert witness.ask(signer, NOW - 1, NOW) == "signed"
        point_elsewhere(signer)
        set_up(signer.config_file)
        signer.restart()
        assert witness.ask(signer, NOW - 1, NOW, "another head") == "signed"
    assert witness.slashed


def test_a_start_elsewhere_begins_no_record_and_if_it_must_the_keys_wait(tmp_path: Path) -> None:
    witness = Witness()
    with signer_at(tmp_path) as signer:
        assert signer.holdfast("keys", "release", signer.public_keys()[0]).returncode == 0
        assert witness.ask(signer, NOW - 1, NOW) == "signed"
        point_elsewhere(signer)
        with pytest.raises(RuntimeError, match=r"master key|slashing record"):
            signer.restart()
        set_up(signer.config_file)
        signer.restart()
        for target in (NOW, NOW + 1):
            assert witness.ask(signer, NOW - 1, target, "another head") == "412 KEY_QUARANTINED"
    assert not witness.slashed


def test_the_database_of_another_signer_is_not_taken(tmp_path: Path) -> None:
    with signer_at(tmp_path / "one", WITHOUT_QUARANTINE) as one, signer_at(tmp_path / "two", WITHOUT_QUARANTINE) as two:
        for signer in (one, two):
            signer.stop()
        for file in one.data_directory.glob("journal.sqlite*"):
            file.unlink()
        shutil.copy2(two.data_directory / "journal.sqlite", one.data_directory / "journal.sqlite")
        with pytest.raises(RuntimeError, match="FOREIGN_DATABASE"):
            one.restart()
