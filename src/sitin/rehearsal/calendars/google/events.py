"""Google's events: listings, sync tokens, changes and channels. For the routes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response

from sitin.rehearsal.calendars.accounts import Entry
from sitin.rehearsal.calendars.google.errors import (
    deleted,
    full_sync_required,
    invalid,
    not_found,
    refusal,
    writer_needed,
)
from sitin.rehearsal.calendars.google.ids import locate
from sitin.rehearsal.calendars.google.listing import (
    Item,
    all_events,
    changed_events,
    instances,
)
from sitin.rehearsal.calendars.google.provider import GoogleRehearsal, answer
from sitin.rehearsal.calendars.google.reading import (
    DEFAULT_RESULTS,
    MOST_RESULTS,
    Query,
    read_count,
    read_event,
    read_event_id,
    read_max,
    read_query,
    read_response_zone,
)
from sitin.rehearsal.calendars.google.render import (
    View,
    render_event,
    render_gone,
    render_listing,
)
from sitin.rehearsal.calendars.model import Conference, ConferenceState, EntryPoint
from sitin.rehearsal.calendars.occurrences import original_of
from sitin.rehearsal.calendars.paging import Listings, cut, read_token, write_token
from sitin.rehearsal.calendars.provider import Call

_OF_THE_PAGE = frozenset(
    {
        *("pageToken", "maxResults", "maxAttendees", "timeZone", "alwaysIncludeEmail"),
        *("fields", "alt", "key", "prettyPrint", "quotaUser"),
    }
)
"""Parameters that may differ between the pages of a listing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A listing that is being read.

    Attributes:
        asked: The parameters, which every page has to repeat.
        incremental: Whether it tells changes only.
        sync: What the next sync token carries; ``None`` for no token.
        epoch: The calendar's, as it was.
    """

    items: list[Item]
    asked: frozenset[tuple[str, str]]
    incremental: bool
    sync: Mapping[str, Any] | None
    epoch: int


class EventHandlers:
    """One method per route."""

    def __init__(self, google: GoogleRehearsal) -> None:
        self._google = google
        self._readings: Listings[Reading] = Listings()

    async def list_events(self, call: Call) -> Response:
        """Events, or the changes since a sync token."""
        entry = self._google.entry(call)
        calendar = entry.calendar
        if "pageToken" in call.query:
            return self._page(call, entry)
        query = read_query(call.query, self._google.clock.now())
        incremental = query.sync_token is not None
        items = (
            self._changes(entry, query)
            if incremental
            else all_events(calendar, query, self._google.clock.now())
        )
        sync = {
            "c": calendar.id,
            "n": self._google.world.last_number,
            "e": calendar.epoch,
            "r": entry.role.value,
            "s": query.single_events,
        }
        reading = Reading(
            items,
            _asked(call),
            incremental,
            sync if query.gives_sync_token else None,
            calendar.epoch,
        )
        return self._page(call, entry, reading)

    async def instances(self, call: Call) -> Response:
        """The occurrences of a series."""
        entry = self._google.entry(call)
        calendar = entry.calendar
        if "pageToken" in call.query:
            return self._page(call, entry)
        series = locate(calendar, call.path("event_id"))
        if series.key is not None:
            raise not_found()
        asked = {**call.query, "singleEvents": "true"}
        original = asked.pop("originalStart", None)
        found = instances(
            calendar,
            series,
            read_query(asked, self._google.clock.now()),
            self._google.clock.now(),
        )
        if original is not None:
            start = original_of(series, original, calendar.zone)
            found = [item for item in found if item.event.original == start]
        return self._page(call, entry, Reading(found, _asked(call), False, None, calendar.epoch))

    async def get(self, call: Call) -> Response:
        """One event, series or occurrence, also one that is deleted."""
        entry = self._google.entry(call)
        event = locate(entry.calendar, call.path("event_id"))
        return answer(call, render_event(event, self._view(call, entry)))

    async def insert(self, call: Call) -> Response:
        """Add an event."""
        entry = self._writable(call)
        body = call.json()
        fields = read_event(body, entry.calendar, conferences=_conferences(call))
        wanted = read_event_id(body)
        if wanted is not None and entry.calendar.history.latest(wanted) is not None:
            raise refusal(409, "duplicate", "The requested identifier already exists.")
        made = entry.calendar.create(
            {"organizer": entry.calendar.owner, **self._made(fields)},
            event_id=wanted,
            ical_uid=body.get("iCalUID"),
        )
        return answer(call, render_event(made, self._view(call, entry)))

    async def patch(self, call: Call) -> Response:
        """Change some of an event, a series or an occurrence."""
        entry = self._writable(call)
        event = locate(entry.calendar, call.path("event_id"))
        view = self._view(call, entry)
        fields = read_event(
            call.json(),
            entry.calendar,
            conferences=_conferences(call),
            before=render_event(event, view),
        )
        if event.key is not None and fields.pop("recurrence", ()):
            raise refusal(400, "invalid", "An occurrence has no recurrence of its own.")
        if fields:
            event = entry.calendar.revise(event, self._made(fields))
        return answer(call, render_event(event, view))

    async def delete(self, call: Call) -> Response:
        """Delete an event, a series or an occurrence."""
        entry = self._writable(call)
        event = locate(entry.calendar, call.path("event_id"))
        if event.gone:
            raise deleted()
        entry.calendar.delete(event)
        return Response(status_code=204)

    async def watch(self, call: Call) -> Response:
        """Open a channel."""
        entry = self._google.entry(call)
        channel = self._google.channels.watch(
            call.json(),
            entry.calendar,
            call.grant,
            now=self._google.clock.now(),
            api=self._google.api_url,
        )
        first = channel.push("sync", 1)
        if self._google.sync_before_answer:
            await self._google.world.pushes.now(first)
            return answer(call, channel.render())
        answered = asyncio.Event()
        self._google.world.pushes.after(answered, [first])
        return JSONResponse(channel.render(), background=BackgroundTask(_set, answered))

    async def stop(self, call: Call) -> Response:
        """Close a channel."""
        self._google.channels.stop(call.json(), call.grant)
        return Response(status_code=204)

    def _changes(self, entry: Entry, query: Query) -> list[Item]:
        assert query.sync_token is not None
        calendar = entry.calendar
        token = read_token(query.sync_token) or {}
        known = (token.get("c"), token.get("e"), token.get("r"))
        if known != (calendar.id, calendar.epoch, entry.role.value):
            raise full_sync_required()
        if token["s"] is not query.single_events:
            raise invalid("singleEvents", "It has to be as it was in the initial request.")
        return changed_events(
            calendar,
            since=token["n"],
            single_events=query.single_events,
            now=self._google.clock.now(),
            cancellations_reach=self._google.cancellations_reach,
        )

    def _page(self, call: Call, entry: Entry, reading: Reading | None = None) -> Response:
        offset, number, name = 0, 1, ""
        calendar = entry.calendar
        if reading is None:
            state = read_token(call.query["pageToken"]) or {}
            offset, number, name = state.get("o", 0), state.get("p", 1), state.get("l", "")
            reading = self._readings.get(name)
            if reading is None or reading.asked != _asked(call):
                raise invalid("pageToken")
        if reading.incremental and reading.epoch != calendar.epoch:
            raise full_sync_required()
        view = self._view(call, entry)
        size = read_max(call.query, default=DEFAULT_RESULTS, most=MOST_RESULTS)
        page = cut(reading.items, offset=offset, size=size, number=number, how=self._google.paging)
        items = [_render(item, view) for item in page.items]
        shown = render_listing(calendar, view, items, self._google.world.last_number)
        if page.next_offset is not None:
            state = {
                "l": name or self._readings.keep(reading),
                "o": page.next_offset,
                "p": number + 1,
            }
            shown["nextPageToken"] = write_token(state)
        elif reading.sync is not None:
            shown["nextSyncToken"] = write_token({**reading.sync})
        return answer(call, shown)

    def _view(self, call: Call, entry: Entry) -> View:
        zone = read_response_zone(call.query, entry.calendar)
        return View(entry.calendar, entry.role, zone, read_count(call.query, "maxAttendees"))

    def _writable(self, call: Call) -> Entry:
        entry = self._google.entry(call)
        if not entry.role.writes:
            raise writer_needed()
        return entry

    def _made(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        conference = fields.get("conference")
        if conference is None or conference.state is not ConferenceState.PENDING:
            return {**fields}
        if self._google.conferences_pending:
            return {**fields}
        point = EntryPoint("video", self._google.new_meeting_url())
        return {**fields, "conference": Conference((point,))}


async def _set(answered: asyncio.Event) -> None:
    answered.set()


def _render(item: Item, view: View) -> dict[str, Any]:
    return render_gone(item.event, view.zone) if item.gone else render_event(item.event, view)


def _asked(call: Call) -> frozenset[tuple[str, str]]:
    return frozenset(
        (name, value) for name, value in call.query.items() if name not in _OF_THE_PAGE
    )


def _conferences(call: Call) -> bool:
    return call.query.get("conferenceDataVersion") == "1"
