"""The keys that serve, and how they are replaced."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signer.clock import FixedClock
from signer.errors import BusyError, StartupError
from signer.keys.key import Key, Origin
from signer.keys.reload import LoadResult, Reloader, ReloadStatus
from signer.keys.report import LoadReport, Progress
from signer.keys.ring import KeyRing


class SteppedLoader:
    """A loader that waits for its cue and then does what it is told."""

    def __init__(self, load: Callable[[], LoadReport]) -> None:
        self.cue = threading.Event()
        self.begun = threading.Event()
        self.do_load = load

    def load(self, progress: Progress, stop: threading.Event) -> LoadReport:
        self.begun.set()
        while not self.cue.wait(0.01):
            if stop.is_set():
                raise StartupError("stopped", remedy="none")
        return self.do_load()


def key(house: Any, number: int) -> Key:
    return Key(house.public_key(number), house.secret(number), Origin.RAW_FILE, Path(f"/keys/{number}.yaml"))


def served(house: Any, ring: KeyRing) -> set[int]:
    return {number for number in range(1, 30) if ring.find(house.public_key(number)) is not None}


def reloader_of(house: Any, ring: KeyRing, **options: Any) -> Reloader:
    return Reloader(house.loader(), ring, FixedClock(1_700_000_000.0), **options)


def test_an_empty_ring_is_not_ready_and_finds_nothing(house: Any) -> None:
    ring = KeyRing()
    assert not ring.ready
    assert ring.find(house.public_key(1)) is None
    assert ring.public_keys == ()


def test_a_ring_lists_its_keys_sorted_whatever_the_order(house: Any) -> None:
    ring, other = KeyRing(), KeyRing()
    ring.replace(key(house, number) for number in (3, 1, 2))
    other.replace(key(house, number) for number in (2, 3, 1))
    assert list(ring.public_keys) == sorted(house.public_key(number) for number in (1, 2, 3))
    assert (ring.public_keys, ring.tag) == (other.public_keys, other.tag)
    assert ring.ready


def test_the_tag_changes_with_the_list_and_only_with_it(house: Any) -> None:
    ring = KeyRing()
    tags = []
    for numbers in ((), (1,), (1, 2), (2,), (1,)):
        ring.replace(key(house, number) for number in numbers)
        tags.append(ring.tag)
    assert tags[4] == tags[1]
    assert len(set(tags)) == 4


def test_readers_see_the_old_set_or_the_new_one_and_never_a_mixture(house: Any) -> None:
    ring = KeyRing()
    sets = [tuple(key(house, number) for number in range(begin, begin + 8)) for begin in (1, 9)]
    ring.replace(sets[0])
    tags = {}
    for one in sets:
        ring.replace(one)
        tags[ring.tag] = ring.public_keys
    mixtures: list[object] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            current = ring.current
            if tags[current.tag] != current.public_keys or set(current.keys) != set(current.public_keys):
                mixtures.append(current)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(2000):
        ring.replace(sets[number % 2])
    stop.set()
    for reader in readers:
        reader.join()
    assert mixtures == []


def test_the_first_load_makes_the_ring_ready(house: Any) -> None:
    house.add_raw("a", 1)
    ring = KeyRing()
    reloader = reloader_of(house, ring)
    assert reloader.status == ReloadStatus("idle", None, None)
    reloader.start()
    assert reloader.wait(30)
    assert reloader.status == ReloadStatus("completed", 1_700_000_000.0, None)
    assert ring.ready
    assert served(house, ring) == {1}


def test_a_reload_adds_new_files_and_unloads_removed_ones(house: Any) -> None:
    first = house.add_raw("a", 1)
    ring = KeyRing()
    reloader = reloader_of(house, ring)
    reloader.load_now()
    first.unlink()
    house.add_raw("b", 2)
    house.add_bulk("c", 3)
    reloader.load_now()
    assert served(house, ring) == {2, 3}


def test_a_file_that_fails_on_reload_never_unloads_its_key(house: Any) -> None:
    raw, listed, bulk = house.add_raw("a", 1), house.add_keystore_file("b", 2), house.add_bulk("c", 3)
    ring = KeyRing()
    results: list[LoadResult] = []
    reloader = reloader_of(house, ring, listener=results.append)
    reloader.load_now()
    raw.write_text("type: file-raw\nprivateKey: broken")
    (house.config / "b.json").unlink()
    bulk.write_text("{")
    listed.touch()
    for _ in range(3):  # and it stays, however often we reload
        reloader.load_now()
        assert served(house, ring) == {1, 2, 3}
        assert reloader.status.state == "completed_with_errors"
        assert reloader.status.last_error == "Reload completed with 3 signer loading error(s)"
    assert [result.kept for result in results] == [0, 3, 3, 3]
    for file in (raw, listed, bulk):
        file.unlink()
    reloader.load_now()
    assert served(house, ring) == set()
    assert reloader.status == ReloadStatus("completed", 1_700_000_000.0, None)


def test_a_source_that_holds_a_deleted_key_is_told_by_every_load(house: Any) -> None:
    house.add_raw("a", 1)
    house.add_raw("b", 2)
    ring = KeyRing()
    results: list[LoadResult] = []
    reloader = reloader_of(house, ring, listener=results.append)
    ring.banish({key(house, 1).public_key})
    for _ in range(2):
        reloader.load_now()
        assert served(house, ring) == {2}
        assert reloader.status.state == "completed_with_errors"
        told = reloader.status.last_error or ""
        assert told.startswith(f"0x{key(house, 1).public_key.hex()} not served: deleted here (KEY_DELETED)")
    assert [[each.public_key for each in result.withheld] for result in results] == [[key(house, 1).public_key]] * 2
    (house.config / "b.yaml").write_text("type: file-raw\nprivateKey: broken")
    ring.banish({key(house, 2).public_key})
    reloader.load_now()
    assert (reloader.status.last_error or "").startswith("Reload completed with 1 signer loading error(s); 0x")
    ring.readmit({key(house, 1).public_key})
    (house.config / "b.yaml").unlink()
    reloader.load_now()
    assert reloader.status == ReloadStatus("completed", 1_700_000_000.0, None)
    assert served(house, ring) == {1}


@pytest.mark.parametrize("gone", ["config", "bulk", "passwords"])
def test_a_directory_that_is_gone_unloads_nothing(house: Any, gone: str) -> None:
    house.add_raw("a", 1)
    house.add_bulk("b", 2)
    ring = KeyRing()
    reloader = reloader_of(house, ring)
    reloader.load_now()
    (house.root / gone).rename(house.root / "away")
    reloader.load_now()
    assert served(house, ring) == {1, 2}
    assert reloader.status.state == "completed_with_errors"


def test_one_bad_document_keeps_the_other_keys_of_its_file_as_they_are(house: Any) -> None:
    file = house.config / "two.yaml"
    document = "type: file-raw\nprivateKey: {:064x}\n"
    file.write_text(document.format(1) + "---\n" + document.format(2))
    ring = KeyRing()
    reloader = reloader_of(house, ring)
    reloader.load_now()
    file.write_text(document.format(3) + "---\ntype: file-raw\n")
    reloader.load_now()
    assert served(house, ring) == {1, 2, 3}


def test_a_changed_file_replaces_its_key(house: Any) -> None:
    house.add_raw("a", 1)
    ring = KeyRing()
    reloader = reloader_of(house, ring)
    reloader.load_now()
    house.add_raw("a", 2)
    reloader.load_now()
    assert served(house, ring) == {2}


def test_a_strict_reload_that_fails_leaves_the_ring_as_it_was(house: Any) -> None:
    house.add_raw("a", 1)
    ring = KeyRing()
    reloader = Reloader(house.loader(strict=True), ring, FixedClock(5.0))
    reloader.load_now()
    house.add_raw("b", 2)
    (house.config / "c.yaml").write_text("type: nonsense")
    with pytest.raises(StartupError, match="1 key files cannot be loaded"):
        reloader.load_now()
    assert served(house, ring) == {1}
    assert reloader.status.state == "failed"
    assert "c.yaml" in (reloader.status.last_error or "")


def test_a_first_load_that_fails_leaves_the_ring_not_ready(house: Any) -> None:
    (house.config / "c.yaml").write_text("type: nonsense")
    ring = KeyRing()
    reloader = Reloader(house.loader(strict=True), ring, FixedClock(5.0))
    reloader.start()
    assert reloader.wait(30)
    assert reloader.status.state == "failed"
    assert not ring.ready


def test_while_one_load_runs_no_other_begins(house: Any) -> None:
    report = LoadReport((key(house, 1),), (), (), (), 0)
    loader = SteppedLoader(lambda: report)
    ring = KeyRing()
    reloader = Reloader(loader, ring, FixedClock(7.0))
    reloader.start()
    loader.begun.wait()
    assert reloader.status == ReloadStatus("running", 7.0, None)
    with pytest.raises(BusyError):
        reloader.start()
    with pytest.raises(BusyError):
        reloader.load_now()
    loader.cue.set()
    assert reloader.wait(30)
    assert reloader.status.state == "completed"
    reloader.start()
    assert reloader.wait(30)


def test_of_fifty_reloads_at_once_exactly_one_runs(house: Any) -> None:
    loader = SteppedLoader(lambda: LoadReport((), (), (), (), 0))
    reloader = Reloader(loader, KeyRing(), FixedClock(7.0))
    together = threading.Barrier(50)
    verdicts: list[str] = []

    def ask() -> None:
        together.wait()
        try:
            reloader.start()
            verdicts.append("started")
        except BusyError:
            verdicts.append("busy")

    askers = [threading.Thread(target=ask) for _ in range(50)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    loader.cue.set()
    assert reloader.wait(30)
    assert sorted(verdicts) == ["busy"] * 49 + ["started"]


def test_a_fault_nobody_expected_ends_the_load_as_failed(house: Any) -> None:
    def explode() -> LoadReport:
        raise ZeroDivisionError("hunter2")

    loader = SteppedLoader(explode)
    loader.cue.set()
    ring = KeyRing()
    ring.replace([key(house, 1)])
    results: list[LoadResult] = []
    reloader = Reloader(loader, ring, FixedClock(7.0), listener=results.append)
    reloader.start()
    assert reloader.wait(30)
    assert reloader.status == ReloadStatus("failed", 7.0, "ZeroDivisionError")
    assert served(house, ring) == {1}
    assert isinstance(results[0].error, ZeroDivisionError)


def test_closing_gives_up_a_load_that_runs() -> None:
    loader = SteppedLoader(lambda: LoadReport((), (), (), (), 0))
    ring = KeyRing()
    reloader = Reloader(loader, ring, FixedClock(7.0))
    reloader.start()
    loader.begun.wait()
    reloader.close()
    assert reloader.status.state == "failed"
    assert not ring.ready
