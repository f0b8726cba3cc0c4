"""Nothing is lost when a process is killed, and nobody waits for another's endpoint."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import select, text

from sitin.notifications.events import EventType
from sitin.notifications.models import Delivery
from sitin.notifications.places import LANE_WIDTH
from sitin.notifications.service import Callback
from sitin.notifications.store import HOLD
from tests.notifications.conftest import Post
from tests.waiting import until

pytestmark = pytest.mark.db


async def passes_to_another_process(post: Post) -> None:
    """What the killed process held is left alone until its hold is over, then delivered."""
    post.deliver()
    await post.endpoint("/later", ["bot.failed"])
    await post.publish(EventType.BOT_FAILED)
    await reach(post, ["pending", "delivered"])
    held = (await post.deliveries())[0]
    # By the killed process's own clock, which has gone on meanwhile.
    assert held.due_at - post.clock.now() >= HOLD
    await post.pass_until_due()
    await reach(post, ["delivered", "delivered"])


async def reach(post: Post, states: list[str]) -> None:
    async def reached() -> bool:
        return await post.states() == states

    await until(reached)


def count(post: Post, number: int) -> Callable[[], bool]:
    return lambda: len(post.receiver.received["/hook"]) == number


async def test_killed_between_taking_and_sending(post: Post) -> None:
    await post.endpoint("/hook", ["bot.status_change"])
    await post.publish()

    async def taken() -> bool:
        return (await post.deliveries())[0].attempts == 1

    async with post.process("--stop-before-sending") as process:
        await until(taken)
        process.kill()
    assert post.receiver.received["/hook"] == []
    await passes_to_another_process(post)
    assert len(post.receiver.received["/hook"]) == 1


async def test_killed_while_the_receiver_works(post: Post) -> None:
    await post.endpoint("/hook", ["bot.status_change"])
    post.receiver.hanging["/hook"] = asyncio.Event()
    await post.publish()
    async with post.process() as process:
        await until(count(post, 1))
        process.kill()
    post.receiver.hanging.pop("/hook").set()
    await passes_to_another_process(post)
    first, again = post.receiver.received["/hook"]
    assert first.id == again.id
    assert first.body == again.body


async def test_killed_between_the_answer_and_its_record(post: Post) -> None:
    await post.endpoint("/hook", ["bot.status_change"])
    await post.publish()
    post.receiver.hanging["/hook"] = asyncio.Event()
    async with post.process() as process:
        await until(count(post, 1))
        async with post.database.transaction() as session:
            await session.execute(select(Delivery.id).with_for_update())
            post.receiver.hanging.pop("/hook").set()
            await post.waiting_for_locks()  # the process has its answer and wants to note it
            process.kill()
            await process.wait()
    assert await post.attempts() == []
    await passes_to_another_process(post)
    first, again = post.receiver.received["/hook"]
    assert first.id == again.id


async def test_two_processes_deliver_everything_once(post: Post) -> None:
    await post.endpoint("/hook")
    async with post.process(), post.process():
        ids = {str(await post.publish()) for _ in range(60)}
        await until(lambda: len(post.receiver.received["/hook"]) >= 60)
        await post.attempted(60)
    assert sorted(one.id for one in post.receiver.received["/hook"]) == sorted(ids)


async def test_what_hangs_in_one_team_delays_nobody_over_several_processes(post: Post) -> None:
    """Two teams' endpoints and callbacks hang; a third team's messages all arrive meanwhile."""
    hanging = {"/hangs/1": await post.team(), "/hangs/2": await post.team()}
    for path, team_id in hanging.items():
        await post.endpoint(path, team_id=team_id)
        post.receiver.hanging[path] = asyncio.Event()
    post.receiver.hanging["/callback"] = asyncio.Event()
    callback = Callback(f"{post.url}/callback", "POST", None)
    await post.endpoint("/hook")
    async with post.process(), post.process():
        for _ in range(30):
            for team_id in hanging.values():
                await post.publish(EventType.BOT_FAILED, team_id=team_id, callback=callback)
            await post.publish()
        await until(count(post, 30))
        for path in hanging:
            assert 0 < len(post.receiver.received[path]) <= 2 * LANE_WIDTH
        assert 0 < len(post.receiver.received["/callback"]) <= 4 * LANE_WIDTH
        for event in post.receiver.hanging.values():
            event.set()
        for path in hanging:
            await until(lambda path=path: len(post.receiver.received[path]) == 30)
        await until(lambda: len(post.receiver.received["/callback"]) == 60)
    for path in hanging:
        assert len({one.id for one in post.receiver.received[path]}) == 30


async def test_a_team_that_fills_its_places_leaves_the_others(post: Post) -> None:
    """Many endpoints that hang, in one process: the team's own bound holds."""
    noisy = await post.team()
    paths = [f"/hangs/{number}" for number in range(20)]
    for path in paths:
        await post.endpoint(path, team_id=noisy)
        post.receiver.hanging[path] = asyncio.Event()
    await post.endpoint("/hook")
    for _ in range(LANE_WIDTH + 1):
        await post.publish(team_id=noisy)
    post.deliver()
    await until(lambda: sum(len(post.receiver.received[path]) for path in paths) == 64)
    await post.publish()
    await until(count(post, 1))
    assert sum(len(post.receiver.received[path]) for path in paths) == 64
    for event in post.receiver.hanging.values():
        event.set()
    total = len(paths) * (LANE_WIDTH + 1)
    await until(lambda: sum(len(post.receiver.received[path]) for path in paths) == total)


async def test_a_record_that_fails_for_want_of_the_database_is_made_later(post: Post) -> None:
    """The answer is noted once the database is back, and the message is not sent again."""
    await post.endpoint("/hook")
    post.receiver.hanging["/hook"] = asyncio.Event()
    post.deliver()
    await post.publish()
    await until(count(post, 1))
    async with post.database.transaction() as session:
        await session.execute(select(Delivery.id).with_for_update())
        post.receiver.hanging["/hook"].set()
        await post.waiting_for_locks()
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
        await post.waiting_for_locks()
    await post.attempted(1)
    assert await post.states() == ["delivered"]
    assert len(post.receiver.received["/hook"]) == 1
