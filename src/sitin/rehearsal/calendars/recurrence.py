"""When the occurrences of a series start: RRULE, RDATE and EXDATE lines (RFC 5545). For the room.

The rules are python-dateutil's: it yields the original starts one by one, which is what ids and
exceptions hang on; libraries that expand whole iCalendar files apply exceptions themselves.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo

from dateutil.rrule import rruleset, rrulestr

from sitin.rehearsal.calendars.errors import CalendarControlError
from sitin.rehearsal.calendars.model import Moment, instant, stamp, zone_of


def check(lines: Sequence[str], start: Moment) -> None:
    """Refuse lines that make no series from this start. Raises ``CalendarControlError``."""
    if not lines:
        return
    if not any(line.startswith("RRULE") for line in lines):
        raise CalendarControlError("recurrence: has to have an RRULE")
    try:
        # Without the EXDATEs: whether the first occurrence takes place is another question.
        rule = [line for line in lines if line.startswith("RRULE")]
        first = next(iter(_rules(tuple(rule), _plain(start), zone_of(start))), None)
        _rules(tuple(lines), _plain(start), zone_of(start))
    except (ValueError, KeyError, TypeError) as error:
        raise CalendarControlError(f"recurrence: {str(error) or 'cannot be read'}") from error
    if first != _plain(start):
        raise CalendarControlError(
            "recurrence: the series has to occur at its own start; RFC 5545 leaves open what else "
            "it would mean"
        )


def starts(
    lines: Sequence[str], start: Moment, *, zone: ZoneInfo, after: datetime, before: datetime
) -> Iterator[Moment]:
    """Original starts from ``after`` until before ``before``, in order; days are those of zone."""
    whole_day = not isinstance(start, datetime)
    for found in _rules(tuple(lines), _plain(start), zone_of(start)):
        moment: Moment = found.date() if whole_day else found
        at = instant(moment, zone)
        if at >= before:
            return
        if at >= after:
            yield moment


def read_lines(recurrence: str | Sequence[str]) -> tuple[str, ...]:
    """Lines of a series, given as lines or as one rule without ``RRULE:``."""
    lines = (recurrence,) if isinstance(recurrence, str) else tuple(recurrence)
    return tuple(line if ":" in line else f"RRULE:{line}" for line in lines)


def ended(lines: Sequence[str], at: Moment) -> tuple[str, ...]:
    """The lines of a series that ends before ``at``. Raises ``CalendarControlError``."""
    if any(line.startswith("RDATE") for line in lines):
        raise CalendarControlError("recurrence: a series with an RDATE cannot be split")
    last: Moment
    if isinstance(at, datetime):
        last = at.astimezone(UTC) - timedelta(seconds=1)
    else:
        last = at - timedelta(days=1)
    return tuple(_with(line, COUNT=None, UNTIL=stamp(last)) for line in lines)


def rest(lines: Sequence[str], start: Moment, at: Moment) -> tuple[str, ...]:
    """The lines of the series that goes on from ``at``."""
    rules = tuple(line for line in lines if line.startswith("RRULE"))
    taken = sum(
        1 for _ in takewhile(_plain(at).__gt__, _rules(rules, _plain(start), zone_of(start)))
    )
    counts = [parts["COUNT"] for parts in map(_parts, rules) if "COUNT" in parts]
    left = str(int(counts[0]) - taken) if counts else None
    return tuple(_with(line, COUNT=left) for line in lines)


def _parts(line: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in line.partition(":")[2].split(";"))


def _with(line: str, **changes: str | None) -> str:
    """An RRULE line with other parts; ``None`` takes one away. Other lines stay as they are."""
    if not line.startswith("RRULE"):
        return line
    parts: dict[str, str | None] = {**_parts(line), **changes}
    return "RRULE:" + ";".join(f"{name}={value}" for name, value in parts.items() if value)


def _plain(moment: Moment) -> datetime:
    """As the library takes it: whole days are midnights without a zone."""
    if isinstance(moment, datetime):
        return moment
    return datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - a day has no zone


@lru_cache(maxsize=4096)
def _rules(lines: tuple[str, ...], start: datetime, zone: str | None) -> rruleset:
    # The zone is in the key because equal instants of different zones are equal.
    del zone
    found = rrulestr("\n".join(lines), dtstart=start, forceset=True, tzids=ZoneInfo, cache=True)
    assert isinstance(found, rruleset)
    return found
