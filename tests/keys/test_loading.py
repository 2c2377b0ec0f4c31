"""Loading every key: all sources, all faults, and what the vault saves."""

import base64
import json
import resource
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from signer.crypto.bls import SecretKey
from signer.errors import KeyFormatError, ShutDownError, StartupError
from signer.keys.key import Key, Origin
from signer.keys.loader import SAVE_EVERY, Loader
from signer.keys.memory_budget import MemoryBudget
from signer.keys.opening import ParallelWork
from signer.keys.report import LoadReport
from signer.keys.ring import KeyRing
from signer.keys.sources import BulkDirectory, KeyLocations
from signer.units import PublicKey


def numbers(house: Any, report: LoadReport) -> list[int]:
    known = {house.public_key(number): number for number in range(1, 40)}
    return [known[key.public_key] for key in report.keys]


def counts(report: LoadReport) -> list[tuple[str, int, int]]:
    return [(count.source, count.keys_loaded, count.error_count) for count in report.counts]


def test_all_sources_are_loaded_and_counted(house: Any) -> None:
    house.add_raw("raw", 1)
    house.add_keystore_file("listed", 2)
    house.add_bulk("bulk", 3)
    report = house.loader().load()
    assert sorted(numbers(house, report)) == [1, 2, 3]
    assert counts(report) == [("config-files-loading", 2, 0), ("keystores-bulk-loading", 1, 0)]
    assert {key.origin: (key.derivation_path, key.namespace) for key in report.keys} == {
        Origin.RAW_FILE: (None, "default"),
        Origin.KEYSTORE_FILE: ("m/12381/3600/0/0/0", "default"),
        Origin.BULK_KEYSTORE: (None, "default"),
    }
    assert (report.errors, report.warnings, report.opened) == ((), (), 2)


def test_loaded_keys_sign(house: Any) -> None:
    house.add_bulk("bulk", 3)
    (key,) = house.loader().load().keys
    assert house.bls.verify(key.public_key, b"root", house.bls.sign(key.secret, b"root"))


def test_nothing_to_load_is_no_error(house: Any) -> None:
    report = house.loader().load()
    assert (report.keys, report.errors) == ((), ())
    assert counts(report) == [("config-files-loading", 0, 0), ("keystores-bulk-loading", 0, 0)]


def test_a_restart_opens_no_keystore_again(house: Any) -> None:
    for number in range(1, 20):
        house.add_bulk(f"k{number:02}", number)
    house.add_keystore_file("listed", 20)
    assert house.loader().load().opened == 20
    again = house.loader().load()
    assert again.opened == 0
    assert sorted(numbers(house, again)) == list(range(1, 21))
    assert {key.derivation_path for key in again.keys} == {None, "m/12381/3600/0/0/0"}


def test_ten_times_the_same_restart_leaves_the_vault_untouched(house: Any) -> None:
    house.add_bulk("a", 1)
    vault = house.vault()
    house.loader(vault=vault).load()
    before = (vault.file.read_bytes(), vault.file.stat().st_ino)
    for _ in range(10):
        house.loader(vault=vault).load()
    assert (vault.file.read_bytes(), vault.file.stat().st_ino) == before


def test_a_changed_keystore_or_password_is_noticed(house: Any) -> None:
    house.add_bulk("a", 1)
    house.add_bulk("b", 2)
    house.loader().load()
    house.add_bulk("a", 3)
    (house.passwords / "b.txt").write_text("wrong")
    report = house.loader().load()
    assert numbers(house, report) == [3]
    assert ["password does not open" in error.sentence for error in report.errors] == [True]
    (house.passwords / "b.txt").write_text("pass")
    assert sorted(numbers(house, house.loader().load())) == [2, 3]


def test_a_removed_keystore_is_gone_from_the_vault_too(house: Any) -> None:
    house.add_bulk("a", 1)
    file = house.add_bulk("b", 2)
    house.loader().load()
    file.unlink()
    assert numbers(house, house.loader().load()) == [1]
    assert [sealed.public_key for sealed in house.vault().read().keys] == [house.public_key(1)]


def test_a_keystore_that_is_only_unreadable_now_stays_in_the_vault(house: Any) -> None:
    house.add_bulk("a", 1)
    house.loader().load()
    (house.passwords / "a.txt").rename(house.passwords / "a.away")
    assert house.loader().load().keys == ()
    assert len(house.vault().read().keys) == 1
    (house.passwords / "a.away").rename(house.passwords / "a.txt")
    assert house.loader().load().opened == 0


def test_a_moved_keystore_is_recognised(house: Any) -> None:
    file = house.add_bulk("a", 1)
    house.loader().load()
    file.rename(house.bulk / "z.json")
    (house.passwords / "a.txt").rename(house.passwords / "z.txt")
    report = house.loader().load()
    assert (report.opened, report.keys[0].source_file) == (0, house.bulk / "z.json")


def test_each_malformed_file_is_reported_and_stops_nothing(house: Any) -> None:
    house.add_raw("good", 1)
    house.add_bulk("good", 2)
    house.add_raw("zero", 0)
    (house.config / "yaml.yaml").write_text("- not a mapping")
    (house.config / "vault.yaml").write_text("type: hashicorp")
    (house.config / "lost.yaml").write_text("type: file-keystore\nkeystoreFile: no\nkeystorePasswordFile: no")
    (house.bulk / "deposit_data.json").write_text("[]")
    (house.passwords / "deposit_data.txt").write_text("pass")
    (house.bulk / "truncated.json").write_bytes(house.keystore(3)[:200])
    (house.passwords / "truncated.txt").write_text("pass")
    (house.bulk / "nopassword.json").write_bytes(house.keystore(4))
    (house.bulk / "blank.json").write_bytes(house.keystore(5))
    (house.passwords / "blank.txt").write_text("\n")
    (house.bulk / "directory.json").mkdir()
    report = house.loader().load()
    assert sorted(numbers(house, report)) == [1, 2]
    assert counts(report) == [("config-files-loading", 1, 4), ("keystores-bulk-loading", 1, 5)]
    by_name = {Path(error.file).name: error.sentence for error in report.errors}
    assert {name: sentence[:30] for name, sentence in by_name.items()}.keys() == {
        "zero.yaml",
        "yaml.yaml",
        "vault.yaml",
        "lost.yaml",
        "deposit_data.json",
        "truncated.json",
        "nopassword.json",
        "blank.json",
        "directory.json",
    }
    assert "zero is not a BLS private key" in by_name["zero.yaml"]
    assert "is a directory" in by_name["directory.json"]
    assert "is blank" in by_name["blank.json"]


def test_strict_refuses_to_load_with_any_error_and_names_the_first(house: Any) -> None:
    house.add_raw("good", 1)
    assert len(house.loader(strict=True).load().keys) == 1
    (house.config / "bad.yaml").write_text("type: hashicorp")
    with pytest.raises(StartupError, match=r"1 key files cannot be loaded; the first is .*bad.yaml") as caught:
        house.loader(strict=True).load()
    assert "keys.strict" in caught.value.remedy


def test_of_two_equal_keys_the_first_is_kept_with_a_warning(house: Any) -> None:
    house.add_raw("b", 1)
    house.add_keystore_file("a", 1)
    house.add_bulk("c", 1)
    report = house.loader().load()
    (key,) = report.keys
    assert key.source_file.name == "a.yaml"
    assert [warning.split(": ")[1][:16] for warning in report.warnings] == ["the same key as "] * 2
    assert counts(report) == [("config-files-loading", 1, 0), ("keystores-bulk-loading", 0, 0)]
    again = house.loader().load()
    assert (again.opened, again.keys[0].source_file.name, len(again.warnings)) == (0, "a.yaml", 2)


def test_a_public_key_that_is_not_the_keys_is_refused(house: Any) -> None:
    file = house.add_bulk("a", 1)
    file.write_bytes(file.read_bytes().replace(house.public_key(1).hex().encode(), house.public_key(2).hex().encode()))
    report = house.loader().load()
    assert report.keys == ()
    assert "pubkey is not the public key" in report.errors[0].sentence


def test_a_keystore_of_a_yaml_file_is_named_in_the_error_of_that_file(house: Any) -> None:
    file = house.add_keystore_file("listed", 1)
    (house.config / "listed.password").write_text("hunter2\n")
    (error,) = house.loader().load().errors
    assert error.file == str(file)
    assert error.sentence.startswith(f"{house.config / 'listed.json'}: the password does not open")
    assert "hunter2" not in error.sentence


def test_one_password_file_serves_all_bulk_keystores(house: Any, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("shared\n")
    for number in (1, 2, 3):
        (house.bulk / f"{number}.json").write_bytes(house.keystore(number, "shared"))
    locations = KeyLocations(None, (BulkDirectory(house.bulk, tmp_path / "password"),))
    assert len(Loader(locations, house.bls, house.vault()).load().keys) == 3


def test_progress_counts_every_keystore_that_must_be_opened(house: Any) -> None:
    for number in range(1, 6):
        house.add_bulk(f"k{number}", number)
    house.add_raw("raw", 9)
    told: list[tuple[int, int]] = []
    house.loader().load(lambda done, total: told.append((done, total)))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


class GatedBudget(MemoryBudget):
    """Has memory for some keystores, and for more only when the gate opens."""

    def __init__(self, free: int) -> None:
        super().__init__(1)
        self.free = threading.Semaphore(free)
        self.gate = threading.Event()

    @contextmanager
    def hold(self, wanted_bytes: int) -> Iterator[None]:
        if not self.free.acquire(blocking=False):
            self.gate.wait()
        with super().hold(wanted_bytes):
            yield


@pytest.mark.parametrize("opened", [1, 7, SAVE_EVERY, SAVE_EVERY + 5])
def test_a_load_that_is_stopped_has_sealed_what_it_had_opened(house: Any, opened: int) -> None:
    total = opened + 20
    for number in range(1, total + 1):
        house.add_bulk(f"k{number:04}", number)
    stop, memory = threading.Event(), GatedBudget(opened)

    def stop_here(done: int, _total: int) -> None:
        if done == opened:
            stop.set()
            memory.gate.set()

    with pytest.raises(ShutDownError):
        Loader(house.locations, house.bls, house.vault(), threads=2, memory=memory).load(stop_here, stop)
    sealed = len(house.vault().read().keys)
    assert opened <= sealed <= opened + 2  # two threads may have finished one each
    assert house.loader().load().opened == total - sealed


def test_imported_keys_are_served_from_the_vault_alone(house: Any) -> None:
    vault = house.vault()
    vault.add_imported([Key(house.public_key(9), house.secret(9), Origin.IMPORTED, vault.file)])
    for _ in range(2):
        report = house.loader().load()
        assert numbers(house, report) == [9]
        assert (report.keys[0].origin, report.keys[0].source_file) == (Origin.IMPORTED, vault.file)
        assert counts(report)[0] == ("config-files-loading", 1, 0)


def test_a_damaged_line_of_the_vault_is_reported_once_and_its_keystore_opened_again(house: Any) -> None:
    for number in (1, 2):
        house.add_bulk(f"k{number}", number)
    vault = house.vault()
    house.loader(vault=vault).load()
    vault.file.write_bytes(vault.file.read_bytes()[:-30])
    report = house.loader(vault=vault).load()
    assert sorted(numbers(house, report)) == [1, 2]
    assert report.opened == 1
    assert ["sealed keys are damaged" in error.sentence for error in report.errors] == [True]
    healed = house.loader(vault=vault).load()
    assert (healed.errors, healed.opened) == ((), 0)


def test_a_sealed_key_that_was_tampered_with_is_not_used(house: Any) -> None:
    """Somebody with write access gives another validator's key a public key of their choice: the seal tells."""
    house.add_bulk("k1", 1)
    vault = house.vault()
    house.loader(vault=vault).load()
    head, line = vault.file.read_text().splitlines()
    forged = json.loads(line) | {"public_key": base64.b64encode(house.public_key(2)).decode()}
    vault.file.write_text(f"{head}\n{json.dumps(forged)}\n")
    report = house.loader(vault=vault).load()
    assert numbers(house, report) == [1]
    assert any("is not used" in error.sentence for error in report.errors)


def test_a_vault_that_cannot_be_written_costs_only_the_next_start(house: Any) -> None:
    for number in range(1, 30):
        house.add_bulk(f"k{number:02}", number)
    loader = house.loader()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        report = loader.load()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(report.keys) == 29
    assert [error.sentence for error in report.errors] == ["the opened keys cannot be sealed: File too large"]
    assert house.loader().load().opened == 29


def test_a_hostile_keystore_does_not_stop_the_others_or_take_the_memory(house: Any) -> None:
    house.add_bulk("good", 1)
    bomb = house.keystore(2).replace(b'"c": 1', b'"c": 99999999999')
    assert bomb != house.keystore(2)
    (house.bulk / "bomb.json").write_bytes(bomb)
    (house.passwords / "bomb.txt").write_text("pass")
    (house.bulk / "huge.json").write_bytes(b" " * (1 << 21))
    (house.passwords / "huge.txt").write_text("pass")
    report = house.loader().load()
    assert numbers(house, report) == [1]
    assert sorted(Path(error.file).name for error in report.errors) == ["bomb.json", "huge.json"]


def test_a_file_whose_reading_fails_is_reported(house: Any) -> None:
    (house.config / "a.yaml").symlink_to("/proc/self/mem")  # address 0 is mapped nowhere
    house.add_raw("b", 1)
    report = house.loader().load()
    assert numbers(house, report) == [1]
    assert [error.sentence for error in report.errors] == ["the file cannot be read: Input/output error"]


def test_an_unexpected_fault_of_a_job_is_raised_and_the_rest_given_up() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ZeroDivisionError
        return number

    parallel = ParallelWork(range(1000), work, stop=threading.Event())
    with pytest.raises(ZeroDivisionError):
        list(parallel.results(threads=1))
    assert parallel._waiting.empty()


def test_as_many_jobs_run_at_once_as_there_are_threads() -> None:
    all_at_once = threading.Barrier(4, timeout=20)

    def work(number: int) -> int:
        all_at_once.wait()  # breaks, and the job with it, unless three others come
        return number

    assert len(list(ParallelWork(range(8), work, stop=threading.Event()).results(threads=4))) == 8
    assert not all_at_once.broken


def test_expected_faults_of_jobs_are_results() -> None:
    def work(number: int) -> int:
        if number % 2:
            raise KeyFormatError("odd")
        return number

    results = dict(ParallelWork(range(10), work, stop=threading.Event()).results(threads=3))
    assert [type(results[number]) for number in range(10)] == [int, KeyFormatError] * 5


def test_ten_thousand_sealed_keys_take_little_memory_each(house: Any) -> None:
    """The promise is 30 MB for 10,000 keys; a thousand are weighed here."""
    secrets = [house.secret(number).to_secret().reveal() for number in range(1, 1001)]
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    ring = KeyRing()
    ring.replace(
        Key(
            PublicKey(bytes(16) + secret),
            SecretKey.from_bytes(secret),
            Origin.BULK_KEYSTORE,
            Path(f"/data/keys/keystore-m_12381_3600_{secret.hex()}.json"),
        )
        for secret in secrets
    )
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ring.public_keys) == 1000
    assert (after - before) / 1000 < 3_000


def test_each_key_is_told_with_its_origin_and_the_time_it_took(house: Any) -> None:
    house.add_raw("raw", 1)
    house.add_keystore_file("listed", 2)
    house.add_bulk("bulk", 3)
    (house.config / "broken.yaml").write_text("type: nonsense")
    for opened in (2, 0):  # with their passwords, and from the vault
        report = house.loader().load()
        assert report.opened == opened
        assert sorted(retrieval.origin for retrieval in report.retrievals) == [
            Origin.BULK_KEYSTORE,
            Origin.KEYSTORE_FILE,
            Origin.RAW_FILE,
        ]
        assert all(0 < retrieval.seconds < 60 for retrieval in report.retrievals)
