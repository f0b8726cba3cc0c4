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
    """The data of ``connection_updated`` and an ``error_message``."""
    CALENDAR_EVENTS_SYNCED = "calendar.events_synced"
    """After a connection's first sync only."""
    CALENDAR_EVENT_CREATED = "calendar.event_created"
    CALENDAR_EVENT_UPDATED = "calendar.event_updated"
    CALENDAR_EVENT_CANCELLED = "calendar.event_cancelled"

    @property
    def is_about_a_bot(self) -> bool:
        """Whether ``extra`` stands beside ``data``; other payloads have no such key."""
        return self.startswith("bot.")
