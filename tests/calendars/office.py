"""The room of calendars over rehearsed providers: real HTTP to them, and pushes back from them.

Time is the rehearsal's: it stands until a test moves it. Jobs run when a test says so. For tests.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import select, text

from sitin.accounts.ledger import Ledger
from sitin.accounts.models import Permission
from sitin.accounts.plans import Plans
from sitin.accounts.service import Caller, create_team
from sitin.bots.admission import Admission
from sitin.bots.configuration import Configurations
from sitin.bots.lifecycle import Lifecycle
from sitin.bots.models import Bot
from sitin.bots.scheduled.models import ScheduledBot, ScheduleStatus
from sitin.bots.scheduled.queueing import Queueing
from sitin.calendars import pushes
from sitin.calendars.models import Connection, Event, Series
from sitin.calendars.requests import (
    CreateCalendarBotRequestBody,
    CreateCalendarConnectionRequestBody,
    DeleteCalendarBotRequestBody,
    UpdateCalendarBotRequestBody,
)
from sitin.calendars.schemas import EventDone, EventFailed
from sitin.calendars.tasks import SyncCalendar
from sitin.cli.calendars import Calendars, furnish_calendars
from sitin.cli.installation import Installation, address_check
from sitin.cli.settings import Settings
from sitin.contract.calendars import CalendarPlatform
from sitin.kit.clock import Clock
from sitin.kit.crypto import Keyring, new_key
from sitin.kit.database import Database
from sitin.kit.http import OutgoingClient
from sitin.kit.wakeups import Wakeups
from sitin.notifications.endpoints import create_endpoint
from sitin.notifications.models import Message
from sitin.providers.calendars.registry import build_calendar_providers
from sitin.providers.calendars.settings import CalendarSettings
from sitin.rehearsal.calendars import Account, Calendar, CalendarRehearsal
from sitin.rehearsal.calendars.provider import RehearsedProvider
from tests.bots.conftest import resolve_here
from tests.fakes.jobs import FakeJobQueue
from tests.serving import serving

NOW = datetime(2027, 3, 20, 12, tzinfo=UTC)
"""A Saturday, eight days before Europe's clocks change and six after America's."""

MEET = "https://meet.google.com/abc-defg-hij"
ZOOM = "https://zoom.us/j/85000000000"


listings = pytest.mark.parametrize("listing", [False, True], ids=["changes", "listing"])
"""Both ways of finding out."""

at_google = pytest.mark.parametrize("platform", [CalendarPlatform.GOOGLE], indirect=True)
at_microsoft = pytest.mark.parametrize("platform", [CalendarPlatform.MICROSOFT], indirect=True)


@dataclass
class Office:
    """A team with an account at one provider, and everything that works for it."""

    platform: CalendarPlatform
    rehearsal: CalendarRehearsal
    database: Database
    caller: Caller
    jobs: FakeJobQueue
    calendars: Calendars
    account: Account
    queueing: Queueing
    key: str
    """What secrets are encrypted with."""
    url: str
    """Where providers push to."""
    chosen: Calendar | None = None
    """Set to connect another than the primary calendar."""
    connection_ids: list[UUID] = field(default_factory=list)
    _looked_at: int = 0

    @property
    def provider(self) -> RehearsedProvider:
        """The rehearsed provider."""
        return provider_of(self.rehearsal, self.platform)

    @property
    def calendar(self) -> Calendar:
        """The calendar that is connected."""
        return self.chosen or self.account.primary

    @property
    def now(self) -> datetime:
        """The time, which a test moves."""
        return self.rehearsal.clock.now()

    def at(self, **after: float) -> datetime:
        """A time from now."""
        return self.now + timedelta(**after)

    async def connect(self, **fields: Any) -> UUID:
        """Connect the calendar and sync it for the first time."""
        connection_id = await self.only_connect(**fields)
        await self.work()
        return connection_id

    async def only_connect(self, **fields: Any) -> UUID:
        """Connect a calendar, and leave the jobs."""
        chosen = "primary" if self.chosen is None else self.chosen.id
        body = {**self.credentials, "raw_calendar_id": chosen, **fields}
        connection = await self.calendars.connections.create(
            self.database.transaction,
            self.caller,
            CreateCalendarConnectionRequestBody.model_validate(body),
        )
        self.connection_ids.append(connection.id)
        return connection.id

    @property
    def credentials(self) -> dict[str, str]:
        """What a request says to get at the account."""
        return {
            "calendar_platform": self.platform.value,
            "oauth_client_id": self.provider.client.id,
            "oauth_client_secret": self.provider.client.secret,
            "oauth_refresh_token": self.account.refresh_token,
        }

    async def work(self) -> None:
        """Do every job that waits, and what follows from it."""
        await self.rehearsal.pushes.settled()
        self.jobs.now += timedelta(minutes=1)
        await self.jobs.work(self.calendars.handlers)

    async def sync(self, connection_id: UUID | None = None, *, listing: bool = False) -> None:
        """Sync now: what has changed, or the whole window."""
        chosen = connection_id or self.connection_ids[0]
        if listing:
            async with self.database.transaction() as session:
                (await session.get_one(Connection, chosen)).listing_wanted = True
        await self.calendars.sync.run(SyncCalendar(connection_id=chosen))

    async def connection(self, connection_id: UUID | None = None) -> Connection:
        """The connection's row."""
        async with self.database.transaction() as session:
            return await session.get_one(Connection, connection_id or self.connection_ids[0])

    async def somebody_waits(self) -> bool:
        """Whether somebody waits for another's lock in the database."""
        query = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        async with self.database.transaction() as session:
            return bool(await session.scalar(query))

    async def events(self) -> list[Event]:
        """Every stored event, by start."""
        async with self.database.transaction() as session:
            query = select(Event).order_by(Event.start_at, Event.provider_event_id)
            return list((await session.scalars(query)).all())

    async def event(self, title: str) -> Event:
        """The only event of this title."""
        (event,) = [event for event in await self.events() if event.title == title]
        return event

    async def series(self) -> list[Series]:
        """Every stored series, by start."""
        async with self.database.transaction() as session:
            return list((await session.scalars(select(Series).order_by(Series.starts_at))).all())

    async def bots(self, event_id: UUID | None = None) -> list[ScheduledBot]:
        """Every scheduled bot, or those of an event, oldest first."""
        async with self.database.transaction() as session:
            query = select(ScheduledBot).order_by(ScheduledBot.id)
            if event_id is not None:
                query = query.where(ScheduledBot.event_id == event_id)
            return list((await session.scalars(query)).all())

    async def waiting(self, event_id: UUID | None = None) -> list[ScheduledBot]:
        """Those of them that are to go."""
        found = await self.bots(event_id)
        return [bot for bot in found if bot.status == ScheduleStatus.SCHEDULED]

    async def queue(self) -> list[Bot]:
        """Queue the bots whose time has come; returns all that ever were, oldest first."""
        await self.queueing.queue_due()
        async with self.database.transaction() as session:
            return list((await session.scalars(select(Bot).order_by(Bot.id))).all())

    async def send_bot(
        self, event: Event | None = None, *, series: UUID | None = None, **fields: Any
    ) -> tuple[list[EventDone], list[EventFailed]]:
        """Schedule a bot for an event, or for a series."""
        body = {"bot_name": "Notes", **_target(event, series), **fields}
        async with self.database.transaction() as session:
            return await self.calendars.bots.create(
                session,
                self.caller,
                self._connection_of(event),
                CreateCalendarBotRequestBody.model_validate(body),
            )

    async def change_bot(
        self, event: Event | None = None, *, series: UUID | None = None, **fields: Any
    ) -> tuple[list[EventDone], list[EventFailed]]:
        """Change an event's bot, or a series'."""
        body = {**_target(event, series), **fields}
        async with self.database.transaction() as session:
            return await self.calendars.bots.update(
                session,
                self.caller,
                self._connection_of(event),
                UpdateCalendarBotRequestBody.model_validate(body),
            )

    async def cancel_bot(
        self, event: Event | None = None, *, series: UUID | None = None
    ) -> tuple[list[EventDone], list[EventFailed]]:
        """Cancel an event's bot, or a series'."""
        async with self.database.transaction() as session:
            return await self.calendars.bots.delete(
                session,
                self.caller,
                self._connection_of(event),
                DeleteCalendarBotRequestBody.model_validate(_target(event, series)),
            )

    def _connection_of(self, event: Event | None) -> UUID:
        return self.connection_ids[0] if event is None else event.connection_id

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What webhooks were told since the last look, oldest first: the event's name, the data."""
        async with self.database.transaction() as session:
            query = select(Message).order_by(Message.id).offset(self._looked_at)
            found = (await session.scalars(query)).all()
        self._looked_at += len(found)
        return [(one.event.removeprefix("calendar."), one.data) for one in found]

    async def told_events(self) -> list[str]:
        """The names alone."""
        return [event for event, _ in await self.told()]


def _target(event: Event | None, series: UUID | None) -> dict[str, Any]:
    if event is not None:
        return {"event_id": str(event.id), "all_occurrences": False}
    return {"series_id": str(series), "all_occurrences": True}


def provider_of(rehearsal: CalendarRehearsal, platform: CalendarPlatform) -> RehearsedProvider:
    """The rehearsed provider of a platform."""
    provider: RehearsedProvider = getattr(rehearsal, platform.value)
    return provider


async def a_team(database: Database) -> Caller:
    """A new team that may do everything, and is told everything."""
    async with database.transaction() as session:
        team = await create_team(session, name="Acme")
        await create_endpoint(
            session,
            Keyring([new_key()]),
            team_id=team.id,
            url="https://example.com/hook",
            events=[],
        )
    return Caller(team.id, Permission.FULL_ACCESS, Plans().of(team.plan))


@contextlib.asynccontextmanager
async def furnished(
    rehearsal: CalendarRehearsal,
    database: Database,
    *,
    clock: Clock,
    keyring: Keyring,
    outgoing: OutgoingClient,
    plans: Plans,
    jobs: FakeJobQueue,
    public_url: str,
) -> AsyncIterator[Calendars]:
    """The room, with a rehearsal's providers."""
    chosen = {
        name.removeprefix("SITIN_").lower(): value for name, value in rehearsal.environment.items()
    }
    providers = build_calendar_providers(CalendarSettings.model_validate(chosen), clock=clock)
    install = Installation(Settings(), database, keyring, clock, outgoing, plans, None)
    try:
        yield furnish_calendars(
            install,
            providers.by_platform,
            configurations=Configurations(keyring=keyring, check_address=address_check(outgoing)),
            ledger=Ledger(clock),
            jobs=jobs,
            public_url=public_url,
        )
    finally:
        await providers.aclose()


@contextlib.asynccontextmanager
async def opened(
    rehearsal: CalendarRehearsal, database: Database, platform: CalendarPlatform
) -> AsyncIterator[Office]:
    """An office whose account's calendar is empty and not connected yet."""
    key, jobs, plans = new_key(), FakeJobQueue(), Plans()
    keyring = Keyring([key])
    ledger = Ledger(rehearsal.clock)
    app = FastAPI()
    app.include_router(pushes.router)
    rehearsal.pushes.retry_delays = ()
    async with (
        serving(app) as url,
        contextlib.aclosing(OutgoingClient(resolver=resolve_here)) as outgoing,
        furnished(
            rehearsal,
            database,
            clock=rehearsal.clock,
            keyring=keyring,
            outgoing=outgoing,
            plans=plans,
            jobs=jobs,
            public_url=url,
        ) as calendars,
    ):
        app.state.calendar_pushes = calendars.pushes
        yield Office(
            platform=platform,
            rehearsal=rehearsal,
            database=database,
            caller=await a_team(database),
            jobs=jobs,
            calendars=calendars,
            queueing=Queueing(
                database=database,
                lifecycle=Lifecycle(rehearsal.clock, ledger),
                admission=Admission(ledger=ledger, clock=rehearsal.clock),
                plans=plans,
                wakeups=Wakeups(database.url),
                clock=rehearsal.clock,
                tolerance=timedelta(minutes=15),
            ),
            account=provider_of(rehearsal, platform).account("ada@example.com"),
            key=key,
            url=url,
        )
