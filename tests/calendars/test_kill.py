"""A worker killed in the middle of a sync: nothing of it is there, and the next one ends it right.

The killed worker is a real process, on a real database with the real job library.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from sitin.calendars.models import Connection
from sitin.calendars.tasks import SyncCalendar
from sitin.contract.calendars import CalendarPlatform, EventStatus
from sitin.jobs.queue import PostgresJobQueue
from tests.calendars.office import MEET, Office, at_google
from tests.jobs.workers import working
from tests.waiting import until

pytestmark = pytest.mark.db

MINUTES = 120.0
"""Deadline of a wait: the next worker takes over after some seconds, and the machine is busy."""

LIST = {CalendarPlatform.GOOGLE: "events.list", CalendarPlatform.MICROSOFT: "delta"}

WRITTEN = (
    "calendar_series",
    "calendar_events",
    "scheduled_bots",
    "notification_messages",
    "deliveries",
    "calendar_connections",
)
"""Every table that a sync writes to."""


@contextmanager
def worker(office: Office) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process; killed at the end."""
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.calendars.worker_process",
            office.database.url,
            office.key,
            office.now.isoformat(),
        ],
        cwd=Path(__file__).parents[2],
        env=os.environ | dict(office.rehearsal.environment),
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


async def contents(office: Office) -> dict[str, list[Any]]:
    """Every row that a sync may write, but for who is at it."""
    found = {}
    async with office.database.transaction() as session:
        for table in WRITTEN:
            query = text(
                f"SELECT to_jsonb(t) - 'sync_token' - 'sync_until' FROM {table} t ORDER BY id"
            )
            found[table] = list((await session.scalars(query)).all())
    return found


async def want_sync(office: Office) -> None:
    """Have a worker process sync the calendar."""
    (connection_id,) = office.connection_ids
    async with office.database.transaction() as session:
        await PostgresJobQueue().enqueue(
            session, SyncCalendar(connection_id=connection_id), key=str(connection_id)
        )


async def outlive(office: Office) -> None:
    """Let the time pass in which a sync that says nothing counts as alive."""
    async with office.database.transaction() as session:
        past = text("now() - interval '1 second'")
        await session.execute(update(Connection).values(sync_until=past))


async def changed(office: Office) -> None:
    """A calendar with bots that is synced, and then changed in every way."""
    office.calendar.add("Kept", office.at(hours=1), meeting_url=MEET)
    moved = office.calendar.add("Moved", office.at(hours=2), meeting_url=MEET)
    gone = office.calendar.add("Gone", office.at(hours=3), meeting_url=MEET)
    await office.connect()
    for title in ("Moved", "Gone"):
        await office.send_bot(await office.event(title))
    await office.told()
    office.calendar.move(moved, office.at(hours=4))
    office.calendar.delete(gone)
    office.calendar.add("New", office.at(hours=5), meeting_url=MEET)
    office.provider.paging.sizes = (1,) * 20


async def ends_right(office: Office) -> None:
    """The next worker ends what the killed one began, and tells it once."""
    await outlive(office)

    async def is_over() -> bool:
        return (await office.connection()).sync_token is None

    async with working(office.database, office.calendars.sync.handler()):
        await until(is_over, seconds=MINUTES)
    assert {one.title: one.status for one in await office.events()} == {
        "Kept": EventStatus.CONFIRMED,
        "Moved": EventStatus.CONFIRMED,
        "Gone": EventStatus.CANCELLED,
        "New": EventStatus.CONFIRMED,
    }
    assert [bot.join_at for bot in await office.waiting()] == [office.at(hours=4)]
    assert sorted(await office.told_events()) == [
        "event_cancelled",
        "event_created",
        "event_updated",
    ]
    assert (await office.connection()).sync_status == "success"
    await office.sync(listing=True)
    assert await office.told() == []


@asynccontextmanager
async def halfway(office: Office, page: int = 2) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A worker that has read some of the pages and waits for the next."""
    gate = office.provider.hold(LIST[office.platform], page=page)
    await want_sync(office)
    with worker(office) as process:
        async with asyncio.timeout(MINUTES):
            await gate.reached()
        yield process
        gate.open()


@pytest.mark.parametrize("listing", [False, True], ids=["changes", "listing"])
async def test_killed_between_two_pages(office: Office, listing: bool) -> None:
    await changed(office)
    if listing:
        office.calendar.expire_sync()
    before = await contents(office)
    async with halfway(office) as process:
        process.kill()
        process.wait()
    assert await contents(office) == before
    office.provider.faults.clear()
    await ends_right(office)


@at_google
@pytest.mark.parametrize(
    "table",
    ["calendar_series", "scheduled_bots", "notification_messages", "calendar_connections"],
    ids=["anything", "bots", "news", "the end"],
)
async def test_killed_before_it_writes(office: Office, table: str) -> None:
    """It waits for a table, having written whatever comes before."""
    await changed(office)
    before = await contents(office)
    async with halfway(office) as process, office.database.transaction() as session:
        await session.execute(text(f"LOCK TABLE {table} IN SHARE MODE"))
        office.provider.faults.clear()
        await until(office.somebody_waits, seconds=MINUTES)
        process.kill()
        process.wait()
    assert await contents(office) == before
    await ends_right(office)
