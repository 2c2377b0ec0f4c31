"""A key that arrives without history waits, once; history or an operator ends the wait; everything else is signed."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from journal.record import PlainStory, block, public_key, vote
from operations.keeping_twin import entries, explaining, horizon, keeping
from operations.record_twin import CALLER, CHAIN, House

from signer.audit.entry import Kind
from signer.auth.principal import Action, Caller, Principal
from signer.crypto.bls import SecretKey
from signer.errors import ForbiddenError, KeyStateError, RefusalError, StartupError, UnknownKeyError
from signer.eth2.networks import Network
from signer.events import Events
from signer.journal.command import Command
from signer.keys.key import Key, Origin
from signer.keys.ledger import EVERY_KEY, KeyUseClaim, freeze_key, thaw_key
from signer.keys.report import LoadReport
from signer.operations.carry_out import LocalOrders
from signer.operations.explain import Question
from signer.operations.horizon import Horizon
from signer.operations.importing import WriterImports
from signer.operations.kept_record import KeptRecord as Record
from signer.operations.protect import WHOLE, ImportOptions
from signer.operations.quarantine import Quarantine, QuarantiningLoader
from signer.operations.record_orders import MoveWatermarks
from signer.units import Epoch, PublicKey

ON_BOTH_DATABASES = True
"""See conftest.py."""

ONE, OTHER = public_key(1), public_key(2)
EPOCH_SECONDS = 12 * 32


@pytest.fixture
def network(house: House) -> Network:
    return horizon(house).network


@pytest.fixture
def record(house: House, network: Network) -> Iterator[Record]:
    with house.record(epoch_begins=network.seconds_of_epoch) as opened:
        yield opened


class Files:
    """A loader that finds these keys."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self._keys = tuple(keys)

    def load(self, _progress: object, _stop: object) -> LoadReport:
        secret = SecretKey.from_bytes((5).to_bytes(32))
        keys = tuple(Key(one, secret, Origin.RAW_FILE, Path("/keys/a.yaml")) for one in self._keys)
        return LoadReport(keys, (), (), (), 0)


def now(house: House) -> int:
    epoch = horizon(house).epoch
    assert epoch is not None
    return epoch


def load(house: House, record: Record, *keys: PublicKey, present: Horizon | None = None) -> tuple[str, ...]:
    """Load these keys as the service does; the warnings for the log."""
    loader = QuarantiningLoader(
        Files(keys),
        changes=record.writer,
        reading=house.reading,
        horizon=present or horizon(house),
        epochs=2,
    )
    return loader.load(lambda _done, _all: None, None).warnings


def quarantine(house: House, record: Record, *, epochs: int = 2) -> Quarantine:
    orders = LocalOrders(
        changes=record.writer,
        reading=house.reading,
        clock=house.clock,
        events=Events(),
        holding=None,  # type: ignore[arg-type]  # nothing here brings keys in or deletes any
        moving=None,  # type: ignore[arg-type]  # or moves them
    )
    return Quarantine(orders=orders, reading=house.reading, horizon=horizon(house), epochs=epochs)


async def signed(record: Record, key: PublicKey, epoch: int | None, *claims: object) -> str:
    """How the use of a key for this epoch is judged."""
    use = KeyUseClaim(key, None if epoch is None else Epoch(epoch))
    try:
        await record.writer.commit(Command((use, *claims), PlainStory(key)))
    except RefusalError as refusal:
        return refusal.code
    return "signed"


async def voted(record: Record, number: int, target: int) -> str:
    claims = vote(target - 1, target, key=number).claims
    return await signed(record, public_key(number), target, *claims)


async def imported(
    house: House,
    record: Record,
    key: PublicKey,
    target: int | None,
    *,
    slot: int | None = None,
    options: ImportOptions = WHOLE,
) -> bool:
    """Whether the import tells that it ends the wait of the key."""
    vote_told = {} if target is None else {"source_epoch": str(max(target - 1, 0)), "target_epoch": str(target)}
    blocks, votes = [{"slot": str(slot)}] if slot is not None else [], [vote_told] if vote_told else []
    data = [{"pubkey": "0x" + key.hex(), "signed_blocks": blocks, "signed_attestations": votes}]
    metadata = {"interchange_format_version": "5", "genesis_validators_root": "0x" + CHAIN.hex()}
    file = house.data / "history.json"
    file.write_text(json.dumps({"metadata": metadata, "data": data}))
    imports = WriterImports(
        changes=record.writer,
        horizon=horizon(house),
        pinned=lambda: record.pinned,
        reading=house.reading,
        data_directory=house.data,
    )
    [told] = await imports.merge(file, CALLER, options)
    assert told.public_key == key
    return told.ends_quarantine


def test_a_key_without_history_waits_for_two_whole_epochs_after_the_running_one(house: House, record: Record) -> None:
    began = now(house)
    load(house, record, ONE)
    steps = [
        (began, "KEY_QUARANTINED"),
        (began + 1, "KEY_QUARANTINED"),
        (began + 2, "KEY_QUARANTINED"),
        (began + 3, "signed"),
        (began + 2, "KEY_QUARANTINED"),
    ]
    assert [asyncio.run(voted(record, 1, target)) for target, _ in steps] == [told for _, told in steps]


def test_a_block_waits_as_a_vote_does_and_other_duties_do_not(house: House, record: Record) -> None:
    load(house, record, ONE)
    began = now(house)
    assert asyncio.run(signed(record, ONE, began, *block(began * 32).claims)) == "KEY_QUARANTINED"
    assert asyncio.run(signed(record, ONE, None)) == "signed"
    assert asyncio.run(signed(record, ONE, began + 3, *block((began + 3) * 32).claims)) == "signed"


def test_the_refusal_says_until_which_epoch_and_when_and_what_ends_the_wait(
    house: House, record: Record, network: Network
) -> None:
    load(house, record, ONE)
    until = now(house) + 3
    with pytest.raises(KeyStateError) as refused:
        asyncio.run(_commit(record, KeyUseClaim(ONE, Epoch(until - 1))))
    assert refused.value.evidence["quarantined_until_epoch"] == until
    seconds = network.seconds_of_epoch(Epoch(until))
    assert seconds is not None
    assert 2 * EPOCH_SECONDS < seconds - house.clock.now() <= 3 * EPOCH_SECONDS
    assert str(refused.value.evidence["quarantined_until"]).startswith("2027-01-15T")
    for word in ("slashing import", "migrate in", "keys release 0x" + ONE.hex()):
        assert word in refused.value.sentence


async def _commit(record: Record, claim: KeyUseClaim) -> None:
    await record.writer.commit(Command((claim,), PlainStory()))


def test_a_key_with_imported_history_signs_at_once(house: House, record: Record) -> None:
    began = now(house)
    asyncio.run(imported(house, record, ONE, began - 5))
    assert load(house, record, ONE) == ()
    assert asyncio.run(voted(record, 1, began)) == "signed"
    assert Kind.KEYS_QUARANTINED not in [entry.kind for entry in entries(house)]


def test_an_import_ends_the_wait_of_its_validators_alone(house: House, record: Record) -> None:
    began = now(house)
    load(house, record, ONE, OTHER)
    asyncio.run(imported(house, record, ONE, began - 5))
    assert asyncio.run(voted(record, 1, began)) == "signed"
    assert asyncio.run(voted(record, 2, began)) == "KEY_QUARANTINED"
    assert [one.public_key for one in asyncio.run(quarantine(house, record).waits(CALLER))] == [OTHER]


def test_a_vote_for_the_end_of_the_wait_does_not_end_it_earlier(house: House, record: Record) -> None:
    load(house, record, ONE)
    began = now(house)
    assert asyncio.run(voted(record, 1, began + 3)) == "signed"
    asyncio.run(_order(record))
    assert asyncio.run(signed(record, ONE, began + 2)) == "KEY_QUARANTINED"


def test_where_more_is_signed_ahead_of_the_clock_the_wait_is_as_much_longer(house: House, record: Record) -> None:
    """Else a vote for its end, asked for at once, would surround the votes of the signer that the wait is for."""
    began = now(house)
    for number, (reach, more) in enumerate([(None, 0), (0, 0), (1, 0), (2, 1), (10, 9)], start=1):
        present = replace(horizon(house), far_future_epochs=reach)
        assert load(house, record, public_key(number), present=present) != (), reach
        assert asyncio.run(voted(record, number, began + 2 + more)) == "KEY_QUARANTINED", reach
        assert asyncio.run(voted(record, number, began + 3 + more)) == "signed", reach


async def _order(record: Record) -> None:
    await record.writer.perform(lambda change: freeze_key(change, OTHER, now_ms=1), lambda _: PlainStory())
    await record.writer.perform(lambda change: thaw_key(change, OTHER), lambda _: PlainStory())


@pytest.mark.parametrize("is_first", [True, False], ids=["before the key is loaded", "while it waits"])
def test_a_watermark_of_a_key_is_no_history(house: House, record: Record, *, is_first: bool) -> None:
    check_no_history(house, record, MoveWatermarks(ONE, low_epoch=1), key=1, is_first=is_first)
    check_no_history(house, record, MoveWatermarks(OTHER, low_epoch=1, low_slot=1), key=2, is_first=is_first)


@pytest.mark.parametrize("is_first", [True, False], ids=["before the key is loaded", "while it waits"])
def test_a_watermark_for_all_keys_is_no_history(house: House, record: Record, *, is_first: bool) -> None:
    check_no_history(house, record, MoveWatermarks(low_epoch=1, low_slot=1), key=1, is_first=is_first)


def check_no_history(house: House, record: Record, order: MoveWatermarks, *, key: int, is_first: bool) -> None:
    if not is_first:
        load(house, record, public_key(key))
    asyncio.run(keeping(house, record).move(order, CALLER))
    assert load(house, record, public_key(key)) != ()
    began = now(house)
    assert asyncio.run(voted(record, key, began)) == "KEY_QUARANTINED"
    told = asyncio.run(signed(record, public_key(key), began, *block(began * 32, key=key).claims))
    assert told == "KEY_QUARANTINED"
    asyncio.run(quarantine(house, record).release([public_key(key)], CALLER))
    assert asyncio.run(voted(record, key, began)) == "signed"


def test_what_is_written_for_a_validator_that_never_signed_is_no_history(house: House, record: Record) -> None:
    nothing = ((0, None), (None, 0), (0, 0))
    history = ((1, None), (None, 1), (0, 1), (1, 0))
    for number, (target, slot) in enumerate((*nothing, *history), start=1):
        key, is_history = public_key(number), (target, slot) in history
        asyncio.run(imported(house, record, key, target, slot=slot))
        assert (load(house, record, key) == ()) is is_history, (target, slot)
        told = asyncio.run(voted(record, number, now(house)))
        assert told == ("signed" if is_history else "KEY_QUARANTINED"), (target, slot)
        asyncio.run(quarantine(house, record).release([key], CALLER))  # or each load after this warns of it again


def test_only_a_vote_above_epoch_0_ends_a_wait(house: House, record: Record) -> None:
    load(house, record, ONE, OTHER)
    for number, target, told in ((1, 0, "KEY_QUARANTINED"), (2, 1, "signed")):
        asyncio.run(imported(house, record, public_key(number), target, slot=0))
        assert asyncio.run(voted(record, number, now(house))) == told


def test_an_import_tells_whether_it_ends_a_wait_and_the_dry_run_told_it_before(house: House, record: Record) -> None:
    cases = {
        "a vote": (-5, None, True),
        "a vote and a block": (-5, 7, True),
        "a vote just before its end": (2, None, True),
        "a vote of its end": (3, None, False),
        "a block alone": (None, 7, False),
    }
    load(house, record, *map(public_key, range(1, len(cases) + 2)))

    def waiting() -> set[PublicKey]:
        return {one.public_key for one in asyncio.run(quarantine(house, record).waits(CALLER))}

    preview, real = ImportOptions(dry_run=True, far_ahead=True), ImportOptions(far_ahead=True)
    for number, (case, (distance, slot, ends)) in enumerate(cases.items(), start=1):
        key, before = public_key(number), waiting()
        target = None if distance is None else now(house) + distance
        assert asyncio.run(imported(house, record, key, target, slot=slot, options=preview)) is ends, case
        assert waiting() == before, f"a dry run ends nothing: {case}"
        assert asyncio.run(imported(house, record, key, target, slot=slot, options=real)) is ends, case
        assert asyncio.run(imported(house, record, key, target, slot=slot, options=real)) is False, case
        assert waiting() == (before - {key} if ends else before), case


def test_keys_that_will_wait_are_known_before_they_are_loaded(house: House, record: Record) -> None:
    with_history = public_key(3)
    asyncio.run(imported(house, record, with_history, now(house) - 5))
    load(house, record, OTHER)
    keys = [ONE, OTHER, with_history]
    assert asyncio.run(quarantine(house, record).newcomers(keys, CALLER)) == {ONE}
    assert asyncio.run(quarantine(house, record, epochs=0).newcomers(keys, CALLER)) == frozenset()
    load(house, record, ONE)
    assert asyncio.run(quarantine(house, record).newcomers(keys, CALLER)) == frozenset()


def test_an_import_for_a_key_that_does_not_wait_ends_no_wait(house: House, record: Record) -> None:
    load(house, record, OTHER)
    assert asyncio.run(imported(house, record, ONE, now(house) - 5)) is False


def test_rows_of_web3signer_without_a_watermark_are_history_and_its_enabled_is_told_first(
    pool: Iterable[str], tmp_path: Path
) -> None:
    house = House(tmp_path, new_database=iter(pool).__next__)
    with house.record() as record:
        asyncio.run(_entered(house))
        [warning] = load(house, record, ONE, OTHER, public_key(3))
        assert warning.startswith("1 keys")
        assert "0x" + public_key(3).hex() in warning
        began = now(house)
        assert asyncio.run(voted(record, 1, began)) == "signed"
        assert asyncio.run(signed(record, OTHER, began, *block(began * 32, key=2).claims)) == "signed"
        assert asyncio.run(voted(record, 3, began)) == "DISABLED_IN_DATABASE"
        question = Question.parse(public_key=public_key(3).hex(), source=began - 1, target=began)
        assert asyncio.run(explaining(house).explain(question, CALLER)).code == "DISABLED_IN_DATABASE"
        asyncio.run(quarantine(house, record).release([public_key(3)], CALLER))
        assert asyncio.run(voted(record, 3, began)) == "DISABLED_IN_DATABASE"


async def _entered(house: House) -> None:
    """What a Web3Signer has written: a vote of one validator, a block of another, and a third that is disabled."""
    connection = await asyncpg.connect(house.make_database())
    for number in (1, 2, 3):
        await connection.execute("INSERT INTO validators (public_key) VALUES ($1)", public_key(number))
    named = "FROM validators WHERE public_key = $1"
    vote_columns, block_columns = "(validator_id, source_epoch, target_epoch)", "(validator_id, slot)"
    await connection.execute(f"INSERT INTO signed_attestations {vote_columns} SELECT id, 7, 8 {named}", ONE)
    await connection.execute(f"INSERT INTO signed_blocks {block_columns} SELECT id, 9 {named}", OTHER)
    await connection.execute("UPDATE validators SET enabled = false WHERE public_key = $1", public_key(3))
    await connection.close()


def test_a_key_waits_once_whatever_is_loaded_later(house: House, record: Record, network: Network) -> None:
    load(house, record, ONE)
    until = now(house) + 3
    house.clock.seconds += EPOCH_SECONDS
    load(house, record, ONE)
    [one] = asyncio.run(quarantine(house, record).waits(CALLER))
    assert one.until_epoch == until
    house.clock.seconds += 20 * EPOCH_SECONDS
    assert load(house, record) == ()
    assert load(house, record, ONE, OTHER) != ()
    assert asyncio.run(quarantine(house, record).waits(CALLER))[0].public_key == OTHER
    assert asyncio.run(voted(record, 1, now(house))) == "signed"
    assert [entry.kind for entry in entries(house)].count(Kind.KEYS_QUARANTINED) == 2


def test_what_waits_still_waits_after_a_new_start(house: House, network: Network) -> None:
    with house.record() as first:
        load(house, first, ONE)
    with house.record() as second:
        assert asyncio.run(voted(second, 1, now(house))) == "KEY_QUARANTINED"


def test_the_log_says_which_key_waits_until_when_and_what_to_do(house: House, record: Record) -> None:
    [warning] = load(house, record, ONE, OTHER)
    for word in (
        "2 keys",
        "0x" + ONE.hex(),
        f"epoch {now(house) + 3}",
        "2027-01-15T",
        "KEY_QUARANTINED",
        "slashing import",
        "migrate in",
        "keys release",
    ):
        assert word in warning
    assert load(house, record, ONE, OTHER) == (warning,), "a reload says it again"


def test_an_operator_releases_a_key_and_the_audit_log_tells_who(house: House, record: Record) -> None:
    load(house, record, ONE, OTHER)
    released = asyncio.run(quarantine(house, record).release([ONE, public_key(9)], CALLER))
    assert [(one.public_key, one.status) for one in released] == [
        (ONE, "released"),
        (public_key(9), "not_in_quarantine"),
    ]
    assert asyncio.run(voted(record, 1, now(house))) == "signed"
    assert asyncio.run(voted(record, 2, now(house))) == "KEY_QUARANTINED"
    told = [entry for entry in entries(house) if entry.kind is Kind.KEYS_RELEASED]
    assert [(entry.principal, entry.public_key, entry.note) for entry in told] == [
        ("operator", ONE, ""),
        ("operator", public_key(9), "was not in quarantine"),
    ]
    load(house, record, ONE, OTHER)
    assert asyncio.run(signed(record, ONE, now(house))) == "signed", "a released key is known for good"


def test_nothing_is_released_by_the_word_for_all_keys(house: House, record: Record) -> None:
    load(house, record, ONE)
    with pytest.raises(UnknownKeyError):
        asyncio.run(quarantine(house, record).release([EVERY_KEY], CALLER))
    assert asyncio.run(voted(record, 1, now(house))) == "KEY_QUARANTINED"


def test_who_may_only_look_or_sign_releases_nothing(house: House, record: Record) -> None:
    load(house, record, ONE)
    for action in (Action.KEYS_LIST, Action.SIGN_DUTY):
        somebody = Principal("somebody", actions=frozenset({action}))
        with pytest.raises(ForbiddenError):
            asyncio.run(quarantine(house, record).release([ONE], Caller(somebody)))
        assert asyncio.run(voted(record, 1, now(house))) == "KEY_QUARANTINED"


def test_without_a_genesis_time_new_keys_stop_the_load_and_known_ones_do_not(house: House, record: Record) -> None:
    present = horizon(house)
    timeless = replace(present, network=replace(present.network, genesis_time=None))
    with pytest.raises(StartupError, match="genesis_time"):
        load(house, record, ONE, present=timeless)
    asyncio.run(imported(house, record, ONE, now(house) - 5))
    load(house, record, ONE, present=timeless)
