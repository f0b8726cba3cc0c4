"""Graph's events: views, delta rounds and changes. For the routes."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import JSONResponse, Response

from sitin.rehearsal.calendars.accounts import Entry
from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.errors import UnknownError
from sitin.rehearsal.calendars.microsoft.delta import (
    Item,
    changed_round,
    full_round,
    view,
)
from sitin.rehearsal.calendars.microsoft.errors import (
    access_denied,
    invalid,
    not_found,
    sync_state_gone,
)
from sitin.rehearsal.calendars.microsoft.ids import read_id, write_id
from sitin.rehearsal.calendars.microsoft.provider import MicrosoftRehearsal
from sitin.rehearsal.calendars.microsoft.reading import (
    DEFAULT_RESULTS,
    check_delta,
    check_query,
    read_event,
    read_time,
    read_top,
    read_window,
)
from sitin.rehearsal.calendars.microsoft.render import (
    View,
    render_bare,
    render_event,
    render_removed,
    ticks,
)
from sitin.rehearsal.calendars.model import Conference, ConferenceState, EntryPoint, Event
from sitin.rehearsal.calendars.paging import Listings, cut, read_token, write_token
from sitin.rehearsal.calendars.provider import Call

_ORDERS = ("start/dateTime", "start/dateTime asc", "start/dateTime desc")


@dataclass(frozen=True, slots=True)
class Reading:
    """A view or a round of delta that is being read.

    Attributes:
        items: Of a view, none of them removed.
        link: What the next delta link carries; ``None`` for a view.
        epoch: The calendar's, as it was.
    """

    items: list[Item]
    link: Mapping[str, Any] | None
    epoch: int


class EventHandlers:
    """One method per route."""

    def __init__(self, microsoft: MicrosoftRehearsal) -> None:
        self._microsoft = microsoft
        self._readings: Listings[Reading] = Listings()

    async def view(self, call: Call) -> Response:
        """Everything in a window."""
        check_query(call.query)
        entry = self._microsoft.entry(call)
        size = read_top(call.query)
        if "$skiptoken" in call.query:
            return self._page(call, entry, size)
        start, end = read_window(call.query)
        found = view(entry.calendar, start, end)
        order = call.query.get("$orderby")
        if order is not None:
            if order not in _ORDERS:
                raise invalid(f"This rehearsal orders by {', '.join(_ORDERS)} only.")
            found.sort(
                key=lambda event: event.span.bounds(entry.calendar.zone)[0],
                reverse=order.endswith("desc"),
            )
        items = [Item(event) for event in found]
        return self._page(call, entry, size, Reading(items, None, entry.calendar.epoch))

    async def delta(self, call: Call) -> Response:
        """A window, or what has changed in it."""
        check_delta(call.query)
        entry = self._microsoft.entry(call)
        size = self._microsoft.preferences(call).page_size or DEFAULT_RESULTS
        if "$skiptoken" in call.query:
            return self._page(call, entry, size)
        if "$deltatoken" in call.query:
            return self._page(call, entry, size, self._changes(call, entry.calendar))
        start, end = read_window(call.query)
        now = self._microsoft.world.last_number
        link = _link(entry.calendar, start, end, number=now, before=now)
        items = full_round(entry.calendar, start, end)
        return self._page(call, entry, size, Reading(items, link, entry.calendar.epoch))

    async def get(self, call: Call) -> Response:
        """One event, series or occurrence."""
        entry, event = self._find(call)
        return self._event(call, entry, event)

    async def create(self, call: Call) -> Response:
        """Add an event."""
        entry = self._writable(self._microsoft.entry(call))
        fields = self._made(read_event(call.json()))
        made = entry.calendar.create({"organizer": entry.calendar.owner, **fields})
        return self._event(call, entry, made, status=201)

    async def patch(self, call: Call) -> Response:
        """Change some of an event, a series or an occurrence."""
        entry, event = self._find(call)
        self._writable(entry)
        fields = self._made(read_event(call.json(), before=event))
        if event.key is not None and fields.pop("recurrence", ()):
            raise invalid("An occurrence has no recurrence of its own.")
        if fields:
            event = entry.calendar.revise(event, fields)
        return self._event(call, entry, event)

    async def delete(self, call: Call) -> Response:
        """Delete an event, a series or an occurrence."""
        entry, event = self._find(call)
        self._writable(entry)
        entry.calendar.delete(event)
        return Response(status_code=204)

    def _changes(self, call: Call, calendar: Calendar) -> Reading:
        token = read_token(call.query["$deltatoken"])
        if token is None or token.get("c") != calendar.id:
            raise invalid("Badly formed token.")
        start, end = read_time(token["s"], "start"), read_time(token["e"], "end")
        if token["g"] != calendar.epoch:
            raise self._gone(calendar, start, end)
        items = changed_round(
            calendar,
            start,
            end,
            since=token["b"] if self._microsoft.replays else token["n"],
            silent=self._microsoft.silent_deletions,
        )
        now = self._microsoft.world.last_number
        link = _link(calendar, start, end, number=now, before=token["n"])
        return Reading(items, link, calendar.epoch)

    def _gone(self, calendar: Calendar, start: datetime, end: datetime) -> Exception:
        location = None
        if self._microsoft.gone_location:
            window = f"startDateTime={ticks(start)}&endDateTime={ticks(end)}"
            location = f"{self._delta_url(calendar)}?{window}"
        return sync_state_gone(self._microsoft.gone_code, location=location)

    def _page(
        self, call: Call, entry: Entry, size: int, reading: Reading | None = None
    ) -> Response:
        offset, number, name = 0, 1, ""
        calendar = entry.calendar
        if reading is None:
            state = read_token(call.query["$skiptoken"]) or {}
            offset, number, name = state.get("o", 0), state.get("p", 1), state.get("l", "")
            reading = self._readings.get(name)
            if reading is None:
                raise invalid("Badly formed token.")
        if reading.link is not None and reading.epoch != calendar.epoch:
            window = read_time(reading.link["s"], "start"), read_time(reading.link["e"], "end")
            raise self._gone(calendar, *window)
        page = cut(
            reading.items, offset=offset, size=size, number=number, how=self._microsoft.paging
        )
        seen = self._microsoft.view(call, entry)
        is_delta = reading.link is not None
        shown: dict[str, Any] = {
            "@odata.context": f"{self._microsoft.graph_url}/v1.0/$metadata#Collection(event)",
            "value": [
                _render(item, seen) if is_delta else _selected(call, render_event(item.event, seen))
                for item in page.items
            ],
        }
        url = self._delta_url(calendar) if is_delta else self._view_url(calendar)
        if page.next_offset is not None:
            name = name or self._readings.keep(reading)
            token = write_token({"l": name, "o": page.next_offset, "p": number + 1})
            shown["@odata.nextLink"] = f"{url}?{_repeated(call)}$skiptoken={token}"
        elif reading.link is not None:
            token = write_token({**reading.link})
            shown["@odata.deltaLink"] = f"{url}?$deltatoken={token}"
        return self._applied(call, shown)

    def _delta_url(self, calendar: Calendar) -> str:
        return f"{self._view_url(calendar)}/delta"

    def _view_url(self, calendar: Calendar) -> str:
        return f"{self._microsoft.graph_url}/v1.0/me/calendars/{calendar.id}/calendarView"

    def _find(self, call: Call) -> tuple[Entry, Event]:
        """An event of any calendar, or of the one that is named. Raises ``ApiError``."""
        event_id = call.path("event_id")
        if read_id(event_id) is None:
            raise invalid("Id is malformed.", "ErrorInvalidIdMalformed")
        entries = [self._microsoft.entry(call)]
        if "calendar_id" not in call.request.path_params:
            entries = [
                entry
                for entry in call.account.entries.values()
                if not entry.gone and not entry.calendar.deleted
            ]
        for entry in entries:
            with contextlib.suppress(UnknownError):
                event = self._microsoft.locate(entry.calendar, event_id)
                if not event.removed:
                    return entry, event
        raise not_found()

    def _writable(self, entry: Entry) -> Entry:
        if not entry.role.writes:
            raise access_denied()
        return entry

    def _made(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        conference = fields.get("conference")
        if conference is None or conference.state is not ConferenceState.PENDING:
            return {**fields}
        point = EntryPoint("video", self._microsoft.new_meeting_url())
        return {**fields, "conference": Conference((point,))}

    def _event(self, call: Call, entry: Entry, event: Event, *, status: int = 200) -> Response:
        shown = render_event(event, self._microsoft.view(call, entry))
        context = f"{self._microsoft.graph_url}/v1.0/$metadata#events/$entity"
        return self._applied(call, {"@odata.context": context, **_selected(call, shown)}, status)

    def _applied(self, call: Call, shown: dict[str, Any], status: int = 200) -> Response:
        wanted = call.request.headers.get("prefer")
        headers = {} if wanted is None else {"preference-applied": wanted}
        return JSONResponse(shown, status, headers=headers)


def _link(
    calendar: Calendar, start: datetime, end: datetime, *, number: int, before: int
) -> dict[str, Any]:
    """What a delta link carries: calendar, window, numbers and epoch."""
    return {
        "c": calendar.id,
        "s": start.isoformat(),
        "e": end.isoformat(),
        "n": number,
        "b": before,
        "g": calendar.epoch,
    }


def _render(item: Item, seen: View) -> dict[str, Any]:
    if item.removed:
        return render_removed(write_id(item.event, immutable=seen.immutable))
    if item.event.original is not None and not item.event.is_exception:
        return render_bare(item.event, seen)
    return render_event(item.event, seen)


def _selected(call: Call, shown: dict[str, Any]) -> dict[str, Any]:
    names = call.query.get("$select")
    if names is None:
        return shown
    wanted = {"@odata.etag", "id", *(name.strip() for name in names.split(","))}
    return {name: value for name, value in shown.items() if name in wanted}


def _repeated(call: Call) -> str:
    """The parameters that a view's next page needs as well."""
    return "".join(
        f"{name}={call.query[name]}&" for name in ("$top", "$select") if name in call.query
    )
