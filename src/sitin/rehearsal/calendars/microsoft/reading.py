"""What Graph is asked, read and checked: preferences, parameters, bodies. For the rehearsal.

A parameter that would change the answer and is not rehearsed is refused rather than overlooked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sitin.contract.calendars import ResponseStatus
from sitin.rehearsal.calendars.errors import CalendarControlError
from sitin.rehearsal.calendars.microsoft.errors import invalid
from sitin.rehearsal.calendars.microsoft.patterns import read_recurrence
from sitin.rehearsal.calendars.microsoft.zones import zone_named
from sitin.rehearsal.calendars.model import (
    Conference,
    ConferenceState,
    Event,
    Moment,
    Person,
    ShowAs,
    Span,
)

DEFAULT_RESULTS = 10
MOST_RESULTS = 1000

NOT_WITH_DELTA = ("$orderby", "$filter", "$select", "$expand", "$search")
_NOT_REHEARSED = ("$filter", "$expand", "$search", "$skip")

_PREFERENCE = re.compile(r'\s*([\w.-]+)\s*(?:=\s*(?:"([^"]*)"|([^,;\s]*)))?\s*(?:[,;]|$)')
_RESPONSES = {
    "accepted": ResponseStatus.ACCEPTED,
    "declined": ResponseStatus.DECLINED,
    "tentativelyAccepted": ResponseStatus.TENTATIVE,
    "none": ResponseStatus.NEEDS_ACTION,
    "notResponded": ResponseStatus.NEEDS_ACTION,
    "organizer": ResponseStatus.ACCEPTED,
}


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the ``Prefer`` header asks for."""

    zone: ZoneInfo
    zone_name: str
    immutable: bool
    plain: bool
    page_size: int | None


def read_preferences(header: str) -> Preferences:
    """A ``Prefer`` header. Raises ``ApiError``."""
    found = {
        match[1].lower(): match[2] if match[2] is not None else match[3] or ""
        for match in _PREFERENCE.finditer(header)
    }
    zone_name = found.get("outlook.timezone", "UTC")
    try:
        zone = zone_named(zone_name)
    except CalendarControlError as error:
        raise invalid(
            f"A valid TimeZone value must be specified; {zone_name} is none.",
            "TimeZoneNotSupported",
        ) from error
    size = found.get("odata.maxpagesize")
    if size is not None and (not size.isdecimal() or int(size) < 1):
        raise invalid("odata.maxpagesize has to be a number from 1 on.")
    return Preferences(
        zone=zone,
        zone_name=zone_name,
        immutable=found.get("idtype", "").lower() == "immutableid",
        plain=found.get("outlook.body-content-type", "").lower() == "text",
        page_size=None if size is None else min(int(size), MOST_RESULTS),
    )


def read_window(query: Mapping[str, str]) -> tuple[datetime, datetime]:
    """From when to when; a time without an offset is UTC. Raises ``ApiError``."""
    lower = {name.lower(): value for name, value in query.items()}
    bounds = []
    for name in ("startDateTime", "endDateTime"):
        text = lower.get(name.lower())
        if text is None:
            raise invalid(
                "This request requires a time window specified by the query string parameters "
                "StartDateTime and EndDateTime."
            )
        bounds.append(read_time(text, name))
    if bounds[0] > bounds[1]:
        raise invalid("End date must be after start date.")
    return bounds[0], bounds[1]


def read_time(text: Any, name: str) -> datetime:
    """A time; without an offset it is UTC. Raises ``ApiError``."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise invalid(f"The value '{text}' of parameter '{name}' is invalid.") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def read_top(query: Mapping[str, str]) -> int:
    """``$top``; more than there may be is refused."""
    text = query.get("$top")
    if text is None:
        return DEFAULT_RESULTS
    if not text.isdecimal() or not 1 <= int(text) <= MOST_RESULTS:
        raise invalid(f"The value of $top has to be a number from 1 to {MOST_RESULTS}.")
    return int(text)


def check_query(query: Mapping[str, str]) -> None:
    """Refuse what is not rehearsed. Raises ``ApiError``."""
    for name in _NOT_REHEARSED:
        if name in query:
            raise invalid(f"This rehearsal does not know the parameter {name}.")


def check_delta(query: Mapping[str, str]) -> None:
    """Refuse what change tracking does not go with. Raises ``ApiError``."""
    if any(name in query for name in NOT_WITH_DELTA):
        names = ", ".join(NOT_WITH_DELTA)
        raise invalid(
            "The following parameters are not supported with change tracking over the "
            f"'CalendarView' resource: '{names}'.",
            "ErrorInvalidUrlQuery",
        )


def read_event(body: Mapping[str, Any], *, before: Event | None = None) -> dict[str, Any]:
    """Fields of ``Event`` that a body sets. Raises ``CalendarControlError``.

    Args:
        body: The request's.
        before: The event as it was, for a change of some of it.
    """
    fields: dict[str, Any] = {}
    if "subject" in body:
        fields["title"] = _typed(body, "subject", str)
    if "body" in body:
        fields["description"] = (_typed(body, "body", dict) or {}).get("content")
    if "location" in body:
        fields["location"] = (_typed(body, "location", dict) or {}).get("displayName")
    if "showAs" in body:
        fields["show_as"] = _one_of(body, "showAs", {kind.value: kind for kind in ShowAs})
    if "sensitivity" in body:
        fields["private"] = body["sensitivity"] in ("private", "confidential")
    if "attendees" in body:
        fields["attendees"] = tuple(_attendee(one) for one in _typed(body, "attendees", list) or [])
    if body.get("isOnlineMeeting") is True and (before is None or before.conference is None):
        fields["conference"] = Conference(state=ConferenceState.PENDING)
    if before is None or {"start", "end", "isAllDay"} & set(body):
        fields["span"] = _span(body, before)
    if "recurrence" in body:
        span = fields["span"] if before is None else fields.get("span", before.span)
        fields["recurrence"] = read_recurrence(body["recurrence"], span.start)
    return fields


def _typed(body: Mapping[str, Any], name: str, kind: type) -> Any:
    value = body[name]
    if value is not None and not isinstance(value, kind):
        raise CalendarControlError(f"{name}: cannot be {type(value).__name__}")
    return value


def _one_of(body: Mapping[str, Any], name: str, table: Mapping[str, Any]) -> Any:
    if body[name] not in table:
        raise CalendarControlError(f"{name}: has to be one of {', '.join(table)}")
    return table[body[name]]


def _attendee(item: Any) -> Person:
    try:
        who = item["emailAddress"]
        kind = item.get("type", "required")
        response = _RESPONSES[(item.get("status") or {}).get("response", "none")]
        return Person(
            who["address"],
            who.get("name"),
            response,
            optional=kind == "optional",
            resource=kind == "resource",
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise CalendarControlError("attendees: each needs an emailAddress with address") from error


def _span(body: Mapping[str, Any], before: Event | None) -> Span:
    old = None if before is None else before.span
    whole_days = body.get("isAllDay", old is not None and old.all_day) is True
    moments: list[Moment] = []
    for name in ("start", "end"):
        if name in body:
            moments.append(_moment(body[name], name, whole_days=whole_days))
        elif old is not None and old.all_day is whole_days:
            moments.append(getattr(old, name))
        else:
            raise CalendarControlError(f"{name}: is required")
    start, end = moments
    if end < start or (whole_days and end == start):
        raise CalendarControlError("end: has to be after start")
    return Span(start, end)


def _moment(value: Any, name: str, *, whole_days: bool) -> Moment:
    try:
        found = datetime.fromisoformat(value["dateTime"]).replace(microsecond=0)
        zone = zone_named(value["timeZone"])
    except (TypeError, KeyError, ValueError) as error:
        raise CalendarControlError(f"{name}: needs a dateTime and a timeZone") from error
    if whole_days:
        if (found.hour, found.minute, found.second) != (0, 0, 0):
            raise CalendarControlError(f"{name}: an event of whole days has to be at midnight")
        return found.date()
    return found.replace(tzinfo=zone) if found.tzinfo is None else found.astimezone(zone)
