"""Google's events in our words. Used by the provider beside it only."""

import re
from datetime import datetime, time, tzinfo
from zoneinfo import ZoneInfo

from sitin.contract.calendars import Attendee, EventStatus, ProviderEvent, ResponseStatus
from sitin.providers.calendars.google.wire import EventTime, Person, WireEvent
from sitin.providers.calendars.wire import MOST_ATTENDEES, in_utc, web_links, zone_named

_NO_MEETINGS = frozenset({"birthday", "focusTime", "outOfOffice", "workingLocation"})
_SPLIT = re.compile(r"_R\d{8}(T\d{6}Z?)?$")
"""What "this and following events" appends to the id of the series it makes of the rest."""


def to_event(event: WireEvent, calendar_zone: ZoneInfo | None) -> ProviderEvent | None:
    """Translate an event that is not cancelled; ``None`` for one that does not say when it is.

    Args:
        calendar_zone: Where the midnights of events of whole days are.
    """
    zone = calendar_zone or ZoneInfo("UTC")
    start = _moment(event.start, zone)
    if start is None or event.start is None:
        return None
    original = _moment(event.original_start_time, zone)
    is_all_day = event.start.date_time is None
    series = event.recurring_event_id
    organizer = event.organizer or Person()
    return ProviderEvent(
        id=event.id,
        series_id=series,
        family=_family(series) if series is not None else None,
        is_exception=_is_exception(event, start, original) if series is not None else False,
        is_meeting=event.event_type not in _NO_MEETINGS,
        title=event.summary or "",
        description=event.description,
        location=event.location,
        start=start,
        end=max(start, _moment(event.end, zone) or start),
        time_zone=None if is_all_day else (zone_named(event.start.time_zone) or zone).key,
        is_all_day=is_all_day,
        status=_status(event),
        organizer_email=organizer.email,
        organizer_name=organizer.display_name,
        attendees=_attendees(event.attendees),
        links=_links(event),
    )


def _moment(told: EventTime | None, calendar_zone: tzinfo) -> datetime | None:
    if told is None:
        return None
    if told.date_time is not None:
        return in_utc(told.date_time, zone_named(told.time_zone) or calendar_zone)
    if told.day is not None:
        return in_utc(datetime.combine(told.day, time()), calendar_zone)
    return None


def _is_exception(event: WireEvent, start: datetime, original: datetime | None) -> bool | None:
    """Whether it was moved; what else was edited, only a comparison with its siblings tells."""
    if original is None or event.start is None or event.original_start_time is None:
        return None
    was_day = event.original_start_time.date_time is None
    is_day = event.start.date_time is None
    return True if start != original or was_day != is_day else None


def _family(series: str) -> str:
    family = series
    while True:
        shorter = _SPLIT.sub("", family)
        if shorter in {"", family}:
            return family
        family = shorter


def _status(event: WireEvent) -> EventStatus:
    declined = any(
        person.is_self and person.response_status == "declined" for person in event.attendees or ()
    )
    if declined:
        return EventStatus.CANCELLED
    return EventStatus.TENTATIVE if event.status == "tentative" else EventStatus.CONFIRMED


def _attendees(people: tuple[Person, ...] | None) -> tuple[Attendee, ...] | None:
    if not people:
        return None
    return tuple(
        Attendee(
            email=person.email,
            name=person.display_name,
            response=_response(person.response_status),
            organizer=person.organizer,
            is_self=person.is_self,
        )
        for person in people[:MOST_ATTENDEES]
        if person.email
    )


def _response(said: str | None) -> ResponseStatus:
    try:
        return ResponseStatus(said or "")
    except ValueError:
        return ResponseStatus.NEEDS_ACTION


def _links(event: WireEvent) -> tuple[str, ...]:
    ways = event.conference_data.entry_points if event.conference_data else ()
    videos = [way.uri for way in ways if way.entry_point_type == "video"]
    return web_links([*videos, event.hangout_link])
