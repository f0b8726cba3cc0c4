"""What the controls of rehearsed calendars are given: frozen models. For the controls.

Times are written as ISO 8601; without an offset they are in the event's zone. Whoever leaves ``on``
out means an event, or a series as a whole.
"""

from datetime import datetime, timedelta
from typing import Any, Literal, cast

from pydantic import AwareDatetime, Field

from sitin.contract.base import Frozen
from sitin.contract.calendars import EventStatus, ResponseStatus
from sitin.rehearsal.calendars.accounts import Role
from sitin.rehearsal.calendars.content import Content, Details
from sitin.rehearsal.calendars.microsoft.subscriptions import Lifecycle
from sitin.rehearsal.calendars.model import Conference, EventKind, Person, ShowAs

Recurrence = str | tuple[str, ...]
"""A rule, or RRULE, RDATE and EXDATE lines."""


class NoBody(Frozen):
    """A control without arguments."""


class AccountBody(Frozen):
    """A new account; every scope is granted unless some are named."""

    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    name: str | None = None
    zone: str = "UTC"
    scopes: tuple[str, ...] | None = None


class EndBody(Frozen):
    """Why a grant ends."""

    reason: str = "revoked"
    access_lives_on: bool = False


class ScopesBody(Frozen):
    """What is granted from now on."""

    scopes: tuple[str, ...]


class LicenceBody(Frozen):
    """Whether there is a mailbox."""

    licensed: bool


class NewCalendarBody(Frozen):
    """A further calendar."""

    name: str
    zone: str | None = None
    calendar_id: str = ""


class CalendarBody(Frozen):
    """A calendar by its id."""

    calendar: str


class ShareBody(CalendarBody):
    """A calendar, and what the account may do with it."""

    role: Role = Role.READER


class PushesBody(Frozen):
    """Whether a calendar's changes are pushed."""

    allowed: bool


class OnBody(Frozen):
    """Which occurrence of a series: its original start, or the day of it."""

    on: str | None = None


class DetailsBody(OnBody):
    """What an event says; what is not given stays as it is."""

    description: str | None = None
    location: str | None = None
    status: EventStatus = EventStatus.CONFIRMED
    organizer: Person | str | None = None
    attendees: tuple[Person | str, ...] = ()
    attendees_omitted: bool = False
    meeting_url: str | None = None
    conference: Conference | None = None
    kind: EventKind = EventKind.DEFAULT
    show_as: ShowAs = ShowAs.BUSY
    private: bool = False
    zone_label: str | None = None

    def details(self) -> Details:
        """What was given, but for the title."""
        return cast("Details", self._given(Details.__annotations__))

    def _given(self, names: Any) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set if name in names}


class EditBody(DetailsBody):
    """The same with a title."""

    title: str | None = None

    def content(self) -> Content:
        """What was given."""
        return cast("Content", self._given(Content.__annotations__))


class AddBody(DetailsBody):
    """A new event, or a series."""

    title: str | None
    start: str
    end: str | None = None
    minutes: float | None = Field(default=None, ge=0)
    zone: str | None = None
    recurrence: Recurrence = ()
    event_id: str | None = None
    ical_uid: str | None = None


class MoveBody(OnBody):
    """Another time."""

    start: str
    end: str | None = None
    minutes: float | None = Field(default=None, ge=0)
    zone: str | None = None


class RespondBody(OnBody):
    """An answer to an invitation, the owner's unless it is told whose."""

    response: ResponseStatus
    who: str | None = None


class DeclineBody(OnBody):
    """Declining; at Microsoft the event is removed unless it is kept."""

    who: str | None = None
    keep: bool | None = None


class SplitBody(EditBody):
    """This and following: what is different from there on."""

    on: str
    start: str | None = None
    recurrence: Recurrence | None = None


class RepeatBody(Frozen):
    """Another pattern."""

    recurrence: Recurrence
    start: str | None = None


class ConferenceBody(OnBody):
    """Where a pending conference leads to; nowhere if it has failed."""

    meeting_url: str | None


class FaultBody(Frozen):
    """Something to go wrong; ``faults.Fault`` explains the fields. ``hold`` holds requests back."""

    what: str
    operation: str = "*"
    page: int | None = Field(default=None, ge=1)
    account: str | None = None
    skip: int = Field(default=0, ge=0)
    times: int | None = Field(default=1, ge=1)
    retry_after: int | None = Field(default=None, ge=0)
    afterwards: bool = False


class SettingsBody(Frozen):
    """How a provider behaves from now on; what is not given stays as it is."""

    sizes: tuple[int, ...] = Field(default=(), description="of the first pages of listings")
    repeat: bool = False
    latency: float = Field(default=0, ge=0, le=60)


class GoogleSettingsBody(SettingsBody):
    """Google's further settings."""

    sync_before_answer: bool = False
    conferences_pending: bool = False
    cancellations_reach: timedelta = timedelta(days=180)


class MicrosoftSettingsBody(SettingsBody):
    """Microsoft's further settings."""

    old_refresh_tokens_die: bool = False
    silent_deletions: bool = True
    replays: bool = False
    gone_code: str = "SyncStateNotFound"
    gone_location: bool = False


class LifecycleBody(Frozen):
    """What a subscriber is told of the life of a subscription."""

    event: Lifecycle


class DropBody(Frozen):
    """How many notifications are lost."""

    count: int = Field(default=1, ge=0)


class DuplicateBody(Frozen):
    """How often each notification is sent."""

    copies: int = Field(default=2, ge=1, le=100)


class DelayBody(Frozen):
    """How much later notifications are sent."""

    seconds: float = Field(ge=0, le=3600)


class ReleaseBody(Frozen):
    """How notifications that were held back are sent."""

    order: Literal["sent", "reversed"] = "sent"
    together: bool = False


class ClockBody(Frozen):
    """What the clock shows, by how much it is moved, whether it stands."""

    at: AwareDatetime | None = None
    by: timedelta = timedelta(0)
    standing: bool | None = None


class WindowQuery(Frozen):
    """From when to when; four weeks from now if not given."""

    start: datetime | None = None
    end: datetime | None = None
    removed: bool = False
