"""What a calendar view holds, and what delta tells of its changes. For the Microsoft rehearsal.

A full round and the rounds since, applied to it, give what a new full round would, for a client
that takes a round's occurrences of a series for all that there are: one occurrence that was deleted
is not told of, unless that is asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.model import Event
from sitin.rehearsal.calendars.occurrences import expand


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a round tells: an event as it is, or that it is gone."""

    event: Event
    removed: bool = False


def view(calendar: Calendar, start: datetime, end: datetime) -> list[Event]:
    """Everything in the window, without series themselves."""
    return [
        occurrence
        for event in calendar.history
        for occurrence in _within(calendar, event, start, end).values()
    ]


def full_round(calendar: Calendar, start: datetime, end: datetime) -> list[Item]:
    """The first round: the window, and the series of which something is in it."""
    found: list[Item] = []
    for event in calendar.history:
        occurrences = _within(calendar, event, start, end)
        found += [Item(occurrence) for occurrence in occurrences.values()]
        if occurrences and event.is_series:
            found.append(Item(event))
    return found


def changed_round(
    calendar: Calendar, start: datetime, end: datetime, *, since: int, silent: bool
) -> list[Item]:
    """What has changed after the change of this number, inside the window and out of it.

    Args:
        calendar: Whose.
        start: Of the window.
        end: Of the window.
        since: The number that the delta link carries.
        silent: Whether a single occurrence that was deleted is not told of.
    """
    found: list[Item] = []
    for event_id in calendar.history.touched(since):
        event = calendar.history.latest(event_id)
        assert event is not None
        before = calendar.history.at(event_id, since)
        found += _changes(calendar, event, before, start, end, silent=silent)
    return found


def _within(
    calendar: Calendar, event: Event | None, start: datetime, end: datetime
) -> dict[tuple[int, str | None], Event]:
    """What of an event is in the window, by what its id is made of."""
    if event is None or event.removed:
        return {}
    return {
        (found.generation if found.key else 0, found.key): found
        for found in expand(event, calendar.zone, start, end)
        if not found.removed
    }


def _changes(
    calendar: Calendar,
    event: Event,
    before: Event | None,
    start: datetime,
    end: datetime,
    *,
    silent: bool,
) -> Iterator[Item]:
    now = _within(calendar, event, start, end)
    then = _within(calendar, before, start, end)
    yield from (Item(occurrence) for occurrence in now.values())
    for key, occurrence in then.items():
        # An event that became a series has kept its id.
        became_series = key[1] is None and event.is_series
        if key not in now and not became_series and not (silent and _deleted_alone(event, key)):
            yield Item(occurrence, removed=True)
    if not event.is_series:
        if not now and not then:
            yield Item(event, removed=True)
        return
    if event.removed or not (now or then):
        yield Item(event, removed=True)
    else:
        yield Item(event)


def _deleted_alone(event: Event, key: tuple[int, str | None]) -> bool:
    generation, name = key
    if event.removed or name is None or generation != event.generation:
        return False
    override = event.exceptions.get(name)
    return override is not None and override.changes.get("removed") is True
