"""Where passwords come from."""

import os
from pathlib import Path

import pytest

from signer.crypto.secret import Secret
from signer.errors import SecretSourceError
from signer.secret_sources.registry import SecretSources, secret_sources


def nobody(_question: str) -> str:
    raise EOFError


@pytest.fixture
def sources() -> SecretSources:
    return secret_sources({"VAULT_PASSWORD": "from the environment", "EMPTY": ""}, ask=lambda question: f"<{question}>")


@pytest.mark.parametrize(
    ("content", "first", "whole"),
    [
        (b"pass", b"pass", b"pass"),
        (b"pass\n", b"pass", b"pass\n"),
        (b"pass\r\nsecond", b"pass", b"pass\r\nsecond"),
        (b"pass\rsecond", b"pass", b"pass\rsecond"),
        (b" pass word \n", b" pass word ", b" pass word \n"),
        ("pässwörd\n".encode(), "pässwörd".encode(), "pässwörd\n".encode()),
    ],
)
def test_a_file_gives_its_first_line_or_all(
    sources: SecretSources, tmp_path: Path, content: bytes, first: bytes, whole: bytes
) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    assert sources.read(f"file:{file}") == Secret(first)
    assert sources.read(f"file+whole:{file}") == Secret(whole)


def test_a_variable_is_read_from_the_mapping_that_was_given(sources: SecretSources) -> None:
    assert sources.read("env:VAULT_PASSWORD") == Secret(b"from the environment")


def test_a_prompt_asks_its_question(sources: SecretSources) -> None:
    assert sources.read("prompt:vault password") == Secret(b"<vault password: >")
    assert sources.read("prompt:") == Secret(b"<password: >")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("env:MISSING", "MISSING is not set"),
        ("env:EMPTY", "EMPTY is not set or is empty"),
        ("file:/nonexistent/password", "No such file"),
        ("file:/", "is a directory"),
        ("vault:secret/data", "begin with one of env:, file:, file\\+whole:, prompt:"),
        ("hunter2", "begin with one of"),
        ("", "begin with one of"),
    ],
)
def test_a_source_without_a_secret_says_what_is_wrong(sources: SecretSources, uri: str, reason: str) -> None:
    with pytest.raises(SecretSourceError, match=reason) as caught:
        sources.read(uri)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"  \r\n", b"\t"])
def test_a_blank_file_is_no_password(sources: SecretSources, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    for scheme in ("file", "file+whole"):
        with pytest.raises(SecretSourceError, match="is blank"):
            sources.read(f"{scheme}:{file}")


def test_a_blank_first_line_is_no_password_though_more_follows(sources: SecretSources, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"\nhunter2\n")
    with pytest.raises(SecretSourceError, match="first line") as caught:
        sources.read(f"file:{file}")
    assert "hunter2" not in str(caught.value)


def test_a_pipe_or_a_huge_file_is_refused_at_once(sources: SecretSources, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SecretSourceError, match="not a regular file"):
        sources.read(f"file:{tmp_path / 'pipe'}")
    (tmp_path / "huge").write_bytes(b"x" * 70_000)
    with pytest.raises(SecretSourceError, match="70000 bytes"):
        sources.read(f"file:{tmp_path / 'huge'}")


@pytest.mark.parametrize(("ask", "reason"), [(nobody, "nobody is at the terminal"), (lambda _: "", "nothing was")])
def test_a_prompt_without_an_answer_is_an_error(ask: object, reason: str) -> None:
    with pytest.raises(SecretSourceError, match=reason):
        secret_sources({}, ask=ask).read("prompt:")
