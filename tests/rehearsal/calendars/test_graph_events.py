"""Graph's events: how they look, and how they are written."""

from typing import Any

import pytest

from sitin.contract.calendars import ResponseStatus
from sitin.rehearsal.calendars import (
    Account,
    CalendarControlError,
    CalendarRehearsal,
    Person,
    ShowAs,
)
from sitin.rehearsal.calendars.microsoft.zones import windows_name
from tests.rehearsal.calendars.asking import WINDOW, GraphClient, code

TEAMS = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_x%40thread.v2/0"
DAILY = {
    "pattern": {"type": "daily", "interval": 1},
    "range": {"type": "numbered", "startDate": "2027-03-22", "numberOfOccurrences": 3},
}


def when(start: str, end: str, zone: str = "UTC") -> dict[str, Any]:
    return {
        "start": {"dateTime": start, "timeZone": zone},
        "end": {"dateTime": end, "timeZone": zone},
    }


SLOT = when("2027-03-22T10:00:00", "2027-03-22T10:30:00", "Romance Standard Time")


async def create(graph: GraphClient, **body: Any) -> Any:
    answer = await graph.ask("POST", "/me/events", json={**SLOT, **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_times_have_seven_digits_and_are_utc_unless_asked_for_otherwise(
    mia: Account, graph: GraphClient
) -> None:
    mia.primary.add("Call", "2027-03-29T10:00")
    [shown] = await graph.events()
    assert shown["start"] == {"dateTime": "2027-03-29T08:00:00.0000000", "timeZone": "UTC"}
    assert shown["originalStartTimeZone"] == "Romance Standard Time"
    for name in ("Tokyo Standard Time", "Asia/Tokyo"):
        [shown] = await graph.events(prefer=f'outlook.timezone="{name}"')
        assert shown["start"] == {"dateTime": "2027-03-29T17:00:00.0000000", "timeZone": name}
    refused = await graph.ask(
        "GET", "/me/calendarView", prefer='outlook.timezone="Moon"', query=WINDOW
    )
    assert code(refused) == (400, "TimeZoneNotSupported")


async def test_whole_days_do_not_shift(mia: Account, graph: GraphClient) -> None:
    mia.primary.add("Off", "2027-03-25")
    for zone in ("UTC", "Hawaiian Standard Time", "Tokyo Standard Time"):
        [shown] = await graph.events(prefer=f'outlook.timezone="{zone}"')
        assert shown["isAllDay"] is True
        assert shown["start"]["dateTime"] == "2027-03-25T00:00:00.0000000"
        assert shown["end"]["dateTime"] == "2027-03-26T00:00:00.0000000"


async def test_what_meetings_are_about(mia: Account, graph: GraphClient) -> None:
    mia.primary.add(
        "Review",
        "2027-03-22T10:00",
        description="<p>All</p><a href='https://zoom.us/j/1'>join</a>",
        location="https://zoom.us/j/1",
        organizer=Person("ben@contoso.com", "Ben"),
        attendees=[
            Person("mia@contoso.com", "Mia", ResponseStatus.TENTATIVE),
            Person("kim@contoso.com", optional=True),
            Person("room@contoso.com", resource=True),
        ],
        meeting_url=TEAMS,
        show_as=ShowAs.TENTATIVE,
    )
    [shown] = await graph.events()
    assert shown["type"] == "singleInstance"
    assert shown["seriesMasterId"] is None
    assert shown["onlineMeeting"] == {"joinUrl": TEAMS}
    assert shown["onlineMeetingProvider"] == "teamsForBusiness"
    assert shown["onlineMeetingUrl"] is None
    assert shown["organizer"] == {"emailAddress": {"name": "Ben", "address": "ben@contoso.com"}}
    assert shown["isOrganizer"] is False
    assert shown["responseStatus"]["response"] == "tentativelyAccepted"
    assert [one["type"] for one in shown["attendees"]] == ["required", "optional", "resource"]
    assert shown["attendees"][1]["status"]["response"] == "none"
    assert shown["showAs"] == "tentative"
    assert shown["location"]["locationUri"] == "https://zoom.us/j/1"
    assert shown["body"]["contentType"] == "html"
    assert "<a href='https://zoom.us/j/1'>" in shown["body"]["content"]
    [plain] = await graph.events(prefer='outlook.body-content-type="text"')
    assert plain["body"] == {
        "contentType": "text",
        "content": "\nAlljoin<https://zoom.us/j/1>",
    }


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (ResponseStatus.ACCEPTED, "accepted"),
        (ResponseStatus.DECLINED, "declined"),
        (ResponseStatus.TENTATIVE, "tentativelyAccepted"),
        (ResponseStatus.NEEDS_ACTION, "notResponded"),
    ],
)
async def test_the_owners_answer(
    mia: Account, graph: GraphClient, response: ResponseStatus, said: str
) -> None:
    event = mia.primary.add("Call", "2027-03-22T10:00", organizer="ben@contoso.com")
    [shown] = await graph.events()
    assert shown["responseStatus"]["response"] == "none"
    mia.primary.respond(event, response)
    [shown] = await graph.events()
    assert shown["responseStatus"]["response"] == said


async def test_who_declines_loses_the_event_unless_it_is_kept(
    mia: Account, graph: GraphClient
) -> None:
    event = mia.primary.add("Call", "2027-03-22T10:00", organizer="ben@contoso.com")
    mia.primary.decline(event, who="kim@contoso.com")
    mia.primary.decline(event, keep=True)
    [shown] = await graph.events()
    assert shown["responseStatus"]["response"] == "declined"
    mia.primary.decline(event)
    assert await graph.events() == []
    mia.primary.restore(event)
    assert len(await graph.events()) == 1


async def test_what_the_organizer_cancels_stays_and_says_so(
    mia: Account, graph: GraphClient
) -> None:
    event = mia.primary.add("Call", "2027-03-22T10:00", organizer="ben@contoso.com")
    mia.primary.cancel(event)
    [shown] = await graph.events()
    assert (shown["isCancelled"], shown["subject"]) == (True, "Canceled: Call")


async def test_occurrences_exceptions_and_their_series(mia: Account, graph: GraphClient) -> None:
    series = mia.primary.add("Standup", "2027-03-26T10:00", recurrence="FREQ=DAILY;COUNT=4")
    mia.primary.move(series, "2027-03-27T15:00", on="2027-03-27")
    mia.primary.delete(series, on="2027-03-28")
    found = sorted(await graph.events(), key=lambda item: str(item["originalStart"]))
    assert [item["type"] for item in found] == ["occurrence", "exception", "occurrence"]
    assert [item["originalStart"] for item in found] == [
        "2027-03-26T09:00:00Z",
        "2027-03-27T09:00:00Z",
        "2027-03-29T08:00:00Z",
    ]
    assert found[1]["start"]["dateTime"] == "2027-03-27T14:00:00.0000000"
    assert len({item["iCalUId"] for item in found}) == 3
    [master_id] = {item["seriesMasterId"] for item in found}
    master = await graph.get(f"/me/events/{master_id}")
    assert master["type"] == "seriesMaster"
    assert master["recurrence"]["pattern"]["type"] == "daily"
    assert master["recurrence"]["range"] == {
        "type": "numbered",
        "startDate": "2027-03-26",
        "endDate": "0001-01-01",
        "recurrenceTimeZone": "Romance Standard Time",
        "numberOfOccurrences": 4,
    }


async def test_another_pattern_brings_other_ids_and_the_old_ones_are_unknown(
    mia: Account, graph: GraphClient
) -> None:
    series = mia.primary.add("Standup", "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=3")
    before = await graph.events()
    mia.primary.repeat(series, "FREQ=DAILY;COUNT=4")
    after = await graph.events()
    assert not {item["id"] for item in before} & {item["id"] for item in after}
    assert {item["seriesMasterId"] for item in before + after} == {before[0]["seriesMasterId"]}
    answer = await graph.ask("GET", f"/me/events/{before[0]['id']}")
    assert code(answer) == (404, "ErrorItemNotFound")


async def test_an_exception_that_is_reset_is_an_occurrence_again(
    mia: Account, graph: GraphClient
) -> None:
    series = mia.primary.add("Standup", "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=2")
    mia.primary.edit(series, on="2027-03-23", title="Special")
    assert [item["type"] for item in await graph.events()] == ["occurrence", "exception"]
    mia.primary.reset(series)
    assert [item["subject"] for item in await graph.events()] == ["Standup", "Standup"]


async def test_there_are_two_ids_and_either_is_good(mia: Account, graph: GraphClient) -> None:
    mia.primary.add("Call", "2027-03-22T10:00")
    [changing] = await graph.events()
    [immutable] = await graph.events(prefer='IdType="ImmutableId", outlook.timezone="UTC"')
    assert changing["id"] != immutable["id"]
    for event_id in (changing["id"], immutable["id"]):
        assert (await graph.get(f"/me/events/{event_id}"))["id"] == changing["id"]


@pytest.mark.parametrize(
    ("rule", "pattern"),
    [
        ("FREQ=DAILY;INTERVAL=2", {"type": "daily", "interval": 2}),
        ("FREQ=WEEKLY;BYDAY=MO,WE;WKST=MO", {"daysOfWeek": ["monday", "wednesday"]}),
        ("FREQ=WEEKLY", {"type": "weekly", "daysOfWeek": ["monday"]}),
        ("FREQ=MONTHLY", {"type": "absoluteMonthly", "dayOfMonth": 22}),
        ("FREQ=MONTHLY;BYDAY=4MO", {"type": "relativeMonthly", "index": "fourth"}),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=4", {"type": "relativeMonthly", "index": "fourth"}),
        ("FREQ=YEARLY", {"type": "absoluteYearly", "month": 3, "dayOfMonth": 22}),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=4MO", {"type": "relativeYearly", "month": 3}),
    ],
)
@pytest.mark.parametrize("end", ["", ";COUNT=3", ";UNTIL=20290322T235959Z"])
async def test_a_series_in_graphs_words_and_back(
    mia: Account, graph: GraphClient, rule: str, pattern: dict[str, Any], end: str
) -> None:
    series = mia.primary.add("Series", "2027-03-22T10:00", recurrence=rule + end)
    master = await graph.get(f"/me/events/{(await graph.events())[0]['seriesMasterId']}")
    shown = master["recurrence"]["pattern"]
    assert {name: shown[name] for name in pattern} == pattern
    copy = await create(graph, recurrence=master["recurrence"])
    again = await graph.get(f"/me/events/{copy['id']}")
    assert again["recurrence"] == master["recurrence"]
    window: dict[str, Any] = {"startDateTime": "2027-03-22", "endDateTime": "2031-01-01"}
    window["$top"] = 1000
    pages = await graph.pages("/me/calendarView", **window)
    found = [item for page in pages for item in page["value"]]
    starts = [
        sorted(item["start"]["dateTime"] for item in found if item["seriesMasterId"] == one)
        for one in (master["id"], copy["id"])
    ]
    assert starts[0] == starts[1]
    assert series.is_series


@pytest.mark.parametrize("rule", ["FREQ=HOURLY", "FREQ=DAILY;BYDAY=MO", "FREQ=DAILY;BYHOUR=10"])
def test_what_graph_has_no_words_for_is_refused(mia: Account, rule: str) -> None:
    with pytest.raises(CalendarControlError, match="recurrence: Microsoft has no word for"):
        mia.primary.add("Series", "2027-03-22T10:00", recurrence=rule)


async def test_an_event_is_written_changed_and_deleted(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient
) -> None:
    made = await create(
        graph,
        subject="Standup",
        body={"contentType": "text", "content": "a < b"},
        location={"displayName": "Room 5"},
        attendees=[{"emailAddress": {"address": "ben@contoso.com"}, "type": "optional"}],
        isOnlineMeeting=True,
        recurrence=DAILY,
    )
    assert made["body"]["content"].count("a &lt; b") == 1
    assert made["onlineMeeting"]["joinUrl"].startswith("https://teams.microsoft.com/")
    assert made["attendees"][0]["type"] == "optional"
    assert made["start"]["dateTime"] == "2027-03-22T09:00:00.0000000"
    second = (await graph.events())[1]
    answer = await graph.ask("PATCH", f"/me/events/{second['id']}", json={"subject": "Special"})
    assert (answer.json()["type"], answer.json()["subject"]) == ("exception", "Special")
    answer = await graph.ask("DELETE", f"/me/events/{second['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert len(await graph.events()) == 2
    path = f"/me/calendars/{mia.primary.id}/events/{made['id']}"
    day = {**when("2027-03-22T00:00:00", "2027-03-23T00:00:00"), "isAllDay": True}
    changed = (await graph.ask("PATCH", path, json={**day, "recurrence": None})).json()
    assert (changed["type"], changed["isAllDay"]) == ("singleInstance", True)
    assert (await graph.ask("DELETE", path)).status_code == 204
    assert code(await graph.ask("GET", path)) == (404, "ErrorItemNotFound")


@pytest.mark.parametrize(
    "changes",
    [
        {"start": None},
        {"start": {"dateTime": "2027-03-22T10:00:00"}},
        {"start": {"dateTime": "ten", "timeZone": "UTC"}},
        {"start": {"dateTime": "2027-03-22T10:00:00", "timeZone": "Moon Standard Time"}},
        {"end": {"dateTime": "2027-03-21T10:00:00", "timeZone": "UTC"}},
        {"isAllDay": True},
        {"subject": 7},
        {"showAs": "dreaming"},
        {"attendees": [{"address": "ben@contoso.com"}]},
        {"recurrence": {"pattern": {"type": "hourly"}, "range": {"type": "noEnd"}}},
        {
            "recurrence": {
                "pattern": {"type": "weekly", "daysOfWeek": ["tuesday"]},
                "range": {"type": "noEnd"},
            }
        },
    ],
)
async def test_a_body_that_makes_no_event_is_refused(
    graph: GraphClient, changes: dict[str, Any]
) -> None:
    answer = await graph.ask("POST", "/me/events", json={**SLOT, **changes})
    assert code(answer) == (400, "ErrorInvalidParameter")
    assert await graph.events() == []


async def test_unknown_ids(graph: GraphClient) -> None:
    for event_id, said in (
        ("primary", (400, "ErrorInvalidIdMalformed")),
        ("AAMkADk0bm90aGluZw==", (404, "ErrorItemNotFound")),
    ):
        assert code(await graph.ask("GET", f"/me/events/{event_id}")) == said
    refused = await graph.ask("GET", "/me/calendars/primary/calendarView", query=WINDOW)
    assert code(refused) == (404, "ErrorItemNotFound")


async def test_custom_zones_and_sparse_events(mia: Account, graph: GraphClient) -> None:
    mia.primary.add(None, "2027-03-22T10:00", organizer=None, zone_label="tzone://Microsoft/Custom")
    [shown] = await graph.events()
    assert shown["subject"] is None
    assert shown["organizer"] is None
    assert shown["originalStartTimeZone"] == "tzone://Microsoft/Custom"


async def test_who_may_only_read(cal: CalendarRehearsal, mia: Account) -> None:
    ben = cal.microsoft.account("ben@contoso.com")
    ben.share(mia.primary, "reader")
    mia.primary.add("Secret", "2027-03-22T10:00", private=True)
    path = f"/me/calendars/{mia.primary.id}"
    async with GraphClient(cal.microsoft, ben) as client:
        [shown] = (await client.get(f"{path}/calendarView", **WINDOW))["value"]
        assert shown["subject"] == "Private Appointment"
        refused = await client.ask("POST", f"{path}/events", json=SLOT)
        assert code(refused) == (403, "ErrorAccessDenied")
        [_, shared] = (await client.get("/me/calendars"))["value"]
    assert shared["owner"] == {"name": "Mia Sanz", "address": "mia@contoso.com"}
    assert shared["canEdit"] is False


def test_windows_names() -> None:
    assert windows_name("Europe/Paris") == "Romance Standard Time"
    assert windows_name("UTC") == "UTC"
    assert windows_name("America/Indiana/Knox") == "America/Indiana/Knox"
