"""The ``data`` of every event, as the rooms that publish them write it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sitin.contract.codes import EndReason
from sitin.kit.clock import iso
from sitin.kit.ids import new_id
from sitin.notifications.events import EventType

NOW = iso(datetime(2026, 11, 23, 18, 5, tzinfo=UTC))
EMAIL = "ada@example.com"


def about_bot(event: EventType, bot_id: UUID, **data: Any) -> dict[str, Any]:
    """Of an event about a bot."""
    base: dict[str, Any] = {"bot_id": str(bot_id), "event_id": None}
    if event is EventType.BOT_STATUS_CHANGE:
        status = {"code": "meeting_error", "created_at": NOW, "error_message": "Ada said no."}
        return base | {"status": status} | data
    if event is EventType.BOT_FAILED:
        return (
            base
            | {
                "error_message": "Ada said no.",
                "error_code": EndReason.CANNOT_JOIN_MEETING,
                "sent_at": NOW,
            }
            | data
        )
    return (
        base
        | {
            "participants": ["Ada", "Grace"],
            "speakers": ["Ada"],
            "duration_seconds": 12,
            "joined_at": NOW,
            "exited_at": NOW,
            "data_deleted": False,
            "video": None,
            "audio": None,
            "diarization": None,
            "raw_transcription": None,
            "transcription": None,
            "transcription_provider": "gladia",
            "transcription_ids": ["job-of-ada"],
            "sent_at": NOW,
        }
        | data
    )


def about_calendar(event: EventType) -> dict[str, Any]:
    """Of an event about a calendar."""
    calendar = {"calendar_id": str(new_id())}
    connection = calendar | {
        "calendar_platform": "google",
        "account_email": EMAIL,
        "status": "active",
        "created_at": NOW,
    }
    instance = {
        "event_id": str(new_id()),
        "title": "Stand-up",
        "start": NOW,
        "end": NOW,
        "status": "confirmed",
        "is_all_day": False,
        "is_exception": False,
        "bot_scheduled": False,
        "meeting_url": None,
        "meeting_platform": None,
    }
    series = {"event_type": "one_off", "series_id": None, "series_bot_scheduled": False}
    match event:
        case EventType.CALENDAR_CONNECTION_CREATED:
            return connection
        case EventType.CALENDAR_CONNECTION_UPDATED:
            return connection | {"updated_at": NOW}
        case EventType.CALENDAR_CONNECTION_ERROR:
            return connection | {"updated_at": NOW, "error_message": "Access was revoked."}
        case EventType.CALENDAR_CONNECTION_DELETED:
            return calendar | {"calendar_platform": "google", "deleted_at": NOW}
        case EventType.CALENDAR_EVENTS_SYNCED:
            return calendar | {"events": [series | {"instances": [instance]}]}
        case EventType.CALENDAR_EVENT_CREATED:
            return calendar | series | {"instances": [instance]}
        case EventType.CALENDAR_EVENT_UPDATED:
            return calendar | series | {"is_exception": False, "affected_instances": [instance]}
        case _:
            return (
                calendar
                | {"event_type": "one_off", "series_id": None}
                | {"cancelled_instances": [instance | {"status": "cancelled"}]}
            )
