"""Keys that leave sign nothing more; whoever takes them over knows all they have signed, and takes a receipt once."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from journal.kept_records import DATABASES
from journal.record import public_key
from operations.keeping_twin import entries, horizon, keeping
from operations.migrating_twin import LOADED, Place, opened, two_signers
from operations.record_twin import CALLER
from operations.test_quarantine import load

from signer.audit.entry import Kind
from signer.auth.principal import Action, Caller, Principal
from signer.errors import (
    ForbiddenError,
    KeyDeletedError,
    KeyStateError,
    MalformedRequestError,
    ReceiptError,
    ReceiptUsedError,
    SignerError,
    UnknownKeyError,
    WrongNetworkError,
)
from signer.keys.ledger import bury_key
from signer.operations.migration_receipt import read_receipt
from signer.operations.record_orders import MoveWatermarks, PruneRecord
from signer.operations.story import NoteStory
from signer.slashing.watermarks import raise_low_watermark
from signer.units import Epoch, Root, Slot

ONE, OTHER = public_key(1), public_key(2)


@pytest.fixture(params=DATABASES)
def new_database(request: pytest.FixtureRequest) -> Callable[[], str] | None:
    """Gives empty shared databases; None where records are in SQLite."""
    return None if request.param == "embedded" else iter(request.getfixturevalue("pool")).__next__


@pytest.fixture
def signers(new_database: Callable[[], str] | None, tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    with two_signers(tmp_path, new_database) as both:
        yield both


@pytest.fixture
def here(new_database: Callable[[], str] | None, tmp_path: Path) -> Iterator[Place]:
    """One signer, where keys only leave."""
    with opened(tmp_path / "here", new_database=new_database) as one:
        yield one


def test_what_has_left_signs_nothing_more_and_the_rest_signs_on(here: Place) -> None:
    assert here.votes(1, 4, 5) == "signed"
    departure = here.leave(ONE)
    assert departure.keys == (ONE,)
    assert here.votes(1, 5, 6) == "KEY_DISABLED"
    assert here.votes(2, 5, 6) == "signed"


def test_it_is_still_so_after_a_new_start(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as here:
        here.leave(ONE)
    with opened(tmp_path / "a") as here:
        assert here.votes(1, 5, 6) == "KEY_DISABLED"


def test_the_receipt_tells_up_to_where_each_key_has_signed(here: Place) -> None:
    for target in (5, 6, 9):
        here.votes(1, target - 1, target)
    claims = read_receipt(here.leave(ONE, OTHER).receipt).claims
    told = [(one.key, one.moves, one.source_epoch, one.target_epoch, one.slot) for one in claims.keys]
    assert told == [(ONE, 1, 8, 9, None), (OTHER, 1, None, None, None)]
    assert claims.epoch == horizon(here.house).epoch
    assert json.loads(here.parcel.read_text())["metadata"]["genesis_validators_root"] == claims.genesis_validators_root


def test_what_has_come_signs_at_once_and_never_against_its_past(signers: tuple[Place, Place]) -> None:
    here, there = signers
    here.votes(1, 4, 9)
    load(there.house, there.record, ONE, OTHER)
    assert there.votes(1, 9, horizon(there.house).epoch or 0) == "KEY_QUARANTINED"
    departure = here.leave(ONE, OTHER)
    arrival = there.arrive(departure.receipt, here.parcel)
    assert (arrival.keys, arrival.signed_by) == ((ONE, OTHER), departure.signed_by)
    assert there.votes(1, 4, 9, mark=2) in {"DOUBLE_VOTE", "BELOW_FLOOR"}
    assert there.votes(1, 9, 10) == "signed"
    assert there.votes(2, 9, 10) == "signed", "one that has never signed waits no more either"


def test_a_key_that_came_before_it_was_loaded_never_waits(signers: tuple[Place, Place]) -> None:
    here, there = signers
    there.arrive(here.leave(OTHER).receipt, here.parcel)
    assert load(there.house, there.record, OTHER) == ()
    assert there.votes(2, 9, 10) == "signed"


def test_a_floor_far_ahead_comes_with_the_receipt_that_vouches_for_it(signers: tuple[Place, Place]) -> None:
    here, there = signers
    here.votes(1, 4, 9)
    order = MoveWatermarks(ONE, low_epoch=10**9)
    asyncio.run(keeping(here.house, here.record).move(order, CALLER, far_ahead=True))
    there.arrive(here.leave(ONE, OTHER).receipt, here.parcel)
    assert there.votes(1, 9, 10) == "BELOW_FLOOR"
    assert there.votes(2, 9, 10) == "signed"


def test_the_same_order_again_writes_the_same_history_under_the_same_number(signers: tuple[Place, Place]) -> None:
    here, there = signers
    here.votes(1, 4, 9)
    first, history = here.leave(ONE), here.parcel.read_bytes()
    again = here.leave(ONE)
    assert here.parcel.read_bytes() == history
    numbers = [read_receipt(each.receipt).claims.keys for each in (first, again)]
    assert numbers[0] == numbers[1]
    there.arrive(again.receipt, here.parcel)
    with pytest.raises(ReceiptUsedError):
        there.arrive(first.receipt, here.parcel)


def test_keys_go_there_and_back_and_every_old_receipt_is_refused(signers: tuple[Place, Place], tmp_path: Path) -> None:
    here, there = signers
    here.votes(1, 4, 9)
    out = here.leave(ONE).receipt
    out_history = tmp_path / "out.json"
    out_history.write_bytes(here.parcel.read_bytes())
    there.arrive(out, out_history)
    assert there.votes(1, 9, 10) == "signed"
    back = there.leave(ONE).receipt
    assert there.votes(1, 10, 11) == "KEY_DISABLED"
    here.arrive(back, there.parcel)
    assert here.votes(1, 9, 10, mark=2) in {"DOUBLE_VOTE", "BELOW_FLOOR"}, "the vote given there"
    assert here.votes(1, 10, 11) == "signed"
    for place, receipt, history in ((there, out, out_history), (here, back, there.parcel), (here, out, out_history)):
        with pytest.raises(ReceiptUsedError):
            place.arrive(receipt, history)
    assert there.votes(1, 11, 12) == "KEY_DISABLED"


def test_a_receipt_is_not_taken_where_it_was_written(here: Place) -> None:
    departure = here.leave(ONE)
    with pytest.raises(ReceiptUsedError):
        here.arrive(departure.receipt, here.parcel)
    assert here.votes(1, 5, 6) == "KEY_DISABLED"


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def apply(text: bytes) -> bytes:
        document = json.loads(text)
        change(document)
        return json.dumps(document, separators=(",", ":")).encode()

    return apply


SPOILT: list[tuple[Callable[[bytes], bytes] | None, Callable[[bytes], bytes] | None, str]] = [
    (lambda text: text[:-20], None, "no migration receipt"),
    (lambda _: b"{}", None, "no migration receipt"),
    (changed(lambda one: one["keys"].pop()), None, "signature"),
    (changed(lambda one: one["keys"][0].update(moves=7)), None, "signature"),
    (changed(lambda one: one.update(epoch=0)), None, "signature"),
    (changed(lambda one: one.update(interchange_sha256="00" * 32)), None, "signature"),
    (changed(lambda one: one.update(signature="0x" + "00" * 64)), None, "signature"),
    (changed(lambda one: one.update(signature="0x00")), None, "64 bytes"),
    (changed(lambda one: one.update(more=1)), None, "no migration receipt"),
    (None, lambda text: text.replace(b'"9"', b'"8"'), "SHA-256"),
    (None, lambda text: text + b"\n", "SHA-256"),
    (None, lambda text: text[:-9], "cannot be read"),
]
"""What is done to a receipt, what to its history, and what the refusal says of it."""


def test_what_was_changed_on_its_way_is_refused_and_changes_nothing(signers: tuple[Place, Place]) -> None:
    here, there = signers
    here.votes(1, 4, 9)
    receipt = here.leave(ONE, OTHER).receipt
    history = here.parcel.read_bytes()
    load(there.house, there.record, ONE)
    before = len(entries(there.house))
    for number, (spoil_receipt, spoil_history, words) in enumerate(SPOILT):
        spoilt = receipt if spoil_receipt is None else spoil_receipt(receipt)
        here.parcel.write_bytes(history if spoil_history is None else spoil_history(history))
        assert (spoilt, here.parcel.read_bytes()) != (receipt, history), number
        with pytest.raises(ReceiptError) as caught:
            there.arrive(spoilt, here.parcel)
        assert words in str(caught.value), number
        assert len(entries(there.house)) == before, number
    assert there.votes(1, 9, horizon(there.house).epoch or 0) == "KEY_QUARANTINED"
    here.parcel.write_bytes(history)
    there.arrive(receipt, here.parcel)
    assert there.votes(1, 9, 10) == "signed", "as it was sent, it is taken"


def test_a_receipt_beside_the_history_of_other_keys_is_refused(signers: tuple[Place, Place]) -> None:
    here, there = signers
    receipt = here.leave(ONE).receipt
    here.leave(OTHER)
    with pytest.raises(ReceiptError):
        there.arrive(receipt, here.parcel)


def test_a_receipt_of_another_network_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "a", genesis_validators_root=Root(b"\x11" * 32)) as here, opened(tmp_path / "b") as there:
        receipt = here.leave(ONE).receipt
        with pytest.raises(WrongNetworkError):
            there.arrive(receipt, here.parcel)


def test_the_receipt_of_somebody_else_is_refused_where_its_signer_was_named(signers: tuple[Place, Place]) -> None:
    here, there = signers
    departure = here.leave(ONE)
    with pytest.raises(ReceiptError, match="signed by"):
        there.arrive(departure.receipt, here.parcel, signed_by="0x" + "22" * 32)
    there.arrive(departure.receipt, here.parcel, signed_by=departure.signed_by)


def bury(place: Place) -> None:
    async def change() -> None:
        await place.record.writer.perform(
            lambda transaction: bury_key(transaction, ONE, now_ms=5), lambda _: NoteStory(Kind.KEYS_LOADED, 5, "")
        )

    asyncio.run(change())


@pytest.mark.parametrize(
    ("prepare", "fault"),
    [
        (lambda place: load(place.house, place.record, ONE), KeyStateError),
        (bury, KeyDeletedError),
    ],
    ids=["in quarantine", "deleted"],
)
def test_no_key_leaves_of_which_this_signer_cannot_vouch(
    here: Place, prepare: Callable[[Place], object], fault: type[SignerError]
) -> None:
    prepare(here)
    with pytest.raises(fault):
        here.leave(ONE, OTHER)
    assert here.votes(2, 5, 6) == "signed", "all or nothing"


def test_a_deleted_key_does_not_come_back_by_a_receipt(signers: tuple[Place, Place]) -> None:
    here, there = signers
    bury(there)
    receipt = here.leave(ONE, OTHER).receipt
    with pytest.raises(KeyDeletedError):
        there.arrive(receipt, here.parcel)


def test_nobody_leaves_with_a_key_that_is_not_here(here: Place) -> None:
    with pytest.raises(UnknownKeyError):
        here.leave(ONE, public_key(99))
    assert here.votes(1, 5, 6) == "signed"


def test_without_names_all_loaded_keys_leave(here: Place) -> None:
    assert here.leave().keys == LOADED
    assert [here.votes(number, 5, 6) for number in (1, 2, 3)] == ["KEY_DISABLED"] * 3


def test_both_ends_are_audited_with_the_keys_and_who_asked(signers: tuple[Place, Place]) -> None:
    here, there = signers
    arrival = there.arrive(here.leave(ONE).receipt, here.parcel)
    [out] = [entry for entry in entries(here.house) if entry.kind is Kind.KEYS_MIGRATED_OUT]
    [into] = [entry for entry in entries(there.house) if entry.kind is Kind.KEYS_MIGRATED_IN]
    for entry in (out, into):
        assert (entry.principal, entry.public_key) == ("operator", ONE)
        assert "0x" + ONE.hex() in entry.note
    assert arrival.receipt in into.note


def test_who_was_not_granted_it_moves_nothing(signers: tuple[Place, Place]) -> None:
    here, there = signers
    somebodies = [
        Caller(Principal("somebody", actions=frozenset({action})))
        for action in (Action.KEYS_LIST, Action.SIGN_DUTY, Action.SLASHING_WRITE)
    ]
    for caller in somebodies:
        with pytest.raises(ForbiddenError):
            asyncio.run(here.migration.leave([ONE], caller, into=here.parcel))
    assert here.votes(1, 5, 6) == "signed"
    receipt = here.leave(ONE).receipt
    for caller in somebodies:
        with pytest.raises(ForbiddenError):
            asyncio.run(there.migration.arrive(receipt, here.parcel, caller))


def test_a_key_file_that_others_can_read_signs_no_receipt(here: Place) -> None:
    here.leave(OTHER)
    (here.house.data / "migration.key").chmod(0o644)
    with pytest.raises(SignerError, match="mode 0644"):
        here.leave(ONE)
    assert here.votes(1, 5, 6) == "signed"


# --- undoing -----------------------------------------------------------------------------------------


def first_target_signed(place: Place, *, after: int) -> int:
    """The least target that is signed with a source right before it."""
    return next(target for target in range(after, after + 20) if place.votes(1, target - 1, target, mark=7) == "signed")


def test_a_move_that_was_never_used_is_undone_above_all_that_another_signer_can_have_signed(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as here:
        now = horizon(here.house).epoch or 0
        assert here.votes(1, now - 2, now - 1) == "signed"
        back = here.take_back(here.leave(ONE).receipt)
        assert (back.keys, back.floor_epoch) == ((ONE,), now + 1)
        assert here.votes(1, now - 1, now) == "BELOW_FLOOR", "a signer with the receipt can have signed it"
        assert first_target_signed(here, after=now) == now + 2
        [entry] = [entry for entry in entries(here.house) if entry.kind is Kind.KEYS_TAKEN_BACK]
        assert (entry.principal, entry.public_key) == ("operator", ONE)
        assert "reason='it never started'" in entry.note
        assert back.receipt in entry.note


def test_where_new_keys_do_not_wait_what_comes_back_does_not_either(tmp_path: Path) -> None:
    with opened(tmp_path / "a", new_keys_wait=False) as here:
        assert here.votes(1, 4, 9) == "signed"
        assert here.take_back(here.leave(ONE).receipt).floor_epoch is None
        assert here.votes(1, 4, 9, mark=2) == "DOUBLE_VOTE"
        assert here.votes(1, 9, 10) == "signed"


def test_the_next_move_has_a_number_of_its_own_and_overtakes_the_undone_receipt(signers: tuple[Place, Place]) -> None:
    here, there = signers
    undone, old_history = here.leave(ONE).receipt, here.parcel.read_bytes()
    here.take_back(undone)
    again = here.leave(ONE).receipt
    assert [one.moves for one in read_receipt(again).claims.keys] == [2]
    there.arrive(again, here.parcel)
    here.parcel.write_bytes(old_history)
    with pytest.raises(ReceiptUsedError):
        there.arrive(undone, here.parcel)


def test_without_the_operators_word_and_reason_nothing_is_undone(here: Place) -> None:
    receipt = here.leave(ONE).receipt
    lacking: tuple[dict[str, Any], ...] = (
        {"sure": False}, {"reason": ""}, {"reason": " "}, {"reason": "a\nb"}, {"reason": "x" * 201},
    )  # fmt: skip
    for words in lacking:
        with pytest.raises(MalformedRequestError):
            here.take_back(receipt, **words)
        assert here.votes(1, 5, 6) == "KEY_DISABLED", words


def test_a_receipt_is_undone_once_and_only_while_its_keys_are_away(signers: tuple[Place, Place]) -> None:
    here, there = signers
    first = here.leave(ONE).receipt
    here.take_back(first)
    with pytest.raises(ReceiptError, match="not away"):
        here.take_back(first)
    second = here.leave(ONE, OTHER).receipt
    with pytest.raises(ReceiptError, match="later receipt"):
        here.take_back(first)
    there.arrive(second, here.parcel)
    back = there.leave(ONE).receipt
    here.arrive(back, there.parcel)
    with pytest.raises(ReceiptError, match=r"later receipt|not away"):
        here.take_back(second)
    assert here.votes(2, 5, 6) == "KEY_DISABLED", "all or nothing"


def test_receipts_of_one_move_take_their_keys_back_once_and_a_refusal_says_how_to_go_on(
    here: Place,
) -> None:
    """`migrate out` was given twice: for two keys, and for one of them again."""
    both = here.leave(ONE, OTHER).receipt
    alone = here.leave(ONE).receipt
    assert here.take_back(alone).keys == (ONE,)
    with pytest.raises(ReceiptError, match="not away") as caught:
        here.take_back(both)
    assert caught.value.evidence["away"] == 1
    remedy = str(caught.value.evidence["remedy"])
    assert "destroy this receipt" in remedy
    assert "migrate out KEY..." in remedy
    assert here.votes(2, 5, 6) == "KEY_DISABLED", "all of a receipt or nothing"
    rest = here.leave(OTHER).receipt
    assert [one.moves for one in read_receipt(rest).claims.keys] == [1], "of the same move, as the remedy says"
    assert here.take_back(rest).keys == (OTHER,)
    with pytest.raises(ReceiptError) as caught:
        here.take_back(both)
    assert caught.value.evidence["away"] == 0
    assert "migrate out" not in str(caught.value.evidence["remedy"])


def test_the_receipt_of_another_record_is_not_undone_here(signers: tuple[Place, Place]) -> None:
    here, there = signers
    receipt = here.leave(ONE).receipt
    with pytest.raises(ReceiptError, match="another signer"):
        there.take_back(receipt)
    with pytest.raises(ReceiptError, match="signature"):
        here.take_back(changed(lambda one: one["keys"][0].update(moves=7))(receipt))


def test_a_key_that_was_deleted_meanwhile_does_not_come_back_by_an_undo(here: Place) -> None:
    receipt = here.leave(ONE, OTHER).receipt
    bury(here)
    with pytest.raises(KeyDeletedError):
        here.take_back(receipt)
    assert here.votes(2, 5, 6) == "KEY_DISABLED"


def test_who_may_not_move_keys_undoes_no_move(here: Place) -> None:
    receipt = here.leave(ONE).receipt
    for principal, fault in (
        (Principal("somebody", actions=frozenset({Action.KEYS_RELEASE})), ForbiddenError),
        (Principal("mover", actions=frozenset({Action.KEYS_MIGRATE}), keys=frozenset({OTHER})), UnknownKeyError),
    ):
        with pytest.raises(fault):
            asyncio.run(here.undo.take_back(receipt, Caller(principal), reason="x", nothing_else_signs=True))
    assert here.votes(1, 5, 6) == "KEY_DISABLED"


# --- what a record that went back does not know -------------------------------------------------------


def lose_and_accept(place: Place, *, epoch: int) -> None:
    """As after an accepted restore: what was signed up to this epoch may be missing, of any key."""

    async def change() -> None:
        await place.record.writer.perform(
            lambda transaction: raise_low_watermark(transaction, epoch=Epoch(epoch), slot=Slot(epoch * 32 + 31)),
            lambda _: NoteStory(Kind.RESTORE_ACCEPTED, 5, ""),
        )

    asyncio.run(change())


@pytest.mark.parametrize("returns", [False, True], ids=["to a new place", "to where it has been before"])
@pytest.mark.parametrize("key", [1, 2], ids=["with a record", "without any"])
def test_what_the_sender_may_have_forgotten_is_not_signed_by_the_receiver(
    signers: tuple[Place, Place], key: int, returns: bool
) -> None:
    """A floor that is there stays at an import (decision 0017); a receipt brings the sender's, and nothing below."""
    here, there = signers
    if returns:
        assert there.votes(key, 1, 2) == "signed"
        here.arrive(there.leave(public_key(key)).receipt, there.parcel)
    if key == 1:
        assert here.votes(1, 4, 5) == "signed"
    lose_and_accept(here, epoch=30)
    assert here.votes(key, 10, 11) == "BELOW_FLOOR"
    there.arrive(here.leave(public_key(key)).receipt, here.parcel)
    assert there.votes(key, 10, 11) == "BELOW_FLOOR", "it may have been signed there before the record went back"
    assert there.votes(key, 30, 31) == "signed"


def test_what_the_sender_has_pruned_is_not_signed_by_the_receiver(signers: tuple[Place, Place]) -> None:
    here, there = signers
    assert there.votes(1, 1, 2) == "signed"
    here.arrive(there.leave(ONE).receipt, there.parcel)
    for target in range(3, 60):
        assert here.votes(1, target - 1, target) == "signed"
    asyncio.run(keeping(here.house, here.record).prune(PruneRecord(keep_epochs=20, keep_slots=640), CALLER))
    there.arrive(here.leave(ONE).receipt, here.parcel)
    assert "signed" not in {there.votes(1, target - 1, target, mark=2) for target in range(3, 60)}
    assert there.votes(1, 59, 60) == "signed"
