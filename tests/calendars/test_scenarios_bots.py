"""Bots and the time: scenarios 32 to 34, 43 of the fact sheet, by number, at both providers."""

from datetime import timedelta

import pytest

from sitin.bots.scheduled.models import ScheduledBot, ScheduleStatus
from sitin.calendars.errors import CalendarBotLockedError, CalendarBotNotFoundError
from sitin.contract.calendars import EventStatus
from sitin.rehearsal.calendars import Event as RehearsedEvent
from tests.calendars.office import MEET, ZOOM, Office, listings

pytestmark = pytest.mark.db

LOCKED = timedelta(minutes=3, seconds=59)


async def planned(office: Office) -> RehearsedEvent:
    """A connected event in two hours with a bot, already told."""
    event = office.calendar.add("Plan", office.at(hours=2), meeting_url=MEET)
    await office.connect()
    await office.send_bot(await office.event("Plan"))
    await office.told()
    return event


async def only_waiting(office: Office) -> ScheduledBot:
    """The one bot that is to go."""
    (bot,) = await office.waiting()
    return bot


async def go_until(office: Office, before: timedelta) -> None:
    """Move the clock to so long before the event's bot joins."""
    bot = await only_waiting(office)
    office.rehearsal.clock.set(bot.join_at - before)


class TestLock:
    """Scenario 32: from four minutes before it joins, a bot is not changed any more."""

    @listings
    async def test_32_another_address_gets_a_second_bot(
        self, office: Office, listing: bool
    ) -> None:
        event = await planned(office)
        first = await only_waiting(office)
        await go_until(office, LOCKED)
        office.calendar.edit(event, meeting_url=ZOOM)
        await office.sync(listing=listing)
        kept, second = await office.waiting()
        assert (kept.id, kept.joined_url, kept.join_at) == (first.id, MEET, first.join_at)
        assert (second.joined_url, second.join_at) == (ZOOM, first.join_at)
        assert second.bot_name == first.bot_name
        assert (await office.event("Plan")).meeting_url == ZOOM
        # Looking again, whichever way, makes no third.
        office.calendar.touch(event)
        await office.sync()
        await office.sync(listing=True)
        assert [bot.id for bot in await office.bots()] == [kept.id, second.id]

    @listings
    async def test_32_another_time_gets_a_second_bot(self, office: Office, listing: bool) -> None:
        event = await planned(office)
        first = await only_waiting(office)
        await go_until(office, LOCKED)
        office.calendar.move(event, office.at(hours=1))
        await office.sync(listing=listing)
        kept, second = await office.waiting()
        assert (kept.id, kept.join_at) == (first.id, first.join_at)
        assert second.join_at == office.at(hours=1)
        # The second one's time is far enough away for it to be moved.
        office.calendar.move(event, office.at(hours=3))
        await office.sync(listing=listing)
        assert [(bot.id, bot.join_at) for bot in await office.waiting()] == [
            (kept.id, first.join_at),
            (second.id, office.at(hours=3)),
        ]

    @listings
    async def test_32_another_title_changes_no_bot(self, office: Office, listing: bool) -> None:
        event = await planned(office)
        first = await only_waiting(office)
        await go_until(office, LOCKED)
        office.calendar.edit(event, title="Plan B")
        await office.sync(listing=listing)
        assert [bot.id for bot in await office.bots()] == [first.id]

    @listings
    async def test_32_at_four_minutes_it_is_still_changed(
        self, office: Office, listing: bool
    ) -> None:
        event = await planned(office)
        first = await only_waiting(office)
        await go_until(office, timedelta(minutes=4))
        office.calendar.edit(event, meeting_url=ZOOM)
        await office.sync(listing=listing)
        changed = await only_waiting(office)
        assert (changed.id, changed.joined_url) == (first.id, ZOOM)
        await office.change_bot(await office.event("Plan"), bot_name="Scribe")
        # What was decided then is not decided anew a moment later.
        office.rehearsal.clock.move(timedelta(seconds=1))
        office.calendar.touch(event)
        await office.sync(listing=listing)
        (only,) = await office.bots()
        assert (only.id, only.joined_url, only.bot_name) == (first.id, ZOOM, "Scribe")

    @listings
    async def test_32_a_deleted_event_cancels_even_then(
        self, office: Office, listing: bool
    ) -> None:
        event = await planned(office)
        await go_until(office, LOCKED)
        office.calendar.delete(event)
        await office.sync(listing=listing)
        assert [bot.status for bot in await office.bots()] == [ScheduleStatus.CANCELLED]
        office.rehearsal.clock.move(timedelta(minutes=5))
        assert await office.queue() == []

    @listings
    async def test_32_a_bot_that_is_out_is_stopped(self, office: Office, listing: bool) -> None:
        event = await planned(office)
        await go_until(office, timedelta(0))
        (out,) = await office.queue()
        assert out.leave_requested_at is None
        office.rehearsal.clock.move(timedelta(minutes=1))
        office.calendar.delete(event)
        await office.sync(listing=listing)
        (out,) = await office.queue()
        assert out.leave_requested_at == office.now
        assert "event_cancelled" in await office.told_events()

    async def test_32_the_api_refuses_for_one_event(self, office: Office) -> None:
        await planned(office)
        event = await office.event("Plan")
        await go_until(office, LOCKED)
        for ask in (office.change_bot(event, bot_name="Scribe"), office.cancel_bot(event)):
            with pytest.raises(CalendarBotLockedError) as refused:
                await ask
            assert refused.value.status == 409
            assert "less than 4 minutes" in refused.value.message
        bot = await only_waiting(office)
        assert bot.bot_name == "Notes"
        await go_until(office, timedelta(0))
        await office.queue()
        with pytest.raises(CalendarBotLockedError, match="completed"):
            await office.cancel_bot(event)

    async def test_32_the_api_refuses_within_a_series(self, office: Office) -> None:
        office.calendar.add(
            "Daily",
            office.at(hours=2),
            recurrence="RRULE:FREQ=DAILY;COUNT=3",
            meeting_url=MEET,
        )
        await office.connect()
        (series,) = await office.series()
        await office.send_bot(series=series.id)
        first, *others = await office.events()
        office.rehearsal.clock.set(first.start_at - LOCKED)
        done, (refused,) = await office.change_bot(series=series.id, bot_name="Scribe")
        assert [one.event_id for one in done] == [event.id for event in others]
        assert (refused.event_id, refused.code) == (first.id, "BOT_STATUS")
        assert [bot.bot_name for bot in await office.waiting()] == ["Notes", "Scribe", "Scribe"]
        done, (refused,) = await office.cancel_bot(series=series.id)
        assert [one.event_id for one in done] == [event.id for event in others]
        assert refused.event_id == first.id
        assert [bot.event_id for bot in await office.waiting()] == [first.id]


@listings
@pytest.mark.parametrize("whole", [False, True], ids=["its own", "of the series"])
async def test_what_is_taken_back_while_an_event_is_cancelled(
    office: Office, whole: bool, listing: bool
) -> None:
    """It comes back without a bot, and so does one whose bot was wanted for all of a series."""
    series = office.calendar.add(
        "Daily", office.at(hours=2), recurrence="RRULE:FREQ=DAILY;COUNT=3", meeting_url=MEET
    )
    await office.connect()
    (stored,) = await office.series()
    first, second, third = await office.events()
    if whole:
        await office.send_bot(series=stored.id)
    else:
        await office.send_bot(second)
    office.calendar.delete(series, on=second.start_at)
    await office.sync(listing=listing)
    done, refused = await office.cancel_bot(second)
    assert ([one.event_id for one in done], refused) == ([second.id], [])
    with pytest.raises(CalendarBotNotFoundError):
        await office.cancel_bot(second)
    office.calendar.restore(series, on=second.start_at)
    await office.sync(listing=listing)
    expected = {first.id, third.id} if whole else set()
    assert {bot.event_id for bot in await office.waiting()} == expected


async def test_what_is_taken_back_of_a_series_while_all_of_it_is_cancelled(office: Office) -> None:
    series = office.calendar.add(
        "Daily", office.at(hours=2), recurrence="RRULE:FREQ=DAILY;COUNT=3", meeting_url=MEET
    )
    await office.connect()
    (stored,) = await office.series()
    first, *_ = await office.events()
    await office.send_bot(first, bot_name="Other")
    await office.send_bot(series=stored.id)
    office.calendar.delete(series)
    await office.sync()
    assert await office.waiting() == []
    assert await office.cancel_bot(series=stored.id) == ([], [])
    with pytest.raises(CalendarBotNotFoundError):
        await office.cancel_bot(series=stored.id)
    office.calendar.restore(series)
    await office.sync()
    assert await office.waiting() == []


@listings
async def test_33_moved_to_the_past(office: Office, listing: bool) -> None:
    event = await planned(office)
    office.calendar.move(event, office.at(hours=-3))
    await office.sync(listing=listing)
    assert await office.waiting() == []
    assert await office.told_events() == ["event_cancelled"]
    office.calendar.move(event, office.at(hours=4))
    await office.sync(listing=listing)
    assert (await only_waiting(office)).join_at == office.at(hours=4)


@listings
async def test_33_moved_to_where_it_has_started(office: Office, listing: bool) -> None:
    event = await planned(office)
    office.calendar.move(event, office.at(minutes=-10), minutes=60)
    await office.sync(listing=listing)
    stored = await office.event("Plan")
    assert (stored.status, stored.start_at) == (EventStatus.CONFIRMED, office.at(minutes=-10))
    assert await office.waiting() == []
    assert await office.told_events() == ["event_updated"]
    done, (refused,) = await office.send_bot(stored)
    assert (done, refused.code) == ([], "EVENT_ALREADY_STARTED")


@listings
async def test_33_an_occurrence_of_a_series_that_has_started(office: Office, listing: bool) -> None:
    weekly = office.calendar.add(
        "Weekly",
        office.at(days=1),
        recurrence="RRULE:FREQ=WEEKLY;COUNT=3",
        meeting_url=MEET,
    )
    await office.connect()
    (series,) = await office.series()
    await office.send_bot(series=series.id)
    office.calendar.move(weekly, office.at(minutes=-10), minutes=60, on=office.at(days=8))
    await office.sync(listing=listing)
    assert [bot.join_at for bot in await office.waiting()] == [
        office.at(days=1),
        office.at(days=15),
    ]


@listings
async def test_34_the_edges_of_the_window(office: Office, listing: bool) -> None:
    await office.connect()
    office.calendar.add("Over", office.at(hours=-1), end=office.now)
    office.calendar.add("Running", office.at(hours=-1), end=office.at(minutes=1))
    office.calendar.add("Last", office.at(days=30, minutes=-1), meeting_url=MEET)
    office.calendar.add("Beyond", office.at(days=30), meeting_url=MEET)
    await office.sync(listing=listing)
    assert [event.title for event in await office.events()] == ["Running", "Last"]


@listings
async def test_34_the_window_rolls_though_nothing_changes(office: Office, listing: bool) -> None:
    first = office.at(days=2, hours=12)
    office.calendar.add("Weekly", first, recurrence="RRULE:FREQ=WEEKLY", meeting_url=MEET)
    office.calendar.add("Once", office.at(days=30, hours=1), meeting_url=MEET)
    await office.connect()
    (series,) = await office.series()
    await office.send_bot(series=series.id)
    times = [first + timedelta(weeks=week) for week in range(5)]
    assert [bot.join_at for bot in await office.waiting()] == times[:4]
    await office.told()
    listed_at = (await office.connection()).listed_at
    office.rehearsal.clock.move(timedelta(hours=13))
    await office.calendars.keeping.look()
    if listing:
        await office.sync(listing=True)
    await office.work()
    assert ((await office.connection()).listed_at == listed_at) is not listing
    assert [bot.join_at for bot in await office.waiting()] == times
    told = await office.told()
    assert [event for event, _ in told] == ["event_created", "event_created"]
    instances = {
        instance["title"]: instance["bot_scheduled"]
        for _, data in told
        for instance in data["instances"]
    }
    assert instances == {"Weekly": True, "Once": False}


async def test_43_the_same_meeting_in_two_calendars(office: Office) -> None:
    """Two events with a bot each, of which one goes."""
    other = office.account.calendar("Team")
    original = office.calendar.add("Plan", office.at(hours=2), meeting_url=MEET)
    other.add(
        "Plan", office.at(hours=2), meeting_url=f"{MEET}?authuser=1", ical_uid=original.ical_uid
    )
    await office.connect()
    await office.connect(raw_calendar_id=other.id)
    events = await office.events()
    assert {event.connection_id for event in events} == set(office.connection_ids)
    assert len({event.id for event in events}) == len({event.series_id for event in events}) == 2
    for event in events:
        done, failed = await office.send_bot(event)
        assert (len(done), failed) == (1, [])
    await office.told()
    office.rehearsal.clock.move(timedelta(hours=2))
    (out,) = await office.queue()
    assert out.joined_url == MEET
    went, stayed = await office.bots()
    assert (went.id, went.status) == (out.id, ScheduleStatus.COMPLETED)
    assert (stayed.status, stayed.error_code) == (ScheduleStatus.FAILED, "BOT_ALREADY_EXISTS")
    told = dict(await office.told())
    assert told["bot.failed"]["bot_id"] == str(stayed.id)
    assert told["bot.failed"]["event_id"] == str(stayed.event_id)


async def test_43_each_calendar_for_itself(office: Office) -> None:
    other = office.account.calendar("Team")
    original = office.calendar.add("Plan", office.at(hours=2), meeting_url=MEET)
    other.add("Plan", office.at(hours=2), meeting_url=MEET, ical_uid=original.ical_uid)
    await office.connect()
    await office.connect(raw_calendar_id=other.id)
    for event in await office.events():
        await office.send_bot(event)
    office.calendar.delete(original)
    for connection_id in office.connection_ids:
        await office.sync(connection_id)
    first, second = office.connection_ids
    statuses = {event.connection_id: event.status for event in await office.events()}
    assert statuses == {first: EventStatus.CANCELLED, second: EventStatus.CONFIRMED}
    office.rehearsal.clock.move(timedelta(hours=2))
    (out,) = await office.queue()
    (left,) = [event for event in await office.events() if event.connection_id == second]
    assert out.event_id == left.id
