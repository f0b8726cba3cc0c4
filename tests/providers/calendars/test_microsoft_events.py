"""How Microsoft's events become ours, and what a round's items say together."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sitin.contract.calendars import EventStatus, ProviderEvent, ResponseStatus
from sitin.providers.calendars.microsoft.events import to_event
from sitin.providers.calendars.microsoft.rounds import Round
from sitin.providers.calendars.microsoft.wire import EventPage, WireEvent

pytestmark = pytest.mark.unit


def told(time: str, zone: str | None = "UTC") -> dict[str, str | None]:
    return {"dateTime": time, "timeZone": zone}


def read(**fields: Any) -> ProviderEvent:
    event = to_event(
        WireEvent.model_validate(
            {
                "id": "AAMk=",
                "type": "singleInstance",
                "start": told("2027-01-10T09:00:00.0000000"),
                "end": told("2027-01-10T10:00:00.0000000"),
                "originalStartTimeZone": "W. Europe Standard Time",
                **fields,
            }
        )
    )
    assert event is not None
    return event


def at(day: int, hour: int = 0, minute: int = 0, *, month: int = 1) -> datetime:
    return datetime(2027, month, day, hour, minute, tzinfo=UTC)


def person(address: str, response: str | None = None) -> dict[str, Any]:
    return {
        "type": "required",
        "status": {"response": response, "time": "0001-01-01T00:00:00Z"},
        "emailAddress": {"name": address.partition("@")[0], "address": address},
    }


def test_a_plain_event() -> None:
    event = read(
        subject="Plan",
        body={"contentType": "html", "content": "<b>Agenda</b>"},
        bodyPreview="Agenda",
        location={"displayName": "Room 1"},
        organizer={"emailAddress": {"name": "Ada", "address": "ada@example.com"}},
        attendees=[],
        onlineMeeting=None,
        onlineMeetingUrl="",
    )
    assert event == ProviderEvent(
        id="AAMk=",
        series_id=None,
        family=None,
        is_exception=False,
        is_meeting=True,
        title="Plan",
        description="<b>Agenda</b>",
        location="Room 1",
        start=at(10, 9),
        end=at(10, 10),
        time_zone="Europe/Berlin",
        is_all_day=False,
        status=EventStatus.CONFIRMED,
        organizer_email="ada@example.com",
        organizer_name="Ada",
        attendees=None,
        links=(),
    )


def test_a_sparse_event_has_what_is_required() -> None:
    event = read(
        subject=None,
        body=None,
        bodyPreview="",
        location={"displayName": ""},
        locations=[],
        organizer=None,
        attendees=None,
        responseStatus=None,
        showAs=None,
        isAllDay=None,
        originalStartTimeZone=None,
    )
    assert (event.title, event.description, event.location) == ("", None, None)
    assert (event.organizer_email, event.attendees, event.time_zone) == (None, None, "UTC")


@pytest.mark.parametrize(
    ("fraction", "microsecond"), [(".1234567", 123456), (".0000000", 0), ("", 0)]
)
def test_seven_digits_of_a_second(fraction: str, microsecond: int) -> None:
    start = told(f"2027-01-10T09:00:00{fraction}")
    assert read(start=start).start == at(10, 9).replace(microsecond=microsecond)


@pytest.mark.parametrize(
    ("zone", "hour"),
    [
        ("UTC", 9),
        ("W. Europe Standard Time", 8),
        ("Europe/Paris", 8),
        ("tzone://Microsoft/Custom", 9),
        (None, 9),
    ],
)
def test_a_time_is_read_in_its_zone(zone: str | None, hour: int) -> None:
    assert read(start=told("2027-01-10T09:00:00.0000000", zone)).start == at(10, hour)


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("America/New_York", "America/New_York"),
        ("UTC", "UTC"),
        ("tzone://Microsoft/Utc", "UTC"),
        ("tzone://Microsoft/Custom", "UTC"),
        ("Customized Time Zone", "UTC"),
        ("", "UTC"),
    ],
)
def test_zones_have_names_of_iana(name: str, zone: str) -> None:
    assert read(originalStartTimeZone=name).time_zone == zone


class TestWholeDays:
    """No day may shift."""

    @pytest.mark.parametrize(
        ("zone", "midnight"),
        [
            ("Tokyo Standard Time", at(9, 15)),
            ("Pacific Standard Time", at(10, 8)),
            ("UTC", at(10)),
            ("tzone://Microsoft/Custom", at(10)),
        ],
    )
    def test_a_midnight_names_the_day_where_the_event_was_made(
        self, zone: str, midnight: datetime
    ) -> None:
        event = read(
            isAllDay=True,
            start=told("2027-01-10T00:00:00.0000000"),
            end=told("2027-01-11T00:00:00.0000000"),
            originalStartTimeZone=zone,
        )
        assert event.is_all_day
        assert event.time_zone is None
        assert event.start == midnight
        assert event.end == midnight.replace(day=midnight.day + 1)

    @pytest.mark.parametrize(
        ("zone", "shown", "midnight"),
        [
            ("Tokyo Standard Time", "2027-01-09T15:00:00", at(9, 15)),
            ("Pacific Standard Time", "2027-01-10T08:00:00", at(10, 8)),
        ],
    )
    def test_a_midnight_that_was_converted_is_converted_back(
        self, zone: str, shown: str, midnight: datetime
    ) -> None:
        event = read(isAllDay=True, start=told(shown), originalStartTimeZone=zone)
        assert event.start == midnight

    def test_a_time_at_the_edge_of_the_calendar(self) -> None:
        edge = told("0001-01-01T03:00:00")
        event = read(isAllDay=True, start=edge, originalStartTimeZone="Tokyo Standard Time")
        assert event.start.year == 1


class TestStatuses:
    """What takes place."""

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({}, EventStatus.CONFIRMED),
            ({"showAs": "busy"}, EventStatus.CONFIRMED),
            ({"showAs": "free"}, EventStatus.CONFIRMED),
            ({"showAs": "tentative"}, EventStatus.TENTATIVE),
            ({"isCancelled": True, "showAs": "tentative"}, EventStatus.CANCELLED),
            ({"responseStatus": {"response": "declined"}}, EventStatus.CANCELLED),
            ({"responseStatus": {"response": "Declined"}}, EventStatus.CANCELLED),
            ({"responseStatus": {"response": "tentativelyAccepted"}}, EventStatus.TENTATIVE),
            ({"responseStatus": {"response": "organizer"}}, EventStatus.CONFIRMED),
            ({"responseStatus": {"response": "notResponded"}}, EventStatus.CONFIRMED),
        ],
    )
    def test_status(self, fields: dict[str, Any], status: EventStatus) -> None:
        assert read(**fields).status == status

    @pytest.mark.parametrize(
        ("said", "response"),
        [
            ("none", ResponseStatus.NEEDS_ACTION),
            ("notResponded", ResponseStatus.NEEDS_ACTION),
            (None, ResponseStatus.NEEDS_ACTION),
            ("organizer", ResponseStatus.ACCEPTED),
            ("accepted", ResponseStatus.ACCEPTED),
            ("Accepted", ResponseStatus.ACCEPTED),
            ("declined", ResponseStatus.DECLINED),
            ("tentativelyAccepted", ResponseStatus.TENTATIVE),
        ],
    )
    def test_responses(self, said: str | None, response: ResponseStatus) -> None:
        event = read(attendees=[person("bob@example.com", said)])
        assert event.attendees is not None
        assert event.attendees[0].response == response
        assert event.status == EventStatus.CONFIRMED

    def test_the_organizer_among_the_attendees(self) -> None:
        event = read(
            isOrganizer=True,
            organizer={"emailAddress": {"name": "Ada", "address": "Ada@Example.com"}},
            attendees=[person("ada@example.com"), person("bob@example.com"), {"status": None}],
        )
        assert event.attendees is not None
        assert [(a.name, a.organizer, a.is_self) for a in event.attendees] == [
            ("ada", True, True),
            ("bob", False, None),
        ]


class TestPlaces:
    """Where it takes place, and where to join."""

    def test_the_link_to_join_comes_first(self) -> None:
        event = read(
            onlineMeeting={"joinUrl": "https://teams.microsoft.com/l/meetup-join/1"},
            onlineMeetingUrl="https://meet.lync.com/x",
        )
        assert event.links == (
            "https://teams.microsoft.com/l/meetup-join/1",
            "https://meet.lync.com/x",
        )

    def test_a_place_that_is_an_address_of_the_web(self) -> None:
        event = read(
            location={"displayName": "Zoom", "locationUri": "https://zoom.us/j/123"},
            locations=[
                {"displayName": "Zoom", "locationUri": "https://zoom.us/j/123"},
                {"displayName": "Room 1", "locationUri": "room1@example.com"},
            ],
        )
        assert event.location == "Zoom; Room 1; https://zoom.us/j/123"

    def test_a_name_that_holds_all_places_is_enough(self) -> None:
        places = [{"displayName": "Room 1"}, {"displayName": "Room 2"}]
        event = read(location={"displayName": "Room 1; Room 2"}, locations=places)
        assert event.location == "Room 1; Room 2"


MASTER = {
    "id": "master",
    "type": "seriesMaster",
    "subject": "Weekly",
    "start": told("2020-01-05T09:00:00.0000000"),
    "end": told("2020-01-05T10:00:00.0000000"),
    "originalStartTimeZone": "W. Europe Standard Time",
    "onlineMeeting": {"joinUrl": "https://teams.microsoft.com/l/meetup-join/1"},
}


def occurrence(number: int, **fields: Any) -> dict[str, Any]:
    """As bare as delta gives it."""
    return {
        "id": f"occurrence-{number}",
        "type": "occurrence",
        "seriesMasterId": "master",
        "start": told(f"2027-01-{number:02}T09:00:00.0000000"),
        "end": told(f"2027-01-{number:02}T10:00:00.0000000"),
        **fields,
    }


def taken(*pages: list[dict[str, Any]]) -> Round:
    found = Round()
    for page in pages:
        found.take(EventPage.model_validate({"value": page}))
    return found


class TestRounds:
    """What a round's items say together."""

    def test_occurrences_take_what_they_lack_from_their_series(self) -> None:
        found = taken([occurrence(10)], [], [MASTER, occurrence(17)])
        events = [to_event(item) for item in found.filled()]
        assert found.series_to_fetch() == set()
        assert [(e.id, e.series_id, e.title, e.start, e.time_zone) for e in events if e] == [
            ("occurrence-10", "master", "Weekly", at(10, 9), "Europe/Berlin"),
            ("occurrence-17", "master", "Weekly", at(17, 9), "Europe/Berlin"),
        ]
        assert all(e is not None and e.links and e.is_exception is False for e in events)

    def test_an_exception_keeps_what_is_its_own(self) -> None:
        own = {"type": "exception", "subject": "Once", "onlineMeeting": None}
        (event,) = [to_event(item) for item in taken([MASTER, occurrence(10, **own)]).filled()]
        assert event is not None
        assert (event.title, event.links, event.is_exception) == ("Once", (), True)

    def test_series_that_did_not_come_are_to_be_fetched_for_bare_occurrences_only(self) -> None:
        whole = {"type": "exception", "subject": "Once"}
        found = taken([occurrence(10), occurrence(17, seriesMasterId="other", **whole)])
        assert found.series_to_fetch() == {"master"}
        assert found.touched == {"master", "other"}
        assert [event.id for event in found.filled()] == ["occurrence-17"]

    def test_the_series_itself_is_no_event(self) -> None:
        found = taken([MASTER])
        assert found.filled() == []
        assert found.touched == {"master"}

    def test_what_comes_last_counts(self) -> None:
        single = {"id": "a", "type": "singleInstance", "start": told("2027-01-10T09:00:00")}
        gone = {"id": "a", "@removed": {"reason": "deleted"}}
        assert taken([single], [gone]).removed == {"a"}
        again = taken([gone, single], [{**single, "subject": "New"}])
        assert again.removed == set()
        assert [event.subject for event in again.filled()] == ["New"]
