"""2023-04, RockLogic, 11 validators: keys moved from A to B, were deleted on A in memory alone, and came back when A
was started again. 2025-09, Ankr and Allnodes, 40 validators: keys active in two places during a migration.

What leaves with `holdfast migrate out` is disabled in the record: a restart, a reload or the same key files change
nothing. What comes with a receipt knows its past, and no receipt is used twice.
"""

import json
import os
from hashlib import sha256
from pathlib import Path
from subprocess import CompletedProcess

from chain_witness import NOW, WITHOUT_QUARANTINE, Witness, signer_at
from running import RunningSigner, merged
from warm_starts import WARM_STARTS


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


def test_what_has_left_stays_away_and_what_has_come_knows_its_past(tmp_path: Path) -> None:
    """From a signer of one process to one with workers; the other way of arriving is proven by the moves below."""
    witness = Witness()
    with (
        signer_at(tmp_path / "a", WITHOUT_QUARANTINE) as a,
        signer_at(tmp_path / "b", {"server": {"workers": 2}}) as b,
    ):
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


def test_keys_move_through_the_worker_processes_of_a_signer_far_away(tmp_path: Path) -> None:
    """Over the network a worker answers, and the main process does what it passes on."""
    witness, token = Witness(), tmp_path / "token"
    token.write_text("mover-token-0123456789")
    token.chmod(0o600)
    mover = {
        "name": "mover",
        "token_sha256": sha256(token.read_bytes()).hexdigest(),
        "actions": ["keys:list", "keys:migrate"],
    }
    sections = {
        "server": {"workers": 2, "admin_over_network": True},
        "security": {"require_authentication": False, "principals": [mover]},
    }
    with signer_at(tmp_path / "a", merged(WITHOUT_QUARANTINE, sections)) as a, signer_at(tmp_path / "b", sections) as b:

        def far(signer: RunningSigner, *words: str | Path) -> CompletedProcess[str]:
            line = [*words, "--endpoint", f"http://127.0.0.1:{signer.port}", "--token-file", token]
            program = WARM_STARTS.program(os.environ)
            assert program is not None
            return program.run(line, seconds=120)

        assert witness.ask(a, NOW - 2, NOW - 1) == "signed"
        left = far(a, "migrate", "out", "--all", "--to", tmp_path / "first")
        assert left.returncode == 0, left.stderr
        assert witness.ask(a, NOW - 1, NOW, "a") == "412 KEY_DISABLED"
        words = ("migrate", "undo", tmp_path / "first", "--reason", "b is not ready", "--nothing-else-signs")
        back = far(a, *words, "--json")
        assert (back.returncode, json.loads(back.stdout)["floor_epoch"]) == (0, None), back.stderr
        assert witness.ask(a, NOW - 1, NOW, "a") == "signed"
        left = far(a, "migrate", "out", "--all", "--to", tmp_path / "second")
        assert left.returncode == 0, left.stderr
        came = far(b, "migrate", "in", tmp_path / "second")
        assert came.returncode == 0, came.stderr
        assert witness.ask(b, NOW - 1, NOW, "b") == "412 DOUBLE_VOTE"
        assert witness.ask(b, NOW, NOW + 1, "b") == "signed"
        assert far(a, *words).returncode == 1, "the receipt is set aside"
        (tmp_path / "first" / "receipt-undone.json").rename(tmp_path / "first" / "receipt.json")
        again = far(a, *words, "--json")
        assert (again.returncode, json.loads(again.stderr)["code"]) == (1, "BAD_RECEIPT")
        assert "later receipt" in again.stderr
        assert "keys_taken_back" in a.holdfast("audit", "show", "--json").stdout
    assert not witness.slashed


def test_a_move_that_is_undone_wrongly_costs_epochs_and_no_slashing(tmp_path: Path) -> None:
    """The operators believe that B never started. It did; and stopped before they took the keys back."""
    witness = Witness()
    waiting = {"keys": {"quarantine_epochs": 2}}
    with signer_at(tmp_path / "a", waiting) as a, signer_at(tmp_path / "b", waiting) as b:
        assert a.holdfast("keys", "release", a.public_keys()[0]).returncode == 0
        assert witness.ask(a, NOW - 2, NOW - 1) == "signed"
        parcel = tmp_path / "parcel"
        assert a.holdfast("migrate", "out", "--all", "--to", parcel).returncode == 0
        assert b.holdfast("migrate", "in", parcel).returncode == 0
        assert witness.ask(b, NOW - 1, NOW, "b") == "signed"
        b.stop()
        assert a.holdfast("migrate", "undo", parcel, "--reason", "b never started").returncode == 2, "no word is given"
        assert witness.ask(a, NOW - 1, NOW, "a") == "412 KEY_DISABLED"
        done = a.holdfast("migrate", "undo", parcel, "--reason", "b never started", "--nothing-else-signs")
        assert done.returncode == 0, done.stderr
        for target in (NOW, NOW + 1):
            assert witness.ask(a, NOW - 1, target, "a") == "412 BELOW_FLOOR"
    assert not witness.slashed
