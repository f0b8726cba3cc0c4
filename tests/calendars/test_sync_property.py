"""Whatever was done to a calendar: changes leave in the store what listings leave in it."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from sitin.bots.scheduled.models import ScheduledBot, ScheduleStatus
from sitin.bots.scheduled.service import LOCK
from sitin.calendars.following import wish_of
from sitin.calendars.models import Event, Series
from sitin.contract.calendars import EventStatus
from sitin.notifications.models import Message
from sitin.rehearsal.calendars import Account
from tests.calendars.office import Office, a_team
from tests.rehearsal.calendars.histories import START, Step, begin, do, steps

pytestmark = [
    pytest.mark.db,
    pytest.mark.timeout(900),  # hypothesis takes its time to make a failure small
]

_numbers = count(1)

rounds = st.lists(st.tuples(st.integers(0, 400), steps(6)), min_size=1, max_size=4)
"""Minutes that pass, what is done then, and a sync. All in all less than a day, after which the
window would be listed by itself."""

_TOLD = ("title", "description", "location", "start_at", "end_at", "time_zone", "is_all_day")
_FOUND = ("status", "is_exception", "meeting_url", "joined_url")


@given(history=rounds)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_changes_leave_what_listings_leave(
    office: Office, history: list[tuple[int, list[Step]]]
) -> None:
    office.rehearsal.clock.set(START)
    account = office.provider.account(f"p{next(_numbers)}@example.com", zone="Europe/Paris")
    begin(account.primary)
    by_changes, by_listings = await joined(office, account), await joined(office, account)
    for minutes, done in history:
        office.rehearsal.clock.move(timedelta(minutes=minutes))
        for step in done:
            do(account.primary, step)
        await by_changes.sync()
        await by_listings.sync(listing=True)
        assert await stored(by_changes) == await stored(by_listings)
        assert await news(by_changes) == await news(by_listings)
        await check_bots(by_changes)


async def joined(office: Office, account: Account) -> Office:
    """A team that has connected the account's calendar, with bots for every series in it."""
    joined = replace(
        office, caller=await a_team(office.database), account=account, connection_ids=[]
    )
    await joined.only_connect()
    await joined.sync()
    for series in await series_of(joined):
        await joined.send_bot(series=series.id)
    return joined


async def series_of(office: Office) -> list[Series]:
    """The team's series."""
    async with office.database.transaction() as session:
        query = select(Series).where(Series.connection_id == office.connection_ids[0])
        return list((await session.scalars(query)).all())


async def events_of(office: Office) -> list[Event]:
    """The team's events."""
    async with office.database.transaction() as session:
        query = select(Event).where(Event.connection_id == office.connection_ids[0])
        return list((await session.scalars(query)).all())


async def waiting_of(office: Office) -> list[ScheduledBot]:
    """The team's bots that are to go."""
    async with office.database.transaction() as session:
        query = select(ScheduledBot).where(
            ScheduledBot.team_id == office.caller.team_id,
            ScheduledBot.status == ScheduleStatus.SCHEDULED,
        )
        return list((await session.scalars(query)).all())


async def stored(office: Office) -> dict[str, Any]:
    """All that there is, by the provider's ids."""
    series, events = await series_of(office), await events_of(office)
    names = {event.id: event.provider_event_id for event in events}
    of_series = {one.id: one.provider_series_id for one in series}
    return {
        "series": {
            one.provider_series_id: (one.event_type, one.family, one.starts_at, one.bot is not None)
            for one in series
        },
        "events": {
            event.provider_event_id: (
                of_series[event.series_id],
                *(getattr(event, name) for name in (*_TOLD, *_FOUND)),
            )
            for event in events
        },
        "bots": Counter(
            (names[bot.event_id], bot.joined_url, bot.join_at)
            for bot in await waiting_of(office)
            if bot.event_id is not None
        ),
    }


async def news(office: Office) -> Counter[tuple[str, tuple[str, ...]]]:
    """Which of the provider's events the team was told of, message by message."""
    names = {str(event.id): event.provider_event_id for event in await events_of(office)}
    async with office.database.transaction() as session:
        query = select(Message).where(Message.team_id == office.caller.team_id)
        messages = (await session.scalars(query)).all()
    return Counter((one.event, tuple(sorted(_named(one.data, names)))) for one in messages)


def _named(data: Any, names: dict[str, str]) -> list[str]:
    """The events of a message, wherever in it."""
    if isinstance(data, dict):
        own = [names[data["event_id"]]] if "event_id" in data else []
        return own + [name for value in data.values() for name in _named(value, names)]
    if isinstance(data, list):
        return [name for value in data for name in _named(value, names)]
    return []


async def check_bots(office: Office) -> None:
    """Every event that a bot is wished for has one, where it is; none is anywhere else."""
    open_from = office.now + LOCK
    series = {one.id: one for one in await series_of(office)}
    wanted: Counter[tuple[UUID, str, datetime]] = Counter()
    urls: dict[UUID, str | None] = {}
    for event in await events_of(office):
        urls[event.id] = event.joined_url
        if (
            event.status != EventStatus.CANCELLED
            and event.start_at >= open_from
            and event.joined_url is not None
            and wish_of(event, series[event.series_id]) is not None
        ):
            wanted[event.id, event.joined_url, event.start_at] += 1
    there = Counter(
        (bot.event_id, bot.joined_url, bot.join_at)
        for bot in await waiting_of(office)
        if bot.join_at >= open_from
        # One that has lost its address keeps its bot.
        and bot.event_id is not None
        and urls[bot.event_id] is not None
    )
    assert there == wanted
