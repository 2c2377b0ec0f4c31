"""EIP-3076 documents in and out of the record on disk, by others' vectors and by judges of all pairs."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal.kept_records import KeptRecord
from journal.record import PlainStory, open_record, root

from interchange import (
    Metadata,
    SignedAttestation,
    SignedBlock,
    ValidatorHistory,
    read_interchange,
)
from interchange.serialise import arranged
from signer.errors import RefusalError
from signer.journal.command import Command
from signer.journal.ledger import Transaction
from signer.journal.sqlite import SqliteDatabase, open_writer
from signer.slashing.exchange import PAGE, Wanted, export_history, export_metadata
from signer.slashing.incoming import ImportReport, import_history
from signer.slashing.ledger import AttestationClaim, AttestationLedger, BlockClaim, BlockLedger
from signer.slashing.network import bind_network
from signer.slashing.pruning import prune_blocks, prune_votes
from signer.slashing.watermarks import raise_low_watermark
from signer.units import UINT64_MAX, Epoch, PublicKey, Root, Slot

KEY = PublicKey(bytes(range(48)))
CHAIN = Metadata(bytes(32))


@pytest.fixture
def record(kept: KeptRecord) -> KeptRecord:
    return kept


async def take_in(record: KeptRecord, *histories: ValidatorHistory) -> ImportReport:
    events = (CHAIN, *histories)
    return await record.writer.perform(lambda transaction: import_history(transaction, events), lambda _: PlainStory())


async def given_out(record: KeptRecord) -> tuple[ValidatorHistory, ...]:
    found = await record.writer.perform(lambda transaction: tuple(export_history(transaction)), lambda _: PlainStory())
    return arranged(found)


async def signs(record: KeptRecord, claim: AttestationClaim | BlockClaim) -> bool:
    try:
        await record.writer.commit(Command((claim,), PlainStory()))
    except RefusalError:
        return False
    return True


def vote_claim(vote: SignedAttestation, key: bytes = KEY) -> AttestationClaim:
    mark = Root(vote.signing_root or root(99))
    return AttestationClaim(PublicKey(key), Epoch(vote.source_epoch), Epoch(vote.target_epoch), mark)


def block_claim(block: SignedBlock, key: bytes = KEY) -> BlockClaim:
    return BlockClaim(PublicKey(key), Slot(block.slot), Root(block.signing_root or root(99)))


def of_its_own(key: str, case: int) -> bytes:
    """Each case has validators of its own, so that one database serves them all."""
    return bytes.fromhex(key[2:])[:-4] + case.to_bytes(4)


async def test_every_complete_verdict_of_eip_3076s_own_suite(vectors: Path, record: KeptRecord) -> None:
    files = sorted((vectors / "eip3076/tests/generated").glob("*.json"))
    assert len(files) == 38
    verdicts = 0
    for number, file in enumerate(files):
        case = json.loads(file.read_text())
        for step in case["steps"]:
            document = read_interchange([json.dumps(step["interchange"]).encode()])
            if document.metadata.genesis_validators_root == bytes.fromhex(case["genesis_validators_root"][2:]):
                await take_in(
                    record,
                    *(replace(one, pubkey=of_its_own("0x" + one.pubkey.hex(), number)) for one in document.validators),
                )
            for block in step["blocks"]:
                signed = SignedBlock(int(block["slot"]), bytes.fromhex(block.get("signing_root", "0x")[2:]) or None)
                allowed = await signs(record, block_claim(signed, of_its_own(block["pubkey"], number)))
                assert allowed is block["should_succeed_complete"], (file.stem, block)
                verdicts += 1
            for vote in step["attestations"]:
                mark = bytes.fromhex(vote.get("signing_root", "0x")[2:]) or None
                signed = SignedAttestation(int(vote["source_epoch"]), int(vote["target_epoch"]), mark)
                allowed = await signs(record, vote_claim(signed, of_its_own(vote["pubkey"], number)))
                assert allowed is vote["should_succeed_complete"], (file.stem, vote)
                verdicts += 1
    assert verdicts == 150


async def test_a_sound_document_comes_out_as_it_went_in(record: KeptRecord) -> None:
    sound = ValidatorHistory(
        KEY,
        tuple(SignedBlock(slot, root(1) if slot % 2 else None) for slot in range(5, PAGE + 20)),
        tuple(SignedAttestation(n, n + 1, root(n)) for n in range(3, PAGE + 20)),
    )
    report = await take_in(record, sound)
    assert (report.validators[KEY].blocks, report.validators[KEY].attestations) == (PAGE + 15, PAGE + 17)
    assert await given_out(record) == (sound,)
    await record.writer.perform(lambda t: bind_network(t, Root(CHAIN.genesis_validators_root)), lambda _: PlainStory())
    assert await record.writer.perform(export_metadata, lambda _: PlainStory()) == CHAIN


async def test_importing_twice_adds_nothing(record: KeptRecord) -> None:
    history = ValidatorHistory(KEY, (SignedBlock(5), SignedBlock(9, root(1))), (SignedAttestation(1, 2, b"short"),))
    await take_in(record, history)
    before = await given_out(record)
    report = await take_in(record, history)
    assert (report.validators[KEY].blocks, report.validators[KEY].attestations) == (0, 0)
    assert await given_out(record) == before


async def test_the_whole_unsigned_range_goes_in_and_out(record: KeptRecord) -> None:
    history = ValidatorHistory(
        KEY,
        (SignedBlock(0), SignedBlock(UINT64_MAX, root(1))),
        (SignedAttestation(0, 0, root(1)), SignedAttestation(UINT64_MAX, UINT64_MAX, root(2))),
    )
    await take_in(record, history)
    assert await given_out(record) == (history,)


async def test_a_root_of_another_length_refuses_like_none(record: KeptRecord) -> None:
    await take_in(record, ValidatorHistory(KEY, (SignedBlock(5, b"\x12"), SignedBlock(6, root(1)))))
    assert not await signs(record, block_claim(SignedBlock(5, root(1))))
    assert await signs(record, block_claim(SignedBlock(6, root(1))))


async def test_nothing_below_an_accepted_restores_watermark_is_exported(record: KeptRecord) -> None:
    """Epochs 8 to 50 are unknown: a complete importer that saw records below them would sign there."""
    await take_in(record, ValidatorHistory(KEY, (SignedBlock(5),), (SignedAttestation(6, 7, root(1)),)))
    await record.writer.perform(
        lambda transaction: raise_low_watermark(transaction, epoch=Epoch(50), slot=Slot(1600)), lambda _: PlainStory()
    )
    expected = ValidatorHistory(KEY, (SignedBlock(1600),), (SignedAttestation(50, 50),))
    assert await given_out(record) == (expected,)


async def test_the_keys_that_are_asked_for_are_exported_wherever_they_stand(record: KeptRecord) -> None:
    """More validators than one page has; the first, the last, neighbours that differ in their last byte, and none."""
    everybody = [PublicKey(number.to_bytes(48)) for number in (0, *range(1, 1200, 2), 2**384 - 1)]
    vote = SignedAttestation(1, 2, bytes(32))
    await take_in(record, *(ValidatorHistory(key, (), (vote,)) for key in everybody))

    async def exported(*keys: PublicKey) -> list[PublicKey]:
        wanted = Wanted(keys=frozenset(keys))
        found = await record.writer.perform(
            lambda transaction: list(export_history(transaction, wanted)), lambda _: PlainStory()
        )
        return sorted({PublicKey(history.pubkey) for history in found})

    chosen = [everybody[place] for place in (0, 1, 2, 255, 256, 499, 500, 501, -2, -1)]
    for key in chosen:
        assert await exported(key) == [key]
    assert await exported(*chosen) == sorted(chosen)
    assert await exported(everybody[0], everybody[-1]) == [everybody[0], everybody[-1]]
    assert await exported(PublicKey((2).to_bytes(48)), everybody[3]) == [everybody[3]]
    assert await exported() == []


async def test_two_sources_for_one_target_refuse_what_either_would(record: KeptRecord) -> None:
    await take_in(
        record, ValidatorHistory(KEY, (), (SignedAttestation(1, 2, root(1)), SignedAttestation(3, 9, root(1))))
    )
    await take_in(record, ValidatorHistory(KEY, (), (SignedAttestation(6, 9, root(2)),)))
    assert not await signs(record, vote_claim(SignedAttestation(5, 10, root(3)))), "it surrounds 6->9"
    assert not await signs(record, vote_claim(SignedAttestation(4, 8, root(3)))), "it is inside 3->9"
    assert await signs(record, vote_claim(SignedAttestation(6, 10, root(3))))


# --- against judges of all pairs ----------------------------------------------------------------------

steady = settings(derandomize=True, deadline=None, max_examples=150)

marks = st.sampled_from([None, root(1), root(2)])
epochs = st.integers(0, 7)
votes = st.lists(st.builds(SignedAttestation, epochs, epochs, marks), max_size=5)
blocks = st.lists(st.builds(SignedBlock, epochs, marks), max_size=5)
histories = st.builds(ValidatorHistory, st.just(KEY), blocks.map(tuple), votes.map(tuple))

ALL_VOTES = [
    SignedAttestation(source, target, mark)
    for target in range(10)
    for source in range(target + 1)
    for mark in (root(1), root(2))
]
ALL_BLOCKS = [SignedBlock(slot, mark) for slot in range(10) for mark in (root(1), root(2))]


class UndoneError(Exception):
    """Ends a transaction without a trace."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory):
    opened = open_record(tmp_path_factory.mktemp("exchange"))
    opened.writer.close()
    database = open_writer(opened.database.path)
    yield database
    database.close()
    opened.log.close()


@contextlib.contextmanager
def scratch(database: SqliteDatabase):
    """A transaction that leaves nothing behind."""
    with contextlib.suppress(UndoneError), database.transaction() as transaction:
        yield transaction
        raise UndoneError


def would_sign(transaction: Transaction, claim: AttestationClaim | BlockClaim) -> bool:
    ledger = AttestationLedger() if isinstance(claim, AttestationClaim) else BlockLedger()
    facts = ledger.load(transaction, [claim])
    try:
        ledger.judge(claim, facts)
    except RefusalError:
        return False
    return True


def signable(transaction: Transaction) -> set[SignedAttestation | SignedBlock]:
    allowed_votes = {vote for vote in ALL_VOTES if would_sign(transaction, vote_claim(vote))}
    return allowed_votes | {block for block in ALL_BLOCKS if would_sign(transaction, block_claim(block))}


def stands_against(known: SignedAttestation | SignedBlock, new: SignedAttestation | SignedBlock) -> bool:
    """Whether both together are slashable (consensus-specs), unless both are the same message."""
    if known == new or type(known) is not type(new):
        return False
    if isinstance(known, SignedBlock):
        return known.slot == new.slot
    around = known.source_epoch < new.source_epoch and new.target_epoch < known.target_epoch
    inside = new.source_epoch < known.source_epoch and known.target_epoch < new.target_epoch
    return known.target_epoch == new.target_epoch or around or inside


def sign(transaction: Transaction, claim: AttestationClaim | BlockClaim) -> None:
    ledger = AttestationLedger() if isinstance(claim, AttestationClaim) else BlockLedger()
    facts = ledger.load(transaction, [claim])
    with contextlib.suppress(RefusalError):
        if ledger.judge(claim, facts):
            ledger.accept(claim, facts)
            ledger.store(transaction, facts)


@steady
@given(documents=st.lists(st.lists(histories, max_size=2), min_size=1, max_size=2))
def test_nothing_that_conflicts_with_an_imported_record_is_signed(database: SqliteDatabase, documents) -> None:
    with scratch(database) as transaction:
        for document in documents:
            import_history(transaction, document)
        known = {record for document in documents for history in document for record in records_of(history)}
        for new in signable(transaction):
            against = [record for record in known if stands_against(record, new)]
            # A block or vote that is on record itself may be repeated: it was signed before.
            assert new in known or not against, (new, against)


@steady
@given(
    document=st.lists(histories, max_size=2),
    signed=votes,
    low=st.none() | epochs,
    before=st.none() | epochs,
    late=st.lists(histories, max_size=1),
)
def test_whoever_imports_our_export_signs_nothing_that_we_refuse(
    database: SqliteDatabase, document, signed, low, before, late
) -> None:
    with scratch(database) as transaction:
        import_history(transaction, document)
        for vote in signed:
            sign(transaction, vote_claim(vote))
        if before is not None:
            for (validator_id,) in list(transaction.rows("SELECT id FROM validators")):
                prune_votes(transaction, validator_id, before=Epoch(before))
                prune_blocks(transaction, validator_id, before=Slot(before))
        import_history(transaction, late)
        if low is not None:
            raise_low_watermark(transaction, epoch=Epoch(low), slot=Slot(low))
        known = any(True for _ in transaction.rows("SELECT id FROM validators"))
        ours = signable(transaction)
        written = arranged(export_history(transaction))
    with scratch(database) as transaction:
        import_history(transaction, written)
        theirs = signable(transaction)
    if known:
        assert theirs <= ours, (theirs - ours, written)


def records_of(history: ValidatorHistory) -> tuple[SignedAttestation | SignedBlock, ...]:
    return (*history.blocks, *history.attestations)
