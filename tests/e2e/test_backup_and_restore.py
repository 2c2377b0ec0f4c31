"""docs/backup-and-restore.md, line by line: every shell block of it is run as it stands there, but for the paths."""

import os
import re
import shlex
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest
from duty_requests import line_to, network_of_age, vote_body
from running import HOLDFAST, REPOSITORY, RunningSigner, interop_secret, set_up, write_configuration, write_raw_keys

from signer.crypto.bls import SecretKey, load
from signer.crypto.secret import Secret
from signer.keys.keystore import Pbkdf2Cost
from signer.keys.keystore_writer import encode_keystore

PAGE = (REPOSITORY / "docs" / "backup-and-restore.md").read_text()
NOW = 100
"""The epoch of the chain while these tests run."""


def blocks(heading: str) -> list[list[str]]:
    """The lines of each shell block below a heading."""
    _, found, below = PAGE.partition(f"\n## {heading}")
    assert found, heading
    section = below.partition("\n## ")[0]
    return [block.splitlines() for block in re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)]


class Machine:
    """A signer with its directories as on the page, each below a temporary one."""

    def __init__(self, directory: Path) -> None:
        self.root = directory
        for made in ("var/lib/holdfast", "etc/holdfast", "backup"):
            (directory / made).mkdir(mode=0o700, parents=True)
        sections = network_of_age(directory, NOW + 0.25) | {
            "storage": {"data_directory": str(self.data)},
            "keys": {"config_directory": str(self.data / "keys"), "quarantine_epochs": 2},
        }
        self.config = write_configuration(directory, sections).rename(directory / "etc/holdfast/holdfast.yaml")
        secret = SecretKey.from_bytes(interop_secret(1).to_bytes(32, "big"))
        content = encode_keystore(secret, load().public_key(secret), Secret(b"password"), cost=Pbkdf2Cost(1))
        write_raw_keys(self.data / "keys", [interop_secret(0)])
        (self.data / "keys" / "one.json").write_bytes(content)
        (self.data / "keys" / "one.txt").write_text("password")
        (self.data / "keys" / "one.yaml").write_text(
            "type: file-keystore\nkeystoreFile: one.json\nkeystorePasswordFile: one.txt\n"
        )
        for file in (self.data / "keys").iterdir():
            file.chmod(0o600)
        set_up(self.config)
        self.signer: RunningSigner | None = None

    @property
    def data(self) -> Path:
        return self.root / "var/lib/holdfast"

    @property
    def backup(self) -> Path:
        return self.root / "backup"

    def start(self) -> None:
        self.signer = RunningSigner(self.config)
        self.signer.wait_until_ready()

    def release(self) -> None:
        """Its keys have never signed anywhere."""
        assert self.signer is not None
        for key in self.signer.public_keys():
            assert self.signer.holdfast("keys", "release", key).returncode == 0

    def stop(self) -> None:
        if self.signer is not None:
            self.signer.stop()
            self.signer = None

    def type(self, line: str) -> CompletedProcess[str]:
        """A line of the page. The service manager is this test, and starts what the line says."""
        for path in ("/var/lib/holdfast", "/etc/holdfast", "/backup"):
            line = re.sub(rf"(?<![\w/]){path}", str(self.root) + path, line)
        words = shlex.split(line)
        if words[0] == "systemctl":
            self.start() if words[1] in ("start", "enable") else self.stop()
            return CompletedProcess(words, 0, "", "")
        line = re.sub(r"^holdfast ", shlex.join(HOLDFAST) + " ", line)
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        return run(["bash", "-c", line], check=False, capture_output=True, text=True, env=environment, timeout=120)

    def follow(self, lines: list[str]) -> str:
        """Every line, each of which must end well; all that they said."""
        said = ""
        for line in lines:
            done = self.type(line)
            said += done.stdout + done.stderr
            assert done.returncode == 0, (line, said)
        return said

    def votes(self, source: int, target: int, mark: str = "") -> set[str]:
        """How votes of both keys are answered, without the status."""
        assert self.signer is not None
        with line_to(self.signer.port) as line:
            keys = self.signer.public_keys()
            assert len(keys) == 2
            body = vote_body(source, target, mark)
            return {line.sign(key, body).verdict.removeprefix("412 ") for key in keys}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("machine"))


def test_the_page_from_its_first_line_to_its_last(machine: Machine) -> None:
    """In the order of the page, on one machine: backups while it signs, then each way of losing something."""
    try:
        machine.start()
        machine.release()
        assert machine.votes(NOW - 4, NOW - 3) == {"signed"}
        _back_up(machine)
        assert machine.votes(NOW - 2, NOW - 1) == {"signed"}, "what no backup knows"
        _lose_the_database(machine)
        _lose_the_machine(machine)
        _lose_all_but_the_exports(machine)
    finally:
        machine.stop()


def _back_up(machine: Machine) -> None:
    [running] = blocks("While it runs")
    machine.follow(running[:1])
    assert machine.votes(NOW - 3, NOW - 2) == {"signed"}
    said = machine.follow(running[1:])
    assert "entries" in said or "verif" in said, said
    assert f'"{NOW - 2}"' in (machine.backup / "record-2.json").read_text()
    [stopped] = blocks("With the signer stopped")
    machine.follow(stopped)
    [drill] = blocks("Try it")
    assert machine.signer is not None
    keys = machine.signer.public_keys()
    beside = [machine.type(line) for line in drill]
    assert any(done.returncode and "must never work on copies" in done.stderr for done in beside)
    machine.stop()  # as on another machine
    said = machine.follow(drill)
    machine.start()
    assert all(key in said for key in keys)
    assert not (machine.backup / "drill").exists()


def _lose_the_database(machine: Machine) -> None:
    put_back, accept = blocks("Restore: the database is lost or damaged")
    machine.follow(put_back)
    refused = RunningSigner(machine.config)
    with pytest.raises(RuntimeError, match="DATABASE_ROLLED_BACK"):
        refused.wait_until_ready()
    imported = machine.type("holdfast slashing import /backup/record-2.json --config /etc/holdfast/holdfast.yaml")
    assert imported.returncode != 0, "nothing writes to a record that went back"
    assert "accept-restore" in imported.stderr
    said = machine.follow(accept)
    assert f"epoch {NOW + 1}" in said
    _nothing_lost_is_signed_again(machine)
    assert machine.signer is not None
    assert "restore_accepted" in machine.signer.holdfast("audit", "show", "--last", "50").stdout
    machine.stop()


def _lose_the_machine(machine: Machine) -> None:
    [lines] = blocks("Restore: the machine is gone")
    machine.data.rename(machine.root / "gone")
    machine.follow(lines)
    _nothing_lost_is_signed_again(machine)
    machine.stop()


def _lose_all_but_the_exports(machine: Machine) -> None:
    [lines] = blocks("Restore: only exports are left")
    machine.data.rename(machine.root / "gone too")
    machine.follow(lines)
    _nothing_lost_is_signed_again(machine)


def _nothing_lost_is_signed_again(machine: Machine) -> None:
    """A vote that no backup knows is refused, and every other one that can have been given until now."""
    assert machine.votes(NOW - 2, NOW - 1, "another head") == {"BELOW_FLOOR"}
    for target in (NOW, NOW + 1):
        assert machine.votes(NOW - 1, target, "another head") == {"BELOW_FLOOR"}
    assert machine.votes(NOW + 1, NOW + 2, "another head") <= {"FAR_FUTURE"}, "it waits for the chain, no longer"


def test_what_the_page_says_is_not_noticed_is_not_noticed(tmp_path: Path) -> None:
    """Why the head file belongs elsewhere: a whole directory that goes back with it starts as if nothing were gone."""
    machine = Machine(tmp_path)
    try:
        machine.start()
        machine.follow(blocks("With the signer stopped")[0])
        machine.release()
        assert machine.votes(NOW - 2, NOW - 1) == {"signed"}
        machine.stop()
        elsewhere = machine.root / "head"
        (machine.data / "head").rename(elsewhere)
        machine.data.rename(machine.root / "gone")
        machine.type("cp -a /backup/whole /var/lib/holdfast")
        machine.start()
        assert machine.votes(NOW - 2, NOW - 1, "another head") == {"KEY_QUARANTINED"}, "nobody knows that it has signed"
        machine.stop()
        (machine.data / "head").unlink()
        elsewhere.rename(machine.data / "head")
        with pytest.raises(RuntimeError, match="DATABASE_ROLLED_BACK"):
            machine.start()
    finally:
        machine.stop()
