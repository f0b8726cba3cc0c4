"""Messages on their way: signed, tried again, given up."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sitin.kit.ids import new_id
from sitin.notifications.events import EventType
from sitin.notifications.models import DeliveryState
from sitin.notifications.schedule import DISABLE_AFTER, WINDOW
from sitin.notifications.service import Callback
from sitin.notifications.signing import new_secret
from sitin.notifications.store import Taken
from tests.notifications.conftest import EXTRA, Post
from tests.notifications.payloads import about_bot, about_calendar
from tests.waiting import until

pytestmark = pytest.mark.db


async def test_a_message_is_signed_as_svix_does(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    post.deliver()
    bot_id = new_id()
    message_id = await post.publish(bot_id=bot_id)
    await until(lambda: bool(post.receiver.received["/hook"]))
    (received,) = post.receiver.received["/hook"]
    assert received.id == str(message_id)
    assert post.receiver.verifies(received, endpoint.secret)
    assert not post.receiver.verifies(received, new_secret())
    assert received.headers["content-type"] == "application/json"
    assert received.payload == {
        "event": "bot.status_change",
        "data": about_bot(EventType.BOT_STATUS_CHANGE, bot_id),
        "extra": EXTRA,
    }
    assert "Ünï" in received.body.decode()


@pytest.mark.parametrize("event", [one for one in EventType if not one.is_about_a_bot])
async def test_events_about_calendars_have_no_extra(post: Post, event: EventType) -> None:
    await post.endpoint("/hook")
    post.deliver()
    data = about_calendar(event)
    await post.publish(event, data=data)
    await until(lambda: bool(post.receiver.received["/hook"]))
    assert post.receiver.received["/hook"][0].payload == {"event": event, "data": data}


async def test_nobody_to_tell_leaves_no_message(post: Post) -> None:
    assert await post.publish() is None
    endpoint = await post.endpoint("/hook", ["bot.failed"])
    assert await post.publish(EventType.BOT_COMPLETED) is None
    assert await post.messages() == []
    assert await post.publish(EventType.BOT_FAILED) is not None
    assert [one.endpoint_id for one in await post.deliveries()] == [endpoint.id]


async def test_an_endpoint_made_after_the_event_does_not_get_it(post: Post) -> None:
    early = await post.endpoint("/hook")
    await post.publish()
    late = await post.endpoint("/late")
    await post.publish()
    recipients = Counter(one.endpoint_id for one in await post.deliveries())
    assert recipients == {early.id: 2, late.id: 1}


async def test_a_failed_delivery_is_tried_again_with_the_same_id(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.answers["/hook"] = [500, 302, 204]
    post.deliver()
    await post.publish()
    for count in (1, 2):
        await post.attempted(count)
        assert await post.states() == ["pending"]
        await post.pass_until_due()
    attempts = await post.attempted(3)
    assert await post.states() == ["delivered"]
    received = post.receiver.received["/hook"]
    assert len({one.id for one in received}) == 1
    assert len({one.headers["svix-timestamp"] for one in received}) == 3
    assert [one.status for one in attempts] == [500, 302, 204]
    assert attempts[0].answer == "noted"
    assert post.receiver.received["/elsewhere"] == []


async def test_a_webhook_is_given_up_after_its_last_retry_within_four_hours(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.answers["/hook"] = [500] * 20
    post.deliver()
    await post.publish()
    began = post.clock.now()
    for count in range(1, 7):
        await post.attempted(count)
        await post.pass_until_due()
    await post.attempted(7)
    (delivery,) = await post.deliveries()
    assert delivery.state == DeliveryState.FAILED
    assert delivery.attempts == 7
    assert post.clock.now() - began < WINDOW


async def test_a_retry_that_comes_too_late_is_not_made(post: Post) -> None:
    """However late the first attempt is, for nobody delivered; a later one is not made late."""
    await post.endpoint("/hook")
    await post.publish()
    post.clock.move(2 * WINDOW)
    post.receiver.answers["/hook"] = [500]
    post.deliver()
    await post.attempted(1)
    assert await post.states() == ["pending"]
    post.clock.move(WINDOW + timedelta(seconds=1))
    await post.look()

    async def given_up() -> bool:
        return await post.states() == ["failed"]

    await until(given_up)
    (delivery,) = await post.deliveries()
    assert (delivery.attempts, delivery.failure) == (
        1,
        "The next attempt would have been too late.",
    )
    assert len(post.receiver.received["/hook"]) == 1


async def test_an_endpoint_without_success_for_five_days_is_disabled(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    post.receiver.answers["/hook"] = [500, 200, 500, 500]
    post.deliver()
    await post.publish()
    await post.attempted(1)
    assert (await post.stored(endpoint.id)).failing_since is not None
    await post.pass_until_due()
    await post.attempted(2)
    assert (await post.stored(endpoint.id)).failing_since is None, "one success resets the clock"

    await post.publish()
    await post.attempted(3)
    since = (await post.stored(endpoint.id)).failing_since
    assert since is not None
    await post.publish()
    post.clock.move(DISABLE_AFTER + timedelta(minutes=1))
    await post.look()
    await post.attempted(4)
    stored = await post.stored(endpoint.id)
    assert not stored.enabled
    assert stored.disabled_reason is not None
    assert "5 days" in stored.disabled_reason
    assert f"{since:%Y-%m-%d}" in stored.disabled_reason
    assert await post.publish() is None, "it gets nothing new"
    assert "pending" not in await post.states(), "what waited is given up"
    assert {one.failure for one in await post.deliveries()} >= {"The endpoint was disabled."}


async def test_a_callback_has_rules_of_its_own(post: Post) -> None:
    callback = Callback(f"{post.url}/done", "PUT", post.keyring.encrypt("s3cret"))
    post.receiver.answers["/done"] = [503, 200]
    post.deliver()
    await post.publish(EventType.BOT_COMPLETED, callback=callback)
    await post.attempted(1)
    (waiting,) = await post.deliveries()
    assert waiting.callback is not None
    assert waiting.callback["secret"] == callback.secret
    await post.pass_until_due()
    await post.attempted(2)
    first, second = post.receiver.received["/done"]
    assert first.method == "PUT"
    assert first.headers["x-mb-secret"] == "s3cret"
    assert "svix-signature" not in first.headers
    assert first.body == second.body

    post.receiver.answers["/done"] = [404]
    await post.publish(EventType.BOT_FAILED, callback=callback)
    await post.attempted(3)
    assert await post.states() == ["delivered", "failed"]
    for delivery in await post.deliveries():
        assert delivery.callback == {
            "url": callback.url,
            "method": "PUT",
            "secret": None,
        }, "forgotten when it is not needed any more"


async def test_a_callback_can_be_called_alone_and_under_a_new_id(post: Post) -> None:
    await post.endpoint("/hook")
    post.deliver()
    bot_id = new_id()
    await post.publish(EventType.BOT_COMPLETED, bot_id=bot_id)
    await until(lambda: len(post.receiver.received["/hook"]) == 1)
    callback = Callback(f"{post.url}/done", "POST", None)
    again = await post.publish(
        EventType.BOT_COMPLETED, bot_id=bot_id, callback=callback, to_endpoints=False
    )
    await until(lambda: len(post.receiver.received["/done"]) == 1)
    assert "x-mb-secret" not in post.receiver.received["/done"][0].headers
    assert len(post.receiver.received["/hook"]) == 1
    assert len({again, *(one.id for one in await post.messages())}) == 2
    twice = await post.publish(EventType.BOT_COMPLETED, bot_id=bot_id)
    await until(lambda: len(post.receiver.received["/hook"]) == 2)
    assert post.receiver.received["/hook"][1].id == str(twice)


async def test_private_addresses_are_refused_at_the_time_of_sending(post: Post) -> None:
    await post.endpoint("/hook")
    post.deliver(allow_private=False)
    await post.publish()
    (attempt,) = await post.attempted(1)
    assert attempt.status is None
    assert attempt.error
    assert post.receiver.received["/hook"] == []


async def test_a_long_answer_is_cut_and_a_strange_one_kept(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.texts["/hook"] = "\x00\x1b[2J" + "x" * 100_000
    post.deliver()
    await post.publish()
    (attempt,) = await post.attempted(1)
    assert attempt.answer is not None
    assert attempt.answer.startswith("\N{REPLACEMENT CHARACTER}\x1b[2J")
    assert len(attempt.answer) == 1024
    assert await post.states() == ["delivered"]


async def test_a_fault_of_ours_is_noted_and_no_mark_against_the_endpoint(post: Post) -> None:
    """A message that cannot be prepared is tried by the schedule and delays no other."""
    endpoint = await post.endpoint("/hook")
    bad = new_id()

    async def refresh(taken: Taken) -> dict[str, Any]:
        if taken.bot_id == bad:
            raise LookupError("no such bot")
        return taken.data

    post.deliver(refresh=refresh)
    await post.publish(bot_id=bad)
    await post.publish()
    attempts = await post.attempted(2)
    assert {one.status for one in attempts} == {None, 200}
    (fault,) = [one for one in attempts if one.status is None]
    assert fault.error == "This service could not prepare the message; its log tells why."
    assert sorted(await post.states()) == ["delivered", "pending"]
    assert (await post.stored(endpoint.id)).failing_since is None


async def test_ids_are_the_same_for_all_endpoints_and_secrets_are_not(post: Post) -> None:
    first, second = await post.endpoint("/a"), await post.endpoint("/b")
    assert first.secret != second.secret
    post.deliver()
    message_id = await post.publish()
    await post.attempted(2)
    ids = {UUID(post.receiver.received[path][0].id) for path in ("/a", "/b")}
    assert ids == {message_id}
    assert not post.receiver.verifies(post.receiver.received["/b"][0], first.secret)


async def test_stopping_finishes_what_is_under_way(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.hanging["/hook"] = asyncio.Event()
    post.deliver()
    await post.publish()
    await until(lambda: len(post.receiver.received["/hook"]) == 1)
    stopping = asyncio.create_task(post.stop_delivering())
    post.receiver.hanging["/hook"].set()
    await stopping
    assert await post.states() == ["delivered"]
