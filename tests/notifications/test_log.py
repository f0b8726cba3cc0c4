"""The log: sending a stored message again, reading it, and what is pruned."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from sitin.kit.ids import new_id
from sitin.notifications import log, tasks
from sitin.notifications.endpoints import Changes, change_endpoint
from sitin.notifications.errors import (
    EndpointDisabledError,
    NotAddressedError,
    UnknownEventError,
    UnknownMessageError,
)
from sitin.notifications.events import EventType
from sitin.notifications.models import Attempt, Delivery, DeliveryState, Message
from sitin.notifications.service import Callback, Resent, resend
from sitin.notifications.tasks import Housekeeping
from tests.notifications.conftest import Post
from tests.waiting import until

pytestmark = pytest.mark.db

MONTH = timedelta(days=30)


async def again(post: Post, message_id: UUID | None, endpoint_id: UUID | None = None) -> Resent:
    assert message_id is not None
    async with post.database.transaction() as session:
        return await resend(
            session, message_id=message_id, endpoint_id=endpoint_id, at=post.clock.now()
        )


async def switch(post: Post, endpoint_id: UUID, *, enabled: bool) -> None:
    async with post.database.transaction() as session:
        await change_endpoint(session, endpoint_id, Changes(enabled=enabled))


async def test_a_delivered_message_is_sent_again_under_its_id(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    post.receiver.answers["/hook"] = [200, 503]
    post.deliver()
    message_id = await post.publish()
    await post.attempted(1)
    assert await again(post, message_id) == Resent(post.team_id, to=[endpoint.id], disabled=[])
    await post.attempted(2)
    assert await post.states() == ["delivered", "pending"]
    await post.pass_until_due()
    await post.attempted(3)
    assert await post.states() == ["delivered", "delivered"]
    assert (await post.deliveries())[1].attempts == 2, "the schedule holds for it as well"
    assert {one.id for one in post.receiver.received["/hook"]} == {str(message_id)}


async def test_a_failed_message_is_sent_again_under_its_id(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.answers["/hook"] = [500] * 7
    post.deliver()
    message_id = await post.publish()
    for count in range(1, 7):
        await post.attempted(count)
        await post.pass_until_due()
    await post.attempted(7)
    assert await post.states() == ["failed"]
    await again(post, message_id)
    await post.attempted(8)
    assert await post.states() == ["failed", "delivered"]
    assert {one.id for one in post.receiver.received["/hook"]} == {str(message_id)}


async def test_one_endpoint_or_all_that_had_it(post: Post) -> None:
    first, second = await post.endpoint("/a"), await post.endpoint("/b")
    post.deliver()
    callback = Callback(f"{post.url}/callback", "POST", None)
    message_id = await post.publish(EventType.BOT_COMPLETED, callback=callback)
    late = await post.endpoint("/late")
    await post.attempted(3)

    assert (await again(post, message_id, second.id)).to == [second.id]
    await post.attempted(4)
    assert (await again(post, message_id)).to == [first.id, second.id]
    await post.attempted(6)
    counts = {path: len(post.receiver.received[path]) for path in ("/a", "/b", "/callback")}
    assert counts == {"/a": 2, "/b": 3, "/callback": 1}
    assert post.receiver.received["/late"] == []

    with pytest.raises(NotAddressedError, match=str(late.id)):
        await again(post, message_id, late.id)
    with pytest.raises(UnknownMessageError):
        await again(post, new_id())
    only_callback = await post.publish(
        EventType.BOT_COMPLETED, callback=callback, to_endpoints=False
    )
    with pytest.raises(NotAddressedError, match="any webhook endpoint"):
        await again(post, only_callback)


async def test_a_disabled_endpoint_is_passed_over(post: Post) -> None:
    first, second = await post.endpoint("/a"), await post.endpoint("/b")
    message_id = await post.publish()
    await switch(post, first.id, enabled=False)
    assert await again(post, message_id) == Resent(
        post.team_id, to=[second.id], disabled=[first.id]
    )
    await switch(post, second.id, enabled=False)
    with pytest.raises(EndpointDisabledError):
        await again(post, message_id)
    with pytest.raises(EndpointDisabledError):
        await again(post, message_id, first.id)
    await switch(post, first.id, enabled=True)
    post.deliver()
    await again(post, message_id)
    await until(lambda: len(post.receiver.received["/a"]) == 1)


async def test_one_that_waits_is_tried_now_instead(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.answers["/hook"] = [500]
    post.deliver()
    message_id = await post.publish()
    await post.attempted(1)
    await asyncio.gather(again(post, message_id), again(post, message_id))
    await post.attempted(2)
    assert await post.states() == ["delivered"]


async def test_two_resends_at_once_begin_one_delivery(post: Post) -> None:
    await post.endpoint("/hook")
    post.deliver()
    message_id = await post.publish()
    await post.attempted(1)
    await post.stop_delivering()
    await asyncio.gather(*(again(post, message_id) for _ in range(4)))
    assert await post.states() == ["delivered", "pending"]


async def listed(post: Post, **which: object) -> Sequence[log.LoggedMessage]:
    async with post.database.transaction() as session:
        return await log.messages(session, post.team_id, limit=10, **which)  # type: ignore[arg-type]


async def test_messages_are_listed_newest_first_by_what_is_asked(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.answers["/hook"] = [500]
    post.deliver()
    bot_id = new_id()
    first = await post.publish(bot_id=bot_id)
    await post.attempted(1)
    second = await post.publish(EventType.BOT_COMPLETED, bot_id=bot_id)
    third = await post.publish()
    await post.attempted(3)
    other = await post.team()
    await post.endpoint("/theirs", team_id=other)
    await post.publish(team_id=other)

    async def ids(**which: object) -> list[UUID]:
        return [one.message.id for one in await listed(post, **which)]

    assert await ids() == [third, second, first]
    assert await ids(event="bot.completed") == [second]
    assert await ids(bot_id=bot_id) == [second, first]
    assert await ids(state=DeliveryState.PENDING) == [first]
    assert await ids(state=DeliveryState.DELIVERED) == [third, second]
    assert await ids(state=DeliveryState.FAILED) == []
    with pytest.raises(UnknownEventError):
        await ids(event="bot.done")
    (logged,) = await listed(post, state=DeliveryState.PENDING)
    assert [(one.delivery.attempts, one.url) for one in logged.deliveries] == [
        (1, f"{post.url}/hook")
    ]


async def test_a_message_is_read_with_all_attempts(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.answers["/hook"] = [500, 200]
    post.deliver()
    callback = Callback(f"{post.url}/callback", "POST", None)
    message_id = await post.publish(EventType.BOT_COMPLETED, callback=callback)
    assert message_id is not None
    await post.attempted(2)
    await post.pass_until_due()
    await post.attempted(3)
    async with post.database.transaction() as session:
        logged = await log.message(session, message_id)
    told = {
        one.url.rpartition("/")[2]: [attempt.status for attempt in one.attempts]
        for one in logged.deliveries
    }
    assert told == {"hook": [500, 200], "callback": [200]}
    async with post.database.transaction() as session:
        with pytest.raises(UnknownMessageError):
            await log.message(session, new_id())


async def count(post: Post) -> tuple[int, int, int]:
    async with post.database.transaction() as session:
        found = [
            await session.scalar(select(func.count()).select_from(table))
            for table in (Message, Delivery, Attempt)
        ]
    messages, deliveries, attempts = found
    assert messages is not None
    assert deliveries is not None
    assert attempts is not None
    return messages, deliveries, attempts


async def test_old_messages_are_pruned_in_batches_but_none_that_waits(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH", 2)
    housekeeping = Housekeeping(database=post.database, clock=post.clock, retention=MONTH)
    await post.endpoint("/hook")
    post.deliver()
    for _ in range(5):
        await post.publish()
    resent = await post.publish()
    await post.attempted(6)
    await post.stop_delivering()
    post.clock.move(MONTH)
    await housekeeping.prune_log()
    assert await count(post) == (6, 6, 6), "not older than the retention"

    await again(post, resent)
    post.clock.move(timedelta(seconds=1))
    await post.publish()
    await housekeeping.prune_log()
    assert await count(post) == (2, 3, 1)
    post.deliver()
    await post.attempted(3)
    await housekeeping.prune_log()
    assert await count(post) == (1, 1, 1)


async def test_a_message_sent_again_while_it_is_pruned_stays(post: Post) -> None:
    await post.endpoint("/hook")
    post.deliver()
    message_id = await post.publish()
    await post.attempted(1)
    await post.stop_delivering()
    before = post.clock.now() + timedelta(seconds=1)
    async with post.database.transaction() as session:
        assert message_id is not None
        await resend(session, message_id=message_id, at=post.clock.now())
        async with post.database.transaction() as other:
            assert await log.prune(other, before=before, limit=10) == 0, "it is locked"
    async with post.database.transaction() as session:
        assert await log.prune(session, before=before, limit=10) == 0
    assert await post.states() == ["delivered", "pending"]


async def test_the_log_and_the_queue_are_read_by_their_indexes(post: Post) -> None:
    """However many messages there are, what is asked often reads what it wants only."""
    await post.endpoint("/hook")
    await post.publish()
    async with post.database.transaction() as session:
        await session.execute(
            text(
                "WITH made AS (INSERT INTO notification_messages "
                "(id, team_id, event, bot_id, data, created_at) "
                "SELECT gen_random_uuid(), team_id, event, bot_id, data, created_at "
                "FROM notification_messages, generate_series(1, 20000) RETURNING *) "
                "INSERT INTO deliveries (id, message_id, team_id, kind, lane, endpoint_id, state, "
                "due_at, attempts) SELECT gen_random_uuid(), made.id, made.team_id, kind, lane, "
                "endpoint_id, 'delivered', due_at, 1 FROM made, deliveries"
            )
        )
        await session.execute(text("ANALYZE deliveries, notification_messages"))
        queries = {
            "SELECT team_id, lane FROM deliveries WHERE state = 'pending' "
            "ORDER BY team_id, lane LIMIT 1": "ix_deliveries_team_id_lane_due_at",
            "SELECT min(due_at) FROM deliveries WHERE state = 'pending' AND due_at > now()": (
                "ix_deliveries_due_at"
            ),
            "SELECT id FROM notification_messages WHERE created_at < now() - interval '30 days' "
            "ORDER BY created_at LIMIT 1000": "ix_notification_messages_created_at",
            f"SELECT id FROM notification_messages WHERE team_id = '{new_id()}' "
            "ORDER BY created_at DESC, id DESC LIMIT 50": (
                "ix_notification_messages_team_id_created_at"
            ),
        }
        for query, index in queries.items():
            plan = "\n".join((await session.scalars(text(f"EXPLAIN {query}"))).all())
            assert index in plan
            assert "Seq Scan on deliveries" not in plan
            assert "Seq Scan on notification_messages" not in plan
