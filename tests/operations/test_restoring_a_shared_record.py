"""What accepting a restored shared database would do, and what `doctor` says of one, before anything is done."""

from pathlib import Path

import asyncpg
import pytest
from journal.record import vote
from journal.shared_record import open_shared

from signer.errors import SignerError, StartupError
from signer.eth2.builtin_networks import find_network
from signer.operations.examine.finding import Finding, Grade
from signer.operations.examine.shared_record import examine_shared_record
from signer.operations.restore import Floor, Moment, RestorePlan
from signer.operations.shared_record import SharedPlaces, SharedRecord
from signer.operations.shared_restore import Acceptance, accept_shared_restore, plan_shared_restore

MAINNET = find_network("mainnet")
NOW = 1_800_000_000.0
EPOCH = 503_062
"""Mainnet's epoch at that moment."""


def places(url: str, directory: Path) -> SharedPlaces:
    return SharedPlaces(url, directory, directory / "head")


def plan(url: str, directory: Path, *, anyway: bool = False, now: float = NOW) -> RestorePlan | None:
    assert MAINNET is not None
    return plan_shared_restore(places(url, directory), Moment(MAINNET, now, 3), anyway=anyway)


def findings(url: str, directory: Path) -> dict[str, Finding]:
    found = examine_shared_record(places(url, directory), shown="the database", may_begin=True, running=False)
    return {each.subject: each for each in found}


async def signed(url: str, directory: Path, *votes: tuple[int, int]) -> SharedRecord:
    record = open_shared(url, directory, now=lambda: NOW)
    for source, target in votes:
        await record.writer.commit(vote(source, target))
    return record


async def change(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def test_where_nothing_is_lost_there_is_nothing_to_accept_unless_it_is_asked_for(
    database_url: str, tmp_path: Path
) -> None:
    (await signed(database_url, tmp_path, (1, 2))).close()
    assert plan(database_url, tmp_path) is None
    asked = plan(database_url, tmp_path, anyway=True)
    assert asked is not None
    assert (asked.floor_epoch, asked.lost_entries, asked.validators) == (EPOCH + 3, 0, 1)
    with pytest.raises(StartupError, match="clock is behind"):
        plan(database_url, tmp_path, anyway=True, now=NOW - 3600)


async def test_a_running_signer_stands_against_it(database_url: str, tmp_path: Path) -> None:
    record = await signed(database_url, tmp_path / "one", (1, 2))
    (await signed(database_url, tmp_path / "other")).close()
    with pytest.raises(StartupError, match="hold a lease"):
        plan(database_url, tmp_path / "other", anyway=True)
    record.close()


async def test_what_the_log_has_lost_is_counted(database_url: str, tmp_path: Path) -> None:
    record = await signed(database_url, tmp_path, (1, 2), (2, 3), (3, 4))
    schema = f"holdfast_log_{record.instance.hex()}"
    record.close()
    await change(database_url, f"DELETE FROM {schema}.audit_batches WHERE first_index >= 1")
    found = plan(database_url, tmp_path)
    assert found is not None
    assert ("went back in time" in found.reason, found.database_entries, found.lost_entries) == (True, 1, 2)
    assert findings(database_url, tmp_path)["database"].grade is Grade.FAULT
    assert plan(database_url, tmp_path) == found  # looking changes nothing


async def test_a_signer_that_is_gone_for_good_holds_the_others_up_until_its_loss_is_accepted(
    database_url: str, tmp_path: Path
) -> None:
    """A replica took over while one of two signers was dead: this server's incarnation is another one."""
    one, gone = await signed(database_url, tmp_path / "one", (1, 2)), await signed(database_url, tmp_path / "gone")
    for record in (one, gone):
        record.close()
    await change(database_url, "UPDATE holdfast.identity SET incarnation = 'before'")
    await change(
        database_url,
        f"UPDATE holdfast.instances SET incarnation = 'before', released = log_id <> '\\x{gone.instance.hex()}'",
    )
    lease = findings(database_url, tmp_path / "one")["lease"]
    assert (lease.grade, gone.instance.hex() in lease.sentence) == (Grade.FAULT, True)
    waiting = await signed(database_url, tmp_path / "one")
    with pytest.raises(SignerError, match="took over"):
        await waiting.writer.commit(vote(2, 3))
    waiting.close()
    found = plan(database_url, tmp_path / "one")
    assert found is not None
    assert (gone.instance.hex() in found.reason, found.lost_entries) == (True, None)
    acceptance = Acceptance(Floor(found.floor_epoch, found.floor_slot), int(NOW * 1000), found.reach_epochs, "operator")
    accept_shared_restore(places(database_url, tmp_path / "one"), acceptance)
    assert findings(database_url, tmp_path / "one")["lease"].grade is Grade.OK
    assert plan(database_url, tmp_path / "one") is None
    again = await signed(database_url, tmp_path / "one", (found.floor_epoch, found.floor_epoch + 1))
    again.close()
