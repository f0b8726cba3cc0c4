"""Events and series over HTTP; what they are made of is in tests/calendars."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from sitin.contract.calendars import EventStatus
from tests.api.conftest import MEET_URL
from tests.api.desk import Desk, both, desk, error_of, every_page, platform

__all__ = ["desk", "platform"]

pytestmark = pytest.mark.db


@pytest.fixture
async def path(desk: Desk) -> str:
    """A connection with five meetings (the third tentative, the fourth cancelled) and a series."""
    await desk.meetings("One", "Two")
    calendar = desk.account.primary
    calendar.add("Three", desk.in_(hours=3), status=EventStatus.TENTATIVE)
    four = calendar.add("Four", desk.in_(hours=4), meeting_url=MEET_URL)
    calendar.add("Five", desk.in_(hours=5), location="https://zoom.us/j/85000000000")
    calendar.add("Weekly", desk.in_(days=1), recurrence="RRULE:FREQ=WEEKLY;COUNT=3")
    path = await desk.connect()
    calendar.delete(four)
    await desk.work()
    return path


ALL = ["One", "Two", "Three", "Four", "Five", "Weekly", "Weekly", "Weekly"]


async def titles(desk: Desk, path: str, **query: Any) -> list[str]:
    return [one["title"] for one in await desk.data(f"{path}/events", **query)]


class TestEvents:
    async def test_they_come_by_start_and_pages_lose_none(self, desk: Desk, path: str) -> None:
        client = desk.api.client
        pages, last = await every_page(client, f"{path}/events", limit=3)
        assert [[one["title"] for one in page] for page in pages] == [ALL[:3], ALL[3:6], ALL[6:]]
        back = await client.get(
            f"{path}/events", params={"limit": 3, "cursor": last["prev_cursor"]}
        )
        assert [one["title"] for one in back.json()["data"]] == ALL[3:6]

    async def test_filters(self, desk: Desk, path: str) -> None:
        middle = desk.in_(hours=2, minutes=15).isoformat().replace("+00:00", "Z")
        assert await titles(desk, path) == ALL
        assert await titles(desk, path, start_date=middle) == ALL[2:]
        assert await titles(desk, path, end_date=middle) == ALL[:1]
        assert await titles(desk, path, start_after=middle) == ALL[2:]
        assert await titles(desk, path, start_before=middle) == ALL[:1]
        assert await titles(desk, path, status="cancelled") == ["Four"]
        assert await titles(desk, path, status="tentative,cancelled") == ["Three", "Four"]
        shown = [one for one in ALL if one != "Four"]
        assert await titles(desk, path, show_cancelled="false") == shown
        assert await titles(desk, path, include_deleted="false") == shown
        assert await titles(desk, path, include_deleted="true") == ALL
        assert await titles(desk, path, status="cancelled", show_cancelled="false") == []
        assert await titles(desk, path, status="", start_date="", cursor="") == ALL

    async def test_a_filter_that_makes_no_sense(self, desk: Desk, path: str) -> None:
        of_both = [
            ("limit", "0"),
            ("limit", "251"),
            ("limit", "many"),
            ("cursor", "nonsense"),
            ("show_cancelled", "perhaps"),
        ]
        for what, field, value in (
            *(("events", *one) for one in of_both),
            *(("series", *one) for one in of_both),
            ("events", "status", "asleep"),
            ("events", "start_date", "soon"),
            ("events", "end_date", "2027-13-01T00:00:00Z"),
            ("series", "event_type", "weekly"),
        ):
            answer = await desk.api.client.get(f"{path}/{what}", params={field: value})
            assert error_of(answer) == (400, "FST_ERR_VALIDATION")
            assert answer.json()["message"].startswith(field), answer.text

    @both
    async def test_details(self, desk: Desk) -> None:
        start = desk.in_(hours=2)
        desk.account.primary.add(
            "Plan",
            start,
            minutes=45,
            description="What next?",
            location="Room 1",
            meeting_url=MEET_URL,
            organizer="cyd@example.com",
            attendees=["ada@example.com", "bob@example.com"],
        )
        path = await desk.connect()
        (listed,) = await desk.data(f"{path}/events")
        shown = await desk.data(f"{path}/events/{listed['event_id']}")
        assert {name: shown[name] for name in listed if name != "is_exception"} == {
            name: value for name, value in listed.items() if name != "is_exception"
        }
        assert (shown["title"], shown["location"]) == ("Plan", "Room 1")
        assert "What next?" in shown["description"]
        assert (shown["meeting_url"], shown["meeting_platform"]) == (MEET_URL, "meet")
        assert (shown["event_type"], shown["is_all_day"]) == ("one_off", False)
        assert shown["organizer_email"] == "cyd@example.com"
        assert shown["calendar_platform"] == desk.platform.value
        emails = {one["email"] for one in shown["attendees"]}
        assert {"ada@example.com", "bob@example.com"} <= emails
        assert shown["start_time"] == f"{start:%Y-%m-%dT%H:%M:%S}.000Z"
        assert shown["end_time"] == f"{start + timedelta(minutes=45):%Y-%m-%dT%H:%M:%S}.000Z"

    async def test_a_cancelled_one_is_still_shown(self, desk: Desk, path: str) -> None:
        (four,) = await desk.data(f"{path}/events", status="cancelled")
        shown = await desk.data(f"{path}/events/{four['event_id']}")
        assert (shown["title"], shown["status"]) == ("Four", "cancelled")

    async def test_an_unknown_one_is_a_404(self, desk: Desk, path: str) -> None:
        answer = await desk.api.client.get(f"{path}/events/{uuid4()}")
        assert error_of(answer) == (404, "FST_ERR_EVENT_NOT_FOUND")
        answer = await desk.api.client.get(f"{path}/events/nonsense")
        assert error_of(answer) == (400, "FST_ERR_VALIDATION")

    async def test_one_of_another_calendar_is_a_404(self, desk: Desk, path: str) -> None:
        (event, *_) = await desk.data(f"{path}/events")
        other = await desk.connect(desk.account.calendar("Team").id)
        answer = await desk.api.client.get(f"{other}/events/{event['event_id']}")
        assert error_of(answer) == (404, "FST_ERR_EVENT_NOT_FOUND")


class TestSeries:
    async def test_they_come_by_start_and_pages_lose_none(self, desk: Desk, path: str) -> None:
        client = desk.api.client
        pages, last = await every_page(client, f"{path}/series", limit=2)
        first = [[one["events"][0]["title"] for one in page] for page in pages]
        assert first == [["One", "Two"], ["Three", "Four"], ["Five", "Weekly"]]
        back = await client.get(
            f"{path}/series", params={"limit": 2, "cursor": last["prev_cursor"]}
        )
        assert back.json()["data"] == pages[1]

    async def test_filters(self, desk: Desk, path: str) -> None:
        (weekly,) = await desk.data(f"{path}/series", event_type="recurring")
        assert [one["title"] for one in weekly["events"]] == ["Weekly"] * 3
        assert len(await desk.data(f"{path}/series", event_type="one_off")) == 5
        assert len(await desk.data(f"{path}/series", event_type="one_off,recurring")) == 6
        for query in ({"show_cancelled": "false"}, {"include_deleted": "false"}):
            # Only the events of a series are left out, never the series.
            series = await desk.data(f"{path}/series", **query)
            assert [len(one["events"]) for one in series] == [1, 1, 1, 0, 1, 3]
        events = await desk.data(f"{path}/events")
        assert {one["series_id"] for one in events if one["event_type"] == "recurring"} == {
            weekly["series_id"]
        }
