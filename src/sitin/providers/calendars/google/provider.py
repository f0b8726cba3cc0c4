"""Google Calendar over its API, version 3. Built by the registry of calendar providers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel

from sitin.contract.calendars import (
    Access,
    AccessRefusedError,
    CalendarCapabilities,
    CalendarPlatform,
    Changes,
    ConnectionStatus,
    CursorExpiredError,
    Listing,
    Notice,
    NoticeKind,
    OAuthGrant,
    ProviderEvent,
    RawCalendar,
    Subscription,
    SubscriptionGoneError,
    SubscriptionOrder,
    TokenExpiredError,
    UnreadableAnswerError,
)
from sitin.contract.failures import RetriableError
from sitin.kit.clock import Clock, SystemClock, iso
from sitin.providers.calendars.asking import (
    PATIENCE,
    GoneError,
    Judging,
    VendorClient,
    base_of,
    lifetime,
    segment,
)
from sitin.providers.calendars.google.answers import (
    NAME,
    SCOPE_MISSING,
    api_failure,
    calendar_gone,
    refresh_failure,
    round_failure,
)
from sitin.providers.calendars.google.events import to_event
from sitin.providers.calendars.google.wire import (
    CalendarPage,
    EventPage,
    TokenResponse,
    UserInfo,
    WireCalendar,
    WireChannel,
    WireEvent,
)
from sitin.providers.calendars.wire import within, zone_named

M = TypeVar("M", bound=BaseModel)

VERSION = "/calendar/v3"
PAGE_SIZE = 500
MOST_PAGES = 1000
MOST_LOOKUPS = 20
"""Series looked at in one round of changes; beyond, listing the window is cheaper."""
LONGEST_CHANNEL = timedelta(days=7)

_SCOPES = frozenset(
    "https://www.googleapis.com/auth/" + name
    for name in (
        "calendar",
        "calendar.readonly",
        "calendar.events",
        "calendar.events.readonly",
        "calendar.events.owned",
        "calendar.events.owned.readonly",
    )
)
"""Each of them lets events be read."""


@dataclass
class _Round:
    """The pages of one listing or of one round of changes, read one after the other."""

    events: dict[str, ProviderEvent] = field(default_factory=dict)
    removed: dict[str, str | None] = field(default_factory=dict)
    """Ids of what is cancelled, and the series that each belongs to."""
    sync_token: str | None = None
    """Of the last page."""

    def take(self, page: EventPage) -> None:
        """Add a page; of an event that comes twice, what was said last counts."""
        zone = zone_named(page.time_zone)
        for item in page.items:
            self.events.pop(item.id, None)
            self.removed.pop(item.id, None)
            if item.is_cancelled:
                self.removed[item.id] = item.recurring_event_id
                continue
            event = to_event(item, zone)
            if event is None:
                raise UnreadableAnswerError(f"{NAME} lists an event that is at no time.")
            self.events[item.id] = event
        self.sync_token = page.next_sync_token


class GoogleCalendarProvider:
    """A ``CalendarProvider``. ``aclose`` closes its connections.

    Args:
        token_url: Where access is renewed.
        api_url: The API's address, with or without ``/calendar/v3``.
        patience: Seconds after which a request is not tried again; 0 asks once.
    """

    def __init__(
        self,
        *,
        token_url: str,
        api_url: str,
        clock: Clock | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._clock = clock or SystemClock()
        self._token_url = token_url
        self._api = base_of(api_url, VERSION)
        self._vendor = VendorClient(
            name=NAME,
            setting="SITIN_GOOGLE_API_URL or SITIN_GOOGLE_TOKEN_URL",
            clock=self._clock,
            patience=patience,
        )

    @property
    def capabilities(self) -> CalendarCapabilities:
        """A channel lives for a week and is then replaced by another."""
        return CalendarCapabilities(
            platform=CalendarPlatform.GOOGLE,
            renews_in_place=False,
            longest_subscription=LONGEST_CHANNEL.total_seconds(),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._vendor.aclose()

    async def refresh(self, grant: OAuthGrant) -> Access:
        """``POST`` to the token endpoint. Google keeps the refresh token as a rule."""
        answer = await self._vendor.ask(
            "POST",
            self._token_url,
            doing="renew the access",
            judge=lambda refusal: refresh_failure(self._vendor, refusal),
            data={
                "grant_type": "refresh_token",
                "client_id": grant.client_id,
                "client_secret": grant.client_secret,
                "refresh_token": grant.refresh_token,
            },
        )
        token = self._vendor.read(TokenResponse, answer)
        if token.scope is not None and _SCOPES.isdisjoint(token.scope.split()):
            raise AccessRefusedError(SCOPE_MISSING, status=ConnectionStatus.PERMISSION_DENIED)
        return Access(
            text=token.access_token,
            expires_at=self._clock.now() + lifetime(token.expires_in),
            refresh_token=token.refresh_token,
        )

    async def account_email(self, access: str) -> str:
        """``GET oauth2/v2/userinfo``, or without its scope the id of the primary calendar."""
        try:
            info = await self._get(UserInfo, "/oauth2/v2/userinfo", access, "tell the account")
            if info.email:
                return info.email
        except (AccessRefusedError, TokenExpiredError):
            pass  # A token without the scope is refused with 401 as well as with 403.
        return (await self.calendar(access, "primary")).email

    async def calendars(self, access: str) -> Sequence[RawCalendar]:
        """``GET users/me/calendarList``."""
        found: dict[str, RawCalendar] = {}
        token: str | None = None
        for _ in range(MOST_PAGES):
            page = await self._get(
                CalendarPage,
                f"{VERSION}/users/me/calendarList",
                access,
                "list the calendars",
                maxResults="250",
                pageToken=token,
            )
            found |= {entry.id: _to_calendar(entry) for entry in page.items if not entry.deleted}
            token = page.next_page_token
            if token is None:
                return tuple(found.values())
        raise UnreadableAnswerError(f"{NAME}'s list of calendars has no end.")

    async def calendar(self, access: str, calendar_id: str) -> RawCalendar:
        """``GET users/me/calendarList/{id}``, which knows ``primary`` by itself."""
        path = f"{VERSION}/users/me/calendarList/{_segment(calendar_id)}"
        return _to_calendar(await self._get(WireCalendar, path, access, "tell the calendar"))

    async def window(
        self, access: str, calendar_id: str, *, start: datetime, end: datetime
    ) -> Listing:
        """``GET events`` with ``timeMin`` and ``timeMax``; the token knows no bounds in time."""
        try:
            taken = await self._round(access, calendar_id, timeMin=iso(start), timeMax=iso(end))
        except CursorExpiredError as error:
            raise RetriableError(f"{NAME} lost the place in the listing; list again.") from error
        return Listing(events=within(taken.events.values(), start, end), cursor=taken.sync_token)

    async def between(
        self, access: str, calendar_id: str, *, start: datetime, end: datetime
    ) -> Sequence[ProviderEvent]:
        """The same request."""
        return (await self.window(access, calendar_id, start=start, end=end)).events

    async def changes(self, access: str, calendar_id: str, *, cursor: str) -> Changes:
        """``GET events`` with ``syncToken``; series of which nothing is left are looked up.

        Of a deleted series Google may tell only some months' instances.
        """
        taken = await self._round(access, calendar_id, syncToken=cursor)
        if taken.sync_token is None:
            raise UnreadableAnswerError(f"{NAME} told changes without a token for the next time.")
        alive = {event.series_id for event in taken.events.values()}
        doubtful = {series for series in taken.removed.values() if series} - alive
        if len(doubtful) > MOST_LOOKUPS:
            raise CursorExpiredError
        gone = [series for series in doubtful if await self._is_gone(access, calendar_id, series)]
        return Changes(
            events=tuple(taken.events.values()),
            removed=frozenset(taken.removed),
            complete_series=frozenset(gone),
            cursor=taken.sync_token,
        )

    async def subscribe(
        self, access: str, calendar_id: str, order: SubscriptionOrder
    ) -> Subscription:
        """``POST events/watch``. Google's ``sync`` message may be here first."""
        answer = await self._post(
            f"{_events(calendar_id)}/watch",
            access,
            "push the calendar's changes",
            {
                "id": str(order.channel_id),
                "type": "web_hook",
                "address": order.address,
                "token": order.secret,
                "expiration": int(order.expires_at.timestamp() * 1000),
            },
            once=True,
        )
        channel = self._vendor.read(WireChannel, answer)
        return Subscription(
            id=str(order.channel_id),
            resource_id=channel.resource_id,
            expires_at=_from_milliseconds(channel.expiration) or order.expires_at,
        )

    async def renew(
        self,
        access: str,  # noqa: ARG002 - part of the Protocol
        subscription: Subscription,  # noqa: ARG002
        *,
        expires_at: datetime,  # noqa: ARG002
    ) -> Subscription:
        """Google extends no channel: always ``SubscriptionGoneError``."""
        raise SubscriptionGoneError

    async def unsubscribe(self, access: str, subscription: Subscription) -> None:
        """``POST channels/stop``."""
        try:
            await self._post(
                f"{VERSION}/channels/stop",
                access,
                "stop pushing",
                {"id": subscription.id, "resourceId": subscription.resource_id},
            )
        except GoneError:
            return

    def notices(
        self,
        headers: Mapping[str, str],
        body: bytes,  # noqa: ARG002 - Google leaves it empty
    ) -> Sequence[Notice]:
        """One notice a message, all of it in the headers."""
        channel, state = headers.get("x-goog-channel-id"), headers.get("x-goog-resource-state")
        if not channel or not state:
            raise ValueError("a message without a channel or a state is not Google's")
        try:
            channel_id = UUID(channel)
        except ValueError:
            return ()
        kind = NoticeKind.BEGUN if state == "sync" else NoticeKind.CHANGED
        return (
            Notice(
                channel_id=channel_id,
                secret=headers.get("x-goog-channel-token", ""),
                kind=kind,
                resource_id=headers.get("x-goog-resource-id"),
            ),
        )

    async def _round(self, access: str, calendar_id: str, **asked: str) -> _Round:
        taken = _Round()
        token: str | None = None
        for _ in range(MOST_PAGES):
            page = await self._get(
                EventPage,
                _events(calendar_id),
                access,
                "list the events",
                judging=round_failure,
                singleEvents="true",
                showDeleted="true",
                maxResults=str(PAGE_SIZE),
                pageToken=token,
                **asked,
            )
            taken.take(page)
            token = page.next_page_token
            if token is None:
                return taken
        raise UnreadableAnswerError(f"{NAME}'s list of events has no end.")

    async def _is_gone(self, access: str, calendar_id: str, series: str) -> bool:
        path = f"{_events(calendar_id)}/{_segment(series)}"
        try:
            return (await self._get(WireEvent, path, access, "tell the series")).is_cancelled
        except GoneError:
            return True

    async def _get(
        self,
        model: type[M],
        path: str,
        access: str,
        doing: str,
        *,
        judging: Judging = api_failure,
        **params: str | None,
    ) -> M:
        answer = await self._vendor.ask(
            "GET",
            self._api + path,
            doing=doing,
            judge=lambda refusal: judging(self._vendor, refusal, doing),
            access=access,
            params={name: value for name, value in params.items() if value is not None},
        )
        return self._vendor.read(model, answer)

    async def _post(
        self, path: str, access: str, doing: str, body: dict[str, Any], *, once: bool = False
    ) -> bytes:
        return await self._vendor.ask(
            "POST",
            self._api + path,
            doing=doing,
            judge=lambda refusal: api_failure(self._vendor, refusal, doing),
            access=access,
            once=once,
            json=body,
        )


def _segment(foreign_id: str) -> str:
    quoted = segment(foreign_id)
    if quoted is None:
        raise calendar_gone()
    return quoted


def _events(calendar_id: str) -> str:
    return f"{VERSION}/calendars/{_segment(calendar_id)}/events"


def _to_calendar(entry: WireCalendar) -> RawCalendar:
    return RawCalendar(
        id=entry.id,
        name=entry.summary_override or entry.summary or entry.id,
        email=entry.id,
        is_primary=entry.primary,
        time_zone=zone.key if (zone := zone_named(entry.time_zone)) else None,
    )


def _from_milliseconds(told: int | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(told / 1000, UTC) if told is not None else None
    except (OverflowError, ValueError, OSError):
        return None
