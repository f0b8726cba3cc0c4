"""Calendars that a test can change behind a provider's back, one stage for each provider."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from sitin.contract.calendars import (
    Access,
    CalendarPlatform,
    CalendarProvider,
    EventStatus,
    OAuthGrant,
    ResponseStatus,
)
from sitin.contract.failures import RetriableError
from sitin.providers.calendars.google import GoogleCalendarProvider
from sitin.providers.calendars.microsoft import MicrosoftCalendarProvider
from sitin.rehearsal.calendars import Account, Calendar, CalendarRehearsal, Person
from sitin.rehearsal.calendars.provider import RehearsedProvider
from tests.fakes.calendars import EMAIL, FakeCalendarProvider, made_event
from tests.fakes.receiver import Receiver

NOW = datetime(2027, 3, 20, 12, tzinfo=UTC)
"""A Saturday."""
WEEK = timedelta(days=7)


class PushReceiver(Receiver):
    """Gets what is pushed, and shakes hands with Microsoft."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            token = Request(scope).query_params.get("validationToken")
            if token is not None:
                await PlainTextResponse(token)(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


class Stage(ABC):
    """An account with one calendar, seen through a provider.

    Attributes:
        receiver: Gets what is pushed to ``push_address``.
    """

    provider: CalendarProvider
    grant: OAuthGrant
    receiver: PushReceiver
    push_address: str
    calendar_id: str
    calendar_name = "Me"
    email = EMAIL

    async def access(self) -> str:
        """An access token."""
        return (await self.refreshed()).text

    async def refreshed(self) -> Access:
        """A new access, and the grant as it has to be kept."""
        access = await self.provider.refresh(self.grant)
        if access.refresh_token is not None:
            self.grant = replace(self.grant, refresh_token=access.refresh_token)
        return access

    @abstractmethod
    def add(self, title: str, start: datetime, *, minutes: float = 30) -> Any:
        """An event; whatever stands for it in the methods below."""

    @abstractmethod
    def add_weekly(self, title: str, first: datetime, *, times: int) -> Any:
        """A series of half hours."""

    @abstractmethod
    def rename(self, event: Any, title: str, *, on: datetime | None = None) -> None:
        """Change an event, a series, or the occurrence that was to begin then."""

    @abstractmethod
    def move(self, event: Any, start: datetime, *, on: datetime | None = None) -> None:
        """Move an event or an occurrence."""

    @abstractmethod
    def delete(self, event: Any, *, on: datetime | None = None) -> None:
        """Delete an event, a series or an occurrence."""

    @abstractmethod
    def split(self, event: Any, *, on: datetime) -> Any:
        """Change "this and following": what stands for the new series."""

    @abstractmethod
    def decline(self, event: Any) -> None:
        """Decline as the calendar's owner, so that the event stays."""

    @abstractmethod
    def delete_calendar(self) -> str:
        """Make and delete a calendar; its id."""

    @abstractmethod
    def forget_cursors(self) -> None:
        """Know no cursor any more."""

    @abstractmethod
    def expire_access(self) -> None:
        """Accept no access token that was given until now."""

    @abstractmethod
    def revoke(self) -> None:
        """Take the grant back."""

    @abstractmethod
    def throttle(self, seconds: int) -> None:
        """Refuse the next request for so long."""

    @abstractmethod
    def refuse_pushes(self) -> None:
        """Be not willing to push."""

    @abstractmethod
    async def pushed(self) -> list[tuple[dict[str, str], bytes]]:
        """Headers and body of everything that was pushed until now."""


class FakeStage(Stage):
    """The provider in memory."""

    def __init__(self, platform: CalendarPlatform) -> None:
        self.provider = self.fake = FakeCalendarProvider(platform, clock=_Standing())
        self.grant = self.fake.grant
        self.push_address = "https://sitin.example/push"
        self.calendar_id = EMAIL

    def add(self, title: str, start: datetime, *, minutes: float = 30) -> str:
        return self.fake.primary.put(made_event(title, start, minutes=minutes)).id

    def add_weekly(self, title: str, first: datetime, *, times: int) -> str:
        self.fake.primary.repeat(title, first, times=times, title=title)
        return title

    def _all(self, event: str, on: datetime | None) -> list[str]:
        calendar = self.fake.primary
        if on is not None:
            return [f"{event}_{on:%Y%m%d}"]
        of_series = [e.id for e in calendar.events.values() if e.series_id == event]
        return of_series or [event]

    def rename(self, event: str, title: str, *, on: datetime | None = None) -> None:
        for event_id in self._all(event, on):
            self.fake.primary.edit(event_id, title=title)

    def move(self, event: str, start: datetime, *, on: datetime | None = None) -> None:
        for event_id in self._all(event, on):
            self.fake.primary.move(event_id, start)

    def delete(self, event: str, *, on: datetime | None = None) -> None:
        for event_id in self._all(event, on):
            self.fake.primary.delete(event_id)

    def split(self, event: str, *, on: datetime) -> str:
        return self.fake.primary.split(event, on)

    def decline(self, event: str) -> None:
        self.fake.primary.edit(event, status=EventStatus.CANCELLED)

    def delete_calendar(self) -> str:
        return "gone"

    def forget_cursors(self) -> None:
        self.fake.primary.forget()

    def expire_access(self) -> None:
        self.fake.accesses.clear()

    def revoke(self) -> None:
        self.fake.revoke()

    def throttle(self, seconds: int) -> None:
        self.fake.failures["window"].append(RetriableError("Too much.", after=seconds))

    def refuse_pushes(self) -> None:
        self.fake.pushes = False

    async def pushed(self) -> list[tuple[dict[str, str], bytes]]:
        return [self.fake.push(subscription) for subscription in self.fake.subscriptions]


class RehearsalStage(Stage):
    """A provider that asks a rehearsal over HTTP."""

    throttled: str
    """The fault."""

    def __init__(
        self,
        rehearsal: CalendarRehearsal,
        rehearsed: RehearsedProvider,
        provider: CalendarProvider,
        receiver: PushReceiver,
        push_address: str,
    ) -> None:
        self.rehearsal = rehearsal
        self.rehearsed = rehearsed
        self.provider = provider
        self.receiver = receiver
        self.push_address = push_address
        self.account: Account = rehearsed.account(EMAIL, name="Me")
        self.calendar: Calendar = self.account.primary
        self.calendar_id = self.calendar.id
        self.calendar_name = self.calendar.name
        client = rehearsed.client
        self.grant = OAuthGrant(client.id, client.secret, self.account.refresh_token)

    def add(self, title: str, start: datetime, *, minutes: float = 30) -> str:
        return self.calendar.add(title, start, minutes=minutes).id

    def add_weekly(self, title: str, first: datetime, *, times: int) -> str:
        rule = f"FREQ=WEEKLY;COUNT={times}"
        return self.calendar.add(title, first, minutes=30, recurrence=rule).id

    def rename(self, event: str, title: str, *, on: datetime | None = None) -> None:
        self.calendar.edit(event, title=title, on=on)

    def move(self, event: str, start: datetime, *, on: datetime | None = None) -> None:
        self.calendar.move(event, start, on=on)

    def delete(self, event: str, *, on: datetime | None = None) -> None:
        self.calendar.delete(event, on=on)

    def split(self, event: str, *, on: datetime) -> str:
        return self.calendar.split(event, on).id

    def decline(self, event: str) -> None:
        invited = [Person(EMAIL, response=ResponseStatus.ACCEPTED)]
        with self.calendar.batch():
            self.calendar.edit(event, organizer="ada@example.com", attendees=invited)
            self.calendar.decline(event, keep=True)

    def delete_calendar(self) -> str:
        made = self.account.calendar("Gone")
        self.account.delete_calendar(made)
        return made.id

    def forget_cursors(self) -> None:
        self.account.expire_sync()

    def expire_access(self) -> None:
        self.account.expire_access()

    def revoke(self) -> None:
        self.account.revoke()

    def throttle(self, seconds: int) -> None:
        self.rehearsed.fault(self.throttled, retry_after=seconds)

    def refuse_pushes(self) -> None:
        self.calendar.pushes = False

    async def pushed(self) -> list[tuple[dict[str, str], bytes]]:
        await self.rehearsal.pushes.settled()
        return [(got.headers, got.body) for all_ in self.receiver.received.values() for got in all_]


class GoogleStage(RehearsalStage):
    """Google's API."""

    throttled = "rate_limited"


class MicrosoftStage(RehearsalStage):
    """Graph."""

    throttled = "throttled"


@dataclass
class _Standing:
    def now(self) -> datetime:
        return NOW


@asynccontextmanager
async def google_stage(receiver: PushReceiver, push_address: str) -> AsyncIterator[Stage]:
    """The rehearsed Google Calendar."""
    async with CalendarRehearsal(at=NOW, standing=True) as rehearsal:
        provider = GoogleCalendarProvider(
            token_url=rehearsal.google.token_url,
            api_url=rehearsal.google.api_url,
            clock=rehearsal.clock,
        )
        yield GoogleStage(rehearsal, rehearsal.google, provider, receiver, push_address)
        await provider.aclose()


@asynccontextmanager
async def microsoft_stage(receiver: PushReceiver, push_address: str) -> AsyncIterator[Stage]:
    """The rehearsed Graph."""
    async with CalendarRehearsal(at=NOW, standing=True) as rehearsal:
        provider = MicrosoftCalendarProvider(
            login_url=rehearsal.microsoft.login_url,
            graph_url=rehearsal.microsoft.graph_url,
            clock=rehearsal.clock,
        )
        yield MicrosoftStage(rehearsal, rehearsal.microsoft, provider, receiver, push_address)
        await provider.aclose()
