"""2024, Aztec's HA signer (#24556): a clean-up removed a row that still protected. Nobody is known to be slashed.

Here rows go only together with the floor that rises over them, in one transaction.
"""

import asyncio
from pathlib import Path

from operations.keeping_twin import horizon, keeping
from operations.record_twin import CALLER, House, verdict

from signer.audit.entry import Kind
from signer.operations.record import Record
from signer.operations.record_orders import PruneRecord
from signer.operations.story import NoteStory

OLD = 40
"""Epochs ago: older than what the order keeps."""


def votes(house: House, record: Record) -> int:
    """Vote for every epoch until now; the oldest target."""
    now = horizon(house).epoch
    assert now is not None
    for target in range(now - OLD, now + 1):
        assert asyncio.run(verdict(record, target - 1, target)) == "new"
    return now - OLD


def test_without_the_safeguard_a_removed_row_slashes(tmp_path: Path) -> None:
    house = House(tmp_path)
    with house.record() as record:
        oldest = votes(house, record)

        async def clean_up() -> None:
            await record.writer.perform(
                lambda change: (
                    change.run("DELETE FROM signed_attestations"),
                    change.run("UPDATE validators SET floor_source = NULL, floor_target = NULL"),
                ),
                lambda _: NoteStory(Kind.PRUNED, 1, "as a clean-up without floors does it"),
            )

        asyncio.run(clean_up())
        assert asyncio.run(verdict(record, oldest - 1, oldest, mark=2)) == "new", "two votes for one target are out"


def test_what_is_pruned_is_refused_by_the_floor(tmp_path: Path) -> None:
    house = House(tmp_path)
    with house.record() as record:
        oldest = votes(house, record)
        report = asyncio.run(keeping(house, record).prune(PruneRecord(keep_epochs=16), CALLER))
        assert report.votes > 0
        assert asyncio.run(verdict(record, oldest - 1, oldest, mark=2)) == "BELOW_FLOOR"
        assert asyncio.run(verdict(record, oldest - 1, oldest + OLD, mark=2)) in {"BELOW_FLOOR", "DOUBLE_VOTE"}
