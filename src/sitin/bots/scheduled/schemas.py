"""What the API answers about scheduled bots. For the routes."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from sitin.bots.scheduled.models import ScheduleStatus
from sitin.bots.schemas import BatchCreated, BatchError, Done
from sitin.contract.codes import Platform, RecordingMode
from sitin.kit.wire import SAFE_INTEGER, IdOut, JsonObject, Out, TimeOut

_Seconds = Annotated[int, Field(ge=-SAFE_INTEGER, le=SAFE_INTEGER)]
_Provider = Annotated[str, WithJsonSchema({"type": "string", "enum": ["gladia"]})]


class ScheduledBotCreated(Out):
    """The new scheduled bot."""

    bot_id: IdOut = Field(description="Its id, and the bot's once it is queued.")


class CreateScheduledBotResponse(Out):
    """Answer to createScheduledBot."""

    success: Literal[True]
    data: ScheduledBotCreated


class BatchCreateScheduledBotResponse(Out):
    """Answer to batchCreateScheduledBots."""

    success: Literal[True]
    data: list[BatchCreated]
    errors: list[BatchError]


class ScheduledBotListItem(Out):
    """A scheduled bot in a list."""

    bot_id: IdOut
    bot_name: str
    meeting_url: str
    meeting_platform: Platform
    join_at: TimeOut
    status: ScheduleStatus
    created_at: TimeOut
    updated_at: TimeOut


class ListScheduledBotsResponse(Out):
    """Answer to listScheduledBots."""

    success: Literal[True]
    data: list[ScheduledBotListItem]
    cursor: str | None = Field(description="For the next page; null on the last one.")
    prev_cursor: str | None = Field(description="For the previous page; null on the first one.")


class TimeoutsOut(Out):
    """When the bot leaves by itself; seconds."""

    waiting_room_timeout: _Seconds | None
    no_one_joined_timeout: _Seconds | None


class TranscriptionOut(Out):
    """How it is transcribed; never with a key."""

    enabled: Literal[True]
    provider: _Provider
    custom_params: JsonObject | None


class StreamingOut(Out):
    """Where live audio comes from and goes to."""

    enabled: Literal[True]
    input_url: str | None
    output_url: str | None
    audio_frequency: _Seconds | None


class CallbackOut(Out):
    """Where its end is reported."""

    enabled: Literal[True]
    url: str
    secret: str | None
    method: Literal["POST", "PUT"]


class ScheduledBotDetails(Out):
    """All about a scheduled bot."""

    bot_id: IdOut
    bot_name: str
    bot_image: str | None
    meeting_url: str
    meeting_platform: Platform
    recording_mode: RecordingMode
    join_at: TimeOut
    status: ScheduleStatus
    created_at: TimeOut
    updated_at: TimeOut
    cancelled_at: TimeOut | None
    allow_multiple_bots: bool
    entry_message: str | None
    timeout_config: TimeoutsOut
    transcription_config: TranscriptionOut | None = Field(
        description="Null when it is not transcribed."
    )
    streaming_config: StreamingOut | None = Field(description="Null when nothing is streamed.")
    callback_config: CallbackOut | None = Field(description="Null when no callback is enabled.")
    extra: JsonObject | None


class GetScheduledBotResponse(Out):
    """Answer to getScheduledBotDetails."""

    success: Literal[True]
    data: ScheduledBotDetails


class UpdateScheduledBotResponse(Out):
    """Answer to updateScheduledBot."""

    success: Literal[True]
    data: Done


class DeleteScheduledBotResponse(Out):
    """Answer to deleteScheduledBot."""

    success: Literal[True]
    data: Done
