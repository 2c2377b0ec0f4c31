"""`holdfast serve` on a PostgreSQL that several signers share: one truth for all, and all commands work on it."""

import contextlib
import http.client
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from duty_requests import block_body, line_to, root_of, vote_body
from e2e.shared_signers import make_web3signer_database, name_of, on_database
from e2e.worker_processes import line_to_each, until
from postgres_server import PostgresServer
from running import RunningSigner, free_port, holdfast, interop_secret, running_signer, set_up, write_configuration

SECRETS = [interop_secret(number) for number in range(4)]


@dataclass(frozen=True)
class Pair:
    """Two signers with the same keys on one database: one process, and one with two workers."""

    postgres: PostgresServer
    database: str
    one: RunningSigner
    other: RunningSigner

    def psql(self, statement: str) -> str:
        return self.postgres.psql(statement, self.database)


@pytest.fixture(scope="module")
def pair(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    url = postgres.make_database("pair")
    directory = tmp_path_factory.mktemp("pair")
    with contextlib.ExitStack() as running:
        started = []
        for name, workers in (("one", 1), ("other", 2)):
            (directory / name).mkdir()
            metrics = {"enabled": True, "port": free_port()}
            server = {"server": {"workers": workers}, "key_manager": {"enabled": True}, "metrics": metrics}
            signer = running_signer(directory / name, secrets=SECRETS, sections=on_database(url, server))
            started.append(running.enter_context(signer))
        yield Pair(postgres, "pair", *started)


def verdict_everywhere(signer: RunningSigner, key: str, body: dict[str, Any]) -> set[str]:
    """What each of its processes says."""
    workers = json.loads(signer.config_file.read_text())["server"]["workers"]
    with line_to(signer.port) if workers == 1 else line_to_each(signer) as found:
        lines = [found] if workers == 1 else list(found.values())
        return {line.sign(key, body).verdict for line in lines}


def test_an_empty_database_is_set_up_and_what_one_signs_binds_the_other(pair: Pair) -> None:
    key = pair.one.public_keys()[0]
    assert verdict_everywhere(pair.one, key, vote_body(1, 2)) == {"signed"}
    assert verdict_everywhere(pair.other, key, vote_body(1, 2, "another")) == {"412 DOUBLE_VOTE"}
    assert verdict_everywhere(pair.other, key, vote_body(1, 2)) == {"signed"}
    assert verdict_everywhere(pair.other, key, block_body(77)) == {"signed"}
    assert verdict_everywhere(pair.one, key, block_body(77, "another")) == {"412 DOUBLE_PROPOSAL"}
    with line_to(pair.one.port) as one, line_to(pair.other.port) as other:
        signatures = {line.sign(key, vote_body(1, 2)).signature for line in (one, other)}
    assert len(signatures) == 1
    stored = pair.psql("SELECT encode(signing_root, 'hex') FROM signed_attestations WHERE target_epoch = 2")
    assert stored == root_of(vote_body(1, 2)).hex()


def test_a_key_frozen_at_one_signer_is_frozen_at_the_other_and_for_a_web3signer_beside_them(pair: Pair) -> None:
    key = pair.one.public_keys()[1]
    enabled = f"SELECT enabled FROM validators WHERE public_key = '\\x{key[2:]}'"
    assert verdict_everywhere(pair.other, key, vote_body(1, 2)) == {"signed"}
    assert pair.psql(enabled) == "t"
    assert pair.one.holdfast("freeze", key).returncode == 0
    # The very next request: there is nothing to wait for.
    assert verdict_everywhere(pair.other, key, vote_body(2, 3)) == {"412 KEY_FROZEN"}
    assert pair.psql(enabled) == "f"
    assert pair.other.holdfast("thaw", key).returncode == 0
    assert verdict_everywhere(pair.one, key, vote_body(2, 3)) == {"signed"}
    assert pair.psql(enabled) == "t"
    assert pair.other.holdfast("freeze", "all").returncode == 0
    assert verdict_everywhere(pair.one, key, vote_body(3, 4)) == {"412 KEY_FROZEN"}
    assert pair.one.holdfast("thaw", "all").returncode == 0


def ask(signer: RunningSigner, method: str, body: Any) -> tuple[int, Any]:
    token = (signer.data_directory / "key-manager-token").read_text().strip()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", signer.port, timeout=60)) as connection:
        headers = {"Authorization": f"Bearer {token}"}
        connection.request(method, "/eth/v1/keystores", body=json.dumps(body).encode(), headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_a_key_deleted_at_one_signer_signs_nowhere(pair: Pair, tmp_path: Path) -> None:
    """Both hold it in files of their own; whose key it is to delete, its file is in the key manager's hands."""
    from signer.crypto import bls
    from signer.crypto.bls import SecretKey
    from signer.crypto.secret import Secret
    from signer.keys.keystore_writer import encode_keystore

    secret = SecretKey.from_bytes(interop_secret(9).to_bytes(32, "big"))
    public_key = bls.load().public_key(secret)
    text, key = encode_keystore(secret, public_key, Secret(b"password")).decode(), "0x" + public_key.hex()
    for signer in (pair.one, pair.other):
        status, answer = ask(signer, "POST", {"keystores": [text], "passwords": ["password"]})
        assert (status, [each["status"] for each in answer["data"]]) == (200, ["imported"])
    assert verdict_everywhere(pair.other, key, vote_body(1, 2)) == {"signed"}
    status, answer = ask(pair.one, "DELETE", {"pubkeys": [key]})
    assert (status, [each["status"] for each in answer["data"]]) == (200, ["deleted"])
    [history] = json.loads(answer["slashing_protection"])["data"]
    assert [vote["target_epoch"] for vote in history["signed_attestations"]] == ["2"]
    at_once = verdict_everywhere(pair.other, key, vote_body(2, 3))
    assert at_once <= {"412 KEY_DELETED", "404 UNKNOWN_KEY"}, "refused in the commit, or already not there"
    assert pair.psql(f"SELECT enabled FROM validators WHERE public_key = '\\x{key[2:]}'") == "f"
    # It needs no restart to notice, in each of its processes.
    until(lambda: verdict_everywhere(pair.other, key, vote_body(3, 4)) == {"404 UNKNOWN_KEY"}, 60)
    assert key not in pair.other.public_keys()
    until(lambda: "KEY_DELETED" in pair.other.log, 60)  # its operator is told that the material lies there still
    # Allowed at one, it may be brought in at the other too: its material is there still, and a load serves it.
    assert pair.one.holdfast("keys", "allow", key).returncode == 0

    def served_again() -> bool:
        pair.other.process.send_signal(signal.SIGHUP)
        return verdict_everywhere(pair.other, key, vote_body(2, 3)) == {"signed"}

    until(served_again, 60)
    assert (
        pair.psql(
            "SELECT count(*) FROM signed_attestations JOIN validators v ON v.id = validator_id"
            f" WHERE v.public_key = '\\x{key[2:]}'"
        )
        == "2"
    )


def test_a_key_deleted_at_a_signer_that_does_not_hold_it_signs_nowhere(pair: Pair) -> None:
    """Whoever asks behind one address of many signers reaches any of them."""
    from signer.crypto import bls
    from signer.crypto.bls import SecretKey
    from signer.crypto.secret import Secret
    from signer.keys.keystore_writer import encode_keystore

    secret = SecretKey.from_bytes(interop_secret(10).to_bytes(32, "big"))
    public_key = bls.load().public_key(secret)
    text, key = encode_keystore(secret, public_key, Secret(b"password")).decode(), "0x" + public_key.hex()
    ask(pair.one, "POST", {"keystores": [text], "passwords": ["password"]})
    assert verdict_everywhere(pair.one, key, vote_body(1, 2)) == {"signed"}
    status, answer = ask(pair.other, "DELETE", {"pubkeys": [key]})
    assert (status, [each["status"] for each in answer["data"]]) == (200, ["not_active"])
    [history] = json.loads(answer["slashing_protection"])["data"]
    assert [vote["target_epoch"] for vote in history["signed_attestations"]] == ["2"]
    assert verdict_everywhere(pair.one, key, vote_body(2, 3)) <= {"412 KEY_DELETED", "404 UNKNOWN_KEY"}
    status, again = ask(pair.other, "DELETE", {"pubkeys": [key]})
    assert (status, again["slashing_protection"]) == (200, answer["slashing_protection"])


def test_each_signer_has_a_log_of_its_own_that_verifies(pair: Pair) -> None:
    heads = set()
    for signer in (pair.one, pair.other):
        verified = json.loads(signer.holdfast("audit", "verify", "--json").stdout)
        assert verified["entries"] > 2
        heads.add(verified["head"])
    assert len(heads) == 2


def test_the_record_is_the_same_whichever_signer_is_asked(pair: Pair, tmp_path: Path) -> None:
    key = pair.one.public_keys()[2]
    verdict_everywhere(pair.one, key, vote_body(4, 5))
    exports = []
    for name, signer in (("one", pair.one), ("other", pair.other)):
        file = tmp_path / f"{name}.json"
        done = signer.holdfast("slashing", "export", "--to", file)
        assert done.returncode == 0, done.stderr
        exports.append(json.loads(file.read_text()))
    assert exports[0]["data"] == exports[1]["data"] != []
    explained = pair.other.holdfast("slashing", "explain", key, "--source", "4", "--target", "5")
    assert (explained.returncode, "DOUBLE_VOTE" in explained.stdout) == (1, True), explained.stdout


def test_its_state_is_told_and_its_password_is_not(pair: Pair, tmp_path: Path) -> None:
    status, body = pair.other.get("/healthcheck")
    assert (status, json.loads(body)["outcome"]) == (200, "UP")
    examined = json.loads(pair.other.holdfast("doctor", "--json").stdout)["findings"]
    findings = {each["subject"]: each for each in examined}
    grades = {name: findings[name]["grade"] for name in ("database server", "database", "lease", "journal")}
    assert set(grades.values()) == {"ok"}, examined
    assert findings["replication"]["grade"] == "warning"  # no commit waits for a replica
    assert findings["round trip"]["figures"]["median_seconds"] > 0
    assert (findings["lease"]["figures"]["live"], findings["database server"]["figures"]["encrypted"]) == (2, "no")
    file = write_configuration(
        tmp_path, on_database(pair.postgres.url("pair").replace("postgres@", "postgres:hunter2@"))
    )
    for words in (("init",), ("config", "show"), ("doctor",)):
        said = holdfast(file, *words)
        assert said.returncode == 0, said
        assert "hunter2" not in said.stdout + said.stderr


# --- one signer, from its first start to its last --------------------------------------------------


def test_a_database_of_web3signers_is_adopted_with_its_history(
    postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    name, key = (
        name_of(database_url),
        "0xa99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c",
    )
    make_web3signer_database(postgres, name)
    signed = root_of(vote_body(10, 11)).hex()
    postgres.psql(
        f"INSERT INTO validators (public_key) VALUES ('\\x{key[2:]}');"
        f"INSERT INTO signed_attestations (validator_id, source_epoch, target_epoch, signing_root)"
        f" VALUES (1, 10, 11, '\\x{signed}');"
        "INSERT INTO signed_blocks (validator_id, slot) VALUES (1, 350);",
        name,
    )
    with running_signer(tmp_path, secrets=SECRETS[:1], sections=on_database(database_url)) as signer:
        assert signer.public_keys() == [key]
        with line_to(signer.port) as line:
            said = [
                line.sign(key, body).verdict
                for body in (
                    vote_body(10, 11),
                    vote_body(10, 11, 2),
                    vote_body(9, 12),
                    block_body(350),
                    vote_body(10, 12),
                )
            ]
        assert said == ["signed", "412 DOUBLE_VOTE", "412 SURROUNDING_VOTE", "412 DOUBLE_PROPOSAL", "signed"]
    assert postgres.psql("SELECT count(*) FROM signed_attestations", name) == "2"
    assert postgres.psql("SELECT version FROM database_version", name) == "12"


def test_commands_work_while_no_signer_runs(postgres: PostgresServer, database_url: str, tmp_path: Path) -> None:
    with running_signer(tmp_path, secrets=SECRETS[:1], sections=on_database(database_url)) as signer:
        [key] = signer.public_keys()
        with line_to(signer.port) as line:
            assert line.sign(key, vote_body(1, 2)).verdict == "signed"
        signer.stop()
        file = tmp_path / "record.json"
        for words in (
            ("audit", "verify"),
            ("slashing", "export", "--to", file),
            ("slashing", "import", file),
            ("slashing", "watermark", "--key", key, "--low-epoch", "5", "--low-slot", "160"),
        ):
            said = signer.holdfast(*words)
            assert said.returncode == 0, (words, said)
        signer.restart()
        with line_to(signer.port) as line:
            assert line.sign(key, vote_body(3, 4)).verdict == "412 BELOW_FLOOR"
            assert line.sign(key, vote_body(5, 6)).verdict == "signed"


def test_a_restored_database_is_refused_until_its_loss_is_accepted(
    postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    name = name_of(database_url)
    with running_signer(tmp_path, secrets=SECRETS[:1], sections=on_database(database_url)) as signer:
        [key] = signer.public_keys()
        signer.stop()
        postgres.psql(f'CREATE DATABASE "{name}_backup" TEMPLATE "{name}"')
        signer.restart()
        with line_to(signer.port) as line:
            assert line.sign(key, vote_body(1, 2)).verdict == "signed"
        signer.stop()
        postgres.psql(f'DROP DATABASE "{name}"')
        postgres.psql(f'ALTER DATABASE "{name}_backup" RENAME TO "{name}"')

        signer.start()
        assert signer.process.wait(timeout=60) == 1
        assert "ROLLED_BACK" in signer.log
        accepted = signer.holdfast("slashing", "accept-restore", "--yes", "--json")
        assert accepted.returncode == 0, accepted.stderr
        floor = json.loads(accepted.stdout)["floor_epoch"]
        signer.restart()
        with line_to(signer.port) as line:
            assert line.sign(key, vote_body(1, 2, "another")).verdict == "412 BELOW_FLOOR"
            assert line.sign(key, vote_body(floor, floor + 1)).verdict == "signed"


def test_a_directory_changes_neither_from_one_kind_of_record_to_the_other(database_url: str, tmp_path: Path) -> None:
    for name in ("embedded", "shared"):
        (tmp_path / name).mkdir()
    embedded = write_configuration(tmp_path / "embedded", {})
    set_up(embedded)
    file = write_configuration(tmp_path / "embedded", on_database(database_url))
    said = holdfast(file, "serve")
    assert (said.returncode, "keeps its own record" in said.stderr, "slashing export" in said.stderr) == (1, True, True)

    with running_signer(tmp_path / "shared", secrets=SECRETS[:1], sections=on_database(database_url)) as signer:
        signer.stop()
        file = write_configuration(tmp_path / "shared", {})
        said = holdfast(file, "serve")
        assert (said.returncode, "signer on a shared database" in said.stderr) == (1, True), said.stderr
