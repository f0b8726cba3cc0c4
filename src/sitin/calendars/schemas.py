"""What the API answers about calendars, and what webhooks about them carry. For routes, payloads.

Every field is always there; ``null`` means that there is nothing to tell.
"""

from typing import Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from sitin.bots.schemas import Done
from sitin.contract.calendars import (
    CalendarPlatform,
    ConnectionStatus,
    EventStatus,
    ResponseStatus,
)
from sitin.contract.codes import Platform
from sitin.kit.wire import IdOut, JsonObject, Out, TimeOut, UriOut

EventType = Literal["one_off", "recurring"]


class RawCalendarItem(Out):
    """A calendar of an account, before it is connected."""

    id: str = Field(description="For raw_calendar_id.")
    name: str
    email: str
    is_primary: bool


class ListRawCalendarsResponse(Out):
    """Answer to listRawCalendars."""

    success: Literal[True]
    data: list[RawCalendarItem]


class ConnectionCreated(Out):
    """A new connection."""

    calendar_id: IdOut
    calendar_platform: CalendarPlatform
    account_email: str
    status: ConnectionStatus
    created_at: TimeOut


class CreateCalendarConnectionResponse(Out):
    """Answer to createCalendarConnection."""

    success: Literal[True]
    data: ConnectionCreated


class ConnectionListItem(Out):
    """A connection in a list."""

    calendar_id: IdOut
    calendar_platform: CalendarPlatform
    account_email: str
    status: ConnectionStatus
    synced_at: TimeOut | None
    created_at: TimeOut


class ListCalendarsResponse(Out):
    """Answer to listCalendars."""

    success: Literal[True]
    data: list[ConnectionListItem]
    cursor: str | None = Field(description="For the next page; null on the last one.")
    prev_cursor: str | None = Field(description="For the previous page; null on the first one.")


class ConnectionDetails(Out):
    """All about a connection, but for its credentials."""

    calendar_id: IdOut
    calendar_platform: CalendarPlatform
    account_email: str
    status: ConnectionStatus
    status_message: str | None
    subscription_id: str | None = Field(description="Null while changes are polled.")
    subscription_expires_at: TimeOut | None
    synced_at: TimeOut | None
    sync_status: Literal["success", "failed", "partial"] | None
    sync_error: str | None
    provider_metadata: JsonObject | None
    created_at: TimeOut
    updated_at: TimeOut


class GetCalendarDetailsResponse(Out):
    """Answer to getCalendarDetails."""

    success: Literal[True]
    data: ConnectionDetails


class ConnectionUpdated(Out):
    """A connection with new credentials."""

    calendar_id: IdOut
    calendar_platform: CalendarPlatform
    account_email: str
    status: ConnectionStatus
    updated_at: TimeOut


class UpdateCalendarConnectionResponse(Out):
    """Answer to updateCalendarConnection."""

    success: Literal[True]
    data: ConnectionUpdated


class DeleteCalendarConnectionResponse(Out):
    """Answer to deleteCalendarConnection."""

    success: Literal[True]
    data: Done


class SyncCalendarResponse(Out):
    """Answer to syncCalendar."""

    success: Literal[True]
    data: Done


class Resubscribed(Out):
    """That another subscription is being made."""

    calendar_id: IdOut
    resubscribed_at: TimeOut


class ResubscribeCalendarResponse(Out):
    """Answer to resubscribeCalendar."""

    success: Literal[True]
    data: Resubscribed


class SeriesEvent(Out):
    """An event among those of its series."""

    event_id: IdOut
    title: str
    start_time: TimeOut
    end_time: TimeOut
    status: EventStatus
    is_exception: bool
    meeting_url: str | None
    meeting_platform: Platform | None
    calendar_id: IdOut
    bot_scheduled: bool
    created_at: TimeOut


class EventListItem(SeriesEvent):
    """An event in a list."""

    series_id: IdOut
    event_type: EventType


class ListEventsResponse(Out):
    """Answer to listEvents."""

    success: Literal[True]
    data: list[EventListItem]
    cursor: str | None = Field(description="For the next page; null on the last one.")
    prev_cursor: str | None = Field(description="For the previous page; null on the first one.")


class SeriesItem(Out):
    """A series with its events."""

    series_id: IdOut
    event_type: EventType
    calendar_id: IdOut
    created_at: TimeOut
    events: list[SeriesEvent]


class ListEventSeriesResponse(Out):
    """Answer to listEventSeries."""

    success: Literal[True]
    data: list[SeriesItem]
    cursor: str | None = Field(description="For the next page; null on the last one.")
    prev_cursor: str | None = Field(description="For the previous page; null on the first one.")


class AttendeeOut(Out):
    """Somebody invited."""

    email: str
    name: str | None
    response_status: ResponseStatus
    organizer: bool | SkipJsonSchema[None] = None
    self: bool | SkipJsonSchema[None] = None


class EventDetails(Out):
    """All about one event."""

    event_id: IdOut
    series_id: IdOut
    event_type: EventType
    title: str
    description: str | None
    location: str | None
    start_time: TimeOut
    end_time: TimeOut
    timezone: str | None
    is_all_day: bool
    status: EventStatus
    organizer_email: str | None
    organizer_name: str | None
    attendees: list[AttendeeOut] | None
    meeting_url: str | None
    meeting_platform: Platform | None
    calendar_id: IdOut
    calendar_platform: CalendarPlatform
    bot_scheduled: bool
    created_at: TimeOut
    updated_at: TimeOut


class GetEventDetailsResponse(Out):
    """Answer to getEventDetails."""

    success: Literal[True]
    data: EventDetails


class EventDone(Out):
    """An event for which it worked."""

    event_id: IdOut


class EventFailed(Out):
    """An event for which it did not."""

    event_id: IdOut
    code: str
    message: str
    details: str | None


class CreateCalendarBotResponse(Out):
    """Answer to createCalendarBot."""

    success: Literal[True]
    data: list[EventDone]
    errors: list[EventFailed]


class UpdateCalendarBotResponse(Out):
    """Answer to updateCalendarBot."""

    success: Literal[True]
    data: list[EventDone]
    errors: list[EventFailed]


class DeleteCalendarBotResponse(Out):
    """Answer to deleteCalendarBot."""

    success: Literal[True]
    data: list[EventDone]
    errors: list[EventFailed]


class ConnectionData(Out):
    """Data of calendar.connection_created."""

    calendar_id: IdOut
    calendar_platform: CalendarPlatform
    account_email: str
    status: ConnectionStatus
    created_at: TimeOut


class ConnectionUpdatedData(ConnectionData):
    """Data of calendar.connection_updated."""

    updated_at: TimeOut


class ConnectionErrorData(ConnectionUpdatedData):
    """Data of calendar.connection_error."""

    error_message: str


class ConnectionDeletedData(Out):
    """Data of calendar.connection_deleted."""

    calendar_id: IdOut
    calendar_platform: CalendarPlatform
    deleted_at: TimeOut


class Instance(Out):
    """An event as webhooks tell it."""

    event_id: IdOut
    start: TimeOut
    end: TimeOut
    title: str
    status: EventStatus
    is_all_day: bool
    is_exception: bool
    bot_scheduled: bool
    meeting_url: UriOut | None
    meeting_platform: Platform | None


class SyncedSeries(Out):
    """A series as calendar.events_synced tells it."""

    event_type: EventType
    series_id: IdOut | None
    series_bot_scheduled: bool
    instances: list[Instance]


class EventsSyncedData(Out):
    """Data of calendar.events_synced."""

    calendar_id: IdOut
    events: list[SyncedSeries]


class EventCreatedData(Out):
    """Data of calendar.event_created."""

    calendar_id: IdOut
    event_type: EventType
    series_id: IdOut | None
    series_bot_scheduled: bool
    instances: list[Instance]


class EventUpdatedData(Out):
    """Data of calendar.event_updated."""

    calendar_id: IdOut
    event_type: EventType
    series_id: IdOut | None
    series_bot_scheduled: bool
    is_exception: bool
    affected_instances: list[Instance]


class EventCancelledData(Out):
    """Data of calendar.event_cancelled."""

    calendar_id: IdOut
    event_type: EventType
    series_id: IdOut | None
    cancelled_instances: list[Instance]


class CalendarWebhookConnectionCreated(Out):
    """calendar.connection_created as it is sent."""

    event: Literal["calendar.connection_created"]
    data: ConnectionData


class CalendarWebhookConnectionUpdated(Out):
    """calendar.connection_updated as it is sent."""

    event: Literal["calendar.connection_updated"]
    data: ConnectionUpdatedData


class CalendarWebhookConnectionDeleted(Out):
    """calendar.connection_deleted as it is sent."""

    event: Literal["calendar.connection_deleted"]
    data: ConnectionDeletedData


class CalendarWebhookConnectionError(Out):
    """calendar.connection_error as it is sent."""

    event: Literal["calendar.connection_error"]
    data: ConnectionErrorData


class CalendarWebhookEventsSynced(Out):
    """calendar.events_synced as it is sent, once for a connection."""

    event: Literal["calendar.events_synced"]
    data: EventsSyncedData


class CalendarWebhookEventCreated(Out):
    """calendar.event_created as it is sent."""

    event: Literal["calendar.event_created"]
    data: EventCreatedData


class CalendarWebhookEventUpdated(Out):
    """calendar.event_updated as it is sent."""

    event: Literal["calendar.event_updated"]
    data: EventUpdatedData


class CalendarWebhookEventCancelled(Out):
    """calendar.event_cancelled as it is sent."""

    event: Literal["calendar.event_cancelled"]
    data: EventCancelledData
