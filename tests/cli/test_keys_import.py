"""`holdfast keys import`: keystores are opened and checked before a copy is made, and a running server loads them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from cli_line import AdminServer, Cli

from signer.crypto.bls import SecretKey, load
from signer.crypto.secret import Secret
from signer.keys.key_files import read_key_files
from signer.keys.keystore import Pbkdf2Cost
from signer.keys.keystore_writer import encode_keystore
from signer.keys.public_test_keys import interop_secret

DEVELOPMENT = ("--preset", "development", "--data-directory", "data")
PASSWORD = Secret(b"correct horse")


@pytest.fixture
def keystore(tmp_path: Path) -> Callable[..., str]:
    """Writes a keystore that opens quickly, and gives its public key."""

    def write(name: str, secret: bytes, *, named: bytes | None = None) -> str:
        key = SecretKey.from_bytes(secret)
        public_key = load().public_key(SecretKey.from_bytes(named) if named else key)
        (tmp_path / "in").mkdir(exist_ok=True)
        content = encode_keystore(key, public_key, PASSWORD, cost=Pbkdf2Cost(1))
        (tmp_path / "in" / f"{name}.json").write_bytes(content)
        return "0x" + public_key.hex()

    (tmp_path / "password.txt").write_bytes(PASSWORD.reveal() + b"\nsecond line\n")
    return write


def test_a_directory_of_keystores_is_imported(
    cli: Cli, keystore: Callable[..., str], tmp_path: Path, data: Path
) -> None:
    first, second = keystore("a", b"\1" * 32), keystore("b", b"\2" * 32)
    said = cli("keys", "import", "in", "--passwords", "password.txt", *DEVELOPMENT)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[:2] == [f"imported\t{first}\tin/a.json", f"imported\t{second}\tin/b.json"]
    assert "at the next start" in said.out

    keys = data / "keys"
    assert keys.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in keys.iterdir()} == {0o600}
    found = read_key_files(keys)
    assert (len(found.entries), found.errors) == (2, [])
    assert (keys / f"{first}.json").read_bytes() == (tmp_path / "in/a.json").read_bytes()
    assert (keys / f"{first}.txt").read_bytes() == PASSWORD.reveal() + b"\n"


def test_a_password_file_that_is_not_there_is_told_once(
    cli: Cli, keystore: Callable[..., str], tmp_path: Path, data: Path
) -> None:
    keystore("a", b"\1" * 32)
    keystore("b", b"\2" * 32)
    said = cli("keys", "import", "in", "--passwords", "missing.txt", *DEVELOPMENT)
    assert (said.code, said.out) == (1, "")
    assert said.err.count("missing.txt cannot be read") == said.err.count("error: ") == 1
    assert not (data / "keys").exists()


def test_an_import_again_changes_nothing(cli: Cli, keystore: Callable[..., str], data: Path) -> None:
    keystore("a", b"\1" * 32)
    line = ("keys", "import", "in/a.json", "--passwords", "password.txt", "--json", *DEVELOPMENT)
    cli(*line)
    before = {path: path.stat().st_mtime_ns for path in (data / "keys").iterdir()}
    said = cli(*line)
    assert (said.code, said.json["keystores"][0]["outcome"]) == (0, "present")
    assert {path: path.stat().st_mtime_ns for path in (data / "keys").iterdir()} == before


def test_one_bad_keystore_fails_alone_and_leaves_nothing(
    cli: Cli, keystore: Callable[..., str], tmp_path: Path, data: Path
) -> None:
    good = keystore("a", b"\1" * 32)
    keystore("foreign", b"\2" * 32, named=b"\3" * 32)
    (tmp_path / "in/zgarbage.json").write_text("{}")
    said = cli("keys", "import", "in", "--passwords", "password.txt", "--json", *DEVELOPMENT)
    assert said.code == 1
    rows = said.json["keystores"]
    assert [row["outcome"] for row in rows] == ["imported", "failed", "failed"]
    assert "not the public key" in rows[1]["error"]
    assert sorted(each.name for each in (data / "keys").iterdir()) == [f"{good}.json", f"{good}.txt", f"{good}.yaml"]


def test_a_wrong_password_imports_nothing_and_is_not_repeated(
    cli: Cli, keystore: Callable[..., str], tmp_path: Path, data: Path
) -> None:
    keystore("a", b"\1" * 32)
    (tmp_path / "password.txt").write_text("a wrong secret\n")
    said = cli("keys", "import", "in", "--passwords", "password.txt", *DEVELOPMENT)
    assert said.code == 1
    assert "does not open the keystore" in said.out
    assert "a wrong secret" not in said.out + said.err
    assert said.out.splitlines()[-1] == "Nothing was imported."
    assert list((data / "keys").iterdir()) == []


def test_a_directory_of_passwords_has_one_for_each_keystore(
    cli: Cli, keystore: Callable[..., str], tmp_path: Path, data: Path
) -> None:
    keystore("a", b"\1" * 32)
    keystore("b", b"\2" * 32)
    (tmp_path / "passwords").mkdir()
    (tmp_path / "passwords/a.txt").write_bytes(PASSWORD.reveal())
    said = cli("keys", "import", "in", "--passwords", "passwords", "--json", *DEVELOPMENT)
    assert [row["outcome"] for row in said.json["keystores"]] == ["imported", "failed"]
    assert "b.txt" in said.json["keystores"][1]["error"]


def test_production_takes_no_published_test_key(cli: Cli, keystore: Callable[..., str], data: Path) -> None:
    keystore("a", interop_secret(5))
    line = ("keys", "import", "in", "--passwords", "password.txt", "--data-directory", "data")
    said = cli(*line)
    assert said.code == 1
    assert "published test key" in said.out
    assert cli(*line, "--preset", "development").code == 0


@pytest.mark.parametrize("what", ["nothing.json", "empty"])
def test_where_there_is_no_keystore_the_command_says_so(cli: Cli, tmp_path: Path, data: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    said = cli("keys", "import", what, "--passwords", "x", *DEVELOPMENT)
    assert said.code == 1
    assert what in said.err


def test_a_running_server_loads_the_new_keys_at_once(
    cli: Cli, keystore: Callable[..., str], server: AdminServer, data: Path
) -> None:
    answers = iter(["completed", "running", "running", "completed_with_errors"])

    async def status(_request: web.Request) -> web.Response:
        return web.json_response({"status": next(answers)})

    server.answer("GET", "/reload", status)
    server.listen_on_socket(data / "admin.sock")
    keystore("a", b"\1" * 32)
    said = cli("keys", "import", "in", "--passwords", "password.txt", *DEVELOPMENT)
    assert said.code == 0
    assert said.out.endswith("The running server loaded its keys anew: completed_with_errors.\n")
    asked = [f"{method} {path}" for method, path, _ in server.requests]
    assert asked == ["GET /reload", "POST /admin/reload", "GET /reload", "GET /reload", "GET /reload"]


def test_an_import_of_nothing_new_bothers_no_server(
    cli: Cli, keystore: Callable[..., str], server: AdminServer, data: Path
) -> None:
    keystore("a", b"\1" * 32)
    line = ("keys", "import", "in", "--passwords", "password.txt", *DEVELOPMENT)
    cli(*line)
    server.listen_on_socket(data / "admin.sock")
    assert cli(*line).code == 0
    assert server.requests == []
