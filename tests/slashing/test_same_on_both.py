"""Whatever happens to a record, both databases know the same afterwards: what is signed, refused, exported and told."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from journal.record import open_record, public_key, root
from journal.shared_record import open_shared

from interchange import SignedAttestation, SignedBlock, ValidatorHistory
from signer.errors import RefusalError
from signer.journal.ledger import Transaction
from signer.journal.postgres_session import Session, SessionTransaction
from signer.journal.sqlite import SqliteDatabase, open_writer
from signer.journal.statement import Statement
from signer.keys.ledger import check_may_sign, read_key_states
from signer.keys.moves import move_in, move_out, read_moves
from signer.keys.quarantine import begin_quarantine, find_new_keys, read_quarantine
from signer.slashing.exchange import Wanted, export_history
from signer.slashing.incoming import admit, import_history, lift_hold, read_floors
from signer.slashing.judging import judge_block, judge_vote
from signer.slashing.ledger import AttestationClaim, AttestationLedger, BlockClaim, BlockLedger
from signer.slashing.pruning import Keep, find_cuts, prune
from signer.slashing.receipt import by_key, lines_of, named
from signer.slashing.rules import Proposal, Vote
from signer.slashing.staging import StagedValidator
from signer.slashing.status import find_key_record, greatest_source, read_key_records
from signer.slashing.watermarks import raise_floors, raise_low_watermark, read_watermarks
from signer.units import Epoch, PublicKey, Slot

KEYS = (public_key(1), public_key(2))
HIGH = 2**64 - 8
"""Numbers here do not fit signed integers."""

FARTHEST = 9


class Embedded:
    """SQLite, in transactions that leave nothing behind."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Transaction]:
        with contextlib.suppress(UndoneError), self._database.transaction() as transaction:
            yield transaction
            raise UndoneError


class Shared:
    """PostgreSQL, the same."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Transaction]:
        self._session.script("BEGIN", seconds=60)
        try:
            yield SessionTransaction(self._session, seconds=60)
        finally:
            self._session.script("ROLLBACK", seconds=60)


class UndoneError(Exception):
    """Ends a transaction without a trace."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgres: Any) -> Iterator[tuple[Embedded, Shared]]:
    directory = tmp_path_factory.mktemp("both")
    (directory / "embedded").mkdir()
    embedded = open_record(directory / "embedded")
    embedded.writer.close()
    embedded.log.close()
    database = open_writer(embedded.database.path)
    url = postgres.make_database("same_on_both")
    shared = open_shared(url, directory / "shared", genesis_validators_root=None)
    session = Session(url, settings={"search_path": shared.place.search_path(shared.instance)})
    session.open(seconds=60)
    yield Embedded(database), Shared(session)
    session.close()
    shared.close()
    database.close()


marks = st.sampled_from([None, root(1), root(2)])
small = st.integers(0, 7)
numbers = st.one_of(small, small, small.map(lambda n: n + HIGH))
histories = st.builds(
    ValidatorHistory,
    st.sampled_from(KEYS),
    st.lists(st.builds(SignedBlock, numbers, marks), max_size=5).map(tuple),
    st.lists(st.builds(SignedAttestation, numbers, numbers, marks), max_size=6).map(tuple),
)
documents = st.lists(histories, max_size=3)
steps = st.one_of(
    st.tuples(st.just("import"), documents),
    st.tuples(st.just("import"), documents),
    st.tuples(st.just("hold"), documents, st.booleans()),
    st.tuples(st.just("sign"), st.sampled_from(KEYS), small, small),
    st.tuples(st.just("propose"), st.sampled_from(KEYS), small),
    st.tuples(st.just("floor"), st.sampled_from(KEYS), st.none() | small, st.none() | small),
    st.tuples(st.just("prune"), st.integers(1, 4), st.none() | st.integers(0, 9)),
    st.tuples(st.just("wait"), st.sampled_from(KEYS), st.integers(1, 9)),
    st.tuples(st.just("leave"), st.sampled_from(KEYS)),
    st.tuples(st.just("come"), st.sampled_from(KEYS), st.integers(1, 3)),
)


_ENTER = Statement(embedded="INSERT INTO validators (public_key) VALUES (?) ON CONFLICT DO NOTHING", shared="")


def take(transaction: Transaction, step: tuple[Any, ...]) -> Any:
    """Take one step; what it told."""
    match step:
        case "import", document:
            return import_history(transaction, document).validators
        case "hold", document, lifted:
            some = {history.pubkey: staged(history) for history in document}
            admit(transaction, list(some.values()), hold_for=b"h" * 32)
            if lifted:
                lift_hold(transaction, b"h" * 32)
        case "sign", key, source, target:
            return sign(transaction, AttestationClaim(key, Epoch(source), Epoch(target), root(1)), AttestationLedger())
        case "propose", key, slot:
            return sign(transaction, BlockClaim(key, Slot(slot), root(1)), BlockLedger())
        case "floor", key, epoch, slot:
            raise_floors(transaction, key, epoch=epoch, slot=slot)
        case "prune", kept, now:
            return prune_all(transaction, Keep(kept, kept, now, now))
        case "wait", key, until:
            return begin_quarantine(transaction, [key], until=Epoch(until))
        case "leave", key:
            # A shared one enters a key that may not sign, before a Web3Signer enters it as one that may.
            transaction.run(_ENTER, (key,))
            return dict(move_out(transaction, [key], now_ms=5))
        case "come", key, number:
            move_in(transaction, {key: number})
    return None


def staged(history: ValidatorHistory) -> StagedValidator:
    sources = [vote.source_epoch for vote in history.attestations]
    targets = [vote.target_epoch for vote in history.attestations]
    slots = [block.slot for block in history.blocks]
    ranges = [(min(each), max(each)) if each else None for each in (slots, sources, targets)]
    return StagedValidator(history.pubkey.hex(), len(slots), len(targets), *ranges)


def sign(transaction: Transaction, claim: Any, ledger: Any) -> str:
    """Judge it, and keep it as an import would: on a shared record other ledgers sign."""
    facts = ledger.load(transaction, [claim])
    try:
        check_may_sign(claim.public_key, read_key_states(transaction))
        is_new = ledger.judge(claim, facts)
    except RefusalError as refusal:
        return refusal.code
    if is_new:
        history = (
            ValidatorHistory(claim.public_key, (SignedBlock(claim.slot, claim.signing_root),))
            if isinstance(claim, BlockClaim)
            else ValidatorHistory(
                claim.public_key, (), (SignedAttestation(claim.source_epoch, claim.target_epoch, claim.signing_root),)
            )
        )
        import_history(transaction, [history])
    return str(is_new)


def prune_all(transaction: Transaction, keep: Keep) -> list[Any]:
    done, after = [], 0
    while (cuts := find_cuts(transaction, keep, rows=4, after=after)).after is not None:
        done.append(prune(transaction, cuts))
        after = cuts.after
    return done


def verdicts(transaction: Transaction) -> list[str]:
    """How every small vote and block would be judged."""
    found, states = list[str](), read_key_states(transaction)
    for key in (*KEYS, public_key(3)):
        try:
            check_may_sign(key, states)
        except RefusalError as refusal:
            found.append(refusal.code)  # asked first; Web3Signer's `enabled` follows it
            continue
        votes = [
            AttestationClaim(key, Epoch(source), Epoch(target), root(mark))
            for target in range(FARTHEST)
            for source in range(target + 1)
            for mark in (1, 2)
        ]
        blocks = [BlockClaim(key, Slot(slot), root(mark)) for slot in range(FARTHEST) for mark in (1, 2)]
        ledgers: list[tuple[Any, Any]] = [(AttestationLedger(), votes), (BlockLedger(), blocks)]
        for ledger, claims in ledgers:
            facts = ledger.load(transaction, claims)
            for claim in claims:
                try:
                    found.append(str(ledger.judge(claim, facts)))
                except RefusalError as refusal:
                    found.append(f"{refusal.code} {dict(refusal.evidence)}")
    return found


def told(transaction: Transaction, earlier: dict[str, Any]) -> list[Any]:
    """Everything that can be asked of a record."""
    since = Wanted(None, by_key(earlier))
    return [
        verdicts(transaction),
        list(export_history(transaction)),
        list(export_history(transaction, since)),
        list(export_history(transaction, Wanted(frozenset(KEYS[:1])))),
        read_floors(transaction, [key.hex() for key in KEYS]),
        lines_of(transaction),
        read_key_records(transaction, after=b"", limit=500),
        [find_key_record(transaction, key) for key in KEYS],
        [greatest_source(transaction, key) for key in KEYS],
        [explained(transaction, key) for key in KEYS],
        read_watermarks(transaction),
        find_new_keys(transaction, KEYS),
        read_quarantine(transaction),
        dict(read_moves(transaction, KEYS)),
    ]


def explained(transaction: Transaction, key: PublicKey) -> list[str]:
    found = list[str]()
    if key in read_key_states(transaction):
        return found
    for judge, asked in ((judge_vote, Vote(Epoch(3), Epoch(4), None)), (judge_block, Proposal(Slot(4), None))):
        try:
            found.append(str(judge(transaction, key, asked)))  # type: ignore[operator]
        except RefusalError as refusal:
            found.append(refusal.sentence)
    return found


@settings(derandomize=True, deadline=None, max_examples=40, phases=[Phase.generate])
@given(story=st.lists(steps, max_size=6), low=st.tuples(st.none() | small, st.none() | small))
def test_the_same_steps_leave_the_same_on_both(
    both: tuple[Embedded, Shared], story: list[tuple[Any, ...]], low: tuple[Epoch | None, Slot | None]
) -> None:
    answers = []
    for database in both:
        with database.scratch() as transaction:
            done, earlier = [], {}
            for number, step in enumerate(story):
                done.append(take(transaction, step))
                if number == 1:
                    earlier = named(lines_of(transaction).items())
            answers.append([done, *told(transaction, earlier)])
            # The shared one raises each validator's own floor too, for Web3Signer: told otherwise, judged the same.
            raise_low_watermark(transaction, epoch=low[0], slot=low[1])
            answers[-1] += [verdicts(transaction), list(export_history(transaction)), read_watermarks(transaction)]
    for embedded, shared in zip(*answers, strict=True):
        assert shared == embedded
