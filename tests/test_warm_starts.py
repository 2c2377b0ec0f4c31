"""A warm start is a process as a cold one is: what it says, how it ends, and whose it is."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import HOLDFAST, REPOSITORY, free_port, write_configuration
from warm_starts import WarmProcess, WarmProgram, WarmStarts

ENDS_WITHIN = 60.0


@pytest.fixture(scope="module")
def program() -> Iterator[WarmProgram]:
    warm = WarmStarts()
    with warm.allowed():
        found = warm.program(os.environ)
        assert found is not None
        yield found


def serving(program: WarmProgram, directory: Path) -> WarmProcess:
    """One that has begun to serve."""
    config_file = write_configuration(directory, {"server": {"port": free_port()}})
    assert program.run(["init", "--config", config_file], seconds=ENDS_WITHIN).returncode == 0
    with (directory / "log").open("wb") as log:
        process = program.start(["serve", "--config", config_file], output=log.fileno(), errors=log.fileno())
    while b"serving " not in (directory / "log").read_bytes():
        assert process.poll() is None, (directory / "log").read_text()
    return process


@pytest.mark.parametrize("words", [["--version"], ["config", "show", "--preset", "test"], ["nonsense"], []])
def test_a_warm_line_says_what_a_cold_one_says(program: WarmProgram, words: list[str]) -> None:
    cold = subprocess.run([*HOLDFAST, *words], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    warm = program.run(words, seconds=ENDS_WITHIN)
    assert (warm.returncode, warm.stdout, warm.stderr) == (cold.returncode, cold.stdout, cold.stderr)


def test_each_has_its_own_end_and_the_others_go_on(program: WarmProgram, tmp_path: Path) -> None:
    first, second = (serving(program, tmp_path / name) for name in ("first", "second"))
    assert first.pid != second.pid
    first.kill()
    assert first.wait(ENDS_WITHIN) == -signal.SIGKILL
    assert second.poll() is None
    second.terminate()
    assert second.wait(ENDS_WITHIN) == 0
    second.kill()  # nobody has its number any more


def test_one_that_does_not_end_is_ended(program: WarmProgram, tmp_path: Path) -> None:
    config_file = write_configuration(tmp_path, {})
    assert program.run(["init", "--config", config_file], seconds=ENDS_WITHIN).returncode == 0
    with pytest.raises(subprocess.TimeoutExpired):
        program.run(["serve", "--config", config_file], seconds=0)


def test_what_has_an_environment_of_its_own_starts_cold() -> None:
    warm = WarmStarts()
    with warm.allowed():
        assert warm.program({**os.environ, "LD_PRELOAD": "/nowhere.so"}) is None
    assert warm.program(os.environ) is None
