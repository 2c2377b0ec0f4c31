"""The doctor's examinations: each names what is wrong and what to do, and leaves nothing behind."""

import socket
from pathlib import Path

import pytest

from signer.audit.head import create_head_file, read_head
from signer.clock.sources import TrustedClock
from signer.clock.state import ClockState
from signer.crypto.bls import SecretKey, load
from signer.crypto.secret import Secret
from signer.errors import DataDirectoryInUseError, StartupError
from signer.journal.lock import DirectoryLock
from signer.keys.keystore_writer import encode_keystore
from signer.keys.public_test_keys import interop_secret
from signer.keys.sources import BulkDirectory, KeyLocations
from signer.operations.examine.disk import (
    check_file_system,
    examine_file_system,
    examine_free_space,
    examine_fsync,
    examine_head_directory,
    find_file_system,
    judge_fsync,
    measure_fsync,
)
from signer.operations.examine.finding import Finding, Grade
from signer.operations.examine.key_files import examine_key_files, examine_public_test_keys
from signer.operations.examine.machine import (
    examine_clock,
    examine_master_key,
    examine_memory,
    examine_open_files,
    examine_port,
)
from signer.operations.examine.record import examine_record
from signer.operations.record import Places, open_database

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:20 / /dev/shm rw - tmpfs tmpfs rw
24 22 0:40 / /srv rw - nfs4 server:/export rw
25 24 254:1 / /srv/local rw - xfs /dev/vdb rw
26 22 0:41 / /with\\040space rw - fuse.sshfs me@there: rw
27 22 0:42 / /layer rw - overlay overlay rw
28 22 254:2 / /twice rw - ext4 /dev/vdc rw
29 28 0:43 / /twice rw - cifs //server/share rw
30 22 0:44 / /data rw master:1 propagate_from:2 - btrfs /dev/vdd rw
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS)
    return file


# --- the disk --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("directory", "type_", "grade"),
    [
        ("/var/lib/holdfast", "ext4", Grade.OK),
        ("/data/holdfast", "btrfs", Grade.OK),
        ("/dev/shm/holdfast", "tmpfs", Grade.FAULT),
        ("/srv/holdfast", "nfs4", Grade.FAULT),
        ("/srv/local/holdfast", "xfs", Grade.OK),
        ("/srvlocal", "ext4", Grade.OK),
        ("/with space/holdfast", "fuse.sshfs", Grade.FAULT),
        ("/layer", "overlay", Grade.FAULT),
        ("/twice/over", "cifs", Grade.FAULT),
    ],
)
def test_a_directory_is_judged_by_the_deepest_and_last_mount(
    mounts: Path, directory: str, type_: str, grade: Grade
) -> None:
    finding = examine_file_system(Path(directory), strict=True, mounts=mounts)
    assert (finding.figures["type"], finding.grade) == (type_, grade)
    assert bool(finding.remedy) is (grade is Grade.FAULT)
    lenient = examine_file_system(Path(directory), strict=False, mounts=mounts)
    assert lenient.grade is (Grade.WARNING if grade is Grade.FAULT else grade)


def test_this_systems_own_mounts_are_understood(tmp_path: Path) -> None:
    found = find_file_system(tmp_path)
    assert found is not None
    assert tmp_path.resolve().is_relative_to(found.mount_point)


def test_a_system_that_does_not_tell_its_mounts_is_not_judged(tmp_path: Path) -> None:
    assert examine_file_system(tmp_path, strict=True, mounts=tmp_path / "nothing").grade is Grade.SKIPPED


def test_the_start_in_production_is_refused_in_memory() -> None:
    shared = Path("/dev/shm")
    found = find_file_system(shared)
    if found is None or found.type != "tmpfs":
        pytest.skip("/dev/shm is no tmpfs here")
    with pytest.raises(StartupError) as caught:
        check_file_system(shared)
    assert "gone with the power" in caught.value.sentence
    assert caught.value.remedy


def test_the_free_space_is_told(tmp_path: Path) -> None:
    finding = examine_free_space(tmp_path)
    assert isinstance(finding.figures["free_bytes"], int)
    assert "GiB are free" in finding.sentence


@pytest.mark.parametrize(
    ("times", "grade", "words"),
    [
        ([0.002] * 100, Grade.OK, "2.0 ms (median)"),
        ([0.00002] * 100, Grade.WARNING, "power-loss protection"),
        ([0.02] * 100, Grade.WARNING, "faster local disk"),
        ([0.002] * 98 + [0.6, 0.6], Grade.FAULT, "solid-state"),
        ([0.8], Grade.FAULT, "solid-state"),
    ],
)
def test_the_times_of_fsync_are_judged(times: list[float], grade: Grade, words: str) -> None:
    finding = judge_fsync(times)
    assert finding.grade is grade
    assert words in finding.sentence + finding.remedy


def test_fsync_is_measured_and_leaves_nothing_behind(tmp_path: Path) -> None:
    samples = measure_fsync(tmp_path)
    assert 1 <= len(samples) <= 200
    assert all(0 < each < 60 for each in samples)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    finding = examine_fsync(tmp_path / "missing")
    assert finding.grade is Grade.FAULT
    assert "no file can be written" in finding.sentence


# --- the machine -----------------------------------------------------------------------------------


class BadClock:
    def measure(self) -> ClockState:
        return ClockState(False, 3.5, 0.1, "ntp:a", "ntp:a says this clock is +3.5 s off; run a time service")


def test_a_bad_clock_is_a_fault_where_it_stops_the_start_and_else_a_warning() -> None:
    strict, lenient = examine_clock(BadClock(), strict=True), examine_clock(BadClock(), strict=False)
    assert (strict.grade, lenient.grade) == (Grade.FAULT, Grade.WARNING)
    assert (strict.sentence, strict.remedy) == ("ntp:a says this clock is +3.5 s off", "run a time service")
    assert strict.figures["offset_seconds"] == 3.5
    assert examine_clock(TrustedClock(), strict=True).grade is Grade.OK


def test_a_port_is_free_taken_or_served() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(8)
        port = other.getsockname()[1]
        taken = examine_port("port", host="127.0.0.1", port=port, ours=False)
        served = examine_port("port", host="127.0.0.1", port=port, ours=True)
        everywhere = examine_port("port", host="0.0.0.0", port=port, ours=True)
    free = examine_port("port", host="127.0.0.1", port=port, ours=False)
    silent = examine_port("port", host="127.0.0.1", port=port, ours=True)
    assert [each.grade for each in (taken, served, everywhere, free, silent)] == [
        Grade.FAULT, Grade.OK, Grade.OK, Grade.OK, Grade.FAULT,
    ]  # fmt: skip
    assert "taken by another program" in taken.sentence
    assert "nobody answers" in silent.sentence


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    finding = examine_port("port", host="192.0.2.1", port=9000, ours=False)
    assert finding.grade is Grade.FAULT
    assert "address of this machine" in finding.remedy


def test_a_port_that_is_taken_at_start_needs_no_look() -> None:
    assert examine_port("port", host="127.0.0.1", port=0, ours=False).grade is Grade.OK


def test_the_limit_of_open_files_is_compared_with_the_connections() -> None:
    assert examine_open_files(connections=16).grade is Grade.OK
    finding = examine_open_files(connections=2**40)
    assert finding.grade is Grade.WARNING
    assert "ulimit -n" in finding.remedy


@pytest.mark.parametrize(("kib", "grade"), [(1_000_000, Grade.OK), (100_000, Grade.WARNING)])
def test_little_memory_is_a_warning(tmp_path: Path, kib: int, grade: Grade) -> None:
    (tmp_path / "meminfo").write_text(f"MemTotal: 8000000 kB\nMemAvailable:   {kib} kB\n")
    assert examine_memory(information=tmp_path / "meminfo").grade is grade
    assert examine_memory(information=tmp_path / "nothing").grade is Grade.SKIPPED


def test_a_missing_master_key_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"k")
    assert examine_master_key(tmp_path / "key", None).grade is Grade.OK
    assert examine_master_key(tmp_path / "nothing", tmp_path / "key").grade is Grade.OK
    assert examine_master_key(tmp_path / "nothing", None).grade is Grade.FAULT


# --- the key files ---------------------------------------------------------------------------------


def test_key_files_are_read_and_no_keystore_is_opened(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "raw.yaml").write_text("type: file-raw\nprivateKey: '0x" + "11" * 32 + "'\n")
    (keys / "stored.yaml").write_text("type: file-keystore\nkeystoreFile: a.json\nkeystorePasswordFile: a.txt\n")
    (keys / "a.json").write_text("opened at the start, not now")
    (keys / "a.txt").write_text("password\n")
    finding = examine_key_files(config_directory=keys, keystores=None, passwords=None, strict=False)
    assert (finding.grade, finding.figures) == (Grade.OK, {"listed": 2, "errors": 0})


def test_files_that_cannot_be_loaded_are_named(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.yaml").write_text("type: nonsense\n")
    (tmp_path / "good.yaml").write_text(
        "type: file-keystore\nkeystoreFile: a.json\nkeystorePasswordFile: missing.txt\n"
    )
    (tmp_path / "raw.yaml").write_text("type: file-raw\nprivateKey: '0x" + "11" * 32 + "'\n")
    (tmp_path / "a.json").write_text("{}")

    def examine(*, strict: bool) -> Grade:
        finding = examine_key_files(config_directory=tmp_path, keystores=None, passwords=None, strict=strict)
        assert finding.figures == {"listed": 2, "errors": 6}
        assert "0.yaml" in finding.sentence
        assert "and 3 more" in finding.sentence
        assert "11" * 32 not in finding.sentence
        return finding.grade

    assert examine(strict=False) is Grade.WARNING
    assert examine(strict=True) is Grade.FAULT


def test_bulk_keystores_are_counted_with_their_passwords(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "password").write_text("secret\n")
    finding = examine_key_files(
        config_directory=tmp_path / "none", keystores=tmp_path, passwords=tmp_path / "password", strict=False
    )
    assert finding.figures == {"listed": 1, "errors": 0}


def test_no_key_at_all_is_a_warning(tmp_path: Path) -> None:
    finding = examine_key_files(config_directory=tmp_path, keystores=None, passwords=None, strict=False)
    assert (finding.grade, finding.sentence) == (Grade.WARNING, "no key is listed")


def test_published_test_keys_are_found_in_raw_files_and_by_the_names_of_keystores(tmp_path: Path) -> None:
    bls, far = load(), tmp_path / "bulk"
    far.mkdir()
    locations = KeyLocations(tmp_path, (BulkDirectory(far, tmp_path / "password"),))
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "own.yaml").write_text("type: file-raw\nprivateKey: '0x" + "11" * 32 + "'\n")
    (tmp_path / "no-key.yaml").write_text("type: file-raw\nprivateKey: '0x" + "ff" * 32 + "'\n")
    own = SecretKey.from_bytes(b"\x11" * 32)
    (far / "own.json").write_bytes(encode_keystore(own, bls.public_key(own), Secret(b"x")))
    assert examine_public_test_keys(locations, bls).grade is Grade.OK
    (tmp_path / "interop.yaml").write_text(f"type: file-raw\nprivateKey: '0x{interop_secret(77_777).hex()}'\n")
    known = SecretKey.from_bytes(interop_secret(7))
    (far / "known.json").write_bytes(encode_keystore(known, bls.public_key(known), Secret(b"x")))
    finding = examine_public_test_keys(locations, bls)
    assert (finding.grade, finding.figures) == (Grade.FAULT, {"found": 2})
    assert str(tmp_path / "interop.yaml") in finding.sentence
    assert str(far / "known.json") in finding.sentence


# --- the record ------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path) -> Places:
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    return Places(directory, directory / "head")


def looked_at(places: Places, **settings: bool) -> Finding:
    (finding,) = examine_record(places, **settings)
    return finding


def test_before_the_first_start_there_is_no_database_and_none_is_made(places: Places) -> None:
    assert looked_at(places).grade is Grade.OK
    assert not places.database.exists()


def test_a_whole_database_is_examined_and_not_changed(places: Places) -> None:
    database, _ = open_database(places, may_create=True)
    database.close()
    before = places.database.read_bytes()
    finding = looked_at(places)
    assert finding.grade is Grade.OK, finding.sentence
    assert finding.figures["audit_entries"] == 0
    assert places.database.read_bytes() == before


def test_a_held_directory_is_left_to_its_holder(places: Places) -> None:
    lock = DirectoryLock(places.data_directory)
    try:
        with pytest.raises(DataDirectoryInUseError):
            looked_at(places)
    finally:
        lock.close()


def test_a_database_that_lost_history_is_a_fault_with_its_remedy(places: Places) -> None:
    database, head = open_database(places, may_create=True)
    database.close()
    from dataclasses import replace

    create_head_file(places.head_file, replace(head, size=7, head=b"\7" * 32))
    finding = looked_at(places)
    assert finding.grade is Grade.FAULT
    assert "went back in time" in finding.sentence
    assert "accept-restore" in finding.remedy
    found = read_head(places.head_file)
    assert found is not None
    assert found.size == 7, "the head file is as it was"


@pytest.mark.parametrize("content", [b"not a database at all" * 500, b""], ids=["garbage", "empty"])
def test_something_else_in_its_place_is_a_fault(places: Places, content: bytes) -> None:
    places.database.write_bytes(content)
    finding = looked_at(places)
    assert finding.grade is Grade.FAULT
    assert finding.remedy
    assert places.database.read_bytes() == content


def test_a_corrupted_page_is_found(places: Places) -> None:
    database, _ = open_database(places, may_create=True)
    database.close()
    content = bytearray(places.database.read_bytes())
    content[4096 * 2 : 4096 * 3] = b"\xff" * 4096
    places.database.write_bytes(content)
    finding = looked_at(places)
    assert finding.grade is Grade.FAULT
    assert "damaged" in finding.sentence


def test_where_the_first_start_may_not_make_the_record_its_absence_is_a_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    places = Places(tmp_path, tmp_path / "head")
    assert looked_at(places).grade is Grade.OK
    finding = looked_at(places, may_begin=False)
    assert finding.grade is Grade.FAULT
    assert "if this one has signed before, its record is lost or its disk is not mounted" in finding.remedy


def test_a_head_file_apart_from_the_data_needs_its_directory(tmp_path: Path) -> None:
    def examine(head_file: Path) -> Finding:
        return examine_head_directory(head_file, data_directory=tmp_path)

    assert examine(tmp_path / "head").grade is Grade.OK
    finding = examine(tmp_path / "other" / "head")
    assert finding.grade is Grade.FAULT
    assert str(tmp_path / "other") in finding.sentence
    (tmp_path / "other").mkdir()
    assert examine(tmp_path / "other" / "head").grade is Grade.OK
