"""A signer that is killed while it deletes a key: either nothing has happened, or the key never signs again.

The kill comes at an exact file operation, by a library that is preloaded. From the tombstone's commit on the key is
gone for good: the next start ends what is left of its material, and its history is given as often as it is asked for.
"""

import base64
import contextlib
import http.client
import json
import shutil
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from duty_requests import NO_GUARD, line_to, vote_body
from faults.dead_instance import hasten_end_of_lease
from postgres_server import PostgresServer
from running import RunningSigner, interop_secret, merged, running_signer
from warm_starts import WarmProgram

from signer.crypto import bls
from signer.crypto.bls import SecretKey
from signer.crypto.secret import Secret
from signer.keys.keystore_writer import encode_keystore

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to make the library with")

BLS = bls.load()
PASSWORD = "correct horse battery staple"
KEYSTORES = "/eth/v1/keystores"

BEFORE = "after-rename:vault/deletions"
"""The deletion is noted, and its tombstone is not on record."""

BETWEEN = "before-rename:vault/sealed-keys"
"""The tombstone is on record, and nothing is destroyed."""

AMONG_FILES = "before-unlink:.json"
"""The key's listing is removed, its keystore is not."""


@dataclass(frozen=True, slots=True)
class Killer:
    """What ends a signer at one of its file operations."""

    library: Path
    program: WarmProgram
    """Loaded after the library, as each of its copies."""


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    made = tmp_path_factory.mktemp("library") / "killed_at.so"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    source = Path(__file__).with_name("killed_at.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", made, source, "-ldl"], check=True)
    program = WarmProgram(preloaded=made)
    yield Killer(made, program)
    program.close()


def keystore(number: int) -> tuple[str, str]:
    """A keystore, and the public key inside it."""
    secret = SecretKey.from_bytes(interop_secret(number).to_bytes(32, "big"))
    public_key = BLS.public_key(secret)
    return encode_keystore(secret, public_key, Secret(PASSWORD.encode())).decode(), "0x" + public_key.hex()


def ask(signer: RunningSigner, method: str, path: str, body: Any) -> dict[str, Any] | None:
    """The document of an answer; None where the signer hung up."""
    token = (signer.data_directory / "key-manager-token").read_text().strip()
    connection = http.client.HTTPConnection("127.0.0.1", signer.port, timeout=60)
    with contextlib.closing(connection):
        try:
            connection.request(method, path, json.dumps(body).encode(), {"Authorization": f"Bearer {token}"})
            return json.loads(connection.getresponse().read())
        except (ConnectionError, http.client.HTTPException):
            return None


def delete(signer: RunningSigner, key: str) -> tuple[str, list[str]] | None:
    """What became of the key, and the targets of its exported votes."""
    answer = ask(signer, "DELETE", KEYSTORES, {"pubkeys": [key]})
    if answer is None:
        return None
    data = json.loads(answer["slashing_protection"])["data"]
    votes = [vote["target_epoch"] for one in data if one["pubkey"] == key for vote in one["signed_attestations"]]
    return answer["data"][0]["status"], votes


def verdict(signer: RunningSigner, key: str, epoch: int) -> str:
    with line_to(signer.port) as line:
        return line.sign(key, vote_body(epoch, epoch + 1)).verdict


def bring_in(signer: RunningSigner, number: int, tmp_path: Path, *, into_files: bool) -> str:
    """A key in the vault alone, or in files as `holdfast keys import` writes them."""
    text, key = keystore(number)
    if not into_files:
        answer = ask(signer, "POST", KEYSTORES, {"keystores": [text], "passwords": [PASSWORD]})
        assert answer is not None
        assert [one["status"] for one in answer["data"]] == ["imported"]
        return key
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "keystore.json").write_text(text)
    done = signer.holdfast("keys", "import", tmp_path / "keystore.json", "--passwords", tmp_path / "password")
    assert done.returncode == 0, done.stderr
    return key


def material(signer: RunningSigner, key: str) -> list[str]:
    """The names of the files that hold anything of the key's secret or lead to it."""
    files = signer.config_file.parent / "keys"
    sealed = signer.data_directory / "vault" / "sealed-keys.jsonl"
    found = [file.name for file in files.iterdir() if key[2:] in file.name]
    name = base64.b64encode(bytes.fromhex(key[2:])).decode()
    return [*found, sealed.name] if sealed.exists() and name in sealed.read_text() else found


@contextlib.contextmanager
def doomed(
    tmp_path: Path, killer: Killer, at: str, *, workers: int, sections: dict[str, Any] | None = None
) -> Iterator[tuple[RunningSigner, Path]]:
    """A signer that dies at this operation once the file is there."""
    armed = tmp_path / "armed"
    environment = {"LD_PRELOAD": str(killer.library), "KILLED_WHEN": str(armed), "KILLED_AT": at}
    settings = merged({"key_manager": {"enabled": True}, "server": {"workers": workers}}, NO_GUARD)
    settings = merged(settings, sections or {})
    secrets = [interop_secret(0)]
    with running_signer(
        tmp_path, secrets=secrets, sections=settings, environment=environment, program=killer.program
    ) as signer:
        yield signer, armed


@needs_compiler
@pytest.mark.parametrize("workers", [1, 2])
def test_a_key_whose_tombstone_is_on_record_never_signs_again_and_its_material_goes(
    tmp_path: Path, killer: Killer, workers: int
) -> None:
    """One signer, killed over one key after the other: each moment's key is the business of the start that follows."""
    moments = [(False, BETWEEN), (True, BETWEEN), (True, AMONG_FILES)]
    with doomed(tmp_path, killer, moments[0][1], workers=workers) as (signer, armed):
        for number, (into_files, _) in enumerate(moments, start=1):
            key = bring_in(signer, number, tmp_path, into_files=into_files)
            assert verdict(signer, key, 5) == "signed"
            armed.touch()
            assert delete(signer, key) is None
            assert signer.process.wait(timeout=60) == -9
            assert material(signer, key), "killed before all of it was removed"
            armed.unlink()
            for _, at in moments[number : number + 1]:
                signer.environment["KILLED_AT"] = at  # where it dies next
            signer.restart()
            check_gone_for_good(signer, number, key)


def check_gone_for_good(signer: RunningSigner, number: int, key: str) -> None:
    assert material(signer, key) == []
    assert key not in signer.public_keys()
    assert verdict(signer, key, 6) == "404 UNKNOWN_KEY"
    assert verdict(signer, key, 5) == "404 UNKNOWN_KEY", "what was signed before is not given again either"
    for _ in range(2):
        assert delete(signer, key) == ("not_active", ["6"])
    text, _ = keystore(number)
    answer = ask(signer, "POST", KEYSTORES, {"keystores": [text], "passwords": [PASSWORD]})
    assert answer is not None
    assert "holdfast keys allow" in answer["data"][0]["message"]
    assert signer.holdfast("audit", "verify").returncode == 0


@needs_compiler
def test_a_tombstone_that_outlived_its_signer_holds_for_another_on_the_same_database(
    tmp_path: Path, killer: Killer, postgres: PostgresServer, database_url: str
) -> None:
    on_database = {"journal": {"url": database_url}}
    other_sections = merged(merged(on_database, {"key_manager": {"enabled": True}}), NO_GUARD)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with (
        doomed(tmp_path / "one", killer, BETWEEN, workers=1, sections=on_database) as (signer, armed),
        running_signer(tmp_path / "other", secrets=[interop_secret(1)], sections=other_sections) as other,
    ):
        key = bring_in(signer, 1, tmp_path / "one", into_files=False)
        assert verdict(signer, key, 5) == "signed"
        assert verdict(other, key, 6) == "signed"
        armed.touch()
        assert delete(signer, key) is None
        assert signer.process.wait(timeout=60) == -9
        refused = ("412 KEY_DELETED", "404 UNKNOWN_KEY")  # the other one lets go of it within seconds
        assert verdict(other, key, 7) in refused, "while the first one is dead, and its material lies there"
        armed.unlink()
        hasten_end_of_lease(postgres, signer.data_directory, database_url.rpartition("/")[2])
        signer.restart()
        assert material(signer, key) == []
        assert verdict(signer, key, 7) == "404 UNKNOWN_KEY"
        assert delete(signer, key) == ("not_active", ["6", "7"]), "what the other one has signed too"


@needs_compiler
def test_a_signer_that_dies_before_the_tombstone_has_deleted_nothing(tmp_path: Path, killer: Killer) -> None:
    with doomed(tmp_path, killer, BEFORE, workers=1) as (signer, armed):
        key = bring_in(signer, 1, tmp_path, into_files=True)
        assert verdict(signer, key, 5) == "signed"
        armed.touch()
        assert delete(signer, key) is None
        assert signer.process.wait(timeout=60) == -9
        armed.unlink()
        before = sorted(material(signer, key))
        signer.restart()
        assert sorted(material(signer, key)) == before, "nothing was removed"
        assert verdict(signer, key, 6) == "signed"
        # What was noted is forgotten: a later crash removes nothing of a key that lives.
        assert key[2:] not in (signer.data_directory / "vault" / "deletions").read_text()
        assert delete(signer, key) == ("deleted", ["6", "7"])
        assert material(signer, key) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_every_vote_that_was_given_out_is_in_the_history_of_the_deletion(tmp_path: Path, workers: int) -> None:
    sections = merged({"key_manager": {"enabled": True}, "server": {"workers": workers}}, NO_GUARD)
    with running_signer(tmp_path, secrets=[interop_secret(0)], sections=sections) as signer:
        key = bring_in(signer, 1, tmp_path, into_files=False)
        given: list[str] = []
        last: list[str] = []
        begun = threading.Event()

        def vote() -> None:
            with line_to(signer.port) as line:
                for epoch in range(1, 1_000_000):
                    answer = line.sign(key, vote_body(epoch, epoch + 1))
                    if not answer.signature:
                        last.append(answer.code)
                        return
                    given.append(str(epoch + 1))
                    if len(given) == 20:
                        begun.set()

        voting = threading.Thread(target=vote)
        voting.start()
        assert begun.wait(60)
        done = delete(signer, key)
        voting.join(60)
        assert not voting.is_alive()
        assert done is not None
        assert (done[0], last[0] in ("KEY_DELETED", "UNKNOWN_KEY")) == ("deleted", True)
        assert set(given) <= set(done[1])
        assert delete(signer, key) == ("not_active", done[1])
