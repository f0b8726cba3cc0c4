"""What of a stored payload may stay once a bot's data is deleted. Used within notifications.

A list of what stays, not of what goes: a field that is added to a payload later goes unless it is
named here. The payload keeps its shape, so that it is still one of its schema.
"""

from typing import Any

from sitin.contract.codes import CODE_TEXTS, EndReason
from sitin.notifications.events import EventType

_STAYS = frozenset(
    {
        "bot_id",
        "event_id",
        "error_code",
        "duration_seconds",
        "joined_at",
        "exited_at",
        "sent_at",
        "transcription_provider",
    }
)
_STAYS_OF_STATUS = frozenset({"code", "created_at", "start_time"})


def remains(event: EventType, data: dict[str, Any]) -> dict[str, Any]:
    """The ``data`` of a payload about a bot without anything about its meeting."""
    left = {name: value if name in _STAYS else None for name, value in data.items()}
    if event is EventType.BOT_STATUS_CHANGE:
        left["status"] = {
            name: value for name, value in data["status"].items() if name in _STAYS_OF_STATUS
        }
    elif event is EventType.BOT_COMPLETED:
        left["data_deleted"] = True
    elif event is EventType.BOT_FAILED:
        left["error_message"] = _sentence(data["error_code"])
    return left


def _sentence(code: str) -> str:
    """What the code itself says; the sentence that was stored may quote the meeting."""
    if code in set(EndReason):
        return CODE_TEXTS[EndReason(code)].sentence
    return "The bot failed; its data has been deleted."
