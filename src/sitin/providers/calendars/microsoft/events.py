"""Microsoft's events in our words. Used by the provider beside it only."""

from datetime import MAXYEAR, MINYEAR, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sitin.contract.calendars import Attendee, EventStatus, ProviderEvent, ResponseStatus
from sitin.providers.calendars.microsoft.wire import Address, EventTime, WireAttendee, WireEvent
from sitin.providers.calendars.wire import MOST_ATTENDEES, in_utc, web_links, zone_named

_RESPONSES = {
    "accepted": ResponseStatus.ACCEPTED,
    "organizer": ResponseStatus.ACCEPTED,
    "declined": ResponseStatus.DECLINED,
    "tentativelyaccepted": ResponseStatus.TENTATIVE,
}
_UTC = ZoneInfo("UTC")
_LONGEST_PLACE = 2000


def to_event(event: WireEvent) -> ProviderEvent | None:
    """Translate an event that is no series; ``None`` for one that does not say when it is."""
    if event.start is None:
        return None
    zone = _zone(event.original_start_time_zone)
    is_all_day = bool(event.is_all_day)
    moment = _midnight if is_all_day else _moment
    start = moment(event.start, zone)
    organizer = _address(event.organizer.email_address if event.organizer else None)
    return ProviderEvent(
        id=event.id,
        series_id=event.series_master_id,
        family=event.series_master_id,
        is_exception=(event.type or "").lower() == "exception",
        is_meeting=True,
        title=event.subject or "",
        description=(event.body.content if event.body else None) or event.body_preview or None,
        location=_location(event),
        start=start,
        end=max(start, moment(event.end, zone) if event.end else start),
        time_zone=None if is_all_day else zone.key,
        is_all_day=is_all_day,
        status=_status(event),
        organizer_email=organizer.address or None,
        organizer_name=organizer.name or None,
        attendees=_attendees(event.attendees, organizer.address, bool(event.is_organizer)),
        links=_links(event),
    )


def _zone(name: str | None) -> ZoneInfo:
    # Zones that somebody made up (tzone://Microsoft/Custom) have no name elsewhere.
    return zone_named(name) or _UTC


def _moment(told: EventTime, _zone_of_origin: ZoneInfo) -> datetime:
    return in_utc(told.date_time, _zone(told.time_zone))


def _midnight(told: EventTime, zone_of_origin: ZoneInfo) -> datetime:
    """When a day begins where the event was made.

    A day is told as a midnight, which names the day whatever zone stands beside it. What is none is
    a midnight of the zone of origin that was converted.
    """
    shown = told.date_time
    if shown.time() != time() and MINYEAR < shown.year < MAXYEAR:
        shown = in_utc(shown, _zone(told.time_zone)).astimezone(zone_of_origin)
        # Clocks that are changed at midnight make it an hour off.
        shown += timedelta(hours=12) if shown.hour >= 12 else timedelta()
    return in_utc(datetime.combine(shown.date(), time()), zone_of_origin)


def _status(event: WireEvent) -> EventStatus:
    answered = ((event.response_status.response if event.response_status else None) or "").lower()
    if event.is_cancelled or answered == "declined":
        return EventStatus.CANCELLED
    if answered == "tentativelyaccepted" or (event.show_as or "").lower() == "tentative":
        return EventStatus.TENTATIVE
    return EventStatus.CONFIRMED


def _attendees(
    people: tuple[WireAttendee, ...] | None, organizer: str | None, owner_organizes: bool
) -> tuple[Attendee, ...] | None:
    if not people:
        return None
    found = []
    for person in people[:MOST_ATTENDEES]:
        address = _address(person.email_address)
        if not address.address:
            continue
        organizes = address.address.lower() == (organizer or "").lower()
        said = (person.status.response if person.status else None) or ""
        found.append(
            Attendee(
                email=address.address,
                name=address.name or None,
                response=_RESPONSES.get(said.lower(), ResponseStatus.NEEDS_ACTION),
                organizer=organizes,
                # Graph tells of organizers only.
                is_self=owner_organizes if organizes else None,
            )
        )
    return tuple(found)


def _address(address: Address | None) -> Address:
    return address or Address()


def _location(event: WireEvent) -> str | None:
    """Names of the places, and the addresses of the web among them."""
    first = (event.location,) if event.location else ()
    places = [*first, *(event.locations or ())]
    names = [place.display_name.strip() for place in places if place.display_name]
    links = web_links(place.location_uri for place in places)
    # The first place's name may already hold all of the others.
    told: list[str] = []
    for text in [*names, *links]:
        if text and not any(text in other for other in told):
            told.append(text)
    return "; ".join(told)[:_LONGEST_PLACE] or None


def _links(event: WireEvent) -> tuple[str, ...]:
    joining = event.online_meeting.join_url if event.online_meeting else None
    return web_links([joining, event.online_meeting_url])
