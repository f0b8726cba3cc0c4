"""When series occur, in zones with and without daylight saving."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sitin.rehearsal.calendars import CalendarControlError, CalendarRehearsal
from sitin.rehearsal.calendars.model import Moment, stamp
from sitin.rehearsal.calendars.recurrence import check, ended, rest, starts

pytestmark = pytest.mark.unit

PARIS = ZoneInfo("Europe/Paris")
FAR = datetime(2040, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def stamps(lines: tuple[str, ...], start: Moment, zone: ZoneInfo = PARIS) -> list[str]:
    found = starts(lines, start, zone=zone, after=LONG_AGO, before=FAR)
    return [stamp(moment) for moment in found]


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        ("Europe/Paris", "20270322T090000Z", "20270329T080000Z"),
        ("America/New_York", "20270308T150000Z", "20270315T140000Z"),
        ("Asia/Kolkata", "20270322T043000Z", "20270329T043000Z"),
    ],
)
def test_a_weekly_meeting_keeps_its_hour_when_the_clocks_change(
    zone: str, before: str, after: str
) -> None:
    where = ZoneInfo(zone)
    start = datetime.strptime(before, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).astimezone(where)
    assert stamps(("RRULE:FREQ=WEEKLY;COUNT=2",), start, where) == [before, after]


def test_an_hour_that_does_not_exist_comes_when_the_clocks_have_changed() -> None:
    start = datetime(2027, 3, 27, 2, 30, tzinfo=PARIS)
    found = stamps(("RRULE:FREQ=DAILY;COUNT=3",), start)
    assert found == ["20270327T013000Z", "20270328T013000Z", "20270329T003000Z"]


@pytest.mark.parametrize(
    "line",
    [
        "EXDATE;TZID=Europe/Paris:20270323T100000",
        "EXDATE:20270323T090000Z",
    ],
)
def test_an_exdate_takes_an_occurrence_out(line: str) -> None:
    start = datetime(2027, 3, 22, 10, tzinfo=PARIS)
    found = stamps(("RRULE:FREQ=DAILY;COUNT=3", line), start)
    assert found == ["20270322T090000Z", "20270324T090000Z"]


def test_whole_days_recur_as_days() -> None:
    lines = ("RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3", "EXDATE;VALUE=DATE:20270228")
    assert stamps(lines, date(2027, 1, 31)) == ["20270131", "20270331"]


def test_equal_instants_in_other_zones_are_other_series() -> None:
    london = ZoneInfo("Europe/London")
    rule = ("RRULE:FREQ=WEEKLY;COUNT=2",)
    utc = datetime(2027, 3, 24, 10, tzinfo=ZoneInfo("UTC"))
    assert stamps(rule, utc) == ["20270324T100000Z", "20270331T100000Z"]
    assert stamps(rule, utc.astimezone(london)) == ["20270324T100000Z", "20270331T090000Z"]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("EXDATE:20270323T090000Z",), "has to have an RRULE"),
        (("RRULE:FREQ=SOMETIMES",), "recurrence: "),
        (("RRULE:FREQ=DAILY;UNTIL=20270401",), "recurrence: "),
        (("RRULE:FREQ=WEEKLY;BYDAY=TU",), "occur at its own start"),
        (("RRULE:nonsense",), "recurrence: "),
    ],
)
def test_lines_that_make_no_series_are_refused(lines: tuple[str, ...], says: str) -> None:
    with pytest.raises(CalendarControlError, match=says):
        check(lines, datetime(2027, 3, 22, 10, tzinfo=PARIS))


@pytest.mark.parametrize(
    "rule", ["FREQ=DAILY;COUNT=7", "FREQ=DAILY;UNTIL=20270328T080000Z", "FREQ=DAILY;INTERVAL=2"]
)
def test_the_parts_of_a_split_series_are_the_series(rule: str) -> None:
    start = datetime(2027, 3, 22, 10, tzinfo=PARIS)
    lines = (f"RRULE:{rule}", "EXDATE:20270326T090000Z")
    at = datetime(2027, 3, 24, 10, tzinfo=PARIS)
    before, after = ended(lines, at), rest(lines, start, at)
    whole = stamps(lines, start)
    assert stamps(before, start) == [found for found in whole if found < stamp(at)]
    assert stamps(after, at) == [found for found in whole if found >= stamp(at)]


async def test_a_duration_is_elapsed_time_across_a_change_of_the_clocks(
    cal: CalendarRehearsal,
) -> None:
    calendar = cal.google.account("ada@example.com", zone="Europe/Paris").primary
    night = calendar.add("Night", "2027-03-26T23:00", minutes=480, recurrence="FREQ=DAILY;COUNT=3")
    lengths = [
        occurrence.span.bounds(PARIS)[1] - occurrence.span.bounds(PARIS)[0]
        for occurrence in calendar.occurrences(LONG_AGO, FAR)
    ]
    assert lengths == [timedelta(hours=8)] * 3
    assert (
        calendar.occurrence(night, "2027-03-27").span.end.isoformat().startswith("2027-03-28T08:00")
    )
