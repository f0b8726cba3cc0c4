"""What is left of a bot's messages once its data is deleted."""

import asyncio
import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from sitin.contract.codes import CODE_TEXTS, EndReason
from sitin.kit.ids import new_id
from sitin.notifications.erasing import remains
from sitin.notifications.events import EventType
from sitin.notifications.models import Delivery
from sitin.notifications.service import Callback, erase, resend
from tests.documents import violations, webhook_schema
from tests.notifications.conftest import EXTRA, Post
from tests.notifications.payloads import NOW, about_bot
from tests.waiting import until

ABOUT_BOTS = [event for event in EventType if event.is_about_a_bot]
TABLES = ("notification_messages", "deliveries", "delivery_attempts")
SAID = ("Ada", "Grace", EXTRA["customer"], "job-of-ada", "s3cret")


async def erase_bot(post: Post, bot_id: UUID) -> None:
    async with post.database.transaction() as session:
        await erase(session, bot_id)


async def found(post: Post) -> set[str]:
    """What of the meeting is still in any row."""
    async with post.database.transaction() as session:
        rows = [
            row
            for table in TABLES
            for row in await session.scalars(text(f"SELECT to_jsonb(t)::text FROM {table} AS t"))
        ]
    return {word for word in SAID if any(word in row for row in rows)}


@pytest.mark.unit
@pytest.mark.parametrize("event", ABOUT_BOTS)
def test_what_remains_is_a_payload_of_its_schema(event: EventType) -> None:
    bot_id = new_id()
    data = about_bot(event, bot_id)
    left = remains(event, data)
    assert left.keys() == data.keys()
    assert left["bot_id"] == str(bot_id)
    assert not any(word in json.dumps(left, ensure_ascii=False) for word in SAID)
    payload = {"event": event, "data": left, "extra": None}
    assert violations(webhook_schema(event), payload) == []
    assert remains(event, left) == left


@pytest.mark.unit
def test_what_a_consumer_needs_remains() -> None:
    bot_id = new_id()
    completed = remains(EventType.BOT_COMPLETED, about_bot(EventType.BOT_COMPLETED, bot_id))
    assert completed["data_deleted"] is True
    assert (completed["duration_seconds"], completed["joined_at"]) == (12, NOW)
    assert (completed["participants"], completed["speakers"]) == (None, None)
    failed = remains(EventType.BOT_FAILED, about_bot(EventType.BOT_FAILED, bot_id))
    code = EndReason.CANNOT_JOIN_MEETING
    assert (failed["error_code"], failed["error_message"]) == (code, CODE_TEXTS[code].sentence)
    unknown = about_bot(EventType.BOT_FAILED, bot_id, error_code="BOT_ALREADY_EXISTS")
    assert "Ada" not in remains(EventType.BOT_FAILED, unknown)["error_message"]
    change = remains(EventType.BOT_STATUS_CHANGE, about_bot(EventType.BOT_STATUS_CHANGE, bot_id))
    assert change["status"] == {"code": "meeting_error", "created_at": NOW}


@pytest.mark.unit
@given(st.dictionaries(st.text(), st.text(min_size=1)))
def test_a_field_that_nobody_has_named_goes(further: dict[str, str]) -> None:
    known = about_bot(EventType.BOT_COMPLETED, new_id())
    left = remains(EventType.BOT_COMPLETED, further | known)
    assert all(left[name] is None for name in further.keys() - known.keys())


@pytest.mark.db
async def test_what_was_sent_is_emptied_and_other_bots_are_not(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.texts["/hook"] = post.receiver.texts["/done"] = "thanks for Ada"
    callback = Callback(f"{post.url}/done", "POST", post.keyring.encrypt("s3cret"))
    post.deliver()
    bot_id = new_id()
    for event in ABOUT_BOTS:
        final = event is not EventType.BOT_STATUS_CHANGE
        await post.publish(event, bot_id=bot_id, callback=callback if final else None)
    await post.attempted(5)
    assert await found(post) >= {"Ada", "Grace", EXTRA["customer"], "job-of-ada"}
    await erase_bot(post, bot_id)
    assert await found(post) == set()
    assert [one.status for one in await post.attempts()] == [200] * 5

    other = new_id()
    await post.publish(EventType.BOT_COMPLETED, bot_id=other)
    await post.attempted(6)
    await erase_bot(post, bot_id)
    assert "Ada" in await found(post)
    await erase_bot(post, new_id())
    assert len(await post.messages()) == 4


@pytest.mark.db
async def test_what_waits_is_delivered_with_what_is_still_true(post: Post) -> None:
    await post.endpoint("/hook")
    secret = post.keyring.encrypt("s3cret")
    callback = Callback(f"{post.url}/done", "POST", secret)
    bot_id = new_id()
    ids = [
        await post.publish(EventType.BOT_COMPLETED, bot_id=bot_id, callback=callback),
        await post.publish(EventType.BOT_FAILED, bot_id=bot_id, callback=callback),
        await post.publish(bot_id=bot_id),
    ]
    await erase_bot(post, bot_id)
    assert await found(post) == set()
    post.deliver()
    await post.attempted(5)
    assert await post.states() == ["delivered"] * 5
    assert {UUID(one.id) for one in post.receiver.received["/hook"]} == set(ids)
    sent = [one.payload for path in ("/hook", "/done") for one in post.receiver.received[path]]
    assert len(sent) == 5
    assert all(payload["extra"] is None for payload in sent)
    assert not any(word in json.dumps(sent, ensure_ascii=False) for word in SAID)
    assert {one["data"].get("data_deleted") for one in sent} == {True, None}
    for received in post.receiver.received["/done"]:
        assert received.headers["x-mb-secret"] == "s3cret", "it still proves who calls"
    for delivery in await post.deliveries():
        assert delivery.callback is None or delivery.callback["secret"] is None

    async with post.database.transaction() as session:
        assert ids[0] is not None
        await resend(session, message_id=ids[0], at=post.clock.now())
    await post.attempted(6)
    assert post.receiver.received["/hook"][-1].data["data_deleted"] is True


@pytest.mark.db
async def test_an_answer_that_comes_after_the_erasure_is_not_kept(post: Post) -> None:
    await post.endpoint("/hook")
    post.receiver.texts["/hook"] = "thanks for Ada"
    post.receiver.hanging["/hook"] = asyncio.Event()
    post.deliver()
    bot_id = new_id()
    await post.publish(bot_id=bot_id)
    await until(lambda: len(post.receiver.received["/hook"]) == 1)
    await erase_bot(post, bot_id)
    post.receiver.hanging["/hook"].set()
    (attempt,) = await post.attempted(1)
    assert (attempt.status, attempt.answer) == (200, None)


@pytest.mark.db
async def test_an_answer_that_comes_during_the_erasure_is_not_kept(post: Post) -> None:
    """The erasure has not ended when the attempt is noted: whichever is first, nothing stays."""
    await post.endpoint("/hook")
    post.receiver.texts["/hook"] = "thanks for Ada"
    post.receiver.hanging["/hook"] = asyncio.Event()
    post.deliver()
    bot_id = new_id()
    await post.publish(bot_id=bot_id)
    await until(lambda: len(post.receiver.received["/hook"]) == 1)
    async with post.database.transaction() as session:
        await erase(session, bot_id)
        post.receiver.hanging["/hook"].set()
        await post.waiting_for_locks()
    await post.attempted(1)
    assert await found(post) == set()

    # The other way round: the attempt is being noted when the erasure begins.
    post.receiver.hanging["/hook"] = asyncio.Event()
    second = new_id()
    await post.publish(bot_id=second)
    await until(lambda: len(post.receiver.received["/hook"]) == 2)
    async with post.database.transaction() as session:
        await session.execute(select(Delivery.id).with_for_update())
        post.receiver.hanging["/hook"].set()
        await post.waiting_for_locks()
        erasing = asyncio.create_task(erase_bot(post, second))
        await post.waiting_for_locks(2)
    await erasing
    await post.attempted(2)
    assert await found(post) == set()
