"""What a start finds broken: it is refused with code, words and remedy, nothing is signed and nothing is changed."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from duty_requests import vote_body
from faults.grounds import SIGNED, Ground, copy_ground, make_ground
from running import HOLDFAST, REPOSITORY, RunningSigner, set_up, write_configuration

from signer.audit.head import RECORD_BYTES, Head, encode_head, read_head
from signer.journal.sqlite import create_database, newest_schema


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("stopped"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    ground = make_ground(tmp_path_factory.mktemp("killed"), killed=True)
    assert (ground.data / "journal.sqlite-wal").stat().st_size > 0
    return ground


@pytest.fixture
def ground(stopped: Ground, tmp_path: Path) -> Ground:
    return copy_ground(stopped, tmp_path)


# --- what is refused -------------------------------------------------------------------------------


def delete_database(ground: Ground) -> None:
    ground.database.unlink()


def another_programs_database(ground: Ground) -> None:
    ground.database.unlink()
    connection = apsw.Connection(str(ground.database))
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()


def no_database_at_all(ground: Ground) -> None:
    ground.database.write_bytes(b"something else entirely\n" * 500)


def empty_file(ground: Ground) -> None:
    ground.database.write_bytes(b"")


def another_holdfasts_database(ground: Ground) -> None:
    ground.database.unlink()
    create_database(ground.database, database_id=b"another database")


def corrupt_a_page(ground: Ground) -> None:
    content = bytearray(ground.database.read_bytes())
    for at in range(4096, len(content), 4096):
        content[at : at + 64] = b"\xff" * 64
    ground.database.write_bytes(content)


def cut_the_database(ground: Ground) -> None:
    os.truncate(ground.database, ground.database.stat().st_size // 2)


def delete_head(ground: Ground) -> None:
    ground.head.unlink()


def tear_both_heads(ground: Ground) -> None:
    content = bytearray(ground.head.read_bytes())
    content[100] ^= 1
    content[RECORD_BYTES + 100] ^= 1
    ground.head.write_bytes(content)


def anothers_head(ground: Ground) -> None:
    found = read_head(ground.head)
    assert found is not None
    ground.head.write_bytes(2 * encode_head(Head(b"o" * 16, b"o" * 16, found.size, found.head)))


def newer_head(ground: Ground) -> None:
    found = read_head(ground.head)
    assert found is not None
    ground.head.write_bytes(2 * encode_head(Head(found.database_id, found.log_id, found.size + 1, b"n" * 32)))


def another_history(ground: Ground) -> None:
    found = read_head(ground.head)
    assert found is not None
    ground.head.write_bytes(2 * encode_head(Head(found.database_id, found.log_id, found.size, b"n" * 32)))


def newer_schema(ground: Ground) -> None:
    connection = apsw.Connection(str(ground.database))
    connection.execute(f"PRAGMA user_version={newest_schema() + 1}")
    connection.close()


def wrong_network(ground: Ground) -> None:
    ground.configure({"network": {"name": "sepolia"}})


def open_directory(ground: Ground) -> None:
    ground.data.chmod(0o755)


def head_directory_missing(ground: Ground) -> None:
    storage = {"data_directory": str(ground.data), "head_file": str(ground.directory / "nowhere" / "head")}
    ground.configure({"storage": storage})


BROKEN: dict[Callable[[Ground], None], tuple[str, str, str]] = {
    delete_database: ("DATABASE_ROLLED_BACK", "missing", "accept-restore"),
    another_programs_database: ("FOREIGN_DATABASE", "not a Holdfast database", "data_directory"),
    no_database_at_all: ("FOREIGN_DATABASE", "not a SQLite database", "data_directory"),
    empty_file: ("FOREIGN_DATABASE", "not a Holdfast database", "data_directory"),
    another_holdfasts_database: ("FOREIGN_DATABASE", "belongs to another database", "put back"),
    corrupt_a_page: ("CORRUPT_DATABASE", "damaged", "restore a backup"),
    cut_the_database: ("CORRUPT_DATABASE", "damaged", "restore a backup"),
    delete_head: ("DATABASE_ROLLED_BACK", "head file is missing", "accept-restore"),
    tear_both_heads: ("CORRUPT_DATABASE", "no whole record", "accept-restore"),
    anothers_head: ("FOREIGN_DATABASE", "another database", "put back"),
    newer_head: ("DATABASE_ROLLED_BACK", "went back in time", "accept-restore"),
    another_history: ("CORRUPT_DATABASE", "another history", "put back"),
    newer_schema: ("FOREIGN_DATABASE", "knows up to", "newer Holdfast"),
    wrong_network: ("FOREIGN_DATABASE", "another network", "network.name"),
    open_directory: ("STARTUP_REFUSED", "mode 0755", "chmod"),
    head_directory_missing: ("DATABASE_ROLLED_BACK", "head file is missing", "storage.head_file"),
}
"""Code, words of the sentence, words of the remedy."""


@pytest.mark.parametrize("break_it", BROKEN, ids=lambda break_it: break_it.__name__)
def test_a_broken_ground_refuses_the_start(ground: Ground, break_it: Callable[[Ground], None]) -> None:
    break_it(ground)
    before = ground.bytes_of_record()
    code, words, remedy = BROKEN[break_it]
    document = ground.refuses()
    assert document["code"] == code, document
    assert words in document["detail"], document
    assert remedy in document["remedy"], document
    assert ground.bytes_of_record() == before, "a refused start changes nothing"


def test_the_refusal_is_told_to_people_too(ground: Ground) -> None:
    ground.database.unlink()
    line = [*HOLDFAST, "serve", "--config", ground.config_file]
    told = subprocess.run(line, check=False, capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert told.returncode == 1
    assert "(DATABASE_ROLLED_BACK)" in told.stderr
    assert "remedy: put the database back" in told.stderr


@pytest.mark.parametrize("break_it", [delete_database, corrupt_a_page, delete_head], ids=lambda each: each.__name__)
def test_what_was_put_back_starts_and_remembers(ground: Ground, break_it: Callable[[Ground], None]) -> None:
    kept = ground.bytes_of_record()
    break_it(ground)
    ground.refuses()
    for name, content in kept.items():
        (ground.data / name).write_bytes(content)
    with ground.starts() as (_, line):
        assert line.sign(ground.key, vote_body(*SIGNED, 0)).signature
        assert line.sign(ground.key, vote_body(*SIGNED, 1)).code == "DOUBLE_VOTE"


def test_a_removed_database_beside_its_log_is_refused_and_no_new_one_is_made_of_it(
    killed: Ground, tmp_path: Path
) -> None:
    """SQLite would write the old log into a new database: neither the start nor a restore lets it."""
    ground = copy_ground(killed, tmp_path)
    ground.database.unlink()
    assert ground.refuses()["code"] == "DATABASE_ROLLED_BACK"
    ground.head.unlink()
    document = ground.refuses()
    assert (document["code"], "-wal" in document["detail"]) == ("CORRUPT_DATABASE", True)
    assert not ground.database.exists()


# --- the directory itself ----------------------------------------------------------------------------


@pytest.fixture
def read_only(ground: Ground) -> Iterator[Ground]:
    if os.geteuid() != 0:
        ground.data.chmod(0o500)
        yield ground
        ground.data.chmod(0o700)
        return
    commands = (["mount", "--bind", ground.data, ground.data], ["mount", "-o", "remount,bind,ro", ground.data])
    for command in commands:
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("root writes everywhere, and this machine does not let us mount a directory read-only")
    yield ground
    subprocess.run(["umount", "-l", ground.data], check=True)


def test_a_read_only_directory_refuses_the_start(read_only: Ground) -> None:
    document = read_only.refuses()
    assert document["code"] == "STARTUP_REFUSED"
    assert str(read_only.data) in document["detail"]


def test_a_second_process_is_told_which_one_holds_the_directory(ground: Ground) -> None:
    with ground.starts() as (signer, line):
        first = signer.config_file.read_text()
        ground.configure()  # a port of its own: it must be the directory that refuses
        document = ground.refuses()
        assert document["code"] == "DATA_DIRECTORY_IN_USE"
        assert str(signer.process.pid) in document["detail"]
        assert re.search("stop it first", document["remedy"])
        assert line.sign(ground.key, vote_body(99, 100)).signature, "the first one is not disturbed"
        signer.config_file.write_text(first)


def test_after_a_kill_the_directory_is_free_at_once(killed: Ground, tmp_path: Path) -> None:
    ground = copy_ground(killed, tmp_path)
    with ground.starts() as (_, line):
        assert line.sign(ground.key, vote_body(*SIGNED, 1)).code == "DOUBLE_VOTE"


# --- what is not refused -----------------------------------------------------------------------------


def test_one_torn_record_of_the_head_file_is_no_fault(ground: Ground) -> None:
    for at in (100, RECORD_BYTES + 100):
        content = bytearray(ground.head.read_bytes())
        content[at] ^= 1
        ground.head.write_bytes(content)
        with ground.starts() as (_, line):
            assert line.sign(ground.key, vote_body(*SIGNED, 1)).code == "DOUBLE_VOTE"


def test_a_database_ahead_of_its_head_file_is_what_a_power_cut_leaves_and_no_fault(ground: Ground) -> None:
    with ground.starts() as (signer, line):
        older = ground.head.read_bytes()
        assert line.sign(ground.key, vote_body(99, 100, 0)).signature
        signer.kill()
    ground.head.write_bytes(older)
    with ground.starts() as (_, line):
        assert line.sign(ground.key, vote_body(99, 100, 1)).code == "DOUBLE_VOTE"


def head_without_database(data: Path) -> None:
    (data / "journal.sqlite").unlink()


def nothing_yet(data: Path) -> None:
    (data / "head").unlink()
    (data / "journal.sqlite").unlink()


def half_a_database(data: Path) -> None:
    nothing_yet(data)
    for ending in ("", "-journal", "-wal", "-shm"):
        (data / f".holdfast-writing-journal.sqlite{ending}").write_bytes(b"half of it" * 1000)


def half_a_head(data: Path) -> None:
    nothing_yet(data)
    (data / ".holdfast-writing-0123456789abcdef").write_bytes(b"half of it")


@pytest.mark.parametrize(
    "leave", [nothing_yet, half_a_database, head_without_database, half_a_head], ids=lambda leave: leave.__name__
)
def test_a_setup_that_was_killed_anywhere_refuses_neither_the_next_one_nor_the_start(tmp_path: Path, leave) -> None:
    config_file = write_configuration(tmp_path, {})
    set_up(config_file)
    leave(tmp_path / "data")
    set_up(config_file)
    signer = RunningSigner(config_file)
    try:
        signer.wait_until_ready()
        assert not list((tmp_path / "data").glob(".holdfast-writing-*"))
    finally:
        assert signer.stop() == 0


def test_a_database_without_its_head_file_is_refused_even_where_it_holds_nothing(tmp_path: Path) -> None:
    """A new database has its head file before it has its name: without one it is what is left of an older record."""
    config_file = write_configuration(tmp_path, {})
    set_up(config_file)
    pristine = (tmp_path / "data" / "journal.sqlite").read_bytes()
    signer = RunningSigner(config_file)
    signer.wait_until_ready()
    assert signer.stop() == 0
    for file in ("journal.sqlite-wal", "journal.sqlite-shm", "head"):
        (tmp_path / "data" / file).unlink(missing_ok=True)
    (tmp_path / "data" / "journal.sqlite").write_bytes(pristine)
    signer = RunningSigner(config_file)
    with pytest.raises(RuntimeError, match="the head file is missing, and there is a database, of 0 audit entries"):
        signer.wait_until_ready()


# --- the documented limit ------------------------------------------------------------------------------


def test_a_whole_directory_that_went_back_is_not_seen_unless_the_head_file_is_elsewhere(
    ground: Ground, tmp_path: Path
) -> None:
    """docs/threat-model.md: nothing inside the directory can tell. A head file on another disk does."""
    put_back(ground.data, tmp_path / "backup")
    with ground.starts() as (_, line):
        assert line.sign(ground.key, vote_body(99, 100, 0)).signature
    put_back(tmp_path / "backup", ground.data)
    with ground.starts() as (_, line):
        assert line.sign(ground.key, vote_body(99, 100, 1)).signature, "the limit: slashable, and nobody can know"

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(ground.head, elsewhere / "head")
    put_back(ground.data, tmp_path / "backup")
    ground.configure({"storage": {"data_directory": str(ground.data), "head_file": str(elsewhere / "head")}})
    with ground.starts() as (_, line):
        assert line.sign(ground.key, vote_body(100, 101, 0)).signature
    put_back(tmp_path / "backup", ground.data)
    assert ground.refuses()["code"] == "DATABASE_ROLLED_BACK"


def put_back(kept: Path, directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(kept, directory, ignore=shutil.ignore_patterns("*.sock"))
