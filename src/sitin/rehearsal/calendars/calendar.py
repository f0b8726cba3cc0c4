"""One calendar, and what people do in it. For tests, the controls and both providers' routes.

Every method that changes something makes one change, which the provider's listings, sync tokens and
pushes tell of.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol, Unpack
from zoneinfo import ZoneInfo

from sitin.contract.calendars import CalendarPlatform, EventStatus, ResponseStatus
from sitin.kit.errors import SitinError
from sitin.rehearsal.calendars.clock import MovableClock
from sitin.rehearsal.calendars.content import Content, Details, fields_of
from sitin.rehearsal.calendars.errors import CalendarControlError, UnknownError
from sitin.rehearsal.calendars.history import History
from sitin.rehearsal.calendars.model import (
    Conference,
    ConferenceState,
    Event,
    Moment,
    Override,
    Person,
    stamp,
)
from sitin.rehearsal.calendars.occurrences import expand, original_of
from sitin.rehearsal.calendars.recurrence import check, ended, read_lines, rest
from sitin.rehearsal.calendars.times import Written, read_moment, read_span, read_zone

Which = Event | str
"""An event, or its id; an occurrence is a record of one, or its series' id and ``on``."""


class ChangeKind(StrEnum):
    """What became of an event, as Microsoft's notifications name it."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a calendar, for those who are told of it."""

    event_id: str
    key: str | None
    kind: ChangeKind


class Surroundings(Protocol):
    """What a calendar needs of the provider that it is held at."""

    clock: MovableClock

    @property
    def platform(self) -> CalendarPlatform:
        """Whose calendar this is."""
        ...

    def next_number(self) -> int:
        """A number for a change, larger than all before."""
        ...

    def new_event_id(self) -> str:
        """An id that no event has."""
        ...

    def split_id(self, series_id: str, at: Moment) -> str:
        """The id of the series that goes on from there."""
        ...

    def ical_uid(self, event_id: str) -> str:
        """The id that the copies of a meeting share."""
        ...

    def check(self, event: Event) -> None:
        """Refuse what the provider has no words for. Raises ``CalendarControlError``."""
        ...

    def changed(self, calendar: "Calendar", changes: Sequence[Change]) -> None:
        """Tell whoever watches this calendar."""
        ...


class Calendar:
    """Events of one calendar.

    Args:
        calendar_id: The provider's id.
        name: What people call it.
        zone: Its time zone.
        owner: Who organizes what is added, and is meant by "self" among the attendees.
        surroundings: The provider.
    """

    def __init__(
        self,
        calendar_id: str,
        *,
        name: str,
        zone: ZoneInfo,
        owner: Person,
        surroundings: Surroundings,
    ) -> None:
        self.id = calendar_id
        self.name = name
        self.zone = zone
        self.owner = replace(owner, response=ResponseStatus.ACCEPTED)
        self.history = History()
        self.epoch = 0
        """Sync tokens of another epoch are not known any more."""
        self.deleted = False
        self.pushes = True
        """Whether the provider is willing to push its changes."""
        self._around = surroundings
        self._collected: list[Change] | None = None

    # Reading

    @property
    def address(self) -> str:
        """The address it goes by as an attendee."""
        return self.owner.email

    def event(self, event: Which) -> Event:
        """An event or series as it is now. Raises ``UnknownError``."""
        event_id = event if isinstance(event, str) else event.id
        found = self.history.latest(event_id)
        if found is None:
            raise UnknownError(f"event: there is no event {event_id!r} in {self.id!r}")
        return found

    def occurrence(self, series: Which, on: Written) -> Event:
        """The occurrence with this original start, however it differs. Raises ``UnknownError``."""
        stored = self.event(series)
        return stored.occurrence(original_of(stored, on, self.zone))

    def occurrences(self, start: datetime, end: datetime, *, removed: bool = False) -> list[Event]:
        """What takes place between the two, in order; what was deleted too, if asked for."""
        found = [
            occurrence
            for event in self.history
            if removed or not event.removed
            for occurrence in expand(event, self.zone, start, end)
            if removed or not occurrence.removed
        ]
        return sorted(found, key=lambda event: (event.span.bounds(self.zone), event.id))

    # Writing

    def add(
        self,
        title: str | None,
        start: Written,
        *,
        end: Written | None = None,
        minutes: float | None = None,
        zone: str | None = None,
        recurrence: str | Sequence[str] = (),
        event_id: str | None = None,
        ical_uid: str | None = None,
        **details: Unpack[Details],
    ) -> Event:
        """Add an event, or a series.

        Args:
            title: ``None`` for none at all.
            start: A time, or a day; without an offset it is one of ``zone``.
            end: Exclusive; half an hour or a day later if not given.
            minutes: Instead of ``end``.
            zone: IANA name; the calendar's if not given.
            recurrence: An RRULE, or RRULE, RDATE and EXDATE lines.
            event_id: The provider's id; a new one if not given.
            ical_uid: The id that copies of one meeting share; one of its own if not given.
            details: Everything else.
        """
        where = self.zone if zone is None else read_zone(zone)
        fields = {
            "organizer": self.owner,
            **fields_of(details),
            "title": title,
            "span": read_span(start, end, where, minutes=minutes),
            "recurrence": read_lines(recurrence),
        }
        return self.create(fields, event_id=event_id, ical_uid=ical_uid)

    def create(
        self, fields: Mapping[str, Any], *, event_id: str | None = None, ical_uid: str | None = None
    ) -> Event:
        """Add an event with these fields of ``Event``; ``span`` has to be among them."""
        new_id = event_id or self._around.new_event_id()
        if self.history.latest(new_id) is not None:
            raise CalendarControlError(f"event_id: there is an event {new_id!r} already")
        now = self._around.clock.now()
        event = Event(
            id=new_id,
            ical_uid=ical_uid or self._around.ical_uid(new_id),
            created=now,
            updated=now,
            number=0,
            **fields,
        )
        return self._put(event, ChangeKind.CREATED)

    def edit(self, event: Which, *, on: Written | None = None, **content: Unpack[Content]) -> Event:
        """Change what an event, a series or one occurrence says."""
        return self.revise(event, fields_of(content), on=on)

    def revise(
        self,
        event: Which,
        fields: Mapping[str, Any],
        *,
        on: Written | None = None,
        kind: ChangeKind = ChangeKind.UPDATED,
    ) -> Event:
        """Replace fields of ``Event`` in an event, a series or one occurrence, in one change.

        A series with other times or another pattern begins anew: what was different about some of
        its occurrences is lost.
        """
        stored, original = self._find(event, on)
        if original is not None:
            return self._override(stored, original, fields, kind)
        changed = replace(stored, **fields, sequence=stored.sequence + bool(fields))
        pattern = (changed.span, changed.recurrence)
        if stored.is_series and pattern != (stored.span, stored.recurrence):
            changed = replace(changed, generation=stored.generation + 1)
            changed = replace(changed, exceptions=self._plain(stored, changed))
        return self._put(changed, kind)

    def move(
        self,
        event: Which,
        start: Written,
        *,
        end: Written | None = None,
        minutes: float | None = None,
        zone: str | None = None,
        on: Written | None = None,
    ) -> Event:
        """Give an event or one occurrence another time; it lasts as long as before unless told."""
        stored, original = self._find(event, on)
        where = read_zone(zone or stored.span.zone or self.zone.key)
        before = stored if original is None else stored.occurrence(original)
        span = read_span(start, end, where, minutes=minutes)
        if end is None and minutes is None and span.all_day is before.span.all_day:
            span = before.span.at(span.start)
        return self.revise(event, {"span": span}, on=on)

    def repeat(
        self, series: Which, recurrence: str | Sequence[str], *, start: Written | None = None
    ) -> Event:
        """Give a series another pattern, or make a series of an event.

        Occurrences get new ids at Microsoft, and what was different about some of them is lost.
        """
        stored = self.event(series)
        lines = read_lines(recurrence)
        span = stored.span
        if start is not None:
            span = span.at(read_moment(start, ZoneInfo(span.zone or self.zone.key)))
        return self.revise(stored, {"recurrence": lines, "span": span})

    def reset(self, series: Which) -> Event:
        """Take back whatever was different about single occurrences.

        Microsoft's exceptions become occurrences again; Google's stay exceptions, with the
        series' values.
        """
        stored = self.event(series)
        changed = replace(
            stored, exceptions=self._plain(stored, stored), sequence=stored.sequence + 1
        )
        return self._put(changed, ChangeKind.UPDATED)

    def respond(
        self,
        event: Which,
        response: ResponseStatus,
        *,
        who: str | None = None,
        on: Written | None = None,
    ) -> Event:
        """Answer an invitation, as the calendar's owner or as another attendee."""
        stored, original = self._find(event, on)
        seen = stored if original is None else stored.occurrence(original)
        who = who or self.address
        people = {person.email: person for person in seen.attendees}
        person = people.get(who, Person(who))
        people[who] = replace(person, response=response)
        return self.revise(event, {"attendees": tuple(people.values())}, on=on)

    def decline(
        self,
        event: Which,
        *,
        who: str | None = None,
        on: Written | None = None,
        keep: bool | None = None,
    ) -> Event:
        """Decline. Microsoft's own copy is removed then, unless it is to be kept."""
        if keep is None:
            keep = self._around.platform is not CalendarPlatform.MICROSOFT
        if who is None and not keep:
            return self.delete(event, on=on)
        return self.respond(event, ResponseStatus.DECLINED, who=who, on=on)

    def cancel(self, event: Which, *, on: Written | None = None) -> Event:
        """The organizer cancels: Microsoft's copy says so and stays, Google's is a tombstone."""
        return self.revise(event, {"status": EventStatus.CANCELLED}, on=on)

    def delete(self, event: Which, *, on: Written | None = None) -> Event:
        """Delete an event, a series or one occurrence; a tombstone stays."""
        return self.revise(event, {"removed": True}, on=on, kind=ChangeKind.DELETED)

    def restore(self, event: Which, *, on: Written | None = None) -> Event:
        """Bring back what was cancelled or deleted, under the same id."""
        return self.revise(event, {"removed": False, "status": EventStatus.CONFIRMED}, on=on)

    def split(
        self,
        series: Which,
        on: Written | None = None,
        *,
        start: Written | None = None,
        recurrence: str | Sequence[str] | None = None,
        **content: Unpack[Content],
    ) -> Event:
        """Change "this and following": end a series before an occurrence, and begin another.

        Returns:
            The new series. Exceptions from there on are lost.
        """
        stored, original = self._find(series, on)
        if original is None:
            raise CalendarControlError("on: tell from which occurrence on")
        if not _before(stored.span.start, original):
            raise CalendarControlError("on: from the first occurrence on, edit the series itself")
        lines = rest(stored.recurrence, stored.span.start, original)
        span = stored.span.at(original)
        if recurrence is not None:
            lines = read_lines(recurrence)
        if start is not None:
            span = span.at(read_moment(start, ZoneInfo(span.zone or self.zone.key)))
        kept = {
            key: override
            for key, override in stored.exceptions.items()
            if _before(override.original, original)
        }
        new_id = self._around.split_id(stored.id, original)
        check(lines, span.start)
        with self.batch():
            self._put(
                replace(
                    stored,
                    recurrence=ended(stored.recurrence, original),
                    exceptions=MappingProxyType(kept),
                    sequence=stored.sequence + 1,
                ),
                ChangeKind.UPDATED,
            )
            new = replace(
                stored,
                id=new_id,
                ical_uid=self._around.ical_uid(new_id),
                span=span,
                recurrence=lines,
                exceptions=MappingProxyType({}),
                created=self._around.clock.now(),
                **fields_of(content),
            )
            return self._put(new, ChangeKind.CREATED)

    def finish_conference(
        self, event: Which, meeting_url: str | None, *, on: Written | None = None
    ) -> Event:
        """A pending conference is made, or has failed if there is no address."""
        if meeting_url is None:
            return self.edit(event, on=on, conference=Conference((), ConferenceState.FAILURE))
        return self.edit(event, on=on, meeting_url=meeting_url)

    def touch(self, event: Which, *, on: Written | None = None) -> Event:
        """Change nothing, and have it told all the same."""
        return self.revise(event, {}, on=on)

    def expire_sync(self) -> None:
        """Forget every sync token and delta link given until now."""
        self.epoch += 1

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """What is changed inside is told in one go at the end."""
        if self._collected is not None:
            yield
            return
        self._collected = []
        try:
            yield
        finally:
            changes, self._collected = self._collected, None
            if changes:
                self._around.changed(self, changes)

    def _find(self, event: Which, on: Written | None) -> tuple[Event, Moment | None]:
        stored = self.event(event)
        if on is not None:
            return stored, original_of(stored, on, self.zone)
        if isinstance(event, Event) and event.original is not None:
            return stored, original_of(stored, event.original, self.zone)
        return stored, None

    def _plain(self, before: Event, after: Event) -> Mapping[str, Override]:
        """The exceptions that are left of those before, with nothing different about them.

        Google has no word for an exception that is one no more, so those that still occur stay.
        """
        kept: dict[str, Override] = {}
        if self._around.platform is CalendarPlatform.GOOGLE and after.is_series:
            number, now = self._around.next_number(), self._around.clock.now()
            pattern = replace(after, exceptions=MappingProxyType({}))
            for key in before.exceptions:
                with contextlib.suppress(SitinError):
                    original = original_of(pattern, key, self.zone)
                    kept[key] = Override(original, MappingProxyType({}), number, now)
        return MappingProxyType(kept)

    def _override(
        self, stored: Event, original: Moment, fields: Mapping[str, Any], kind: ChangeKind
    ) -> Event:
        key = stamp(original)
        before = stored.exceptions.get(key)
        override = Override(
            original,
            MappingProxyType({**(before.changes if before else {}), **fields}),
            self._around.next_number(),
            self._around.clock.now(),
        )
        # The series' own record stays as it is; only a version of it is new.
        changed = replace(stored, exceptions=MappingProxyType({**stored.exceptions, key: override}))
        self._note(changed, override.number, Change(stored.id, key, kind))
        return changed.occurrence(original)

    def _put(self, event: Event, kind: ChangeKind) -> Event:
        check(event.recurrence, event.span.start)
        self._around.check(event)
        number = self._around.next_number()
        event = replace(event, number=number, updated=self._around.clock.now())
        self._note(event, number, Change(event.id, None, kind))
        return event

    def _note(self, event: Event, number: int, change: Change) -> None:
        self.history.put(event, number)
        with self.batch():
            assert self._collected is not None
            self._collected.append(change)


def _before(one: Moment, other: Moment) -> bool:
    return stamp(one) < stamp(other)
