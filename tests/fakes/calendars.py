"""A calendar platform in memory, with one account. Tests change it, break it and look at it.

It behaves like Google's unless it is told to be Microsoft's: then refresh tokens rotate, a cursor
reaches a week beyond its window, subscriptions are renewed in place, and an occurrence that is
deleted leaves no mark but that its series is told completely without it.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from sitin.contract.calendars import (
    Access,
    AccessRefusedError,
    CalendarCapabilities,
    CalendarGoneError,
    CalendarPlatform,
    Changes,
    ConnectionStatus,
    CursorExpiredError,
    EventStatus,
    Listing,
    Notice,
    NoticeKind,
    OAuthGrant,
    ProviderEvent,
    PushRefusedError,
    RawCalendar,
    Subscription,
    SubscriptionGoneError,
    SubscriptionOrder,
    TokenExpiredError,
)
from sitin.kit.clock import Clock, SystemClock

EMAIL = "me@example.com"
ACCESS_LASTS = timedelta(hours=1)
MARGIN = timedelta(days=7)
LONGEST_SUBSCRIPTION = timedelta(days=3)


def made_event(
    event_id: str, start: datetime, *, minutes: float = 30, **fields: Any
) -> ProviderEvent:
    """An event with everything that a test does not care about."""
    series = fields.get("series_id")
    told: dict[str, Any] = {
        "series_id": None,
        "family": series,
        "is_exception": None if series else False,
        "is_meeting": True,
        "title": event_id,
        "description": None,
        "location": None,
        "end": start + timedelta(minutes=minutes),
        "time_zone": "UTC",
        "is_all_day": False,
        "status": EventStatus.CONFIRMED,
        "organizer_email": EMAIL,
        "organizer_name": None,
        "attendees": None,
        "links": (),
    }
    return ProviderEvent(id=event_id, start=start, **{**told, **fields})


@dataclass
class FakeCalendar:
    """A calendar. Every method that changes an event is one change, and may be a push."""

    raw: RawCalendar
    events: dict[str, ProviderEvent] = field(default_factory=dict)
    originals: dict[str, datetime] = field(default_factory=dict)
    """When occurrences were to begin, by their ids."""
    changes: list[tuple[str, str | None]] = field(default_factory=list)
    """Ids of events in the order in which they changed, and the series they belong to."""
    epoch: int = 0
    """Cursors of another epoch are not known any more."""

    def put(self, event: ProviderEvent) -> ProviderEvent:
        """Add an event, or replace it."""
        self.events[event.id] = event
        self.changes.append((event.id, event.series_id))
        return event

    def repeat(
        self,
        series_id: str,
        first: datetime,
        *,
        times: int,
        every: timedelta = timedelta(days=7),
        **fields: Any,
    ) -> list[ProviderEvent]:
        """Add a series."""
        starts = [first + number * every for number in range(times)]
        return [
            self._occurrence(series_id, start, **{"title": series_id, **fields}) for start in starts
        ]

    def edit(self, event_id: str, **fields: Any) -> ProviderEvent:
        """Change what an event says."""
        return self.put(replace(self.events[event_id], **fields))

    def move(self, event_id: str, start: datetime) -> ProviderEvent:
        """Move an event; it lasts as long as before."""
        event = self.events[event_id]
        moved: dict[str, Any] = {"start": start, "end": start + (event.end - event.start)}
        if event.series_id is not None:
            moved["is_exception"] = True
        return self.edit(event_id, **moved)

    def delete(self, event_id: str) -> None:
        """Delete an event or one occurrence."""
        event = self.events.pop(event_id)
        self.changes.append((event_id, event.series_id))

    def delete_series(self, series_id: str) -> None:
        """Delete every occurrence."""
        for event_id in [e.id for e in self.events.values() if e.series_id == series_id]:
            self.delete(event_id)

    def split(self, series_id: str, start: datetime) -> str:
        """Replace the occurrences from an original start on by those of a new series; its id."""
        new_id = f"{series_id}_R{start:%Y%m%dT%H%M%S}"
        for event in [e for e in self.events.values() if e.series_id == series_id]:
            original = self.originals[event.id]
            if original >= start:
                self.delete(event.id)
                self._occurrence(new_id, original, title=event.title, family=event.family)
        return new_id

    def forget(self) -> None:
        """No cursor that there is until now is known any more."""
        self.epoch += 1

    def _occurrence(self, series_id: str, start: datetime, **fields: Any) -> ProviderEvent:
        event = made_event(f"{series_id}_{start:%Y%m%d}", start, series_id=series_id, **fields)
        self.originals[event.id] = start
        return self.put(event)


@dataclass
class FakeCalendarProvider:
    """A ``CalendarProvider``.

    Attributes:
        refresh_tokens: Those that are accepted.
        accesses: Access tokens that are accepted, and until when.
        refusal: What a refresh is refused with.
        failures: By step; raised one after the other before that step works.
        calls: The steps that were taken, and the calendar each was about.
        pushes: Whether it is willing to push.
        subscriptions: By id, with what was ordered.
    """

    platform: CalendarPlatform = CalendarPlatform.GOOGLE
    clock: Clock = field(default_factory=SystemClock)
    by_id: dict[str, FakeCalendar] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=lambda: {"refresh-0"})
    accesses: dict[str, datetime] = field(default_factory=dict)
    refusal: AccessRefusedError | None = None
    failures: dict[str, list[Exception]] = field(default_factory=lambda: defaultdict(list))
    calls: list[tuple[str, str | None]] = field(default_factory=list)
    pushes: bool = True
    subscriptions: dict[str, tuple[Subscription, SubscriptionOrder]] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.add_calendar(EMAIL, "Me", is_primary=True)

    # What a test does.

    @property
    def primary(self) -> FakeCalendar:
        """The account's own calendar."""
        return self.by_id[EMAIL]

    @property
    def grant(self) -> OAuthGrant:
        """A grant that is accepted now."""
        return OAuthGrant("client", "secret", min(self.refresh_tokens, default="none"))

    def add_calendar(
        self, calendar_id: str, name: str, *, is_primary: bool = False
    ) -> FakeCalendar:
        """Make another calendar."""
        raw = RawCalendar(calendar_id, name, EMAIL, is_primary, "UTC")
        self.by_id[calendar_id] = made = FakeCalendar(raw)
        return made

    def revoke(self) -> None:
        """Accept neither the refresh token nor an access token any more."""
        self.refusal = AccessRefusedError(
            "The refresh token is revoked.", status=ConnectionStatus.REVOKED
        )
        self.accesses.clear()

    def count(self, step: str) -> int:
        """How often a step was taken."""
        return sum(taken == step for taken, _ in self.calls)

    def push(
        self, subscription_id: str, kind: NoticeKind = NoticeKind.CHANGED
    ) -> tuple[dict[str, str], bytes]:
        """The headers and the body of a notice to a subscription."""
        subscription, order = self.subscriptions[subscription_id]
        notice = {
            "channel": str(order.channel_id),
            "secret": order.secret,
            "kind": kind.value,
            "resource": subscription.resource_id,
        }
        return {"x-fake": "push"}, json.dumps([notice]).encode()

    # The Protocol.

    @property
    def capabilities(self) -> CalendarCapabilities:
        return CalendarCapabilities(
            platform=self.platform,
            renews_in_place=self._is_microsoft,
            longest_subscription=LONGEST_SUBSCRIPTION.total_seconds(),
        )

    async def refresh(self, grant: OAuthGrant) -> Access:
        self._take("refresh")
        if self.refusal is not None:
            raise self.refusal
        if grant.refresh_token not in self.refresh_tokens:
            raise AccessRefusedError(
                "This refresh token is not known.", status=ConnectionStatus.REVOKED
            )
        number = next(self._numbers)
        rotated = f"refresh-{number}" if self._is_microsoft else None
        if rotated is not None:
            self.refresh_tokens.add(rotated)
        access = Access(f"access-{number}", self.clock.now() + ACCESS_LASTS, rotated)
        self.accesses[access.text] = access.expires_at
        return access

    async def account_email(self, access: str) -> str:
        self._take("account_email", access)
        return EMAIL

    async def calendars(self, access: str) -> Sequence[RawCalendar]:
        self._take("calendars", access)
        return [calendar.raw for calendar in self.by_id.values()]

    async def calendar(self, access: str, calendar_id: str) -> RawCalendar:
        self._take("calendar", access, calendar_id)
        return self._calendar(calendar_id).raw

    async def window(
        self, access: str, calendar_id: str, *, start: datetime, end: datetime
    ) -> Listing:
        self._take("window", access, calendar_id)
        calendar = self._calendar(calendar_id)
        until = end + MARGIN if self._is_microsoft else None
        return Listing(
            events=_within(calendar, start, end),
            cursor=_cursor(calendar, start, until),
            covers_until=until,
        )

    async def between(
        self, access: str, calendar_id: str, *, start: datetime, end: datetime
    ) -> Sequence[ProviderEvent]:
        self._take("between", access, calendar_id)
        return _within(self._calendar(calendar_id), start, end)

    async def changes(self, access: str, calendar_id: str, *, cursor: str) -> Changes:
        self._take("changes", access, calendar_id)
        calendar = self._calendar(calendar_id)
        told = json.loads(cursor)
        if told["epoch"] != calendar.epoch:
            raise CursorExpiredError
        touched = calendar.changes[told["seen"] :]
        ids = {event_id for event_id, _ in touched}
        there = dict(calendar.events)
        complete: set[str] = set()
        if told["until"] is not None:
            start, until = (datetime.fromisoformat(told[name]) for name in ("start", "until"))
            there = {event.id: event for event in _within(calendar, start, until)}
            complete = {series for _, series in touched if series is not None}
            ids = {event_id for event_id, series in touched if series is None}
        return Changes(
            events=tuple(e for e in there.values() if e.id in ids or e.series_id in complete),
            removed=frozenset(ids - there.keys()),
            complete_series=frozenset(complete),
            cursor=json.dumps({**told, "seen": len(calendar.changes)}),
        )

    async def subscribe(
        self, access: str, calendar_id: str, order: SubscriptionOrder
    ) -> Subscription:
        self._take("subscribe", access, calendar_id)
        self._calendar(calendar_id)
        if not self.pushes:
            raise PushRefusedError("This calendar is not pushed.")
        made = Subscription(
            id=str(uuid4() if self._is_microsoft else order.channel_id),
            resource_id=None if self._is_microsoft else f"resource of {calendar_id}",
            expires_at=self._at_most(order.expires_at),
        )
        self.subscriptions[made.id] = (made, order)
        return made

    async def renew(
        self, access: str, subscription: Subscription, *, expires_at: datetime
    ) -> Subscription:
        self._take("renew", access)
        if not self._is_microsoft or subscription.id not in self.subscriptions:
            raise SubscriptionGoneError
        renewed = replace(subscription, expires_at=self._at_most(expires_at))
        self.subscriptions[renewed.id] = (renewed, self.subscriptions[renewed.id][1])
        return renewed

    async def unsubscribe(self, access: str, subscription: Subscription) -> None:
        self._take("unsubscribe", access)
        self.subscriptions.pop(subscription.id, None)

    def notices(self, headers: Mapping[str, str], body: bytes) -> Sequence[Notice]:
        if headers.get("x-fake") != "push":
            raise ValueError("this is no push of this platform")
        return tuple(
            Notice(
                channel_id=UUID(item["channel"]),
                secret=item["secret"],
                kind=NoticeKind(item["kind"]),
                resource_id=item["resource"],
            )
            for item in json.loads(body)
        )

    @property
    def _is_microsoft(self) -> bool:
        return self.platform is CalendarPlatform.MICROSOFT

    def _take(self, step: str, access: str | None = None, calendar_id: str | None = None) -> None:
        self.calls.append((step, calendar_id))
        if self.failures[step]:
            raise self.failures[step].pop(0)
        if access is not None and self.accesses.get(access, self.clock.now()) <= self.clock.now():
            raise TokenExpiredError("The access token is not accepted any more.")

    def _calendar(self, calendar_id: str) -> FakeCalendar:
        found = self.by_id.get(EMAIL if calendar_id == "primary" else calendar_id)
        if found is None:
            raise CalendarGoneError("There is no such calendar.")
        return found

    def _at_most(self, expires_at: datetime) -> datetime:
        return min(expires_at, self.clock.now() + LONGEST_SUBSCRIPTION)


def _within(calendar: FakeCalendar, start: datetime, end: datetime) -> tuple[ProviderEvent, ...]:
    return tuple(e for e in calendar.events.values() if e.end > start and e.start < end)


def _cursor(calendar: FakeCalendar, start: datetime, until: datetime | None) -> str:
    told = {
        "epoch": calendar.epoch,
        "seen": len(calendar.changes),
        "start": start.isoformat(),
        "until": until.isoformat() if until else None,
    }
    return json.dumps(told)
