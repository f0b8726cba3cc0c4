"""Graph's resources as JSON: events, calendars, profiles. For the Microsoft rehearsal."""

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sitin.contract.calendars import EventStatus, ResponseStatus
from sitin.rehearsal.calendars.accounts import Account, Entry, Role
from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.microsoft.ids import write, write_id
from sitin.rehearsal.calendars.microsoft.patterns import describe
from sitin.rehearsal.calendars.microsoft.zones import windows_name
from sitin.rehearsal.calendars.model import Event, Moment, Person

_RESPONSES = {
    ResponseStatus.ACCEPTED: "accepted",
    ResponseStatus.DECLINED: "declined",
    ResponseStatus.TENTATIVE: "tentativelyAccepted",
}
_NEVER = "0001-01-01T00:00:00Z"
_TEAMS = re.compile(r"https://teams\.(microsoft|live)\.com/", re.IGNORECASE)
_HTML = re.compile(r"</?[a-zA-Z]")
_LONGEST_PREVIEW = 255


@dataclass(frozen=True, slots=True)
class View:
    """How somebody wants to see a calendar.

    Attributes:
        role: What they may do with it.
        zone: In which zone times are given.
        zone_name: How they call it.
        immutable: Whether they want ids that never change.
        plain: Whether they want bodies as text.
    """

    calendar: Calendar
    role: Role
    zone: ZoneInfo
    zone_name: str
    immutable: bool
    plain: bool


def render_event(event: Event, view: View) -> dict[str, Any]:
    """An event with everything that there is about it."""
    shown = {
        **_head(event, view),
        "createdDateTime": ticks(event.created),
        "lastModifiedDateTime": ticks(event.updated),
        "changeKey": _change_key(event),
        "categories": [],
        "transactionId": None,
        "originalStartTimeZone": _own_zone(event, view),
        "originalEndTimeZone": _own_zone(event, view),
        "iCalUId": _ical_uid(event),
        "reminderMinutesBeforeStart": 15,
        "isReminderOn": True,
        "hasAttachments": False,
        "importance": "normal",
        "sensitivity": "private" if event.private else "normal",
        "isAllDay": event.span.all_day,
        "isCancelled": event.status is EventStatus.CANCELLED,
        "isOrganizer": event.organizer is None or event.organizer.email == view.calendar.address,
        "isDraft": False,
        "responseRequested": True,
        "showAs": event.show_as.value,
        "webLink": f"https://outlook.office365.com/owa/?itemid={quote(_id(event, view))}",
        "allowNewTimeProposals": True,
        "hideAttendees": event.attendees_omitted,
        "responseStatus": {"response": _own_response(event, view), "time": _NEVER},
        "recurrence": None,
        **_times(event, view),
        **_about(event, view),
    }
    if event.is_series:
        shown["recurrence"] = describe(event.recurrence, event.span.start, view.calendar.zone)
    if event.original is not None:
        shown["originalStart"] = _original_start(event.original)
    return shown


def render_bare(event: Event, view: View) -> dict[str, Any]:
    """What delta tells of an occurrence that is as its series says."""
    return {**_head(event, view), **_times(event, view)}


def render_removed(event_id: str) -> dict[str, Any]:
    """What delta tells of an event that is gone."""
    return {"id": event_id, "@removed": {"reason": "deleted"}}


def render_calendar(entry: Entry, account: Account) -> dict[str, Any]:
    """The ``calendar`` resource."""
    calendar = entry.calendar
    return {
        "id": calendar.id,
        "name": calendar.name,
        "color": "auto",
        "hexColor": "",
        "isDefaultCalendar": calendar is account.primary,
        "changeKey": f"ck{calendar.epoch:020d}",
        "canShare": entry.role is Role.OWNER,
        "canViewPrivateItems": entry.role.sees_private,
        "canEdit": entry.role.writes,
        "allowedOnlineMeetingProviders": ["teamsForBusiness"],
        "defaultOnlineMeetingProvider": "teamsForBusiness",
        "isTallyingResponses": True,
        "isRemovable": calendar is not account.primary,
        "owner": {"name": calendar.owner.name, "address": calendar.owner.email},
    }


def render_profile(account: Account) -> dict[str, Any]:
    """The ``user`` resource."""
    return {
        "id": account.id,
        "displayName": account.name,
        "mail": account.mail,
        "userPrincipalName": account.email,
        "businessPhones": [],
        "givenName": None,
        "jobTitle": None,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "surname": None,
    }


def etag(event: Event) -> str:
    """What changes with every change."""
    return f'W/"{_change_key(event)}"'


def ticks(moment: datetime) -> str:
    """A time in UTC with the seven digits that Microsoft gives."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def _id(event: Event, view: View) -> str:
    return write_id(event, immutable=view.immutable)


def _head(event: Event, view: View) -> dict[str, Any]:
    series = None
    if event.original is None:
        kind = "seriesMaster" if event.is_series else "singleInstance"
    else:
        kind = "exception" if event.is_exception else "occurrence"
        series = write(event.id, event.generation, None, immutable=view.immutable)
    return {
        "@odata.etag": etag(event),
        "id": _id(event, view),
        "type": kind,
        "seriesMasterId": series,
    }


def _change_key(event: Event) -> str:
    return f"ck{event.number:020d}"


def _times(event: Event, view: View) -> dict[str, Any]:
    return {
        "start": _time(event.span.start, view),
        "end": _time(event.span.end, view),
    }


def _time(moment: Moment, view: View) -> dict[str, str]:
    # Whole days are midnights in whichever zone is asked for; they never shift.
    where = moment.astimezone(view.zone) if isinstance(moment, datetime) else moment
    return {"dateTime": f"{where:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": view.zone_name}


def _original_start(original: Moment) -> str:
    if isinstance(original, datetime):
        return f"{original.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"{original}T00:00:00Z"


def _own_zone(event: Event, view: View) -> str:
    return event.zone_label or windows_name(event.span.zone or view.calendar.zone.key)


def _ical_uid(event: Event) -> str:
    if event.original is None:
        return event.ical_uid
    day = f"{event.original.year:04X}{event.original.month:02X}{event.original.day:02X}"
    return f"{event.ical_uid[:32]}{day}{event.ical_uid[40:]}"


def _own_response(event: Event, view: View) -> str:
    address = view.calendar.address
    if event.organizer is None or event.organizer.email == address:
        return "organizer"
    response = event.response_of(address)
    return "none" if response is None else _RESPONSES.get(response, "notResponded")


def _about(event: Event, view: View) -> dict[str, Any]:
    """Subject, body, people, place and meeting, or that it is private."""
    if view.role is Role.FREE_BUSY or (event.private and not view.role.sees_private):
        return {"subject": "Private Appointment", "attendees": [], "organizer": None}
    subject = event.title
    if event.status is EventStatus.CANCELLED:
        subject = f"Canceled: {subject or ''}"
    content, preview = _body(event.description or "", plain=view.plain)
    location = _location(event.location)
    url = None if event.conference is None else event.conference.video
    provider = "teamsForBusiness" if url is None or _TEAMS.match(url) else "unknown"
    people = () if event.attendees_omitted else event.attendees
    return {
        "subject": subject,
        "bodyPreview": preview,
        "body": {"contentType": "text" if view.plain else "html", "content": content},
        "location": location,
        "locations": [location] if event.location else [],
        "attendees": [_attendee(person) for person in people],
        "organizer": None if event.organizer is None else _address(event.organizer),
        "isOnlineMeeting": event.conference is not None,
        "onlineMeetingProvider": "unknown" if event.conference is None else provider,
        "onlineMeetingUrl": None,
        "onlineMeeting": None if url is None else {"joinUrl": url},
    }


def _address(person: Person) -> dict[str, Any]:
    return {"emailAddress": {"name": person.name or person.email, "address": person.email}}


def _attendee(person: Person) -> dict[str, Any]:
    kind = "optional" if person.optional else "required"
    response = _RESPONSES.get(person.response, "none")
    return {
        "type": "resource" if person.resource else kind,
        "status": {"response": response, "time": _NEVER},
        **_address(person),
    }


def _location(text: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "displayName": text or "",
        "locationType": "default",
        "uniqueId": text or "",
        "uniqueIdType": "private",
    }
    if text and re.match(r"https?://", text):
        shown["locationUri"] = text
    return shown


def _body(text: str, *, plain: bool) -> tuple[str, str]:
    """The body as asked for, and its beginning as text."""
    is_html = _HTML.search(text) is not None
    words = _text_of(text) if is_html else text
    preview = words.strip()[:_LONGEST_PREVIEW]
    if plain:
        return words, preview
    inner = text if is_html else html.escape(text, quote=False).replace("\n", "<br>\n")
    return f"<html>\r\n<head></head>\r\n<body>\r\n{inner}\r\n</body>\r\n</html>\r\n", preview


def _text_of(text: str) -> str:
    reader = _Text()
    reader.feed(text)
    reader.close()
    return "".join(reader.words)


class _Text(HTMLParser):
    """Collects what is no tag; addresses of links stand behind them in angle brackets."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._links: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("br", "p", "div"):
            self.words.append("\n")
        if tag == "a":
            self._links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._links and (link := self._links.pop()):
            self.words.append(f"<{link}>")
