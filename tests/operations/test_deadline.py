"""One deadline for many requests."""

import asyncio

import pytest

from signer.errors import DeadlineError
from signer.operations.deadline import Deadline, DeadlineWatch


async def test_what_waits_too_long_ends_with_a_deadline_error() -> None:
    with pytest.raises(DeadlineError, match=r"0\.05 s"), Deadline(DeadlineWatch(0.05)):
        await asyncio.get_running_loop().create_future()


async def test_what_is_in_time_is_left_alone() -> None:
    watch = DeadlineWatch(0.05)
    with Deadline(watch):
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)  # the timer has walked over the finished one


async def test_of_many_only_the_late_ones_end() -> None:
    watch = DeadlineWatch(1.0)  # long, because a busy machine may stop us for a while
    never = asyncio.get_running_loop().create_future()

    async def attempt(number: int) -> str:
        try:
            with Deadline(watch):
                await (never if number % 2 else asyncio.sleep(0.001))
        except DeadlineError:
            return "late"
        return "done"

    outcomes = await asyncio.gather(*(attempt(number) for number in range(50)))
    assert outcomes == ["done", "late"] * 25


async def test_somebody_elses_cancellation_stays_a_cancellation() -> None:
    watch = DeadlineWatch(10)

    async def wait() -> None:
        with Deadline(watch):
            await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_inside_passes_through() -> None:
    with pytest.raises(ValueError, match="mine"), Deadline(DeadlineWatch(1)):
        raise ValueError("mine")


async def test_the_task_can_be_awaited_again_after_its_deadline() -> None:
    watch = DeadlineWatch(0.02)
    with pytest.raises(DeadlineError), Deadline(watch):
        await asyncio.get_running_loop().create_future()
    await asyncio.sleep(0.001)
    with Deadline(watch):
        await asyncio.sleep(0.001)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
