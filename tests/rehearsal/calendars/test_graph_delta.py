"""Graph's views and delta rounds, with their traps."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from sitin.rehearsal.calendars import Account, Calendar, CalendarRehearsal, Event
from tests.rehearsal.calendars.asking import WINDOW, GraphClient, GraphCopy, Json, code

DELTA = "/me/calendarView/delta"


def series_in(calendar: Calendar, title: str = "Standup") -> Event:
    return calendar.add(title, "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=4")


async def test_an_occurrence_carries_next_to_nothing(mia: Account, graph: GraphClient) -> None:
    series = series_in(mia.primary)
    mia.primary.edit(series, on="2027-03-23", title="Special")
    [page] = await graph.pages(DELTA, **WINDOW, prefer="odata.maxpagesize=50")
    by_type: dict[str, list[Json]] = {}
    for item in page["value"]:
        by_type.setdefault(item["type"], []).append(item)
    assert {kind: len(items) for kind, items in by_type.items()} == {
        "occurrence": 3,
        "exception": 1,
        "seriesMaster": 1,
    }
    for item in by_type["occurrence"]:
        assert set(item) == {"@odata.etag", "id", "type", "seriesMasterId", "start", "end"}
    assert by_type["exception"][0]["subject"] == "Special"
    assert by_type["seriesMaster"][0]["subject"] == "Standup"


@pytest.mark.parametrize("spelling", ["delta", "delta()", "microsoft.graph.delta()"])
@pytest.mark.parametrize("base", ["/me", "/me/calendar", "/me/calendars/{id}"])
async def test_every_spelling_of_the_function(
    mia: Account, graph: GraphClient, base: str, spelling: str
) -> None:
    mia.primary.add("Call", "2027-03-22T10:00")
    path = f"{base.format(id=mia.primary.id)}/calendarView/{spelling}"
    page = await graph.get(path, **WINDOW)
    assert len(page["value"]) == 1
    assert (await graph.get(page["@odata.deltaLink"]))["value"] == []


async def test_pages_may_be_empty_and_links_are_followed_as_they_are(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient
) -> None:
    for hour in range(8, 13):
        mia.primary.add(f"{hour}", f"2027-03-22T{hour:02}:00")
    cal.microsoft.paging.sizes = (0, 1)
    pages = await graph.pages(DELTA, **WINDOW, prefer="odata.maxpagesize=2")
    # Links do not carry the page size: it has to be asked for each time.
    assert [len(page["value"]) for page in pages] == [0, 1, 2, 2]
    assert ["@odata.deltaLink" in page for page in pages] == [False, False, False, True]
    link = urlsplit(pages[0]["@odata.nextLink"])
    assert link.query.startswith("$skiptoken=")
    cal.microsoft.paging.sizes = ()
    cal.microsoft.paging.repeat = True
    pages = await graph.pages(DELTA, **WINDOW, prefer="odata.maxpagesize=2")
    told = [item["id"] for page in pages for item in page["value"]]
    assert (len(told), len(set(told))) == (7, 5)


async def test_a_single_occurrence_is_deleted_in_silence(mia: Account, graph: GraphClient) -> None:
    series = series_in(mia.primary)
    copy = GraphCopy(graph)
    await copy.sync()
    assert len(copy.events) == 4
    mia.primary.delete(series, on="2027-03-23")
    told = await copy.sync()
    assert [item["type"] for item in told] == [*["occurrence"] * 3, "seriesMaster"]
    assert len(copy.events) == 3


async def test_or_is_told_as_removed(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient
) -> None:
    cal.microsoft.silent_deletions = False
    series = series_in(mia.primary)
    copy = GraphCopy(graph)
    first = await copy.sync()
    mia.primary.delete(series, on="2027-03-23")
    removed = [item for item in await copy.sync() if "@removed" in item]
    assert removed == [{"id": first[1]["id"], "@removed": {"reason": "deleted"}}]


async def test_an_event_outside_the_window_is_told_as_removed(
    mia: Account, graph: GraphClient
) -> None:
    copy = GraphCopy(graph)
    await copy.sync()
    mia.primary.add("Later", "2027-07-01T10:00")
    [told] = await copy.sync()
    assert set(told) == {"id", "@removed"}
    far = mia.primary.add("Far series", "2027-07-01T10:00", recurrence="FREQ=DAILY")
    [told] = await copy.sync()
    assert told["@removed"] == {"reason": "deleted"}
    mia.primary.move(far, "2027-04-18T10:00")
    assert len(await copy.sync()) == 3


async def test_what_leaves_the_window_and_what_comes_in(mia: Account, graph: GraphClient) -> None:
    series = series_in(mia.primary)
    single = mia.primary.add("Call", "2027-03-22T12:00")
    copy = GraphCopy(graph)
    await copy.sync()
    mia.primary.move(single, "2027-07-01T10:00")
    mia.primary.move(series, "2027-07-02T10:00", on="2027-03-23")
    await copy.sync()
    assert len(copy.events) == 3
    mia.primary.move(single, "2027-03-30T10:00")
    mia.primary.move(series, "2027-03-31T10:00", on="2027-03-23")
    await copy.sync()
    assert sorted(item["type"] for item in copy.events.values()) == [
        "exception",
        *["occurrence"] * 3,
        "singleInstance",
    ]


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda cal, series: cal.delete(series), 0),
        (lambda cal, series: cal.repeat(series, "FREQ=DAILY;COUNT=2"), 2),
        (lambda cal, series: cal.split(series, on="2027-03-24"), 4),
        (lambda cal, series: cal.cancel(series), 4),
    ],
    ids=["deleted", "pattern", "split", "cancelled"],
)
async def test_what_becomes_of_a_series(
    mia: Account, graph: GraphClient, change: Callable[[Calendar, Event], Any], left: int
) -> None:
    series = series_in(mia.primary)
    copy = GraphCopy(graph)
    before = {item["id"] for item in await copy.sync() if item["type"] == "occurrence"}
    change(mia.primary, series)
    told = await copy.sync()
    removed = {item["id"] for item in told if "@removed" in item}
    assert len(copy.events) == left
    assert removed & before == before - set(copy.events)
    masters = [item for item in told if item.get("type") == "seriesMaster"]
    assert bool(masters) is not mia.primary.event(series).removed


async def test_rounds_may_be_told_twice(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient
) -> None:
    cal.microsoft.replays = True
    copy = GraphCopy(graph)
    await copy.sync()
    mia.primary.add("Call", "2027-03-22T10:00")
    [first] = await copy.sync()
    [second] = await copy.sync()
    assert first["id"] == second["id"]
    assert await copy.sync() == []


@pytest.mark.parametrize("what", ["SyncStateNotFound", "syncStateNotFound", "resyncRequired"])
@pytest.mark.parametrize("location", [True, False])
async def test_an_expired_link_is_gone(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient, what: str, location: bool
) -> None:
    cal.microsoft.gone_code, cal.microsoft.gone_location = what, location
    page = await graph.get(DELTA, **WINDOW)
    mia.primary.expire_sync()
    answer = await graph.ask("GET", page["@odata.deltaLink"])
    assert code(answer) == (410, what)
    assert ("location" in answer.headers) is location
    if location:
        assert "@odata.deltaLink" in await graph.get(answer.headers["location"])


async def test_a_link_that_expires_between_two_pages(mia: Account, graph: GraphClient) -> None:
    for hour in range(8, 11):
        mia.primary.add(f"{hour}", f"2027-03-22T{hour:02}:00")
    page = await graph.get(DELTA, **WINDOW, prefer="odata.maxpagesize=2")
    mia.primary.expire_sync()
    answer = await graph.ask("GET", page["@odata.nextLink"])
    assert code(answer) == (410, "SyncStateNotFound")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({}, "ErrorInvalidParameter"),
        ({"startDateTime": "2027-03-20"}, "ErrorInvalidParameter"),
        ({"startDateTime": "soon", "endDateTime": "later"}, "ErrorInvalidParameter"),
        ({"startDateTime": "2027-03-20", "endDateTime": "2027-03-19"}, "ErrorInvalidParameter"),
        *(
            ({**WINDOW, name: "x"}, "ErrorInvalidUrlQuery")
            for name in ("$select", "$filter", "$expand", "$orderby", "$search")
        ),
        ({"$deltatoken": "made-up"}, "ErrorInvalidParameter"),
        ({"$skiptoken": "made-up"}, "ErrorInvalidParameter"),
    ],
)
async def test_what_delta_cannot_be_asked(
    graph: GraphClient, query: dict[str, str], said: str
) -> None:
    assert code(await graph.ask("GET", DELTA, query=query)) == (400, said)


async def test_a_view_in_pages(mia: Account, graph: GraphClient) -> None:
    for hour in range(23, 8, -1):
        mia.primary.add(f"{hour:02}", f"2027-03-22T{hour:02}:00")
    pages = await graph.pages("/me/calendarView", **WINDOW)
    assert [len(page["value"]) for page in pages] == [10, 5]
    assert "deltaLink" not in str(pages)
    parameters = {"$top": "20", "$select": "subject", "$orderby": "start/dateTime"}
    [page] = await graph.pages("/me/calendarView", prefer="", **WINDOW, **parameters)
    assert [item["subject"] for item in page["value"]] == [f"{hour:02}" for hour in range(9, 24)]
    assert set(page["value"][0]) == {"@odata.etag", "id", "subject"}
    for name, value in (("$top", "1001"), ("$top", "0"), ("$filter", "x"), ("$orderby", "subject")):
        answer = await graph.ask("GET", "/me/calendarView", query={**WINDOW, name: value})
        assert code(answer) == (400, "ErrorInvalidParameter")


async def test_a_view_holds_no_series_and_a_time_without_offset_is_utc(
    mia: Account, graph: GraphClient
) -> None:
    series_in(mia.primary)
    window = {"startDateTime": "2027-03-22T09:30:00", "endDateTime": "2027-03-23T09:00:01.0000000"}
    page = await graph.get("/me/calendarView", **window, prefer='outlook.timezone="Asia/Tokyo"')
    assert [item["start"]["dateTime"] for item in page["value"]] == ["2027-03-23T18:00:00.0000000"]
