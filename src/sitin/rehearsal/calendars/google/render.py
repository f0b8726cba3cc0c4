"""Google's resources as JSON: events, calendars, lists. For the Google rehearsal.

Source: the Calendar v3 discovery document, which the tests hold every answer against.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sitin.contract.calendars import EventStatus
from sitin.kit.clock import iso
from sitin.rehearsal.calendars.accounts import Account, Entry, Role
from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.google.ids import event_id
from sitin.rehearsal.calendars.model import (
    Conference,
    ConferenceState,
    Event,
    EventKind,
    Moment,
    Person,
    ShowAs,
    zone_of,
)

_MEET = "https://meet.google.com/"


@dataclass(frozen=True, slots=True)
class View:
    """How somebody sees a calendar.

    Attributes:
        role: What they may do with it.
        zone: In which zone times are given.
        max_attendees: With more, only the calendar's owner is told.
    """

    calendar: Calendar
    role: Role
    zone: ZoneInfo
    max_attendees: int | None = None


def render_event(event: Event, view: View) -> dict[str, Any]:
    """An event as it is got by its id, whether it still takes place or not."""
    start, end = event.span.start, event.span.end
    shown: dict[str, Any] = {
        **_head(event),
        "htmlLink": f"https://www.google.com/calendar/event?eid={event_id(event)}",
        "created": iso(event.created),
        "updated": iso(event.updated),
        "start": _time(start, view.zone),
        "end": _time(end, view.zone),
        "iCalUID": event.ical_uid,
        "sequence": event.sequence,
        "eventType": event.kind.value,
        **_series(event, view.zone),
    }
    if event.show_as is ShowAs.FREE:
        shown["transparency"] = "transparent"
    if view.role is Role.FREE_BUSY or (event.private and not view.role.sees_private):
        return {**shown, "visibility": "private"}
    return {**shown, **_content(event, view)}


def render_gone(event: Event, zone: ZoneInfo) -> dict[str, Any]:
    """What listings tell of an event that does not take place: no more than is guaranteed."""
    return {**_head(event), "status": "cancelled", **_place(event, zone)}


def render_calendar(calendar: Calendar) -> dict[str, Any]:
    """The ``Calendar`` resource."""
    return {
        "kind": "calendar#calendar",
        "etag": _etag(calendar.epoch),
        "id": calendar.id,
        "summary": calendar.name,
        "timeZone": calendar.zone.key,
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
    }


def render_entry(entry: Entry, account: Account) -> dict[str, Any]:
    """The ``CalendarListEntry`` resource."""
    calendar = entry.calendar
    shown: dict[str, Any] = {
        "kind": "calendar#calendarListEntry",
        "etag": _etag(entry.number),
        "id": calendar.id,
        "summary": calendar.name,
        "timeZone": calendar.zone.key,
        "colorId": "14",
        "backgroundColor": "#9fe1e7",
        "foregroundColor": "#000000",
        "selected": True,
        "accessRole": entry.role.value,
        "defaultReminders": [],
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
    }
    if calendar is account.primary:
        shown["primary"] = True
    if entry.hidden:
        shown["hidden"] = True
    if entry.gone or calendar.deleted:
        shown["deleted"] = True
    return shown


def render_listing(
    calendar: Calendar, view: View, items: list[dict[str, Any]], number: int
) -> dict[str, Any]:
    """A page of events; where it goes on is the caller's."""
    return {
        "kind": "calendar#events",
        "etag": _etag(number),
        "summary": calendar.name,
        "description": "",
        "updated": max((item["updated"] for item in items if "updated" in item), default=_EPOCH),
        "timeZone": view.zone.key,
        "accessRole": view.role.value,
        "defaultReminders": [],
        "items": items,
    }


_EPOCH = iso(datetime(1970, 1, 1, tzinfo=UTC))


def _head(event: Event) -> dict[str, Any]:
    return {
        "kind": "calendar#event",
        "etag": _etag(event.number),
        "id": event_id(event),
        "status": (EventStatus.CANCELLED if event.gone else event.status).value,
    }


def _etag(number: int) -> str:
    return f'"{number:016d}"'


def _place(event: Event, zone: ZoneInfo) -> dict[str, Any]:
    if event.original is None:
        return {}
    return {
        "recurringEventId": event.id,
        "originalStartTime": _time(event.original, zone),
    }


def _series(event: Event, zone: ZoneInfo) -> dict[str, Any]:
    return {"recurrence": list(event.recurrence)} if event.is_series else _place(event, zone)


def _time(moment: Moment, zone: ZoneInfo) -> dict[str, str]:
    if not isinstance(moment, datetime):
        return {"date": moment.isoformat()}
    text = moment.astimezone(zone).isoformat().replace("+00:00", "Z")
    return {"dateTime": text, "timeZone": zone_of(moment) or zone.key}


def _content(event: Event, view: View) -> Mapping[str, Any]:
    address = view.calendar.address
    shown: dict[str, Any] = {"reminders": {"useDefault": True}}
    if event.title is not None:
        shown["summary"] = event.title
    if event.description is not None:
        shown["description"] = event.description
    if event.location is not None:
        shown["location"] = event.location
    if event.private:
        shown["visibility"] = "private"
    if event.organizer is not None:
        shown["organizer"] = _party(event.organizer, address)
        shown["creator"] = _party(event.organizer, address)
    if event.attendees:
        shown |= _attendees(event, view)
    if event.conference is not None:
        shown |= _conference(event, event.conference)
    if event.kind is EventKind.WORKING_LOCATION:
        shown["workingLocationProperties"] = {"type": "homeOffice", "homeOffice": {}}
    return shown


def _party(person: Person, address: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"email": person.email}
    if person.name is not None:
        shown["displayName"] = person.name
    if person.email == address:
        shown["self"] = True
    return shown


def _attendees(event: Event, view: View) -> dict[str, Any]:
    people = event.attendees
    omitted = event.attendees_omitted
    if view.max_attendees is not None and len(people) > view.max_attendees:
        people = tuple(one for one in people if one.email == view.calendar.address)
        omitted = True
    shown: dict[str, Any] = {"attendees": [_attendee(one, event, view) for one in people]}
    if omitted:
        shown["attendeesOmitted"] = True
    return shown


def _attendee(person: Person, event: Event, view: View) -> dict[str, Any]:
    shown = _party(person, view.calendar.address)
    shown["responseStatus"] = person.response.value
    if event.organizer is not None and person.email == event.organizer.email:
        shown["organizer"] = True
    if person.optional:
        shown["optional"] = True
    if person.resource:
        shown["resource"] = True
    return shown


def _conference(event: Event, conference: Conference) -> dict[str, Any]:
    video = conference.video
    ours = video is None or video.startswith(_MEET)
    key = {"type": "hangoutsMeet" if ours else "addOn"}
    if conference.state is not ConferenceState.SUCCESS:
        request = {
            "requestId": f"request-{event.id}",
            "conferenceSolutionKey": key,
            "status": {"statusCode": conference.state.value},
        }
        return {"conferenceData": {"createRequest": request}}
    data: dict[str, Any] = {
        "entryPoints": [
            {"entryPointType": point.kind, "uri": point.uri, "label": point.uri.split("//")[-1]}
            for point in conference.entry_points
        ],
        "conferenceSolution": {
            "key": key,
            "name": "Google Meet" if ours else "Meeting",
            "iconUri": "https://fonts.gstatic.com/s/i/productlogos/meet_2020q4/v6/web-512dp.png",
        },
    }
    shown: dict[str, Any] = {"conferenceData": data}
    if video is not None and video.startswith(_MEET):
        data["conferenceId"] = video.removeprefix(_MEET)
        shown["hangoutLink"] = video
    return shown
