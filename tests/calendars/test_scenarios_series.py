"""Series and what people do to them: scenarios 1 to 15, 27, 45 of the fact sheet, by number.

Each runs at every provider that knows it.
"""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sitin.bots.scheduled.models import ScheduleStatus
from sitin.contract.calendars import CalendarPlatform, EventStatus, ResponseStatus
from sitin.rehearsal.calendars import Event as RehearsedEvent
from tests.calendars.office import MEET, NOW, ZOOM, Office, at_google, at_microsoft, listings

pytestmark = pytest.mark.db


async def weekly(office: Office, *, count: int = 4, bots: bool = True) -> RehearsedEvent:
    """A connected series of days 1, 8, 15, … with bots for all of it, already told."""
    series = office.calendar.add(
        "Weekly",
        office.at(days=1),
        recurrence=f"RRULE:FREQ=WEEKLY;COUNT={count}",
        meeting_url=MEET,
        organizer="cyd@example.com",
        attendees=["ada@example.com", "bob@example.com"],
    )
    await office.connect()
    if bots:
        (stored,) = await office.series()
        await office.send_bot(series=stored.id)
    await office.told()
    return series


async def days(office: Office, status: EventStatus = EventStatus.CONFIRMED) -> list[float]:
    """Days from now on which there are events."""
    return [
        (event.start_at - office.now) / timedelta(days=1)
        for event in await office.events()
        if event.status == status
    ]


async def bot_days(office: Office) -> list[float]:
    """Days from now on which bots go."""
    return sorted((bot.join_at - office.now) / timedelta(days=1) for bot in await office.waiting())


@listings
async def test_01_a_moved_instance_stays_itself(office: Office, listing: bool) -> None:
    series = await weekly(office)
    before = {event.id: event for event in await office.events()}
    (bot,) = [bot for bot in await office.waiting() if bot.join_at == office.at(days=8)]
    office.calendar.move(series, office.at(days=8, hours=3), on=office.at(days=8))
    await office.sync(listing=listing)
    assert {event.id for event in await office.events()} == before.keys()
    (moved,) = [event for event in await office.events() if event.is_exception]
    assert before[moved.id].start_at == office.at(days=8)
    assert moved.start_at == office.at(days=8, hours=3)
    ((event, data),) = await office.told()
    assert event == "event_updated"
    assert data["is_exception"] is True
    assert [one["event_id"] for one in data["affected_instances"]] == [str(moved.id)]
    (followed,) = await office.waiting(moved.id)
    assert (followed.id, followed.join_at) == (bot.id, moved.start_at)


@listings
async def test_02_moved_out_of_the_window(office: Office, listing: bool) -> None:
    series = await weekly(office)
    office.calendar.move(series, office.at(days=40), on=office.at(days=8))
    await office.sync(listing=listing)
    assert await bot_days(office) == [1, 15, 22]
    on = await days(office)
    assert [day for day in on if day < 30] == [1, 15, 22]
    ((event, data),) = await office.told()
    assert event == "event_cancelled"
    assert len(data["cancelled_instances"]) == 1


@listings
async def test_03_moved_into_the_window(office: Office, listing: bool) -> None:
    series = await weekly(office, count=6)
    assert await bot_days(office) == [1, 8, 15, 22, 29]
    office.calendar.move(series, office.at(days=20), on=office.at(days=36))
    await office.sync(listing=listing)
    assert await bot_days(office) == [1, 8, 15, 20, 22, 29]
    assert "event_created" in await office.told_events()


@listings
async def test_04_a_cancelled_instance(office: Office, listing: bool) -> None:
    series = await weekly(office)
    office.calendar.delete(series, on=office.at(days=8))
    await office.sync(listing=listing)
    assert await days(office, EventStatus.CANCELLED) == [8]
    assert await bot_days(office) == [1, 15, 22]
    assert await office.told_events() == ["event_cancelled"]


@listings
async def test_05_a_whole_series_deleted(office: Office, listing: bool) -> None:
    series = await weekly(office)
    office.calendar.delete(series)
    await office.sync(listing=listing)
    ((event, data),) = await office.told()
    assert event == "event_cancelled"
    assert len(data["cancelled_instances"]) == 4
    assert await office.waiting() == []


@at_google
async def test_05_a_series_of_which_only_some_is_told_as_deleted(office: Office) -> None:
    series = await weekly(office)
    office.rehearsal.google.cancellations_reach = timedelta(days=10)
    office.calendar.delete(series)
    await office.sync()
    assert await office.waiting() == []
    ((event, data),) = await office.told()
    assert event == "event_cancelled"
    assert len(data["cancelled_instances"]) == 4


@listings
async def test_06_this_and_following(office: Office, listing: bool) -> None:
    series = await weekly(office)
    office.calendar.split(series, on=office.at(days=15), title="Weekly with Bob")
    await office.sync(listing=listing)
    assert await days(office) == [1, 8, 15, 22]
    assert await days(office, EventStatus.CANCELLED) == [15, 22]
    old, new = await office.series()
    assert new.bot == old.bot != None  # noqa: E711 - all three at once
    assert await bot_days(office) == [1, 8, 15, 22]
    assert Counter(event for event, _ in await office.told()) == {
        "event_created": 1,
        "event_cancelled": 1,
    }


@listings
async def test_07_another_pattern(office: Office, listing: bool) -> None:
    series = await weekly(office)
    office.calendar.repeat(series, "RRULE:FREQ=DAILY;INTERVAL=2;COUNT=3")
    await office.sync(listing=listing)
    assert await days(office) == [1, 3, 5]
    assert await bot_days(office) == [1, 3, 5]
    await office.sync(listing=True)
    assert await bot_days(office) == [1, 3, 5]


@listings
async def test_08_an_exception_that_lost_its_edit(office: Office, listing: bool) -> None:
    series = await weekly(office)
    office.calendar.edit(series, on=office.at(days=8), title="Special")
    await office.sync()
    assert [event.title for event in await office.events() if event.is_exception] == ["Special"]
    await office.told()
    office.calendar.reset(series)
    await office.sync(listing=listing)
    assert {(event.title, event.is_exception) for event in await office.events()} == {
        ("Weekly", False)
    }
    ((event, data),) = await office.told()
    assert (event, data["is_exception"]) == ("event_updated", False)


@listings
async def test_09_bare_occurrences_are_filled_in(office: Office, listing: bool) -> None:
    await office.connect()
    await office.told()
    office.calendar.add(
        "Review",
        office.at(days=2),
        recurrence="RRULE:FREQ=DAILY;COUNT=3",
        location="Room 1",
        description=f"Come to {MEET}",
    )
    await office.sync(listing=listing)
    events = await office.events()
    assert {(event.title, event.location, event.meeting_url) for event in events} == {
        ("Review", "Room 1", MEET)
    }
    ((event, data),) = await office.told()
    assert (event, len(data["instances"])) == ("event_created", 3)


@at_microsoft
@pytest.mark.parametrize("silent", [True, False])
async def test_10_an_occurrence_deleted_silently(office: Office, silent: bool) -> None:
    office.rehearsal.microsoft.silent_deletions = silent
    series = await weekly(office)
    office.calendar.delete(series, on=office.at(days=15))
    await office.sync()
    assert await days(office, EventStatus.CANCELLED) == [15]
    assert await bot_days(office) == [1, 8, 22]


@listings
async def test_11_a_removal_of_what_was_never_known(office: Office, listing: bool) -> None:
    far = office.calendar.add("Far", office.at(days=60), meeting_url=MEET)
    await office.connect()
    short = office.calendar.add("Short-lived", office.at(days=2), meeting_url=MEET)
    await office.told()
    office.calendar.delete(far)
    office.calendar.delete(short)
    await office.sync(listing=listing)
    assert await office.told() == []
    assert await office.events() == []


@listings
async def test_12_the_owner_declines_and_accepts_again(office: Office, listing: bool) -> None:
    series = await weekly(office)
    office.calendar.decline(series, on=office.at(days=8), keep=True)
    await office.sync(listing=listing)
    assert await days(office, EventStatus.CANCELLED) == [8]
    assert await bot_days(office) == [1, 15, 22]
    assert await office.told_events() == ["event_cancelled"]
    office.calendar.respond(series, ResponseStatus.ACCEPTED, on=office.at(days=8))
    await office.sync(listing=listing)
    assert await days(office) == [1, 8, 15, 22]
    assert await bot_days(office) == [1, 8, 15, 22]
    assert await office.told_events() == ["event_updated"]


@listings
async def test_13_another_attendee_declines(office: Office, listing: bool) -> None:
    series = await weekly(office)
    office.calendar.decline(series, who="bob@example.com")
    await office.sync(listing=listing)
    assert await days(office, EventStatus.CANCELLED) == []
    assert await bot_days(office) == [1, 8, 15, 22]


@at_microsoft
@listings
@pytest.mark.parametrize("kept", [True, False], ids=["declined", "removed"])
async def test_14_the_owner_declines_at_microsoft(
    office: Office, kept: bool, listing: bool
) -> None:
    event = office.calendar.add(
        "Plan",
        office.at(hours=2),
        meeting_url=MEET,
        organizer="cyd@example.com",
        attendees=["ada@example.com"],
    )
    await office.connect()
    stored = await office.event("Plan")
    await office.send_bot(stored)
    await office.told()
    office.calendar.decline(event, keep=kept)
    await office.sync(listing=listing)
    assert (await office.event("Plan")).status == EventStatus.CANCELLED
    assert await office.waiting() == []
    assert await office.told_events() == ["event_cancelled"]


@at_microsoft
@listings
async def test_15_the_organizer_cancels(office: Office, listing: bool) -> None:
    event = office.calendar.add("Plan", office.at(hours=2), meeting_url=MEET)
    await office.connect()
    await office.send_bot(await office.event("Plan"))
    await office.told()
    office.calendar.edit(event, title="Canceled: Plan")
    office.calendar.cancel(event)
    await office.sync(listing=listing)
    office.calendar.delete(event)
    await office.sync(listing=listing)
    assert await office.told_events() == ["event_cancelled"]
    assert await office.waiting() == []


@pytest.mark.parametrize(
    ("zone", "first", "hours"),
    [
        ("Europe/Paris", 22, {22: 9, 26: 9, 29: 8}),
        ("America/New_York", 11, {11: 15, 12: 15, 15: 14}),
    ],
)
async def test_27_summer_time_begins(
    office: Office, zone: str, first: int, hours: dict[int, int]
) -> None:
    office.rehearsal.clock.set(datetime(2027, 3, 10, 12, tzinfo=UTC))
    office.calendar.add(
        "Weekly",
        datetime(2027, 3, first, 10, tzinfo=ZoneInfo(zone)),
        zone=zone,
        recurrence="RRULE:FREQ=WEEKLY;BYDAY=MO,TH,FR;UNTIL=20270330T000000Z",
        meeting_url=MEET,
    )
    await office.connect()
    events = await office.events()
    found = {event.start_at.day: event.start_at.hour for event in events}
    assert {day: found[day] for day in hours} == hours
    assert {event.time_zone for event in events} == {zone}


@listings
async def test_45_deleted_and_restored(office: Office, listing: bool) -> None:
    series = await weekly(office)
    ids = [event.id for event in await office.events()]
    office.calendar.delete(series)
    await office.sync(listing=listing)
    assert await bot_days(office) == []
    office.calendar.restore(series)
    await office.sync(listing=listing)
    assert [event.id for event in await office.events()] == ids
    assert await days(office) == [1, 8, 15, 22]
    assert await bot_days(office) == [1, 8, 15, 22]
    assert await office.told_events() == ["event_cancelled", "event_updated"]


class TestAllDay:
    """Scenario 28: whole days have no zone of their own."""

    @pytest.fixture(params=["Europe/Paris", "America/New_York", "Pacific/Auckland"])
    async def abroad(self, office: Office, request: pytest.FixtureRequest) -> Office:
        """The office, with another calendar to be connected: one of this zone."""
        office.chosen = office.account.calendar("Abroad", zone=request.param)
        return office

    @listings
    async def test_28_a_day_is_the_calendars(self, abroad: Office, listing: bool) -> None:
        added = abroad.calendar.add("Offsite", date(2027, 3, 25))
        await abroad.connect()
        zone = abroad.calendar.zone
        stored = await abroad.event("Offsite")
        assert (stored.is_all_day, stored.time_zone) == (True, None)
        assert stored.start_at == datetime(2027, 3, 25, tzinfo=zone)
        assert stored.end_at == datetime(2027, 3, 26, tzinfo=zone)
        (series,) = await abroad.series()
        done, failed = await abroad.send_bot(stored)
        assert (done, len(failed)) == ([], 1)
        abroad.calendar.edit(added, meeting_url=MEET)
        await abroad.sync(listing=listing)
        await abroad.send_bot(await abroad.event("Offsite"))
        (bot,) = await abroad.waiting()
        assert bot.join_at == stored.start_at
        abroad.calendar.move(added, datetime(2027, 3, 25, 9, tzinfo=UTC), minutes=30)
        await abroad.sync(listing=listing)
        timed = await abroad.event("Offsite")
        assert (timed.id, timed.is_all_day) == (stored.id, False)
        (bot,) = await abroad.waiting()
        assert bot.join_at == datetime(2027, 3, 25, 9, tzinfo=UTC)
        abroad.calendar.move(added, date(2027, 3, 25))
        await abroad.sync(listing=listing)
        again = await abroad.event("Offsite")
        assert (again.is_all_day, again.start_at) == (True, stored.start_at)
        assert [one.id for one in await abroad.series()] == [series.id]


@at_google
async def test_12_a_cancelled_bot_is_not_sent_twice(office: Office) -> None:
    """What a declined event has had is not what it gets when it is accepted again."""
    series = await weekly(office)
    office.calendar.decline(series, on=office.at(days=8))
    await office.sync()
    office.calendar.respond(series, ResponseStatus.ACCEPTED, on=office.at(days=8))
    await office.sync()
    (event,) = [event for event in await office.events() if event.start_at == office.at(days=8)]
    statuses = [bot.status for bot in await office.bots(event.id)]
    assert statuses == [ScheduleStatus.CANCELLED, ScheduleStatus.SCHEDULED]


@listings
async def test_06_split_where_nothing_is_in_the_window_yet(office: Office, listing: bool) -> None:
    series = await weekly(office, count=8)
    # Google's ids tell where a series came from, whatever it is called.
    title = "Weekly B" if office.platform is CalendarPlatform.GOOGLE else "Weekly"
    office.calendar.split(series, on=office.at(days=36), title=title, location="Room 2")
    await office.sync(listing=listing)
    office.rehearsal.clock.move(timedelta(days=7))
    await office.sync(listing=listing)
    assert await bot_days(office) == await days(office) == [-6, 1, 8, 15, 22, 29]


def day(number: float) -> datetime:
    """So many days after the beginning, however late it is by now."""
    return NOW + timedelta(days=number)


async def bots_from_the_beginning(office: Office) -> list[float]:
    """Days from the beginning on which bots go."""
    return sorted((bot.join_at - NOW) / timedelta(days=1) for bot in await office.waiting())


def end(office: Office, series: RehearsedEvent) -> None:
    """Have a series of days 1, 8, 15, … end before day 15."""
    office.calendar.repeat(series, "RRULE:FREQ=WEEKLY;COUNT=2")


def go_on(
    office: Office,
    series: RehearsedEvent | None,
    *,
    title: str = "Weekly",
    starts: float = 15,
    url: str = MEET,
    organizer: str = "cyd@example.com",
    recurrence: str = "RRULE:FREQ=WEEKLY;COUNT=2",
) -> RehearsedEvent:
    """A new series, with an id that Google gives to what goes on from this one."""
    start = day(starts)
    kin = series is not None and office.platform is CalendarPlatform.GOOGLE
    return office.calendar.add(
        title,
        start,
        recurrence=recurrence,
        meeting_url=url,
        organizer=organizer,
        attendees=["ada@example.com", "bob@example.com"],
        event_id=f"{series.id}_R{start:%Y%m%dT%H%M%S}" if kin and series is not None else None,
    )


async def a_moment_later(office: Office, *, listing: bool, **after: float) -> None:
    office.rehearsal.clock.move(timedelta(**(after or {"minutes": 5})))
    await office.sync(listing=listing)


@listings
@pytest.mark.parametrize("beginning_first", [False, True])
async def test_06_the_halves_of_a_split_come_in_two_syncs(
    office: Office, beginning_first: bool, listing: bool
) -> None:
    series = await weekly(office)
    if beginning_first:
        go_on(office, series)
        await office.sync(listing=listing)
        end(office, series)
    else:
        end(office, series)
        await office.sync(listing=listing)
        go_on(office, series)
    await a_moment_later(office, listing=listing)
    assert await bots_from_the_beginning(office) == [1, 8, 15, 22]
    # What a team then takes away from the new one stays away.
    (first, second) = sorted(await office.series(), key=lambda one: one.starts_at)
    assert first.bot == second.bot != None  # noqa: E711 - all three at once
    await office.cancel_bot(series=second.id)
    office.calendar.delete(series, on=day(8))
    await office.sync(listing=listing)
    assert await bots_from_the_beginning(office) == [1]


@at_microsoft
@listings
@pytest.mark.parametrize(
    "told",
    [
        {"title": "Weekly B"},
        {"starts": 15, "title": "Weekly B", "url": ZOOM},
        {"starts": 15.5, "url": ZOOM},
        {"title": "Weekly B", "starts": 15.5},
    ],
    ids=["renamed", "at its time", "moved", "renamed and moved"],
)
async def test_06_the_new_half_is_another_meeting_in_some_respect(
    office: Office, told: dict[str, Any], listing: bool
) -> None:
    series = await weekly(office)
    end(office, series)
    await office.sync(listing=listing)
    go_on(office, None, **told)
    await a_moment_later(office, listing=listing)
    starts = told.get("starts", 15)
    assert await bots_from_the_beginning(office) == [1, 8, starts, starts + 7]


@listings
@pytest.mark.parametrize(
    "told",
    [
        {"organizer": "bob@example.com"},
        {"title": "Interview", "starts": 15.5, "url": ZOOM},
        {"title": "Interview", "starts": 15.5},
    ],
    ids=["somebody else's", "nothing in common", "the same room"],
)
async def test_06_a_new_series_that_takes_nobodys_place(
    office: Office, told: dict[str, Any], listing: bool
) -> None:
    series = await weekly(office)
    # The room is not the series' own.
    office.calendar.add(
        "Lunch",
        day(3),
        recurrence="RRULE:FREQ=WEEKLY;COUNT=4",
        meeting_url=MEET,
        organizer="cyd@example.com",
    )
    await office.sync()
    end(office, series)
    go_on(office, None, **told)
    await office.sync(listing=listing)
    assert await bots_from_the_beginning(office) == [1, 8]


@listings
@pytest.mark.parametrize(
    "told",
    [
        {"title": "Interview", "starts": 1, "url": ZOOM},
        {"title": "Interview", "starts": 1.5},
        {"title": "Weekly", "starts": 1.5, "url": ZOOM},
    ],
    ids=["its time", "its room", "its title"],
)
async def test_06_a_new_series_does_not_take_the_place_of_a_deleted_one(
    office: Office, told: dict[str, Any], listing: bool
) -> None:
    series = await weekly(office)
    office.calendar.delete(series)
    await office.sync(listing=listing)
    go_on(office, None, **told)
    await a_moment_later(office, listing=listing)
    assert await bots_from_the_beginning(office) == []


@at_microsoft
@listings
async def test_06_a_series_that_is_replaced_whole(office: Office, listing: bool) -> None:
    series = await weekly(office)
    office.calendar.delete(series)
    go_on(office, None, starts=1.5)
    await office.sync(listing=listing)
    assert await bots_from_the_beginning(office) == [1.5, 8.5]


@at_google
async def test_06_at_google_an_id_that_tells_of_no_other_goes_on_from_none(office: Office) -> None:
    series = await weekly(office)
    end(office, series)
    go_on(office, None)
    await office.sync()
    assert await bots_from_the_beginning(office) == [1, 8]


@listings
async def test_06_an_end_is_not_remembered_for_long(office: Office, listing: bool) -> None:
    """After an hour, a series at the same time is another one."""
    series = await weekly(office)
    end(office, series)
    await office.sync(listing=listing)
    office.rehearsal.clock.move(timedelta(minutes=61))
    go_on(office, None, title="Interview", url=ZOOM)
    await office.sync(listing=listing)
    assert await bots_from_the_beginning(office) == [1, 8]


@listings
@pytest.mark.parametrize("last", [22, 29])
async def test_06_a_series_beside_one_that_goes_on(
    office: Office, last: int, listing: bool
) -> None:
    """Every other week; where no later occurrence is in the window, the next one is not due yet."""
    office.calendar.add(
        "Sync",
        day(last - 14),
        recurrence="RRULE:FREQ=WEEKLY;INTERVAL=2",
        meeting_url=MEET,
        organizer="cyd@example.com",
    )
    await office.connect()
    (stored,) = await office.series()
    await office.send_bot(series=stored.id)
    before = await bots_from_the_beginning(office)
    go_on(office, None, title="Sync", starts=last - 7, recurrence="RRULE:FREQ=WEEKLY;INTERVAL=2")
    go_on(office, None, title="Sync", starts=last + 0.5, recurrence="RRULE:FREQ=WEEKLY")
    await office.sync(listing=listing)
    assert await bots_from_the_beginning(office) == before


@listings
@pytest.mark.parametrize("at_once", [True, False])
async def test_06_of_two_that_are_as_likely_none_is_taken(
    office: Office, at_once: bool, listing: bool
) -> None:
    """Two could be the heir, or the ancestor: nobody's bots go where nobody asked for them."""
    series = await weekly(office)
    end(office, series)
    if not at_once:
        await office.sync(listing=listing)
    go_on(office, None)
    go_on(office, None)
    await a_moment_later(office, listing=listing)
    assert await bots_from_the_beginning(office) == [1, 8]


@listings
async def test_06_of_two_ancestors_that_are_as_likely_none_is_taken(
    office: Office, listing: bool
) -> None:
    series = await weekly(office)
    other = go_on(office, None, starts=1, recurrence="RRULE:FREQ=WEEKLY;COUNT=4")
    await office.sync()
    (second,) = [one for one in await office.series() if one.bot is None]
    await office.send_bot(series=second.id, bot_name="Other")
    end(office, series)
    end(office, other)
    await office.sync(listing=listing)
    go_on(office, None)
    await a_moment_later(office, listing=listing)
    assert await bots_from_the_beginning(office) == [1, 1, 8, 8]


@listings
async def test_06_split_again_and_again(office: Office, listing: bool) -> None:
    """Each goes on from the one before it, and from none that was replaced long ago."""
    series = await weekly(office, count=8)
    second = office.calendar.split(series, on=day(8))
    await office.sync(listing=listing)
    (stored,) = [one for one in await office.series() if one.starts_at == day(8)]
    await office.change_bot(series=stored.id, bot_name="Second")
    third = office.calendar.split(second, on=day(15))
    await a_moment_later(office, listing=listing)
    names = [(bot.join_at, bot.bot_name) for bot in await office.waiting()]
    assert sorted(names) == [
        (day(1), "Notes"),
        (day(8), "Second"),
        (day(15), "Second"),
        (day(22), "Second"),
        (day(29), "Second"),
    ]
    # And not those of the first where the second has none any more.
    (stored,) = [one for one in await office.series() if one.starts_at == day(15)]
    await office.cancel_bot(series=stored.id)
    office.calendar.split(third, on=day(22))
    await a_moment_later(office, listing=listing)
    assert await bots_from_the_beginning(office) == [1, 8]


@listings
async def test_06_two_syncs_carry_over_what_was_wanted_of_one_occurrence(
    office: Office, listing: bool
) -> None:
    series = await weekly(office)
    (unwanted,) = [one for one in await office.events() if one.start_at == day(22)]
    await office.cancel_bot(unwanted)
    end(office, series)
    await office.sync(listing=listing)
    go_on(office, series)
    await a_moment_later(office, listing=listing)
    assert await bots_from_the_beginning(office) == [1, 8, 15]


@listings
async def test_a_meeting_that_is_made_to_recur_keeps_its_bot(office: Office, listing: bool) -> None:
    """And loses none when it occurs once again."""
    event = office.calendar.add("Plan", day(1), meeting_url=MEET)
    await office.connect()
    await office.send_bot(await office.event("Plan"))
    office.calendar.repeat(event, "RRULE:FREQ=WEEKLY;COUNT=3")
    await office.sync(listing=listing)
    assert await days(office) == [1, 8, 15]
    assert await bots_from_the_beginning(office) == [1]
    office.calendar.repeat(event, ())
    await office.sync(listing=listing)
    assert await days(office) == [1]
    assert await bots_from_the_beginning(office) == [1]


@at_microsoft
@listings
async def test_07_another_pattern_keeps_what_was_wanted_of_one_occurrence(
    office: Office, listing: bool
) -> None:
    series = await weekly(office)
    (unwanted,) = [one for one in await office.events() if one.start_at == day(8)]
    await office.cancel_bot(unwanted)
    office.calendar.repeat(series, "RRULE:FREQ=WEEKLY;COUNT=3")
    await office.sync(listing=listing)
    assert await bots_from_the_beginning(office) == [1, 15]


@listings
async def test_06_what_was_wanted_of_one_occurrence_is_carried_over(
    office: Office, listing: bool
) -> None:
    series = await weekly(office)
    (unwanted,) = [one for one in await office.events() if one.start_at == office.at(days=22)]
    await office.cancel_bot(unwanted)
    office.calendar.split(series, on=office.at(days=15), title="Weekly B")
    await office.sync(listing=listing)
    assert await bot_days(office) == [1, 8, 15]


@listings
async def test_06_a_bot_for_one_occurrence_is_carried_over(office: Office, listing: bool) -> None:
    series = await weekly(office, bots=False)
    (wanted,) = [one for one in await office.events() if one.start_at == office.at(days=22)]
    await office.send_bot(wanted)
    office.calendar.split(series, on=office.at(days=15), title="Weekly B")
    await office.sync(listing=listing)
    assert await bot_days(office) == [22]


async def test_bots_that_are_refused_for_every_event_change_nothing(office: Office) -> None:
    await weekly(office, count=8)
    (stored,) = await office.series()
    done, failed = await office.send_bot(series=stored.id, bot_name="Other")
    assert (done, {one.code for one in failed}) == ([], {"BOT_ALREADY_SCHEDULED"})
    office.rehearsal.clock.move(timedelta(days=7))
    await office.sync()
    assert {bot.bot_name for bot in await office.waiting()} == {"Notes"}
