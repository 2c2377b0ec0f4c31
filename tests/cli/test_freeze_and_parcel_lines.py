"""What `holdfast freeze`, `thaw` and `migrate` say where the order did not do what its giver may think."""

from pathlib import Path

import pytest
from aiohttp import web
from cli_line import KEY_A, AdminServer, Cli

from signer.cli.parcel import find_parcel, prepare_parcel
from signer.cli.problem import find_remedy
from signer.errors import DatabaseDownError, KeyQuarantinedError, UnreadableFileError

SHOWN = "0x" + KEY_A.hex()
DEVELOPMENT = ("--preset", "development", "--data-directory", "data")
STILL = "still frozen by tag:lido (holdfast thaw tag:lido): it signs nothing"


@pytest.fixture
def frozen(server: AdminServer, data: Path) -> None:
    """A server whose keys are frozen by tags."""

    async def freeze(request: web.Request) -> web.Response:
        words = (await request.json())["keys"]
        return web.json_response({"keys": [{"public_key": word, "status": "frozen", "message": ""} for word in words]})

    async def thaw(request: web.Request) -> web.Response:
        words = (await request.json())["keys"]
        told = [{"public_key": word, "status": "not_frozen", "message": STILL} for word in words]
        return web.json_response({"keys": told})

    tags = [{"tag": "nosuch", "since_ms": 1, "keys": 0}, {"tag": "lido", "since_ms": 1, "keys": 2}]
    server.answer("POST", "/admin/keys/freeze", freeze)
    server.answer("POST", "/admin/keys/thaw", thaw)
    server.answer_json("GET", "/admin/keys/frozen", {"all_since_ms": None, "keys": [], "tags": tags})
    server.listen_on_socket(data / "admin.sock")


@pytest.mark.parametrize(("word", "is_warned"), [("tag:nosuch", True), ("tag:lido", False), (SHOWN, False)])
def test_a_tag_that_nobody_bears_is_frozen_with_a_warning(
    cli: Cli, frozen: None, word: str, *, is_warned: bool
) -> None:
    said = cli("freeze", word, *DEVELOPMENT)
    assert said.code == 0
    assert ("no key bears tag:nosuch now" in said.err) is is_warned


@pytest.mark.parametrize(("word", "is_warned"), [("0x" + "00" * 48, True), (SHOWN, False), ("all", False)])
def test_a_key_that_nobody_here_holds_is_frozen_with_a_warning(
    cli: Cli, frozen: None, word: str, *, is_warned: bool
) -> None:
    said = cli("freeze", word, *DEVELOPMENT)
    assert said.code == 0
    assert (f"no signer here holds {word}" in said.err) is is_warned


def test_a_key_that_is_thawed_and_still_frozen_is_exit_code_1(cli: Cli, frozen: None) -> None:
    said = cli("thaw", SHOWN, *DEVELOPMENT)
    assert said.code == 1
    assert "holdfast thaw tag:lido" in said.out


def test_a_refusal_that_knows_no_remedy_has_that_of_its_code() -> None:
    assert "stop the signers" in (find_remedy(DatabaseDownError("it does not answer")) or "")
    waiting = KeyQuarantinedError(SHOWN, until_epoch=7, until_seconds=None)
    assert "holdfast keys release" in (find_remedy(waiting) or "")


def test_what_fails_leaves_no_empty_history_behind(tmp_path: Path) -> None:
    parcel = prepare_parcel(tmp_path / "parcel")
    assert parcel.history.exists()
    parcel.abandon()
    assert not (tmp_path / "parcel").exists()
    (tmp_path / "kept").mkdir(mode=0o700)
    (tmp_path / "kept" / "other").touch()
    prepare_parcel(tmp_path / "kept").abandon()
    assert [file.name for file in (tmp_path / "kept").iterdir()] == ["other"]


def test_an_undone_parcel_says_so(tmp_path: Path) -> None:
    parcel = prepare_parcel(tmp_path / "parcel")
    parcel.receipt.touch()
    parcel.retire()
    with pytest.raises(UnreadableFileError, match="the move was undone with this receipt"):
        find_parcel(tmp_path / "parcel")


def test_a_parcel_without_a_receipt_says_what_that_means(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="no receipt here"):
        find_parcel(tmp_path)
