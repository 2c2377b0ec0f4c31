"""Long commands show that they run where somebody watches, and leave the result alone."""

import contextlib
import json
import os
import pty
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from duty_requests import MAINNET_ROOT
from running import HOLDFAST, REPOSITORY, holdfast, set_up, write_configuration

HISTORY = {
    "metadata": {"interchange_format_version": "5", "genesis_validators_root": MAINNET_ROOT},
    "data": [{"pubkey": "0x" + "12" * 48, "signed_blocks": [{"slot": "7"}], "signed_attestations": []}],
}

COMMANDS = {
    "doctor": (("doctor",), "examining"),
    "audit verify": (("audit", "verify"), "verifying"),
    "audit show": (("audit", "show"), "reading"),
    "slashing import": (("slashing", "import", "history.json", "--yes"), "importing"),
    "slashing export": (("slashing", "export", "--to", "out.json"), "exporting"),
    "slashing status": (("slashing", "status"), "reading"),
    "slashing prune": (("slashing", "prune"), "pruning"),
}
"""Name: words, and what the bar says."""

CLEARED = "\x1b[2K"
"""Erases a line: the bar goes when its command is done (ECMA-48, EL)."""


@dataclass(frozen=True)
class Watched:
    """What a command said to somebody who watches its standard error."""

    code: int
    out: str
    drawn: str


@pytest.fixture(scope="module")
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signer that does not run, with a record that has something in it."""
    directory = tmp_path_factory.mktemp("signer")
    file = write_configuration(directory, {})
    set_up(file)
    (directory / "history.json").write_text(json.dumps(HISTORY))
    return file


def watch(config_file: Path, *words: str) -> Watched:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [*HOLDFAST, *words, "--config", config_file],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        cwd=config_file.parent,
        env=environment,
    )
    os.close(theirs)
    drawn = b""
    with contextlib.suppress(OSError):  # EIO: the last holder of the terminal's other end has let go
        while piece := os.read(ours, 65536):
            drawn += piece
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    return Watched(process.returncode, out, drawn.decode())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bar_is_drawn_while_a_command_runs_and_is_gone_afterwards(config_file: Path, command: str) -> None:
    words, says = COMMANDS[command]
    said = watch(config_file, *words)
    assert said.code == 0, said
    assert says in said.drawn
    assert said.drawn.rpartition(says)[2].count(CLEARED) >= 1
    assert "\x1b" not in said.out, "the result is as it is in a pipe"
    assert says not in said.out


def test_the_result_is_the_same_to_the_letter_whether_somebody_watches_or_not(config_file: Path) -> None:
    said = watch(config_file, "audit", "verify", "--json")
    unwatched = holdfast(config_file, "audit", "verify", "--json")
    assert json.loads(said.out)["verified"] is True
    assert said.out == unwatched.stdout
    assert unwatched.stderr == "", "nobody watches"


def test_a_doctor_counts_what_is_examined(config_file: Path) -> None:
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", watch(config_file, "doctor").drawn)
    counts = [(int(done), int(total)) for done, total in re.findall(r"(\d+)/(\d+)", plain)]
    assert counts == sorted(counts)
    done, total = counts[-1]
    assert total - 1 == done > 3, "the last examination was on its way when the bar was drawn last"
