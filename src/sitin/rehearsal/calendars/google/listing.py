"""Which events a Google listing tells of, all of them or those since a sync token. For the routes.

A full listing and the changes since its sync token, applied to it, give what a new full listing
would. With single events a series is told as its occurrences: of a series that was touched all of
them come, far beyond any window, those too that did not change.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.google.ids import event_id
from sitin.rehearsal.calendars.google.reading import Query
from sitin.rehearsal.calendars.model import Event, instant
from sitin.rehearsal.calendars.occurrences import expand, overlaps
from sitin.rehearsal.calendars.recurrence import starts

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=14 * 365)
"""How far series are expanded where no ``timeMax`` is given; reports speak of instances in 2040."""
_MOST_AHEAD = 730
"""How many occurrences of a series in the future are told where no ``timeMax`` is given."""
_BEHIND = timedelta(days=30)
"""How far back the occurrences of a touched series are told."""


@dataclass(frozen=True, slots=True)
class Item:
    """One event of a listing; of one that is gone no more is told than that."""

    event: Event
    gone: bool


def all_events(calendar: Calendar, query: Query, now: datetime) -> list[Item]:
    """What a full listing tells of."""
    tell = _single_events if query.single_events else _stored_events
    found = [
        item
        for event in calendar.history
        for item in tell(calendar, event, query, now)
        if _matches(item.event, query)
    ]
    if query.order_by == "startTime":
        found.sort(key=lambda item: item.event.span.bounds(calendar.zone)[0])
    elif query.order_by == "updated":
        found.sort(key=lambda item: item.event.updated)
    return found


def changed_events(
    calendar: Calendar,
    *,
    since: int,
    single_events: bool,
    now: datetime,
    cancellations_reach: timedelta,
) -> list[Item]:
    """What has changed after the change of this number.

    Args:
        since: The number that the sync token carries.
        single_events: As in the full listing.
        now: The clock's time.
        cancellations_reach: How far ahead the occurrences of a deleted series are told.
    """
    found: list[Item] = []
    for changed_id in calendar.history.touched(since):
        event = calendar.history.latest(changed_id)
        before = calendar.history.at(changed_id, since)
        assert event is not None
        if single_events:
            found += _single_changes(calendar, event, before, now, cancellations_reach)
        else:
            found += _stored_changes(event, before, since)
    return found


def instances(calendar: Calendar, series: Event, query: Query, now: datetime) -> list[Item]:
    """The occurrences of one series."""
    found = list(_single_events(calendar, series, query, now))
    return sorted(found, key=lambda item: item.event.key or "")


def _single_events(calendar: Calendar, event: Event, query: Query, now: datetime) -> Iterator[Item]:
    if event.gone and not query.show_deleted:
        return
    before = query.time_max or _horizon(calendar, event, now)
    for occurrence in expand(event, calendar.zone, query.time_min or _EARLIEST, before):
        if query.show_deleted or not occurrence.gone:
            yield Item(occurrence, occurrence.gone)


def _stored_events(calendar: Calendar, event: Event, query: Query, now: datetime) -> Iterator[Item]:
    del now
    after, before = query.time_min or _EARLIEST, query.time_max or datetime.max.replace(tzinfo=UTC)
    if event.gone:
        if query.show_deleted and (
            event.is_series or overlaps(event, calendar.zone, after, before)
        ):
            yield Item(event, gone=True)
        return
    if not event.is_series:
        if overlaps(event, calendar.zone, after, before):
            yield Item(event, gone=False)
        return
    if _occurs(calendar, event, query):
        yield Item(event, gone=False)
    for override in event.exceptions.values():
        exception = event.occurrence(override.original)
        if exception.gone or overlaps(exception, calendar.zone, after, before):
            yield Item(exception, exception.gone)


def _occurs(calendar: Calendar, series: Event, query: Query) -> bool:
    if query.time_min is None and query.time_max is None:
        return True
    after = query.time_min or _EARLIEST
    before = query.time_max or datetime(9000, 1, 1, tzinfo=UTC)
    return any(True for _ in expand(series, calendar.zone, after, before))


def _single_changes(
    calendar: Calendar, event: Event, before: Event | None, now: datetime, reach: timedelta
) -> Iterator[Item]:
    if not event.is_series and not (before is not None and before.is_series):
        yield Item(event, event.gone)
        return
    end = _horizon(calendar, event, now)
    horizon = min(now + reach, end) if event.gone else end
    told: set[str] = set()
    for occurrence in expand(event, calendar.zone, now - _BEHIND, horizon):
        told.add(event_id(occurrence))
        yield Item(occurrence, occurrence.gone)
    if before is None:
        return
    for occurrence in expand(before, calendar.zone, now - _BEHIND, horizon):
        if event_id(occurrence) not in told:
            yield Item(occurrence, gone=True)


def _stored_changes(event: Event, before: Event | None, since: int) -> Iterator[Item]:
    if event.gone or event.number > since:
        yield Item(event, event.gone)
    if event.gone:
        return
    for override in event.exceptions.values():
        exception = event.occurrence(override.original)
        if exception.number > since:
            yield Item(exception, exception.gone)
    if before is None:
        return
    for key, override in before.exceptions.items():
        if key not in event.exceptions:
            yield Item(before.occurrence(override.original), gone=True)


def _horizon(calendar: Calendar, event: Event, now: datetime) -> datetime:
    """Until when an event is expanded where no ``timeMax`` is given."""
    end = now + _AHEAD
    if not event.is_series:
        return end
    ahead = starts(event.recurrence, event.span.start, zone=calendar.zone, after=now, before=end)
    beyond = next(islice(ahead, _MOST_AHEAD, None), None)
    return end if beyond is None else instant(beyond, calendar.zone)


def _matches(event: Event, query: Query) -> bool:
    if query.ical_uid is not None and event.ical_uid != query.ical_uid:
        return False
    if query.updated_min is not None and event.updated < query.updated_min:
        return False
    return query.text is None or query.text.casefold() in _text_of(event).casefold()


def _text_of(event: Event) -> str:
    people = [part for one in event.attendees for part in (one.name, one.email)]
    return " ".join(filter(None, (event.title, event.description, event.location, *people)))
