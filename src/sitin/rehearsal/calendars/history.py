"""Every version of every event of a calendar, and the order in which they came. For the calendar.

Change numbers grow across all calendars. A listing token or a sync token is a number: whatever was
put later has changed since, and what an event was then can still be looked up.
"""

from bisect import bisect_right
from collections.abc import Iterator
from operator import itemgetter

from sitin.rehearsal.calendars.model import Event

_number = itemgetter(0)


class History:
    """Versions by event, and a log of changes."""

    def __init__(self) -> None:
        self._versions: dict[str, list[tuple[int, Event]]] = {}
        self._log: list[tuple[int, str]] = []

    def put(self, event: Event, number: int) -> None:
        """Note a new version; numbers only grow."""
        self._versions.setdefault(event.id, []).append((number, event))
        self._log.append((number, event.id))

    def latest(self, event_id: str) -> Event | None:
        """An event as it is now."""
        versions = self._versions.get(event_id)
        return versions[-1][1] if versions else None

    def at(self, event_id: str, number: int) -> Event | None:
        """An event as it was after the change of this number."""
        versions = self._versions.get(event_id, [])
        position = bisect_right(versions, number, key=_number)
        return versions[position - 1][1] if position else None

    def touched(self, since: int) -> list[str]:
        """Ids of the events put after the change of this number, in the order of their first."""
        position = bisect_right(self._log, since, key=_number)
        return list(dict.fromkeys(event_id for _, event_id in self._log[position:]))

    def __iter__(self) -> Iterator[Event]:
        """All events as they are now, tombstones included, in the order of their making."""
        return (versions[-1][1] for versions in self._versions.values())
