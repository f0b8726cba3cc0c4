"""What Microsoft says, as far as it is read here. Used by the provider beside it only.

Field names are those of Graph's v1.0 metadata. What is missing from an item is told apart from what
is null in it: an occurrence in a round of changes carries its times and nothing else.
"""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from sitin.providers.calendars.wire import Cursor, Id, ShortText, Text, Title, Token, Wire


class TokenResponse(Wire):
    """The answer to a refresh."""

    model_config = ConfigDict(alias_generator=None)

    access_token: Token = Field(repr=False)
    expires_in: int = 3600
    scope: str | None = None
    """What was granted, separated by spaces."""
    refresh_token: Token | None = Field(default=None, repr=False)


class TokenComplaint(Wire):
    """The answer to a refresh that is refused."""

    model_config = ConfigDict(alias_generator=None)

    error: str
    suberror: str | None = None
    error_codes: tuple[int, ...] = ()


class ErrorBody(Wire):
    """``error`` of a refusal, or an error inside it, which Graph spells in two ways."""

    code: str | None = None
    inner_error: "ErrorBody | None" = None
    innererror: "ErrorBody | None" = None

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of this error and of those inside it, outermost first."""
        own = (self.code,) if self.code else ()
        inner = [error.codes for error in (self.inner_error, self.innererror) if error]
        return sum(inner, own)


class Complaint(Wire):
    """A refusal of Graph's."""

    error: ErrorBody


class Address(Wire):
    """A person's name and address."""

    name: ShortText | None = None
    address: ShortText | None = None


class User(Wire):
    """``/me``."""

    mail: ShortText | None = None
    user_principal_name: ShortText | None = None


class WireCalendar(Wire):
    """A calendar."""

    id: Id
    name: Title | None = None
    is_default_calendar: bool | None = None
    owner: Address | None = None


class CalendarPage(Wire):
    """A page of calendars."""

    value: tuple[WireCalendar, ...]
    next_link: Cursor | None = Field(default=None, alias="@odata.nextLink")


class EventTime(Wire):
    """A time without an offset, and the zone it is in."""

    date_time: datetime
    time_zone: str | None = None


class Recipient(Wire):
    """An organizer."""

    email_address: Address | None = None


class Response(Wire):
    """What somebody answered."""

    response: str | None = None


class WireAttendee(Wire):
    """An attendee."""

    email_address: Address | None = None
    status: Response | None = None


class Body(Wire):
    """The description."""

    content: Text | None = None


class Location(Wire):
    """Where it takes place."""

    display_name: ShortText | None = None
    location_uri: str | None = None


class OnlineMeeting(Wire):
    """How to join."""

    join_url: str | None = None


class WireEvent(Wire):
    """An event, one of a series, the series itself, or what is left of any of them."""

    id: Id
    removed: Any | None = Field(default=None, alias="@removed")
    type: str | None = None
    series_master_id: Id | None = None
    subject: Title | None = None
    body: Body | None = None
    body_preview: Text | None = None
    start: EventTime | None = None
    end: EventTime | None = None
    original_start_time_zone: str | None = None
    is_all_day: bool | None = None
    is_cancelled: bool | None = None
    is_organizer: bool | None = None
    response_status: Response | None = None
    show_as: str | None = None
    location: Location | None = None
    locations: tuple[Location, ...] | None = None
    online_meeting: OnlineMeeting | None = None
    online_meeting_url: str | None = None
    organizer: Recipient | None = None
    attendees: tuple[WireAttendee, ...] | None = None

    @property
    def is_series(self) -> bool:
        """Whether this is a series by itself, which takes place at no time."""
        return (self.type or "").lower() == "seriesmaster"

    @property
    def is_bare(self) -> bool:
        """Whether it says when it is and no more."""
        return "subject" not in self.model_fields_set

    def filled_from(self, series: "WireEvent") -> "WireEvent":
        """This occurrence, with what it does not say itself taken from its series."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        return series.model_copy(update=said)


class EventPage(Wire):
    """A page of events or of a round of changes. It may be empty and not the last."""

    value: tuple[WireEvent, ...]
    next_link: Cursor | None = Field(default=None, alias="@odata.nextLink")
    delta_link: Cursor | None = Field(default=None, alias="@odata.deltaLink")
    """On the last page of a round."""


class WireSubscription(Wire):
    """The answer to an order to push."""

    id: Id
    expiration_date_time: datetime | None = None


class WireNotices(Wire):
    """What is pushed; the items are read one by one."""

    value: tuple[Any, ...]


class WireNotice(Wire):
    """One notice, of a change or of the subscription itself."""

    client_state: str = Field(max_length=128)
    lifecycle_event: str | None = None


class WireCursor(Wire):
    """Our cursor: where the next round begins, and the stretch of time that it is about."""

    start: datetime
    end: datetime
    link: Cursor
