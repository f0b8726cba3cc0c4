"""Google's sync tokens: what has changed, and when they are void."""

from datetime import UTC, datetime, timedelta

import pytest

from sitin.rehearsal.calendars import Account, CalendarRehearsal
from tests.rehearsal.calendars.asking import GoogleClient, GoogleCopy, reasons

EVENTS = "/calendars/primary/events"
WINDOW = {"timeMin": "2027-03-20T12:00:00Z", "timeMax": "2027-04-19T12:00:00Z"}


async def test_only_what_has_changed_is_told(ada: Account, google: GoogleClient) -> None:
    ada.primary.add("stays", "2027-03-22T10:00")
    moved = ada.primary.add("moves", "2027-03-22T11:00")
    copy = GoogleCopy(google, singleEvents=True)
    await copy.sync()
    assert await copy.sync() == []
    ada.primary.move(moved, "2027-03-25T09:00")
    added = ada.primary.add("new", "2027-03-22T12:00")
    told = await copy.sync()
    assert [item["id"] for item in told] == [moved.id, added.id]
    assert await copy.sync() == []


async def test_a_touched_series_is_told_with_all_its_instances_far_beyond_any_window(
    ada: Account, google: GoogleClient
) -> None:
    series = ada.primary.add("Weekly", "2027-03-22T10:00", recurrence="FREQ=WEEKLY")
    copy = GoogleCopy(google, window=WINDOW, singleEvents=True)
    assert len(await copy.sync()) == 5
    ada.primary.edit(series, on="2027-03-29", title="Special")
    told = await copy.sync()
    assert len(told) > 700
    assert max(item["start"]["dateTime"] for item in told) > "2040"
    assert sum(item["summary"] == "Special" for item in told) == 1


async def test_the_window_of_the_first_listing_bounds_no_change(
    ada: Account, google: GoogleClient
) -> None:
    event = ada.primary.add("leaves", "2027-03-22T10:00")
    copy = GoogleCopy(google, window=WINDOW, singleEvents=True)
    await copy.sync()
    ada.primary.move(event, "2027-12-24T10:00")
    [told] = await copy.sync()
    assert (told["id"], told["start"]["dateTime"][:10]) == (event.id, "2027-12-24")


async def test_a_cancelled_instance_has_no_start(ada: Account, google: GoogleClient) -> None:
    series = ada.primary.add("Standup", "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=3")
    copy = GoogleCopy(google, singleEvents=True)
    await copy.sync()
    ada.primary.cancel(series, on="2027-03-23")
    [cancelled] = [item for item in await copy.sync() if item["status"] == "cancelled"]
    assert set(cancelled) == {
        *("kind", "etag", "id", "status", "recurringEventId", "originalStartTime")
    }


async def test_of_a_deleted_series_only_some_months_are_told(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    series = ada.primary.add("Weekly", "2027-03-22T10:00", recurrence="FREQ=WEEKLY")
    cal.google.cancellations_reach = timedelta(days=70)
    copy = GoogleCopy(google, singleEvents=True)
    await copy.sync()
    ada.primary.delete(series)
    told = await copy.sync()
    assert len(told) == 10
    assert {item["status"] for item in told} == {"cancelled"}
    assert len(copy.confirmed()) == 720


async def test_this_and_following_goes_on_as_another_series(
    ada: Account, google: GoogleClient
) -> None:
    series = ada.primary.add("Standup", "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=5")
    copy = GoogleCopy(google, singleEvents=True)
    await copy.sync()
    ada.primary.split(series, on="2027-03-24")
    await copy.sync()
    new = f"{series.id}_R20270324T090000"
    assert sorted(copy.confirmed()) == sorted(
        [
            f"{series.id}_20270322T090000Z",
            f"{series.id}_20270323T090000Z",
            f"{new}_20270324T090000Z",
            f"{new}_20270325T090000Z",
            f"{new}_20270326T090000Z",
        ]
    )
    assert copy.events[f"{series.id}_20270324T090000Z"]["status"] == "cancelled"
    again = ada.primary.split(new, on="2027-03-26")
    assert again.id == f"{series.id}_R20270326T090000"


async def test_a_restored_event_comes_back_under_its_id(ada: Account, google: GoogleClient) -> None:
    event = ada.primary.add("Off and on", "2027-03-22T10:00")
    copy = GoogleCopy(google, singleEvents=True)
    await copy.sync()
    ada.primary.delete(event)
    [told] = await copy.sync()
    assert told == {
        "kind": "calendar#event",
        "etag": told["etag"],
        "id": event.id,
        "status": "cancelled",
    }
    ada.primary.restore(event)
    [told] = await copy.sync()
    assert (told["id"], told["status"], told["summary"]) == (event.id, "confirmed", "Off and on")


async def test_a_touch_tells_an_event_that_is_as_before(ada: Account, google: GoogleClient) -> None:
    event = ada.primary.add("Same", "2027-03-22T10:00")
    copy = GoogleCopy(google, singleEvents=True)
    [before] = await copy.sync()
    ada.primary.touch(event)
    [after] = await copy.sync()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"etag"}


async def test_a_series_edited_as_a_whole_keeps_what_its_exceptions_changed(
    ada: Account, google: GoogleClient
) -> None:
    series = ada.primary.add("Standup", "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=3")
    ada.primary.move(series, "2027-03-23T15:00", on="2027-03-23")
    ada.primary.edit(series, on="2027-03-24", title="Own title")
    ada.primary.edit(series, title="New title")
    found = await google.events(singleEvents=True)
    assert {(item["summary"], item["start"]["dateTime"][8:13]) for item in found} == {
        ("New title", "22T10"),
        ("New title", "23T15"),
        ("Own title", "24T10"),
    }


@pytest.mark.parametrize("single", [True, False])
async def test_an_expired_token_asks_for_a_full_sync(
    ada: Account, google: GoogleClient, single: bool
) -> None:
    copy = GoogleCopy(google, singleEvents=single)
    await copy.sync()
    ada.primary.expire_sync()
    answer = await google.ask("GET", EVENTS, singleEvents=single, syncToken=copy.token)
    assert reasons(answer) == (410, "fullSyncRequired")
    [page] = await google.pages(singleEvents=single)
    await google.pages(singleEvents=single, syncToken=page["nextSyncToken"])


async def test_another_role_makes_tokens_void(cal: CalendarRehearsal, ada: Account) -> None:
    ben = cal.google.account("ben@example.com")
    ben.share(ada.primary, "reader")
    async with GoogleClient(cal.google, ben) as client:
        [page] = await client.pages("ada@example.com")
        ben.share(ada.primary, "freeBusyReader")
        path = "/calendars/ada%40example.com/events"
        answer = await client.ask("GET", path, syncToken=page["nextSyncToken"])
    assert reasons(answer) == (410, "fullSyncRequired")
    async with GoogleClient(cal.google, ada) as client:
        [page] = await client.pages()
        ben.share(ada.primary, "writer")
        await client.pages(syncToken=page["nextSyncToken"])


async def test_a_token_that_expires_between_two_pages(ada: Account, google: GoogleClient) -> None:
    copy = GoogleCopy(google, singleEvents=True)
    await copy.sync()
    for hour in range(3):
        ada.primary.add(f"{hour}", f"2027-03-22T{hour:02}:00")
    query = {"singleEvents": True, "syncToken": copy.token, "maxResults": 1}
    page = await google.get(EVENTS, **query)
    ada.primary.expire_sync()
    answer = await google.ask("GET", EVENTS, **query, pageToken=page["nextPageToken"])
    assert reasons(answer) == (410, "fullSyncRequired")


@pytest.mark.parametrize(
    "parameter",
    [
        {"timeMin": "2027-03-20T12:00:00Z"},
        {"timeMax": "2027-04-20T12:00:00Z"},
        {"updatedMin": "2027-03-20T00:00:00Z"},
        {"orderBy": "startTime"},
        {"q": "x"},
        {"iCalUID": "x"},
        {"privateExtendedProperty": "a=b"},
        {"sharedExtendedProperty": "a=b"},
        {"showDeleted": "false"},
        {"singleEvents": "false"},
    ],
)
async def test_what_a_sync_token_does_not_go_with(
    ada: Account, google: GoogleClient, parameter: dict[str, str]
) -> None:
    [page] = await google.pages(singleEvents=True)
    query = {"singleEvents": "true", "syncToken": page["nextSyncToken"], **parameter}
    assert reasons(await google.ask("GET", EVENTS, **query)) == (400, "invalid")


async def test_pages_of_changes_repeat_the_sync_token(ada: Account, google: GoogleClient) -> None:
    [page] = await google.pages()
    ada.primary.add("1", "2027-03-22T10:00")
    ada.primary.add("2", "2027-03-22T11:00")
    first = await google.get(EVENTS, syncToken=page["nextSyncToken"], maxResults=1)
    alone = await google.ask("GET", EVENTS, pageToken=first["nextPageToken"], maxResults=1)
    assert reasons(alone) == (400, "invalid")


async def test_no_token_comes_of_a_listing_that_leaves_events_out(
    ada: Account, google: GoogleClient
) -> None:
    for query in ({"q": "x"}, {"orderBy": "updated"}, {"updatedMin": "2027-03-20T00:00:00Z"}):
        [page] = await google.pages(**query)
        assert "nextSyncToken" not in page


async def test_the_clock_brings_occurrences_in_without_any_change(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    ada.primary.add("Weekly", "2027-03-22T10:00", recurrence="FREQ=WEEKLY")
    copy = GoogleCopy(google, window=WINDOW, singleEvents=True)
    await copy.sync()
    cal.clock.move(timedelta(days=7))
    await google.refresh()
    assert await copy.sync() == []
    start = cal.clock.now()
    assert start == datetime(2027, 3, 27, 12, tzinfo=UTC)
    window = {"timeMin": start.isoformat(), "timeMax": (start + timedelta(days=30)).isoformat()}
    found = await google.events(singleEvents=True, **window)
    assert found[-1]["start"]["dateTime"].startswith("2027-04-26")


async def test_both_copies_of_a_meeting_share_its_uid(
    cal: CalendarRehearsal, ada: Account, google: GoogleClient
) -> None:
    team = ada.calendar("Team")
    original = ada.primary.add("Both", "2027-03-22T10:00")
    team.add("Both", "2027-03-22T10:00", ical_uid=original.ical_uid)
    [one] = await google.events()
    [other] = await google.events(team.id)
    assert one["iCalUID"] == other["iCalUID"]
    assert one["id"] != other["id"]
