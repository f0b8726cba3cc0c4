"""What the API tells of a calendar's events and series. Used by the routes."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.service import Caller
from sitin.bots.scheduled.for_events import EventBots
from sitin.calendars import schemas, store
from sitin.calendars.errors import CalendarNotFoundError, EventNotFoundError
from sitin.calendars.models import Connection, Event, Series
from sitin.contract.calendars import CalendarPlatform, EventStatus
from sitin.contract.codes import Platform
from sitin.kit.paging import Cursor, Page


class Events:
    """Reads in the caller's transaction."""

    def __init__(self, bots: EventBots) -> None:
        self._bots = bots

    async def page(
        self,
        session: AsyncSession,
        caller: Caller,
        connection_id: UUID,
        which: store.EventFilter,
        *,
        limit: int,
        cursor: Cursor | None,
    ) -> Page[schemas.EventListItem]:
        """A page of events, by start. Raises ``CalendarNotFoundError`` and ``CursorError``."""
        connection = await found(session, caller, connection_id)
        page = await store.page_of_events(session, connection.id, which, limit=limit, cursor=cursor)
        series = await store.series_by_id(session, {event.series_id for event in page.rows})
        with_bots = await self._bots.scheduled(session, [event.id for event in page.rows])
        items = [
            schemas.EventListItem(
                **_fields(event, with_bots),
                series_id=event.series_id,
                event_type=event_type(series[event.series_id]),
            )
            for event in page.rows
        ]
        return Page(items, page.cursor, page.prev_cursor)

    async def page_of_series(
        self,
        session: AsyncSession,
        caller: Caller,
        connection_id: UUID,
        event_types: Sequence[str],
        *,
        cancelled: bool,
        limit: int,
        cursor: Cursor | None,
    ) -> Page[schemas.SeriesItem]:
        """A page of series with their events, by start; raises as ``page``."""
        connection = await found(session, caller, connection_id)
        page = await store.page_of_series(
            session, connection.id, event_types, limit=limit, cursor=cursor
        )
        events = await store.events_of_series(
            session, [series.id for series in page.rows], cancelled=cancelled
        )
        with_bots = await self._bots.scheduled(session, [event.id for event in events])
        items = [
            schemas.SeriesItem(
                series_id=series.id,
                event_type=event_type(series),
                calendar_id=connection.id,
                created_at=series.created_at,
                events=[
                    schemas.SeriesEvent(**_fields(event, with_bots))
                    for event in events
                    if event.series_id == series.id
                ],
            )
            for series in page.rows
        ]
        return Page(items, page.cursor, page.prev_cursor)

    async def details(
        self, session: AsyncSession, caller: Caller, connection_id: UUID, event_id: UUID
    ) -> schemas.EventDetails:
        """All about an event. Raises ``CalendarNotFoundError`` or ``EventNotFoundError``."""
        connection = await found(session, caller, connection_id)
        event = await store.event(session, connection.id, event_id)
        if event is None:
            raise EventNotFoundError(event_id)
        series = (await store.series_by_id(session, [event.series_id]))[event.series_id]
        with_bots = await self._bots.scheduled(session, [event.id])
        fields = _fields(event, with_bots)
        fields.pop("is_exception")
        return schemas.EventDetails(
            **fields,
            series_id=event.series_id,
            event_type=event_type(series),
            description=event.description,
            location=event.location,
            timezone=event.time_zone,
            is_all_day=event.is_all_day,
            organizer_email=event.organizer_email,
            organizer_name=event.organizer_name,
            attendees=_attendees(event),
            calendar_platform=CalendarPlatform(connection.platform),
            updated_at=event.updated_at,
        )


async def found(
    session: AsyncSession, caller: Caller, connection_id: UUID, *, lock: bool = False
) -> Connection:
    """The team's connection. Raises ``CalendarNotFoundError``."""
    connection = await store.get(session, caller.team_id, connection_id, lock=lock)
    if connection is None:
        raise CalendarNotFoundError(connection_id)
    return connection


def event_type(series: Series) -> schemas.EventType:
    """The type of a series' events, as the API names it."""
    return "one_off" if series.event_type == "one_off" else "recurring"


def _fields(event: Event, with_bots: set[UUID]) -> dict[str, object]:
    platform = event.meeting_platform
    return {
        "event_id": event.id,
        "title": event.title,
        "start_time": event.start_at,
        "end_time": event.end_at,
        "status": EventStatus(event.status),
        "is_exception": event.is_exception,
        "meeting_url": event.meeting_url,
        "meeting_platform": None if platform is None else Platform(platform),
        "calendar_id": event.connection_id,
        "bot_scheduled": event.id in with_bots,
        "created_at": event.created_at,
    }


def _attendees(event: Event) -> list[schemas.AttendeeOut] | None:
    if event.attendees is None:
        return None
    return [schemas.AttendeeOut.model_validate(one) for one in event.attendees]
