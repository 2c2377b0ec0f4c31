"""Every schema file has a number of its own, and no number is missing: else a change would be lost without a word."""

from importlib import resources
from pathlib import Path

import pytest

from signer.errors import StartupError
from signer.journal.schema_files import schema_files


@pytest.mark.parametrize("folder", ["migrations", "shared"])
def test_our_own_files_are_numbered_from_one_on_and_each_is_found(folder: str) -> None:
    files = resources.files("signer.journal") / folder
    numbered = [file.name for file in files.iterdir() if file.name.endswith(".sql") and file.name[0].isdigit()]
    found = schema_files(files)
    assert list(found) == list(range(1, len(numbered) + 1))
    assert sorted(numbered) == [file.name for file in found.values()]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("0001_a.sql", "0002_b.sql", "0002_c.sql"), "0002_b.sql and 0002_c.sql have the same number"),
        (("0001_a.sql", "0003_c.sql"), "no file with the number 0002 before 0003_c.sql"),
        (("0002_b.sql",), "no file with the number 0001 before 0002_b.sql"),
        (("0000_a.sql",), "no file with the number 0001 before 0000_a.sql"),
    ],
)
def test_a_number_that_stands_twice_or_is_missing_is_refused(
    tmp_path: Path, names: tuple[str, ...], words: str
) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(StartupError, match="schema files are broken") as refused:
        schema_files(tmp_path)
    assert words in refused.value.sentence


def test_files_of_other_names_are_left_alone(tmp_path: Path) -> None:
    for name in ("0001_a.sql", "web3signer_12.sql", "README.md", "__init__.py"):
        (tmp_path / name).touch()
    assert [file.name for file in schema_files(tmp_path).values()] == ["0001_a.sql"]
