"""Private keys at rest: what is sealed opens again, and nothing else does."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from signer.crypto.bls import SecretKey
from signer.crypto.kdf import Argon2Cost
from signer.crypto.secret import Secret
from signer.errors import SealError, StartupError
from signer.keys.data_key import KeyFileUnlock, PasswordUnlock, create_key_file, rewrap_data_key
from signer.keys.key import Key, Origin
from signer.keys.sealed_key import SealedKey
from signer.keys.vault import OpenedKey, Vault, open_vault

CHEAP = Argon2Cost(iterations=1, lanes=1, memory_kib=8)
UNLOCK = PasswordUnlock(Secret(b"vault password"), CHEAP)
SECRET = b"\x5a" * 32


def opened(house: Any, number: int, source: str = "/keys/a.json") -> OpenedKey:
    secret = SecretKey.from_bytes(SECRET) if number == 0 else house.secret(number)
    public_key = house.bls.public_key(secret)
    key = Key(public_key, secret, Origin.KEYSTORE_FILE, Path(source), derivation_path="m/1")
    return OpenedKey(key, bytes([number]) * 32)


def everything(_: SealedKey) -> bool:
    return True


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "vault"


@pytest.fixture
def vault(directory: Path) -> Vault:
    return open_vault(directory, UNLOCK)


def reopened(directory: Path) -> Vault:
    return open_vault(directory, UNLOCK)


def test_a_sealed_key_comes_back_after_a_restart(house: Any, vault: Vault, directory: Path) -> None:
    vault.rewrite(everything, [opened(house, 0)])
    content = reopened(directory).read()
    assert content.fault is None
    (sealed,) = content.keys
    key = reopened(directory).open(sealed, Path("/keys/a.json"))
    assert key.secret.to_secret().reveal() == SECRET
    assert (key.public_key, key.origin, key.derivation_path, key.source_file) == (
        opened(house, 0).key.public_key,
        Origin.KEYSTORE_FILE,
        "m/1",
        Path("/keys/a.json"),
    )


def test_no_file_of_the_vault_shows_a_secret_or_is_open_to_others(house: Any, vault: Vault, directory: Path) -> None:
    vault.rewrite(everything, [opened(house, 0)])
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    names = sorted(os.listdir(directory))
    assert names == ["sealed-keys.jsonl", "vault.json"]
    for name in names:
        content = (directory / name).read_bytes()
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
        for telltale in (SECRET, SECRET[::-1], SECRET.hex().encode(), b"Wlpa", b"password\n", UNLOCK.password.reveal()):
            assert telltale not in content


def test_rewriting_keeps_some_and_adds_others(house: Any, vault: Vault) -> None:
    vault.rewrite(everything, [opened(house, number) for number in (1, 2, 3)])
    vault.rewrite(lambda sealed: sealed.fingerprint[0] != 2, [opened(house, 4)])
    assert [sealed.fingerprint[0] for sealed in vault.read().keys] == [1, 3, 4]


def test_a_fingerprint_tells_changes_of_keystore_password_and_source_apart(vault: Vault) -> None:
    prints = {
        vault.fingerprint(Origin.KEYSTORE_FILE, b"keystore", Secret(b"password")),
        vault.fingerprint(Origin.KEYSTORE_FILE, b"keystor", Secret(b"epassword")),
        vault.fingerprint(Origin.KEYSTORE_FILE, b"keystore", Secret(b"password\n")),
        vault.fingerprint(Origin.KEYSTORE_FILE, b"keystore ", Secret(b"password")),
        vault.fingerprint(Origin.BULK_KEYSTORE, b"keystore", Secret(b"password")),
    }
    assert len(prints) == 5


def test_fingerprints_of_two_vaults_differ_so_that_they_help_no_guesser(vault: Vault, tmp_path: Path) -> None:
    other = open_vault(tmp_path / "other", UNLOCK)
    arguments = (Origin.KEYSTORE_FILE, b"keystore", Secret(b"password"))
    assert vault.fingerprint(*arguments) != other.fingerprint(*arguments)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("public_key", "AAAA"),
        ("origin", "imported"),
        ("derivation_path", "m/2"),
        ("source", "/elsewhere"),
        ("fingerprint", "AAAA"),
    ],
)
def test_every_altered_member_breaks_the_seal_of_its_line(house: Any, vault: Vault, member: str, value: str) -> None:
    vault.rewrite(everything, [opened(house, 1)])
    head, line = vault.file.read_text().splitlines()
    vault.file.write_text(head + "\n" + json.dumps(json.loads(line) | {member: value}) + "\n")
    content = vault.read()
    assert content.fault is not None
    (sealed,) = content.keys
    with pytest.raises(SealError, match="another key, or it was changed"):
        vault.open(sealed, Path("x"))


def test_two_keys_cannot_be_exchanged(house: Any, vault: Vault) -> None:
    vault.rewrite(everything, [opened(house, 1), opened(house, 2)])
    head, *lines = vault.file.read_text().splitlines()
    first, second = map(json.loads, lines)
    first["sealed"], second["sealed"] = second["sealed"], first["sealed"]
    vault.file.write_text("\n".join([head, json.dumps(first), json.dumps(second)]) + "\n")
    for sealed in vault.read().keys:
        with pytest.raises(SealError):
            vault.open(sealed, Path("x"))


@pytest.mark.parametrize("damage", ["drop a line", "swap lines", "cut", "append", "no header", "binary", "empty"])
def test_any_change_of_the_file_is_noticed_and_what_is_whole_still_opens(house: Any, vault: Vault, damage: str) -> None:
    vault.rewrite(everything, [opened(house, 1), opened(house, 2)])
    lines = vault.file.read_bytes().splitlines(keepends=True)
    damaged, whole = {
        "drop a line": (lines[:2], 1),
        "swap lines": ([lines[0], lines[2], lines[1]], 2),
        "cut": ([lines[0], lines[1], lines[2][:-20]], 1),
        "append": ([*lines, b'{"more": 1}\n'], 2),
        "no header": (lines[1:], 1),
        "binary": ([bytes(range(256))], 0),
        "empty": ([], 0),
    }[damage]
    vault.file.write_bytes(b"".join(damaged))
    content = vault.read()
    assert content.fault is not None
    assert len([vault.open(sealed, Path("x")) for sealed in content.keys]) == whole


def test_a_damaged_file_is_set_aside_and_never_overwritten(house: Any, vault: Vault, directory: Path) -> None:
    vault.rewrite(everything, [opened(house, 1), opened(house, 2)])
    damaged = vault.file.read_bytes()[:-20]
    vault.file.write_bytes(damaged)
    vault.rewrite(everything, [])
    assert vault.read().fault is None
    (aside,) = directory.glob("sealed-keys.jsonl.damaged-*")
    assert aside.read_bytes() == damaged


def test_imported_keys_are_kept_without_a_source(house: Any, vault: Vault) -> None:
    key = Key(house.public_key(9), house.secret(9), Origin.IMPORTED, vault.file)
    vault.add_imported([key])
    vault.add_imported([key])
    (sealed,) = vault.read().keys
    assert (sealed.origin, sealed.source) == (Origin.IMPORTED, "")


def test_a_wrong_password_does_not_open_and_changes_nothing(house: Any, vault: Vault, directory: Path) -> None:
    vault.rewrite(everything, [opened(house, 1)])
    before = {name: (directory / name).read_bytes() for name in os.listdir(directory)}
    with pytest.raises(StartupError, match="password does not open the vault") as caught:
        open_vault(directory, PasswordUnlock(Secret(b"hunter2"), CHEAP))
    assert "hunter2" not in str(caught.value) + caught.value.remedy
    assert {name: (directory / name).read_bytes() for name in os.listdir(directory)} == before


def test_a_key_file_opens_what_it_sealed_and_another_does_not(house: Any, tmp_path: Path) -> None:
    for name in ("right.key", "wrong.key"):
        create_key_file(tmp_path / name)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    unlock = KeyFileUnlock(tmp_path / "right.key")
    open_vault(tmp_path / "v", unlock).rewrite(everything, [opened(house, 1)])
    assert len(open_vault(tmp_path / "v", unlock).read().keys) == 1
    with pytest.raises(StartupError, match=r"key file .*wrong.key does not open"):
        open_vault(tmp_path / "v", KeyFileUnlock(tmp_path / "wrong.key"))
    with pytest.raises(StartupError, match="opens with a key-file"):
        open_vault(tmp_path / "v", UNLOCK)
    with pytest.raises(FileExistsError):
        create_key_file(tmp_path / "right.key")


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (b"x" * 31, 0o600, "31 bytes"),
        (b"x" * 33, 0o600, "33 bytes"),
        (b"x" * 32, 0o640, "mode 0640"),
        (None, 0, "there is no master key"),
    ],
)
def test_a_key_file_that_is_wrong_or_open_to_others_is_refused(
    tmp_path: Path, content: bytes | None, mode: int, reason: str
) -> None:
    file = tmp_path / "vault.key"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    with pytest.raises(StartupError, match=reason):
        open_vault(tmp_path / "v", KeyFileUnlock(file))


def test_without_a_master_key_no_vault_is_begun_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="there is no master key") as raised:
        open_vault(tmp_path / "v", KeyFileUnlock(tmp_path / "master.key"))
    assert "if this one has signed before, its record is lost or its disk is not mounted" in raised.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_another_password_can_be_given_without_sealing_the_keys_again(
    house: Any, vault: Vault, directory: Path
) -> None:
    vault.rewrite(everything, [opened(house, 1)])
    sealed_before = vault.file.read_bytes()
    new = PasswordUnlock(Secret(b"new password"), CHEAP)
    rewrap_data_key(directory / "vault.json", old=UNLOCK, new=new)
    assert vault.file.read_bytes() == sealed_before
    (sealed,) = open_vault(directory, new).read().keys
    assert open_vault(directory, new).open(sealed, Path("x")).public_key == house.public_key(1)
    with pytest.raises(StartupError, match="does not open"):
        open_vault(directory, UNLOCK)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("wrapping", "argon2id", "iterations"), 2),
        (("wrapping", "argon2id", "salt"), "AAAAAAAAAAAAAAAAAAAAAA=="),
        (("wrapping", "unlock"), "key-file"),
        (("wrapping", "version"), 2),
        (("wrapping", "format"), "other"),
        (("wrapping", "argon2id"), None),
        (("wrapping", "argon2id", "memory_kib"), 1 << 40),
        (("wrapping", "argon2id", "lanes"), 0),
        (("wrapped_data_key",), "AAAA"),
        (("more",), 1),
    ],
)
def test_an_altered_vault_file_is_refused(vault: Vault, directory: Path, path: tuple[str, ...], value: object) -> None:
    assert vault.read().keys == ()
    file = directory / "vault.json"
    document = json.loads(file.read_text())
    inside = document
    for name in path[:-1]:
        inside = inside[name]
    inside[path[-1]] = value
    file.write_text(json.dumps(document))
    with pytest.raises(StartupError):
        open_vault(directory, UNLOCK)


def test_sealed_keys_without_their_data_key_are_never_overwritten(house: Any, vault: Vault, directory: Path) -> None:
    vault.rewrite(everything, [opened(house, 1)])
    (directory / "vault.json").unlink()
    with pytest.raises(StartupError, match=r"sealed keys but no vault.json"):
        open_vault(directory, UNLOCK)


def test_a_vault_that_others_may_enter_or_read_is_refused(house: Any, vault: Vault, directory: Path) -> None:
    vault.rewrite(everything, [opened(house, 1)])
    vault.file.chmod(0o644)
    with pytest.raises(StartupError, match="mode 0644"):
        vault.read()
    directory.chmod(0o755)
    with pytest.raises(StartupError, match="mode 0755"):
        open_vault(directory, UNLOCK)


def test_what_a_crash_left_half_written_is_swept_at_the_next_start(vault: Vault, directory: Path) -> None:
    (directory / ".holdfast-writing-0011").write_bytes(b"half")
    reopened(directory)
    assert os.listdir(directory) == ["vault.json"]
