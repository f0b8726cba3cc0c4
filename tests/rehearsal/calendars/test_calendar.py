"""What people do in a calendar, without anybody who asks for it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sitin.contract.calendars import EventStatus, ResponseStatus
from sitin.rehearsal.calendars import (
    Account,
    CalendarControlError,
    CalendarRehearsal,
    ConferenceState,
    Event,
    UnknownError,
)
from sitin.rehearsal.calendars.model import stamp
from tests.rehearsal.calendars.conftest import NOW

pytestmark = pytest.mark.unit

MONTH = timedelta(days=30)


@pytest.fixture
def ada() -> Account:
    return CalendarRehearsal(at=NOW, standing=True).google.account(
        "ada@example.com", zone="Europe/Paris"
    )


@pytest.fixture
def mia() -> Account:
    return CalendarRehearsal(at=NOW, standing=True).microsoft.account("mia@contoso.com")


def weekly(account: Account) -> Event:
    return account.primary.add("Weekly", "2027-03-22T10:00", recurrence="FREQ=WEEKLY;COUNT=4")


def titles(account: Account) -> list[str | None]:
    return [event.title for event in account.primary.occurrences(NOW, NOW + MONTH)]


def test_a_record_of_an_occurrence_stands_for_it(ada: Account) -> None:
    series = weekly(ada)
    first, second, *_ = ada.primary.occurrences(NOW, NOW + MONTH)
    ada.primary.edit(first, title="First")
    ada.primary.delete(second)
    assert titles(ada) == ["First", "Weekly", "Weekly"]
    assert ada.primary.event(series).title == "Weekly"


@pytest.mark.parametrize(
    "on",
    [
        "2027-03-29",
        "2027-03-29T10:00",
        "2027-03-29T08:00:00Z",
        "20270329T080000Z",
        date(2027, 3, 29),
        datetime(2027, 3, 29, 8, tzinfo=UTC),
        datetime(2027, 3, 29, 10),  # noqa: DTZ001 - in the series' zone
    ],
)
def test_an_occurrence_is_meant_in_many_ways(ada: Account, on: Any) -> None:
    found = ada.primary.occurrence(weekly(ada), on)
    assert found.key == "20270329T080000Z"


def test_a_moved_occurrence_is_still_known_by_its_original_start(ada: Account) -> None:
    series = weekly(ada)
    ada.primary.move(series, "2027-05-01T10:00", on="2027-03-29T10:00")
    ada.primary.edit(series, on="20270329T080000Z", title="Moved")
    assert ada.primary.occurrence(series, "20270329T080000Z").title == "Moved"
    assert titles(ada) == ["Weekly"] * 3


def test_what_was_different_follows_the_series_otherwise(ada: Account) -> None:
    series = weekly(ada)
    ada.primary.respond(series, ResponseStatus.DECLINED, on="2027-03-29")
    ada.primary.edit(series, title="New", location="Room 5")
    declined = ada.primary.occurrence(series, "2027-03-29")
    assert (declined.title, declined.location) == ("New", "Room 5")
    assert declined.response_of("ada@example.com") is ResponseStatus.DECLINED


def test_what_becomes_of_a_series_becomes_of_its_exceptions(ada: Account) -> None:
    series = weekly(ada)
    ada.primary.delete(series, on="2027-03-29")
    ada.primary.restore(series, on="2027-03-29")
    ada.primary.delete(series)
    assert ada.primary.occurrence(series, "2027-03-29").removed
    ada.primary.restore(series)
    ada.primary.cancel(series)
    assert ada.primary.occurrence(series, "2027-03-29").status is EventStatus.CANCELLED


def test_exceptions_that_still_occur_stay_at_google_without_a_difference(ada: Account) -> None:
    series = weekly(ada)
    ada.primary.edit(series, on="2027-03-29", title="Special")
    ada.primary.edit(series, on="2027-04-12", title="Late")
    changed = ada.primary.repeat(series, "FREQ=WEEKLY;COUNT=2")
    assert list(changed.exceptions) == ["20270329T080000Z"]
    assert titles(ada) == ["Weekly", "Weekly"]


def test_exceptions_are_over_with_their_pattern_at_microsoft(mia: Account) -> None:
    series = weekly(mia)
    mia.primary.edit(series, on="2027-03-29", title="Special")
    assert mia.primary.move(series, "2027-03-22T11:00").exceptions == {}


def test_a_split_series_keeps_what_came_before(ada: Account) -> None:
    series = weekly(ada)
    ada.primary.edit(series, on="2027-03-29", title="Special")
    ada.primary.edit(series, on="2027-04-12", title="Lost")
    new = ada.primary.split(
        series,
        on="2027-04-05",
        start="2027-04-06T15:00",
        recurrence="FREQ=WEEKLY;COUNT=1",
        title="Later",
    )
    assert titles(ada) == ["Weekly", "Special", "Later"]
    assert stamp(new.span.start) == "20270406T130000Z"
    assert new.ical_uid != series.ical_uid


def length(event: Event) -> timedelta:
    """How long an event lasts."""
    start, end = event.span.bounds(ZoneInfo("UTC"))
    return end - start


def test_how_long_a_moved_event_lasts(ada: Account) -> None:
    event = ada.primary.add("Talk", "2027-03-22T10:00", minutes=50)
    moved = ada.primary.move(event, "2027-03-23T10:00")
    assert length(moved) == timedelta(minutes=50)
    moved = ada.primary.move(event, "2027-03-24", end="2027-03-26")
    assert moved.span.all_day
    moved = ada.primary.move(event, "2027-03-30")
    assert moved.span.end == date(2027, 4, 1)
    moved = ada.primary.move(event, "2027-03-30T10:00", zone="Asia/Tokyo")
    assert (moved.span.zone, length(moved)) == ("Asia/Tokyo", timedelta(minutes=30))


def test_a_conference_may_fail(ada: Account) -> None:
    event = ada.primary.add("Call", "2027-03-22T10:00")
    failed = ada.primary.finish_conference(event, None)
    assert failed.conference is not None
    assert failed.conference.state is ConferenceState.FAILURE


def test_a_series_can_be_made_of_an_event_and_an_event_of_a_series(ada: Account) -> None:
    event = ada.primary.add("Once", "2027-03-22T10:00")
    ada.primary.repeat(event, "FREQ=DAILY;COUNT=3", start="2027-03-23T10:00")
    assert len(titles(ada)) == 3
    ada.primary.repeat(event, ())
    assert titles(ada) == ["Once"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"start": "22.03.2027"}, "start: has to be a time like"),
        ({"start": "2027-03-22T10:00", "end": "2027-03-22"}, "end: has to be of the same kind"),
        ({"start": "2027-03-22T10:00", "end": "2027-03-22T09:00"}, "end: has to be after start"),
        ({"start": "2027-03-22", "end": "2027-03-22"}, "end: has to be after start"),
        ({"start": "2027-03-22", "zone": "Mars/Base"}, "zone: 'Mars/Base' is no IANA"),
        ({"start": "2027-03-22", "colour": "red"}, "colour: is no field of an event"),
        ({"start": "2027-03-22", "kind": "party"}, "kind: has to be one of default"),
        ({"start": "2027-03-22", "meeting_url": "x", "conference": None}, "give it or a confer"),
        ({"start": "2027-03-22", "event_id": "taken"}, "event_id: there is an event 'taken'"),
    ],
)
def test_what_makes_no_event(ada: Account, arguments: dict[str, Any], says: str) -> None:
    ada.primary.add("There", "2027-03-22", event_id="taken")
    with pytest.raises(CalendarControlError, match=says):
        ada.primary.add("Odd", **arguments)
    assert titles(ada) == ["There"]


def test_what_cannot_be_done_to_a_series(ada: Account) -> None:
    series, single = weekly(ada), ada.primary.add("Once", "2027-03-23T10:00")
    with pytest.raises(UnknownError, match="has no occurrence on 2027-03-23"):
        ada.primary.delete(series, on="2027-03-23")
    with pytest.raises(CalendarControlError, match="is no series"):
        ada.primary.delete(single, on="2027-03-23")
    with pytest.raises(CalendarControlError, match="occurrence: has to be an original start"):
        ada.primary.delete(series, on="20270329")
    with pytest.raises(CalendarControlError, match="tell from which occurrence on"):
        ada.primary.split(series)
    with pytest.raises(CalendarControlError, match="edit the series itself"):
        ada.primary.split(series, on="2027-03-22")
    with pytest.raises(UnknownError, match="there is no event 'none'"):
        ada.primary.touch("none")
    dated = ada.primary.repeat(series, ["RRULE:FREQ=WEEKLY", "RDATE:20270401T080000Z"])
    with pytest.raises(CalendarControlError, match="with an RDATE cannot be split"):
        ada.primary.split(dated, on="2027-03-29")


def test_a_clock_stands_or_runs() -> None:
    cal = CalendarRehearsal(at=NOW, standing=True)
    cal.clock.move(timedelta(hours=1))
    assert cal.clock.now() == NOW + timedelta(hours=1)
    cal.clock.set(NOW, standing=False)
    assert NOW <= cal.clock.now() < NOW + timedelta(minutes=5)
    with pytest.raises(CalendarControlError, match="at: has to have an offset"):
        cal.clock.set(datetime(2027, 3, 22))  # noqa: DTZ001 - what is refused
