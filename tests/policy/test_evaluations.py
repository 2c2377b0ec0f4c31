"""Policies decide off the event loop, and none keeps another from deciding."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from wat_policies import COUNTING, answering, policy

from signer.errors import ShutDownError
from signer.policy.evaluations import Evaluations
from signer.policy.faults import Fault
from signer.policy.grants import NO_GRANTS, EmptyHost
from signer.policy.limits import Limits
from signer.policy.sandbox import QUICK_FUEL, LoadedPolicy
from signer.policy.turns import Lane
from signer.policy.verdict import ALLOW, Deny

PATIENCE_SECONDS = 60
ENDLESS = policy("(loop $again (br $again)) (unreachable)")


@pytest_asyncio.fixture
async def evaluations(engine) -> AsyncIterator[Evaluations]:
    made = Evaluations(engine, long_threads=1)
    yield made
    await made.close()


async def soon(waited):
    return await asyncio.wait_for(waited, PATIENCE_SECONDS)


async def test_every_policy_of_a_request_decides_and_in_their_order(evaluations, modules):
    asked = [
        LoadedPolicy(modules.load(policy(answer='{"verdict":"deny","code":"NO","message":"no"}'), NO_GRANTS)),
        LoadedPolicy(modules.load(policy(), NO_GRANTS)),
    ]
    decisions = await soon(evaluations.decide(asked, b"{}", EmptyHost(), key="k"))
    assert [decision.verdict for decision in decisions] == [Deny("NO", "no"), ALLOW]


async def test_a_thousand_requests_of_many_keys_each_get_their_own_decision(evaluations, modules):
    asked = [LoadedPolicy(modules.load(policy(), NO_GRANTS))]
    waiting = [evaluations.decide(asked, b"{}", EmptyHost(), key=number % 7) for number in range(1000)]
    decided = await soon(asyncio.gather(*waiting))
    assert len(decided) == 1000
    assert all(decision.verdict is ALLOW for (decision,) in decided)


async def test_the_event_loop_runs_while_a_policy_decides(evaluations):
    heard = threading.Event()
    deciding = evaluations.submit(Lane("p", "k"), lambda _: heard.wait(PATIENCE_SECONDS))
    asyncio.get_running_loop().call_soon(heard.set)
    assert await soon(deciding)


async def test_a_policy_without_end_is_stopped_by_the_clock_where_its_fuel_does_not(evaluations, modules):
    endless = LoadedPolicy(modules.load(ENDLESS, NO_GRANTS), limits=Limits(fuel=2**62, wall_seconds=0.02))
    ((decision,), (again,)) = await soon(
        asyncio.gather(*(evaluations.decide([endless], b"{}", EmptyHost(), key=key) for key in "ab"))
    )
    assert isinstance(decision.verdict, Deny)
    assert decision.verdict.code == again.verdict.code == Fault.TIMED_OUT
    assert decision.verdict.evidence["fuel_used"] > 0


async def test_one_policy_never_holds_every_thread(evaluations):
    """As many stuck decisions of one policy as wait: another policy decides all the same."""
    released = threading.Event()
    stuck = [
        evaluations.submit(Lane("stuck", number), lambda _: released.wait(PATIENCE_SECONDS)) for number in range(20)
    ]
    try:
        others = [evaluations.submit(Lane("quick", number), lambda _: "decided") for number in range(20)]
        assert await soon(asyncio.gather(*others)) == ["decided"] * 20
        assert not any(each.done() for each in stuck)
    finally:
        released.set()
    assert all(await soon(asyncio.gather(*stuck)))


async def test_whoever_brings_something_to_a_thread_that_falls_asleep_waits_for_no_tick(engine, monkeypatch):
    monkeypatch.setattr("signer.policy.evaluations.TICK_SECONDS", 2.0)
    evaluations, late = Evaluations(engine, long_threads=1), 0
    for wave in range(2_000):
        began = time.monotonic()
        waiting = [evaluations.submit(Lane("p", key), lambda _: sum(range(50))) for key in range(1 + wave % 3)]
        await soon(asyncio.gather(*waiting))
        late += time.monotonic() - began > 1.0
    await evaluations.close()
    assert late < 10, "a machine may stand still for a second, but not for each of them"


async def test_however_many_policies_burn_their_fuel_another_decides(evaluations, modules):
    """As many different ones as there are threads, and more."""
    burners = [policy(f"(loop $again (drop (i32.const {number})) (br $again)) (unreachable)") for number in range(3)]
    limits = Limits(fuel=2**62, wall_seconds=1.0)
    burning = [
        asyncio.ensure_future(
            evaluations.decide([LoadedPolicy(modules.load(each, NO_GRANTS), limits=limits)], b"{}", EmptyHost(), key=1)
        )
        for each in burners
    ]
    allowing = [LoadedPolicy(modules.load(policy(), NO_GRANTS))]
    for number in range(50):
        ((decision,),) = await soon(asyncio.gather(evaluations.decide(allowing, b"{}", EmptyHost(), key=number)))
        assert decision.verdict is ALLOW
    assert not all(each.done() for each in burning), "they burn for seconds"
    for (decision,) in await soon(asyncio.gather(*burning)):
        assert decision.verdict.code == Fault.TIMED_OUT


async def test_what_takes_long_and_what_does_not_are_both_done_to_their_end(evaluations, modules):
    long = [LoadedPolicy(modules.load(policy(COUNTING.format(30_000, answering())), NO_GRANTS))]
    quick = [LoadedPolicy(modules.load(policy(), NO_GRANTS))]
    waiting = [
        evaluations.decide(quick if number % 3 else long, b"{}", EmptyHost(), key=number % 5) for number in range(600)
    ]
    decided = await soon(asyncio.gather(*waiting))
    assert all(decision.verdict is ALLOW for (decision,) in decided)
    assert {decision.fuel_used > QUICK_FUEL for (decision,) in decided} == {True, False}


async def test_what_comes_while_the_only_thread_awake_is_stuck_is_done_by_another(evaluations):
    released = threading.Event()
    begun = threading.Event()

    def stick(_sandbox: object) -> bool:
        begun.set()
        return released.wait(PATIENCE_SECONDS)

    stuck = evaluations.submit(Lane("stuck", 0), stick)
    assert await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)
    try:
        for number in range(50):
            assert await soon(evaluations.submit(Lane("quick", number), lambda _: "decided")) == "decided"
    finally:
        released.set()
    assert await soon(stuck)


async def test_what_was_given_up_before_its_turn_is_not_done(evaluations):
    released = threading.Event()
    done: list[int] = []
    stuck = [evaluations.submit(Lane("p", 0), lambda _: released.wait(PATIENCE_SECONDS)) for _ in range(2)]
    given_up = evaluations.submit(Lane("p", 1), lambda _: done.append(1))
    given_up.cancel()
    released.set()
    await soon(asyncio.gather(*stuck))
    await soon(evaluations.submit(Lane("p", 1), lambda _: done.append(2)))
    assert done == [2]


async def test_whoever_waits_gets_the_error_and_the_thread_goes_on(evaluations):
    def fail(_sandbox: object) -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError):
        await soon(evaluations.submit(Lane("p", 0), fail))
    assert await soon(evaluations.submit(Lane("p", 0), lambda _: 7)) == 7


async def test_closing_ends_what_has_begun_and_gives_up_what_waits(engine):
    evaluations = Evaluations(engine, long_threads=1)
    released, begun = threading.Event(), threading.Event()

    def stick(_sandbox: object) -> str:
        begun.set()
        released.wait(PATIENCE_SECONDS)
        return "ended"

    first = evaluations.submit(Lane("p", 0), stick)
    assert await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)
    waiting = evaluations.submit(Lane("p", 0), lambda _: "never")
    closing = asyncio.create_task(evaluations.close())
    with pytest.raises(ShutDownError):
        await soon(waiting)
    with pytest.raises(ShutDownError):
        evaluations.submit(Lane("p", 0), lambda _: "never")
    released.set()
    await soon(closing)
    assert await soon(first) == "ended"


async def test_an_endless_policy_does_not_outlive_closing(engine, modules):
    evaluations = Evaluations(engine, long_threads=1)
    endless = LoadedPolicy(modules.load(ENDLESS, NO_GRANTS), limits=Limits(fuel=2**62, wall_seconds=0.05))
    deciding = asyncio.ensure_future(evaluations.decide([endless], b"{}", EmptyHost(), key=1))
    await asyncio.sleep(0)
    await soon(evaluations.close())
    (outcome,) = await asyncio.gather(deciding, return_exceptions=True)
    assert isinstance(outcome, ShutDownError) or outcome[0].verdict.code == Fault.TIMED_OUT


async def test_one_thread_is_too_few(engine):
    with pytest.raises(ValueError, match="at least 2"):
        Evaluations(engine, quick_threads=1)


async def test_policies_that_wait_for_counters_do_not_keep_the_thread_for_a_whole_turn(evaluations):
    """One decision that waits ends the turn: the rest goes back, in its order, behind other policies."""
    order: list[str] = []

    def waiting(name: str) -> str:
        order.append(name)
        time.sleep(0.005)
        return name

    crowd = [evaluations.submit(Lane("p", key), lambda _, n=f"p{key}": waiting(n)) for key in range(6)]
    other = evaluations.submit(Lane("q", 0), lambda _: waiting("q"))
    assert await soon(asyncio.gather(*crowd, other)) == ["p0", "p1", "p2", "p3", "p4", "p5", "q"]
    assert [name for name in order if name != "q"] == ["p0", "p1", "p2", "p3", "p4", "p5"]
    assert order.index("q") <= 3, "two threads, and each had begun one before it"


async def test_no_error_keeps_others_waiting_for_theirs(evaluations):
    def stop(_sandbox: object) -> None:
        raise StopIteration

    waiting = [evaluations.submit(Lane("p", key), stop if key % 2 else lambda _: "decided") for key in range(8)]
    found = await soon(asyncio.gather(*waiting, return_exceptions=True))
    assert [each if each == "decided" else type(each) for each in found] == ["decided", RuntimeError] * 4


async def test_what_was_asked_for_in_the_moment_of_closing_is_given_up(engine):
    evaluations = Evaluations(engine, long_threads=1)
    asked = evaluations.submit(Lane("p", 0), lambda _: "never")
    await soon(evaluations.close())
    with pytest.raises(ShutDownError):
        await soon(asked)


@pytest.mark.parametrize("beside", [True, False])
async def test_long_decisions_rest_where_quick_ones_are_made_beside_them(engine, modules, monkeypatch, *, beside: bool):
    monkeypatch.setattr("signer.policy.evaluations.RESTS", 1e9)
    monkeypatch.setattr("signer.policy.evaluations.REST_FROM_SECONDS", 0.0)
    monkeypatch.setattr("signer.policy.evaluations.MOST_REST_SECONDS", 1_000.0)
    monkeypatch.setattr("signer.policy.evaluations.BESIDE_SECONDS", 1_000.0 if beside else 0.0)
    quick = [LoadedPolicy(modules.load(policy(), NO_GRANTS))]
    long = [LoadedPolicy(modules.load(policy(COUNTING.format(30_000, answering())), NO_GRANTS))]
    evaluations = Evaluations(engine, long_threads=1)
    await soon(evaluations.decide(quick, b"{}", EmptyHost(), key=1))
    await soon(evaluations.decide(long, b"{}", EmptyHost(), key=1))
    second = asyncio.ensure_future(evaluations.decide(long, b"{}", EmptyHost(), key=1))
    if not beside:
        assert (await soon(second))[0].verdict is ALLOW
    else:
        for _ in range(100):
            assert (await soon(evaluations.decide(quick, b"{}", EmptyHost(), key=1)))[0].verdict is ALLOW
        assert not second.done()
    await soon(evaluations.close())
    if beside:
        with pytest.raises(ShutDownError):
            await second
