"""What breaks under a running signer: it fails closed, says why, ends with exit code 1, and the next start knows."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from duty_requests import NO_GUARD, Answered, Line, line_to, sign_request, vote_body
from faults.grounds import SIGNED, Ground, copy_ground, make_ground
from running import (
    RunningSigner,
    holdfast,
    interop_secret,
    running_signer,
    set_up,
    write_configuration,
    write_raw_keys,
)

END_SECONDS = 30


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("stopped"))


@pytest.fixture
def ground(stopped: Ground, tmp_path: Path) -> Ground:
    return copy_ground(stopped, tmp_path)


def assert_unavailable(answer: Answered) -> None:
    assert answer.status == 500, answer
    assert answer.code in {"OUTCOME_UNKNOWN", "JOURNAL_DOWN"}
    assert b'"signature"' not in answer.body


def assert_ends_by_itself(signer: RunningSigner) -> None:
    assert signer.process.wait(timeout=END_SECONDS) == 1
    assert "the journal has stopped, so nothing is signed any more" in signer.log
    assert "Traceback" not in signer.log


def delete(ground: Ground) -> None:
    ground.database.unlink()


def replace_by_an_older_copy(ground: Ground) -> None:
    (ground.directory / "kept").replace(ground.database)


@pytest.mark.parametrize("take_away", [delete, replace_by_an_older_copy], ids=lambda each: each.__name__)
def test_a_database_that_is_taken_away_ends_the_signer_before_another_signature(ground: Ground, take_away) -> None:
    ground.keep()
    with ground.starts() as (signer, line):
        assert line.sign(ground.key, vote_body(99, 100, 0)).signature
        take_away(ground)
        answer = line.sign(ground.key, vote_body(100, 101))
        assert_unavailable(answer)
        assert answer.code == "OUTCOME_UNKNOWN"
        assert_ends_by_itself(signer)
    for left_behind in ("journal.sqlite-wal", "journal.sqlite-shm"):
        (ground.data / left_behind).unlink(missing_ok=True)
    document = ground.refuses()
    assert document["code"] == "DATABASE_ROLLED_BACK"
    assert "accept-restore" in document["remedy"]


def test_health_and_readiness_tell_of_a_journal_that_has_stopped(ground: Ground) -> None:
    """Whoever asks in the moments before the process has ended is not told that all is well."""
    with ground.starts() as (signer, line), line_to(signer.port) as probe:
        assert probe.ask(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\n\r\n").status == 200
        ground.database.unlink()
        line.send(sign_request(ground.key, vote_body(100, 101)))
        assert_unavailable(line.read())
        try:
            late = probe.ask(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\n\r\n")
        except OSError:
            late = None  # it has gone: that tells too
        assert late is None or late.status == 503
        assert_ends_by_itself(signer)


def test_a_head_file_that_is_removed_under_a_running_signer_is_written_again(ground: Ground) -> None:
    with ground.starts() as (signer, line):
        ground.head.unlink()
        assert line.sign(ground.key, vote_body(99, 100)).signature, "the database is whole, and so is what we know"
        assert signer.stop() == 0
        assert "was removed or replaced while in use; it was written again" in signer.log
    with ground.starts() as (_, line):
        assert line.sign(ground.key, vote_body(99, 100, 1)).code == "DOUBLE_VOTE"


# --- the disk ------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    options = "size=2500k,mode=0700"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", mount], check=False).returncode:
        pytest.skip("this machine does not let us mount a tmpfs")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


@pytest.fixture
def on_small_disk(small_disk: Path, tmp_path: Path) -> Iterator[tuple[RunningSigner, Line, str]]:
    sections = {**NO_GUARD, "storage": {"data_directory": str(small_disk)}}
    with (
        running_signer(tmp_path, secrets=[interop_secret(0)], sections=sections) as signer,
        line_to(signer.port) as line,
    ):
        yield signer, line, signer.public_keys()[0]


def fill(disk: Path) -> Path:
    """Take all the space there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return ballast


def test_a_full_disk_signs_nothing_and_goes_on_when_there_is_space(on_small_disk, small_disk: Path) -> None:
    signer, line, key = on_small_disk
    assert line.sign(key, vote_body(0, 1)).signature
    ballast = fill(small_disk)
    refused = None
    signed = []
    for target in range(2, 3000):
        answer = line.sign(key, vote_body(target - 1, target, 0))
        if not answer.signature:
            refused = (target, answer)
            break
        signed.append(target)
    assert refused is not None, "the disk never filled"
    target, answer = refused
    assert (answer.status, answer.code) == (500, "JOURNAL_DOWN")
    assert "no space left" in answer.body.decode()
    # Reading still works, and repeats need their audit entry: they are refused as well.
    assert signer.get("/health/live")[0] == 200
    assert line.sign(key, vote_body(target - 1, target, 1)).code == "JOURNAL_DOWN"
    ballast.unlink()
    assert line.sign(key, vote_body(target - 1, target, 1)).signature, "nothing of the refused ones is on record"
    signer.kill()
    signer.restart()
    with line_to(signer.port) as again:
        assert again.sign(key, vote_body(target - 1, target, 0)).code == "DOUBLE_VOTE"
        for known in signed[-50:]:
            assert again.sign(key, vote_body(known - 1, known, 1)).code == "DOUBLE_VOTE"
    assert signer.holdfast("audit", "verify").returncode == 0


def test_a_start_on_a_full_disk_is_refused_and_leaves_nothing_that_refuses_the_next(
    tmp_path: Path, small_disk: Path
) -> None:
    config_file = write_configuration(tmp_path, {**NO_GUARD, "storage": {"data_directory": str(small_disk)}})
    write_raw_keys(tmp_path / "keys", [interop_secret(0)])
    set_up(config_file)
    ground = Ground(tmp_path, config_file, "")
    for round_ in ("the first start", "a later one"):
        ballast = fill(small_disk)
        document = ground.refuses()
        assert document["code"] == "STARTUP_REFUSED", (round_, document)
        assert "space" in document["detail"] + document["remedy"], (round_, document)
        ballast.unlink()
        with ground.starts() as (signer, _):
            assert signer.stop() == 0


# --- accepting a restore -----------------------------------------------------------------------------


def test_a_restored_database_is_accepted_only_in_so_many_words_and_then_signs_nothing_that_it_lost(
    ground: Ground,
) -> None:
    older = ground.keep()
    with ground.starts() as (signer, line):
        for target in (100, 101):
            assert line.sign(ground.key, vote_body(target - 1, target, 0)).signature
        assert line.sign(ground.key, vote_body(101, 102)).code == "FAR_FUTURE", "nothing later was ever signed"
        signer.stop()
    shutil.copy(older, ground.database)
    assert ground.refuses()["code"] == "DATABASE_ROLLED_BACK"

    explained = holdfast(ground.config_file, "slashing", "accept-restore")
    assert explained.returncode == 2, "nobody was there to be asked"
    for words in ("went back in time", "later ones are missing", "up to epoch 101", "no other signer holds these keys"):
        assert words in " ".join(explained.stderr.split()), explained.stderr
    assert ground.refuses()["code"] == "DATABASE_ROLLED_BACK", "explaining changes nothing"

    accepted = holdfast(ground.config_file, "slashing", "accept-restore", "--yes")
    assert accepted.returncode == 0, accepted.stderr
    with ground.starts() as (signer, line):
        assert line.sign(ground.key, vote_body(*SIGNED, 0)).code == "BELOW_FLOOR"
        for source, target in ((99, 100), (100, 101), (0, 101), (98, 99)):
            assert line.sign(ground.key, vote_body(source, target, 1)).code == "BELOW_FLOOR", (source, target)
        assert signer.holdfast("audit", "verify").returncode == 0
    nothing_left = holdfast(ground.config_file, "slashing", "accept-restore")
    assert nothing_left.returncode == 0
    assert "nothing to accept" in nothing_left.stdout

    ground.configure(age_epochs=102.5)  # the time has come
    with ground.starts() as (_, line):
        assert line.sign(ground.key, vote_body(100, 102)).code == "BELOW_FLOOR", "its source may be inside a lost vote"
        assert line.sign(ground.key, vote_body(101, 102)).signature
        assert line.sign(ground.key, vote_body(102, 103)).signature


def test_a_lost_database_is_accepted_as_an_empty_one_with_floors(ground: Ground) -> None:
    ground.database.unlink()
    assert ground.refuses()["code"] == "DATABASE_ROLLED_BACK"
    accepted = holdfast(ground.config_file, "slashing", "accept-restore", "--yes")
    assert accepted.returncode == 0, accepted.stderr
    with ground.starts() as (_, line):
        assert line.sign(ground.key, vote_body(*SIGNED, 1)).code == "BELOW_FLOOR"
    ground.configure(age_epochs=103.5)
    with ground.starts() as (_, line):
        assert line.sign(ground.key, vote_body(102, 103)).signature


def test_a_restore_is_not_accepted_under_a_running_signer(ground: Ground) -> None:
    with ground.starts() as (signer, _):
        told = signer.holdfast("slashing", "accept-restore", "--yes", "--json")
        assert told.returncode == 1
        assert "DATA_DIRECTORY_IN_USE" in told.stderr
