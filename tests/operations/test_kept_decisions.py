"""Kept decisions are read in pieces, held against the audit log, and a candidate is asked about them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from operations.policies_on_record import put
from operations.record_twin import House
from operations.road_twin import CALLER, NOW_EPOCH, Road, block, road, vote
from operations.test_keeping_facts import NO_BLOCKS, ONCE, READS, ask, keeping
from policy.policy_packs import module_pack, rules_pack
from policy.wat_policies import answering, quoted
from policy.wat_policies import policy as wat_policy

from signer.audit.entry import Kind
from signer.auth.principal import Action, Caller, Principal
from signer.clock import FixedClock
from signer.errors import ForbiddenError, MalformedRequestError
from signer.operations.kept_decisions import DecisionPage, DecisionQuery, DecisionReading, decision_query
from signer.operations.story import NoteStory
from signer.operations.upkeep import DAY_MS, AuditArchiver
from signer.policy.bindings import ToNamespace
from signer.policy.grants import HostFunction
from signer.policy.kept_facts import decode_decision
from signer.policy.pack import read_pack
from signer.policy.policy_set import NamedList
from signer.policy.replay import Came, Compared, NotAsked, Replay, Unknown
from signer.policy.workbench import Workbench

ON_BOTH_DATABASES = True
LISTED = "0x" + "ab" * 20
NO_VOTES = "version: 1\notherwise: allow\ndeny:\n  - {name: votes, types: [ATTESTATION]}\n"


def listed(name: str) -> bytes:
    """Denies by a trap what its list does not hold."""
    module = wat_policy(
        "(if (i32.eqz (call $ask (i32.const 600) (i32.const 5) (i32.const 700) (i32.const 42))) (then (unreachable)))"
        + answering(),
        rest='(import "holdfast" "list_contains" (func $ask (param i32 i32 i32 i32) (result i32)))'
        f" (data (i32.const 600) {quoted('payee')}) (data (i32.const 700) {quoted(LISTED)})",
    )
    return module_pack(module, name, functions=(HostFunction.LIST_CONTAINS,), lists=("payee",))


async def page(on: Road, caller: Caller = CALLER, **query: Any) -> DecisionPage:
    reading = DecisionReading(on.record.view, archive_directory=on.house.archives)
    return await reading(DecisionQuery(**query), caller)


async def compared(on: Road, candidate: bytes, *, everywhere: bool = False) -> list[Compared | NotAsked | Unknown]:
    """What the candidate would have made of everything that is kept; lists as they were on record."""
    from signer.policy.policy_record import read_policy_set_of

    def lists_of(revision: int, name: str) -> frozenset[str]:
        with on.record.view.reading() as moment:
            held = read_policy_set_of(moment, revision).lists
        return next((frozenset(each.items) for each in held if each.name == name), frozenset())

    found = (await page(on)).decisions
    assert [each.vouched for each in found] == ["matches"] * len(found)

    def replayed() -> list[Compared | NotAsked | Unknown]:
        with Workbench() as bench:
            walk = Replay(bench, bench.open(read_pack(candidate), name="x"), lists_of=lists_of, everywhere=everywhere)
            return [walk.compare(decode_decision(each.row.body), code=each.row.code) for each in found]

    return await asyncio.to_thread(replayed)


def came(found: list[Compared | NotAsked | Unknown]) -> list[tuple[str, str, str, str]]:
    assert all(isinstance(each, Compared) for each in found), found
    return [(each.then.decision, each.then.code, each.now.decision, each.now.code) for each in found]  # type: ignore[union-attr]


async def test_a_candidate_that_says_the_same_differs_nowhere_and_one_that_does_not_is_told_with_its_rule(
    house,
) -> None:
    async with keeping(house, NO_BLOCKS) as on:
        await ask(on, vote(), block(NOW_EPOCH * 32))
        assert [each.differs for each in await compared(on, NO_BLOCKS)] == [False, False]  # type: ignore[union-attr]
        candidate = rules_pack("no-blocks", text=NO_VOTES)
        [of_vote, of_block] = found = await compared(on, candidate)
        assert came(found) == [("allow", "", "deny", "DENIED_BY_RULE"), ("deny", "DENIED_BY_RULE", "allow", "")]
        assert of_vote.rules == ("votes",)  # type: ignore[union-attr]
        assert of_block.changed  # type: ignore[union-attr]
        assert len(on.backend.signed) == 1, "a replay signs nothing"


async def test_other_words_for_the_same_refusal_are_a_difference_of_the_verdict_alone(house: House) -> None:
    async with keeping(house, NO_BLOCKS) as on:
        await ask(on, block(NOW_EPOCH * 32))
        candidate = rules_pack(
            "no-blocks",
            text="version: 1\notherwise: allow\ndeny:\n  - {name: blocks, types: [BLOCK_V2], message: later}\n",
        )
        [found] = await compared(on, candidate)
        assert isinstance(found, Compared)
        assert (found.changed, found.differs) == (False, True)


async def test_where_it_was_not_asked_it_is_only_replayed_everywhere(house: House) -> None:
    async with keeping(house) as on:
        await ask(on, vote(), block(NOW_EPOCH * 32))
        assert await compared(on, NO_BLOCKS) == [NotAsked(), NotAsked()]
        found = await compared(on, NO_BLOCKS, everywhere=True)
        assert came(found) == [("allow", "", "allow", ""), ("allow", "", "deny", "DENIED_BY_RULE")]


async def test_what_another_policy_denies_stays_denied(house: House) -> None:
    async with keeping(house, NO_BLOCKS, READS) as on:
        await ask(on, block(NOW_EPOCH * 32))
        [found] = await compared(on, rules_pack("reads", text=NO_VOTES))
        assert isinstance(found, Compared)
        assert (found.then, found.now.decision) == (Came("deny", "DENIED_BY_RULE"), "deny")


async def test_a_counter_is_told_as_it_was_then_and_one_that_nobody_read_is_not_guessed(house: House) -> None:
    async with keeping(house, READS) as on:
        await ask(on, vote())
        assert came(await compared(on, READS)) == [("allow", "", "allow", "")]
        other = wat_policy(
            "(drop (call $ask (i32.const 600) (i32.const 4) (i32.const 61) (i32.const 1000)))" + answering(),
            rest='(import "holdfast" "read_counter" (func $ask (param i32 i32 i32 i32) (result i32)))'
            f" (data (i32.const 600) {quoted('uses')})",
        )
        pack = module_pack(other, "reads", functions=(HostFunction.READ_COUNTER,), counters=("uses",))
        assert await compared(on, pack) == [Unknown("counter uses in 61 s")]


async def test_lists_hold_what_they_held_when_it_was_decided(house: House) -> None:
    async with keeping(house) as on:
        bound = [("listed", ToNamespace("default"))]
        for n, items in enumerate([(LISTED,), ()]):
            lists = [NamedList("payee", items)]
            await put(on.record.writer, [listed("listed")], bound, lists=lists, keeps_facts=["*"])
            await on.policies.refresh()
            await ask(on, vote(NOW_EPOCH + n))
        found = await compared(on, listed("listed"))
        assert came(found) == [("allow", "", "allow", ""), ("deny", "POLICY_TRAPPED", "deny", "POLICY_TRAPPED")]


async def test_limits_are_counted_anew_for_then_and_now(house: House) -> None:
    twice = rules_pack(
        "once", text="version: 1\notherwise: allow\nrequire:\n  - {name: one, uses: [{at_most: 2, window: 24h}]}\n"
    )
    async with keeping(house, ONCE) as on:
        assert await ask(on, vote(), vote(NOW_EPOCH + 1), block(NOW_EPOCH * 32)) == ["signed"] + ["COUNTER_LIMIT"] * 2
        limited = ("deny", "COUNTER_LIMIT", "deny", "COUNTER_LIMIT")
        assert came(await compared(on, ONCE)) == [("allow", "", "allow", ""), limited, limited]
        freed = ("deny", "COUNTER_LIMIT", "allow", "")
        assert came(await compared(on, twice)) == [("allow", "", "allow", ""), freed, limited]


async def test_pages_follow_each_other_and_keep_to_the_time_that_is_asked_for(house: House) -> None:
    async with keeping(house, NO_BLOCKS) as on:
        for n in range(5):
            await ask(on, vote(NOW_EPOCH - 4 + n))
            house.clock.seconds += 10
        whole = [each.row for each in (await page(on)).decisions]
        assert len({row.time_ms for row in whole}) == len(whole) == 5
        walked, after = [], None
        while True:
            found = await page(on, limit=2, after=after)
            walked += [each.row for each in found.decisions]
            if found.next_after is None:
                break
            after = decision_query(since_ms=None, until_ms=None, after=found.next_after, limit=None).after
        assert walked == whole
        middle = await page(on, since_ms=whole[1].time_ms, until_ms=whole[3].time_ms)
        assert [each.row for each in middle.decisions] == whole[1:3]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE policy_facts SET code = 'OTHER'",
        "UPDATE policy_facts SET time_ms = time_ms + 1",
        "UPDATE policy_facts SET audit_index = 999 - audit_index",
        "UPDATE policy_facts SET audit_index = audit_index + 1000",
        "DELETE FROM policy_facts WHERE audit_index > (SELECT min(audit_index) FROM policy_facts)",
    ],
)
async def test_a_row_that_was_altered_is_told_by_the_audit_log(house: House, statement: str) -> None:
    async with keeping(house, NO_BLOCKS) as on:
        await ask(on, vote(), vote(NOW_EPOCH + 1))
        await on.record.writer.perform(
            lambda transaction: transaction.run(statement), lambda _: NoteStory(Kind.STARTED, 0, "altered")
        )
        found = [each.vouched for each in (await page(on)).decisions]
        assert found == (["matches"] if statement.startswith("DELETE") else ["differs", "differs"])


async def archive(on: Road) -> list[Path]:
    """Every decision so far moves to files, which are told: all of the log does but its newest batch."""
    await on.record.writer.perform(lambda _: None, lambda _: NoteStory(Kind.STARTED, 0, "newest"))
    before = set(on.house.archives.glob("*.log"))
    # Later each time: that a file was written is an entry of that moment.
    later = FixedClock(on.house.clock.now() + 100 * (1 + len(before)) * DAY_MS / 1000)
    archiver = AuditArchiver(
        changes=on.record.writer, view=on.record.view, directory=on.house.archives, clock=later, keep_days=30
    )
    assert await archiver.archive_once()
    return sorted(set(on.house.archives.glob("*.log")) - before)


async def test_what_is_archived_is_held_against_the_archive(house: House) -> None:
    async with keeping(house, NO_BLOCKS) as on:
        for n in range(3):
            await ask(on, vote(NOW_EPOCH - 3 + n), block((NOW_EPOCH - 1) * 32 + n))
            await archive(on)
        await ask(on, vote(NOW_EPOCH + 1))
        with on.record.view.reading() as moment:
            [(left,)] = moment.rows("SELECT sum(count) FROM audit_batches")
        assert left < 5, "the rest is in files"
        assert len(list(on.house.archives.glob("*.log"))) == 3
        found = (await page(on)).decisions
        assert [each.vouched for each in found] == ["matches"] * 7
        await on.record.writer.perform(
            lambda transaction: transaction.run("UPDATE policy_facts SET code = 'OTHER' WHERE code = ''"),
            lambda _: NoteStory(Kind.STARTED, 0, "altered"),
        )
        assert [each.vouched for each in (await page(on)).decisions] == ["differs", "matches"] * 3 + ["differs"]


async def test_an_archive_that_is_not_at_hand_or_cannot_be_read_vouches_for_nothing(house: House) -> None:
    async with keeping(house, NO_BLOCKS) as on:
        await ask(on, vote(NOW_EPOCH - 1))
        [first] = await archive(on)
        await ask(on, vote())
        [second] = await archive(on)
        first.rename(first.with_suffix(".elsewhere"))
        assert [each.vouched for each in (await page(on)).decisions] == ["archived", "matches"]
        second.write_bytes(second.read_bytes()[:-3])
        assert [each.vouched for each in (await page(on)).decisions] == ["archived", "archived"]


async def test_what_no_archive_has_is_said_to_be_archived(house: House) -> None:
    async with keeping(house, NO_BLOCKS) as on:
        await ask(on, vote())
        await on.record.writer.perform(
            lambda transaction: transaction.run("DELETE FROM audit_batches"), lambda _: NoteStory(Kind.STARTED, 0, "")
        )
        assert [each.vouched for each in (await page(on)).decisions] == ["archived"]


async def test_who_may_not_read_policies_and_the_log_of_all_keys_is_refused(house: House) -> None:
    async with keeping(house) as on:
        both = frozenset({Action.POLICY_READ, Action.AUDIT_READ})
        for actions, keys in (
            ({Action.POLICY_READ}, None),
            ({Action.AUDIT_READ}, None),
            (both, frozenset({bytes(48)})),
        ):
            principal = Principal("reader", actions=frozenset(actions), keys=keys)
            with pytest.raises(ForbiddenError):
                await page(on, Caller(principal))
        assert (await page(on, Caller(Principal("reader", actions=both)))).decisions == ()


@pytest.mark.parametrize("text", ["", "1", "1-2", "1-2-public", "1-2-holdfast_log_00", "x-2-", "1-2-'"])
def test_a_place_that_nobody_was_told_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequestError):
        decision_query(since_ms=0, until_ms=None, after=text, limit=None)


async def test_what_another_signer_of_the_record_has_kept_is_held_against_its_own_log(
    house: House,
) -> None:
    if house.new_database is None:
        pytest.skip("a record in SQLite has one signer")
    async with keeping(house, NO_BLOCKS) as on:
        (house.directory / "other").mkdir()
        other = House(house.directory / "other", new_database=house.make_database)
        async with road(other.directory, house=other) as beside:
            await beside.policies.refresh()
            await ask(on, vote())
            await ask(beside, vote(NOW_EPOCH + 1), block(NOW_EPOCH * 32))
            for reader in (on, beside):
                found = (await page(reader)).decisions
                assert [each.vouched for each in found] == ["matches"] * 3
                assert len({each.row.log for each in found}) == 2
