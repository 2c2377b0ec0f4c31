"""Keystores are found where each client keeps them, with their passwords; what a client does not sign with is left."""

import json
from collections.abc import Callable
from pathlib import Path

import client_directories as old
import pytest
from client_directories import PASSWORD, interop_validator

from signer.crypto.bls import load
from signer.errors import KeyFileError, UnreadableFileError
from signer.operations.import_keystores import ImportedKeystore, import_keystores
from signer.operations.keystore_layouts import find_keystores

VALIDATORS = [interop_validator(index) for index in (0, 1)]
KEYS = sorted(one.public_key for one in VALIDATORS)


def imported(keys: Path, passwords: Path | None, into: Path) -> list[ImportedKeystore]:
    into.mkdir(exist_ok=True)
    found = find_keystores([keys], passwords)
    return list(import_keystores(found, into=into, bls=load(), refuse_public_test_keys=False))


@pytest.mark.parametrize(
    ("make", "passwords"),
    [
        (old.lighthouse_keys, None),
        (old.lighthouse_keys, "secrets"),
        (old.prysm_keys, "backup-password.txt"),
        (old.teku_keys, "validator/key-manager/local-passwords"),
        (old.nimbus_keys, "secrets"),
        (old.lodestar_keys, "secrets"),
        (old.dirk_keys, "passphrase.txt"),
    ],
)
def test_every_key_of_each_layout_is_imported(tmp_path: Path, make: Callable[..., Path], passwords: str | None) -> None:
    keys = make(tmp_path / "old", VALIDATORS)
    done = imported(keys, tmp_path / "old" / passwords if passwords else None, tmp_path / "new")
    failed = [each for each in done if each.outcome == "failed"]
    assert not failed
    assert sorted(each.public_key or "" for each in done if each.outcome == "imported") == KEYS
    for key in KEYS:
        assert (tmp_path / "new" / f"{key}.txt").read_text() == PASSWORD + "\n"


def test_one_directory_of_a_key_is_enough(tmp_path: Path) -> None:
    keys = old.nimbus_keys(tmp_path, VALIDATORS)
    [done] = imported(keys / KEYS[0], tmp_path / "secrets", tmp_path / "new")
    assert (done.outcome, done.public_key) == ("imported", KEYS[0])


def test_what_a_client_does_not_sign_with_is_skipped_and_told(tmp_path: Path) -> None:
    disabled = old.lighthouse_keys(tmp_path / "lighthouse", VALIDATORS, in_use=False)
    assert {(each.outcome, each.error) for each in imported(disabled, None, tmp_path / "new")} == {
        ("skipped", "validator_definitions.yml says that it is not enabled")
    }
    remote = imported(old.nimbus_keys(tmp_path / "nimbus", []), None, tmp_path / "new")
    assert [(each.outcome, each.error) for each in remote] == [("skipped", "its key is in a remote signer")]
    assert list((tmp_path / "new").iterdir()) == []


def test_a_disabled_validator_stays_out_though_the_paths_of_its_definition_lead_to_the_old_place(
    tmp_path: Path,
) -> None:
    keys = old.lighthouse_keys(tmp_path / "old", VALIDATORS, in_use=False)
    definitions = keys / "validator_definitions.yml"
    definitions.write_text(definitions.read_text().replace("/var/lib/lighthouse", str(tmp_path / "old")))
    copy = tmp_path / "copy"
    keys.rename(copy)
    old.lighthouse_keys(tmp_path / "old2", VALIDATORS)
    (tmp_path / "old2" / "validators").rename(tmp_path / "old" / "validators")
    assert {each.outcome for each in imported(copy, tmp_path / "old" / "secrets", tmp_path / "new")} == {"skipped"}


def definition(**lines: str) -> str:
    text = {"enabled": "true", "voting_public_key": f'"{KEYS[0]}"', "type": "local_keystore", **lines}
    return "---\n- " + "\n  ".join(f"{name}: {value}" for name, value in text.items()) + "\n"


def test_a_password_in_the_definition_is_used_and_shown_nowhere(tmp_path: Path) -> None:
    """As `lighthouse account validator import --reuse-password` and its key manager write it."""
    validators = tmp_path / "validators"
    home = validators / VALIDATORS[0].public_key
    home.mkdir(parents=True)
    name = "keystore-m_12381_3600_0_0_0-1700000000.json"
    (home / name).write_bytes(VALIDATORS[0].keystore("0123"))
    text = definition(voting_keystore_path=str(home / name), voting_keystore_password="'0123'")
    (validators / "validator_definitions.yml").write_text(text)
    found = find_keystores([validators], None)
    assert "0123" not in repr(found)
    [done] = imported(validators, None, tmp_path / "new")
    assert (done.outcome, done.public_key) == ("imported", VALIDATORS[0].public_key)


def test_a_definition_of_a_key_elsewhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "validator_definitions.yml").write_text(definition(type="web3signer", url="http://127.0.0.1:9000"))
    [done] = imported(tmp_path, None, tmp_path / "new")
    assert (done.outcome, done.error) == ("skipped", f"{KEYS[0]}: its key is in a remote signer")


@pytest.mark.parametrize(
    "text",
    [
        "enabled: true\n",
        "just text\n",
        "- a\n- b\n",
        "- enabled: true\n  enabled: false\n",
        "- {a: &x 1, b: *x}\n",
        "[",
    ],
)
def test_definitions_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    old.lighthouse_keys(tmp_path, VALIDATORS)
    file = tmp_path / "validators" / "validator_definitions.yml"
    file.write_text(text)
    with pytest.raises(KeyFileError, match=r"line [12]"):
        find_keystores([file.parent], None)


def test_what_stands_beside_keystores_is_not_taken_for_one(tmp_path: Path) -> None:
    keys = old.teku_keys(tmp_path, VALIDATORS)
    (keys / "deposit_data-1700000000.json").write_text("[]")
    (keys / "all-accounts.keystore.json").write_text("{}")
    done = imported(keys, keys.parent / "local-passwords", tmp_path / "new")
    told = {each.file.name: (each.outcome, each.error or "") for each in done if each.outcome != "imported"}
    assert told["deposit_data-1700000000.json"][0] == "skipped"
    assert told["all-accounts.keystore.json"][0] == "failed"
    assert "accounts backup" in told["all-accounts.keystore.json"][1]


def test_a_share_of_a_distributed_account_is_skipped(tmp_path: Path) -> None:
    keys = old.dirk_keys(tmp_path, VALIDATORS)
    [wallet] = keys.iterdir()
    for file in wallet.iterdir():
        content = json.loads(file.read_text())
        if isinstance(content, dict) and "pubkey" in content:
            file.write_text(json.dumps(content | {"participants": {"1": "a:1", "2": "b:1"}, "signing_threshold": 2}))
    assert {each.outcome for each in imported(keys, tmp_path / "passphrase.txt", tmp_path / "new")} == {"skipped"}


def test_without_a_password_the_failure_says_what_to_name(tmp_path: Path) -> None:
    keys = old.teku_keys(tmp_path, VALIDATORS)
    assert all("--passwords" in (each.error or "") for each in imported(keys, None, tmp_path / "new"))


def test_a_directory_without_keystores_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableFileError, match="no keystore"):
        find_keystores([tmp_path / "empty"], None)
    with pytest.raises(UnreadableFileError, match="no such file"):
        find_keystores([tmp_path / "nothing"], None)
