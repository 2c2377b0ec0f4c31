"""The key manager API against a running signer: keys come and go, and what is gone signs nowhere and stays gone."""

import base64
import contextlib
import functools
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from duty_requests import MAINNET_ROOT, NO_GUARD, vote_body
from e2e.worker_processes import lines_to_processes
from running import RunningSigner, interop_secret, merged, running_signer

from signer.crypto import bls
from signer.crypto.bls import SecretKey
from signer.crypto.secret import Secret
from signer.keys.keystore_writer import encode_keystore

BLS = bls.load()
PASSWORD = "correct horse battery staple"
KEYSTORES = "/eth/v1/keystores"


@functools.cache
def keystore(number: int) -> tuple[str, str]:
    """A keystore, and the public key inside it."""
    secret = SecretKey.from_bytes(interop_secret(number).to_bytes(32, "big"))
    public_key = BLS.public_key(secret)
    return encode_keystore(secret, public_key, Secret(PASSWORD.encode())).decode(), "0x" + public_key.hex()


def history(public_key: str) -> str:
    records = {
        "pubkey": public_key,
        "signed_blocks": [{"slot": "640"}],
        "signed_attestations": [{"source_epoch": "10", "target_epoch": "20"}],
    }
    metadata = {"interchange_format_version": "5", "genesis_validators_root": MAINNET_ROOT}
    return json.dumps({"metadata": metadata, "data": [records]})


def ask(signer: RunningSigner, method: str, path: str, body: Any = None, *, token: str | None = "") -> tuple[int, Any]:
    """Status and document; the token is the signer's own unless another is given, or None."""
    shown = (signer.data_directory / "key-manager-token").read_text().strip() if token == "" else token
    headers = {} if shown is None else {"Authorization": f"Bearer {shown}"}
    data = None if body is None else json.dumps(body).encode()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", signer.port, timeout=60)) as connection:
        connection.request(method, path, body=data, headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.fixture(scope="module", params=[1, 2])
def signer(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[RunningSigner]:
    """One process, and two workers; with one key in a file of the operator's own."""
    principals = [{"name": "client", "token_sha256": "aa" * 32}]
    sections = {
        "server": {"workers": request.param},
        "key_manager": {"enabled": True},
        "security": {"principals": principals, "require_authentication": False},
    }
    directory = tmp_path_factory.mktemp(f"manager{request.param}")
    with running_signer(directory, secrets=[interop_secret(0)], sections=merged(sections, NO_GUARD)) as running:
        yield running


def verdicts(signer: RunningSigner, key: str, epoch: int) -> set[str]:
    """What every process says of a vote."""
    with lines_to_processes(signer) as lines:
        return {line.sign(key, vote_body(epoch, epoch + 1)).verdict for line in lines}


def is_sealed(signer: RunningSigner, key: str) -> bool:
    """True where the vault holds the key."""
    sealed = (signer.data_directory / "vault" / "sealed-keys.jsonl").read_text()
    return base64.b64encode(bytes.fromhex(key[2:])).decode() in sealed


def statuses(answer: Any) -> list[str]:
    return [one["status"] for one in answer["data"]]


def test_nobody_gets_in_without_the_token(signer: RunningSigner) -> None:
    token = signer.data_directory / "key-manager-token"
    assert token.stat().st_mode & 0o777 == 0o600
    for method, body in (("GET", None), ("POST", {"keystores": [], "passwords": []}), ("DELETE", {"pubkeys": []})):
        for wrong in (None, "wrong", "client"):
            status, problem = ask(signer, method, KEYSTORES, body, token=wrong)
            expected = (401, "UNAUTHENTICATED") if wrong is None else (403, "WRONG_TOKEN")
            assert (status, problem["code"], bool(problem["message"])) == (*expected, True)
        assert ask(signer, method, KEYSTORES, body)[0] == 200
    # The token opens nothing else: where nobody is asked, a header that is not known is refused.
    assert ask(signer, "GET", "/admin/status")[0] in (401, 404)


def test_a_key_of_the_operators_own_files_is_read_only(signer: RunningSigner) -> None:
    _, public_key = keystore(0)
    [listed] = [one for one in ask(signer, "GET", KEYSTORES)[1]["data"] if one["validating_pubkey"] == public_key]
    assert (listed["readonly"], listed["derivation_path"]) == (True, None)
    status, answer = ask(signer, "DELETE", KEYSTORES, {"pubkeys": [public_key]})
    assert (status, statuses(answer)) == (200, ["error"])
    assert "keys.yaml" in answer["data"][0]["message"]
    assert json.loads(answer["slashing_protection"])["data"] == []
    assert verdicts(signer, public_key, 1) == {"signed"}


def test_a_key_comes_in_with_its_history_and_leaves_with_it(signer: RunningSigner) -> None:
    text, public_key = keystore(1)
    body = {"keystores": [text, text, "{}", text], "passwords": [PASSWORD, PASSWORD, PASSWORD, "wrong"]}
    status, answer = ask(signer, "POST", KEYSTORES, body | {"slashing_protection": history(public_key)})
    assert (status, statuses(answer)) == (200, ["imported", "duplicate", "error", "error"])
    assert answer["data"][0]["message"] is None
    assert statuses(ask(signer, "POST", KEYSTORES, {"keystores": [text], "passwords": [PASSWORD]})[1]) == ["duplicate"]
    assert is_sealed(signer, public_key)
    listed = {one["validating_pubkey"]: one["readonly"] for one in ask(signer, "GET", KEYSTORES)[1]["data"]}
    assert listed[public_key] is False
    assert verdicts(signer, public_key, 9) == {"412 BELOW_FLOOR"}
    assert verdicts(signer, public_key, 30) == {"signed"}

    shouted = public_key[2:].upper()
    unknown = keystore(7)[1]
    status, answer = ask(signer, "DELETE", KEYSTORES, {"pubkeys": [shouted, unknown, public_key]})
    assert (status, statuses(answer)) == (200, ["deleted", "not_found", "deleted"])
    [records] = json.loads(answer["slashing_protection"])["data"]
    targets = [vote["target_epoch"] for vote in records["signed_attestations"]]
    assert (records["pubkey"], targets[0], targets[-1]) == (public_key, "20", "31")
    assert verdicts(signer, public_key, 40) == {"404 UNKNOWN_KEY"}
    assert public_key not in signer.public_keys()
    again = ask(signer, "DELETE", KEYSTORES, {"pubkeys": [public_key]})[1]
    assert statuses(again) == ["not_active"]
    assert again["slashing_protection"] == answer["slashing_protection"]

    # It stays gone: sealed nowhere, refused when it is brought again, after a restart too.
    signer.stop()
    signer.restart()
    assert public_key not in signer.public_keys()
    assert not is_sealed(signer, public_key)
    back = ask(signer, "POST", KEYSTORES, {"keystores": [text], "passwords": [PASSWORD]})[1]
    assert statuses(back) == ["error"]
    assert "holdfast keys allow" in back["data"][0]["message"]

    assert signer.holdfast("keys", "allow", public_key).returncode == 0
    back = ask(signer, "POST", KEYSTORES, {"keystores": [text], "passwords": [PASSWORD]})[1]
    assert statuses(back) == ["imported"]
    assert verdicts(signer, public_key, 30) == {"signed"}, "the same vote: its record has stayed"
    told = json.loads(signer.holdfast("audit", "show", "--key", public_key, "--last", "99", "--json").stdout)["entries"]
    kinds = [entry["kind"] for entry in told if entry["kind"].startswith("key_")]
    assert kinds == ["key_imported", "key_deleted", "key_allowed", "key_imported"]
    assert {entry["principal"] for entry in told if entry["kind"] == "key_deleted"} == {"key-manager"}


def test_a_bad_history_lets_no_key_in(signer: RunningSigner) -> None:
    text, public_key = keystore(2)
    body = {"keystores": [text], "passwords": [PASSWORD], "slashing_protection": "{}"}
    status, problem = ask(signer, "POST", KEYSTORES, body)
    assert (status, problem["code"]) == (400, "MALFORMED_REQUEST")
    foreign = history(public_key).replace(MAINNET_ROOT, "0x" + "12" * 32)
    assert ask(signer, "POST", KEYSTORES, body | {"slashing_protection": foreign})[0] == 412
    assert public_key not in signer.public_keys()


def test_a_history_far_ahead_of_the_clock_is_taken_only_where_it_is_meant(
    signer: RunningSigner, tmp_path: Path
) -> None:
    text, public_key = keystore(3)
    ahead = history(public_key).replace('"20"', f'"{2**64 - 1}"')
    body = {"keystores": [text], "passwords": [PASSWORD], "slashing_protection": ahead}
    status, problem = ask(signer, "POST", KEYSTORES, body)
    assert (status, problem["code"]) == (400, "UNUSABLE_HISTORIES")
    assert public_key not in signer.public_keys()

    file = tmp_path / "history.json"
    file.write_text(ahead)
    for words in ((), ("--dry-run",)):
        told = signer.holdfast("slashing", "import", file, *words)
        assert told.returncode == 1
        for word in (public_key, f"target epoch {2**64 - 1}", "--far-ahead"):
            assert word in told.stdout + told.stderr
    assert signer.holdfast("slashing", "status", public_key).returncode == 1, "nothing of it is on record"
    assert signer.holdfast("slashing", "import", file, "--far-ahead").returncode == 0
    told = signer.holdfast("slashing", "status", public_key, "--json")
    assert str(2**64 - 1) in told.stdout


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("POST", {"keystores": ["{}"], "passwords": []}),
        ("POST", {"keystores": "{}", "passwords": []}),
        ("POST", []),
        ("DELETE", {"pubkeys": ["0x12"]}),
        ("DELETE", {}),
    ],
)
def test_what_is_no_request_is_refused_as_a_whole(signer: RunningSigner, method: str, body: Any) -> None:
    status, problem = ask(signer, method, KEYSTORES, body)
    assert (status, problem["code"]) == (400, "MALFORMED_REQUEST")


def test_remote_keys_are_none_and_none_are_taken(signer: RunningSigner) -> None:
    path = "/eth/v1/remotekeys"
    assert ask(signer, "GET", path) == (200, {"data": []})
    taken = ask(signer, "POST", path, {"remote_keys": [{"pubkey": keystore(3)[1], "url": "http://elsewhere"}]})
    assert (taken[0], statuses(taken[1])) == (200, ["error"])
    assert statuses(ask(signer, "DELETE", path, {"pubkeys": [keystore(3)[1]]})[1]) == ["not_found"]


def test_a_file_that_brings_a_deleted_key_back_is_reported_and_not_served(
    signer: RunningSigner, tmp_path: Path
) -> None:
    text, public_key = keystore(4)
    passwords = tmp_path / "password"
    passwords.write_text(PASSWORD)
    (tmp_path / "keystore.json").write_text(text)
    imported = signer.holdfast("keys", "import", tmp_path / "keystore.json", "--passwords", passwords)
    assert imported.returncode == 0, imported.stderr
    files = signer.config_file.parent / "keys"
    names = {file.name for file in files.iterdir() if public_key in file.name}
    kept = {name: (files / name).read_bytes() for name in names}
    assert len(kept) == 3
    history_file = tmp_path / "history.json"
    deleted = signer.holdfast("keys", "delete", public_key, "--history", history_file)
    assert deleted.returncode == 0, deleted.stderr
    assert json.loads(history_file.read_text())["data"] == []
    assert not [file for file in files.iterdir() if public_key in file.name]
    assert verdicts(signer, public_key, 3) == {"404 UNKNOWN_KEY"}

    for name, content in kept.items():
        (files / name).write_bytes(content)
    signer.stop()
    signer.restart()
    assert public_key not in signer.public_keys()
    assert f"{public_key}, which was deleted here: it is not served" in signer.log
    assert verdicts(signer, public_key, 3) == {"404 UNKNOWN_KEY"}


def test_without_being_enabled_nothing_of_it_is_there(tmp_path: Path) -> None:
    with running_signer(tmp_path, secrets=[interop_secret(0)]) as signer:
        assert ask(signer, "GET", KEYSTORES, token=None)[0] == 404
