"""2021-02, Staked: the record was not written to the disk for speed, and a restart forgot it. 75 validators.

Here nothing turns the record off, and a start on a directory that has lost it is refused.
"""

from pathlib import Path

import pytest
from chain_witness import NOW, WITHOUT_QUARANTINE, Witness, forget_everything, signer_at
from running import holdfast, set_up


def test_without_the_safeguards_a_restart_slashes(tmp_path: Path) -> None:
    witness = Witness()
    with signer_at(tmp_path, WITHOUT_QUARANTINE) as signer:
        assert witness.ask(signer, NOW - 1, NOW) == "signed"
        signer.stop()
        forget_everything(signer)
        set_up(signer.config_file)
        signer.restart()
        assert witness.ask(signer, NOW - 1, NOW, "after a re-organisation") == "signed"
    assert witness.slashed


def test_a_record_that_is_gone_stops_the_start(tmp_path: Path) -> None:
    witness = Witness()
    with signer_at(tmp_path) as signer:
        signer.holdfast("keys", "release", signer.public_keys()[0])
        assert witness.ask(signer, NOW - 1, NOW) == "signed"
        signer.kill()
        for file in signer.data_directory.glob("journal.sqlite*"):
            file.unlink()
        with pytest.raises(RuntimeError, match="head"):
            signer.restart()
        refused = holdfast(signer.config_file, "init")
        assert refused.returncode == 1, refused
    assert not witness.slashed


def test_even_a_directory_without_any_trace_does_not_sign_at_once(tmp_path: Path) -> None:
    witness = Witness()
    with signer_at(tmp_path) as signer:
        key = signer.public_keys()[0]
        assert signer.holdfast("keys", "release", key).returncode == 0
        assert witness.ask(signer, NOW - 1, NOW) == "signed"
        signer.stop()
        forget_everything(signer)
        set_up(signer.config_file)
        signer.restart()
        assert witness.ask(signer, NOW - 1, NOW, "after a re-organisation") == "412 KEY_QUARANTINED"
    assert not witness.slashed


def test_a_kill_at_any_moment_forgets_nothing_that_was_released(tmp_path: Path) -> None:
    witness = Witness()
    with signer_at(tmp_path, WITHOUT_QUARANTINE) as signer:
        for target in range(NOW - 3, NOW + 1):
            assert witness.ask(signer, target - 1, target) == "signed"
            signer.kill()
            signer.restart()
            assert witness.ask(signer, target - 1, target, "again") == "412 DOUBLE_VOTE"
    assert not witness.slashed
