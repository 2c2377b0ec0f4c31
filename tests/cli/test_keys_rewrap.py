"""`holdfast keys rewrap`: another master key opens the sealed keys, and the old one does not."""

from pathlib import Path

import pytest
from cli_line import Cli

from signer.crypto.secret import Secret
from signer.errors import StartupError
from signer.journal.lock import DirectoryLock
from signer.keys.data_key import KeyFileUnlock, PasswordUnlock
from signer.keys.vault import open_vault

DEVELOPMENT = ("--preset", "development", "--data-directory", "data")


@pytest.fixture
def vault(cli: Cli, tmp_path: Path) -> Path:
    """The vault of a signer that has been started once."""
    assert cli("init", *DEVELOPMENT).code == 0
    open_vault(tmp_path / "data/vault", KeyFileUnlock(tmp_path / "data/master.key"))
    return tmp_path / "data/vault"


def test_a_password_takes_the_place_of_the_key_file_and_back(cli: Cli, vault: Path, tmp_path: Path) -> None:
    old = KeyFileUnlock(tmp_path / "data/master.key")
    (tmp_path / "password").touch(mode=0o600)
    (tmp_path / "password").write_text("a long enough password\n")
    said = cli("keys", "rewrap", "--password-file", "password", *DEVELOPMENT)
    assert (said.code, said.err) == (0, "")
    assert f"storage.master_key.password_file: {tmp_path}/password" in said.out
    open_vault(vault, PasswordUnlock(Secret(b"a long enough password")))
    with pytest.raises(StartupError):
        open_vault(vault, old)

    line = (*DEVELOPMENT, "--set", "storage.master_key.password_file=password")
    assert cli("keys", "rewrap", "--key-file", "new.key", *line).code == 0
    assert (tmp_path / "new.key").stat().st_mode & 0o777 == 0o600
    open_vault(vault, KeyFileUnlock(tmp_path / "new.key"))


def test_nothing_is_changed_while_a_signer_runs_or_with_the_wrong_key(cli: Cli, vault: Path, tmp_path: Path) -> None:
    before = (vault / "vault.json").read_bytes()
    lock = DirectoryLock(tmp_path / "data")
    try:
        assert cli("keys", "rewrap", "--key-file", "new.key", *DEVELOPMENT).code == 1
    finally:
        lock.close()
    (tmp_path / "data/master.key").write_bytes(b"x" * 32)
    said = cli("keys", "rewrap", "--key-file", "new.key", *DEVELOPMENT)
    assert said.code == 1
    assert "does not open" in said.err
    assert (vault / "vault.json").read_bytes() == before


def test_a_signer_that_never_ran_has_nothing_to_rewrap(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", *DEVELOPMENT).code == 0
    said = cli("keys", "rewrap", "--key-file", "new.key", *DEVELOPMENT)
    assert said.code == 1
    assert "no sealed keys" in said.err


@pytest.mark.parametrize("words", [(), ("--key-file", "a", "--password-file", "b"), ("--endpoint", "http://localhost")])
def test_one_new_way_to_open_is_named_on_this_machine(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli("keys", "rewrap", *words, *DEVELOPMENT).code == 2
