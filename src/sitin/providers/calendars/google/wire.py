"""What Google says, as far as it is read here. Used by the provider beside it only.

Field names and optionality are those of the Calendar API's discovery document (v3) and of the
OAuth token endpoint.
"""

from datetime import date, datetime

from pydantic import ConfigDict, Field

from sitin.providers.calendars.wire import Cursor, Id, ShortText, Text, Title, Token, Wire


class OAuthResponse(Wire):
    """The base of the token endpoint's answers, whose names are no camels."""

    model_config = ConfigDict(alias_generator=None)


class TokenResponse(OAuthResponse):
    """The answer to a refresh."""

    access_token: Token = Field(repr=False)
    expires_in: int = 3600
    scope: str | None = None
    """What was granted, separated by spaces."""
    refresh_token: Token | None = Field(default=None, repr=False)


class TokenComplaint(OAuthResponse):
    """The answer to a refresh that is refused."""

    error: str
    error_subtype: str | None = None


class Reason(Wire):
    """One reason of a refusal."""

    reason: str | None = None
    location: str | None = None
    """The parameter that is wrong."""


class ErrorBody(Wire):
    """``error`` of a refusal."""

    errors: tuple[Reason, ...] = ()
    details: tuple[Reason, ...] = ()


class Complaint(Wire):
    """A refusal of the API's."""

    error: ErrorBody


class UserInfo(Wire):
    """``oauth2/v2/userinfo``."""

    email: ShortText | None = None


class WireCalendar(Wire):
    """An entry of the list of calendars, or a calendar by itself."""

    id: Id
    summary: Title | None = None
    summary_override: Title | None = None
    primary: bool = False
    time_zone: str | None = None
    deleted: bool = False


class CalendarPage(Wire):
    """A page of the list of calendars."""

    items: tuple[WireCalendar, ...] = ()
    next_page_token: Cursor | None = None


class EventTime(Wire):
    """A moment, or a day of an event of whole days."""

    day: date | None = Field(default=None, alias="date")
    date_time: datetime | None = None
    time_zone: str | None = None


class Person(Wire):
    """An attendee or an organizer."""

    email: ShortText | None = None
    display_name: ShortText | None = None
    response_status: str | None = None
    organizer: bool = False
    is_self: bool = Field(default=False, alias="self")


class EntryPoint(Wire):
    """A way to join."""

    entry_point_type: str | None = None
    uri: str | None = None


class ConferenceData(Wire):
    """The conference; one that is still being made has no entry points."""

    entry_points: tuple[EntryPoint, ...] = ()


class WireEvent(Wire):
    """An event or one instance of it. Of a cancelled one only ``id`` is certain."""

    id: Id
    status: str = "confirmed"
    summary: Title | None = None
    description: Text | None = None
    location: ShortText | None = None
    start: EventTime | None = None
    end: EventTime | None = None
    recurring_event_id: Id | None = None
    original_start_time: EventTime | None = None
    organizer: Person | None = None
    attendees: tuple[Person, ...] | None = None
    conference_data: ConferenceData | None = None
    hangout_link: str | None = None
    event_type: str = "default"

    @property
    def is_cancelled(self) -> bool:
        """Whether it is gone. What its owner declined is not."""
        return self.status == "cancelled"


class EventPage(Wire):
    """A page of events. It may be empty and not the last."""

    items: tuple[WireEvent, ...] = ()
    time_zone: str | None = None
    """The calendar's."""
    next_page_token: Cursor | None = None
    next_sync_token: Cursor | None = None
    """On the last page only."""


class WireChannel(Wire):
    """The answer to an order to push."""

    resource_id: Id
    expiration: int | None = None
    """Milliseconds since 1970, written as text."""
