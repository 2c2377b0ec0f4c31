"""A PostgreSQL that is killed, absent, unsafe or closed to us: signers refuse, say why, and go on by themselves."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import pytest
from duty_requests import line_to, vote_body
from e2e.shared_signers import UNSURE, name_of, on_database, soon
from e2e.worker_processes import until
from postgres_server import PostgresServer, started_server
from properties.test_no_history_is_slashable import SignedVote, slashable
from running import RunningSigner, free_port, holdfast, interop_secret, running_signer, set_up, write_configuration

PATIENCE_SECONDS = 180.0
"""A slow machine's."""

SECRETS = [interop_secret(number) for number in range(3)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[PostgresServer]:
    """A server of this module's own: it is killed, and its settings are spoilt."""
    server = started_server()
    yield server
    server.remove()


@pytest.fixture
def server(cluster: PostgresServer) -> PostgresServer:
    """It runs, whatever the test before has left."""
    if not cluster.runs:
        cluster.start()
    return cluster


class Client(threading.Thread):
    """Asks one signer for a vote of every key and epoch, each until it knows, and keeps what was signed."""

    def __init__(self, signer: RunningSigner, mark: str, together: threading.Barrier) -> None:
        """`together`: both are at the same epoch; one begins with the first key, the other with the last."""
        super().__init__(daemon=True)
        self._signer, self._mark, self._together = signer, mark, together
        self._keys = sorted(signer.public_keys(), reverse=mark == "b")
        self.signed: list[tuple[str, int, str]] = []
        self.verdicts: dict[str, int] = defaultdict(int)
        self.stop = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with line_to(self._signer.port) as line:
                target = 1
                while not self.stop.is_set():
                    self._together.wait()
                    for key in self._keys:
                        self._vote(line, key, target)
                    target += 1
        except threading.BrokenBarrierError:
            return
        except Exception as error:
            self.error = error
            self._together.abort()

    def _vote(self, line, key: str, target: int) -> None:
        answer = line.sign(key, vote_body(target - 1, target, self._mark))
        while answer.verdict in UNSURE:
            self.verdicts[answer.verdict] += 1
            answer = line.sign(key, vote_body(target - 1, target, self._mark))
        self.verdicts[answer.verdict] += 1
        if answer.signature:
            self.signed.append((key, target, self._mark))


@contextmanager
def disagreeing_clients(directory: Path, url: str) -> Iterator[tuple[list[RunningSigner], list[Client]]]:
    """Two clients of the same keys disagree about every vote, through two signers. At the end nothing was slashable."""
    for name in ("one", "other"):
        (directory / name).mkdir()
    sections = on_database(url, {"journal": {"deadline_seconds": 1.0}})
    with (
        running_signer(directory / "one", secrets=SECRETS, sections=sections) as one,
        running_signer(directory / "other", secrets=SECRETS, sections=sections) as other,
    ):
        together = threading.Barrier(2)
        clients = [Client(signer, mark, together) for signer, mark in ((one, "a"), (other, "b"))]
        for client in clients:
            client.start()
        yield [one, other], clients
        for client in clients:
            client.stop.set()
        together.abort()
        for client in clients:
            client.join(60)
            assert client.error is None
        assert one.process.poll() is other.process.poll() is None
        for signer in (one, other):
            assert signer.holdfast("audit", "verify").returncode == 0
    votes: dict[str, set[SignedVote]] = defaultdict(set)
    for client in clients:
        for key, target, mark in client.signed:
            votes[key].add((target - 1, target, ord(mark)))
    assert len(votes) == len(SECRETS)
    assert not any(slashable(*pair) for found in votes.values() for pair in combinations(found, 2))
    assert all({"signed", "412 DOUBLE_VOTE"} <= client.verdicts.keys() for client in clients)


def test_a_server_killed_under_load_costs_time_and_no_slashing(server: PostgresServer, tmp_path: Path) -> None:
    """PostgreSQL dies under them twice."""
    with disagreeing_clients(tmp_path, server.make_database("killed")) as (signers, clients):
        for _ in range(2):
            until_signed(clients, 20)
            server.kill()
            until(lambda: any(client.verdicts.keys() & UNSURE for client in clients), PATIENCE_SECONDS)
            until(lambda: {signer.get("/healthcheck")[0] for signer in signers} == {503}, PATIENCE_SECONDS)
            server.start()
        until_signed(clients, 20)


def test_a_fail_over_to_a_synchronous_replica_costs_time_and_nothing_else(tmp_path: Path) -> None:
    """As the guide has it: both servers in `journal.url`, the first one gone for good, nobody restarts a signer."""
    first = started_server()
    try:
        second = first.make_replica()
        try:
            hosts = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
            url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=primary"
            with disagreeing_clients(tmp_path, url) as (signers, clients):
                until_signed(clients, 20)
                first.kill()
                until(lambda: {signer.get("/healthcheck")[0] for signer in signers} == {503}, PATIENCE_SECONDS)
                second.promote()
                until_signed(clients, 20)
        finally:
            second.remove()
    finally:
        first.remove()


def until_signed(clients: list[Client], count: int) -> None:
    """Each has so many signatures more."""
    before = [len(client.signed) for client in clients]
    until(lambda: _grown(clients, before, by=count), PATIENCE_SECONDS)


def _grown(clients: list[Client], before: list[int], *, by: int) -> bool:
    assert not [client.error for client in clients if client.error]
    return all(len(client.signed) - count >= by for client, count in zip(clients, before, strict=True))


def test_while_the_database_is_down_every_signature_is_refused_in_time_with_a_code_of_its_own(
    server: PostgresServer, tmp_path: Path
) -> None:
    sections = on_database(server.make_database("down"), {"server": {"workers": 2}})
    with running_signer(tmp_path, secrets=SECRETS[:1], sections=sections) as signer, line_to(signer.port) as line:
        [key] = signer.public_keys()
        assert line.sign(key, vote_body(1, 2)).verdict == "signed"
        server.stop()
        verdicts: list[str] = []
        until(lambda: verdicts.append(line.sign(key, vote_body(2, 3)).verdict) or verdicts[-1] == "500 DATABASE_DOWN")
        assert set(verdicts) <= UNSURE
        assert signer.get("/healthcheck")[0] == 503
        doctor = signer.holdfast("doctor", "--json")
        findings = {each["subject"]: each for each in json.loads(doctor.stdout)["findings"]}
        assert (doctor.returncode, findings["database"]["grade"], findings["journal"]["grade"]) == (1, "fault", "fault")
        asked = signer.holdfast("slashing", "status")
        assert (asked.returncode, "DATABASE_DOWN" in asked.stderr) == (1, True)
        server.start()
        assert soon(line, key, vote_body(2, 3)) == "signed"
        assert signer.get("/healthcheck")[0] == 200


# --- starts that are refused -----------------------------------------------------------------------


def refused(directory: Path, url: str, **journal: object) -> str:
    """What `serve` says of a database that it does not start with; the exit code is 1."""
    file = write_configuration(directory, on_database(url, {"journal": journal}))
    said = holdfast(file, "serve", seconds=60)
    assert said.returncode == 1, said
    return said.stderr


def test_a_database_that_does_not_answer_stops_the_start_with_a_remedy(tmp_path: Path) -> None:
    said = refused(tmp_path, f"postgresql://postgres@127.0.0.1:{free_port()}/nowhere")
    assert "does not answer" in said
    assert "start PostgreSQL" in said
    assert not (tmp_path / "data" / "instance").exists()


def test_a_wrong_database_or_password_is_told_without_the_password(server: PostgresServer, tmp_path: Path) -> None:
    assert 'database "nowhere" does not exist' in refused(tmp_path, server.url("nowhere"))
    server.psql("CREATE ROLE careful LOGIN PASSWORD 'right'")
    rules = server.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("host all careful 127.0.0.1/32 scram-sha-256\n" + before)
    server.psql("SELECT pg_reload_conf()")
    password = tmp_path / "password"
    password.write_text("hunter2\n")
    password.chmod(0o600)
    url = server.make_database("closed").replace("postgres@", "careful@")
    said = refused(tmp_path, url, password_file=str(password))
    assert "password authentication failed" in said
    assert "hunter2" not in said
    server.psql("ALTER DATABASE closed OWNER TO careful")
    server.psql("GRANT ALL ON SCHEMA public TO careful", "closed")
    password.write_text("right\n")
    secrets = SECRETS[:1]
    sections = on_database(url, {"journal": {"password_file": str(password)}, "server": {"workers": 2}})
    with running_signer(tmp_path, secrets=secrets, sections=sections) as signer, line_to(signer.port) as line:
        assert line.sign(signer.public_keys()[0], vote_body(1, 2)).verdict == "signed"
        status = signer.holdfast("slashing", "status", signer.public_keys()[0])
        assert status.returncode == 0, status  # a worker has the password too
        assert "right" not in signer.log


def test_a_user_that_may_only_read_is_refused(server: PostgresServer, tmp_path: Path) -> None:
    url = server.make_database("readable")
    file = write_configuration(tmp_path, on_database(url))
    set_up(file)
    server.psql("CREATE ROLE reader LOGIN")
    server.psql(
        "GRANT USAGE ON SCHEMA public, holdfast TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;"
        "GRANT SELECT ON ALL TABLES IN SCHEMA holdfast TO reader",
        "readable",
    )
    reader = url.replace("postgres@", "reader@")
    said = refused(tmp_path, reader)
    assert "permission denied" in said
    assert "own the database" in said
    doctor = holdfast(file, "doctor", "--set", f"journal.url={reader}")
    assert (doctor.returncode, "may not write" in doctor.stdout) == (1, True), doctor


@pytest.mark.parametrize(("setting", "value"), [("synchronous_commit", "off"), ("default_transaction_read_only", "on")])
def test_a_server_that_may_lose_what_it_says_it_keeps_is_refused(
    server: PostgresServer, tmp_path: Path, setting: str, value: str
) -> None:
    url = server.make_database(setting)
    server.psql(f"ALTER DATABASE {name_of(url)} SET {setting} = {value}")
    said = refused(tmp_path, url)
    assert "remedy" in said
    assert setting in said
    doctor = holdfast(tmp_path / "holdfast.yaml", "doctor")
    assert (doctor.returncode, setting in doctor.stdout) == (1, True)


def test_in_production_only_init_begins_a_record(server: PostgresServer, tmp_path: Path) -> None:
    url = server.make_database("fresh")
    settings = {"preset": "production", "clock": {"source": "trusted", "far_future_epochs": 1}}
    (tmp_path / "data").mkdir(mode=0o700)
    file = write_configuration(tmp_path, {**settings, "journal": {"url": url}})
    said = holdfast(file, "serve", seconds=60)
    assert (said.returncode, "no slashing record in this database" in said.stderr) == (1, True), said
    made = holdfast(file, "init", "--json")
    assert made.returncode == 0, made
    steps = {step["what"]: step for step in json.loads(made.stdout)["steps"]}
    assert (steps["slashing record"]["path"], steps["slashing record"]["made"]) == (url, True)
    again = {step["what"]: step["made"] for step in json.loads(holdfast(file, "init", "--json").stdout)["steps"]}
    assert again["slashing record"] is False
    # A second signer's first start finds the record there.
    doctor = holdfast(file, "doctor")
    assert "this signer begins with its first start" in doctor.stdout, doctor
