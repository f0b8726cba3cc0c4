"""One round of Graph's delta, page by page. Used by the provider beside it only.

A round is about a stretch of time. Of a series that changed in any way it brings, as far as anybody
has seen, the series itself and all of its occurrences within that stretch; an occurrence says when
it is and no more. What it does not bring is that an occurrence was deleted, or that all of them
were moved: the others simply come again. Nowhere is it promised that a round is complete.
"""

from dataclasses import dataclass, field

from sitin.providers.calendars.microsoft.wire import EventPage, WireEvent


@dataclass
class Round:
    """What the pages of a round say together. Of an item that comes twice the last one counts."""

    series: dict[str, WireEvent] = field(default_factory=dict)
    events: dict[str, WireEvent] = field(default_factory=dict)
    """All but the series themselves, as they came."""
    removed: set[str] = field(default_factory=set)
    """Ids of events and of series."""

    def take(self, page: EventPage) -> None:
        """Add a page."""
        for item in page.value:
            self.removed.discard(item.id)
            self.series.pop(item.id, None)
            self.events.pop(item.id, None)
            if item.removed is not None:
                self.removed.add(item.id)
            elif item.is_series:
                self.series[item.id] = item
            else:
                self.events[item.id] = item

    @property
    def touched(self) -> set[str]:
        """The ids of the series of which anything came."""
        return set(self.series) | {
            event.series_master_id for event in self.events.values() if event.series_master_id
        }

    def series_to_fetch(self) -> set[str]:
        """The ids of series that did not come and whose occurrences say too little."""
        return {
            event.series_master_id
            for event in self.events.values()
            if event.series_master_id and event.is_bare
        } - self.series.keys()

    def filled(self) -> list[WireEvent]:
        """The events, each with what its series says; without bare ones of series that are gone."""
        found = []
        for event in self.events.values():
            series = self.series.get(event.series_master_id or "")
            if series is not None:
                found.append(event.filled_from(series))
            elif not (event.series_master_id and event.is_bare):
                found.append(event)
        return found
