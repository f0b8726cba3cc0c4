"""A team's endpoints: what they want, their secrets, and what a disabled one gets."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from sitin.kit.ids import new_id
from sitin.notifications.endpoints import (
    OVERLAP,
    Changes,
    change_endpoint,
    delete_endpoint,
    list_endpoints,
    rotate_secret,
)
from sitin.notifications.errors import (
    InvalidNameError,
    UnknownEndpointError,
    UnknownEventError,
)
from sitin.notifications.events import EventType
from sitin.notifications.models import WebhookSecret
from sitin.notifications.tasks import Housekeeping
from tests.notifications.conftest import Post
from tests.waiting import until

pytestmark = pytest.mark.db


async def change(post: Post, endpoint_id: UUID, **changes: object) -> None:
    async with post.database.transaction() as session:
        await change_endpoint(session, endpoint_id, Changes(**changes))  # type: ignore[arg-type]


async def rotate(post: Post, endpoint_id: UUID, overlap: timedelta = OVERLAP) -> str:
    async with post.database.transaction() as session:
        return await rotate_secret(
            session, post.keyring, endpoint_id, overlap=overlap, now=post.clock.now()
        )


async def secrets(post: Post) -> Sequence[str]:
    """What is stored of secrets, newest first, decrypted."""
    async with post.database.transaction() as session:
        stored = await session.scalars(
            select(WebhookSecret.secret).order_by(WebhookSecret.id.desc())
        )
        return [post.keyring.decrypt(one) for one in stored]


async def test_endpoints_get_the_events_they_want(post: Post) -> None:
    await post.endpoint("/all")
    ends = await post.endpoint("/ends", ["bot.completed", "bot.failed"])
    await post.endpoint("/theirs", team_id=await post.team())
    post.deliver()
    await post.publish(EventType.BOT_STATUS_CHANGE)
    await post.publish(EventType.BOT_COMPLETED)
    await until(lambda: len(post.receiver.received["/all"]) == 2)
    await until(lambda: len(post.receiver.received["/ends"]) == 1)
    assert post.receiver.received["/theirs"] == []

    await change(post, ends.id, events=["bot.status_change"])
    await post.publish(EventType.BOT_STATUS_CHANGE)
    await post.publish(EventType.BOT_COMPLETED)
    await change(post, ends.id, events=[])
    await post.publish(EventType.BOT_COMPLETED)
    await until(lambda: len(post.receiver.received["/ends"]) == 3)
    events = [one.payload["event"] for one in post.receiver.received["/ends"]]
    assert sorted(events) == ["bot.completed", "bot.completed", "bot.status_change"]


async def test_what_makes_no_sense_is_refused(post: Post) -> None:
    with pytest.raises(UnknownEventError, match=r"bot\.done.*calendar\.event_created"):
        await post.endpoint("/x", ["bot.done"])
    endpoint = await post.endpoint("/x")
    with pytest.raises(UnknownEventError):
        await change(post, endpoint.id, events=["bot.completed", ""])
    for name in ("", "x" * 256, "a\nb", "a\x00b", "   ", "\u200b", "\u3164 "):
        with pytest.raises(InvalidNameError, match="1 to 255 characters"):
            await change(post, endpoint.id, name=name)
    nobody = new_id()
    with pytest.raises(UnknownEndpointError, match=str(nobody)):
        await change(post, nobody, name="x")
    with pytest.raises(UnknownEndpointError):
        await rotate(post, nobody)
    stored = await post.stored(endpoint.id)
    assert (stored.name, stored.events) == ("127.0.0.1", [])


async def test_secrets_are_stored_encrypted(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    async with post.database.transaction() as session:
        (stored,) = await session.scalars(select(WebhookSecret.secret))
    assert endpoint.secret.startswith("whsec_")
    assert endpoint.secret not in stored
    assert await secrets(post) == [endpoint.secret]


async def test_while_a_rotation_overlaps_both_secrets_sign_newest_first(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    post.deliver()
    new = await rotate(post, endpoint.id)
    await post.publish()
    await until(lambda: len(post.receiver.received["/hook"]) == 1)
    (received,) = post.receiver.received["/hook"]
    assert post.receiver.verifies(received, new)
    assert post.receiver.verifies(received, endpoint.secret)
    first, second = received.headers["svix-signature"].split(" ")
    for signature, secret in ((first, new), (second, endpoint.secret)):
        received.headers["svix-signature"] = signature
        assert post.receiver.verifies(received, secret)

    post.clock.move(OVERLAP)
    post.receiver.secrets["/hook"] = new
    await post.publish()
    await until(lambda: len(post.receiver.received["/hook"]) == 2)
    assert not post.receiver.verifies(post.receiver.received["/hook"][1], endpoint.secret)


async def test_an_old_secret_is_forgotten_after_its_overlap(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    first = await rotate(post, endpoint.id, timedelta(hours=1))
    second = await rotate(post, endpoint.id, timedelta(hours=2))
    assert await secrets(post) == [second, first, endpoint.secret]
    housekeeping = Housekeeping(
        database=post.database, clock=post.clock, retention=timedelta(days=30)
    )
    post.clock.move(timedelta(hours=1))
    await housekeeping.forget_secrets()
    assert await secrets(post) == [second, first]
    third = await rotate(post, endpoint.id, timedelta(0))
    assert await secrets(post) == [third], "no old secret outlives the overlap of a rotation"
    await housekeeping.forget_secrets()
    assert await secrets(post) == [third]


async def test_a_disabled_endpoint_gets_nothing_and_nothing_waits_for_it(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    await post.publish()
    await change(post, endpoint.id, enabled=False)
    assert await post.publish() is None
    await change(post, endpoint.id, enabled=True)
    post.deliver()
    await post.publish()
    await until(lambda: len(post.receiver.received["/hook"]) == 1)
    waiting, sent = await post.deliveries()
    assert (waiting.state, waiting.failure, waiting.attempts) == (
        "failed",
        "The endpoint was disabled.",
        0,
    )
    assert str(sent.message_id) == post.receiver.received["/hook"][0].id


async def test_what_was_published_at_the_moment_of_disabling_is_given_up_too(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    async with post.database.transaction() as session:
        # Not committed yet, so whoever publishes now does not see it.
        await change_endpoint(session, endpoint.id, Changes(enabled=False))
        await post.publish()
    assert await post.states() == ["pending"]
    post.deliver()

    async def given_up() -> bool:
        return await post.states() == ["failed"]

    await until(given_up)
    (delivery,) = await post.deliveries()
    assert (delivery.failure, delivery.attempts) == ("The endpoint was disabled.", 0)
    assert post.receiver.received["/hook"] == []


async def test_a_success_that_was_under_way_is_one(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    post.receiver.hanging["/hook"] = asyncio.Event()
    post.deliver()
    await post.publish()
    await until(lambda: len(post.receiver.received["/hook"]) == 1)
    await change(post, endpoint.id, enabled=False)
    assert await post.states() == ["failed"]
    post.receiver.hanging["/hook"].set()
    await post.attempted(1)
    assert await post.states() == ["delivered"]


async def test_enabling_starts_the_clock_anew(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    post.receiver.answers["/hook"] = [500] * 10
    post.deliver()
    await post.publish()
    await post.attempted(1)
    post.clock.move(timedelta(days=6))
    await change(post, endpoint.id, enabled=True)
    assert (await post.stored(endpoint.id)).failing_since is None
    await post.publish()
    await post.attempted(2)
    stored = await post.stored(endpoint.id)
    assert stored.enabled
    assert stored.disabled_reason is None
    assert stored.failing_since is not None


async def test_what_waits_goes_to_the_new_address(post: Post) -> None:
    endpoint = await post.endpoint("/old")
    post.receiver.secrets["/new"] = endpoint.secret
    post.receiver.answers["/old"] = [500]
    post.deliver()
    await post.publish()
    await post.attempted(1)
    await change(post, endpoint.id, url=f"{post.url}/new", name="Nouveau")
    await post.pass_until_due()
    await until(lambda: len(post.receiver.received["/new"]) == 1)
    assert post.receiver.received["/new"][0].id == post.receiver.received["/old"][0].id


async def test_a_deleted_endpoint_is_gone_but_for_its_log(post: Post) -> None:
    endpoint = await post.endpoint("/hook")
    kept = await post.endpoint("/kept")
    await post.publish()
    async with post.database.transaction() as session:
        await delete_endpoint(session, endpoint.id, now=post.clock.now())
    post.deliver()
    await post.publish()
    await until(lambda: len(post.receiver.received["/kept"]) == 2)
    assert post.receiver.received["/hook"] == []
    assert await secrets(post) == [kept.secret]
    async with post.database.transaction() as session:
        listed = await list_endpoints(session, post.team_id, now=post.clock.now())
    assert [one.endpoint.id for one in listed] == [kept.id]
    with pytest.raises(UnknownEndpointError):
        await change(post, endpoint.id, enabled=True)
    with pytest.raises(UnknownEndpointError):
        await rotate(post, endpoint.id)


async def test_the_list_tells_until_when_an_old_secret_signs(post: Post) -> None:
    first, second = await post.endpoint("/a"), await post.endpoint("/b")
    await post.endpoint("/theirs", team_id=await post.team())
    await rotate(post, second.id)
    async with post.database.transaction() as session:
        listed = await list_endpoints(session, post.team_id, now=post.clock.now())
    assert [(one.endpoint.id, one.overlap_until) for one in listed] == [
        (first.id, None),
        (second.id, post.clock.now() + OVERLAP),
    ]
