"""A long document goes in by parts: signing goes on between them, and a stop at any moment refuses more, never less."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from journal.record import public_key, root
from operations.keeping_twin import explaining, horizon
from operations.record_twin import CALLER, CHAIN, House, verdict

from interchange import Metadata, SignedAttestation, SignedBlock, ValidatorHistory, serialise
from signer.errors import MalformedRequestError, UnusableHistoriesError, WrongNetworkError
from signer.journal.statement import Statement
from signer.operations.explain import Question
from signer.operations.horizon import FURTHEST_LOW_EPOCHS, Horizon
from signer.operations.importing import WriterImports
from signer.operations.kept_record import KeptRecord as Record
from signer.operations.protect import Changes, ImportOptions, Protection
from signer.operations.staged_document import OWN_PROCESS_BYTES
from signer.slashing.rules import Proposal
from signer.slashing.staging import PART_ROWS
from signer.units import Root, Slot

ON_BOTH_DATABASES = True
"""See conftest.py."""

DRY_RUN = ImportOptions(dry_run=True)
PARTIAL = ImportOptions(partial=True)

HOODI = Root(bytes.fromhex("212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f"))

FIRST, LAST = 100, 1_150
"""The targets of the long document; more votes than one part holds."""


def long_histories(*, keys: int = 2) -> list[ValidatorHistory]:
    votes = tuple(SignedAttestation(n - 1, n, root(7)) for n in range(FIRST, LAST + 1))
    blocks = tuple(SignedBlock(slot, root(7)) for slot in range(50, 90))
    return [ValidatorHistory(public_key(key), blocks, votes) for key in range(1, keys + 1)]


def write(house: House, histories: list[ValidatorHistory], name: str = "document.json") -> Path:
    file = house.directory / name
    file.write_bytes(b"".join(serialise(Metadata(CHAIN), histories)))
    return file


def importer(
    house: House, record: Record, changes: Changes | None = None, *, present: Horizon | None = None
) -> WriterImports:
    return WriterImports(
        changes=changes or record.writer,
        horizon=present or horizon(house),
        pinned=lambda: record.pinned,
        reading=house.reading,
        data_directory=house.data,
    )


VALIDATORS = Statement(
    embedded="SELECT 0, public_key, floor_slot, floor_source, floor_target, held_slot, held_source, held_target"
    " FROM validators ORDER BY 2",
    shared="SELECT 0, public_key, floor_slot, floor_source, floor_target, held_slot, held_source, held_target"
    " FROM known_validators() ORDER BY 2",
)
VOTES = (
    "SELECT public_key, target_epoch, source_epoch, signing_root FROM signed_attestations"
    " JOIN validators ON validators.id = validator_id ORDER BY 1, 2"
)
BLOCKS = (
    "SELECT public_key, slot, signing_root FROM signed_blocks JOIN validators ON validators.id = validator_id"
    " ORDER BY 1, 2"
)


def rows(house: House) -> list[list[tuple[Any, ...]]]:
    """Everything that protects, as it is stored."""
    with house.reading() as moment:
        return [list(moment.rows(statement)) for statement in (VALIDATORS, VOTES, BLOCKS)]


class CutShortError(Exception):
    """Stands for whatever ends a process between two commits."""


class Stopping:
    """Lets so many changes through, and then no more."""

    def __init__(self, changes: Changes, count: int) -> None:
        self.changes = changes
        self.left = count

    def perform(self, change: Callable[..., Any], story: Callable[..., Any]) -> "asyncio.Future[Any]":
        if self.left == 0:
            raise CutShortError
        self.left -= 1
        return self.changes.perform(change, story)


async def test_a_stop_after_any_commit_refuses_more_and_the_same_import_completes_the_record(
    house: House, tmp_path: Path
) -> None:
    whole = house.beside(tmp_path / "whole")
    with whole.record() as record:
        await verdict(record, 5, 6, key=1)  # on record before: its floor is far below, and stays
        file = write(whole, long_histories())
        await importer(whole, record).merge(file, CALLER)
        commits = record.log.head.size - 1
        expected = rows(whole)
        allowed = await verdict(record, LAST, LAST + 1)
        assert allowed == "new"
    parts = -(-2 * (LAST - FIRST + 1 + 40) // PART_ROWS)
    assert commits == 1 + parts + 1, "one that holds, the parts, one that lifts the hold"

    for stop in range(commits):
        house = house.beside(tmp_path / f"stopped after {stop}")
        with house.record() as record:
            await asyncio.wait_for(verdict(record, 5, 6, key=1), 10)
            with pytest.raises(CutShortError):
                await importer(house, record, Stopping(record.writer, stop)).merge(file, CALLER)
            for source, target in ((FIRST - 1, FIRST), (400, 401), (LAST - 1, LAST), (99, LAST + 1), (5, LAST + 1)):
                answer = await verdict(record, source, target, mark=9, key=1)
                assert answer not in {"new", "repeat"} or stop == 0, (stop, source, target)
        if stop == 0:
            continue
        with house.record() as record:  # as after a crash: another process
            await importer(house, record).merge(file, CALLER)
            again = await importer(house, record).merge(file, CALLER)
            assert [(one.blocks, one.attestations) for one in again] == [(0, 0), (0, 0)]
            validators, votes, blocks = rows(house)
            assert validators == expected[0], stop
            assert votes == expected[1], stop
            assert blocks == expected[2], stop
            assert await verdict(record, LAST, LAST + 1) == "new"


KILLED = """
import asyncio, json, os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:]
from operations.record_twin import CALLER, House
from operations.test_importing import importer

class Telling:
    def __init__(self, changes): self.changes = changes
    def perform(self, change, story):
        done = self.changes.perform(change, story)
        done.add_done_callback(lambda _: print(flush=True))
        return done

async def main(directory, file, database):
    print(os.getpid(), flush=True)
    house = House(Path(directory), new_database=(lambda: database) if database else None)
    with house.record() as record:
        await importer(house, record, Telling(record.writer)).merge(Path(file), CALLER)

for line in sys.stdin:
    if (child := os.fork()) == 0:
        asyncio.run(main(*json.loads(line)))
        signal.pause()  # whoever told us to begin ends us
    os.waitpid(child, 0)
    print("ended", flush=True)
"""
"""Imports in a process of its own for each line that it reads: forked, since loading the program takes a second. Prints
the process id, a line for each commit, and at last that the process has ended."""


async def test_a_process_killed_in_the_middle_is_completed_by_the_same_import(house: House, tmp_path: Path) -> None:
    whole = house.beside(tmp_path / "whole")
    file = write(whole, long_histories(keys=6))
    with whole.record() as record:
        await importer(whole, record).merge(file, CALLER)
        expected = rows(whole)
    command = [sys.executable, "-c", KILLED, *sys.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as imports:
        for lines in (1, 2, 4, 7):
            house = house.beside(tmp_path / f"killed {lines}")
            kill_an_import(imports, [str(house.directory), str(file), house.make_database()], after=lines)
            house.end_lease()
            with house.record() as record:
                assert await verdict(record, LAST - 2, LAST - 1, mark=9, key=6) != "new", "its votes may not be in yet"
                await importer(house, record).merge(file, CALLER)
            assert rows(house) == expected, lines


def kill_an_import(imports: subprocess.Popen[str], words: list[str], *, after: int) -> None:
    """Begin one, and kill it when it has told of so many commits; it is gone when this returns."""
    assert imports.stdin is not None
    assert imports.stdout is not None
    print(json.dumps(words), file=imports.stdin, flush=True)
    process = int(imports.stdout.readline())
    told = [imports.stdout.readline() for _ in range(after)]
    os.kill(process, signal.SIGKILL)
    assert told == ["\n"] * after
    while imports.stdout.readline() == "\n":
        pass  # what it committed before it was killed


async def test_votes_are_signed_between_the_parts(house: House, record: Record) -> None:
    file = write(house, long_histories(keys=4))
    running = asyncio.ensure_future(importer(house, record).merge(file, CALLER))
    epoch, before_the_end = 10_000, 0
    while not running.done():
        epoch += 1
        assert await verdict(record, epoch, epoch + 1, key=77) == "new"
        before_the_end += not running.done()
    assert len(await running) == 4
    assert before_the_end > 4


async def test_an_unfinished_import_holds_its_validators_though_another_one_ends(house: House, record: Record) -> None:
    file = write(house, long_histories(keys=1))
    with pytest.raises(CutShortError):
        await importer(house, record, Stopping(record.writer, 2)).merge(file, CALLER)
    other = ValidatorHistory(public_key(1), (), tuple(SignedAttestation(n, n + 1) for n in range(2_000, 4_000)))
    [told] = await importer(house, record).merge(write(house, [other], "other.json"), CALLER)
    assert told.floors_after is not None
    assert told.floors_after.held, "the other import is not complete"
    assert await verdict(record, LAST - 1, LAST, mark=9) != "new"
    [told] = await importer(house, record).merge(file, CALLER, DRY_RUN)
    assert told.floors_before is not None
    assert told.floors_before.held
    [told] = await importer(house, record).merge(file, CALLER)
    assert (told.floors_before and told.floors_before.held, told.floors_after and told.floors_after.held) == (
        True,
        False,
    )


async def test_an_unfinished_import_is_named_with_its_remedy_until_it_is_complete(house: House, record: Record) -> None:
    file = write(house, long_histories(keys=1))
    document = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    vote = Question.parse(public_key=public_key(1).hex(), source=LAST - 1, target=LAST, root="0x" + root(9).hex())
    low = Question.parse(public_key=public_key(1).hex(), slot=49)
    with pytest.raises(CutShortError):
        await importer(house, record, Stopping(record.writer, 2)).merge(file, CALLER)
    [held] = (await explaining(house).status(CALLER)).keys
    assert held.unfinished_import == document
    for question in (vote, replace(vote, asked=Proposal(Slot(60), root(9)))):
        told = await explaining(house).explain(question, CALLER)
        assert (told.verdict, told.code) == ("refused", "BELOW_FLOOR")
        assert f"unfinished import (document {document})" in told.reason
        assert "run the same import again" in told.reason
    await importer(house, record).merge(file, CALLER)
    [free] = (await explaining(house).status(CALLER)).keys
    assert free.unfinished_import is None
    told = await explaining(house).explain(low, CALLER)
    assert (told.code, "unfinished" in told.reason) == ("BELOW_FLOOR", False)


async def test_what_the_record_cannot_hold_raises_the_floor_though_the_import_is_stopped(house, record) -> None:
    """A vote on record is lowered in its source by the first part; running the import again sees no difference."""
    assert await verdict(record, 90, 95) == "new"
    assert await verdict(record, 600, 1_000) == "new"
    file = write(house, long_histories(keys=1))
    with pytest.raises(CutShortError):
        await importer(house, record, Stopping(record.writer, 2)).merge(file, CALLER)
    [told] = await importer(house, record).merge(file, CALLER)
    assert told.floors_after is not None
    assert await verdict(record, 998, LAST + 5) == "BELOW_FLOOR", "999 was signed for target 1000"
    assert await verdict(record, LAST - 1, LAST + 5) == "new"


async def test_a_dry_run_tells_what_would_change_and_changes_nothing(house: House, record: Record) -> None:
    assert await verdict(record, 1, 2) == "new"
    assert await verdict(record, 199, 200, mark=8) == "new"
    before, size = rows(house), record.log.head.size
    file = write(house, long_histories())
    known, unknown = await importer(house, record).merge(file, CALLER, DRY_RUN)
    assert (known.blocks, known.attestations, known.differing) == (40, LAST - FIRST, 1)
    assert known.floors_before is not None
    assert known.floors_after is not None
    assert (known.floors_before.source_epoch, known.floors_before.target_epoch) == (1, 2)
    assert (known.floors_after.slot, known.floors_after.source_epoch, known.floors_after.target_epoch) == (50, 1, 2)
    assert unknown.floors_before is None
    assert (rows(house), record.log.head.size) == (before, size)
    done, _ = await importer(house, record).merge(file, CALLER)
    assert (done.blocks, done.attestations, done.differing) == (known.blocks, known.attestations, known.differing)
    assert done.floors_after == known.floors_after


def with_faults(house: House) -> Path:
    """Three validators: a good one, one with a fault in its second vote, one whose key cannot be read."""
    file = write(house, long_histories(keys=2))
    document = json.loads(file.read_text())
    document["data"][1]["signed_attestations"][1] = {"source_epoch": "x", "target_epoch": "5"}
    document["data"].append({"pubkey": "0x12", "signed_blocks": [], "signed_attestations": []})
    file.write_text(json.dumps(document))
    return file


async def test_a_document_with_faults_is_imported_wholly_or_without_them(house: House, record: Record) -> None:
    file, empty = with_faults(house), rows(house)
    with pytest.raises(UnusableHistoriesError, match=r"data\[1\]") as caught:
        await importer(house, record).merge(file, CALLER)
    assert isinstance(caught.value, MalformedRequestError)
    assert (caught.value.evidence["unusable"], caught.value.evidence["usable"]) == (2, 1)
    assert rows(house) == empty
    told = await importer(house, record).merge(file, CALLER, PARTIAL)
    assert [(one.public_key, bool(one.error)) for one in told] == [
        (public_key(1), False),
        (public_key(2), True),
        (None, True),
    ]
    validators, votes, _ = rows(house)
    assert [bytes(row[1]) for row in validators] == [public_key(1)], "nothing of a validator with a fault"
    assert len(votes) == LAST - FIRST + 1
    told = await importer(house, record).merge(file, CALLER, ImportOptions(partial=True, dry_run=True))
    assert [one.attestations for one in told] == [0, 0, 0]


async def test_a_document_sets_a_floor_where_there_is_none_and_leaves_the_one_that_is_there(house, record) -> None:
    assert await verdict(record, 1, 2) == "new"
    votes = (SignedAttestation(40, 50),)
    known, fresh = (ValidatorHistory(public_key(n), (SignedBlock(500),), votes) for n in (1, 2))
    await importer(house, record).merge(write(house, [known, fresh]), CALLER)
    for key, answer in ((1, "new"), (2, "BELOW_FLOOR")):
        assert await verdict(record, 30, 45, key=key) == answer, "between two records of a complete database"
        assert await verdict(record, 39, 60, key=key) == ("SURROUNDING_VOTE" if key == 1 else "BELOW_FLOOR")
        assert await verdict(record, 40, 51, key=key) == "new"


async def test_nothing_lowers_a_floor(house: House, record: Record) -> None:
    high = ValidatorHistory(public_key(1), (SignedBlock(500),), (SignedAttestation(40, 50),))
    low = ValidatorHistory(public_key(1), (SignedBlock(5),), (SignedAttestation(4, 5),))
    await importer(house, record).merge(write(house, [high]), CALLER)
    [told] = await importer(house, record).merge(write(house, [low]), CALLER)
    assert told.floors_after == told.floors_before
    assert (told.blocks, told.attestations) == (1, 1)
    assert await verdict(record, 39, 60) == "BELOW_FLOOR"


@pytest.mark.parametrize("first", [None, root(3)], ids=["without a root first", "with a root first"])
async def test_a_missing_root_beside_another_loses_no_validator(house: House, record: Record, first) -> None:
    second = root(3) if first is None else None
    for mark in (first, second):
        history = ValidatorHistory(public_key(1), (SignedBlock(9, mark),), (SignedAttestation(3, 4, mark),))
        [told] = await importer(house, record).merge(write(house, [history]), CALLER)
        assert told.error is None
    assert await verdict(record, 3, 4, mark=3) == ("DOUBLE_VOTE" if first is None else "repeat")
    assert await verdict(record, 3, 4, mark=5) == "DOUBLE_VOTE"


async def test_a_long_document_is_read_in_a_process_of_its_own(house: House, record: Record) -> None:
    file = write(house, long_histories(keys=8))
    assert file.stat().st_size > OWN_PROCESS_BYTES
    told = await importer(house, record).merge(file, CALLER)
    assert [one.attestations for one in told] == [LAST - FIRST + 1] * 8
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(MalformedRequestError, match="end of the text"):
        await importer(house, record).merge(file, CALLER)
    foreign = house.directory / "foreign.json"
    foreign.write_bytes(b"".join(serialise(Metadata(HOODI), long_histories(keys=8))))
    with pytest.raises(WrongNetworkError, match="document is of the network hoodi, and the record here of ") as caught:
        await importer(house, record).merge(foreign, CALLER)
    assert "client" not in caught.value.sentence
    assert "set network.name" in str(caught.value.evidence["remedy"])


async def test_an_export_while_an_import_is_unfinished_protects_as_the_hold_does(house: House, record: Record) -> None:
    file = write(house, long_histories(keys=1))
    with pytest.raises(CutShortError):
        await importer(house, record, Stopping(record.writer, 2)).merge(file, CALLER)
    exported = b"".join(Protection(imports=importer(house, record), reading=house.reading).export_interchange(CALLER))
    [validator] = json.loads(exported)["data"]
    assert [(vote["source_epoch"], vote["target_epoch"]) for vote in validator["signed_attestations"]] == [
        (str(LAST - 1), str(LAST))
    ]
    assert validator["signed_blocks"][0]["slot"] == "89"


AHEAD = [
    (
        "targets",
        ValidatorHistory(public_key(2), (), (SignedAttestation(0, 2**64 - 1),)),
        "target epoch 18446744073709551615",
    ),
    ("sources", ValidatorHistory(public_key(2), (), (SignedAttestation(10**9, 5),)), "source epoch 1000000000"),
    ("slots", ValidatorHistory(public_key(2), (SignedBlock(3), SignedBlock(2**63))), f"slot {2**63}"),
]


@pytest.mark.parametrize(("ahead", "record_named"), [case[1:] for case in AHEAD], ids=[case[0] for case in AHEAD])
async def test_records_far_ahead_of_the_clock_are_taken_only_where_they_are_meant(
    house: House, record: Record, ahead: ValidatorHistory, record_named: str
) -> None:
    sound = ValidatorHistory(public_key(1), (SignedBlock(60),), (SignedAttestation(1, 2),))
    file, empty = write(house, [sound, ahead]), rows(house)
    with pytest.raises(UnusableHistoriesError) as caught:
        await importer(house, record).merge(file, CALLER)
    for word in ("0x" + public_key(2).hex(), record_named, "--far-ahead"):
        assert word in caught.value.sentence
    assert (caught.value.evidence["unusable"], caught.value.evidence["usable"]) == (1, 1)
    one, other = await importer(house, record).merge(file, CALLER, DRY_RUN)
    assert (one.error, other.public_key) == (None, public_key(2))
    assert record_named in (other.error or "")
    assert rows(house) == empty
    await importer(house, record).merge(file, CALLER, PARTIAL)
    assert [bytes(row[1]) for row in rows(house)[0]] == [public_key(1)]
    meant = await importer(house, record).merge(file, CALLER, ImportOptions(far_ahead=True))
    assert [each.error for each in meant] == [None, None]
    assert public_key(2) in [bytes(row[1]) for row in rows(house)[0]]


async def test_a_long_document_is_asked_for_records_far_ahead_too(house: House, record: Record) -> None:
    [known, ahead] = long_histories()
    far = ValidatorHistory(ahead.pubkey, ahead.blocks, (*ahead.attestations, SignedAttestation(LAST, 10**9)))
    many = [ValidatorHistory(public_key(9), tuple(SignedBlock(n, root(7)) for n in range(9_000)))]
    file = write(house, [known, far, *many])
    assert file.stat().st_size > OWN_PROCESS_BYTES
    with pytest.raises(UnusableHistoriesError, match="target epoch 1000000000"):
        await importer(house, record).merge(file, CALLER)
    await importer(house, record).merge(file, CALLER, PARTIAL)
    assert [bytes(row[1]) for row in rows(house)[0]] == [public_key(1), public_key(9)]


async def test_as_far_ahead_as_the_guard_lets_sign_is_taken(house: House, record: Record) -> None:
    for guard, reach in ((0, 1), (1, 1), (40, 40), (None, FURTHEST_LOW_EPOCHS)):
        present = replace(horizon(house), far_future_epochs=guard)
        now = present.epoch
        assert now is not None
        for ahead, is_taken in ((reach, True), (reach + 1, False)):
            last_slot = (now + ahead + 1) * 32 - 1
            history = ValidatorHistory(public_key(1), (SignedBlock(last_slot),), (SignedAttestation(now, now + ahead),))
            [told] = await importer(house, record, present=present).merge(write(house, [history]), CALLER, DRY_RUN)
            assert (told.error is None) is is_taken, (guard, ahead)
        timeless = replace(present, network=replace(present.network, genesis_time=None))
        [told] = await importer(house, record, present=timeless).merge(write(house, [history]), CALLER, DRY_RUN)
        assert told.error is None, "nobody knows what is ahead"
