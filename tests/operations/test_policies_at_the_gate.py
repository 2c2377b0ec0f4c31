"""Policies at the gate: what they say is what happens, what they spend is spent once, and a change of them holds."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from operations.policies_on_record import put
from operations.road_twin import CALLER, KEYS, NOW_EPOCH, Road, block, right, road, vote
from policy.policy_packs import module_pack, rules_pack
from policy.wat_policies import answering, quoted
from policy.wat_policies import policy as wat_policy

from signer.audit.entry import Kind, Outcome
from signer.auth.principal import Caller, Principal
from signer.errors import (
    ApprovalRequiredError,
    CounterChangedError,
    CounterLimitError,
    DoubleVoteError,
    PolicyChangedError,
    PolicyDeniedError,
    SigningFailedError,
)
from signer.events import PolicyEvaluated, ShadowCompared
from signer.intent import SignExtension
from signer.operations.tag_keys import carry_out_tags, tag_order
from signer.policy.bindings import Target, ToCaller, ToCallerAndKey, ToKey, ToNamespace, ToTag
from signer.policy.combine import Defaults
from signer.policy.grants import HostFunction
from signer.policy.pack import read_pack
from signer.policy.policy_set import NamedList

ALLOWS = rules_pack("allows", text="version: 1\notherwise: allow\ndeny:\n  - {name: none, types: [DEPOSIT]}\n")
NO_BLOCKS = rules_pack(
    "no-blocks", text="version: 1\notherwise: allow\ndeny:\n  - {name: blocks, types: [BLOCK_V2], message: never}\n"
)
NO_VOTES = rules_pack("allows", text="version: 1\notherwise: allow\ndeny:\n  - {name: votes, types: [ATTESTATION]}\n")
ONCE = rules_pack(
    "once", text="version: 1\notherwise: allow\nrequire:\n  - {name: one, uses: [{at_most: 1, window: 24h}]}\n"
)
ASKS = rules_pack(
    "asks",
    text="version: 1\notherwise: allow\nrequire:\n"
    "  - {name: two, approval: {quorum: 2, groups: [owners], lifetime: 1h}}\n",
)
TRAPS = module_pack(wat_policy("unreachable"), "traps")
BURNS = module_pack(wat_policy("(loop $again (br $again)) (i64.const 0)"), "burns", fuel=1_000_000_000)
TO_ALL = ToNamespace("default")
FIRST_KEY = "0x" + KEYS[0].hex()


async def bind(on: Road, *packs: bytes, to: Target = TO_ALL, **more: Any) -> None:
    """These policies, each bound to this; the gate has read them."""
    await put(on.record.writer, packs, [(read_pack(pack).manifest.name, to) for pack in packs], **more)
    await on.policies.refresh()


async def verdict(on: Road, intent, caller: Caller = CALLER) -> str:
    try:
        await on.signing.sign(intent, caller)
    except (PolicyDeniedError, CounterLimitError, ApprovalRequiredError) as refusal:
        return refusal.code
    return "signed"


async def test_what_a_policy_denies_is_refused_with_its_evidence_audited_and_not_signed(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, NO_BLOCKS)
        with pytest.raises(PolicyDeniedError) as caught:
            await on.signing.sign(block(NOW_EPOCH * 32), CALLER)
        refusal = caught.value
        assert refusal.code == "DENIED_BY_RULE"
        assert refusal.evidence["policy"] == "no-blocks"
        assert refusal.evidence["rule"] == "blocks"
        assert "never" in refusal.sentence
        assert on.backend.signed == []
        entry = on.audit()[-1]
        assert (entry.kind, entry.outcome, entry.code) == (Kind.DUTY, Outcome.REFUSED, "DENIED_BY_RULE")
        assert "policy=no-blocks; version=" in entry.note
        assert await on.signing.sign(vote(), CALLER) == right(vote())
        assert on.audit()[-1].note.startswith("policies=no-blocks@")


@pytest.mark.parametrize(
    ("packs", "expected"),
    [
        ([ALLOWS], "signed"),
        ([ALLOWS, NO_BLOCKS], "DENIED_BY_RULE"),
        ([NO_BLOCKS, TRAPS], "DENIED_BY_RULE"),
        ([ALLOWS, TRAPS], "POLICY_TRAPPED"),
        ([ALLOWS, ASKS], "APPROVAL_REQUIRED"),
        ([ASKS, NO_BLOCKS], "DENIED_BY_RULE"),
    ],
)
async def test_of_several_policies_a_denial_overrides_and_a_demand_holds(tmp_path, packs, expected) -> None:
    async with road(tmp_path) as on:
        await bind(on, *packs)
        assert await verdict(on, block(NOW_EPOCH * 32)) == expected
        [answer] = await on.signing.sign_each([block(NOW_EPOCH * 32)], CALLER)
        assert (answer.code if isinstance(answer, Exception) else "signed") == expected  # type: ignore[attr-defined]
        assert len(on.backend.signed) == (2 if expected == "signed" else 0)


STRANGER = Caller(Principal("somebody"))


@pytest.mark.parametrize(
    ("to", "denied"),
    [
        (ToKey(FIRST_KEY), [True, False, True]),
        (ToKey("0x" + KEYS[1].hex()), [False, True, False]),
        (ToTag("lido"), [False, False, False]),
        (ToNamespace("default"), [True, True, True]),
        (ToNamespace("other"), [False, False, False]),
        (ToCaller("operator"), [True, True, False]),
        (ToCallerAndKey("operator", FIRST_KEY), [True, False, False]),
    ],
)
async def test_a_policy_has_a_say_exactly_where_it_is_bound(tmp_path: Path, to, denied) -> None:
    async with road(tmp_path) as on:
        await bind(on, TRAPS, to=to)
        asked = [(KEYS[0], CALLER), (KEYS[1], CALLER), (KEYS[0], STRANGER)]
        found = [await verdict(on, vote(NOW_EPOCH, key=key), caller) == "POLICY_TRAPPED" for key, caller in asked]
        assert found == denied


async def test_where_nothing_is_bound_the_default_decides(tmp_path: Path) -> None:
    async with road(tmp_path, unbound=Defaults(transactions=False, duties=False)) as on:
        assert await verdict(on, vote()) == "POLICY_NONE_BOUND"
        assert [entry.code for entry in on.audit()] == ["POLICY_NONE_BOUND"]
        await bind(on, ALLOWS, to=ToKey(FIRST_KEY))
        assert await verdict(on, vote()) == "signed"
        assert await verdict(on, vote(key=KEYS[1])) == "POLICY_NONE_BOUND"


async def test_raw_bytes_are_opaque_and_need_a_policy_that_names_them(tmp_path: Path) -> None:
    asked = SignExtension(KEYS[0], b'{"type":"PROOF_OF_VALIDATION"}', "LIDO", 1234)
    names_it = rules_pack("names-it", text="version: 1\nallow:\n  - {name: raw, payload: [opaque]}\n")
    async with road(tmp_path) as on:
        assert await on.signing.sign_extension(asked, CALLER), "the setting that serves it allows it"
        await bind(on, ALLOWS)
        with pytest.raises(PolicyDeniedError):
            await on.signing.sign_extension(asked, CALLER)
        await put(on.record.writer, [names_it], [("names-it", TO_ALL)])
        assert await on.signing.sign_extension(asked, CALLER), "the change was noticed in the commit"
        assert on.audit()[-1].note.startswith("LIDO; policies=names-it@")
        assert len(on.backend.signed) == 2


RESERVES = '{"verdict":"allow","reserve":[{"counter":"uses","window_seconds":0,"amount":"1","limit":"1000"}]}'
_ASK = "(call $ask (i32.const 600) (i32.const 4) (i32.const 0) (i32.const 1000))"
_READS = (
    '(import "holdfast" "read_counter" (func $ask (param i32 i32 i32 i32) (result i32)))'
    f" (data (i32.const 600) {quoted('uses')})"
)


def counting(name: str, body: str) -> bytes:
    """A module that reads its counter `uses` and, unless the body has ended it, spends one of it."""
    module = wat_policy(body + answering(RESERVES), answer=RESERVES, rest=_READS)
    return module_pack(module, name, functions=(HostFunction.READ_COUNTER,), counters=("uses",))


UNUSED_ONLY = counting(
    "unused-only",
    f"(drop {_ASK}) (if (i32.ne (i32.load8_u (i32.const 1000)) (i32.const 48)) (then (unreachable)))",
)
READS = counting("reads", f"(drop {_ASK})")


# --- what is spent -------------------------------------------------------------------------------------


async def test_of_200_at_once_under_a_limit_for_one_exactly_one_is_signed(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ONCE)
        found = await asyncio.gather(*(verdict(on, vote(NOW_EPOCH - n % 2, mark=n % 200 + 1)) for n in range(200)))
        assert sorted(set(found)) == ["COUNTER_LIMIT", "signed"]
        assert found.count("signed") == 1
        assert len(on.backend.signed) == 1


async def test_of_a_batch_of_200_under_a_limit_for_one_exactly_one_is_signed(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ONCE)
        answers = await on.signing.sign_each([vote(NOW_EPOCH - 199 + n) for n in range(200)], CALLER)
        assert [isinstance(answer, CounterLimitError) for answer in answers] == [False] + [True] * 199


async def test_what_slashing_protection_refuses_spends_nothing(tmp_path: Path) -> None:
    twice = rules_pack(
        "twice", text="version: 1\notherwise: allow\nrequire:\n  - {name: two, uses: [{at_most: 2, window: 24h}]}\n"
    )
    async with road(tmp_path) as on:
        await put(on.record.writer, [twice], [("twice", TO_ALL)])
        assert await verdict(on, vote()) == "signed"
        for _ in range(3):
            with pytest.raises(DoubleVoteError):
                await on.signing.sign(vote(mark=2), CALLER)
        assert await verdict(on, vote(NOW_EPOCH + 1)) == "signed"
        assert await verdict(on, block(NOW_EPOCH * 32)) == "COUNTER_LIMIT"


async def test_a_signature_that_is_known_to_have_failed_gives_back_once(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ONCE)
        on.backend.failing = True
        for _ in range(3):
            with pytest.raises(SigningFailedError):
                await on.signing.sign(vote(), CALLER)
        [answer] = await on.signing.sign_each([vote()], CALLER)
        assert isinstance(answer, SigningFailedError)
        on.backend.failing = False
        assert await verdict(on, vote()) == "signed"
        assert await verdict(on, block(NOW_EPOCH * 32)) == "COUNTER_LIMIT"
        with on.house.reading() as moment:
            ((amounts,),) = moment.rows("SELECT group_concat(amount) FROM policy_counters")
        assert amounts == "1"


# --- what does not hold any more in the commit -----------------------------------------------------------


async def test_a_policy_that_reads_a_counter_is_asked_again_when_it_has_changed(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, UNUSED_ONLY)
        found = await asyncio.gather(*(verdict(on, vote(mark=n + 1)) for n in range(100)))
        assert found.count("signed") == 1
        assert set(found) <= {"signed", "POLICY_TRAPPED"}, "the second look saw what the first request had spent"


async def test_a_counter_that_changes_at_every_look_is_contended_after_eight_of_them(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, READS)
        answers = await on.signing.sign_each([vote(NOW_EPOCH - 39 + n) for n in range(40)], CALLER)
        kinds = [type(answer) if isinstance(answer, Exception) else "signed" for answer in answers]
        assert kinds == ["signed"] * 8 + [CounterChangedError] * 32, "one for each walk, since a batch is one commit"
        assert {answer.code for answer in answers if isinstance(answer, Exception)} == {"COUNTER_CONTENDED"}  # type: ignore[attr-defined]
        assert len(on.backend.signed) == 8


async def test_policies_that_were_changed_meanwhile_are_asked_and_not_the_former_ones(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, ALLOWS)
        await put(on.record.writer, [TRAPS], [("traps", TO_ALL)])
        assert await verdict(on, vote()) == "POLICY_TRAPPED"
        assert [entry.code for entry in on.audit() if entry.kind is Kind.DUTY] == ["POLICY_CHANGED", "POLICY_TRAPPED"]
        await put(on.record.writer, [], [])
        [answer] = await on.signing.sign_each([vote()], CALLER)
        assert not isinstance(answer, Exception), "nor is anything denied by policies that are gone"
        await put(on.record.writer, [TRAPS], [("traps", TO_ALL)])
        [answer] = await on.signing.sign_each([vote(NOW_EPOCH + 1)], CALLER)
        assert isinstance(answer, PolicyDeniedError)


async def test_policies_that_change_faster_than_they_are_asked_sign_nothing(tmp_path: Path) -> None:
    async with road(tmp_path) as on:

        async def change_again(**_: object) -> None:
            await put(on.record.writer, [], [])

        await change_again()
        on.gate.read_policies_again = change_again  # type: ignore[method-assign]
        with pytest.raises(PolicyChangedError):
            await on.signing.sign(vote(), CALLER)
        [answer] = await on.signing.sign_each([vote()], CALLER)
        assert isinstance(answer, PolicyChangedError)
        assert on.backend.signed == []


async def tag(on: Road, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> None:
    order = tag_order([KEYS[0]], add=add, remove=remove)
    reading, writer = on.record.view.reading, on.record.writer
    done = await carry_out_tags(writer, reading, order, CALLER, now_ms=0, documented=lambda _: ())
    assert done[0].status == "tagged"


async def test_once_a_tag_is_given_or_taken_what_is_bound_to_it_decides(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, TRAPS, to=ToTag("lido"))
        assert await verdict(on, vote()) == "signed"
        await tag(on, add=("lido", "other"))
        assert await verdict(on, vote(NOW_EPOCH + 1)) == "POLICY_TRAPPED"
        assert await verdict(on, vote(key=KEYS[1])) == "signed"
        await tag(on, remove=("lido",))
        assert await verdict(on, vote(NOW_EPOCH + 1)) == "signed"
        revision = on.policies.in_force.revision
        await tag(on, remove=("other",))
        await on.policies.look()
        assert on.policies.in_force.revision == revision, "nothing is bound to that tag"
        assert [entry.note for entry in on.audit() if entry.kind is Kind.POLICY_BOUND][1:] == [
            "other keys bear lido; revision 2",
            "other keys bear lido; revision 3",
        ]


async def test_what_was_found_out_for_keys_is_kept_until_something_changes(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await bind(on, TRAPS, to=ToTag("lido"))
        await on.policies.refresh()
        await on.policies.load_bound()
        known = on.policies.in_force
        assert all(each.decider is not None for each in known.served.values())
        await on.policies.refresh()
        assert on.policies.in_force is known
        await tag(on, add=("other",))
        await on.policies.refresh()
        assert on.policies.in_force is not known, "facts tell tags, also those that nothing is bound to"
        assert on.policies.in_force.revision == known.revision


async def test_the_upkeep_notices_a_change_that_no_request_has_met(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        assert await verdict(on, vote()) == "signed"
        await put(on.record.writer, [TRAPS], [("traps", TO_ALL)])
        await on.policies.look()
        assert on.policies.in_force.revision == 1
        assert await verdict(on, vote(NOW_EPOCH + 1)) == "POLICY_TRAPPED"
        assert "POLICY_CHANGED" not in [entry.code for entry in on.audit()]


# --- policies that fail, and that take their time ----------------------------------------------------------


async def test_a_policy_that_does_not_load_denies_whatever_it_is_bound_to(tmp_path: Path) -> None:
    foreign = wat_policy(rest='(import "wasi_snapshot_preview1" "fd_write" (func (param i32) (result i32)))')
    async with road(tmp_path) as on:
        await put(on.record.writer, [module_pack(foreign, "foreign"), ALLOWS], [("foreign", ToKey(FIRST_KEY))])
        assert await verdict(on, vote()) == "POLICY_NOT_LOADED"
        assert "fd_write" in on.audit()[-1].note
        assert await verdict(on, vote(key=KEYS[1])) == "signed"


async def test_a_policy_that_burns_all_its_fuel_does_not_keep_others_from_being_signed(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await put(
            on.record.writer,
            [BURNS, ALLOWS],
            [("burns", ToKey(FIRST_KEY)), ("allows", ToKey("0x" + KEYS[1].hex()))],
        )
        await on.policies.refresh()
        burning = [asyncio.create_task(verdict(on, vote(NOW_EPOCH - n))) for n in range(40)]
        await asyncio.sleep(0)
        quick = [asyncio.create_task(verdict(on, vote(NOW_EPOCH - 9 + n, key=KEYS[1]))) for n in range(10)]
        assert await asyncio.gather(*quick) == ["signed"] * 10
        assert not all(task.done() for task in burning), "each burns for a tenth of a second, and they take turns"
        assert await burning[0] in {"POLICY_TIMED_OUT", "POLICY_OUT_OF_FUEL"}
        for task in burning:
            task.cancel()


async def test_each_evaluation_is_told_and_a_shadow_decides_nothing(tmp_path: Path) -> None:
    told: list[PolicyEvaluated] = []
    compared: list[ShadowCompared] = []
    seen = asyncio.Event()

    def compare(event: ShadowCompared) -> None:
        compared.append(event)
        seen.set()

    async with road(tmp_path) as on:
        on.events.subscribe(PolicyEvaluated, told.append)
        on.events.subscribe(ShadowCompared, compare)
        await bind(on, ALLOWS, shadows=[NO_VOTES])
        assert await verdict(on, vote()) == "signed"
        assert [(one.policy, one.verdict) for one in told] == [("allows", "allow")]
        async with asyncio.timeout(60):
            await seen.wait()
        [one] = compared
        assert (one.policy, one.live, one.shadow, one.differs, one.code) == (
            "allows",
            "allow",
            "deny",
            True,
            "DENIED_BY_RULE",
        )


async def test_a_module_is_told_what_its_lists_hold(tmp_path: Path) -> None:
    item = "0x" + "ab" * 20
    module = wat_policy(
        "(if (i32.eqz (call $ask (i32.const 600) (i32.const 5) (i32.const 700) (i32.const 42))) (then (unreachable)))"
        + answering(),
        rest='(import "holdfast" "list_contains" (func $ask (param i32 i32 i32 i32) (result i32)))'
        f" (data (i32.const 600) {quoted('payee')}) (data (i32.const 700) {quoted(item)})",
    )
    pack = module_pack(module, "listed", functions=(HostFunction.LIST_CONTAINS,), lists=("payee",))
    async with road(tmp_path) as on:
        await bind(on, pack)
        assert await verdict(on, vote()) == "POLICY_TRAPPED"
        await bind(on, pack, lists=[NamedList("payee", (item,))])
        assert await verdict(on, vote()) == "signed"
