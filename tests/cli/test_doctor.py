"""`holdfast doctor`, beside a running server and without one."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from cli_line import AdminServer, Cli, Transcript
from journal.record import PlainStory

from signer.errors import BEGIN_OR_PUT_BACK
from signer.eth2.builtin_networks import find_network
from signer.journal.lock import DirectoryLock
from signer.keys.ledger import EVERY_KEY, freeze_key
from signer.operations.record import Places, open_record

SERVED_BY_THE_SERVER = ("server", "database", "keys")


def doctor(cli: Cli, *words: str) -> Transcript:
    return cli(
        "doctor", "--json", "--preset", "development", "--data-directory", "data", "--set", "server.port=0",
        "--set", "metrics.port=0", "--set", "clock.source=trusted", *words,
    )  # fmt: skip


def grades(said: Transcript) -> dict[str, str]:
    return {each["subject"]: each["grade"] for each in said.json["findings"]}


def finding(said: Transcript, subject: str) -> Any:
    return next(each for each in said.json["findings"] if each["subject"] == subject)


@pytest.fixture
def ready(cli: Cli) -> None:
    """A directory as `init` makes it."""
    assert cli("init", "--preset", "development", "--data-directory", "data", "--demo").code == 0


def test_a_new_signer_has_nothing_wrong_before_its_first_start(cli: Cli, ready: None) -> None:
    said = doctor(cli)
    assert (said.code, said.err, said.json["ok"]) == (0, "", True)
    found = grades(said)
    assert found.pop("fsync") in {"ok", "warning"}, "the disk's own business"
    assert found == {
        "configuration": "ok", "file system": "ok", "free space": "ok", "head file": "ok", "database": "ok",
        "master key": "ok", "keys": "ok", "clock": "ok", "port": "ok", "metrics port": "ok", "open files": "ok",
        "memory": "ok",
    }  # fmt: skip


def test_the_doctor_changes_nothing(cli: Cli, ready: None, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    doctor(cli)
    after = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    # The lock tells who held it last; the index of an empty write-ahead log comes with reading.
    fleeting = {tmp_path / "data" / name for name in ("lock", "journal.sqlite-shm", "journal.sqlite-wal")}
    assert all(after.get(tmp_path / "data" / name, b"") == b"" for name in ("journal.sqlite-wal",))
    assert {path: each for path, each in after.items() if path not in fleeting} == {
        path: each for path, each in before.items() if path not in fleeting
    }


def test_what_is_wrong_is_exit_code_1_with_what_to_do(cli: Cli, tmp_path: Path) -> None:
    said = cli("doctor", "--preset", "development", "--data-directory", "data", "--set", "clock.source=trusted")
    assert said.code == 1
    (line,) = (line for line in said.out.splitlines() if line.startswith("fault\tdata directory"))
    assert line.split("\t") == [
        "fault", "data directory", f"there is no {tmp_path}/data",
        f"{BEGIN_OR_PUT_BACK}; or correct storage.data_directory",
    ]  # fmt: skip
    assert said.out.splitlines()[-1].endswith("things are wrong.")


def test_the_last_line_tells_of_warnings_and_of_what_was_not_looked_at(cli: Cli, ready: None, tmp_path: Path) -> None:
    for listing in (tmp_path / "data/keys").glob("*.yaml"):
        listing.unlink()
    said = cli(
        "doctor", "--config", "data/holdfast.yaml", "--set", "clock.source=trusted", "--set", "server.port=0",
        "--set", "metrics.port=0",
    )  # fmt: skip
    assert said.code == 0
    assert "warning\tkeys" in said.out
    assert said.out.splitlines()[-1].startswith("Nothing stops the signer; warnings above: ")
    (database,) = (line for line in said.out.splitlines() if line.startswith("ok\tdatabase"))
    assert "`holdfast audit verify`" in database


def test_production_faults_are_found_without_starting(cli: Cli, ready: None, tmp_path: Path) -> None:
    (tmp_path / "data/master.key").chmod(0o644)
    said = doctor(cli, "--preset", "production", "--set", "server.host=0.0.0.0")
    assert said.code == 1
    sentences = [each["sentence"] for each in said.json["findings"] if each["subject"] == "configuration"]
    assert any("master.key" in each and "open to others" in each for each in sentences)
    assert any("0.0.0.0" in each for each in sentences)


def test_a_missing_master_key_and_a_taken_port_are_faults(cli: Cli, ready: None, tmp_path: Path) -> None:
    (tmp_path / "data/master.key").unlink()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        said = doctor(cli, "--set", f"server.port={other.getsockname()[1]}")
    assert said.code == 1
    assert [name for name, grade in grades(said).items() if grade == "fault"] == ["master key", "port"]


def test_a_running_server_is_asked_instead_of_its_files(cli: Cli, server: AdminServer, made: Path) -> None:
    server.listen_on_socket(made / "admin.sock")
    lock = DirectoryLock(made)
    try:
        said = doctor(cli)
    finally:
        lock.close()
    assert (said.code, said.json["ok"]) == (0, True)
    found = grades(said)
    assert [found[name] for name in SERVED_BY_THE_SERVER] == ["ok", "ok", "ok"]
    assert finding(said, "database")["figures"] == {"audit_entries": 12}
    assert finding(said, "keys")["figures"] == {"loaded": 4, "errors": 0}
    assert ("GET", "/admin/status", b"") in server.requests


@pytest.mark.parametrize(
    ("changes", "subject", "grade", "code"),
    [
        ({"ready": False}, "server", "warning", 0),
        ({"keys": {"loaded": 3, "errors": 1}}, "keys", "warning", 0),
        ({"frozen": {"all": True, "keys": 0, "tags": 0}}, "frozen", "warning", 0),
        ({"frozen": {"all": False, "keys": 0, "tags": 1}}, "frozen", "warning", 0),
        (
            {"quarantine": {"keys": 2, "until_epoch": 9, "until": "2026-01-02T03:04:05+00:00"}},
            "quarantine",
            "warning",
            0,
        ),
        ({"journal": {"state": "stopped"}}, "database", "fault", 1),
    ],
)
def test_what_the_server_says_of_itself_is_judged(
    cli: Cli,
    ready: None,
    server: AdminServer,
    made: Path,
    changes: dict[str, Any],
    subject: str,
    grade: str,
    code: int,
) -> None:
    server.listen_on_socket(made / "admin.sock")
    status = {"version": "0.1.0", "network": "mainnet", "ready": True, "keys": {"loaded": 4, "errors": 0}}
    server.answer_json("GET", "/admin/status", {**status, "journal": {}, **changes})
    said = doctor(cli)
    assert (said.code, grades(said)[subject]) == (code, grade)


def test_a_server_that_answers_with_a_problem_is_a_fault(cli: Cli, server: AdminServer, made: Path) -> None:
    server.listen_on_socket(made / "admin.sock")
    server.answer_json("GET", "/admin/status", {"code": "JOURNAL_DOWN", "detail": "the journal is down"}, status=500)
    said = doctor(cli)
    assert said.code == 1
    assert finding(said, "server")["sentence"] == "the journal is down"


def test_a_held_directory_whose_server_is_silent_is_a_fault(cli: Cli, made: Path) -> None:
    lock = DirectoryLock(made)
    try:
        said = doctor(cli)
    finally:
        lock.close()
    assert said.code == 1
    assert "nobody answers at" in finding(said, "database")["sentence"]


def test_findings_are_a_list_of_five_members(cli: Cli, ready: None) -> None:
    for each in json.loads(doctor(cli).out)["findings"]:
        assert sorted(each) == ["figures", "grade", "remedy", "sentence", "subject"]


@pytest.fixture
def made(ready: None, tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_in_production_published_test_keys_are_found_before_the_first_start(
    cli: Cli, ready: None, tmp_path: Path
) -> None:
    (tmp_path / "data/keys/interop.yaml").touch(mode=0o600)
    # Interop validator 0 (ethereum/eth2.0-pm, interop/mocked_start).
    secret = "25295f0d1d592a90b333e26e85149708208e9f8e8bc18f6c77bd62f8ad7a6866"
    (tmp_path / "data/keys/interop.yaml").write_text(f"type: file-raw\nprivateKey: '0x{secret}'\n")
    said = doctor(cli, "--preset", "production")
    assert finding(said, "test keys")["grade"] == "fault"
    assert "interop.yaml" in finding(said, "test keys")["sentence"]
    assert secret not in said.out
    assert "test keys" not in grades(doctor(cli)), "the preset development takes them"


def test_tls_files_that_would_not_serve_are_found(cli: Cli, ready: None, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert cli("tls", "init", name).code == 0
    tls = "server.tls."
    said = doctor(
        cli, "--set", f"{tls}certificate_file=one/server.pem", "--set", f"{tls}key_file=two/server.key",
        "--set", f"{tls}client_ca_file=one/ca.pem",
    )  # fmt: skip
    assert said.code == 1
    assert "is not that of the first certificate" in finding(said, "configuration")["sentence"]


def test_keys_that_were_moved_out_are_counted(cli: Cli, server: AdminServer, made: Path) -> None:
    server.listen_on_socket(made / "admin.sock")
    key = {"namespace": "default", "origin": "file-raw", "derivation_path": None}
    listed = [{**key, "public_key": "0xa1", "silent": ["moved away"]}, {**key, "public_key": "0xb2"}]
    server.answer_json("GET", "/admin/keys", {"keys": listed})
    assert finding(doctor(cli), "moved keys")["sentence"] == "1 keys are out of service: moved out"


async def test_what_is_frozen_is_found_where_no_server_runs(cli: Cli, ready: None, tmp_path: Path) -> None:
    head = next((tmp_path / "data").rglob("*head*"))
    record = open_record(Places(tmp_path / "data", head), genesis_validators_root=None, on_death=print)
    try:
        await record.writer.perform(lambda t: freeze_key(t, EVERY_KEY, now_ms=5), lambda _: PlainStory())
    finally:
        record.close()
    said = doctor(cli)
    assert finding(said, "frozen")["figures"] == {"all": True, "keys": 0, "tags": 0}
    assert finding(said, "frozen")["sentence"] == "all keys are frozen: nothing is signed"
    assert said.code == 0, "a warning"


def test_a_record_of_another_network_is_found_before_the_start_refuses_it(
    cli: Cli, ready: None, tmp_path: Path
) -> None:
    mainnet = find_network("mainnet")
    assert mainnet is not None
    places = Places(tmp_path / "data", tmp_path / "data/head")
    open_record(places, genesis_validators_root=mainnet.genesis_validators_root, on_death=print).close()
    assert doctor(cli, "--set", "network.name=mainnet").code == 0
    said = doctor(cli, "--set", "network.name=hoodi")
    assert said.code == 1
    told = [each["sentence"] for each in said.json["findings"] if each["grade"] == "fault"]
    assert told == ["the database holds the record of another network"]


def test_a_network_whose_file_cannot_be_read_keeps_nothing_else_from_being_examined(cli: Cli, ready: None) -> None:
    said = doctor(cli, "--set", "network.config_file=not-there.yaml")
    assert finding(said, "database")["grade"] == "ok", said.out + said.err
