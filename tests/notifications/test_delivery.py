"""Messages on their way: signed, tried again, kept apart, never lost."""

import asyncio
import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import svix

from sitin.accounts.service import create_team
from sitin.notifications.dispatch import LANE_WIDTH
from sitin.notifications.errors import UnknownEventError
from sitin.notifications.events import EventType
from sitin.notifications.models import DeliveryState
from sitin.notifications.schedule import DISABLE_AFTER
from sitin.notifications.service import Callback
from sitin.notifications.store import HOLD
from tests.notifications.conftest import Post
from tests.waiting import until

pytestmark = pytest.mark.db


async def test_a_message_is_signed_as_svix_does(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    post.deliver()
    await post.publish(note="Grüße")
    await until(lambda: bool(post.receiver.received["/hook"]))
    (received,) = post.receiver.received["/hook"]
    svix.Webhook(endpoint.secret).verify(received.body, received.headers)
    assert json.loads(received.body) == {
        "event": "bot.status_change",
        "data": {"note": "Grüße"},
        "extra": {"customer": "Ünï"},
    }
    with pytest.raises(svix.WebhookVerificationError):
        svix.Webhook(endpoint.secret).verify(received.body + b" ", received.headers)
    stored = await post.stored(endpoint.id)
    assert endpoint.secret not in stored.secret


async def test_endpoints_get_the_events_they_want(post: Post) -> None:
    await post.endpoint("/all")
    await post.endpoint("/ends", ["bot.completed", "bot.failed"])
    async with post.database.transaction() as session:
        other = await create_team(session, name="Other")
    await post.endpoint("/theirs", team_id=other.id)
    post.deliver()
    await post.publish(EventType.BOT_STATUS_CHANGE)
    await post.publish(EventType.BOT_COMPLETED)
    await until(lambda: len(post.receiver.received["/all"]) == 2)
    await until(lambda: len(post.receiver.received["/ends"]) == 1)
    assert post.receiver.received["/theirs"] == []
    with pytest.raises(UnknownEventError, match=r"bot\.completed"):
        await post.endpoint("/x", ["bot.done"])


async def test_nobody_to_tell_leaves_no_message(post: Post) -> None:
    await post.publish()
    assert await post.deliveries() == []


async def test_a_failed_delivery_is_tried_again_with_the_same_id(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.answers["/hook"] = [500, 302, 204]
    post.deliver()
    await post.publish()
    for count in (1, 2):
        await until_attempts(post, count)
        assert (await post.deliveries())[0].state == DeliveryState.PENDING
        post.clock.move(timedelta(seconds=13))
        await post.look()
    await until_attempts(post, 3)
    (delivery,) = await post.deliveries()
    assert delivery.state == DeliveryState.DELIVERED
    received = post.receiver.received["/hook"]
    assert len({one.headers["svix-id"] for one in received}) == 1
    assert len({one.headers["svix-timestamp"] for one in received}) == 3
    assert [one.status for one in await post.attempts()] == [500, 302, 204]
    assert (await post.attempts())[0].answer == "noted"
    assert post.receiver.received["/elsewhere"] == []


async def until_attempts(post: Post, count: int) -> None:
    async def made() -> bool:
        return len(await post.attempts()) == count

    await until(made)


async def test_a_webhook_is_given_up_after_its_last_retry(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.answers["/hook"] = [500] * 20
    post.deliver()
    await post.publish()
    for count in range(1, 8):
        await until_attempts(post, count)
        post.clock.move(timedelta(hours=3))
        await post.look()
    (delivery,) = await post.deliveries()
    assert delivery.state == DeliveryState.FAILED
    assert delivery.attempts == 7


async def test_an_endpoint_without_success_for_five_days_is_disabled(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    post.receiver.answers["/hook"] = [500, 200, 500, 500]
    post.deliver()
    await post.publish()
    await until_attempts(post, 1)
    assert (await post.stored(endpoint.id)).failing_since is not None
    post.clock.move(DISABLE_AFTER / 2)
    await post.look()
    await until_attempts(post, 2)
    assert (await post.stored(endpoint.id)).failing_since is None, "one success resets the clock"

    await post.publish()
    await until_attempts(post, 3)
    post.clock.move(DISABLE_AFTER + timedelta(minutes=1))
    await post.look()
    await until_attempts(post, 4)
    stored = await post.stored(endpoint.id)
    assert not stored.enabled
    assert stored.disabled_reason
    await post.publish()
    assert [one.state for one in await post.deliveries()] == ["delivered", "failed"]


async def test_a_callback_has_rules_of_its_own(post: Post) -> None:
    callback = Callback(f"{post.url}/done", "PUT", post.keyring.encrypt("s3cret"))
    post.receiver.answers["/done"] = [503, 200]
    post.deliver()
    await post.publish(EventType.BOT_COMPLETED, callback=callback)
    await until_attempts(post, 1)
    post.clock.move(timedelta(seconds=2))
    await post.look()
    await until_attempts(post, 2)
    first, second = post.receiver.received["/done"]
    assert first.method == "PUT"
    assert first.headers["x-mb-secret"] == "s3cret"
    assert "svix-signature" not in first.headers
    assert first.body == second.body

    post.receiver.answers["/done"] = [404]
    await post.publish(EventType.BOT_FAILED, callback=callback)
    await until_attempts(post, 3)
    assert [one.state for one in await post.deliveries()] == ["delivered", "failed"]


async def test_a_hanging_endpoint_delays_only_itself(post: Post) -> None:
    await post.endpoint("/hangs")
    await post.endpoint("/well")
    post.receiver.hanging["/hangs"] = asyncio.Event()
    post.deliver()
    for number in range(25):
        await post.publish(number=number)
    await until(lambda: len(post.receiver.received["/well"]) == 25)
    assert len(post.receiver.received["/hangs"]) == LANE_WIDTH
    post.receiver.hanging["/hangs"].set()
    await until(lambda: len(post.receiver.received["/hangs"]) == 25)
    ids = [one.headers["svix-id"] for one in post.receiver.received["/hangs"]]
    assert len(set(ids)) == 25


async def test_two_processes_deliver_everything_once(post: Post) -> None:
    await post.endpoint("/hook")
    post.deliver()
    post.deliver()
    for number in range(40):
        await post.publish(number=number)
    await until(lambda: len(post.receiver.received["/hook"]) >= 40)
    await until_attempts(post, 40)
    numbers = [json.loads(one.body)["data"]["number"] for one in post.receiver.received["/hook"]]
    assert sorted(numbers) == list(range(40))


async def test_private_addresses_are_refused_at_the_time_of_sending(post: Post) -> None:
    await post.endpoint("/hook")
    post.deliver(allow_private=False)
    await post.publish()
    await until_attempts(post, 1)
    (attempt,) = await post.attempts()
    assert attempt.status is None
    assert attempt.error
    assert post.receiver.received["/hook"] == []


async def test_a_killed_process_loses_nothing(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.hanging["/hook"] = asyncio.Event()
    await post.publish(number=1)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.notifications.delivering",
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TEST_DATABASE_URL": post.database.url, "TEST_KEY": post.key},
    )
    try:
        await until(lambda: len(post.receiver.received["/hook"]) == 1)
    finally:
        process.kill()
        await process.wait()
    post.receiver.hanging.pop("/hook").set()

    post.deliver()
    await post.publish(number=2)
    await until(lambda: len(post.receiver.received["/hook"]) == 2)
    assert (await post.deliveries())[0].state == DeliveryState.PENDING
    post.clock.move(HOLD + timedelta(minutes=1))
    await post.look()
    await until(lambda: len(post.receiver.received["/hook"]) == 3)
    first, _, again = post.receiver.received["/hook"]
    assert first.headers["svix-id"] == again.headers["svix-id"]
    assert first.body == again.body
