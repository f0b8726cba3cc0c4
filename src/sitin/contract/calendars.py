"""The Protocol of calendar providers. Implemented in providers/calendars, used by calendars.

A provider is asked with an access token and answers in our words; whatever it says in its own is
untrusted and read nowhere else. The truth about a calendar is the listing of a window of time; what
has changed since a listing is asked with the listing's cursor, which is only faster: whoever
applies changes to what a listing gave ends up with what a new listing would give.

Failures are kinds of ``sitin.contract.failures``; those below say more about them. None is
permanent: what is refused today may be granted tomorrow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from sitin.contract.failures import ActionRequiredError, RetriableError


class CalendarPlatform(StrEnum):
    """A calendar platform, as the API names it."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"


class ConnectionStatus(StrEnum):
    """How a connection to a calendar stands."""

    ACTIVE = "active"
    ERROR = "error"
    """Something is wrong that may pass or be put right."""
    REVOKED = "revoked"
    """The refresh token is not accepted any more."""
    PERMISSION_DENIED = "permission_denied"
    """The account's owner or organisation does not grant what is needed."""


class EventStatus(StrEnum):
    """Whether an event takes place. One that the calendar's owner declined is cancelled."""

    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    TENTATIVE = "tentative"


class ResponseStatus(StrEnum):
    """What an attendee answered."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    TENTATIVE = "tentative"
    NEEDS_ACTION = "needsAction"


class AccessRefusedError(ActionRequiredError):
    """The customer has to put something right before the calendar can be read again.

    Attributes:
        status: What becomes of the connection.
    """

    def __init__(self, message: str, *, status: ConnectionStatus) -> None:
        super().__init__(message, by="customer")
        self.status = status


class LicenseRequiredError(AccessRefusedError):
    """The account has no mailbox that can be asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=ConnectionStatus.PERMISSION_DENIED)


class CalendarGoneError(AccessRefusedError):
    """There is no such calendar, or it is not shared with this account any more."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=ConnectionStatus.ERROR)


class UnreadableAnswerError(RetriableError):
    """The provider answered, or refused for, something that makes no sense.

    Nothing of the answer may be used, nor of those before it in the same call.
    """


class TokenExpiredError(RetriableError):
    """The access token is not accepted; a new one may be."""


class CursorExpiredError(Exception):
    """Changes since this cursor cannot be told; the window has to be listed anew.

    The provider does not know them any more, or contradicts itself, or they are so many that
    listing is cheaper. A cursor that came from another install counts as well.
    """


class PushRefusedError(ActionRequiredError):
    """The provider will not push this calendar's changes to this address; it has to be polled."""

    def __init__(self, message: str) -> None:
        super().__init__(message, by="operator")


class SubscriptionGoneError(Exception):
    """The provider has no such subscription any more."""


@dataclass(frozen=True, slots=True)
class OAuthGrant:
    """What a customer gives to have a calendar read."""

    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    tenant_id: str = "common"
    """Microsoft only."""


@dataclass(frozen=True, slots=True)
class Access:
    """An access token.

    Attributes:
        text: What requests carry.
        expires_at: Ask for another a little before.
        refresh_token: A new one, which replaces the grant's; ``None`` where the old one stays.
    """

    text: str = field(repr=False)
    expires_at: datetime
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RawCalendar:
    """A calendar of an account.

    Attributes:
        id: The provider's own id, never an alias such as ``primary``.
        email: The address that the calendar goes by.
        time_zone: IANA name, where the provider tells.
    """

    id: str
    name: str
    email: str
    is_primary: bool
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Attendee:
    """Somebody invited."""

    email: str
    name: str | None
    response: ResponseStatus
    organizer: bool = False
    is_self: bool | None = None
    """Whether it is the calendar's owner; ``None`` where the provider does not tell."""


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One occurrence of an event, or an event that occurs once.

    Attributes:
        id: The provider's id of this occurrence. It stays when the occurrence is moved.
        series_id: The provider's id of the series; ``None`` for an event that occurs once.
        family: The same for a series and those that were split off it; ``None`` without a series.
        is_exception: Whether the occurrence differs from its series, as far as the provider tells;
            ``None`` leaves it to a comparison with the other occurrences. Never ``None`` without a
            series.
        is_meeting: Whether people meet: a birthday or a working location is none.
        title: May be empty; at most 1,000 characters.
        description: As written, HTML or text; at most 65,536 characters.
        start: UTC; the midnight of the calendar's time zone for an event of whole days.
        end: Exclusive, and never before the start.
        time_zone: IANA name; ``None`` for an event of whole days. ``UTC`` where the provider's name
            for it is known nowhere else.
        status: Cancelled is what is still in the calendar and does not take place: the owner
            declined it, or the organizer called it off. What was deleted is no event at all.
        attendees: Those with an address, at most 2,000; ``None`` when the provider tells of none.
        links: Addresses that the provider itself lists for joining by video, best first.
    """

    id: str
    series_id: str | None
    family: str | None
    is_exception: bool | None
    is_meeting: bool
    title: str
    description: str | None
    location: str | None
    start: datetime
    end: datetime
    time_zone: str | None
    is_all_day: bool
    status: EventStatus
    organizer_email: str | None
    organizer_name: str | None
    attendees: tuple[Attendee, ...] | None
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """All there is in a window of time.

    Attributes:
        events: Each id once. What was deleted is left out.
        cursor: For ``changes``, opaque, of some kilobytes; ``None`` where the provider gave none.
        covers_until: Changes to events that start later are not told; ``None`` for no such bound.
            What the window grows by has to be listed all the same (``between``): an event that
            does not change is told by no cursor.
    """

    events: tuple[ProviderEvent, ...]
    cursor: str | None
    covers_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed since a cursor, inside and outside of any window.

    Attributes:
        events: As they are now, each id once; none of them is in ``removed``.
        removed: Ids of what is gone: deleted, or moved to where this cursor does not reach. Unknown
            ids may be among them, and ids of series.
        complete_series: Ids of series of which every occurrence that the provider still has, and
            that starts between the listing's start and ``covers_until``, is among ``events``: one
            that is not there is gone, told or not. Unknown ids may be among them.
        cursor: For the next time. It reaches as far as the one before.
    """

    events: tuple[ProviderEvent, ...]
    removed: frozenset[str]
    complete_series: frozenset[str]
    cursor: str


@dataclass(frozen=True, slots=True)
class SubscriptionOrder:
    """Where a provider is to push notices to.

    Attributes:
        channel_id: Ours, another one for every order; every notice carries it.
        address: HTTPS, as the provider reaches it.
        secret: Every notice carries it; at most 80 printable ASCII characters without a period.
        expires_at: When it may end at the latest; the provider decides.
    """

    channel_id: UUID
    address: str
    secret: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Subscription:
    """A provider's promise to push notices.

    Attributes:
        id: The provider's id, as customers know it.
        resource_id: What else the provider wants to hear to end it.
    """

    id: str
    resource_id: str | None
    expires_at: datetime


class NoticeKind(StrEnum):
    """What a notice says."""

    BEGUN = "begun"
    """The subscription has begun; nothing has changed."""
    CHANGED = "changed"
    MISSED = "missed"
    """Notices were lost: list the window anew."""
    REMOVED = "removed"
    """The subscription is gone: make another and list the window anew."""
    RENEWAL_WANTED = "renewal_wanted"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice. Nobody has proven yet that it comes from the provider."""

    channel_id: UUID
    secret: str = field(repr=False)
    kind: NoticeKind
    resource_id: str | None = None
    """Where the provider tells it: it has to be the subscription's."""


@dataclass(frozen=True, slots=True)
class CalendarCapabilities:
    """What differs between providers, asked instead of asking which one it is."""

    platform: CalendarPlatform
    renews_in_place: bool
    """Whether a subscription can be extended; else another takes its place."""
    longest_subscription: float
    """Seconds to ask for."""


class CalendarProvider(Protocol):
    """One calendar platform.

    Every method but the pure ones may raise ``RetriableError`` (throttled, failing, silent),
    ``AccessRefusedError``, ``UnreadableAnswerError``, an ``ActionRequiredError`` of the operator's
    (the platform's address is wrong) and, but for ``refresh``, ``TokenExpiredError``. Waits of a
    few seconds are kept inside; a ``RetriableError`` is worth another call later, as a whole.

    Calendars go by their ids; only ``calendar`` knows aliases.

    An access token makes few requests at once, in this process, however many calls there are.
    """

    @property
    def capabilities(self) -> CalendarCapabilities:
        """What this provider can do."""
        ...

    async def refresh(self, grant: OAuthGrant) -> Access:
        """A new access token that may read calendars.

        Raises ``AccessRefusedError`` with what becomes of the connection. The answer's refresh
        token, where there is one, has to be stored before the access is used.
        """
        ...

    async def account_email(self, access: str) -> str:
        """The address of the account."""
        ...

    async def calendars(self, access: str) -> Sequence[RawCalendar]:
        """The account's calendars."""
        ...

    async def calendar(self, access: str, calendar_id: str) -> RawCalendar:
        """One calendar, by its id or an alias of it: ``primary`` is the account's own.

        Raises ``CalendarGoneError``.
        """
        ...

    async def window(
        self, access: str, calendar_id: str, *, start: datetime, end: datetime
    ) -> Listing:
        """Everything that ends after ``start`` and starts before ``end``, with a cursor.

        Raises ``CalendarGoneError``, as do ``between``, ``changes`` and ``subscribe``.
        """
        ...

    async def between(
        self, access: str, calendar_id: str, *, start: datetime, end: datetime
    ) -> Sequence[ProviderEvent]:
        """The same without a cursor, for a stretch that a window has just grown by."""
        ...

    async def changes(self, access: str, calendar_id: str, *, cursor: str) -> Changes:
        """What has changed since. Raises ``CursorExpiredError``."""
        ...

    async def subscribe(
        self, access: str, calendar_id: str, order: SubscriptionOrder
    ) -> Subscription:
        """Have notices pushed; some may arrive before this returns. Raises ``PushRefusedError``."""
        ...

    async def renew(
        self, access: str, subscription: Subscription, *, expires_at: datetime
    ) -> Subscription:
        """Extend a subscription. Raises ``SubscriptionGoneError``, always where it cannot be."""
        ...

    async def unsubscribe(self, access: str, subscription: Subscription) -> None:
        """End a subscription; one that is gone is no error."""
        ...

    def notices(self, headers: Mapping[str, str], body: bytes) -> Sequence[Notice]:
        """Read what was pushed; pure. Items that make no sense are left out.

        Raises ``ValueError`` for what is no push of this provider at all. The names of ``headers``
        are lower-case.
        """
        ...
