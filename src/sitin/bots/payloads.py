"""What webhooks and callbacks say about a bot. Used within bots, and by the sender through cli.

What is stored of a payload is what stays true; signed URLs and the time of sending are put in when
it is sent, so that a late delivery never carries a dead link.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

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
    bot_id: UUID,
    event_id: UUID | None,
    status: BotStatus,
    *,
    at: datetime,
    message: str | None = None,
    recording_started_at: datetime | None = None,
) -> dict[str, Any]:
    """Data of ``bot.status_change``."""
    info: dict[str, Any] = {"code": status, "created_at": at}
    if status is BotStatus.IN_CALL_RECORDING and recording_started_at is not None:
        info["start_time"] = int(recording_started_at.timestamp())
    if status in _WITH_ERROR and message is not None:
        info["error_message"] = message
    data = StatusChangeData(bot_id=bot_id, event_id=event_id, status=StatusInfo(**info))
    return data.model_dump(mode="json", exclude_unset=True)


def completed(bot: Bot, people: list[Participant], *, at: datetime) -> dict[str, Any]:
    """Data of ``bot.completed``, without its links."""
    data = CompletedData(
        bot_id=bot.id,
        event_id=bot.event_id,
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


def failed(
    bot_id: UUID, event_id: UUID | None, *, code: str, message: str, at: datetime
) -> dict[str, Any]:
    """Data of ``bot.failed``."""
    data = FailedData(
        bot_id=bot_id, event_id=event_id, error_message=message, error_code=code, sent_at=at
    )
    return data.model_dump(mode="json")
