"""The operations under ``/v2/calendars``. Included by api."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from sitin.accounts.routing import (
    CallerOfRequest,
    KeyedRoute,
    SessionOfRequest,
    TransactionOfRequest,
)
from sitin.bots.routing import CursorText, bad_cursor, choices, errors, read_cursor
from sitin.bots.schemas import Done
from sitin.calendars import schemas
from sitin.calendars.bots import CalendarBots
from sitin.calendars.connections import Connections
from sitin.calendars.events import Events
from sitin.calendars.models import Connection
from sitin.calendars.requests import (
    CreateCalendarBotRequestBody,
    CreateCalendarConnectionRequestBody,
    DeleteCalendarBotRequestBody,
    ListRawCalendarsRequestBody,
    UpdateCalendarBotRequestBody,
    UpdateCalendarConnectionRequestBody,
)
from sitin.calendars.store import ConnectionFilter, EventFilter
from sitin.contract.calendars import CalendarPlatform, ConnectionStatus, EventStatus
from sitin.kit.paging import CursorError
from sitin.kit.wire import Id, OptionalQuery, OptionalTime

router = APIRouter(prefix="/v2/calendars", tags=["Calendars"], route_class=KeyedRoute)


class _EventType(StrEnum):
    ONE_OFF = "one_off"
    RECURRING = "recurring"


async def _connections(request: Request) -> Connections:
    connections: Connections = request.app.state.calendar_connections
    return connections


async def _events(request: Request) -> Events:
    events: Events = request.app.state.calendar_events
    return events


async def _bots(request: Request) -> CalendarBots:
    bots: CalendarBots = request.app.state.calendar_bots
    return bots


ConnectionsOfApp = Annotated[Connections, Depends(_connections)]
EventsOfApp = Annotated[Events, Depends(_events)]
CalendarBotsOfApp = Annotated[CalendarBots, Depends(_bots)]
CalendarId = Annotated[Id, Path(description="The connection's id.")]
EventId = Annotated[Id, Path(description="The event's id.")]
PageSize = Annotated[
    int, Query(ge=1, le=250, json_schema_extra={"x-required": True}, description="Items per page.")
]
ShowCancelled = Annotated[
    bool,
    Query(
        json_schema_extra={"x-required": True}, description="Whether cancelled events are listed."
    ),
]
Alias = Annotated[OptionalQuery, Query(include_in_schema=False)]
TimeAlias = Annotated[OptionalTime, Query(include_in_schema=False)]
FlagAlias = Annotated[bool | None, Query(include_in_schema=False)]


@router.post(
    "/list-raw",
    operation_id="listRawCalendars",
    summary="List an account's calendars",
    response_model=schemas.ListRawCalendarsResponse,
    responses=errors(401, 403, writes=True),
)
async def list_raw_calendars(
    body: ListRawCalendarsRequestBody, connections: ConnectionsOfApp, caller: CallerOfRequest
) -> schemas.ListRawCalendarsResponse:
    """The calendars that these credentials can read; nothing is stored."""
    del caller
    return schemas.ListRawCalendarsResponse(
        success=True,
        data=[
            schemas.RawCalendarItem(
                id=one.id, name=one.name, email=one.email, is_primary=one.is_primary
            )
            for one in await connections.list_raw(body)
        ],
    )


@router.post(
    "",
    operation_id="createCalendarConnection",
    summary="Connect a calendar",
    status_code=201,
    response_model=schemas.CreateCalendarConnectionResponse,
    responses=errors(401, 409, 429),
)
async def create_calendar_connection(
    body: CreateCalendarConnectionRequestBody,
    connections: ConnectionsOfApp,
    transaction: TransactionOfRequest,
    caller: CallerOfRequest,
) -> schemas.CreateCalendarConnectionResponse:
    """Connect a calendar with an OAuth app of yours; its events of the next 30 days follow.

    Credentials that the provider refuses are a 401 or 403, a calendar that the account does not
    have is a 404, and then nothing is stored.
    """
    connection = await connections.create(transaction, caller, body)
    return schemas.CreateCalendarConnectionResponse(
        success=True,
        data=schemas.ConnectionCreated(
            calendar_id=connection.id,
            calendar_platform=CalendarPlatform(connection.platform),
            account_email=connection.account_email,
            status=ConnectionStatus(connection.status),
            created_at=connection.created_at,
        ),
    )


@router.get(
    "",
    operation_id="listCalendars",
    summary="List connections",
    response_model=schemas.ListCalendarsResponse,
    responses=errors(),
)
async def list_calendars(
    connections: ConnectionsOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
    limit: PageSize = 50,
    cursor: CursorText = None,
    account_email: Annotated[
        OptionalQuery, Query(description="Part of the account's address; case is ignored.")
    ] = None,
    calendar_platform: Annotated[
        OptionalQuery, Query(description="google or microsoft; several with commas.")
    ] = None,
    platform: Alias = None,
    status: Annotated[OptionalQuery, Query(description="Statuses, several with commas.")] = None,
) -> schemas.ListCalendarsResponse:
    """The team's connections, newest first."""
    named = calendar_platform or platform
    which = ConnectionFilter(
        email_part=account_email,
        platforms=choices("calendar_platform", named, CalendarPlatform),
        statuses=choices("status", status, ConnectionStatus),
    )
    try:
        page = await connections.page(
            session, caller, which, limit=limit, cursor=read_cursor(cursor)
        )
    except CursorError:
        raise bad_cursor() from None
    return schemas.ListCalendarsResponse(
        success=True,
        data=[_item(connection) for connection in page.rows],
        cursor=page.cursor,
        prev_cursor=page.prev_cursor,
    )


@router.get(
    "/{calendar_id}",
    operation_id="getCalendarDetails",
    summary="Show a connection",
    response_model=schemas.GetCalendarDetailsResponse,
    responses=errors(404),
)
async def get_calendar_details(
    calendar_id: CalendarId,
    connections: ConnectionsOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
) -> schemas.GetCalendarDetailsResponse:
    """How a connection stands, when it was synced, and how it hears of changes."""
    details = await connections.details(session, caller, calendar_id)
    return schemas.GetCalendarDetailsResponse(success=True, data=details)


@router.delete(
    "/{calendar_id}",
    operation_id="deleteCalendarConnection",
    summary="Disconnect a calendar",
    response_model=schemas.DeleteCalendarConnectionResponse,
    responses=errors(404, writes=True),
)
async def delete_calendar_connection(
    calendar_id: CalendarId,
    connections: ConnectionsOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
) -> schemas.DeleteCalendarConnectionResponse:
    """Forget a calendar and its events, for good; bots that have not gone do not go."""
    await connections.delete(session, caller, calendar_id)
    done = Done(message="The calendar is disconnected, and its events and bots are deleted.")
    return schemas.DeleteCalendarConnectionResponse(success=True, data=done)


@router.patch(
    "/{calendar_id}",
    operation_id="updateCalendarConnection",
    summary="Give a connection other credentials",
    response_model=schemas.UpdateCalendarConnectionResponse,
    responses=errors(401, 403, 404, writes=True),
)
async def update_calendar_connection(
    calendar_id: CalendarId,
    body: UpdateCalendarConnectionRequestBody,
    connections: ConnectionsOfApp,
    transaction: TransactionOfRequest,
    caller: CallerOfRequest,
) -> schemas.UpdateCalendarConnectionResponse:
    """Change what is given of the credentials, once they have proven good."""
    connection = await connections.update(transaction, caller, calendar_id, body)
    return schemas.UpdateCalendarConnectionResponse(
        success=True,
        data=schemas.ConnectionUpdated(
            calendar_id=connection.id,
            calendar_platform=CalendarPlatform(connection.platform),
            account_email=connection.account_email,
            status=ConnectionStatus(connection.status),
            updated_at=connection.updated_at,
        ),
    )


@router.post(
    "/{calendar_id}/sync",
    operation_id="syncCalendar",
    summary="Sync a calendar",
    response_model=schemas.SyncCalendarResponse,
    responses=errors(401, 404, writes=True),
)
async def sync_calendar(
    calendar_id: CalendarId,
    connections: ConnectionsOfApp,
    transaction: TransactionOfRequest,
    caller: CallerOfRequest,
) -> schemas.SyncCalendarResponse:
    """Have all events of the next 30 days listed anew; credentials that fail are told at once."""
    await connections.sync(transaction, caller, calendar_id)
    done = Done(message="The calendar is being synced.")
    return schemas.SyncCalendarResponse(success=True, data=done)


@router.post(
    "/{calendar_id}/resubscribe",
    operation_id="resubscribeCalendar",
    summary="Subscribe to a calendar's changes anew",
    response_model=schemas.ResubscribeCalendarResponse,
    responses=errors(401, 403, 404, writes=True),
)
async def resubscribe_calendar(
    calendar_id: CalendarId,
    connections: ConnectionsOfApp,
    transaction: TransactionOfRequest,
    caller: CallerOfRequest,
    request: Request,
) -> schemas.ResubscribeCalendarResponse:
    """Have the provider push to a new subscription, and end the old one."""
    await connections.resubscribe(transaction, caller, calendar_id)
    return schemas.ResubscribeCalendarResponse(
        success=True,
        data=schemas.Resubscribed(
            calendar_id=calendar_id, resubscribed_at=request.app.state.clock.now()
        ),
    )


@router.get(
    "/{calendar_id}/events",
    operation_id="listEvents",
    summary="List events",
    response_model=schemas.ListEventsResponse,
    responses=errors(404),
)
async def list_events(
    calendar_id: CalendarId,
    events: EventsOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
    limit: PageSize = 50,
    cursor: CursorText = None,
    start_date: Annotated[OptionalTime, Query(description="Events that start then or later.")] = (
        None
    ),
    end_date: Annotated[OptionalTime, Query(description="Events that end then or earlier.")] = None,
    start_after: TimeAlias = None,
    start_before: TimeAlias = None,
    status: Annotated[OptionalQuery, Query(description="Statuses, several with commas.")] = None,
    show_cancelled: ShowCancelled = True,
    include_deleted: FlagAlias = None,
) -> schemas.ListEventsResponse:
    """A calendar's events, by start."""
    statuses = choices("status", status, EventStatus) or tuple(EventStatus)
    if not (show_cancelled if include_deleted is None else include_deleted):
        statuses = tuple(one for one in statuses if one is not EventStatus.CANCELLED)
    which = EventFilter(
        start=start_date or start_after, end=end_date or start_before, statuses=statuses
    )
    try:
        page = await events.page(
            session, caller, calendar_id, which, limit=limit, cursor=read_cursor(cursor)
        )
    except CursorError:
        raise bad_cursor() from None
    return schemas.ListEventsResponse(
        success=True, data=list(page.rows), cursor=page.cursor, prev_cursor=page.prev_cursor
    )


@router.get(
    "/{calendar_id}/series",
    operation_id="listEventSeries",
    summary="List event series",
    response_model=schemas.ListEventSeriesResponse,
    responses=errors(404),
)
async def list_event_series(
    calendar_id: CalendarId,
    events: EventsOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
    limit: PageSize = 50,
    cursor: CursorText = None,
    event_type: Annotated[
        OptionalQuery, Query(description="one_off or recurring; several with commas.")
    ] = None,
    show_cancelled: ShowCancelled = True,
    include_deleted: FlagAlias = None,
) -> schemas.ListEventSeriesResponse:
    """A calendar's series with their events, by the start of the first."""
    try:
        page = await events.page_of_series(
            session,
            caller,
            calendar_id,
            choices("event_type", event_type, _EventType),
            cancelled=show_cancelled if include_deleted is None else include_deleted,
            limit=limit,
            cursor=read_cursor(cursor),
        )
    except CursorError:
        raise bad_cursor() from None
    return schemas.ListEventSeriesResponse(
        success=True, data=list(page.rows), cursor=page.cursor, prev_cursor=page.prev_cursor
    )


@router.get(
    "/{calendar_id}/events/{event_id}",
    operation_id="getEventDetails",
    summary="Show an event",
    response_model=schemas.GetEventDetailsResponse,
    responses=errors(404),
)
async def get_event_details(
    calendar_id: CalendarId,
    event_id: EventId,
    events: EventsOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
) -> schemas.GetEventDetailsResponse:
    """All about an event, a cancelled one too."""
    details = await events.details(session, caller, calendar_id, event_id)
    return schemas.GetEventDetailsResponse(success=True, data=details)


@router.post(
    "/{calendar_id}/bots",
    operation_id="createCalendarBot",
    summary="Send bots to events",
    status_code=201,
    response_model=schemas.CreateCalendarBotResponse,
    responses=errors(404, writes=True),
)
async def create_calendar_bot(
    calendar_id: CalendarId,
    body: CreateCalendarBotRequestBody,
    bots: CalendarBotsOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
) -> schemas.CreateCalendarBotResponse:
    """Schedule a bot for one event, or for every event of a series, also those to come."""
    done, failed = await bots.create(session, caller, calendar_id, body)
    return schemas.CreateCalendarBotResponse(success=True, data=done, errors=failed)


@router.patch(
    "/{calendar_id}/bots",
    operation_id="updateCalendarBot",
    summary="Change bots of events",
    response_model=schemas.UpdateCalendarBotResponse,
    responses=errors(404, 409, writes=True),
)
async def update_calendar_bot(
    calendar_id: CalendarId,
    body: UpdateCalendarBotRequestBody,
    bots: CalendarBotsOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
) -> schemas.UpdateCalendarBotResponse:
    """Change what is given of one event's bot, or of every bot of a series."""
    done, failed = await bots.update(session, caller, calendar_id, body)
    return schemas.UpdateCalendarBotResponse(success=True, data=done, errors=failed)


@router.delete(
    "/{calendar_id}/bots",
    operation_id="deleteCalendarBot",
    summary="Cancel bots of events",
    response_model=schemas.DeleteCalendarBotResponse,
    responses=errors(404, 409, writes=True),
)
async def delete_calendar_bot(
    calendar_id: CalendarId,
    body: DeleteCalendarBotRequestBody,
    bots: CalendarBotsOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
) -> schemas.DeleteCalendarBotResponse:
    """Cancel one event's bot, or every bot of a series, also those to come."""
    done, failed = await bots.delete(session, caller, calendar_id, body)
    return schemas.DeleteCalendarBotResponse(success=True, data=done, errors=failed)


def _item(connection: Connection) -> schemas.ConnectionListItem:
    return schemas.ConnectionListItem(
        calendar_id=connection.id,
        calendar_platform=CalendarPlatform(connection.platform),
        account_email=connection.account_email,
        status=ConnectionStatus(connection.status),
        synced_at=connection.synced_at,
        created_at=connection.created_at,
    )
