"""The document of a deletion: where it may be written, and what becomes of a disk that refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from signer.errors import MalformedRequestError, UnavailableError
from signer.operations.deleted_history import DOCUMENT_PREFIX, open_document

NAME = DOCUMENT_PREFIX + "x"


@contextmanager
def nothing_on_record() -> Iterator[Any]:
    class Empty:
        def rows(self, _statement: str, _values: Any = ()) -> list[Any]:
            return []

    yield Empty()


def test_without_a_name_nothing_is_written(tmp_path: Path) -> None:
    with open_document(tmp_path, "") as document:
        document.add(b"{}")
        document.finish(nothing_on_record)
    assert list(tmp_path.iterdir()) == []


def test_the_elements_are_written_into_the_file_of_that_name(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    with open_document(tmp_path, NAME) as document:
        document.add(b"{1}")
        document.add(b"")
        document.add(b"{2}")
        document.finish(nothing_on_record)
    assert b'"data": [{1},{2}' in (tmp_path / NAME).read_bytes()


@pytest.mark.parametrize("name", ["head", "../head", "vault/sealed-keys.jsonl", "/etc/passwd"])
def test_no_other_file_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "head").write_text("as it was")
    with pytest.raises(MalformedRequestError), open_document(tmp_path, name):
        pass
    assert (tmp_path / "head").read_text() == "as it was"


@pytest.mark.parametrize("place", [NAME, f"elsewhere/{NAME}"])
def test_a_file_that_is_not_there_is_not_made(tmp_path: Path, place: str) -> None:
    with pytest.raises(UnavailableError, match="asking again gives it"), open_document(tmp_path, place):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to("/dev/full")

    def write() -> None:
        with open_document(tmp_path, NAME) as document:
            document.add(b"{}")
            document.finish(nothing_on_record)

    with pytest.raises(UnavailableError, match="asking again gives it"):
        write()
