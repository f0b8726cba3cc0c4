"""Google's own client and an independent one against the rehearsal."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from gcal_sync.api import GoogleCalendarService
from gcal_sync.auth import AbstractAuth
from gcal_sync.sync import CalendarEventSyncManager, CalendarListSyncManager
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials
from googleapiclient import channel as google_channel
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from sitin.rehearsal.calendars import Account, CalendarRehearsal
from tests.fakes.receiver import Receiver
from tests.rehearsal.calendars.asking import GoogleClient
from tests.serving import serving

START = datetime(2027, 3, 20, 12, tzinfo=UTC)
END = datetime(2027, 4, 19, 12, tzinfo=UTC)


class OfficialClient:
    """Google's client with its bundled discovery document; it blocks, so it runs in a thread."""

    def __init__(self, cal: CalendarRehearsal, account: Account) -> None:
        credentials = Credentials(  # type: ignore[no-untyped-call]
            token=None,
            refresh_token=account.refresh_token,
            token_uri=cal.google.token_url,
            client_id=cal.google.client.id,
            client_secret=cal.google.client.secret,
        )
        self.service = build(
            "calendar",
            "v3",
            credentials=credentials,
            static_discovery=True,
            client_options={"api_endpoint": f"{cal.google.api_url}/calendar/v3/"},
        )

    async def do(self, request: Any) -> Any:
        return await asyncio.to_thread(request.execute)

    async def events(self, **query: Any) -> tuple[list[Any], Any]:
        """All items of a listing, by the client's own paging, and the last page."""
        resource = self.service.events()
        request, items, page = resource.list(calendarId="primary", **query), [], {}
        while request is not None:
            page = await self.do(request)
            items += page["items"]
            request = resource.list_next(request, page)
        return items, page


@pytest.fixture
async def official(cal: CalendarRehearsal, ada: Account) -> AsyncIterator[OfficialClient]:
    client = OfficialClient(cal, ada)
    yield client
    client.service.close()


class _Auth(AbstractAuth):
    def __init__(self, session: aiohttp.ClientSession, host: str, client: GoogleClient) -> None:
        super().__init__(session, host)
        self._client = client

    async def async_get_access_token(self) -> str:
        token: str = (await self._client.token()).json()["access_token"]
        return token


@pytest.fixture
async def independent(google: GoogleClient) -> AsyncIterator[GoogleCalendarService]:
    async with aiohttp.ClientSession() as session:
        host = f"{google.provider.api_url}/calendar/v3"
        yield GoogleCalendarService(_Auth(session, host, google))


async def test_googles_client_reads_all_pages_and_then_the_changes(
    cal: CalendarRehearsal, ada: Account, official: OfficialClient
) -> None:
    series = ada.primary.add("Standup", "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=7")
    cal.google.paging.sizes = (0, 3)
    items, page = await official.events(singleEvents=True, maxResults=2)
    assert len(items) == 7
    ada.primary.delete(series, on="2027-03-24")
    items, page = await official.events(singleEvents=True, syncToken=page["nextSyncToken"])
    assert [item["status"] for item in items].count("cancelled") == 1
    ada.primary.expire_sync()
    with pytest.raises(HttpError) as raised:
        await official.events(singleEvents=True, syncToken=page["nextSyncToken"])
    assert raised.value.status_code == 410
    assert raised.value.error_details[0]["reason"] == "fullSyncRequired"


async def test_googles_client_writes(official: OfficialClient) -> None:
    events = official.service.events()
    body = {
        "summary": "Standup",
        "start": {"dateTime": "2027-03-22T10:00:00", "timeZone": "Europe/Paris"},
        "end": {"dateTime": "2027-03-22T10:30:00", "timeZone": "Europe/Paris"},
        "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"],
        "conferenceData": {"createRequest": {"requestId": "r1"}},
    }
    made = await official.do(
        events.insert(calendarId="primary", body=body, conferenceDataVersion=1)
    )
    second = f"{made['id']}_20270323T090000Z"
    await official.do(
        events.patch(calendarId="primary", eventId=second, body={"summary": "Special"})
    )
    got = await official.do(events.get(calendarId="primary", eventId=second))
    assert got["summary"] == "Special"
    await official.do(events.delete(calendarId="primary", eventId=second))
    left = await official.do(events.instances(calendarId="primary", eventId=made["id"]))
    assert len(left["items"]) == 2


async def test_googles_client_lists_calendars(ada: Account, official: OfficialClient) -> None:
    team = ada.calendar("Team")
    calendars = official.service.calendarList()
    found = (await official.do(calendars.list()))["items"]
    assert [item["id"] for item in found] == ["ada@example.com", team.id]
    one = await official.do(calendars.get(calendarId=team.id))
    assert one["summary"] == "Team"
    resource = official.service.calendars()
    assert (await official.do(resource.get(calendarId=team.id)))["id"] == team.id


async def test_googles_client_opens_and_reads_and_stops_a_channel(
    cal: CalendarRehearsal, ada: Account, official: OfficialClient
) -> None:
    receiver = Receiver()
    async with serving(receiver) as url:
        made = google_channel.new_webhook_channel(f"{url}/push", token="s3cret")
        request = official.service.events().watch(calendarId="primary", body=made.body())
        made.update(await official.do(request))
        ada.primary.add("New", "2027-03-22T10:00")
        await cal.pushes.settled()
        told = [
            google_channel.notification_from_headers(made, one.headers)
            for one in receiver.received["/push"]
        ]
        assert sorted(one.state for one in told) == ["exists", "sync"]
        assert {one.resource_uri for one in told} == {made.resource_uri}
        stopped = official.service.channels().stop(body=made.body())
        await official.do(stopped)
        assert list(cal.google.channels) == []


async def test_googles_client_understands_a_revoked_grant(
    ada: Account, official: OfficialClient
) -> None:
    ada.revoke()
    with pytest.raises(RefreshError, match="Token has been expired or revoked"):
        await official.events()


async def test_googles_client_refreshes_a_dead_token_and_goes_on(
    ada: Account, official: OfficialClient
) -> None:
    await official.events()
    ada.expire_access()
    assert (await official.events())[0] == []


def _expected(ada: Account) -> list[tuple[str | None, object]]:
    return [
        (event.title, event.span.start)
        for event in ada.primary.occurrences(START, END)
        if not event.gone
    ]


async def _seen(manager: CalendarEventSyncManager, ada: Account) -> list[tuple[str, object]]:
    timeline = await manager.store_service.async_get_timeline(ada.primary.zone)
    return sorted(
        ((event.summary, event.start.value) for event in timeline.overlapping(START, END)),
        key=lambda one: (str(one[1]), one[0]),
    )


async def test_an_independent_client_expands_what_the_rehearsal_expands(
    cal: CalendarRehearsal, ada: Account, independent: GoogleCalendarService
) -> None:
    """It lists series as rules and does the recurrence itself."""
    daily = ada.primary.add("Daily", "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=9")
    ada.primary.add(
        "Every other",
        "2027-03-23T16:00",
        zone="America/New_York",
        recurrence="FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH",
    )
    ada.primary.add("Single", "2027-03-24T09:00")
    ada.primary.edit(daily, on="2027-03-24", title="Special")
    ada.primary.move(daily, "2027-03-25T17:00", on="2027-03-25")
    ada.primary.delete(daily, on="2027-03-26")
    cal.google.paging.sizes = (2, 0, 1)
    manager = CalendarEventSyncManager(independent, "primary")

    async def compare() -> None:
        await manager.run()
        expected = sorted(_expected(ada), key=lambda one: (str(one[1]), str(one[0])))
        assert await _seen(manager, ada) == expected

    await compare()
    ada.primary.split(daily, on="2027-03-28", title="Later")
    ada.primary.restore(daily, on="2027-03-26")
    await compare()
    ada.primary.expire_sync()
    ada.primary.delete(daily)
    await compare()
    statuses = [exchange.status for exchange in cal.google.asked("events.list")]
    assert statuses.count(410) == 1


async def test_an_independent_client_follows_the_calendar_list(
    ada: Account, independent: GoogleCalendarService
) -> None:
    manager = CalendarListSyncManager(independent)
    await manager.run()
    team = ada.calendar("Team")
    await manager.run()
    found = await manager.store_service.async_list_calendars()
    assert [one.id for one in found.calendars] == ["ada@example.com", team.id]
