"""`python -m interchange` as an operator sees it: what it prints, what it writes, how it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from interchange_samples import PUBKEY, ROOT, small

from interchange import (
    Interchange,
    Metadata,
    SignedAttestation,
    SignedBlock,
    ValidatorHistory,
    read_interchange,
    serialise_arranged,
)
from interchange.__main__ import main

REPOSITORY = Path(__file__).resolve().parents[2]
OTHER = bytes(48)
KEY = "0x" + PUBKEY.hex()


def written(path: Path, *validators: ValidatorHistory, root: bytes = ROOT) -> Path:
    path.write_bytes(serialise_arranged(Interchange(Metadata(root), validators)))
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    history = ValidatorHistory(
        PUBKEY, (SignedBlock(4, ROOT), SignedBlock(9, ROOT)), (SignedAttestation(1, 2, ROOT), SignedAttestation(2, 3))
    )
    return written(tmp_path / "sound.json", history)


@pytest.fixture
def slashable(tmp_path: Path) -> Path:
    votes = (SignedAttestation(1, 9, ROOT), SignedAttestation(2, 3, ROOT), SignedAttestation(9, 8, ROOT))
    blocks = (SignedBlock(4, ROOT), SignedBlock(4))
    twice = (SignedAttestation(1, 2, ROOT), SignedAttestation(0, 2, bytes(32)))
    histories = (ValidatorHistory(PUBKEY, blocks, votes), ValidatorHistory(OTHER, (), twice))
    return written(tmp_path / "slashable.json", *histories)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "interchange", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_a_file_that_cannot_be_read_or_written_is_told_by_its_name(sound: Path, tmp_path: Path) -> None:
    missing, nowhere = tmp_path / "missing.json", tmp_path / "nowhere" / "out.json"
    said = run("check", missing)
    assert (said.returncode, said.stderr) == (2, f"interchange: {missing}: No such file or directory\n")
    said = run("merge", sound, "-o", nowhere)
    assert (said.returncode, said.stderr) == (
        2,
        f"interchange: {nowhere}: cannot be written: No such file or directory\n",
    )


def test_it_runs_as_a_program_and_its_help_names_commands_and_exit_codes() -> None:
    help_text = run("--help")
    assert help_text.returncode == 0
    for word in ("check", "minify", "merge", "diff", "show", "exit codes"):
        assert word in help_text.stdout
    assert run().returncode == 2
    assert run("diff", "one").returncode == 2


def test_a_sound_file_passes_the_check(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(sound)]) == 0
    assert capsys.readouterr().out == f"{sound}: nothing slashable\n"


def test_the_check_names_validator_and_pair(slashable: Path, sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(slashable), str(sound)]) == 1
    out = capsys.readouterr().out
    assert f"{KEY}: two blocks in slot 4: no root and 0x{ROOT.hex()}" in out
    assert f"{KEY}: vote 1->9 (0x{ROOT.hex()}) surrounds vote 2->3" in out
    assert f"{KEY}: vote 9->8 (0x{ROOT.hex()}) has its source after its target" in out
    assert f"0x{OTHER.hex()}: two votes for target 2: 0->2" in out
    assert f"{slashable}: 5 conflicts in 2 validators" in out
    assert f"{sound}: nothing slashable" in out


def test_the_check_in_json_has_a_code_for_every_finding(slashable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(slashable)]) == 1
    findings = json.loads(capsys.readouterr().out)[str(slashable)]
    codes = {"DOUBLE_BLOCK", "DOUBLE_VOTE", "SURROUND_VOTE", "BACKWARD_VOTE"}
    assert {finding["code"] for finding in findings} == codes
    surrounds = [finding for finding in findings if finding["code"] == "SURROUND_VOTE"]
    assert [finding["surrounding"]["target_epoch"] for finding in surrounds] == ["9", "9"]
    assert [finding["surrounded"]["target_epoch"] for finding in surrounds] == ["3", "8"]


def test_many_findings_are_counted_not_all_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = tuple(SignedBlock(slot, root) for slot in range(150) for root in (None, ROOT))
    assert main(["check", str(written(tmp_path / "many.json", ValidatorHistory(PUBKEY, blocks)))]) == 1
    out = capsys.readouterr().out
    assert "and 50 more" in out
    assert out.count("two blocks") == 100


def test_minify_writes_the_highest_of_each_field(sound: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["minify", str(sound)]) == 0
    document = read_interchange([capsysbinary.readouterr().out])
    assert document.validators == (ValidatorHistory(PUBKEY, (SignedBlock(9),), (SignedAttestation(2, 3),)),)


def test_merge_writes_a_whole_file_in_place_of_the_old_one(tmp_path: Path, sound: Path) -> None:
    second = written(tmp_path / "second.json", ValidatorHistory(PUBKEY, (SignedBlock(11),)), ValidatorHistory(OTHER))
    assert main(["merge", str(sound), str(second), "--output", str(sound)]) == 0
    document = read_interchange([sound.read_bytes()])
    merged = ValidatorHistory(PUBKEY, (SignedBlock(11),), (SignedAttestation(2, 3),))
    assert document.validators == (ValidatorHistory(OTHER), merged)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["second.json", "sound.json"]


def test_a_merge_that_fails_leaves_the_old_file(tmp_path: Path, sound: Path) -> None:
    output = tmp_path / "output.json"
    output.write_text("old")
    foreign = written(tmp_path / "foreign.json", root=bytes(32))
    failed = run("merge", sound, foreign, "-o", output)
    assert failed.returncode == 2
    assert f"{foreign}: $.metadata.genesis_validators_root" in failed.stderr
    assert output.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3


def test_an_output_that_cannot_be_written_is_said(tmp_path: Path, sound: Path) -> None:
    target = tmp_path / "directory"
    target.mkdir()
    failed = run("minify", sound, "-o", target)
    assert failed.returncode == 2
    assert "directory" in failed.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["directory", "sound.json"]


def test_diff_marks_who_would_fall(tmp_path: Path, sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = written(
        tmp_path / "second.json",
        ValidatorHistory(PUBKEY, (SignedBlock(4, ROOT),), (SignedAttestation(1, 2, ROOT), SignedAttestation(2, 7))),
        ValidatorHistory(OTHER, (SignedBlock(1),)),
    )
    assert main(["diff", str(sound), str(sound)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["diff", str(sound), str(second)]) == 1
    out = capsys.readouterr().out
    assert f"+ 0x{OTHER.hex()}: only in the second: 1 block (slots 1), 0 attestations" in out
    assert f"~ LOWER {KEY}: 2 records only in the first, 1 record only in the second" in out
    assert main(["diff", str(second), str(sound), "--json"]) == 1
    values = json.loads(capsys.readouterr().out)
    assert [(value["pubkey"], value["second"] is None, value["lowers"]) for value in values] == [
        ("0x" + OTHER.hex(), True, True),
        (KEY, False, True),
    ]
    assert main(["diff", str(second), str(sound)]) == 1
    assert f"- LOWER 0x{OTHER.hex()}: only in the first" in capsys.readouterr().out


def test_files_of_two_chains_are_not_compared(tmp_path: Path, sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = written(tmp_path / "foreign.json", root=bytes(32))
    assert main(["diff", str(sound), str(foreign)]) == 2
    assert str(foreign) in capsys.readouterr().err


def test_show_tells_what_is_in_a_file(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(sound)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{sound}: genesis_validators_root 0x{ROOT.hex()}, 1 validator"
    assert second == f"{KEY}: 2 blocks (slots 4 to 9), 2 attestations (sources 1 to 2, targets 2 to 3)"
    assert main(["show", "--json", str(sound)]) == 0
    shown = json.loads(capsys.readouterr().out)[str(sound)]
    assert shown["validators"][KEY]["slots"] == {"lowest": "4", "highest": "9"}


@pytest.mark.parametrize("command", ["check", "minify", "merge", "show"])
def test_a_file_that_cannot_be_read_is_named_with_its_fault(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(small(signed_blocks=[{"slot": 5}])))
    assert main([command, str(broken)]) == 2
    assert f"{broken}: $.data[0].signed_blocks[0].slot (line 1, column" in capsys.readouterr().err
    assert main([command, str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err
