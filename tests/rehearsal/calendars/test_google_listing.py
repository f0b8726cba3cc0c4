"""Google's listings: what is in them, in which form, in which pages."""

from datetime import UTC, datetime

import pytest

from sitin.contract.calendars import ResponseStatus
from sitin.rehearsal.calendars import (
    Account,
    CalendarRehearsal,
    Conference,
    ConferenceState,
    EntryPoint,
    EventKind,
    Person,
)
from tests.rehearsal.calendars.asking import GoogleClient, reasons

EVENTS = "/calendars/primary/events"
WINDOW = {"timeMin": "2027-03-20T12:00:00Z", "timeMax": "2027-04-19T12:00:00Z"}


def ids(items: list[dict[str, object]]) -> list[object]:
    return [item["id"] for item in items]


async def test_an_instance_is_named_by_its_original_start(
    ada: Account, google: GoogleClient
) -> None:
    series = ada.primary.add("Standup", "2027-03-26T10:00", recurrence="FREQ=DAILY;COUNT=4")
    found = await google.events(singleEvents=True)
    assert ids(found) == [
        f"{series.id}_20270326T090000Z",
        f"{series.id}_20270327T090000Z",
        f"{series.id}_20270328T080000Z",
        f"{series.id}_20270329T080000Z",
    ]
    assert found[2]["start"] == {
        "dateTime": "2027-03-28T10:00:00+02:00",
        "timeZone": "Europe/Paris",
    }
    assert found[2]["originalStartTime"] == found[2]["start"]
    assert {item["recurringEventId"] for item in found} == {series.id}


async def test_a_moved_instance_keeps_its_id(ada: Account, google: GoogleClient) -> None:
    series = ada.primary.add("Standup", "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=3")
    ada.primary.move(series, "2027-03-30T15:00", on="2027-03-23")
    [moved] = [
        item
        for item in await google.events(singleEvents=True)
        if item["id"] == f"{series.id}_20270323T090000Z"
    ]
    assert moved["start"]["dateTime"] == "2027-03-30T15:00:00+02:00"
    assert moved["end"]["dateTime"] == "2027-03-30T15:30:00+02:00"
    assert moved["originalStartTime"]["dateTime"] == "2027-03-23T10:00:00+01:00"


async def test_whole_days_are_dates_with_an_exclusive_end(
    ada: Account, google: GoogleClient
) -> None:
    ada.primary.add("Fair", "2027-03-24", end="2027-03-26")
    series = ada.primary.add("Off", "2027-03-22", recurrence="FREQ=WEEKLY;COUNT=2")
    found = {item["id"]: item for item in await google.events(singleEvents=True)}
    [fair] = [item for item in found.values() if item["summary"] == "Fair"]
    assert (fair["start"], fair["end"]) == ({"date": "2027-03-24"}, {"date": "2027-03-26"})
    assert found[f"{series.id}_20270329"]["originalStartTime"] == {"date": "2027-03-29"}


async def test_without_single_events_a_series_is_its_rule_and_its_exceptions(
    ada: Account, google: GoogleClient
) -> None:
    rule = ["RRULE:FREQ=DAILY;COUNT=5", "EXDATE;TZID=Europe/Paris:20270325T100000"]
    series = ada.primary.add("Standup", "2027-03-22T10:00", recurrence=rule)
    ada.primary.edit(series, on="2027-03-23", title="Special")
    ada.primary.delete(series, on="2027-03-24")
    found = await google.events(**WINDOW)
    assert ids(found) == [
        series.id,
        f"{series.id}_20270323T090000Z",
        f"{series.id}_20270324T090000Z",
    ]
    assert found[0]["recurrence"] == rule
    assert found[1]["summary"] == "Special"
    assert set(found[2]) == {
        *("kind", "etag", "id", "status", "recurringEventId", "originalStartTime")
    }
    assert len(await google.events(singleEvents=True, **WINDOW)) == 3


async def test_the_window_ends_are_exclusive(ada: Account, google: GoogleClient) -> None:
    ada.primary.add("ends as it begins", "2027-03-22T09:00", end="2027-03-22T10:00", zone="UTC")
    ada.primary.add("begins as it ends", "2027-03-22T11:00", end="2027-03-22T12:00", zone="UTC")
    ada.primary.add("inside", "2027-03-22T10:59:59", zone="UTC")
    ada.primary.add("reaches in", "2027-03-22T09:00", end="2027-03-22T10:00:01", zone="UTC")
    window = {"timeMin": "2027-03-22T10:00:00Z", "timeMax": "2027-03-22T12:00:00+01:00"}
    for single in (True, False):
        found = await google.events(singleEvents=single, **window)
        assert {item["summary"] for item in found} == {"inside", "reaches in"}


async def test_deleted_events_are_listed_on_request_only(
    ada: Account, google: GoogleClient
) -> None:
    event = ada.primary.add("Off", "2027-03-22T10:00")
    series = ada.primary.add("Gone", "2027-03-22T11:00", recurrence="FREQ=DAILY;COUNT=2")
    ada.primary.delete(event)
    ada.primary.cancel(series)
    for single in (True, False):
        assert await google.events(singleEvents=single, **WINDOW) == []
    found = await google.events(singleEvents=True, showDeleted=True, **WINDOW)
    assert ids(found) == [
        event.id,
        f"{series.id}_20270322T100000Z",
        f"{series.id}_20270323T100000Z",
    ]
    assert {item["status"] for item in found} == {"cancelled"}
    assert not any("start" in item for item in found)
    found = await google.events(showDeleted=True, **WINDOW)
    assert ids(found) == [event.id, series.id]


async def test_what_meetings_are_about(ada: Account, google: GoogleClient) -> None:
    ada.primary.add(
        "Review",
        "2027-03-22T10:00",
        description="<a href='https://zoom.us/j/1'>join</a>",
        location="Room 5",
        organizer=Person("ben@example.com", "Ben"),
        attendees=[
            Person("ben@example.com", "Ben", ResponseStatus.ACCEPTED),
            Person("ada@example.com", response=ResponseStatus.DECLINED),
            Person("room@resource.calendar.google.com", resource=True),
            "chloe@example.com",
        ],
        conference=Conference(
            (
                EntryPoint("video", "https://meet.google.com/abc-defg-hij"),
                EntryPoint("phone", "tel:+33-1-87-40-00-00"),
            )
        ),
    )
    [shown] = await google.events()
    assert shown["hangoutLink"] == "https://meet.google.com/abc-defg-hij"
    points = shown["conferenceData"]["entryPoints"]
    assert [point["entryPointType"] for point in points] == ["video", "phone"]
    assert shown["organizer"] == {"email": "ben@example.com", "displayName": "Ben"}
    own = [one for one in shown["attendees"] if one.get("self")]
    assert own == [{"email": "ada@example.com", "self": True, "responseStatus": "declined"}]
    assert shown["status"] == "confirmed"
    [fewer] = await google.events(maxAttendees=2)
    assert fewer["attendees"] == own
    assert fewer["attendeesOmitted"] is True


async def test_a_pending_conference_leads_nowhere_until_it_is_made(
    ada: Account, google: GoogleClient
) -> None:
    event = ada.primary.add(
        "Soon", "2027-03-22T10:00", conference=Conference(state=ConferenceState.PENDING)
    )
    [shown] = await google.events()
    assert shown["conferenceData"]["createRequest"]["status"] == {"statusCode": "pending"}
    assert "entryPoints" not in shown["conferenceData"]
    ada.primary.finish_conference(event, "https://meet.google.com/abc-defg-hij")
    [shown] = await google.events()
    assert shown["hangoutLink"] == "https://meet.google.com/abc-defg-hij"


async def test_who_may_only_see_that_somebody_is_busy(cal: CalendarRehearsal, ada: Account) -> None:
    ben = cal.google.account("ben@example.com")
    ada.primary.add("Secret", "2027-03-22T10:00", private=True)
    ada.primary.add("Open", "2027-03-23T10:00", meeting_url="https://meet.google.com/a-b-c")
    async with GoogleClient(cal.google, ben) as client:
        for role, seen in (("reader", [None, "Open"]), ("freeBusyReader", [None, None])):
            ben.share(ada.primary, role)
            found = await client.events("ada@example.com")
            assert [item.get("summary") for item in found] == seen
            assert all("start" in item for item in found)
            assert [role for item in found if "hangoutLink" in item] == [
                "reader" for title in seen if title
            ]


async def test_sparse_events_leave_fields_out(ada: Account, google: GoogleClient) -> None:
    ada.primary.add(None, "2027-03-22T10:00", organizer=None)
    ada.primary.add("Birthday", "2027-03-23", kind=EventKind.BIRTHDAY)
    sparse, birthday = await google.events()
    assert not {"summary", "organizer", "attendees", "conferenceData"} & set(sparse)
    assert birthday["eventType"] == "birthday"


async def test_pages_may_be_short_empty_and_repeat_an_event(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    for hour in range(8, 18):
        ada.primary.add(f"{hour}", f"2027-03-22T{hour:02}:00")
    cal.google.paging.sizes = (0, 2)
    pages = await google.pages(maxResults=4)
    assert [len(page["items"]) for page in pages] == [0, 2, 4, 4]
    assert ["nextSyncToken" in page for page in pages] == [False, False, False, True]
    cal.google.paging.sizes = ()
    cal.google.paging.repeat = True
    told = ids(await google.events(maxResults=4))
    assert len(told) == 12
    assert len(set(told)) == 10


async def test_a_listing_is_read_as_it_was_when_it_began(
    ada: Account, google: GoogleClient
) -> None:
    first = ada.primary.add("1", "2027-03-22T10:00")
    second = ada.primary.add("2", "2027-03-22T11:00")
    page = await google.get(EVENTS, maxResults=1)
    ada.primary.edit(second, title="changed meanwhile")
    ada.primary.add("3", "2027-03-22T12:00")
    last = await google.get(EVENTS, maxResults=1, pageToken=page["nextPageToken"])
    assert ids(page["items"] + last["items"]) == [first.id, second.id]
    assert last["items"][0]["summary"] == "2"
    changes = await google.events(syncToken=last["nextSyncToken"])
    assert [item["summary"] for item in changes] == ["changed meanwhile", "3"]


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ({"timeMin": "2027-03-20T12:00:00"}, 400, "badRequest"),
        ({"timeMin": "2027-03-20"}, 400, "badRequest"),
        (
            {"timeMin": "2027-03-20T12:00:00Z", "timeMax": "2027-03-20T13:00:00+01:00"},
            400,
            "timeRangeEmpty",
        ),
        ({"maxResults": "0"}, 400, "invalid"),
        ({"orderBy": "startTime"}, 400, "invalid"),
        ({"orderBy": "title"}, 400, "invalid"),
        ({"pageToken": "made-up"}, 400, "invalid"),
        ({"singleEvents": "yes"}, 400, "invalid"),
        ({"updatedMin": "2027-01-01T00:00:00Z"}, 410, "updatedMinTooLongAgo"),
        ({"fields": "items(id"}, 400, "invalid"),
        ({"privateExtendedProperty": "a=b"}, 400, "invalid"),
    ],
)
async def test_a_query_that_cannot_be_answered_is_refused(
    google: GoogleClient, query: dict[str, str], status: int, reason: str
) -> None:
    assert reasons(await google.ask("GET", EVENTS, **query)) == (status, reason)


async def test_a_page_token_belongs_to_its_query(ada: Account, google: GoogleClient) -> None:
    ada.primary.add("1", "2027-03-22T10:00")
    ada.primary.add("2", "2027-03-22T11:00")
    page = await google.get(EVENTS, maxResults=1, singleEvents=True)
    token = page["nextPageToken"]
    assert reasons(await google.ask("GET", EVENTS, pageToken=token)) == (400, "invalid")


async def test_order_search_and_partial_answers(ada: Account, google: GoogleClient) -> None:
    late = ada.primary.add("Late plans", "2027-03-24T10:00")
    early = ada.primary.add("Early plans", "2027-03-22T10:00", ical_uid="shared@example.com")
    found = await google.events(singleEvents=True, orderBy="startTime")
    assert ids(found) == [early.id, late.id]
    assert ids(await google.events(q="late")) == [late.id]
    assert ids(await google.events(iCalUID="shared@example.com")) == [early.id]
    page = await google.get(EVENTS, fields="kind,items(id,start/timeZone)")
    assert page == {
        "kind": "calendar#events",
        "items": [
            {"id": late.id, "start": {"timeZone": "Europe/Paris"}},
            {"id": early.id, "start": {"timeZone": "Europe/Paris"}},
        ],
    }


async def test_times_come_in_the_zone_that_is_asked_for(ada: Account, google: GoogleClient) -> None:
    ada.primary.add("Call", "2027-03-22T10:00", zone="America/New_York")
    [shown] = await google.events()
    assert shown["start"] == {
        "dateTime": "2027-03-22T15:00:00+01:00",
        "timeZone": "America/New_York",
    }
    [shown] = await google.events(timeZone="Asia/Tokyo")
    assert shown["start"]["dateTime"] == "2027-03-22T23:00:00+09:00"


async def test_the_instances_of_one_series(ada: Account, google: GoogleClient) -> None:
    series = ada.primary.add("Standup", "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=5")
    ada.primary.delete(series, on="2027-03-24")
    path = f"{EVENTS}/{series.id}/instances"
    first = await google.get(path, maxResults=2)
    rest = await google.get(path, maxResults=2, pageToken=first["nextPageToken"])
    assert len(first["items"] + rest["items"]) == 4
    assert "nextSyncToken" not in rest
    found = await google.get(path, originalStart="2027-03-23T10:00:00+01:00")
    assert ids(found["items"]) == [f"{series.id}_20270323T090000Z"]
    found = await google.get(path, showDeleted=True, timeMin="2027-03-24T00:00:00Z")
    assert [item["status"] for item in found["items"]] == ["cancelled", "confirmed", "confirmed"]


async def test_an_event_is_got_by_its_id_even_when_it_is_deleted(
    ada: Account, google: GoogleClient
) -> None:
    series = ada.primary.add("Standup", "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=2")
    instance = f"{series.id}_20270323T090000Z"
    assert (await google.get(f"{EVENTS}/{instance}"))["start"]["dateTime"].startswith("2027-03-23")
    ada.primary.delete(series)
    assert (await google.get(f"{EVENTS}/{series.id}"))["status"] == "cancelled"
    assert (await google.get(f"{EVENTS}/{instance}"))["status"] == "cancelled"
    for unknown in ("nothing", f"{series.id}_20270324T090000Z", f"{series.id}_never"):
        answer = await google.ask("GET", f"{EVENTS}/{unknown}")
        assert reasons(answer) == (404, "notFound")


async def test_a_series_without_end_is_told_far_but_not_forever(
    ada: Account, google: GoogleClient
) -> None:
    weekly = ada.primary.add("Weekly", "2027-03-22T10:00", recurrence="FREQ=WEEKLY")
    hourly = ada.primary.add("Hourly", "2027-03-22T10:00", recurrence="FREQ=HOURLY")
    found = await google.events(singleEvents=True, maxResults=2500)
    starts = {
        series.id: [
            item["start"]["dateTime"] for item in found if item["recurringEventId"] == series.id
        ]
        for series in (weekly, hourly)
    }
    assert len(starts[weekly.id]) == len(starts[hourly.id]) == 730
    assert max(starts[weekly.id]) > "2040"
    window_end = datetime(2027, 4, 19, 12, tzinfo=UTC)
    assert datetime.fromisoformat(max(starts[hourly.id])) > window_end
