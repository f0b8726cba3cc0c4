"""Series in Graph's words: recurrence patterns and ranges, from RRULE lines and back.

For the Microsoft rehearsal. What Graph has no words for is refused.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sitin.rehearsal.calendars.errors import CalendarControlError
from sitin.rehearsal.calendars.microsoft.zones import windows_name
from sitin.rehearsal.calendars.model import Moment, stamp, zone_of

_DAYS = {
    "MO": "monday",
    "TU": "tuesday",
    "WE": "wednesday",
    "TH": "thursday",
    "FR": "friday",
    "SA": "saturday",
    "SU": "sunday",
}
_LETTERS = {name: letters for letters, name in _DAYS.items()}
_INDEXES = {"1": "first", "2": "second", "3": "third", "4": "fourth", "-1": "last"}
_POSITIONS = {name: number for number, name in _INDEXES.items()}
_TYPES = {
    "daily": "DAILY",
    "weekly": "WEEKLY",
    "absoluteMonthly": "MONTHLY",
    "relativeMonthly": "MONTHLY",
    "absoluteYearly": "YEARLY",
    "relativeYearly": "YEARLY",
}
_KNOWN = frozenset(
    {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"}
)


def describe(lines: Sequence[str], start: Moment, zone: ZoneInfo) -> dict[str, Any]:
    """The recurrence of a series. Raises ``CalendarControlError``."""
    rules = [line for line in lines if line.startswith("RRULE")]
    if len(rules) != 1 or any(line.startswith("RDATE") for line in lines):
        raise CalendarControlError("recurrence: Microsoft's series have one RRULE and no RDATE")
    parts = dict(part.split("=", 1) for part in rules[0].partition(":")[2].split(";"))
    unknown = set(parts) - _KNOWN
    if unknown:
        raise CalendarControlError(f"recurrence: Microsoft has no word for {min(unknown)}")
    first = start.date() if isinstance(start, datetime) else start
    return {
        "pattern": _pattern(parts, first),
        "range": _range(parts, start, zone_of(start) or zone.key),
    }


def _pattern(parts: Mapping[str, str], first: date) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "daily",
        "interval": int(parts.get("INTERVAL", "1")),
        "month": 0,
        "dayOfMonth": 0,
        "daysOfWeek": [],
        "firstDayOfWeek": _DAYS[parts.get("WKST", "SU")],
        "index": "first",
    }
    days = parts.get("BYDAY", "").split(",") if "BYDAY" in parts else []
    match parts.get("FREQ"):
        case "DAILY" if not days:
            return found
        case "WEEKLY" if all(day in _DAYS for day in days):
            letters = days or [list(_DAYS)[first.weekday()]]
            return {**found, "type": "weekly", "daysOfWeek": [_DAYS[day] for day in letters]}
        case ("MONTHLY" | "YEARLY") as kind:
            month = int(parts.get("BYMONTH", first.month)) if kind == "YEARLY" else 0
            name = kind.capitalize()
            if not days:
                number = int(parts.get("BYMONTHDAY", first.day))
                if number > 0:
                    return {
                        **found,
                        "type": f"absolute{name}",
                        "dayOfMonth": number,
                        "month": month,
                    }
            elif (index := _index(days, parts)) is not None:
                return {
                    **found,
                    "type": f"relative{name}",
                    "daysOfWeek": [_DAYS[day[-2:]] for day in days],
                    "index": index,
                    "month": month,
                }
    raise CalendarControlError("recurrence: Microsoft has no word for this rule")


def _index(days: Sequence[str], parts: Mapping[str, str]) -> str | None:
    positions = {day[:-2] for day in days}
    if positions == {""}:
        positions = {parts.get("BYSETPOS", "")}
    return _INDEXES.get(positions.pop()) if len(positions) == 1 else None


def _range(parts: Mapping[str, str], start: Moment, zone: str) -> dict[str, Any]:
    first = start.date() if isinstance(start, datetime) else start
    found: dict[str, Any] = {
        "type": "noEnd",
        "startDate": first.isoformat(),
        "endDate": "0001-01-01",
        "recurrenceTimeZone": windows_name(zone),
        "numberOfOccurrences": 0,
    }
    if "COUNT" in parts:
        return {**found, "type": "numbered", "numberOfOccurrences": int(parts["COUNT"])}
    if "UNTIL" in parts:
        return {**found, "type": "endDate", "endDate": _last_day(parts["UNTIL"], start, zone)}
    return found


def _last_day(until: str, start: Moment, zone: str) -> str:
    """The last day on which the series may occur."""
    if not isinstance(start, datetime):
        return date.fromisoformat(until[:8]).isoformat()
    last = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    local = last.astimezone(ZoneInfo(zone))
    # It may end on a day before the time at which it occurs.
    too_early = local.time() < start.time()
    return (local.date() - timedelta(days=too_early)).isoformat()


def read_recurrence(value: Any, start: Moment) -> tuple[str, ...]:
    """The RRULE line of a recurrence in Graph's words. Raises ``CalendarControlError``."""
    if value is None:
        return ()
    try:
        pattern, limits = value["pattern"], value["range"]
        kind = pattern["type"]
        parts = [f"FREQ={_TYPES[kind]}", f"INTERVAL={int(pattern.get('interval', 1))}"]
        if kind == "weekly" and "firstDayOfWeek" in pattern:
            parts.append(f"WKST={_LETTERS[pattern['firstDayOfWeek'].lower()]}")
        parts += _which_days(kind, pattern)
        parts += _until(limits, start)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CalendarControlError(f"recurrence: cannot be read ({error!r})") from error
    return (f"RRULE:{';'.join(parts)}",)


def _which_days(kind: str, pattern: Mapping[str, Any]) -> list[str]:
    found = [f"BYMONTH={int(pattern['month'])}"] if kind.endswith("Yearly") else []
    if kind.startswith("absolute"):
        return [*found, f"BYMONTHDAY={int(pattern['dayOfMonth'])}"]
    if kind == "daily":
        return found
    days = [_LETTERS[day.lower()] for day in pattern["daysOfWeek"]]
    found.append(f"BYDAY={','.join(days)}")
    if kind.startswith("relative"):
        found.append(f"BYSETPOS={_POSITIONS[pattern.get('index', 'first')]}")
    return found


def _until(limits: Mapping[str, Any], start: Moment) -> list[str]:
    match limits["type"]:
        case "noEnd":
            return []
        case "numbered":
            return [f"COUNT={int(limits['numberOfOccurrences'])}"]
        case "endDate":
            day = date.fromisoformat(limits["endDate"])
            if not isinstance(start, datetime):
                return [f"UNTIL={stamp(day)}"]
            return [f"UNTIL={stamp(datetime.combine(day, time(23, 59, 59), start.tzinfo))}"]
        case other:
            raise ValueError(other)
