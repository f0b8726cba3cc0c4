"""What webhooks and callbacks say about a bot. Used within bots, and by the sender through cli.

What is stored of a payload is what stays true; signed URLs and the time of sending are put in when
it is sent, so that a late delivery never carries a dead link.
"""

from datetime import datetime
from typing import Any

from sitin.bots.models import Bot, Participant
from sitin.bots.schemas import CompletedData, FailedData, StatusChangeData, StatusInfo
from sitin.contract.codes import BotStatus

_WITH_ERROR = frozenset({BotStatus.RECORDING_FAILED, BotStatus.MEETING_ERROR})
_NOT_YET = {
    "video": None,
    "audio": None,
    "diarization": None,
    "raw_transcription": None,
    "transcription": None,
}


def status_change(
    bot: Bot, status: BotStatus, *, at: datetime, message: str | None
) -> dict[str, Any]:
    """Data of ``bot.status_change``."""
    info: dict[str, Any] = {"code": status, "created_at": at}
    if status is BotStatus.IN_CALL_RECORDING and bot.recording_started_at is not None:
        info["start_time"] = int(bot.recording_started_at.timestamp())
    if status in _WITH_ERROR and message is not None:
        info["error_message"] = message
    data = StatusChangeData(bot_id=bot.id, event_id=None, status=StatusInfo(**info))
    return data.model_dump(mode="json", exclude_unset=True)


def completed(bot: Bot, people: list[Participant], *, at: datetime) -> dict[str, Any]:
    """Data of ``bot.completed``, without its links."""
    data = CompletedData(
        bot_id=bot.id,
        event_id=None,
        participants=[person.name for person in people],
        speakers=[person.name for person in people if person.spoke],
        duration_seconds=None if bot.duration is None else round(bot.duration),
        joined_at=bot.joined_at,
        exited_at=bot.exited_at,
        data_deleted=bot.artifacts_deleted,
        transcription_provider=bot.transcription_provider,
        transcription_ids=bot.transcription_ids,
        sent_at=at,
        **_NOT_YET,
    )
    return data.model_dump(mode="json")


def failed(bot: Bot, *, at: datetime) -> dict[str, Any]:
    """Data of ``bot.failed``."""
    assert bot.error_code is not None
    assert bot.error_message is not None
    data = FailedData(
        bot_id=bot.id,
        event_id=None,
        error_message=bot.error_message,
        error_code=bot.error_code,
        sent_at=at,
    )
    return data.model_dump(mode="json")
