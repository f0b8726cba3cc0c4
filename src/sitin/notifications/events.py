"""The event types that webhooks carry. Used by every room that publishes."""

from enum import StrEnum


class EventType(StrEnum):
    """An event's type, as payloads and endpoint filters name it."""

    BOT_STATUS_CHANGE = "bot.status_change"
    BOT_COMPLETED = "bot.completed"
    BOT_FAILED = "bot.failed"
    CALENDAR_CONNECTION_CREATED = "calendar.connection_created"
    CALENDAR_CONNECTION_UPDATED = "calendar.connection_updated"
    CALENDAR_CONNECTION_DELETED = "calendar.connection_deleted"
    CALENDAR_CONNECTION_ERROR = "calendar.connection_error"
    CALENDAR_EVENTS_SYNCED = "calendar.events_synced"
    CALENDAR_EVENT_CREATED = "calendar.event_created"
    CALENDAR_EVENT_UPDATED = "calendar.event_updated"
    CALENDAR_EVENT_CANCELLED = "calendar.event_cancelled"
