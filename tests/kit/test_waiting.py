"""``kit.waiting``."""

import asyncio

import pytest

from sitin.kit.waiting import wait_for_event

pytestmark = pytest.mark.unit


async def test_returns_whether_the_event_was_set_in_time() -> None:
    event = asyncio.Event()
    assert not await wait_for_event(event, 0)
    event.set()
    assert await wait_for_event(event, 0)


async def test_a_cancellation_that_arrives_with_the_event_is_not_lost() -> None:
    event = asyncio.Event()
    rounds = 0

    async def follow() -> None:
        nonlocal rounds
        while True:
            await wait_for_event(event, 60)
            event.clear()
            rounds += 1

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    event.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await task
    assert rounds <= 1
