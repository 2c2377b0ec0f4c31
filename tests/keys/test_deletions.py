"""Deletions under way: noted before the tombstone, struck out with the last file, ended by the next start."""

from pathlib import Path

import pytest

from signer.errors import StartupError
from signer.keys.deletions import Deletions

ONE, OTHER = "0x" + "11" * 48, "22" * 48


def test_a_name_stands_until_it_is_struck_out_whoever_reads(tmp_path: Path) -> None:
    deletions = Deletions(tmp_path / "deletions")
    assert deletions.names() == ()
    deletions.begin(ONE)
    deletions.begin(OTHER)
    deletions.begin(ONE)
    assert Deletions(tmp_path / "deletions").names() == (ONE, OTHER)
    deletions.end(ONE)
    deletions.end("0x" + "33" * 48)
    assert Deletions(tmp_path / "deletions").names() == (OTHER,)
    assert (tmp_path / "deletions").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    ["", "holdfast deletions 2\n" + ONE, "holdfast deletions 1\n../../etc/passwd\n0x12\n" + ONE + "/..\n*\n\n"],
)
def test_what_is_no_name_leads_to_no_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "deletions"
    file.write_text(content)
    file.chmod(0o600)
    assert Deletions(file).names() == ()


def test_a_list_that_others_may_write_is_not_followed(tmp_path: Path) -> None:
    file = tmp_path / "deletions"
    file.write_text("holdfast deletions 1\n" + ONE + "\n")
    file.chmod(0o666)
    with pytest.raises(StartupError):
        Deletions(file).names()
