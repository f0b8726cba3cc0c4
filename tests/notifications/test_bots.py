"""Real bots' events on their way: payloads of their schema, true when they are sent."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from sitin.bots.models import Bot
from sitin.bots.refreshing import FreshPayloads
from sitin.contract.codes import BotStatus
from sitin.kit.clock import iso
from sitin.notifications.endpoints import create_endpoint
from sitin.notifications.service import erase, resend
from tests.bots.conftest import House, house
from tests.fakes.receiver import Received
from tests.notifications.conftest import Post
from tests.waiting import until

__all__ = ["house"]

pytestmark = pytest.mark.db

LINKS = ("video", "audio", "diarization")


async def listen(post: Post, house: House) -> None:
    """Give the house's team an endpoint, and deliver."""
    async with post.database.transaction() as session:
        endpoint = await create_endpoint(
            session,
            post.keyring,
            team_id=house.caller.team_id,
            url=f"{post.url}/hook",
            events=[],
        )
    post.receiver.secrets["/hook"] = endpoint.secret
    # The house's clock is the machine's; ours is beyond all that happens in a test.
    post.clock.move(timedelta(hours=1))
    post.deliver(refresh=FreshPayloads(database=post.database, bots=house.bots, clock=post.clock))


def ends(post: Post, path: str) -> list[Received]:
    return [
        one
        for one in post.receiver.received[path]
        if one.payload["event"] in ("bot.completed", "bot.failed")
    ]


def unsigned(one: Received) -> dict[str, Any]:
    """Return the payload without its links' signatures: each sending makes new ones."""
    bare = {name: one.data[name].partition("?")[0] for name in LINKS}
    return {**one.payload, "data": {**one.data, **bare}}


async def test_a_bot_reports_to_webhook_and_callback(post: Post, house: House) -> None:
    await listen(post, house)
    host = house.host()
    house.work(host)
    bot_id = await house.create(
        callback_enabled=True,
        callback_config={"url": "https://customer.example/done"},
        extra={"order": 7},
    )
    async with post.database.transaction() as session:
        await session.execute(
            update(Bot).where(Bot.id == bot_id).values(callback_url=f"{post.url}/done")
        )
    runner = await host.the(bot_id)
    await runner.join_and_record()
    await runner.end()
    await house.reaches(bot_id, BotStatus.COMPLETED)
    await until(lambda: bool(ends(post, "/hook") and ends(post, "/done")))
    await until(lambda: len(post.receiver.received["/hook"]) == 8)
    codes = {
        one.data["status"]["code"]
        for one in post.receiver.received["/hook"]
        if one not in ends(post, "/hook")
    }
    assert {"queued", "in_call_recording", "completed"} <= codes
    (completed,), (called,) = ends(post, "/hook"), ends(post, "/done")
    assert unsigned(called) == unsigned(completed)
    assert completed.payload["extra"] == {"order": 7}
    assert completed.data["participants"] == ["Ada", "Grace"]
    assert completed.data["sent_at"] == iso(post.clock.now())
    assert all(completed.data[name] for name in LINKS)

    await post.answered()
    post.clock.move(timedelta(hours=5))
    async with post.database.transaction() as session:
        (message,) = [one for one in await post.messages() if one.event == "bot.completed"]
        await resend(session, message_id=message.id, at=post.clock.now())
    await until(lambda: len(ends(post, "/hook")) == 2)
    # What still waits for its answer is sent now; only what has been answered is sent anew.
    await post.answered()
    again = ends(post, "/hook")[1]
    assert again.id == completed.id
    assert again.data["sent_at"] == iso(post.clock.now())
    assert all(again.data[name] for name in LINKS)

    async with post.database.transaction() as session:
        await session.execute(update(Bot).where(Bot.id == bot_id).values(artifacts_deleted=True))
        await erase(session, bot_id)
        await resend(session, message_id=message.id, at=post.clock.now())
    await until(lambda: len(ends(post, "/hook")) == 3)
    last = ends(post, "/hook")[2]
    assert last.id == completed.id
    assert last.data["data_deleted"] is True
    assert last.payload["extra"] is None
    assert [last.data[name] for name in (*LINKS, "participants")] == [None] * 4
    assert last.data["duration_seconds"] == completed.data["duration_seconds"]


async def test_a_bot_that_fails_says_why(post: Post, house: House) -> None:
    await listen(post, house)
    host = house.host()
    house.work(host)
    bot_id = await house.create(streaming_enabled=True)
    await house.reaches(bot_id, BotStatus.FAILED)
    await until(lambda: bool(ends(post, "/hook")))
    (failed,) = ends(post, "/hook")
    assert failed.data["error_code"] == "STREAMING_SETUP_FAILED"
    assert failed.data["error_message"].endswith(".")
