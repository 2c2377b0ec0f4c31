"""The parts of the bench tell the truth: its votes are all signed, its slow disk is slow, its history is history."""

import os
import shutil
import subprocess
import sys

import pytest
from bench_signers import bench_signer, make_signer_directory, profile, remember, votes_of
from load_generator import run_load, slow_fsync, write_requests
from long_history import write_history
from processes import cpu_seconds, family, resident_megabytes

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")

VALIDATORS = 20


@pytest.fixture
def directory(tmp_path):
    make_signer_directory(tmp_path, keys=VALIDATORS)
    return tmp_path


def test_every_vote_is_new_and_signed_by_a_production_signer_and_the_next_run_goes_on_after_it(directory, tmp_path):
    file, progress = tmp_path / "requests", tmp_path / "progress"
    with bench_signer(directory) as signer:
        votes = votes_of(signer, progress)
        for source in (votes.of_one_slot, votes.all_different):
            write_requests(file, source(10 * VALIDATORS))
            load = run_load(signer.port, file, connections=4, count=10 * VALIDATORS)
            assert (load.answered, load.refused) == (10 * VALIDATORS, 0), load.first_refusal
        remember(votes, progress)
        assert "journal" in profile(signer)
    with bench_signer(directory) as signer:
        votes = votes_of(signer, progress)
        write_requests(file, votes.of_one_slot(VALIDATORS))
        assert run_load(signer.port, file, count=VALIDATORS).refused == 0
        assert cpu_seconds(signer.process.pid) > 0
        assert resident_megabytes(signer.process.pid) > 10
        assert signer.process.pid in family(os.getpid())


def test_votes_follow_a_history_that_was_written_beneath_them(directory, tmp_path):
    file, progress = tmp_path / "requests", tmp_path / "progress"
    with bench_signer(directory) as signer:
        votes = votes_of(signer, progress)
    written = write_history(
        directory / "data" / "journal.sqlite", votes.public_keys, votes=100 * VALIDATORS, before_epoch=votes.next_epoch
    )
    assert written == 100 * VALIDATORS
    with bench_signer(directory) as signer:
        votes = votes_of(signer, progress)
        write_requests(file, votes.of_one_slot(VALIDATORS))
        assert run_load(signer.port, file, count=VALIDATORS).refused == 0
        votes.next_epoch -= 2  # within the history: another vote for a target that is on record
        write_requests(file, votes.all_different(VALIDATORS))
        load = run_load(signer.port, file, count=VALIDATORS)
        assert load.refused == VALIDATORS
        assert "DOUBLE_VOTE" in load.first_refusal


def test_the_slow_disk_adds_its_time_to_every_fsync(tmp_path):
    program = (
        "import os, time\n"
        f"file = os.open({str(tmp_path / 'file')!r}, os.O_CREAT | os.O_WRONLY)\n"
        "begin = time.monotonic()\n"
        "os.fsync(file), os.fdatasync(file)\n"
        "print(time.monotonic() - begin)\n"
    )
    environment = {**os.environ, "LD_PRELOAD": str(slow_fsync()), "SLOW_FSYNC_MICROSECONDS": "30000"}
    slow = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert float(slow.stdout) >= 0.06
