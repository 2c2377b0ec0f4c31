"""A key that has left stays away when an older database is put back and accepted: until an operator takes it back."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from journal.record import public_key
from operations.keeping_twin import entries, horizon
from operations.migrating_twin import Place, opened
from operations.record_twin import NOW, House

from signer.audit.entry import Entry, Kind
from signer.errors import CorruptDatabaseError, SignerError
from signer.keys.departures import Departures
from signer.keys.moves import Moves
from signer.operations.restore import Floor, Moment, RestorePlan, accept_restore, plan_restore
from signer.operations.shared_record import SharedPlaces
from signer.operations.shared_restore import Acceptance, accept_shared_restore, plan_shared_restore
from signer.units import PublicKey

ONE, TWO = public_key(1), public_key(2)
ABOVE = 600_000
"""An epoch above any floor of an accepted restore, and not guarded by a clock here."""


class EmbeddedSigner:
    """A signer's directory, and a copy of its database that is put back."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.new_database: Callable[[], str] | None = None

    @property
    def house(self) -> House:
        return House(self.directory)

    def copy(self) -> None:
        shutil.copy(self.house.places.database, self.directory / "backup")

    def put_back(self) -> None:
        for file in self.house.data.glob("journal.sqlite*"):
            file.unlink()
        shutil.copy(self.directory / "backup", self.house.places.database)

    def plan(self, *, anyway: bool = False) -> RestorePlan | None:
        return plan_restore(self.house.places, moment(self.house), anyway=anyway)

    def accept(self, plan: RestorePlan) -> None:
        accept_restore(self.house.places, plan, now_ms=int(NOW * 1000), principal="operator")


class SharedSigner(EmbeddedSigner):
    """The same on PostgreSQL; what was written about keys since the copy is taken away again."""

    def __init__(self, directory: Path, url: str) -> None:
        super().__init__(directory)
        self.url = url
        self.new_database = lambda: url

    def copy(self) -> None:
        self._change("CREATE TABLE holdfast.kept_moves AS TABLE holdfast.key_moves")

    def put_back(self) -> None:
        self._change(
            "DELETE FROM holdfast.key_moves; INSERT INTO holdfast.key_moves TABLE holdfast.kept_moves;"
            "DELETE FROM holdfast.key_states"
        )

    @property
    def places(self) -> SharedPlaces:
        return SharedPlaces(self.url, self.house.data, self.house.data / "head")

    def plan(self, *, anyway: bool = False) -> RestorePlan | None:
        return plan_shared_restore(self.places, moment(self.house), anyway=True)

    def accept(self, plan: RestorePlan) -> None:
        floor = Floor(plan.floor_epoch, plan.floor_slot)
        accept_shared_restore(self.places, Acceptance(floor, int(NOW * 1000), plan.reach_epochs, "operator"))

    def _change(self, statement: str) -> None:
        async def change() -> None:
            connection = await asyncpg.connect(self.url)
            await connection.execute(statement)
            await connection.close()

        asyncio.run(change())


def moment(house: House) -> Moment:
    return Moment(horizon(house).network, NOW, 1)


@pytest.fixture(params=["embedded", "shared"])
def signer(request: pytest.FixtureRequest, tmp_path: Path) -> EmbeddedSigner:
    directory = tmp_path / "signer"
    directory.mkdir()
    if request.param == "embedded":
        return EmbeddedSigner(directory)
    return SharedSigner(directory, request.getfixturevalue("database_url"))


def open_signer(signer: EmbeddedSigner):
    return opened(signer.directory, new_keys_wait=False, new_database=signer.new_database)


def sign_once(signer: EmbeddedSigner, source: int = 9) -> None:
    with open_signer(signer) as at:
        assert [at.votes(number, source, source + 1) for number in (1, 2)] == ["signed", "signed"]


def accepted(signer: EmbeddedSigner, *, anyway: bool = False) -> tuple[PublicKey, ...]:
    """The keys that stay away, of a restore that is accepted as it was planned."""
    plan = signer.plan(anyway=anyway)
    assert plan is not None
    signer.accept(plan)
    return plan.stays_away


def audit(at: Place) -> list[Entry]:
    return entries(at.house)


def test_a_key_that_left_after_the_copy_stays_away_until_it_is_taken_back(signer: EmbeddedSigner) -> None:
    sign_once(signer)
    signer.copy()
    with open_signer(signer) as at:
        receipt = at.leave(ONE).receipt
        assert at.votes(1, 10, 11) == "KEY_DISABLED"
    signer.put_back()

    assert accepted(signer) == (ONE,)
    with open_signer(signer) as at:
        assert at.votes(1, ABOVE, ABOVE + 1) == "KEY_DISABLED", "it signs at the other signer, above any floor"
        assert at.votes(2, ABOVE, ABOVE + 1) == "signed"
        (entry,) = (entry for entry in audit(at) if entry.kind is Kind.RESTORE_ACCEPTED)
        assert f"stays_away=1 0x{ONE.hex()}" in entry.note
        at.take_back(receipt, reason="the other signer never began")
        assert at.votes(1, ABOVE, ABOVE + 1) == "signed", "an operator's word, audited, brings it back"
        assert [entry.kind for entry in audit(at)].count(Kind.KEYS_TAKEN_BACK) == 1


def test_a_key_that_has_come_back_since_is_not_kept_away(signer: EmbeddedSigner) -> None:
    sign_once(signer)
    signer.copy()
    with open_signer(signer) as at:
        at.take_back(at.leave(ONE).receipt)
    signer.put_back()
    assert accepted(signer) == ()
    with open_signer(signer) as at:
        assert at.votes(1, ABOVE, ABOVE + 1) == "signed"


def test_a_copy_that_knows_of_the_move_is_believed(signer: EmbeddedSigner) -> None:
    sign_once(signer)
    with open_signer(signer) as at:
        at.leave(ONE)
    signer.copy()
    assert accepted(signer, anyway=True) == ()
    with open_signer(signer) as at:
        assert at.votes(1, ABOVE, ABOVE + 1) == "KEY_DISABLED"


def test_a_key_that_left_stays_away_though_the_whole_database_is_lost(tmp_path: Path) -> None:
    signer = EmbeddedSigner(tmp_path)
    sign_once(signer)
    with open_signer(signer) as at:
        at.leave(ONE)
    for file in signer.house.data.glob("journal.sqlite*"):
        file.unlink()
    assert accepted(signer) == (ONE,)
    with open_signer(signer) as at:
        assert at.votes(1, ABOVE, ABOVE + 1) == "KEY_DISABLED"


# --- the file ----------------------------------------------------------------------------------------


def test_what_any_signer_moves_is_followed_and_an_older_record_strikes_nothing_out(tmp_path: Path) -> None:
    departures = Departures(tmp_path / "head")
    steps: list[tuple[dict[bytes, Moves], dict[bytes, int]]] = [
        ({ONE: Moves(1, is_here=False)}, {ONE: 1}),
        ({}, {ONE: 1}),  # a record that was put back knows nothing
        ({ONE: Moves(1, is_here=False), TWO: Moves(4, is_here=True)}, {ONE: 1}),
        ({ONE: Moves(2, is_here=True)}, {}),
        ({ONE: Moves(3, is_here=False), TWO: Moves(5, is_here=False)}, {ONE: 3, TWO: 5}),
        ({ONE: Moves(2, is_here=True), TWO: Moves(4, is_here=True)}, {ONE: 3, TWO: 5}),  # from before they left
        ({ONE: Moves(3, is_here=True), TWO: Moves(9, is_here=True)}, {}),  # taken back, and come again
    ]
    for moves, expected in steps:
        departures.follow(moves)  # type: ignore[arg-type]
        assert Departures(tmp_path / "head").numbers() == expected, moves


def test_a_note_is_never_of_an_earlier_move(tmp_path: Path) -> None:
    departures = Departures(tmp_path / "head")
    departures.note({ONE: 3})
    departures.note({ONE: 2, TWO: 1})
    assert departures.numbers() == {ONE: 3, TWO: 1}


@pytest.mark.parametrize(
    "content", ["", "something else\n", "holdfast departures 1\n0x12 1\n", "holdfast departures 2\n"]
)
def test_a_damaged_file_is_a_fault_and_not_an_empty_one(tmp_path: Path, content: str) -> None:
    departures = Departures(tmp_path / "head")
    departures.note({ONE: 1})
    (file,) = tmp_path.glob("head-*")
    file.write_text(content)
    with pytest.raises(CorruptDatabaseError, match="damaged"):
        departures.numbers()


def test_where_nothing_can_be_noted_no_key_leaves(tmp_path: Path) -> None:
    signer = EmbeddedSigner(tmp_path)
    sign_once(signer)
    with open_signer(signer) as at:
        obstacle = at.house.data / "head-departures"
        obstacle.mkdir()
        with pytest.raises(SignerError, match="head-departures"):
            at.leave(ONE)
        assert at.votes(1, 10, 11) == "signed", "nothing has changed"
