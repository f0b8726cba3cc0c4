"""The event types that webhooks carry. Used by every room that publishes."""

from enum import StrEnum


class EventType(StrEnum):
    """An event's type, as payloads and endpoint filters name it."""

    BOT_STATUS_CHANGE = "bot.status_change"
    BOT_COMPLETED = "bot.completed"
    BOT_FAILED = "bot.failed"
