"""Microsoft's calendars over Graph, version 1.0. Built by the registry of calendar providers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import httpx
from pydantic import ValidationError

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
    OAuthGrant,
    ProviderEvent,
    RawCalendar,
    Subscription,
    SubscriptionGoneError,
    SubscriptionOrder,
    UnreadableAnswerError,
)
from sitin.contract.failures import RetriableError
from sitin.kit.clock import Clock, SystemClock, iso
from sitin.providers.calendars.asking import (
    PATIENCE,
    GoneError,
    VendorClient,
    lifetime,
    segment,
)
from sitin.providers.calendars.microsoft.answers import (
    NAME,
    SCOPE_MISSING,
    WRONG_TENANT,
    calendar_gone,
    push_failure,
    refresh_failure,
)
from sitin.providers.calendars.microsoft.events import to_event
from sitin.providers.calendars.microsoft.graph import PAGE_SIZE, Graph
from sitin.providers.calendars.microsoft.notices import client_state, read_notices
from sitin.providers.calendars.microsoft.rounds import Round
from sitin.providers.calendars.microsoft.wire import (
    CalendarPage,
    EventPage,
    TokenResponse,
    User,
    WireCalendar,
    WireCursor,
    WireEvent,
    WireSubscription,
)
from sitin.providers.calendars.wire import in_utc, within

MOST_LOOKUPS = 20
"""Occurrences fetched that a round left out; beyond, listing the window is cheaper."""
MARGIN = timedelta(days=7)
"""How far changes are told beyond a window: for so long it may roll with one cursor."""
LONGEST_SUBSCRIPTION = timedelta(minutes=4230)
"""Microsoft allows 10,080 today; 4,230 were the most for long."""

_GLANCE = {"$select": "id,type,seriesMasterId", "$top": "1000"}
"""Of a view: what is there, and which series it belongs to."""
_ALIASES = frozenset({"primary", "default"})
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
_RESOURCE = "https://graph.microsoft.com"
_NATIONAL_CLOUDS = (".microsoft.us", ".chinacloudapi.cn")
_SCOPES = frozenset({"calendars.read", "calendars.readwrite"})
"""Each of them lets events be read with what is in them."""


class MicrosoftCalendarProvider:
    """A ``CalendarProvider``. ``aclose`` closes its connections.

    Args:
        login_url: Where access is renewed, without the tenant.
        graph_url: Graph's address, with or without ``/v1.0``.
        patience: Seconds after which a request is not tried again; 0 asks once.
    """

    def __init__(
        self,
        *,
        login_url: str,
        graph_url: str,
        clock: Clock | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._clock = clock or SystemClock()
        self._login = login_url.rstrip("/")
        host = httpx.URL(graph_url).host
        self._resource = f"https://{host}" if host.endswith(_NATIONAL_CLOUDS) else _RESOURCE
        self._vendor = VendorClient(
            name=NAME,
            setting="SITIN_MICROSOFT_GRAPH_URL or SITIN_MICROSOFT_LOGIN_URL",
            clock=self._clock,
            patience=patience,
        )
        self._graph = Graph(self._vendor, graph_url)

    @property
    def capabilities(self) -> CalendarCapabilities:
        """A subscription is extended in place."""
        return CalendarCapabilities(
            platform=CalendarPlatform.MICROSOFT,
            renews_in_place=True,
            longest_subscription=LONGEST_SUBSCRIPTION.total_seconds(),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._vendor.aclose()

    async def refresh(self, grant: OAuthGrant) -> Access:
        """``POST {tenant}/oauth2/v2.0/token``; every answer brings a new refresh token.

        Asked is for whatever was granted: who granted ``Calendars.ReadWrite`` did not thereby
        consent to ``Calendars.Read``.
        """
        if not _TENANT.fullmatch(grant.tenant_id):
            raise AccessRefusedError(WRONG_TENANT, status=ConnectionStatus.ERROR)
        answer = await self._vendor.ask(
            "POST",
            f"{self._login}/{grant.tenant_id}/oauth2/v2.0/token",
            doing="renew the access",
            judge=lambda refusal: refresh_failure(self._vendor, refusal),
            data={
                "grant_type": "refresh_token",
                "client_id": grant.client_id,
                "client_secret": grant.client_secret,
                "refresh_token": grant.refresh_token,
                "scope": f"offline_access {self._resource}/.default",
            },
        )
        token = self._vendor.read(TokenResponse, answer)
        if token.scope is not None and _SCOPES.isdisjoint(
            scope.rpartition("/")[2].lower() for scope in token.scope.split()
        ):
            raise AccessRefusedError(SCOPE_MISSING, status=ConnectionStatus.PERMISSION_DENIED)
        return Access(
            text=token.access_token,
            expires_at=self._clock.now() + lifetime(token.expires_in),
            refresh_token=token.refresh_token,
        )

    async def account_email(self, access: str) -> str:
        """``GET /me``, or without the permission for it the owner of the default calendar."""
        doing = "tell the account"
        try:
            user = await self._graph.get(User, "/me", access, doing)
            email = user.mail or user.user_principal_name
        except AccessRefusedError:
            email = _owner(await self._graph.get(WireCalendar, "/me/calendar", access, doing))
        if not email:
            raise UnreadableAnswerError(f"{NAME} tells no address of the account.")
        return email

    async def calendars(self, access: str) -> Sequence[RawCalendar]:
        """``GET /me/calendars``."""
        found: dict[str, WireCalendar] = {}
        async for page in self._graph.pages(
            CalendarPage, "/me/calendars", access, "list the calendars", {"$top": "100"}
        ):
            found |= {calendar.id: calendar for calendar in page.value}
        email = ""
        if any(_owner(calendar) is None for calendar in found.values()):
            email = await self.account_email(access)
        return [_to_calendar(calendar, email) for calendar in found.values()]

    async def calendar(self, access: str, calendar_id: str) -> RawCalendar:
        """``GET /me/calendars/{id}``; Graph knows no alias, the default one has its own path."""
        alias = calendar_id.lower() in _ALIASES
        path = "/me/calendar" if alias else _calendar_path(calendar_id)
        calendar = await self._graph.get(WireCalendar, path, access, "tell the calendar")
        return _to_calendar(calendar, _owner(calendar) or await self.account_email(access))

    async def window(
        self, access: str, calendar_id: str, *, start: datetime, end: datetime
    ) -> Listing:
        """``GET calendarView/delta``: its bounds stay those of every later round."""
        until = end + MARGIN
        try:
            taken, link = await self._graph.round(
                f"{_calendar_path(calendar_id)}/calendarView/delta",
                access,
                {"startDateTime": iso(start), "endDateTime": iso(until)},
            )
        except CursorExpiredError as error:
            raise RetriableError(f"{NAME} lost the place in the listing; list again.") from error
        await self._fetch_series(access, taken)
        return Listing(
            events=within(_translated(taken.filled()), start, end),
            cursor=WireCursor(start=start, end=until, link=link).model_dump_json(),
            covers_until=until,
        )

    async def between(
        self, access: str, calendar_id: str, *, start: datetime, end: datetime
    ) -> Sequence[ProviderEvent]:
        """``GET calendarView``, where occurrences are whole."""
        items = await self._view(access, calendar_id, start, end, {"$top": str(PAGE_SIZE)})
        return within(_translated(items), start, end)

    async def changes(self, access: str, calendar_id: str, *, cursor: str) -> Changes:
        """The last round's link, and a glance at what is there when it tells of series.

        What is removed may be a series as well: nobody tells.
        """
        said = self._read_cursor(cursor)
        taken, link = await self._graph.round(said.link, access)
        complete: set[str] = set()
        if taken.touched or taken.removed:
            there = await self._view(access, calendar_id, said.start, said.end, _GLANCE)
            if taken.removed & {item.series_master_id for item in there}:
                raise CursorExpiredError  # One of the two is behind; a new round tells.
            await self._fetch_left_out(access, taken, there)
            complete = taken.touched | taken.removed
        await self._fetch_series(access, taken)
        return Changes(
            events=tuple(_translated(taken.filled())),
            removed=frozenset(taken.removed),
            complete_series=frozenset(complete),
            cursor=said.model_copy(update={"link": link}).model_dump_json(),
        )

    async def subscribe(
        self, access: str, calendar_id: str, order: SubscriptionOrder
    ) -> Subscription:
        """``POST /subscriptions``. Microsoft asks the address back before it answers."""
        answer = await self._graph.ask(
            "POST",
            "/subscriptions",
            access,
            "push the calendar's changes",
            judging=push_failure,
            once=True,
            json={
                "changeType": "created,updated,deleted",
                "resource": f"{_calendar_path(calendar_id)}/events",
                "notificationUrl": order.address,
                "lifecycleNotificationUrl": order.address,
                "expirationDateTime": iso(self._at_most(order.expires_at)),
                "clientState": client_state(order.channel_id, order.secret),
            },
        )
        return self._to_subscription(answer, order.expires_at)

    async def renew(
        self, access: str, subscription: Subscription, *, expires_at: datetime
    ) -> Subscription:
        """``PATCH /subscriptions/{id}``."""
        try:
            answer = await self._graph.ask(
                "PATCH",
                f"/subscriptions/{_segment(subscription.id)}",
                access,
                "go on pushing",
                json={"expirationDateTime": iso(self._at_most(expires_at))},
            )
        except GoneError as error:
            raise SubscriptionGoneError from error
        return self._to_subscription(answer, expires_at)

    async def unsubscribe(self, access: str, subscription: Subscription) -> None:
        """``DELETE /subscriptions/{id}``."""
        path = f"/subscriptions/{_segment(subscription.id)}"
        try:
            await self._graph.ask("DELETE", path, access, "stop pushing")
        except GoneError:
            return

    def notices(
        self,
        headers: Mapping[str, str],  # noqa: ARG002 - Microsoft puts all into the body
        body: bytes,
    ) -> Sequence[Notice]:
        """A batch, whose items may be of several channels."""
        return read_notices(body)

    async def _fetch_left_out(self, access: str, taken: Round, there: list[WireEvent]) -> None:
        """Complete what a round brought of the series that it touches."""
        left_out = [
            item.id
            for item in there
            if item.series_master_id in taken.touched
            and item.id not in taken.events
            and item.id not in taken.removed
        ]
        if len(left_out) > MOST_LOOKUPS:
            raise CursorExpiredError
        for event_id in left_out:
            event = await self._event(access, event_id)
            if event is not None:
                taken.events[event_id] = event

    async def _fetch_series(self, access: str, taken: Round) -> None:
        """Get the series that bare occurrences need and that did not come with them."""
        for series_id in sorted(taken.series_to_fetch()):
            series = await self._event(access, series_id)
            if series is not None:
                taken.series[series_id] = series

    async def _event(self, access: str, event_id: str) -> WireEvent | None:
        path = f"/me/events/{_segment(event_id)}"
        try:
            return await self._graph.get(WireEvent, path, access, "tell the event")
        except GoneError:
            return None

    async def _view(
        self,
        access: str,
        calendar_id: str,
        start: datetime,
        end: datetime,
        how: Mapping[str, str],
    ) -> list[WireEvent]:
        path = f"{_calendar_path(calendar_id)}/calendarView"
        params = {"startDateTime": iso(start), "endDateTime": iso(end), **how}
        found: dict[str, WireEvent] = {}
        async for page in self._graph.pages(EventPage, path, access, "list the events", params):
            found |= {event.id: event for event in page.value}
        return list(found.values())

    def _read_cursor(self, cursor: str) -> WireCursor:
        try:
            said = WireCursor.model_validate_json(cursor)
        except ValidationError:
            raise CursorExpiredError from None
        if not self._graph.leads_here(said.link):
            raise CursorExpiredError
        return said

    def _at_most(self, expires_at: datetime) -> datetime:
        return min(expires_at, self._clock.now() + LONGEST_SUBSCRIPTION)

    def _to_subscription(self, answer: bytes, asked: datetime) -> Subscription:
        told = self._vendor.read(WireSubscription, answer)
        expires_at = told.expiration_date_time or self._at_most(asked)
        return Subscription(id=told.id, resource_id=None, expires_at=in_utc(expires_at, UTC))


def _segment(foreign_id: str) -> str:
    quoted = segment(foreign_id)
    if quoted is None:
        raise calendar_gone()
    return quoted


def _calendar_path(calendar_id: str) -> str:
    return f"/me/calendars/{_segment(calendar_id)}"


def _owner(calendar: WireCalendar) -> str | None:
    return (calendar.owner.address if calendar.owner else None) or None


def _to_calendar(calendar: WireCalendar, email: str) -> RawCalendar:
    """Translate a calendar; ``email`` is the account's, for one that names no owner."""
    return RawCalendar(
        id=calendar.id,
        name=calendar.name or _owner(calendar) or email,
        email=_owner(calendar) or email,
        is_primary=bool(calendar.is_default_calendar),
    )


def _translated(items: Iterable[WireEvent]) -> list[ProviderEvent]:
    found = []
    for item in items:
        event = to_event(item)
        if event is None:
            raise UnreadableAnswerError(f"{NAME} lists an event that is at no time.")
        found.append(event)
    return found
