"""Where passwords come from."""

import os
from pathlib import Path

import pytest

from signer.crypto.secret import Secret
from signer.errors import SecretSourceError
from signer.secret_sources.file import first_line, whole_file


@pytest.mark.parametrize(
    ("content", "first"),
    [
        (b"pass", b"pass"),
        (b"pass\n", b"pass"),
        (b"pass\r\nsecond", b"pass"),
        (b"pass\rsecond", b"pass"),
        (b" pass word \n", b" pass word "),
        ("pässwörd\n".encode(), "pässwörd".encode()),
    ],
)
def test_a_file_gives_its_first_line_or_all(tmp_path: Path, content: bytes, first: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    whole = whole_file(file)
    assert whole == Secret(content)
    assert first_line(whole, str(file)) == Secret(first)


@pytest.mark.parametrize(("path", "reason"), [("/nonexistent/password", "No such file"), ("/", "is a directory")])
def test_a_file_that_cannot_be_read_is_told(path: str, reason: str) -> None:
    with pytest.raises(SecretSourceError, match=reason):
        whole_file(Path(path))


@pytest.mark.parametrize("content", [b"", b"\n", b"  \r\n", b"\t"])
def test_a_blank_file_is_no_password(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(SecretSourceError, match="is blank"):
        whole_file(file)


def test_a_blank_first_line_is_no_password_though_more_follows() -> None:
    with pytest.raises(SecretSourceError, match="first line") as caught:
        first_line(Secret(b"\nhunter2\n"), "password")
    assert "hunter2" not in str(caught.value)


def test_a_pipe_or_a_huge_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SecretSourceError, match="not a regular file"):
        whole_file(tmp_path / "pipe")
    (tmp_path / "huge").write_bytes(b"x" * 70_000)
    with pytest.raises(SecretSourceError, match="70000 bytes"):
        whole_file(tmp_path / "huge")
