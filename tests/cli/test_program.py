"""The whole program as an operator meets it: set up, serving, asked, examined on a terminal, stopped, asked again."""

import json
import os
import pty
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import HOLDFAST, REPOSITORY, RunningSigner, free_port, running_signer

SECTIONS = {"preset": "development", "metrics": {"enabled": False}, "clock": {"source": "trusted"}}


def holdfast(*words: str | Path, code: int = 0) -> str:
    """Run one command; its standard output."""
    done = subprocess.run([*HOLDFAST, *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    """A running signer with one key."""
    with running_signer(tmp_path_factory.mktemp("signer"), secrets=[7], sections=SECTIONS) as running:
        yield running


def test_the_demonstration_line_yields_a_signature(signer: RunningSigner) -> None:
    config = signer.config_file
    demo = json.loads(holdfast("init", "--config", config, "--demo", "--json"))["demo"]
    assert demo["public_key"] not in holdfast("keys", "list", "--config", config)
    keystore = signer.directory / "keys" / "demo.json"
    # What the demonstration key was made of may be imported like any other; the running server loads it at once.
    listed = holdfast(
        "keys", "import", keystore, "--passwords", keystore.with_suffix(".txt"), "--config", config, "--json"
    )
    assert json.loads(listed)["reload"]["status"] == "completed"
    assert demo["public_key"] in holdfast("keys", "list", "--config", config)
    if shutil.which("curl") is None:
        pytest.skip("no curl here: apt-get install curl")
    answer = subprocess.run(shlex.split(demo["curl"]), capture_output=True, text=True, check=True).stdout
    assert answer.endswith("}\n"), "the prompt of a shell comes on a line of its own"
    answer = answer.strip()
    assert len(bytes.fromhex(answer.removeprefix('{"signature":"0x').removesuffix('"}').removeprefix("0x"))) == 96


def test_make_run_serves_in_an_empty_directory_and_the_line_it_prints_yields_a_signature(tmp_path: Path) -> None:
    recipe = subprocess.run(
        ["make", "-n", "run", f"DATA={tmp_path}/data"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    commands = [shlex.split(line)[1:] for line in recipe.splitlines() if "bin/holdfast " in line]
    assert [words[0] for words in commands] == ["init", "serve"]
    ports = {"HOLDFAST_SERVER__PORT": str(free_port()), "HOLDFAST_METRICS__PORT": str(free_port())}
    environment = {**os.environ, **ports}
    init, serve = ([*HOLDFAST, *words] for words in commands)
    told = subprocess.run(init, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True).stdout
    [line] = [line for line in told.splitlines() if "curl " in line]
    if shutil.which("curl") is None:
        pytest.skip("no curl here: apt-get install curl")
    curl = [*shlex.split(line[line.index("curl ") :]), "--retry", "60", "--retry-all-errors", "--retry-delay", "1"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(serve, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
        try:
            answer = subprocess.run([*curl, "--fail"], capture_output=True, text=True, check=True).stdout
        finally:
            server.terminate()
            assert server.wait(timeout=30) == 0
    assert len(json.loads(answer)["signature"]) == 194


def test_every_question_is_answered_by_the_running_server(signer: RunningSigner, tmp_path: Path) -> None:
    config = signer.config_file
    before = json.loads(holdfast("audit", "verify", "--config", config, "--json"))["entries"]
    exported = tmp_path / "protection.json"
    holdfast("slashing", "export", "--to", exported, "--config", config)
    assert json.loads(exported.read_text())["metadata"]["interchange_format_version"] == "5"
    assert "0 refused" in holdfast("slashing", "import", exported, "--config", config)
    after = json.loads(holdfast("audit", "verify", "--config", config, "--json"))["entries"]
    assert after > before, "an import is a decision that the audit log tells of"
    (tmp_path / "broken.json").write_text('{"metadata": 7}')
    assert holdfast("slashing", "import", tmp_path / "broken.json", "--config", config, code=1) == ""


def test_the_doctor_draws_a_table_on_a_terminal(signer: RunningSigner) -> None:
    output, code = on_a_terminal(*HOLDFAST, "doctor", "--config", str(signer.config_file))
    assert code == 0, output
    for words in ("what to do", "the running server holds it", "\x1b["):
        assert words in output
    # A disk that is slow at this moment is worth a warning, and then not all is well.
    assert ("Nothing is wrong." in output) is ("warning" not in output), output
    assert "examining" in output, "progress is drawn where somebody watches"


def test_the_listing_on_a_terminal_counts_the_keys(signer: RunningSigner) -> None:
    output, code = on_a_terminal(*HOLDFAST, "keys", "list", "--config", str(signer.config_file))
    assert code == 0, output
    assert "public key" in output
    assert "keys\r\n" in output


def test_a_second_server_on_the_same_directory_is_refused(signer: RunningSigner) -> None:
    done = subprocess.run(
        [*HOLDFAST, "serve", "--config", signer.config_file, "--set", "server.port=0"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "DATA_DIRECTORY_IN_USE" in done.stderr
    assert str(signer.process.pid) in done.stderr
    assert signer.get("/upcheck")[0] == 200, "the first one serves on"


def test_after_the_server_has_stopped_the_same_questions_are_answered(tmp_path: Path) -> None:
    asked = (("keys", "list", "--json"), ("audit", "verify", "--json"), ("slashing", "export", "--to", "-"))
    with running_signer(tmp_path, secrets=[7], sections=SECTIONS) as signer:
        config = signer.config_file
        running = [json.loads(holdfast(*words, "--config", config)) for words in asked]
        assert signer.stop() == 0
    stopped = [json.loads(holdfast(*words, "--config", config)) for words in asked]
    assert stopped[0] == running[0]
    assert stopped[1]["entries"] >= running[1]["entries"]
    assert stopped[2] == running[2]
    findings = json.loads(holdfast("doctor", "--config", config, "--json"))["findings"]
    (database,) = (each for each in findings if each["subject"] == "database")
    assert database["grade"] == "ok"
    assert database["figures"]["audit_entries"] >= stopped[1]["entries"]


def test_a_restored_database_is_accepted_by_somebody_who_was_asked(tmp_path: Path) -> None:
    with running_signer(tmp_path, secrets=[7], sections=SECTIONS) as signer:
        config = str(signer.config_file)
        signer.stop()
    (signer.data_directory / "head").unlink()
    holdfast("audit", "verify", "--config", config, code=1)
    examined = json.loads(holdfast("doctor", "--config", config, "--json", code=1))["findings"]
    (fault,) = (each for each in examined if each["grade"] == "fault")
    assert (fault["subject"], "accept-restore" in fault["remedy"]) == ("database", True)

    line = (*HOLDFAST, "slashing", "accept-restore", "--config", config)
    refused, code = on_a_terminal(*line, typed=b"n\n")
    assert (code, "nothing was changed" in refused) == (1, True)
    holdfast("audit", "verify", "--config", config, code=1)
    accepted, code = on_a_terminal(*line, typed=b"y\n")
    assert code == 0, accepted
    assert "no other signer holds these keys" in accepted
    holdfast("audit", "verify", "--config", config)
    assert "nothing to accept" in holdfast("slashing", "accept-restore", "--config", config)


def on_a_terminal(*words: str, typed: bytes = b"") -> tuple[str, int]:
    """What a command draws when a terminal is attached and somebody types, and its exit code."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "140", "LINES": "40"}
    environment.pop("NO_COLOR", None)
    child = subprocess.Popen(
        words, cwd=REPOSITORY, stdin=slave, stdout=slave, stderr=slave, env=environment, close_fds=True
    )
    os.close(slave)
    os.write(master, typed)
    drawn = b""
    try:
        while piece := os.read(master, 65536):
            drawn += piece
    except OSError:  # EIO: the last writer has closed its end
        pass
    finally:
        os.close(master)
    return drawn.decode(), child.wait(60)
