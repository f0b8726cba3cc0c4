"""What of an event lies in a stretch of time. For the calendar and both providers' listings."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sitin.rehearsal.calendars.errors import CalendarControlError, UnknownError
from sitin.rehearsal.calendars.model import Event, Moment, instant, stamp, zone_of
from sitin.rehearsal.calendars.recurrence import starts
from sitin.rehearsal.calendars.times import Written, read_key, read_moment

_LONGER_DAY = timedelta(hours=2)
"""By how much a whole day may be longer than 24 hours, and more."""


def overlaps(event: Event, zone: ZoneInfo, after: datetime, before: datetime) -> bool:
    """Whether it ends after the one and starts before the other."""
    start, end = event.span.bounds(zone)
    return end > after and start < before


def expand(event: Event, zone: ZoneInfo, after: datetime, before: datetime) -> Iterator[Event]:
    """The event, or the occurrences of the series, that overlap; removed ones among them.

    Args:
        event: As stored, not an occurrence.
        zone: The calendar's, whose days whole days are.
        after: UTC.
        before: UTC.
    """
    if not event.is_series:
        if overlaps(event, zone, after, before):
            yield event
        return
    start, end = event.span.bounds(zone)
    reach = after - (end - start) - _LONGER_DAY
    for original in starts(
        event.recurrence, event.span.start, zone=zone, after=reach, before=before
    ):
        found = event.occurrence(original)
        if not found.is_exception and overlaps(found, zone, after, before):
            yield found
    # An exception may have been moved here from anywhere.
    for override in event.exceptions.values():
        found = event.occurrence(override.original)
        if overlaps(found, zone, after, before):
            yield found


def original_of(series: Event, on: Written, zone: ZoneInfo) -> Moment:
    """The original start of the occurrence that somebody means.

    Args:
        series: As stored.
        on: The original start, or its ``stamp``, or the day of it.
        zone: The calendar's.

    Raises:
        CalendarControlError: It is no series, or ``on`` cannot be read.
        UnknownError: There is no such occurrence.
    """
    if not series.is_series:
        raise CalendarControlError(f"on: {series.id!r} is no series")
    first = series.span.start
    if isinstance(on, str) and re.fullmatch(r"\d{8}(T\d{6}Z)?", on):
        original = read_key(on, first)
    else:
        original = read_moment(on, ZoneInfo(series.span.zone or zone.key), "on")
    if isinstance(original, datetime) and not isinstance(first, datetime):
        original = original.date()
    key = stamp(original)
    if key in series.exceptions:
        return series.exceptions[key].original
    if isinstance(first, datetime) and not isinstance(original, datetime):
        after = instant(original, ZoneInfo(zone_of(first) or zone.key))
        before = after + timedelta(days=1)
    else:
        after = instant(original, zone)
        before = after + timedelta(seconds=1)
    found = next(starts(series.recurrence, first, zone=zone, after=after, before=before), None)
    if found is None:
        raise UnknownError(f"on: {series.id!r} has no occurrence on {original}")
    return found
