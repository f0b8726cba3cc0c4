"""Events written through Google's API."""

from typing import Any

import pytest

from sitin.rehearsal.calendars import Account, CalendarRehearsal
from tests.rehearsal.calendars.asking import GoogleClient, reasons

EVENTS = "/calendars/primary/events"
SLOT = {
    "start": {"dateTime": "2027-03-22T10:00:00+01:00"},
    "end": {"dateTime": "2027-03-22T11:00:00+01:00"},
}
SERIES = {
    "summary": "Standup",
    "start": {"dateTime": "2027-03-22T10:00:00", "timeZone": "Europe/Paris"},
    "end": {"dateTime": "2027-03-22T10:15:00", "timeZone": "Europe/Paris"},
    "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"],
}


async def insert(client: GoogleClient, body: dict[str, Any], **query: Any) -> dict[str, Any]:
    answer = await client.ask("POST", EVENTS, json=body, **query)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def patch(client: GoogleClient, event_id: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.ask("PATCH", f"{EVENTS}/{event_id}", json=body)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


async def test_an_inserted_event_is_there(google: GoogleClient) -> None:
    body = {
        **SLOT,
        "id": "abcdefgh0123",
        "summary": "Review",
        "description": "all of it",
        "location": "Room 5",
        "attendees": [{"email": "ben@example.com", "responseStatus": "accepted"}],
        "visibility": "private",
        "transparency": "transparent",
    }
    made = await insert(google, body)
    [listed] = await google.events()
    assert listed == made
    assert made["organizer"] == {"email": "ada@example.com", "self": True}
    assert {name: made[name] for name in ("id", "summary", "description", "location")} == {
        name: body[name] for name in ("id", "summary", "description", "location")
    }
    assert made["transparency"] == "transparent"
    again = await google.ask("POST", EVENTS, json=body)
    assert reasons(again) == (409, "duplicate")


async def test_a_conference_is_made_at_once_or_later(
    cal: CalendarRehearsal, google: GoogleClient
) -> None:
    request = {"requestId": "r1", "conferenceSolutionKey": {"type": "hangoutsMeet"}}
    body = {**SLOT, "conferenceData": {"createRequest": request}}
    assert "conferenceData" not in await insert(google, body)
    made = await insert(google, body, conferenceDataVersion=1)
    assert made["hangoutLink"].startswith("https://meet.google.com/")
    cal.google.conferences_pending = True
    made = await insert(google, body, conferenceDataVersion=1)
    status = made["conferenceData"]["createRequest"]["status"]
    assert status == {"statusCode": "pending"}


async def test_a_patch_changes_what_it_names(google: GoogleClient) -> None:
    made = await insert(google, {**SLOT, "summary": "Before", "location": "Room 5"})
    changed = await patch(google, made["id"], {"summary": "After", "location": None})
    assert changed["summary"] == "After"
    assert "location" not in changed
    assert changed["start"] == made["start"]
    assert changed["etag"] != made["etag"]
    later = {"end": {"dateTime": "2027-03-22T12:00:00+01:00"}}
    changed = await patch(google, made["id"], later)
    assert changed["end"]["dateTime"] == "2027-03-22T12:00:00+01:00"
    unchanged = await patch(google, made["id"], {})
    assert unchanged["etag"] == changed["etag"]


async def test_a_series_keeps_its_zone_when_its_time_is_patched(google: GoogleClient) -> None:
    made = await insert(google, SERIES)
    times = {
        "start": {"dateTime": "2027-03-22T11:00:00"},
        "end": {"dateTime": "2027-03-22T11:15:00"},
    }
    changed = await patch(google, made["id"], times)
    assert changed["start"] == {
        "dateTime": "2027-03-22T11:00:00+01:00",
        "timeZone": "Europe/Paris",
    }


async def test_a_patched_instance_becomes_an_exception(google: GoogleClient) -> None:
    made = await insert(google, SERIES)
    instance = f"{made['id']}_20270323T090000Z"
    changed = await patch(google, instance, {"summary": "Special"})
    assert (changed["id"], changed["recurringEventId"]) == (instance, made["id"])
    assert changed["start"] == changed["originalStartTime"]
    stored = await google.events()
    assert [item["id"] for item in stored] == [made["id"], instance]


async def test_timed_and_whole_day_turn_into_each_other(google: GoogleClient) -> None:
    made = await insert(google, SLOT)
    day = {
        "start": {"date": "2027-03-22", "dateTime": None, "timeZone": None},
        "end": {"date": "2027-03-23", "dateTime": None, "timeZone": None},
    }
    changed = await patch(google, made["id"], day)
    assert changed["start"] == {"date": "2027-03-22"}
    refused = await google.ask("PATCH", f"{EVENTS}/{made['id']}", json=SLOT)
    assert reasons(refused) == (400, "invalid")
    timed = {name: {**SLOT[name], "date": None} for name in SLOT}
    assert (await patch(google, made["id"], timed))["start"] == made["start"]


async def test_a_series_with_another_pattern_begins_anew(google: GoogleClient) -> None:
    made = await insert(google, SERIES)
    await patch(google, f"{made['id']}_20270323T090000Z", {"summary": "Special"})
    await patch(google, made["id"], {"recurrence": ["RRULE:FREQ=DAILY;COUNT=2"]})
    found = await google.events(singleEvents=True)
    assert [item["summary"] for item in found] == ["Standup", "Standup"]


async def test_declining_leaves_the_event_confirmed(ada: Account, google: GoogleClient) -> None:
    event = ada.primary.add("Review", "2027-03-22T10:00", organizer="ben@example.com")
    answer = {"attendees": [{"email": "ada@example.com", "responseStatus": "declined"}]}
    changed = await patch(google, event.id, answer)
    assert changed["status"] == "confirmed"
    assert changed["attendees"] == [
        {"email": "ada@example.com", "self": True, "responseStatus": "declined"}
    ]


async def test_what_is_deleted_is_gone_and_can_come_back(google: GoogleClient) -> None:
    made = await insert(google, SERIES)
    instance = f"{EVENTS}/{made['id']}_20270323T090000Z"
    for path in (instance, f"{EVENTS}/{made['id']}"):
        answer = await google.ask("DELETE", path)
        assert (answer.status_code, answer.content) == (204, b"")
        assert reasons(await google.ask("DELETE", path)) == (410, "deleted")
    assert await google.events(singleEvents=True) == []
    await patch(google, made["id"], {"status": "confirmed"})
    assert len(await google.events(singleEvents=True)) == 2


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"end": None}, 400, "required"),
        ({"start": {}}, 400, "required"),
        ({"start": {"dateTime": "ten o'clock"}}, 400, "invalid"),
        ({"start": {"dateTime": "2027-03-22T10:00:00"}}, 400, "required"),
        ({"start": {"date": "2027-03-22"}}, 400, "invalid"),
        ({"end": {"dateTime": "2027-03-22T09:00:00+01:00"}}, 400, "timeRangeEmpty"),
        ({"start": {"dateTime": "2027-03-22T10:00:00", "timeZone": "Mars"}}, 400, "invalid"),
        ({"recurrence": ["RRULE:FREQ=DAILY"]}, 400, "required"),
        ({**SERIES, "recurrence": ["RRULE:FREQ=NEVER"]}, 400, "invalid"),
        ({**SERIES, "recurrence": "daily"}, 400, "invalid"),
        ({"id": "no capitals!"}, 400, "invalid"),
        ({"summary": 7}, 400, "invalid"),
        ({"status": "maybe"}, 400, "invalid"),
        ({"attendees": [{"name": "Ben"}]}, 400, "required"),
        ({"attendees": [{"email": "b@example.com", "responseStatus": "no"}]}, 400, "invalid"),
    ],
)
async def test_a_body_that_makes_no_event_is_refused(
    google: GoogleClient, changes: dict[str, Any], status: int, reason: str
) -> None:
    answer = await google.ask("POST", EVENTS, json={**SLOT, **changes})
    assert reasons(answer) == (status, reason)
    assert await google.events() == []


async def test_a_body_that_is_no_object_is_refused(google: GoogleClient) -> None:
    assert reasons(await google.ask("POST", EVENTS, json=[1])) == (400, "invalid")


async def test_who_may_only_read_may_not_write(cal: CalendarRehearsal, ada: Account) -> None:
    ben = cal.google.account("ben@example.com")
    ben.share(ada.primary, "reader")
    event = ada.primary.add("Ada's", "2027-03-22T10:00")
    path = "/calendars/ada%40example.com/events"
    async with GoogleClient(cal.google, ben) as client:
        refused = [
            await client.ask("POST", path, json=SLOT),
            await client.ask("PATCH", f"{path}/{event.id}", json={"summary": "Ben's"}),
            await client.ask("DELETE", f"{path}/{event.id}"),
        ]
    assert [reasons(answer) for answer in refused] == [(403, "requiredAccessLevel")] * 3
