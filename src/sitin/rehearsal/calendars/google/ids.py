"""Google's ids of events. For the Google rehearsal."""

from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.errors import CalendarControlError, UnknownError
from sitin.rehearsal.calendars.model import Event
from sitin.rehearsal.calendars.occurrences import original_of


def event_id(event: Event) -> str:
    """Google's id of an event, a series or an occurrence."""
    return event.id if event.key is None else f"{event.id}_{event.key}"


def locate(calendar: Calendar, text: str) -> Event:
    """The event, series or occurrence of an id, deleted or not. Raises ``UnknownError``."""
    stored = calendar.history.latest(text)
    if stored is not None:
        return stored
    series_id, _, key = text.rpartition("_")
    stored = calendar.history.latest(series_id)
    if stored is None:
        raise UnknownError(f"event: there is no event {text!r} in {calendar.id!r}")
    try:
        return stored.occurrence(original_of(stored, key, calendar.zone))
    except CalendarControlError as error:
        raise UnknownError(error.message) from error
