"""Syncs that the provider makes hard: scenarios 16 to 19, 46, 47 of the fact sheet, by number.

Each runs at every provider that knows it.
"""

import asyncio
import contextlib
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from sitin.bots.scheduled.models import ScheduleStatus
from sitin.calendars.models import Channel, Connection, Event, Series
from sitin.calendars.tasks import SyncCalendar
from sitin.contract.calendars import CalendarPlatform, EventStatus
from sitin.jobs.interface import RetryLaterError
from sitin.kit.ids import new_id
from sitin.rehearsal.calendars import Event as RehearsedEvent
from tests.calendars.office import MEET, Office, at_google, at_microsoft
from tests.waiting import until

pytestmark = pytest.mark.db

LIST = {CalendarPlatform.GOOGLE: "events.list", CalendarPlatform.MICROSOFT: "delta"}
SUBSCRIBE = {
    CalendarPlatform.GOOGLE: "events.watch",
    CalendarPlatform.MICROSOFT: "subscriptions.create",
}
THROTTLED = {CalendarPlatform.GOOGLE: "rate_limited_429", CalendarPlatform.MICROSOFT: "throttled"}


async def busy(office: Office) -> list[RehearsedEvent]:
    """Four meetings; they and a series are in a connected calendar and already told."""
    meetings = [
        office.calendar.add(f"Meeting {hour}", office.at(hours=hour), meeting_url=MEET)
        for hour in range(1, 5)
    ]
    office.calendar.add(
        "Weekly", office.at(days=1), recurrence="RRULE:FREQ=WEEKLY;COUNT=4", meeting_url=MEET
    )
    await office.connect()
    await office.told()
    return meetings


async def written(office: Office) -> list[tuple[str, datetime, EventStatus, datetime]]:
    """What is stored of each event, and when it was last written."""
    return [(one.title, one.start_at, one.status, one.updated_at) for one in await office.events()]


async def titles(office: Office) -> list[str]:
    """Those of the events that take place, by start."""
    return [one.title for one in await office.events() if one.status == EventStatus.CONFIRMED]


async def rows(office: Office, connection_id: UUID) -> int:
    """How much is stored of a connection."""
    async with office.database.transaction() as session:
        counts = [
            await session.scalar(select(func.count()).where(column == connection_id)) or 0
            for column in (Connection.id, Event.connection_id, Series.connection_id)
        ]
    return sum(counts)


async def channels(office: Office) -> list[Channel]:
    """Every channel on record."""
    async with office.database.transaction() as session:
        return list((await session.scalars(select(Channel))).all())


async def disconnect(office: Office, connection_id: UUID) -> None:
    """Delete the connection, as the API does."""
    async with office.database.transaction() as session:
        await office.calendars.connections.delete(session, office.caller, connection_id)


def statuses(office: Office) -> list[int]:
    """How the provider answered those who asked for events."""
    return [exchange.status for exchange in office.provider.asked(LIST[office.platform])]


class TestExpired:
    """Scenarios 16 and 18: what has changed cannot be told any more."""

    async def expires(self, office: Office) -> None:
        await busy(office)
        before = await written(office)
        office.rehearsal.clock.move(timedelta(minutes=5))
        office.account.expire_sync()
        await office.sync()
        assert 410 in statuses(office)
        assert await office.told() == []
        assert await written(office) == before
        connection = await office.connection()
        assert (connection.status, connection.sync_status) == ("active", "success")
        # The new token serves.
        asked = len(statuses(office))
        office.calendar.add("Later", office.at(days=2), meeting_url=MEET)
        await office.sync()
        assert await office.told_events() == ["event_created"]
        assert set(statuses(office)[asked:]) == {200}

    async def test_16_a_token_for_changes(self, office: Office) -> None:
        await self.expires(office)

    async def test_16_what_has_changed_meanwhile_is_told_as_always(self, office: Office) -> None:
        first, *_ = await busy(office)
        office.calendar.edit(first, title="Renamed")
        office.calendar.add("New", office.at(hours=6), meeting_url=MEET)
        office.account.expire_sync()
        await office.sync()
        assert sorted(await office.told_events()) == ["event_created", "event_updated"]

    @at_microsoft
    @pytest.mark.parametrize(
        "code", ["SyncStateNotFound", "syncStateNotFound", "SYNCSTATENOTFOUND", "resyncRequired"]
    )
    @pytest.mark.parametrize("location", [True, False])
    async def test_18_a_delta_link(self, office: Office, code: str, location: bool) -> None:
        office.rehearsal.microsoft.gone_code = code
        office.rehearsal.microsoft.gone_location = location
        await self.expires(office)


class TestGoneInTheMiddle:
    """Scenario 17: page 1 is there, page 2 is a 410."""

    @pytest.fixture(autouse=True)
    def short_pages(self, office: Office) -> None:
        office.provider.paging.sizes = (1,) * 20

    async def test_17_of_changes(self, office: Office) -> None:
        await busy(office)
        for number in range(3):
            office.calendar.add(f"New {number}", office.at(days=2, hours=number), meeting_url=MEET)
        office.provider.fault("gone", LIST[office.platform], page=2)
        await office.sync()
        assert statuses(office).count(410) == 1
        assert await office.told_events() == ["event_created"] * 3
        assert (await office.connection()).sync_status == "success"

    @pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
    async def test_17_of_a_listing(self, office: Office, first: bool) -> None:
        if first:
            office.calendar.add("Old", office.at(hours=1), meeting_url=MEET)
            await office.only_connect()
        else:
            await busy(office)
        await office.told()
        before = await written(office)
        for number in range(3):
            office.calendar.add(f"New {number}", office.at(days=2, hours=number), meeting_url=MEET)
        office.provider.fault("gone", LIST[office.platform], page=2)
        with pytest.raises(RetryLaterError):
            await office.sync(listing=True)
        assert await written(office) == before
        assert await office.told() == []
        connection = await office.connection()
        assert (connection.status, connection.sync_status) == ("active", "failed")
        await office.sync()
        assert await office.told_events() == (["events_synced"] if first else ["event_created"] * 3)
        assert (await office.connection()).sync_status == "success"


@pytest.mark.parametrize("repeat", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize(
    "sizes",
    [(0,), (0, 0, 1, 0, 2, 0), (1,) * 30, (3, 0, 0, 0)],
    ids=["empty", "mixed", "ones", "gap"],
)
async def test_19_pages_however_they_are_cut(
    office: Office, sizes: tuple[int, ...], repeat: bool
) -> None:
    office.provider.paging.sizes, office.provider.paging.repeat = sizes, repeat
    meetings = await busy(office)
    weekly = ["Weekly"] * 4
    assert await titles(office) == [f"Meeting {hour}" for hour in range(1, 5)] + weekly
    for event in meetings:
        office.calendar.edit(event, title=f"Moved {event.title}")
    office.calendar.add("New", office.at(hours=6), meeting_url=MEET)
    await office.sync()
    after = [*(f"Moved Meeting {hour}" for hour in range(1, 5)), "New", *weekly]
    assert await titles(office) == after
    assert sorted(await office.told_events()) == ["event_created", *["event_updated"] * 4]
    await office.sync()
    await office.sync(listing=True)
    assert await titles(office) == after
    assert await office.told() == []


class TestThrottled:
    """Scenario 46: the provider asks for patience."""

    async def test_46_a_listing_waits_as_long_as_it_is_told(self, office: Office) -> None:
        office.provider.paging.sizes = (1,) * 20
        for hour in range(3):
            office.calendar.add(f"{hour}", office.at(hours=1 + hour), meeting_url=MEET)
        await office.only_connect()
        await office.told()
        name = THROTTLED[office.platform]
        office.provider.fault(name, LIST[office.platform], page=2, retry_after=7)
        with pytest.raises(RetryLaterError) as raised:
            await office.sync()
        assert raised.value.after >= timedelta(seconds=7)
        assert statuses(office) == [200, 429]
        assert await office.events() == []
        assert (await office.connection()).status == "active"
        # Asked for or not, it is not asked before.
        office.rehearsal.clock.move(timedelta(seconds=5))
        with pytest.raises(RetryLaterError) as raised:
            await office.sync()
        assert raised.value.after == timedelta(seconds=2)
        assert statuses(office) == [200, 429]
        office.rehearsal.clock.move(timedelta(seconds=2))
        await office.sync()
        assert (await office.connection()).sync_status == "success"
        assert await office.told_events() == ["events_synced"]

    @at_microsoft
    async def test_46_many_calendars_of_one_mailbox(self, office: Office) -> None:
        for number in range(7):
            office.chosen = office.account.calendar(f"Calendar {number}")
            office.calendar.add(f"{number}", office.at(hours=1), meeting_url=MEET)
            await office.only_connect()
        gate = office.provider.hold("delta")

        async def sync(connection_id: UUID) -> None:
            with contextlib.suppress(RetryLaterError):
                await office.sync(connection_id)

        async with asyncio.TaskGroup() as syncs:
            for connection_id in office.connection_ids:
                syncs.create_task(sync(connection_id))
            async with asyncio.timeout(30):
                await gate.reached(4)
            await until(lambda: 429 in statuses(office))
            gate.open()
        assert set(statuses(office)) == {200, 429}
        office.rehearsal.clock.move(timedelta(minutes=1))
        for connection_id in office.connection_ids:
            if (await office.connection(connection_id)).sync_status != "success":
                await office.sync(connection_id)
        assert sorted(await titles(office)) == [f"{number}" for number in range(7)]
        found = [await office.connection(one) for one in office.connection_ids]
        assert {(one.status, one.sync_status) for one in found} == {("active", "success")}


class TestDeleted:
    """Scenario 47: the connection goes while it is worked at."""

    @pytest.mark.parametrize("operation", ["list", "token"])
    async def test_47_during_a_sync(self, office: Office, operation: str) -> None:
        await busy(office)
        (connection_id,) = office.connection_ids
        await office.send_bot(await office.event("Meeting 1"))
        office.calendar.add("New", office.at(hours=6), meeting_url=MEET)
        if operation == "token":
            office.rehearsal.clock.move(timedelta(hours=2))
        gate = office.provider.hold(LIST[office.platform] if operation == "list" else "token")
        syncing = asyncio.create_task(office.sync())
        async with asyncio.timeout(30):
            await gate.reached()
        deleting = asyncio.create_task(disconnect(office, connection_id))
        if operation == "list":
            await deleting
        gate.open()
        await syncing
        await deleting
        await office.work()
        assert await rows(office, connection_id) == 0
        assert await office.waiting() == []
        told = await office.told_events()
        assert told.index("connection_deleted") == len(told) - 1
        assert office.provider.watchers() == []
        assert await channels(office) == []

    async def test_47_before_it_was_ever_synced(self, office: Office) -> None:
        office.calendar.add("Meeting", office.at(hours=1), meeting_url=MEET)
        connection_id = await office.only_connect()
        gate = office.provider.hold(LIST[office.platform])
        working = asyncio.create_task(office.work())
        async with asyncio.timeout(30):
            await gate.reached()
        await disconnect(office, connection_id)
        gate.open()
        await working
        assert await rows(office, connection_id) == 0
        assert await office.told_events() == ["connection_created", "connection_deleted"]
        assert office.provider.watchers() == []

    async def test_47_while_it_is_being_subscribed(self, office: Office) -> None:
        connection_id = await office.only_connect()
        gate = office.provider.hold(SUBSCRIBE[office.platform])
        working = asyncio.create_task(office.work())
        async with asyncio.timeout(30):
            await gate.reached()
        await disconnect(office, connection_id)
        gate.open()
        await working
        await office.work()
        assert office.provider.watchers() == []
        assert await channels(office) == []

    async def test_47_with_a_token_that_is_revoked_and_one_that_lives_on(
        self, office: Office
    ) -> None:
        await busy(office)
        assert len(office.provider.watchers()) == 1
        office.account.revoke(access_lives_on=True)
        await disconnect(office, office.connection_ids[0])
        await office.work()
        assert office.provider.watchers() == []
        assert await channels(office) == []

    async def test_47_with_no_token_left_the_channel_is_forgotten_when_it_ends(
        self, office: Office
    ) -> None:
        await busy(office)
        (connection_id,) = office.connection_ids
        office.account.revoke()
        await disconnect(office, connection_id)
        await office.work()
        (channel,) = await channels(office)
        assert (channel.state, channel.connection_id) == ("ending", None)
        # What it still pushes is taken for nothing.
        office.calendar.add("Ghost", office.at(hours=6), meeting_url=MEET)
        await office.work()
        assert await rows(office, connection_id) == 0
        office.rehearsal.clock.move(channel.expires_at - office.now)
        office.jobs.now += timedelta(days=8)
        await office.work()
        assert await channels(office) == []


@at_google
async def test_47_a_sync_of_what_was_never_there_ends_quietly(office: Office) -> None:
    await office.calendars.sync.run(SyncCalendar(connection_id=new_id()))
    assert await office.events() == []


async def test_a_bot_on_its_way_stays_when_the_calendar_goes(office: Office) -> None:
    await busy(office)
    await office.send_bot(await office.event("Meeting 1"))
    (bot,) = await office.bots()
    async with office.database.transaction() as session:
        (await session.merge(bot)).status = ScheduleStatus.COMPLETED
    await disconnect(office, office.connection_ids[0])
    assert [one.status for one in await office.bots()] == [ScheduleStatus.COMPLETED]
