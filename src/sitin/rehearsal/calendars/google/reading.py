"""What Google is asked, read and checked: parameters and bodies. For the Google rehearsal.

A parameter that would change the answer and is not rehearsed is refused rather than overlooked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sitin.contract.calendars import EventStatus, ResponseStatus
from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.google.errors import (
    invalid,
    missing,
    range_empty,
    refusal,
)
from sitin.rehearsal.calendars.model import (
    Conference,
    ConferenceState,
    EntryPoint,
    EventKind,
    Moment,
    Person,
    ShowAs,
    Span,
)

MOST_RESULTS = 2500
DEFAULT_RESULTS = 250

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_EVENT_ID = re.compile(r"[a-v0-9]{5,1024}")

NOT_WITH_SYNC = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
)
_NOT_REHEARSED = ("privateExtendedProperty", "sharedExtendedProperty", "eventTypes")
_OLDEST_UPDATE = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class Query:
    """What a listing of events is asked for."""

    single_events: bool = False
    show_deleted: bool = False
    time_min: datetime | None = None
    time_max: datetime | None = None
    updated_min: datetime | None = None
    ical_uid: str | None = None
    text: str | None = None
    order_by: str | None = None
    sync_token: str | None = None

    @property
    def gives_sync_token(self) -> bool:
        """Whether changes can be followed from this listing on."""
        return not (self.order_by or self.text or self.ical_uid or self.updated_min)


def read_query(query: Mapping[str, str], now: datetime) -> Query:
    """The parameters of ``events.list``. Raises ``ApiError``."""
    for name in _NOT_REHEARSED:
        if name in query and not (name in NOT_WITH_SYNC and "syncToken" in query):
            raise refusal(400, "invalid", f"This rehearsal does not know the parameter {name}")
    found = Query(
        single_events=read_flag(query, "singleEvents"),
        # Deletions since a time are always told.
        show_deleted=read_flag(query, "showDeleted") or "updatedMin" in query,
        time_min=read_time(query, "timeMin"),
        time_max=read_time(query, "timeMax"),
        updated_min=read_time(query, "updatedMin"),
        ical_uid=query.get("iCalUID"),
        text=query.get("q"),
        order_by=query.get("orderBy"),
        sync_token=query.get("syncToken"),
    )
    if found.sync_token is not None:
        _check_sync(query, found)
    if found.time_min and found.time_max and found.time_min >= found.time_max:
        raise range_empty()
    if found.order_by not in (None, "startTime", "updated"):
        raise invalid("orderBy")
    if found.order_by == "startTime" and not found.single_events:
        raise invalid(
            "orderBy", "The requested ordering is not available for the particular query."
        )
    if found.updated_min is not None and found.updated_min < now - _OLDEST_UPDATE:
        raise refusal(
            410,
            "updatedMinTooLongAgo",
            "The requested minimum modification time lies too far in the past.",
            domain="calendar",
            location=("parameter", "updatedMin"),
        )
    return found


def _check_sync(query: Mapping[str, str], found: Query) -> None:
    for name in NOT_WITH_SYNC:
        if name in query:
            raise invalid(name, "Sync token cannot be used with query restrictions.")
    if "showDeleted" in query and not found.show_deleted:
        raise invalid("showDeleted", "showDeleted cannot be false when a sync token is given.")


def read_max(query: Mapping[str, str], *, default: int, most: int) -> int:
    """``maxResults``; more than there may be is taken for the most."""
    text = query.get("maxResults")
    if text is None:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise invalid("maxResults")
    return min(int(text), most)


def read_count(query: Mapping[str, str], name: str) -> int | None:
    """A whole number, if it is there."""
    text = query.get(name)
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise invalid(name)
    return int(text)


def read_time(query: Mapping[str, str], name: str) -> datetime | None:
    """A time with an offset, if it is there."""
    text = query.get(name)
    if text is None:
        return None
    if not _RFC3339.fullmatch(text):
        raise refusal(400, "badRequest", "Bad Request", location=("parameter", name))
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise refusal(400, "badRequest", "Bad Request", location=("parameter", name)) from None


def read_response_zone(query: Mapping[str, str], calendar: Calendar) -> ZoneInfo:
    """In which zone times are wanted."""
    name = query.get("timeZone")
    return calendar.zone if name is None else _zone(name)


def read_flag(query: Mapping[str, str], name: str) -> bool:
    """``true`` or ``false``; false if it is not there."""
    text = query.get(name, "false")
    if text.lower() not in ("true", "false"):
        raise invalid(name)
    return text.lower() == "true"


def read_event(
    body: Mapping[str, Any],
    calendar: Calendar,
    *,
    conferences: bool,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Fields of ``Event`` that a body sets. Raises ``ApiError``.

    Args:
        body: The request's.
        calendar: Whose zone times without one are in.
        conferences: Whether conference data is to be looked at.
        before: The event's JSON as it was, for a change of some of it.
    """
    fields: dict[str, Any] = {}
    for name, field_name in (
        ("summary", "title"),
        ("description", "description"),
        ("location", "location"),
    ):
        if name in body:
            fields[field_name] = _text(body, name)
    if "status" in body:
        status = _one_of(EventStatus, body, "status")
        fields["status"] = status
        if status is not EventStatus.CANCELLED:
            fields["removed"] = False
    if "transparency" in body:
        fields["show_as"] = ShowAs.FREE if body["transparency"] == "transparent" else ShowAs.BUSY
    if "visibility" in body:
        fields["private"] = body["visibility"] in ("private", "confidential")
    if "eventType" in body:
        fields["kind"] = _one_of(EventKind, body, "eventType")
    if "attendees" in body:
        fields["attendees"] = tuple(_attendee(one) for one in body["attendees"] or [])
    if conferences and "conferenceData" in body:
        fields["conference"] = _conference(body["conferenceData"])
    if "recurrence" in body:
        fields["recurrence"] = _recurrence(body["recurrence"])
    if before is None or "start" in body or "end" in body:
        both = _with_times(before or {}, body)
        fields["span"] = _span(both, calendar, series=bool(both.get("recurrence")))
    return fields


def _with_times(before: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Both together: a change of a time's parts leaves its other parts as they were."""
    both = {**before, **body}
    for name in ("start", "end"):
        if isinstance(body.get(name), dict):
            both[name] = {**before.get(name, {}), **body[name]}
    return both


def read_event_id(body: Mapping[str, Any]) -> str | None:
    """The id that the caller wants, if any."""
    wanted = body.get("id")
    if wanted is None:
        return None
    if not isinstance(wanted, str) or not _EVENT_ID.fullmatch(wanted):
        raise refusal(400, "invalid", "Invalid resource id value.")
    return wanted


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body[name]
    if value is not None and not isinstance(value, str):
        raise refusal(400, "invalid", f"Invalid value for {name}")
    return value


def _one_of(kind: Any, body: Mapping[str, Any], name: str) -> Any:
    try:
        return kind(body[name])
    except ValueError:
        raise refusal(400, "invalid", f"Invalid value for {name}") from None


def _attendee(item: Any) -> Person:
    if not isinstance(item, dict) or not isinstance(item.get("email"), str):
        raise refusal(400, "required", "Missing attendee email.")
    try:
        response = ResponseStatus(item.get("responseStatus", ResponseStatus.NEEDS_ACTION))
    except ValueError:
        raise refusal(400, "invalid", "Invalid value for responseStatus") from None
    return Person(
        item["email"],
        item.get("displayName"),
        response,
        optional=item.get("optional") is True,
        resource=item.get("resource") is True,
    )


def _conference(data: Any) -> Conference | None:
    if data is None:
        return None
    if not isinstance(data, dict):
        raise refusal(400, "invalid", "Invalid conference data.")
    if "createRequest" in data:
        return Conference(state=ConferenceState.PENDING)
    points = data.get("entryPoints", [])
    try:
        return Conference(tuple(EntryPoint(one["entryPointType"], one["uri"]) for one in points))
    except (TypeError, KeyError):
        raise refusal(400, "invalid", "Invalid conference data.") from None


def _recurrence(lines: Any) -> tuple[str, ...]:
    if lines is None:
        return ()
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise refusal(400, "invalid", "Invalid recurrence rule.")
    return tuple(lines)


def _span(body: Mapping[str, Any], calendar: Calendar, *, series: bool) -> Span:
    start = _moment(body.get("start"), "start", calendar, series=series)
    end = _moment(body.get("end"), "end", calendar, series=series)
    if isinstance(start, datetime) is not isinstance(end, datetime):
        raise refusal(400, "invalid", "Invalid start time.")
    if end < start or (end == start and not isinstance(start, datetime)):
        raise refusal(
            400, "timeRangeEmpty", "The specified time range is empty.", domain="calendar"
        )
    return Span(start, end)


def _moment(value: Any, name: str, calendar: Calendar, *, series: bool) -> Moment:
    if not isinstance(value, dict):
        raise missing(f"{name} time")
    zone_name = value.get("timeZone")
    try:
        if value.get("date") is not None and value.get("dateTime") is not None:
            raise refusal(400, "invalid", f"Invalid {name} time.")
        if value.get("date") is not None:
            return date.fromisoformat(value["date"])
        if value.get("dateTime") is None:
            raise missing(f"{name} time")
        moment = datetime.fromisoformat(value["dateTime"]).replace(microsecond=0)
    except (TypeError, ValueError):
        raise refusal(400, "invalid", f"Invalid value for {name}") from None
    if series and zone_name is None:
        raise missing(f"time zone definition for {name} time")
    zone = calendar.zone if zone_name is None else _zone(zone_name)
    if moment.tzinfo is None:
        if zone_name is None:
            raise missing(f"time zone definition for {name} time")
        return moment.replace(tzinfo=zone)
    return moment.astimezone(zone)


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (TypeError, ValueError, OSError, KeyError):
        raise invalid("timeZone", f"Invalid time zone definition {name}") from None
