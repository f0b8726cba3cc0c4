"""What a sync found against what is stored: new, changed, gone. Pure; used by the sync.

Both ways of finding out end in the same place. A listing tells everything in the window, so what
is stored for it and not listed is gone. Changes tell single events, of which those that left the
window are gone from it too. Gone means cancelled: it stays, and comes back as itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sitin.calendars.meetings import meeting_of
from sitin.calendars.models import Event
from sitin.contract.calendars import Changes, EventStatus, ProviderEvent

UNTITLED = "(No title)"
"""The API's title is never empty."""


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time whose events are kept up with: what ends after, what starts before."""

    start: datetime
    end: datetime

    def holds(self, start: datetime, end: datetime) -> bool:
        """Whether an event of these times touches the window."""
        return end > self.start and start < self.end


@dataclass(frozen=True, slots=True)
class Findings:
    """What a sync has to write.

    Attributes:
        present: Events of the provider's that are in the window, by id.
        gone: Stored events that are not any more.
    """

    present: Mapping[str, ProviderEvent]
    gone: Sequence[Event]


def findings_of_listing(listing: Sequence[ProviderEvent], known: Iterable[Event]) -> Findings:
    """For the listing of a whole window; ``known`` are the stored events that touch it."""
    present = {event.id: event for event in listing}
    gone = [event for event in known if event.provider_event_id not in present and _is_on(event)]
    return Findings(present, gone)


def findings_of_changes(
    changes: Changes,
    grown: Sequence[ProviderEvent],
    window: Window,
    known: Iterable[Event],
    series_ids: Mapping[UUID, str],
) -> Findings:
    """For what has changed, and what the window has grown by.

    ``known`` are the stored events that touch the window and could be meant: those whose ids are
    told, and those of series that are told whole; ``series_ids`` are the provider's ids of their
    series.
    """
    told = {event.id: event for event in (*grown, *changes.events)}
    present = {event.id: event for event in told.values() if window.holds(event.start, event.end)}
    gone = [
        event
        for event in known
        if _is_on(event)
        and event.provider_event_id not in present
        and (
            event.provider_event_id in told
            or event.provider_event_id in changes.removed
            or series_ids[event.series_id] in changes.complete_series
        )
    ]
    return Findings(present, gone)


def _is_on(event: Event) -> bool:
    return event.status != EventStatus.CANCELLED


def columns_of(event: ProviderEvent, account_email: str) -> dict[str, Any]:
    """A provider's event as the columns of ``Event`` that may change."""
    owner = account_email.lower()
    meeting = meeting_of(event)
    attendees = None
    if event.attendees is not None:
        attendees = [
            {
                "email": one.email,
                "name": one.name,
                "response_status": one.response.value,
                "organizer": one.organizer,
                "self": one.email.lower() == owner if one.is_self is None else one.is_self,
            }
            for one in event.attendees
        ]
    return {
        "title": event.title.strip() or UNTITLED,
        "description": event.description or None,
        "location": event.location or None,
        "start_at": event.start,
        "end_at": event.end,
        "time_zone": event.time_zone,
        "is_all_day": event.is_all_day,
        "status": event.status,
        "told_exception": event.is_exception,
        "is_meeting": event.is_meeting,
        "organizer_email": event.organizer_email,
        "organizer_name": event.organizer_name,
        "attendees": attendees,
        "meeting_url": None if meeting is None else meeting.url,
        "joined_url": None if meeting is None else meeting.joined_url,
        "meeting_platform": None if meeting is None else meeting.platform,
    }


def take_up(event: Event, columns: Mapping[str, Any]) -> bool:
    """Write what differs; returns whether anything did."""
    changed = False
    for name, value in columns.items():
        if getattr(event, name) != value:
            setattr(event, name, value)
            changed = True
    return changed


def exceptions_of(series: Sequence[Event]) -> Iterator[tuple[Event, bool]]:
    """Which occurrences of a series differ from it.

    Where the provider says, it says. Else an occurrence is an exception when its content is not
    that of most; content that more than one has is needed to tell, and of as many there is none.
    """
    contents = Counter(_content(event) for event in series)
    ranked = contents.most_common(2)
    usual = None
    if len(ranked) == 1 or ranked[0][1] > ranked[1][1]:
        usual = ranked[0][0]
    for event in series:
        if event.told_exception is not None:
            yield event, event.told_exception
        else:
            yield event, usual is not None and _content(event) != usual


def _content(event: Event) -> tuple[object, ...]:
    """What all occurrences of a series share until one is edited."""
    return (
        event.title,
        event.description,
        event.location,
        event.meeting_url,
        event.is_all_day,
        event.end_at - event.start_at if not event.is_all_day else None,
    )


@dataclass(slots=True)
class Written:
    """What a sync has written, for whoever has to be told."""

    created: list[Event] = field(default_factory=list)
    updated: list[Event] = field(default_factory=list)
    cancelled: list[Event] = field(default_factory=list)
    new_series: set[UUID] = field(default_factory=set)
    """Series that were not there before, by our id."""

    @property
    def touched(self) -> list[Event]:
        """All of them."""
        return [*self.created, *self.updated, *self.cancelled]

    def by_series(self, events: Iterable[Event]) -> dict[UUID, list[Event]]:
        """Events of a kind by their series, each series' by start."""
        grouped: dict[UUID, list[Event]] = defaultdict(list)
        for event in sorted(events, key=lambda event: (event.start_at, event.id)):
            grouped[event.series_id].append(event)
        return grouped
