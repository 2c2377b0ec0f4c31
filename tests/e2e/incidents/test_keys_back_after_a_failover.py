"""2023-04, RockLogic, 11 validators: keys moved from A to B, were deleted on A in memory alone, and came back when A
was started again. 2025-09, Ankr and Allnodes, 40 validators: keys active in two places during a migration.

What leaves with `holdfast migrate out` is disabled in the record: a restart, a reload or the same key files change
nothing. What comes with a receipt knows its past, and no receipt is used twice.
"""

import json
from pathlib import Path

import pytest
from chain_witness import NOW, WITHOUT_QUARANTINE, Witness, signer_at


def test_without_the_safeguard_a_stopped_signer_that_starts_again_slashes(tmp_path: Path) -> None:
    witness = Witness()
    with signer_at(tmp_path / "a", WITHOUT_QUARANTINE) as a, signer_at(tmp_path / "b", WITHOUT_QUARANTINE) as b:
        assert witness.ask(a, NOW - 2, NOW - 1) == "signed"
        history = tmp_path / "history.json"
        assert a.holdfast("slashing", "export", "--to", history).returncode == 0
        a.stop()  # all that the operators did: nothing keeps A from starting
        assert b.holdfast("slashing", "import", history).returncode == 0
        assert witness.ask(b, NOW - 1, NOW, "b") == "signed"
        a.restart()
        assert witness.ask(a, NOW - 1, NOW, "a") == "signed"
    assert witness.slashed


@pytest.mark.parametrize("workers", [1, 2])
def test_what_has_left_stays_away_and_what_has_come_knows_its_past(tmp_path: Path, workers: int) -> None:
    witness = Witness()
    sections = {"server": {"workers": workers}}
    with signer_at(tmp_path / "a", WITHOUT_QUARANTINE) as a, signer_at(tmp_path / "b", sections) as b:
        assert witness.ask(a, NOW - 2, NOW - 1) == "signed"
        assert witness.ask(b, NOW - 2, NOW - 1, "b") == "412 KEY_QUARANTINED"
        parcel = tmp_path / "parcel"
        left = a.holdfast("migrate", "out", "--all", "--to", parcel, "--json")
        assert left.returncode == 0, left.stderr
        signed_by = json.loads(left.stdout)["signed_by"]
        assert {path.name for path in parcel.iterdir()} == {"receipt.json", "history.json"}
        assert witness.ask(a, NOW - 1, NOW, "a") == "412 KEY_DISABLED"
        came = b.holdfast("migrate", "in", parcel, "--signed-by", signed_by, "--json")
        assert came.returncode == 0, came.stderr
        assert witness.ask(b, NOW - 2, NOW - 1, "b") == "412 DOUBLE_VOTE"
        assert witness.ask(b, NOW - 1, NOW, "b") == "signed"
        a.kill()
        a.restart()
        assert witness.ask(a, NOW - 1, NOW, "a") == "412 KEY_DISABLED"
        for signer in (a, b):
            again = signer.holdfast("migrate", "in", parcel, "--json")
            assert (again.returncode, json.loads(again.stderr)["code"]) == (1, "RECEIPT_USED")
        assert witness.ask(a, NOW - 1, NOW, "a") == "412 KEY_DISABLED"
    assert not witness.slashed


def test_keys_move_where_no_signer_runs_too(tmp_path: Path) -> None:
    witness = Witness()
    with signer_at(tmp_path / "a", WITHOUT_QUARANTINE) as a, signer_at(tmp_path / "b") as b:
        assert witness.ask(a, NOW - 2, NOW - 1) == "signed"
        key, parcel = a.public_keys()[0], tmp_path / "parcel"
        a.stop()
        b.stop()
        assert a.holdfast("migrate", "out", key, "--to", parcel).returncode == 0
        assert a.holdfast("migrate", "out", key, "--to", parcel).returncode == 2, "it holds a receipt already"
        assert a.holdfast("migrate", "out", "--to", parcel).returncode == 2, "nothing says which keys"
        changed = tmp_path / "changed"
        changed.mkdir()
        (changed / "receipt.json").write_bytes((parcel / "receipt.json").read_bytes())
        (changed / "history.json").write_bytes((parcel / "history.json").read_bytes() + b" ")
        refused = b.holdfast("migrate", "in", changed, "--json")
        assert (refused.returncode, json.loads(refused.stderr)["code"]) == (1, "BAD_RECEIPT")
        assert b.holdfast("migrate", "in", parcel).returncode == 0
        a.restart()
        b.restart()
        assert witness.ask(b, NOW - 2, NOW - 1, "b") == "412 DOUBLE_VOTE"
        assert witness.ask(b, NOW - 1, NOW, "b") == "signed"
        assert witness.ask(a, NOW - 1, NOW, "a") == "412 KEY_DISABLED"
    assert not witness.slashed
