"""2022-11, validators of Persistence and other Cosmos chains: a machine was restored from a backup without the newest
signing state, and signed again what it had signed since.

A database that is older than its head file does not start, and accepting it raises every floor to the present.
"""

import shutil
from pathlib import Path

import pytest
from chain_witness import NOW, WITHOUT_QUARANTINE, Witness, signer_at
from running import RunningSigner


def back_up(signer: RunningSigner, into: Path) -> None:
    signer.stop()
    shutil.copytree(signer.data_directory, into, ignore=shutil.ignore_patterns("*.sock"))
    signer.restart()


def restore_database(signer: RunningSigner, backup: Path) -> None:
    for file in signer.data_directory.glob("journal.sqlite*"):
        file.unlink()
    shutil.copy2(backup / "journal.sqlite", signer.data_directory / "journal.sqlite")


def test_without_the_safeguard_a_restored_record_slashes(tmp_path: Path) -> None:
    witness = Witness()
    with signer_at(tmp_path / "one", WITHOUT_QUARANTINE) as signer:
        back_up(signer, tmp_path / "backup")
        assert witness.ask(signer, NOW - 1, NOW) == "signed"
        signer.stop()
        restore_database(signer, tmp_path / "backup")
        shutil.copy2(tmp_path / "backup" / "head", signer.data_directory / "head")  # what noticed it goes back too
        signer.restart()
        assert witness.ask(signer, NOW - 1, NOW, "once more") == "signed"
    assert witness.slashed


def test_a_restored_record_does_not_start_and_when_accepted_signs_nothing_that_may_be_lost(tmp_path: Path) -> None:
    witness = Witness()
    with signer_at(tmp_path / "one", WITHOUT_QUARANTINE) as signer:
        back_up(signer, tmp_path / "backup")
        assert witness.ask(signer, NOW - 1, NOW) == "signed"
        signer.stop()
        restore_database(signer, tmp_path / "backup")
        with pytest.raises(RuntimeError, match="accept-restore"):
            signer.restart()
        assert signer.holdfast("slashing", "accept-restore", "--yes").returncode == 0
        signer.restart()
        for target in (NOW, NOW + 1):
            assert witness.ask(signer, NOW - 1, target, "once more") == "412 BELOW_FLOOR"
    assert not witness.slashed
