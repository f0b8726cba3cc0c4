"""How Google's events become ours."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sitin.contract.calendars import EventStatus, ProviderEvent, ResponseStatus
from sitin.providers.calendars.google.events import to_event
from sitin.providers.calendars.google.wire import EventPage, WireEvent

pytestmark = pytest.mark.unit

PARIS = ZoneInfo("Europe/Paris")
BERLIN = "Europe/Berlin"


def read(zone: ZoneInfo | None = PARIS, **fields: Any) -> ProviderEvent:
    event = to_event(
        WireEvent.model_validate(
            {
                "id": "abc",
                "status": "confirmed",
                "start": {"dateTime": "2027-01-10T10:00:00+01:00", "timeZone": "Europe/Berlin"},
                "end": {"dateTime": "2027-01-10T11:00:00+01:00", "timeZone": "Europe/Berlin"},
                **fields,
            }
        ),
        zone,
    )
    assert event is not None
    return event


def at(day: int, hour: int = 0, minute: int = 0, *, month: int = 1) -> datetime:
    return datetime(2027, month, day, hour, minute, tzinfo=UTC)


def test_a_plain_event() -> None:
    event = read(
        summary="Plan",
        description="<b>Agenda</b>",
        location="Room 1",
        organizer={"email": "ada@example.com", "displayName": "Ada"},
    )
    assert event == ProviderEvent(
        id="abc",
        series_id=None,
        family=None,
        is_exception=False,
        is_meeting=True,
        title="Plan",
        description="<b>Agenda</b>",
        location="Room 1",
        start=at(10, 9),
        end=at(10, 10),
        time_zone=BERLIN,
        is_all_day=False,
        status=EventStatus.CONFIRMED,
        organizer_email="ada@example.com",
        organizer_name="Ada",
        attendees=None,
        links=(),
    )


def test_a_sparse_event_has_what_is_required() -> None:
    """A private event of a calendar that is shared as free or busy."""
    event = read(visibility="private", attendeesOmitted=True)
    assert (event.title, event.description, event.location) == ("", None, None)
    assert (event.organizer_email, event.organizer_name, event.attendees) == (None, None, None)


@pytest.mark.parametrize(
    ("day", "utc"), [("2027-03-26", at(26, 9, month=3)), ("2027-03-29", at(29, 8, month=3))]
)
def test_a_time_without_an_offset_is_read_in_its_zone(day: str, utc: datetime) -> None:
    start = {"dateTime": f"{day}T10:00:00", "timeZone": "Europe/Paris"}
    assert read(start=start, end=start).start == utc


@pytest.mark.parametrize("zone", ["Nowhere/Nothing", "../../etc/passwd", "", "localtime", None])
def test_a_zone_that_is_none_is_the_calendars(zone: str | None) -> None:
    start = {"dateTime": "2027-01-10T10:00:00+01:00"} | ({"timeZone": zone} if zone else {})
    assert read(start=start).time_zone == "Europe/Paris"
    assert read(None, start=start).time_zone == "UTC"


def test_a_whole_day_begins_at_the_calendars_midnight() -> None:
    event = read(start={"date": "2027-01-10"}, end={"date": "2027-01-11"})
    assert event.is_all_day
    assert event.time_zone is None
    assert (event.start, event.end) == (at(9, 23), at(10, 23))


def test_whole_days_across_a_change_of_clocks() -> None:
    event = read(start={"date": "2027-03-28"}, end={"date": "2027-03-29"})
    assert (event.end - event.start).total_seconds() == 23 * 3600


@pytest.mark.parametrize("end", [{"dateTime": "2027-01-09T10:00:00Z"}, {}, None])
def test_an_end_that_makes_no_sense_is_the_start(end: Any) -> None:
    event = read(end=end)
    assert event.end == event.start == at(10, 9)


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z"]
)
def test_a_time_at_the_edge_is_moved_onto_it(time: str) -> None:
    event = read(start={"dateTime": time}, end={"dateTime": time})
    assert event.start.tzinfo is UTC


@pytest.mark.parametrize("start", [None, {}, {"timeZone": "Europe/Paris"}])
def test_an_event_at_no_time_is_told_apart(start: Any) -> None:
    assert to_event(WireEvent.model_validate({"id": "abc", "start": start}), PARIS) is None


class TestOccurrences:
    """Instances of a series."""

    def read(self, **fields: Any) -> ProviderEvent:
        original = {"dateTime": "2027-01-10T09:00:00Z", "timeZone": "Europe/Berlin"}
        occurrence = {"recurringEventId": "series", "originalStartTime": original}
        return read(**{**occurrence, **fields})

    def test_one_where_it_was_planned(self) -> None:
        event = self.read()
        assert (event.series_id, event.family, event.is_exception) == ("series", "series", None)

    def test_one_that_was_moved(self) -> None:
        assert self.read(start={"dateTime": "2027-01-10T09:30:00Z"}).is_exception is True

    def test_one_that_became_a_whole_day(self) -> None:
        original = {"dateTime": "2027-01-10T00:00:00+01:00"}
        day = {"date": "2027-01-10"}
        assert self.read(start=day, originalStartTime=original).is_exception is True

    def test_a_whole_day_where_it_was_planned(self) -> None:
        day = {"date": "2027-01-10"}
        assert self.read(start=day, originalStartTime=day).is_exception is None

    @pytest.mark.parametrize(
        ("series", "family"),
        [
            ("abc", "abc"),
            ("abc_R20270110T090000", "abc"),
            ("abc_R20270110T090000Z", "abc"),
            ("abc_R20270110", "abc"),
            ("abc_R20270110T090000_R20270210T090000", "abc"),
            ("abc_R2027", "abc_R2027"),
            ("_R20270110", "_R20270110"),
        ],
    )
    def test_series_that_were_split_are_a_family(self, series: str, family: str) -> None:
        event = self.read(recurringEventId=series)
        assert (event.series_id, event.family) == (series, family)


class TestAnswers:
    """Who answered what."""

    def test_declined_by_the_owner_is_cancelled(self) -> None:
        people = [
            {"email": "ada@example.com", "responseStatus": "accepted", "organizer": True},
            {"email": "me@example.com", "responseStatus": "declined", "self": True},
        ]
        event = read(attendees=people)
        assert event.status == EventStatus.CANCELLED
        assert event.attendees is not None
        assert [(a.response, a.organizer, a.is_self) for a in event.attendees] == [
            (ResponseStatus.ACCEPTED, True, False),
            (ResponseStatus.DECLINED, False, True),
        ]

    def test_declined_by_somebody_else_is_not(self) -> None:
        people = [
            {"email": "bob@example.com", "responseStatus": "declined"},
            {"email": "me@example.com", "responseStatus": "accepted", "self": True},
        ]
        assert read(attendees=people).status == EventStatus.CONFIRMED

    def test_a_refusal_counts_however_many_are_invited(self) -> None:
        others = [{"email": f"{n}@example.com"} for n in range(3000)]
        me = {"email": "me@example.com", "responseStatus": "declined", "self": True}
        event = read(attendees=[*others, me])
        assert event.status == EventStatus.CANCELLED
        assert event.attendees is not None
        assert len(event.attendees) == 2000

    def test_an_answer_that_is_not_known_is_none(self) -> None:
        people = [{"email": "a@example.com", "responseStatus": "maybe"}, {"displayName": "B"}]
        event = read(attendees=people)
        assert event.attendees is not None
        assert [a.response for a in event.attendees] == [ResponseStatus.NEEDS_ACTION]

    @pytest.mark.parametrize(
        ("said", "status"),
        [
            ("confirmed", EventStatus.CONFIRMED),
            ("tentative", EventStatus.TENTATIVE),
            ("something new", EventStatus.CONFIRMED),
        ],
    )
    def test_statuses(self, said: str, status: EventStatus) -> None:
        assert read(status=said).status == status


@pytest.mark.parametrize(
    ("kind", "is_meeting"),
    [
        ("default", True),
        ("fromGmail", True),
        ("something new", True),
        ("birthday", False),
        ("focusTime", False),
        ("outOfOffice", False),
        ("workingLocation", False),
    ],
)
def test_where_nobody_meets_there_is_no_meeting(kind: str, is_meeting: bool) -> None:
    assert read(eventType=kind).is_meeting is is_meeting


class TestLinks:
    """Where to join."""

    def test_video_comes_first_then_the_hangout(self) -> None:
        event = read(
            hangoutLink="https://meet.google.com/abc-defg-hij",
            conferenceData={
                "entryPoints": [
                    {"entryPointType": "phone", "uri": "tel:+1-234"},
                    {"entryPointType": "sip", "uri": "sip:1@example.com"},
                    {"entryPointType": "more", "uri": "https://tel.meet/abc"},
                    {"entryPointType": "video", "uri": "https://zoom.us/j/123"},
                ]
            },
        )
        assert event.links == ("https://zoom.us/j/123", "https://meet.google.com/abc-defg-hij")

    def test_the_same_one_once(self) -> None:
        link = "https://meet.google.com/abc-defg-hij"
        entry = {"entryPointType": "video", "uri": link}
        event = read(hangoutLink=link, conferenceData={"entryPoints": [entry]})
        assert event.links == (link,)

    def test_a_conference_that_is_still_made_has_none(self) -> None:
        pending = {"createRequest": {"status": {"statusCode": "pending"}}}
        assert read(conferenceData=pending).links == ()

    @pytest.mark.parametrize(
        "uri",
        [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://",
            "https://zoom.us/j/1 and more",
            "https://zoom.us/\x00",
            "https://zoom.us/" + "x" * 5000,
            "",
            None,
        ],
    )
    def test_what_is_no_address_of_the_web_is_none(self, uri: str | None) -> None:
        entry = {"entryPointType": "video", "uri": uri}
        assert read(conferenceData={"entryPoints": [entry]}).links == ()


def test_text_is_bounded_and_can_be_stored() -> None:
    event = read(summary="a\x00" * 5000, description="d" * 1_000_000, location="l" * 10_000)
    assert event.title == "a" * 1000
    assert event.description is not None
    assert event.location is not None
    assert len(event.description) == 65_536
    assert len(event.location) == 2000


@pytest.mark.parametrize("event_id", ["", "a b", "a\x00b", "a\nb", "x" * 1025, 7, None])
def test_an_id_that_cannot_be_one_is_refused(event_id: Any) -> None:
    with pytest.raises(ValueError, match="id"):
        EventPage.model_validate({"items": [{"id": event_id}]})


def test_a_refusal_does_not_show_what_was_read() -> None:
    with pytest.raises(ValueError, match="items") as refused:
        EventPage.model_validate({"items": [{"id": ["a secret"]}]})
    assert "a secret" not in str(refused.value)
