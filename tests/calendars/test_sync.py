"""Syncs: the window, what is new, changed and gone, and what is told about it."""

from datetime import timedelta

import pytest

from sitin.contract.calendars import EventStatus
from tests.calendars.office import MEET, Office

pytestmark = pytest.mark.db


async def test_the_first_sync_tells_everything_once(office: Office) -> None:
    office.calendar.add("Standup", office.at(hours=1), meeting_url=MEET)
    office.calendar.add(
        "Weekly", office.at(days=1), recurrence="RRULE:FREQ=WEEKLY;COUNT=10", meeting_url=MEET
    )
    office.calendar.add("Far away", office.at(days=31))
    await office.connect()
    assert await office.told_events() == ["connection_created", "events_synced"]
    events = await office.events()
    assert [event.title for event in events] == ["Standup", *["Weekly"] * 5]
    assert {event.status for event in events} == {EventStatus.CONFIRMED}
    assert [series.event_type for series in await office.series()] == ["one_off", "recurring"]
    connection = await office.connection()
    assert (connection.status, connection.sync_status) == ("active", "success")
    assert connection.synced_at == office.now


async def test_a_sync_without_changes_writes_and_tells_nothing(office: Office) -> None:
    office.calendar.add("Standup", office.at(hours=1), meeting_url=MEET)
    await office.connect()
    await office.told()
    before = [event.updated_at for event in await office.events()]
    office.rehearsal.clock.move(timedelta(minutes=5))
    await office.sync()
    await office.sync(listing=True)
    assert await office.told() == []
    assert [event.updated_at for event in await office.events()] == before


@pytest.mark.parametrize("listing", [False, True], ids=["changes", "listing"])
async def test_new_changed_and_gone(office: Office, listing: bool) -> None:
    kept = office.calendar.add("Kept", office.at(hours=1), meeting_url=MEET)
    gone = office.calendar.add("Gone", office.at(hours=2), meeting_url=MEET)
    await office.connect()
    await office.told()
    office.calendar.edit(kept, title="Renamed")
    office.calendar.delete(gone)
    office.calendar.add("New", office.at(hours=3), meeting_url=MEET)
    await office.sync(listing=listing)
    assert sorted(await office.told_events()) == [
        "event_cancelled",
        "event_created",
        "event_updated",
    ]
    assert {event.title: event.status for event in await office.events()} == {
        "Renamed": EventStatus.CONFIRMED,
        "Gone": EventStatus.CANCELLED,
        "New": EventStatus.CONFIRMED,
    }


async def test_bots_follow_a_series(office: Office) -> None:
    weekly = office.calendar.add(
        "Weekly", office.at(days=1), recurrence="RRULE:FREQ=WEEKLY", meeting_url=MEET
    )
    await office.connect()
    (series,) = await office.series()
    done, failed = await office.send_bot(series=series.id)
    assert (len(done), failed) == (5, [])
    assert [bot.join_at for bot in await office.waiting()] == [
        office.at(days=1 + 7 * week) for week in range(5)
    ]
    # A week later another one has entered the window.
    office.rehearsal.clock.move(timedelta(days=7))
    await office.sync()
    assert len(await office.bots()) == 6
    office.calendar.move(weekly, office.at(days=1, hours=2), on=office.at(days=1))
    await office.sync()
    moved = [bot for bot in await office.waiting() if bot.join_at == office.at(days=1, hours=2)]
    assert len(moved) == 1
    assert len(await office.bots()) == 6
    office.calendar.delete(weekly)
    await office.sync()
    # What is over is in nobody's window; its bot is long queued.
    assert [bot.join_at for bot in await office.waiting() if bot.join_at > office.now] == []
