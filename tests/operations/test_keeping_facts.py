"""What decisions were made of is kept beside their audit entries, where a namespace keeps it, and removed when old."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from journal.record import PlainStory
from operations.policies_on_record import put
from operations.record_twin import NOW, House
from operations.road_twin import CALLER, KEYS, NOW_EPOCH, Road, block, road, vote
from policy.policy_packs import module_pack, rules_pack
from policy.wat_policies import answering, quoted
from policy.wat_policies import policy as wat_policy

from signer.audit.entry import Kind
from signer.auth.principal import Caller, Principal
from signer.errors import RefusalError
from signer.intent import SignExtension
from signer.journal.command import Command, Keepsake
from signer.operations.keep_facts import DAY_MS, FactsUpkeep
from signer.operations.tag_keys import carry_out_tags, tag_order
from signer.policy.bindings import ToNamespace
from signer.policy.combine import Defaults
from signer.policy.counters import CounterId, Seen
from signer.policy.grants import HostFunction
from signer.policy.kept_facts import BEFORE_ALL, KeptDecision, KeptRow, decode_decision, digest_of, read_kept
from signer.policy.pack import read_pack, version_of
from signer.policy.verdict import Allow, Deny, RequireApproval

ON_BOTH_DATABASES = True

NO_BLOCKS = rules_pack(
    "no-blocks", text="version: 1\notherwise: allow\ndeny:\n  - {name: blocks, types: [BLOCK_V2], message: never}\n"
)
ONCE = rules_pack(
    "once", text="version: 1\notherwise: allow\nrequire:\n  - {name: one, uses: [{at_most: 1, window: 24h}]}\n"
)
ASKS = rules_pack(
    "asks",
    text="version: 1\notherwise: allow\nrequire:\n"
    "  - {name: two, approval: {quorum: 2, groups: [owners], lifetime: 1h}}\n",
)
READS = module_pack(
    wat_policy(
        "(drop (call $ask (i32.const 600) (i32.const 4) (i32.const 60) (i32.const 1000)))" + answering(),
        rest='(import "holdfast" "read_counter" (func $ask (param i32 i32 i32 i32) (result i32)))'
        f" (data (i32.const 600) {quoted('uses')})",
    ),
    "reads",
    functions=(HostFunction.READ_COUNTER,),
    counters=("uses",),
)
FAR_MS = 2**60
ANN = Caller(Principal("ann", groups=frozenset({"owners"})), address="10.0.0.9", request_id=b"request2")


@asynccontextmanager
async def keeping(
    house: House, *packs: bytes, keeps: tuple[str, ...] = ("default",), **settings
) -> AsyncIterator[Road]:
    """A road on which these policies are bound to everything, and whose decisions are kept."""
    async with road(house.directory, house=house, **settings) as on:
        bound = [(read_pack(pack).manifest.name, ToNamespace("default")) for pack in packs]
        await put(on.record.writer, packs, bound, keeps_facts=keeps)
        await on.policies.refresh()
        yield on


async def ask(on: Road, *intents, caller: Caller = CALLER) -> list[str]:
    found = []
    for intent in intents:
        try:
            await on.signing.sign(intent, caller)
        except RefusalError as refusal:
            found.append(refusal.code)
        else:
            found.append("signed")
    return found


def kept(on: Road) -> list[tuple[KeptRow, KeptDecision]]:
    """Everything that is kept; each is the one that its audit entry names."""
    with on.record.view.reading() as moment:
        rows = read_kept(moment, after=BEFORE_ALL, until_ms=FAR_MS, most=1000)
    log = on.audit()
    for row in rows:
        entry = log[row.audit_index]
        assert entry.note.startswith(f"facts={digest_of(row.body).hex()}")
        assert (entry.time_ms, entry.public_key, entry.code) == (row.time_ms, row.public_key, row.code)
    named = [n for n, entry in enumerate(log) if entry.note.startswith("facts=")]
    assert sorted(row.audit_index for row in rows) == named
    return [(row, decode_decision(row.body)) for row in rows]


async def test_signed_denied_and_held_requests_are_kept_in_the_commit_of_their_entry(house: House) -> None:
    async with keeping(house, NO_BLOCKS, ASKS) as on:
        assert await ask(on, vote(), block(NOW_EPOCH * 32), caller=ANN) == ["APPROVAL_REQUIRED", "DENIED_BY_RULE"]
        found = kept(on)
        assert [row.code for row, _ in found] == [entry.code for entry in on.audit() if entry.kind is Kind.DUTY]
        (held, of_vote), (denied, of_block) = found
        assert (held.public_key, denied.public_key) == (KEYS[0], KEYS[0])
        assert [type(each.verdict) for each in of_vote.outcomes] == [RequireApproval, Allow]
        assert [type(each.verdict) for each in of_block.outcomes] == [RequireApproval, Deny]
        assert denied.code == "DENIED_BY_RULE"
        assert of_vote.outcomes[1].version == version_of(NO_BLOCKS)
        assert of_vote.facts.caller.identity == "ann"
        assert (of_vote.facts.duty.type, of_block.facts.duty.type) == ("ATTESTATION", "BLOCK_V2")
        assert (of_vote.revision, of_vote.facts.environment.simulation) == (1, False)


async def test_what_the_commit_refuses_is_kept_with_its_code(house: House) -> None:
    async with keeping(house, ONCE) as on:
        found = await ask(on, vote(), vote(NOW_EPOCH + 1), vote(mark=2))
        assert found[0] == "signed"
        assert [row.code for row, _ in kept(on)] == ["", *found[1:]]
        assert all(isinstance(decision.outcomes[0].verdict, Allow) for _, decision in kept(on))


async def test_counters_are_kept_as_they_were_told(house: House) -> None:
    async with keeping(house, READS) as on:
        assert await ask(on, vote()) == ["signed"]
        [(_, decision)] = kept(on)
        assert decision.seen == (Seen(CounterId("reads", "uses", 60), 0),)


async def test_a_batch_is_kept_with_the_index_of_each_entry(house: House) -> None:
    async with keeping(house, NO_BLOCKS) as on:
        intents = [vote(NOW_EPOCH - 4 + n) for n in range(5)] + [block(NOW_EPOCH * 32)]
        await on.signing.sign_each(intents, CALLER)
        assert [row.code for row, _ in kept(on)].count("") == 5
        assert len(kept(on)) == 6


async def test_where_nothing_is_bound_the_default_s_decisions_are_kept_with_the_tags_of_the_key(house: House) -> None:
    async with keeping(house, keeps=("*",)) as on:
        order, reading = tag_order([KEYS[0]], add=["lido"], remove=[]), on.record.view.reading
        await carry_out_tags(on.record.writer, reading, order, CALLER, now_ms=0, documented=lambda _: ())
        await on.policies.refresh()
        assert await ask(on, vote()) == ["signed"]
        [(_, decision)] = kept(on)
        assert decision.facts.signer.tags == ("lido",)
        assert decision.facts.signer.purpose == "validator"
        assert [(each.policy, each.version) for each in decision.outcomes] == [("default", "")]


async def test_raw_bytes_to_which_nothing_is_bound_are_signed_as_ever_and_not_kept(house: House) -> None:
    async with keeping(house) as on:
        assert await on.signing.sign_extension(SignExtension(KEYS[0], b"{}", "LIDO", 1), CALLER)
        assert kept(on) == []
        assert on.audit()[-1].note == "LIDO"


@pytest.mark.parametrize("keeps", [(), ("other",)])
async def test_where_nobody_keeps_facts_nothing_is_written(house: House, keeps) -> None:
    async with keeping(house, NO_BLOCKS, keeps=keeps) as on:
        assert await ask(on, vote(), block(NOW_EPOCH * 32)) == ["signed", "DENIED_BY_RULE"]
        assert kept(on) == []


async def test_a_decision_that_was_overtaken_is_kept_once_for_each_of_its_entries(house: House) -> None:
    async with keeping(house, NO_BLOCKS, unbound=Defaults(transactions=False, duties=True)) as on:
        await put(on.record.writer, [NO_BLOCKS], [("no-blocks", ToNamespace("default"))], keeps_facts=["*"])
        assert await ask(on, vote()) == ["signed"]
        assert [row.code for row, _ in kept(on)] == ["POLICY_CHANGED", ""]


async def test_old_ones_are_removed_in_bounded_steps_that_are_audited(house: House) -> None:
    async with road(house.directory, house=house) as on:
        now_ms = int(NOW * 1000)
        times = [now_ms - 31 * DAY_MS] * 600 + [now_ms - 29 * DAY_MS] * 3
        commands = [Command((), PlainStory(), Keepsake(b"{}", bytes(48), time_ms)) for time_ms in times]
        await asyncio.gather(*on.record.writer.commit_all(commands))
        upkeep = FactsUpkeep(changes=on.record.writer, reading=on.record.view.reading, clock=house.clock, keep_days=30)
        assert await upkeep.tidy() == 600
        with on.record.view.reading() as moment:
            assert len(read_kept(moment, after=BEFORE_ALL, until_ms=FAR_MS, most=1000)) == 3
        told = [entry.note for entry in on.audit() if entry.kind is Kind.PRUNED]
        assert told == [f"facts_of_decisions={n} keep_days=30" for n in (256, 256, 88)]
        assert await upkeep.tidy() == 0
        assert len([entry for entry in on.audit() if entry.kind is Kind.PRUNED]) == 3
