"""Random histories of a calendar for property tests: what people do, one thing after another."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from sitin.contract.calendars import ResponseStatus
from sitin.kit.errors import SitinError
from sitin.rehearsal.calendars import Calendar

START = datetime(2027, 3, 20, 12, tzinfo=UTC)
END = START + timedelta(days=30)

_RULES = (
    "FREQ=DAILY;COUNT=6",
    "FREQ=DAILY;INTERVAL=3;COUNT=20",
    "FREQ=WEEKLY;COUNT=9",
    "FREQ=YEARLY",
)

_LINKS = ("https://meet.google.com/abc-defg-hij", "https://zoom.us/j/85000000000", None)

Step = tuple[str, int, int, int]
"""What is done; to which event; to which of its occurrences; a further number."""


def steps(most: int = 12) -> st.SearchStrategy[list[Step]]:
    """What happens between two looks at a calendar."""
    number = st.integers(0, 40)
    return st.lists(
        st.tuples(st.sampled_from(sorted(_DOINGS)), number, number, number), max_size=most
    )


def begin(calendar: Calendar) -> None:
    """What is there before anything happens."""
    daily = calendar.add("daily", _time(5), recurrence="FREQ=DAILY;COUNT=5", meeting_url=_LINKS[0])
    first, second, *_ = calendar.occurrences(START, END)
    assert first.id == second.id == daily.id
    calendar.edit(first, title="special")
    calendar.delete(second)
    calendar.add("weekly", _time(7), recurrence="FREQ=WEEKLY;COUNT=4", meeting_url=_LINKS[1])
    calendar.add("days off", _time(9).date(), recurrence="FREQ=DAILY;INTERVAL=3;COUNT=4")
    calendar.add("once", _time(11))


def do(calendar: Calendar, step: Step) -> None:
    """Do it, if it can be done as the calendar is now."""
    name, which, occurrence, number = step
    try:
        _DOINGS[name](calendar, which, occurrence, number)
    except SitinError:
        return


def _time(number: int) -> datetime:
    # From two days before the window to some after it, across the change of the clocks.
    return (START - timedelta(days=2)).replace(tzinfo=None) + timedelta(hours=19 * number)


def _stored(calendar: Calendar, which: int) -> Any:
    events = list(calendar.history)
    return events[which % len(events)] if events else calendar.add("first", _time(which))


def _chosen(calendar: Calendar, which: int, occurrence: int) -> dict[str, Any]:
    """An event or, of a series, one of its occurrences or all of it."""
    event = _stored(calendar, which)
    if not event.is_series or occurrence % 4 == 0:
        return {"event": event}
    starts = [
        found.original
        for found in calendar.occurrences(START - timedelta(days=20), END + timedelta(days=20))
        if found.id == event.id
    ]
    return {"event": event, "on": starts[occurrence % len(starts)]} if starts else {"event": event}


def _days(calendar: Calendar, which: int, occurrence: int, number: int) -> None:
    rule = _RULES[occurrence % len(_RULES)] if which % 2 else ()
    calendar.add("days", _time(number).date(), recurrence=rule)


_DOINGS: dict[str, Callable[[Calendar, int, int, int], object]] = {
    "add": lambda cal, _, __, number: cal.add("single", _time(number)),
    "add days": _days,
    "add series": lambda cal, which, _, number: cal.add(
        "series", _time(number), recurrence=_RULES[which % len(_RULES)]
    ),
    "move": lambda cal, which, occurrence, number: cal.move(
        **_chosen(cal, which, occurrence), start=_time(number)
    ),
    "to days": lambda cal, which, occurrence, number: cal.move(
        **_chosen(cal, which, occurrence), start=_time(number).date()
    ),
    "edit": lambda cal, which, occurrence, number: cal.edit(
        **_chosen(cal, which, occurrence), title=f"title {number}"
    ),
    "link": lambda cal, which, occurrence, number: cal.edit(
        **_chosen(cal, which, occurrence), meeting_url=_LINKS[number % len(_LINKS)]
    ),
    "touch": lambda cal, which, occurrence, _: cal.touch(**_chosen(cal, which, occurrence)),
    "decline": lambda cal, which, occurrence, _: cal.decline(**_chosen(cal, which, occurrence)),
    "accept": lambda cal, which, occurrence, _: cal.respond(
        **_chosen(cal, which, occurrence), response=ResponseStatus.ACCEPTED
    ),
    "cancel": lambda cal, which, occurrence, _: cal.cancel(**_chosen(cal, which, occurrence)),
    "delete": lambda cal, which, occurrence, _: cal.delete(**_chosen(cal, which, occurrence)),
    "restore": lambda cal, which, occurrence, _: cal.restore(**_chosen(cal, which, occurrence)),
    "split": lambda cal, which, occurrence, _: cal.split(*_chosen(cal, which, occurrence).values()),
    "repeat": lambda cal, which, occurrence, _: cal.repeat(
        _stored(cal, which), _RULES[occurrence % len(_RULES)]
    ),
    "reset": lambda cal, which, _, __: cal.reset(_stored(cal, which)),
}
