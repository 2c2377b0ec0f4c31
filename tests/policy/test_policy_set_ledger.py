"""Nothing is committed by policies that hold no more, on either database, by whichever signer they were changed."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from journal.kept_records import DATABASES, KeptRecord, open_kept
from journal.record import PlainStory, vote
from journal.shared_record import open_shared

from signer.errors import PolicyChangedError, UnknownPolicyError
from signer.journal.command import Command, Receipt
from signer.journal.ledger import Transaction
from signer.operations.shared_record import SharedRecord
from signer.policy.pack import version_of
from signer.policy.policy_record import (
    Published,
    add_pack,
    find_published,
    lock_policies,
    read_history,
    read_pack,
    read_policy_set,
    read_policy_set_of,
    read_published,
    store_policy_set,
)
from signer.policy.policy_set import NOTHING_BOUND, PolicySet, ServedPolicy
from signer.policy.policy_set_ledger import PolicySetClaim

PATIENCE_SECONDS = 60.0

FIRST = PolicySet(policies=(ServedPolicy("staking", "1" * 64),))
SECOND = PolicySet(policies=(ServedPolicy("staking", "2" * 64, ("1" * 64,)),))


@pytest.fixture(params=DATABASES)
def kept(request: pytest.FixtureRequest, tmp_path: Path):
    """An open record, on each database in turn."""
    record = open_kept(
        request.param, tmp_path, lambda: request.getfixturevalue("emptied_url"), deadline_seconds=PATIENCE_SECONDS
    )
    yield record
    record.close()


@pytest.fixture
def pair(emptied_url: str, tmp_path: Path):
    """Two signers on one database."""
    first, second = (
        open_shared(emptied_url, tmp_path / name, deadline_seconds=PATIENCE_SECONDS) for name in ("one", "two")
    )
    yield first, second
    second.close()
    first.close()


def put(policies: PolicySet):
    """A change that lets this set hold."""

    def change(transaction: Transaction) -> PolicySet:
        lock_policies(transaction)
        revision = read_policy_set(transaction).revision
        return store_policy_set(
            transaction,
            PolicySet(revision, policies.policies),
            changed_ms=1_800_000_000_000 + revision,
            changed_by="operator",
            change=f"change {revision + 1}",
        )

    return change


def asked(revision: int, *, target: int, key: int = 1) -> Command:
    """A vote that the policies of this revision have allowed."""
    command = vote(target - 1, target, key=key)
    return Command((PolicySetClaim(revision), *command.claims), command.story)


async def changed(record: KeptRecord | SharedRecord, policies: PolicySet) -> int:
    done = await record.writer.perform(put(policies), lambda _: PlainStory())
    return done.revision


async def outcome(record: KeptRecord | SharedRecord, command: Command) -> str:
    try:
        await record.writer.commit(command)
    except PolicyChangedError as refusal:
        return f"{refusal.evidence['judged_by']} is {refusal.evidence['newest']}"
    return "signed"


async def test_only_what_the_newest_policies_have_allowed_is_committed(kept: KeptRecord) -> None:
    steps = [
        (0, "signed"),
        (1, "1 is 0"),
        (FIRST, 1),
        (0, "0 is 1"),
        (1, "signed"),
        (1, "signed"),
        (2, "2 is 1"),
        (SECOND, 2),
        (1, "1 is 2"),
        (2, "signed"),
        (FIRST, 3),
        (3, "signed"),
    ]
    for n, (act, expected) in enumerate(steps, start=1):
        if isinstance(act, PolicySet):
            assert await changed(kept, act) == expected
        else:
            assert await outcome(kept, asked(act, target=n)) == expected, n


async def test_a_refused_request_leaves_no_record_and_its_neighbours_commit(kept: KeptRecord) -> None:
    await changed(kept, FIRST)
    futures = kept.writer.commit_all([asked(n % 2, target=9, key=n + 1) for n in range(20)])
    done = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(each) for each in done] == [PolicyChangedError, Receipt] * 10
    again = [(await kept.writer.commit(asked(1, target=9, key=n + 1))).repeat for n in range(4)]
    assert again == [False, True, False, True], "what was refused is not on record"


async def test_every_set_that_ever_held_is_on_record(kept: KeptRecord) -> None:
    assert await changed(kept, FIRST) == 1
    assert await changed(kept, SECOND) == 2
    with kept.reading() as moment:
        assert read_policy_set(moment) == PolicySet(2, SECOND.policies)
        assert read_policy_set_of(moment, 1) == PolicySet(1, FIRST.policies)
        assert read_policy_set_of(moment, 0) == NOTHING_BOUND
        assert [(each.revision, each.change) for each in read_history(moment, most=9)] == [
            (2, "change 2"),
            (1, "change 1"),
        ]
        assert [each.revision for each in read_history(moment, before=2, most=9)] == [1]
        with pytest.raises(UnknownPolicyError):
            read_policy_set_of(moment, 3)


async def test_a_pack_is_kept_by_its_version_with_who_published_and_who_signed_it(kept: KeptRecord) -> None:
    text, other = bytes(range(256)) * 4096, b"another"
    published = Published(version_of(text), "staking", len(text), b"s" * 64, b"k" * 32, 5, "operator")
    plain = Published(version_of(other), "staking", len(other), None, None, 6, "operator")

    def change(transaction: Transaction) -> None:
        add_pack(transaction, text, published)
        add_pack(transaction, other, plain)

    await kept.writer.perform(change, lambda _: PlainStory())
    with kept.reading() as moment:
        assert read_pack(moment, published.version) == text
        assert read_published(moment, "staking", most=9) == [plain, published]
        assert find_published(moment, published.version) == published
        assert find_published(moment, "0" * 64) is None
        with pytest.raises(UnknownPolicyError):
            read_pack(moment, "0" * 64)


async def test_another_signer_sees_a_change_in_its_very_next_commit(pair: tuple[SharedRecord, SharedRecord]) -> None:
    first, second = pair
    assert await outcome(second, asked(0, target=1)) == "signed"  # and remembers that nothing was published
    for revision in range(1, 4):
        assert await changed(first, FIRST if revision % 2 else SECOND) == revision
        assert await outcome(second, asked(revision - 1, target=10 + revision)) == f"{revision - 1} is {revision}"
        assert await outcome(second, asked(revision, target=20 + revision)) == "signed"
        assert await outcome(first, asked(revision, target=30 + revision)) == "signed"


async def test_a_batch_that_rests_on_what_was_remembered_costs_no_round_trip_more(
    pair: tuple[SharedRecord, SharedRecord],
) -> None:
    record = pair[0]
    session = record.writer._database._session
    trips = 0
    genuine = {name: getattr(session, name) for name in ("rows", "script")}

    def counting(name: str):
        def counted(*arguments, **named):
            nonlocal trips
            trips += 1
            return genuine[name](*arguments, **named)

        return counted

    async def trips_of(command: Command) -> int:
        nonlocal trips
        before = trips
        await record.writer.commit(command)
        return trips - before

    await outcome(record, asked(0, target=1))
    for name in genuine:
        setattr(session, name, counting(name))
    assert await trips_of(asked(0, target=2)) == await trips_of(vote(2, 3)) > 0


async def test_no_commit_by_former_policies_comes_after_a_change_has_been_answered(
    pair: tuple[SharedRecord, SharedRecord],
) -> None:
    """Signers ask for one revision after another while they change: what passes was judged by what held then."""
    first, second = pair
    answered = 0

    async def keep_signing(record: SharedRecord, key: int) -> int:
        passed, target, known = 0, 1, 0
        while answered < 12 or passed == 0:
            target += 1
            held = answered
            verdict = await outcome(record, asked(known, target=target, key=key))
            if verdict == "signed":
                passed += 1
                assert known >= held, "signed by policies that a change had ended before it was asked for"
            else:
                known = int(verdict.rpartition(" ")[2])
        return passed

    signing = [asyncio.create_task(keep_signing(record, n)) for n, record in enumerate((first, second) * 2, start=1)]
    try:
        for n in range(12):
            answered = await changed((first, second)[n % 2], FIRST if n % 2 else SECOND)
            await asyncio.sleep(0)
        passed = await asyncio.wait_for(asyncio.gather(*signing), PATIENCE_SECONDS)
        assert all(passed)
    finally:
        for task in signing:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
