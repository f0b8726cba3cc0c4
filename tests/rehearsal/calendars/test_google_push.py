"""Google's channels and their notifications, at a receiver on this machine."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from sitin.rehearsal.calendars import Account, CalendarRehearsal
from tests.fakes.receiver import Received, Receiver
from tests.rehearsal.calendars.asking import GoogleClient, reasons
from tests.rehearsal.calendars.conftest import NOW
from tests.serving import serving

WATCH = "/calendars/primary/events/watch"


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def address(receiver: Receiver) -> AsyncIterator[str]:
    async with serving(receiver) as url:
        yield f"{url}/push"


async def watch(client: GoogleClient, to: str, **changes: Any) -> Any:
    body = {"id": "channel-1", "type": "web_hook", "address": to, "token": "s3cret"}
    return await client.ask("POST", WATCH, json={**body, **changes})


def states(received: list[Received]) -> list[tuple[str, str]]:
    return [
        (one.headers["x-goog-channel-id"], one.headers["x-goog-resource-state"]) for one in received
    ]


async def test_a_change_is_told_with_headers_and_an_empty_body(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient, receiver: Receiver, address: str
) -> None:
    answer = await watch(google, address)
    channel = answer.json()
    assert channel == {
        "kind": "api#channel",
        "id": "channel-1",
        "resourceId": channel["resourceId"],
        "resourceUri": channel["resourceUri"],
        "token": "s3cret",
        "expiration": str(int((NOW + timedelta(days=7)).timestamp() * 1000)),
    }
    await cal.pushes.settled()
    ada.primary.add("New", "2027-03-22T10:00")
    await cal.pushes.settled()
    ada.primary.add("Newer", "2027-03-22T11:00")
    await cal.pushes.settled()
    received = receiver.received["/push"]
    assert states(received) == [("channel-1", state) for state in ("sync", "exists", "exists")]
    assert {one.body for one in received} == {b""}
    numbers = [int(one.headers["x-goog-message-number"]) for one in received]
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))
    headers = received[1].headers
    assert headers["x-goog-channel-token"] == "s3cret"
    assert headers["x-goog-resource-id"] == channel["resourceId"]
    assert headers["x-goog-resource-uri"] == channel["resourceUri"]
    expiry = parsedate_to_datetime(headers["x-goog-channel-expiration"])
    assert expiry == NOW + timedelta(days=7)


async def test_the_first_notification_may_come_before_the_answer(
    cal: CalendarRehearsal, google: GoogleClient, receiver: Receiver, address: str
) -> None:
    cal.google.sync_before_answer = True
    await watch(google, address)
    assert states(receiver.received["/push"]) == [("channel-1", "sync")]


async def test_only_the_watched_calendar_is_told_of(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient, receiver: Receiver, address: str
) -> None:
    await watch(google, address)
    ada.calendar("Team").add("Elsewhere", "2027-03-22T10:00")
    await cal.pushes.settled()
    assert states(receiver.received["/push"]) == [("channel-1", "sync")]


async def test_changes_made_together_are_told_once(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient, receiver: Receiver, address: str
) -> None:
    await watch(google, address)
    with ada.primary.batch():
        for hour in range(5):
            ada.primary.add(f"{hour}", f"2027-03-22T{hour:02}:00")
    await cal.pushes.settled()
    assert len(receiver.received["/push"]) == 2


async def test_a_channel_ends_when_it_is_stopped_or_expires(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient, receiver: Receiver, address: str
) -> None:
    first = (await watch(google, address)).json()
    await watch(google, address, id="channel-2", params={"ttl": "60"})
    await cal.pushes.settled()
    receiver.received.clear()
    stop = {"id": "channel-1", "resourceId": first["resourceId"]}
    answer = await google.ask("POST", "/channels/stop", json=stop)
    assert (answer.status_code, answer.content) == (204, b"")
    ada.primary.add("New", "2027-03-22T10:00")
    await cal.pushes.settled()
    assert states(receiver.received["/push"]) == [("channel-2", "exists")]
    cal.clock.move(timedelta(seconds=60))
    ada.primary.add("Newer", "2027-03-22T11:00")
    await cal.pushes.settled()
    assert len(receiver.received["/push"]) == 1
    again = await google.ask("POST", "/channels/stop", json=stop)
    assert reasons(again) == (404, "notFound")


async def test_only_who_opened_a_channel_can_stop_it(
    cal: CalendarRehearsal, google: GoogleClient, address: str
) -> None:
    channel = (await watch(google, address)).json()
    body = {"id": channel["id"], "resourceId": channel["resourceId"]}
    ben = cal.google.account("ben@example.com")
    async with GoogleClient(cal.google, ben) as other:
        refused = await other.ask("POST", "/channels/stop", json=body)
        assert reasons(refused) == (404, "notFound")
    wrong = await google.ask("POST", "/channels/stop", json={**body, "resourceId": "x"})
    assert reasons(wrong) == (404, "notFound")
    missing = await google.ask("POST", "/channels/stop", json={"id": "channel-1"})
    assert reasons(missing) == (400, "required")
    assert (await google.ask("POST", "/channels/stop", json=body)).status_code == 204


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ({"params": {"ttl": "3600"}}, timedelta(hours=1)),
        (
            {"expiration": str(int((NOW + timedelta(hours=2)).timestamp() * 1000))},
            timedelta(hours=2),
        ),
        ({"expiration": float((NOW + timedelta(hours=2)).timestamp() * 1000)}, timedelta(hours=2)),
        ({"params": {"ttl": "99999999"}}, timedelta(days=7)),
    ],
)
async def test_the_provider_decides_how_long_a_channel_lives(
    google: GoogleClient, address: str, asked: dict[str, Any], granted: timedelta
) -> None:
    expiration = (await watch(google, address, **asked)).json()["expiration"]
    assert expiration == str(int((NOW + granted).timestamp() * 1000))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "required"),
        ({"id": "x" * 65}, "invalid"),
        ({"token": "x" * 257}, "invalid"),
        ({"type": "email"}, "push.channelTypeNotSupported"),
        ({"address": None}, "required"),
        ({"address": "http://example.com/push"}, "push.webhookUrlNotHttps"),
        ({"expiration": "soon"}, "invalid"),
        ({"expiration": "1000"}, "invalid"),
        ({"params": {"ttl": "long"}}, "invalid"),
    ],
)
async def test_a_channel_that_cannot_be_opened_is_refused(
    google: GoogleClient, address: str, changes: dict[str, Any], reason: str
) -> None:
    assert reasons(await watch(google, address, **changes)) == (400, reason)


async def test_an_id_is_used_once(google: GoogleClient, address: str) -> None:
    channel = (await watch(google, address)).json()
    assert reasons(await watch(google, address)) == (400, "channelIdNotUnique")
    body = {"id": channel["id"], "resourceId": channel["resourceId"]}
    await google.ask("POST", "/channels/stop", json=body)
    assert reasons(await watch(google, address)) == (400, "channelIdNotUnique")


async def test_some_calendars_are_not_pushed(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient, address: str
) -> None:
    ada.primary.pushes = False
    refused = await watch(google, address)
    assert reasons(refused) == (400, "pushNotSupportedForRequestedResource")
    ada.primary.pushes = True
    cal.google.channels.only_https = True
    assert reasons(await watch(google, address)) == (400, "push.webhookUrlNotHttps")


async def test_notifications_are_lost_repeated_and_reordered(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient, receiver: Receiver, address: str
) -> None:
    await watch(google, address)
    await cal.pushes.settled()
    receiver.received.clear()
    cal.pushes.drop(1)
    ada.primary.add("lost", "2027-03-22T10:00")
    cal.pushes.duplicate(3)
    ada.primary.add("thrice", "2027-03-22T11:00")
    await cal.pushes.settled()
    numbers = [one.headers["x-goog-message-number"] for one in receiver.received["/push"]]
    assert len(numbers) == 3
    assert len(set(numbers)) == 1
    cal.pushes.duplicate(1)
    cal.pushes.hold()
    for hour in range(3):
        ada.primary.add(f"{hour}", f"2027-03-23T{hour:02}:00")
    assert cal.pushes.held == 3
    assert len(receiver.received["/push"]) == 3
    assert cal.pushes.release(order="reversed") == 3
    await cal.pushes.settled()
    late = [int(one.headers["x-goog-message-number"]) for one in receiver.received["/push"][3:]]
    assert late == sorted(late, reverse=True)
    assert cal.pushes.dropped == 1


async def test_notifications_come_late(
    cal: CalendarRehearsal, google: GoogleClient, receiver: Receiver, address: str
) -> None:
    cal.pushes.delay(0.2)
    loop = asyncio.get_running_loop()
    before = loop.time()
    await watch(google, address)
    await cal.pushes.settled()
    assert len(receiver.received["/push"]) == 1
    assert loop.time() - before >= 0.2


@pytest.mark.parametrize(
    ("answers", "deliveries"),
    [([503, 500, 200], 3), ([404], 1), ([302], 1), ([202], 1), ([502, 400], 2)],
)
async def test_which_answers_have_a_notification_sent_again(
    cal: CalendarRehearsal,
    google: GoogleClient,
    receiver: Receiver,
    address: str,
    answers: list[int],
    deliveries: int,
) -> None:
    cal.pushes.retry_delays = (0.0, 0.0, 0.0)
    receiver.answers["/push"] = list(answers)
    await watch(google, address)
    await cal.pushes.settled()
    assert len(receiver.received["/push"]) == deliveries
    assert [one.status for one in cal.pushes.log] == answers[:deliveries]


async def test_an_address_where_nobody_listens_is_noted(
    cal: CalendarRehearsal, google: GoogleClient
) -> None:
    await watch(google, "http://127.0.0.1:9/push")
    await cal.pushes.settled()
    [attempt] = cal.pushes.log
    assert (attempt.subscriptions, attempt.status) == (("channel-1",), None)
    assert attempt.error
