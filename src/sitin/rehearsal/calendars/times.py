"""Times as a control, a test or a person writes them. For the calendar and its controls."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sitin.rehearsal.calendars.errors import CalendarControlError
from sitin.rehearsal.calendars.model import Moment, Span

Written = datetime | date | str
"""An aware time, a time in the event's zone, or a day; as Python's or as ISO 8601."""


def read_zone(name: str) -> ZoneInfo:
    """An IANA zone by its name. Raises ``CalendarControlError``."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CalendarControlError(
            f"zone: {name!r} is no IANA time zone; Europe/Paris would be one"
        ) from error


def read_moment(value: Written, zone: ZoneInfo, field: str = "start") -> Moment:
    """A time in ``zone``, or a day. Raises ``CalendarControlError`` naming ``field``."""
    if isinstance(value, str):
        try:
            # A day is ten characters; a shorter form of a time there is not.
            value = date.fromisoformat(value) if len(value) <= 10 else datetime.fromisoformat(value)
        except ValueError as error:
            raise CalendarControlError(
                f"{field}: has to be a time like 2027-01-10T09:00 or a day like 2027-01-10"
            ) from error
    if not isinstance(value, datetime):
        return value
    value = value.replace(microsecond=0)
    return value.replace(tzinfo=zone) if value.tzinfo is None else value.astimezone(zone)


def read_span(
    start: Written, end: Written | None, zone: ZoneInfo, *, minutes: float | None = None
) -> Span:
    """A span that ends where told, or lasts half an hour or a day."""
    first = read_moment(start, zone)
    if end is not None:
        last = read_moment(end, zone, "end")
    elif isinstance(first, datetime):
        length = timedelta(minutes=30 if minutes is None else minutes)
        last = (first.astimezone(UTC) + length).astimezone(zone)
    else:
        last = first + timedelta(days=1)
    if isinstance(first, datetime) is not isinstance(last, datetime):
        raise CalendarControlError("end: has to be of the same kind as start, a time or a day")
    if last < first or (last == first and not isinstance(first, datetime)):
        raise CalendarControlError("end: has to be after start")
    return Span(first, last)


def read_key(key: str, like: Moment) -> Moment:
    """The original start that ``model.stamp`` wrote. Raises ``CalendarControlError``."""
    try:
        if isinstance(like, datetime):
            found = datetime.strptime(key, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            return found.astimezone(like.tzinfo)
        return datetime.strptime(key, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise CalendarControlError(
            "occurrence: has to be an original start like 20270110T090000Z or, of whole days, "
            "20270110"
        ) from error
