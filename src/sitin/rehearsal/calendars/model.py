"""Events as both providers' calendars hold them: frozen records. For the whole room.

A record is never changed, only replaced, so that what a listing or a sync token refers to stays
what it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from sitin.contract.calendars import EventStatus, ResponseStatus

Moment = datetime | date
"""When something starts or ends: aware in an IANA zone, or a whole day."""


class EventKind(StrEnum):
    """What an event is for, as Google names it; Microsoft knows the default only."""

    DEFAULT = "default"
    BIRTHDAY = "birthday"
    FOCUS_TIME = "focusTime"
    FROM_GMAIL = "fromGmail"
    OUT_OF_OFFICE = "outOfOffice"
    WORKING_LOCATION = "workingLocation"


class ShowAs(StrEnum):
    """How the time of an event counts, as Microsoft names it; for Google it is free or not."""

    FREE = "free"
    TENTATIVE = "tentative"
    BUSY = "busy"
    OUT_OF_OFFICE = "oof"
    ELSEWHERE = "workingElsewhere"
    UNKNOWN = "unknown"


class ConferenceState(StrEnum):
    """How far the making of a conference is."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody invited, or the organizer."""

    email: str
    name: str | None = None
    response: ResponseStatus = ResponseStatus.NEEDS_ACTION
    optional: bool = False
    resource: bool = False


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """One way into a conference.

    Attributes:
        kind: ``video``, ``phone``, ``sip`` or ``more``.
        uri: What it leads to, e.g. ``https://…`` or ``tel:+1…``.
    """

    kind: str
    uri: str


@dataclass(frozen=True, slots=True)
class Conference:
    """The conference that a provider has attached to an event; pending ones lead nowhere yet."""

    entry_points: tuple[EntryPoint, ...] = ()
    state: ConferenceState = ConferenceState.SUCCESS

    @property
    def video(self) -> str | None:
        """The address for joining by video."""
        return next((point.uri for point in self.entry_points if point.kind == "video"), None)


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when; the end is exclusive."""

    start: Moment
    end: Moment

    @property
    def all_day(self) -> bool:
        """Whether it is of whole days."""
        return not isinstance(self.start, datetime)

    @property
    def zone(self) -> str | None:
        """The IANA zone; ``None`` for whole days."""
        return zone_of(self.start)

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Start and end in UTC; whole days are those of ``zone``."""
        return instant(self.start, zone), instant(self.end, zone)

    def at(self, start: Moment) -> "Span":
        """As long, from another start of the same kind."""
        if isinstance(self.start, datetime):
            assert isinstance(self.end, datetime)
            assert isinstance(start, datetime)
            # The length is that of the clock's hands nowhere and elapsed time everywhere.
            length = self.end.astimezone(UTC) - self.start.astimezone(UTC)
            return Span(start, (start.astimezone(UTC) + length).astimezone(start.tzinfo))
        assert not isinstance(self.end, datetime)
        return Span(start, start + (self.end - self.start))


@dataclass(frozen=True, slots=True)
class Override:
    """What is different about one occurrence of a series.

    Attributes:
        original: When the series has it start.
        changes: Fields of ``Event`` → their values here; the others follow the series.
        number: The change that made this.
    """

    original: Moment
    changes: Mapping[str, Any]
    number: int
    updated: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event that occurs once, a series, or one occurrence of a series.

    Attributes:
        id: Of the event or series; an occurrence has its series' id.
        number: The change that made this record; what etags are made of.
        removed: Deleted: only a tombstone is left.
        original: An occurrence's start as its series has it; ``None`` for all that is none.
        is_exception: An occurrence that differs from its series, or did once.
        recurrence: A series' RRULE, RDATE and EXDATE lines.
        exceptions: A series' occurrences that differ, by ``stamp`` of their original start.
        generation: How often the series' pattern was replaced.
        zone_label: What Microsoft shows instead of the zone's name, e.g. a custom zone's.
    """

    id: str
    ical_uid: str
    span: Span
    created: datetime
    updated: datetime
    number: int
    status: EventStatus = EventStatus.CONFIRMED
    removed: bool = False
    title: str | None = None
    description: str | None = None
    location: str | None = None
    organizer: Person | None = None
    attendees: tuple[Person, ...] = ()
    attendees_omitted: bool = False
    conference: Conference | None = None
    kind: EventKind = EventKind.DEFAULT
    show_as: ShowAs = ShowAs.BUSY
    private: bool = False
    zone_label: str | None = None
    sequence: int = 0
    original: Moment | None = None
    is_exception: bool = False
    recurrence: tuple[str, ...] = ()
    exceptions: Mapping[str, Override] = field(default_factory=lambda: _NO_EXCEPTIONS)
    generation: int = 0

    @property
    def is_series(self) -> bool:
        """Whether it is a series."""
        return bool(self.recurrence)

    @property
    def key(self) -> str | None:
        """Which occurrence of its series this is."""
        return None if self.original is None else stamp(self.original)

    @property
    def gone(self) -> bool:
        """Whether it does not take place, for whatever reason."""
        return self.removed or self.status is EventStatus.CANCELLED

    def occurrence(self, original: Moment) -> "Event":
        """One occurrence of this series, as it differs or as the pattern says."""
        override = self.exceptions.get(stamp(original))
        changes: dict[str, Any] = {
            "span": self.span.at(original),
            "original": original,
            "recurrence": (),
            "exceptions": _NO_EXCEPTIONS,
        }
        if override is not None:
            changes |= override.changes
            changes |= {
                "number": max(self.number, override.number),
                "updated": max(self.updated, override.updated),
                "is_exception": True,
            }
            # What became of the series became of every occurrence.
            if self.removed:
                changes["removed"] = True
            if self.status is EventStatus.CANCELLED:
                changes["status"] = self.status
        return replace(self, **changes)

    def response_of(self, email: str) -> ResponseStatus | None:
        """What an attendee answered; ``None`` for somebody who is none."""
        return next((p.response for p in self.attendees if p.email == email), None)


_NO_EXCEPTIONS: Mapping[str, Override] = MappingProxyType({})


def zone_of(moment: Moment) -> str | None:
    """The IANA zone of an event's start or end; ``None`` for a whole day."""
    if not isinstance(moment, datetime):
        return None
    assert isinstance(moment.tzinfo, ZoneInfo)
    return moment.tzinfo.key


def instant(moment: Moment, zone: ZoneInfo) -> datetime:
    """A moment in UTC; a day begins at midnight in ``zone``."""
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return datetime(moment.year, moment.month, moment.day, tzinfo=zone).astimezone(UTC)


def stamp(moment: Moment) -> str:
    """``20270326T090000Z`` in UTC, or ``20270326`` for a whole day."""
    if isinstance(moment, datetime):
        return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    return f"{moment:%Y%m%d}"


def whole_days(first: date, days: int = 1) -> Span:
    """A span of whole days."""
    return Span(first, first + timedelta(days=days))
