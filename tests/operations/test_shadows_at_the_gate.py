"""A version that runs beside the live one decides nothing, spends nothing, and keeps no request waiting."""

import asyncio
from pathlib import Path

from operations.policies_on_record import put
from operations.road_twin import CALLER, NOW_EPOCH, Road, block, road, vote
from policy.policy_packs import module_pack, rules_pack
from policy.wat_policies import policy as wat_policy
from policy_signers import READS

from signer.errors import RefusalError
from signer.events import PolicyEvaluated, ShadowCompared
from signer.operations.policies import SHADOWS_UNDER_WAY
from signer.policy.bindings import ToNamespace

LIVE = rules_pack(
    "live", text="version: 1\notherwise: allow\ndeny:\n  - {name: blocks, types: [BLOCK_V2], message: never}\n"
)
ONCE = "version: 1\notherwise: allow\nrequire:\n  - {name: one, uses: [{at_most: 1, window: lifetime, per: policy}]}\n"
LIMITED = rules_pack("live", text=ONCE)
ASKS = rules_pack(
    "live",
    text="version: 1\notherwise: allow\nrequire:\n"
    "  - {name: two, approval: {quorum: 2, groups: [owners], lifetime: 1h}}\n",
)
TRAPS = module_pack(wat_policy("unreachable"), "live")
BURNS = module_pack(wat_policy("(loop $again (br $again)) (i64.const 0)"), "live", fuel=1_000_000_000)
PATIENCE_SECONDS = 60
TO_ALL = ToNamespace("default")


class Heard:
    """The comparisons, and how to wait for so many of them."""

    def __init__(self, on: Road) -> None:
        self.compared: list[ShadowCompared] = []
        self._another = asyncio.Event()
        on.events.subscribe(ShadowCompared, self._hear)

    def _hear(self, event: ShadowCompared) -> None:
        self.compared.append(event)
        self._another.set()

    async def wait_for(self, count: int) -> list[ShadowCompared]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.compared) < count:
                self._another.clear()
                await self._another.wait()
        return self.compared


async def beside(on: Road, shadow: bytes) -> Heard:
    await put(on.record.writer, [LIVE], [("live", ToNamespace("default"))], shadows=[shadow])
    await on.policies.refresh()
    return Heard(on)


async def code_of(on: Road, intent) -> str:
    try:
        await on.signing.sign(intent, CALLER)
    except RefusalError as refusal:
        return refusal.code
    return "signed"


async def test_whatever_the_shadow_says_the_live_verdict_stands_and_nothing_waits_for_people(tmp_path: Path) -> None:
    for n, (shadow, said) in enumerate([(ASKS, "require_approval"), (TRAPS, "deny"), (LIMITED, "allow")]):
        (tmp_path / str(n)).mkdir()
        async with road(tmp_path / str(n)) as on:
            heard = await beside(on, shadow)
            assert await code_of(on, vote()) == "signed"
            assert await code_of(on, block(NOW_EPOCH * 32)) == "DENIED_BY_RULE"
            found = await heard.wait_for(2)
            assert [(each.live, each.shadow, each.differs) for each in found] == [
                ("allow", said, True),
                ("deny", said, True),
            ]
            with on.record.view.reading() as moment:
                assert list(moment.rows("SELECT 1 FROM approvals")) == []


async def test_what_a_shadow_reserves_is_not_spent(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        heard = await beside(on, LIMITED)
        assert [await code_of(on, vote(NOW_EPOCH - 2 + n)) for n in range(3)] == ["signed"] * 3
        assert [each.shadow for each in await heard.wait_for(3)] == ["allow"] * 3
        with on.record.view.reading() as moment:
            assert list(moment.rows("SELECT 1 FROM policy_counters")) == []
        await put(on.record.writer, [LIMITED], [("live", ToNamespace("default"))])
        assert await code_of(on, vote(NOW_EPOCH + 1)) == "signed", "its first use is its first"
        assert await code_of(on, block(NOW_EPOCH * 32)) == "COUNTER_LIMIT"


async def test_no_request_waits_for_a_shadow_that_burns_all_it_may(tmp_path: Path) -> None:
    """Each burns for a tenth of a second of its thread; there are as many as may wait at a time."""
    async with road(tmp_path) as on:
        heard = await beside(on, BURNS)
        asked = [vote(NOW_EPOCH - SHADOWS_UNDER_WAY + n) for n in range(SHADOWS_UNDER_WAY)]
        answers = await on.signing.sign_each(asked, CALLER)
        assert not any(isinstance(each, Exception) for each in answers)
        assert len(heard.compared) < SHADOWS_UNDER_WAY, "the answers were there before the comparisons"
        assert {each.shadow for each in await heard.wait_for(1)} == {"deny"}


async def evaluations(on: Road) -> list[PolicyEvaluated]:
    """All of the live policies from now on."""
    told: list[PolicyEvaluated] = []
    on.events.subscribe(PolicyEvaluated, told.append)
    return told


async def test_a_request_that_is_judged_again_because_policies_have_changed_is_compared_once(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        heard = await beside(on, ASKS)
        told = await evaluations(on)
        await put(on.record.writer, [LIVE], [("live", TO_ALL)], shadows=[LIMITED])
        assert await code_of(on, vote()) == "signed"
        assert len(told) == 2, "it was judged by the former revision, and again"
        [one] = await on.signing.sign_each([vote(NOW_EPOCH + 1)], CALLER)
        assert not isinstance(one, Exception)
        found = await heard.wait_for(2)
        assert [each.shadow for each in found] == ["allow"] * 2, "by what runs beside the policies that hold"


async def test_a_batch_that_is_judged_again_because_a_counter_has_moved_is_compared_once(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await put(on.record.writer, [READS], [("reads", TO_ALL)], shadows=[READS])
        await on.policies.refresh()
        heard, told = Heard(on), await evaluations(on)
        answers = await on.signing.sign_each([vote(NOW_EPOCH - 19 + n) for n in range(20)], CALLER)
        assert [isinstance(each, RefusalError) for each in answers] == [False] * 8 + [True] * 12
        assert len(told) == sum(range(13, 21)), "eight walks"
        # Comparisons about one key keep their order: a second one of these would be told before the last.
        assert await code_of(on, vote(NOW_EPOCH + 1)) == "signed"
        found = await heard.wait_for(21)
        assert len({each.payload_hash for each in found}) == len(found) == 21


async def test_a_request_that_comes_to_no_end_is_compared_once(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        heard = await beside(on, LIMITED)
        told = await evaluations(on)
        refresh = on.gate.read_policies_again

        async def change_again(**members: int) -> None:
            await refresh(**members)
            await put(on.record.writer, [LIVE], [("live", TO_ALL)], shadows=[LIMITED])

        await put(on.record.writer, [LIVE], [("live", TO_ALL)], shadows=[LIMITED])
        on.gate.read_policies_again = change_again  # type: ignore[method-assign]
        assert await code_of(on, vote()) == "POLICY_CHANGED"
        assert len(told) == 8
        on.gate.read_policies_again = refresh  # type: ignore[method-assign]
        assert await code_of(on, vote(NOW_EPOCH + 1)) == "signed"
        first, second = await heard.wait_for(2)
        assert first.payload_hash != second.payload_hash
