"""How far the opening of keystores is: a bar on a terminal, a line now and then elsewhere."""

import logging
import os
import pty
import subprocess
import sys

import pytest

from signer.telemetry.progress import LINE_SECONDS, LoadProgress

ON_A_TERMINAL = """
from signer.telemetry.progress import LoadProgress
progress = LoadProgress()
for done in range(1, 4):
    progress(done, 3)
"""


def test_without_a_terminal_a_line_is_logged_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 1000.0
    progress = LoadProgress(now=lambda: now)
    for done, seconds in ((1, 0.0), (2, LINE_SECONDS), (3, LINE_SECONDS + 1), (4, 2 * LINE_SECONDS)):
        now = 1000.0 + seconds
        progress(done, 10)
    assert [record.getMessage() for record in caplog.records] == [
        "opening keystores: 2 of 10",
        "opening keystores: 4 of 10",
    ]


def test_on_a_terminal_a_bar_is_drawn() -> None:
    ours, theirs = pty.openpty()
    try:
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        subprocess.run([sys.executable, "-c", ON_A_TERMINAL], stderr=theirs, check=True, env=environment)
        os.set_blocking(ours, False)
        drawn = os.read(ours, 65536).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert "opening keystores" in drawn
    assert "3/3" in drawn
