"""The record in Web3Signer's tables: the verdicts of the embedded one, and Web3Signer's own contract."""

import asyncio
import random
from pathlib import Path

import asyncpg
import pytest
from journal.record import Record, block, open_record, public_key, root, vote
from journal.shared_record import open_shared
from postgres_server import PostgresServer
from properties.test_no_history_is_slashable import SignedVote, propose_vote, slashable
from slashing.test_batches_as_if_alone import BATCHES, COMMANDS, found, random_command
from slashing.test_record import STORIES, Step, verdict

from signer.journal.command import Command
from signer.keys.ledger import KeyUseClaim
from signer.operations.shared_record import SharedRecord
from signer.units import Epoch


@pytest.fixture
def shared(database_url: str, tmp_path: Path):
    record = open_shared(database_url, tmp_path)
    yield record
    record.close()


@pytest.fixture(scope="module")
def of_many(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory):
    """A record in which each story is that of a key of its own."""
    record = open_shared(postgres.make_database("of_many"), tmp_path_factory.mktemp("of_many"))
    yield record
    record.close()


async def step_of(record: Record | SharedRecord, step: Step, *, key: int = 1) -> str:
    return await verdict(record, step, key=key)  # type: ignore[arg-type]


@pytest.mark.parametrize(("key", "name"), list(enumerate(STORIES, start=100)))
async def test_each_step_of_a_story_gets_its_verdict_in_shared_tables(
    of_many: SharedRecord, key: int, name: str
) -> None:
    for step in STORIES[name]:
        assert await step_of(of_many, step, key=key) == step[-1], step


@pytest.mark.parametrize(("key", "name"), list(enumerate(STORIES, start=200)))
async def test_one_shared_batch_judges_its_commands_in_order_as_if_alone(
    of_many: SharedRecord, key: int, name: str
) -> None:
    commands = [
        vote(s[1], s[2], mark=s[3], key=key) if s[0] == "vote" else block(s[2], mark=s[3], key=key)
        for s in STORIES[name]
    ]
    for step, future in zip(STORIES[name], of_many.writer.commit_all(commands), strict=True):
        assert await found(future) == step[-1], step


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.torture) for seed in range(6, 60))])
async def test_random_batches_get_the_verdicts_of_the_embedded_record(
    database_url: str, tmp_path: Path, seed: int
) -> None:
    (tmp_path / "alone").mkdir()
    shared, alone = open_shared(database_url, tmp_path / "shared"), open_record(tmp_path / "alone")
    draw, seen = random.Random(seed), set()
    for number in range(BATCHES):
        commands = [random_command(draw) for _ in range(COMMANDS)]
        together = [await found(future) for future in shared.writer.commit_all(commands)]
        one_by_one = [await found(alone.writer.commit(command)) for command in commands]
        assert together == one_by_one, (seed, number)
        seen.update(together)
    assert {"new", "repeat", "BELOW_FLOOR", "DOUBLE_VOTE"} < seen
    shared.close()
    alone.close()


async def test_what_the_dull_judge_allows_above_the_first_vote_is_exactly_what_is_signed(shared: SharedRecord) -> None:
    chance = random.Random(11)
    await shared.writer.commit(vote(0, 0, key=3))
    signed: set[SignedVote] = {(0, 0, 1)}
    for _ in range(60):
        candidates = [v for v in (propose_vote(chance, horizon=20) for _ in range(25)) if v[0] <= v[1]]
        futures = shared.writer.commit_all([vote(v[0], v[1], key=3, mark=v[2]) for v in candidates])
        for candidate, future in zip(candidates, futures, strict=True):
            allowed = await found(future) in {"new", "repeat"}
            assert allowed == (not any(slashable(old, candidate) for old in signed)), candidate
            if allowed:
                signed.add(candidate)
    assert len(signed) > 20


async def test_a_restart_forgets_nothing_of_the_shared_record(database_url: str, tmp_path: Path) -> None:
    first = open_shared(database_url, tmp_path)
    assert await step_of(first, ("vote", 1, 2, 1, "")) == "new"
    first.close()
    second = open_shared(database_url, tmp_path)
    assert await step_of(second, ("vote", 1, 2, 2, "")) == "DOUBLE_VOTE"
    assert await step_of(second, ("vote", 1, 2, 1, "")) == "repeat"
    assert second.log.head.size == 3
    second.close()


async def test_what_one_signer_signed_stands_against_another(database_url: str, tmp_path: Path) -> None:
    first, second = open_shared(database_url, tmp_path / "1"), open_shared(database_url, tmp_path / "2")
    assert await step_of(first, ("vote", 3, 8, 1, "")) == "new"
    assert await step_of(second, ("vote", 4, 7, 1, "")) == "SURROUNDED_VOTE"
    assert await step_of(second, ("vote", 3, 8, 1, "")) == "repeat"
    assert await step_of(second, ("block", 0, 9, 1, "")) == "new"
    assert await step_of(first, ("block", 0, 9, 2, "")) == "DOUBLE_PROPOSAL"
    first.close()
    second.close()


async def test_a_disabled_validator_is_refused_and_an_enabled_one_signs_again(
    shared: SharedRecord, database_url: str
) -> None:
    assert await step_of(shared, ("vote", 1, 2, 1, "")) == "new"
    web3signer = await asyncpg.connect(database_url)
    await web3signer.execute("UPDATE validators SET enabled = false")
    assert await step_of(shared, ("vote", 1, 2, 1, "")) == "DISABLED_IN_DATABASE"
    assert await step_of(shared, ("block", 0, 2, 1, "")) == "DISABLED_IN_DATABASE"
    await web3signer.execute("UPDATE validators SET enabled = true")
    assert await step_of(shared, ("vote", 1, 2, 1, "")) == "repeat"
    await web3signer.close()


async def test_a_null_root_in_shared_tables_equals_nothing(shared: SharedRecord, database_url: str) -> None:
    assert await step_of(shared, ("vote", 1, 2, 1, "")) == "new"
    assert await step_of(shared, ("block", 0, 7, 1, "")) == "new"
    other = await asyncpg.connect(database_url)
    await other.execute("UPDATE signed_attestations SET signing_root = NULL")
    await other.execute("UPDATE signed_blocks SET signing_root = NULL")
    assert await step_of(shared, ("vote", 1, 2, 1, "")) == "DOUBLE_VOTE"
    assert await step_of(shared, ("block", 0, 7, 1, "")) == "DOUBLE_PROPOSAL"
    await other.close()


async def test_watermarks_of_web3signer_and_of_a_restore_hold(shared: SharedRecord, database_url: str) -> None:
    assert await step_of(shared, ("vote", 1, 2, 1, "")) == "new"
    other = await asyncpg.connect(database_url)
    await other.execute("UPDATE low_watermarks SET source_epoch = 10, target_epoch = 20, slot = 640")
    await other.execute("UPDATE metadata SET high_watermark_epoch = 50, high_watermark_slot = 1600")
    await other.execute("UPDATE holdfast.watermarks SET low_epoch = 15, low_slot = 700")
    expected = [
        ("vote", 1, 2, 1, "BELOW_FLOOR"),  # Web3Signer too refuses a repeat below its watermark
        ("vote", 14, 21, 1, "BELOW_FLOOR"),
        ("vote", 15, 20, 1, "BELOW_FLOOR"),
        ("vote", 15, 21, 1, "new"),
        ("vote", 15, 50, 1, "HIGH_WATERMARK"),
        ("vote", 15, 49, 1, "new"),
        ("block", 0, 700, 1, "BELOW_FLOOR"),
        ("block", 0, 701, 1, "new"),
        ("block", 0, 1600, 1, "HIGH_WATERMARK"),
    ]
    for step in expected:
        assert await step_of(shared, step) == step[-1], step
    await other.close()


async def test_a_validator_whose_row_is_gone_is_refused_and_one_whose_number_changed_is_found_again(
    shared: SharedRecord, database_url: str
) -> None:
    await shared.writer.commit(vote(1, 2, key=1))
    other = await asyncpg.connect(database_url)
    await other.execute("DELETE FROM signed_attestations; DELETE FROM low_watermarks; DELETE FROM validators")
    assert await step_of(shared, ("vote", 5, 6, 1, ""), key=1) == "DISABLED_IN_DATABASE"
    # The number now belongs to another key, and the key to another number: nothing is judged by the wrong history.
    await other.execute(
        "INSERT INTO validators (id, public_key) VALUES (1, $1), (77, $2)", public_key(9), public_key(1)
    )
    await other.execute("INSERT INTO signed_attestations VALUES (77, 5, 6, $1)", root(2))
    assert await step_of(shared, ("vote", 5, 6, 1, ""), key=1) == "DOUBLE_VOTE"
    await other.close()


async def test_a_batch_of_duties_costs_four_round_trips_whatever_its_size(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine that needs seconds for a batch would renew the lease meanwhile.
    record = open_shared(database_url, tmp_path, renewal_seconds=3600.0)
    await asyncio.gather(*record.writer.commit_all([vote(1, 2, key=key) for key in range(512)]))
    from signer.journal.postgres_session import Session

    trips: list[str] = []
    original = Session._run

    def count(self, begin, seconds):
        trips.append("")
        return original(self, begin, seconds)

    monkeypatch.setattr(Session, "_run", count)
    for size, target in ((1, 3), (512, 4)):
        trips.clear()
        await asyncio.gather(*record.writer.commit_all([vote(1, target, key=key) for key in range(size)]))
        assert len(trips) == 3, f"{size} votes alone: one kind of claim"
        trips.clear()
        await asyncio.gather(*record.writer.commit_all([duty(target + 2, key=key) for key in range(size)]))
        assert len(trips) == 4, f"{size} votes as they are signed, each with the state of its key"
    record.close()


def duty(target: int, *, key: int) -> Command:
    """A vote as the gate asks for it: whether its key may sign is judged in the same commit."""
    alone = vote(1, target, key=key)
    return Command((KeyUseClaim(public_key(key), Epoch(target)), *alone.claims), alone.story)


def bound(one: SignedVote) -> SignedVote:
    """As in life, the signing root binds the source: Web3Signer compares target and root alone."""
    source, target, mark = one
    return source, target, 10 * source + mark


async def web3signer_signs_a_vote(
    connection: asyncpg.Connection, validator_id: int, source: int, target: int, mark: int
) -> bool:
    """Web3Signer's statements for one attestation (web3signer.md 2.2), each a statement of its own."""
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", 1, validator_id)
        if not await connection.fetchval("SELECT enabled FROM validators WHERE id = $1", validator_id):
            return False
        low = await connection.fetchrow(
            "SELECT source_epoch, target_epoch FROM low_watermarks WHERE validator_id = $1", validator_id
        )
        if low and low[0] is not None and (source < low[0] or target < low[1]):
            return False
        for question, values in (
            ("target_epoch = $2 AND (signing_root <> $3 OR signing_root IS NULL)", (target, root(mark))),
            ("source_epoch < $2 AND target_epoch > $3", (source, target)),
            ("source_epoch > $2 AND target_epoch < $3", (source, target)),
        ):
            statement = f"SELECT 1 FROM signed_attestations WHERE validator_id = $1 AND {question} LIMIT 1"
            if await connection.fetchval(statement, validator_id, *values):
                return False
        known = "SELECT 1 FROM signed_attestations WHERE validator_id = $1 AND target_epoch = $2 AND signing_root = $3"
        if not await connection.fetchval(known, validator_id, target, root(mark)):
            await connection.execute(
                "INSERT INTO signed_attestations (validator_id, signing_root, source_epoch, target_epoch)"
                " VALUES ($1, $2, $3, $4)",
                validator_id,
                root(mark),
                source,
                target,
            )
        if low is None or low[0] is None:
            await connection.execute(
                "INSERT INTO low_watermarks (validator_id, source_epoch, target_epoch) VALUES ($1, $2, $3)"
                " ON CONFLICT (validator_id) DO UPDATE SET source_epoch = $2, target_epoch = $3"
                " WHERE (low_watermarks.source_epoch <= $2 AND low_watermarks.target_epoch <= $3)"
                " OR (low_watermarks.source_epoch IS NULL AND low_watermarks.target_epoch IS NULL)",
                validator_id,
                source,
                target,
            )
    return True


async def test_web3signer_beside_us_under_conflicting_load_never_makes_a_slashable_pair(
    postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    """Both sign for the same eight validators at once; every signature of either goes before the dull judge."""
    shared = open_shared(database_url, tmp_path)
    signed: dict[int, list[tuple[str, SignedVote]]] = {key: [] for key in range(8)}
    await asyncio.gather(*shared.writer.commit_all([vote(0, 0, key=key) for key in range(8)]))
    connections = [await asyncpg.connect(database_url) for _ in range(4)]
    ids = {bytes(r[1]): r[0] for r in await connections[0].fetch("SELECT id, public_key FROM validators")}

    async def web3signer(connection: asyncpg.Connection, seed: int) -> None:
        chance = random.Random(seed)
        for turn in range(150):
            key, (s, t, mark) = chance.randrange(8), bound(propose_vote(chance, horizon=5 + turn // 3))
            if s <= t and await web3signer_signs_a_vote(connection, ids[public_key(key)], s, t, mark):
                signed[key].append(("web3signer", (s, t, mark)))

    async def ours(seed: int) -> None:
        chance = random.Random(seed)
        for turn in range(150):
            wanted = [(chance.randrange(8), bound(propose_vote(chance, horizon=5 + turn // 3))) for _ in range(6)]
            futures = shared.writer.commit_all([vote(v[0], v[1], key=k, mark=v[2]) for k, v in wanted])
            for (key, one), future in zip(wanted, futures, strict=True):
                if await found(future) in {"new", "repeat"}:
                    signed[key].append(("holdfast", one))

    await asyncio.gather(*(web3signer(c, n) for n, c in enumerate(connections)), ours(100))
    who = {name for votes in signed.values() for name, _ in votes}
    assert who == {"web3signer", "holdfast"}
    for votes in signed.values():
        for n, (_, first) in enumerate(votes):
            assert not any(slashable(first, second) for _, second in votes[n + 1 :])
    for connection in connections:
        await connection.close()
    shared.close()


async def test_while_web3signer_holds_its_lock_we_wait_and_then_see_what_it_wrote(
    shared: SharedRecord, database_url: str
) -> None:
    assert await step_of(shared, ("vote", 1, 2, 1, "")) == "new"
    other = await asyncpg.connect(database_url)
    begun = other.transaction()
    await begun.start()
    await other.execute("SELECT pg_advisory_xact_lock(1, 1)")
    asked = asyncio.ensure_future(step_of(shared, ("vote", 2, 3, 1, "")))
    watcher = await asyncpg.connect(database_url)
    while not await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
        await asyncio.sleep(0)
    await other.execute("INSERT INTO signed_attestations VALUES (1, 2, 3, $1)", root(2))
    await begun.commit()
    assert await asked == "DOUBLE_VOTE"
    await other.close()
    await watcher.close()
