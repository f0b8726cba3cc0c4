"""What the API answers about bots, and what webhooks and callbacks carry. For routes and payloads.

Every field is always there; ``null`` means that there is nothing to tell.
"""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from sitin.contract.codes import BotStatus, Platform, RecordingMode, TranscriptionStatus
from sitin.kit.wire import (
    SAFE_INTEGER,
    IdOut,
    JsonObject,
    NumberOut,
    Out,
    TimeOut,
    UriOut,
)

ProviderOut = Annotated[str, WithJsonSchema({"type": "string", "enum": ["gladia"]})]


class BotCreated(Out):
    """The new bot."""

    bot_id: IdOut = Field(description="The new bot's id.")


class CreateBotResponse(Out):
    """Answer to createBot."""

    success: Literal[True]
    data: BotCreated


class BatchCreated(Out):
    """A bot of a batch that was created."""

    index: int = Field(ge=0, le=SAFE_INTEGER, description="0-based place in the request.")
    bot_id: IdOut = Field(description="The new bot's id.")
    extra: JsonObject | None = Field(description="As in the request.")


class BatchError(Out):
    """A bot of a batch that was not created."""

    index: int = Field(ge=0, le=SAFE_INTEGER, description="0-based place in the request.")
    code: str = Field(description="The error's code, for programs.")
    message: str = Field(description="What is wrong and what would be right.")
    details: str | None = Field(description="More about it, or null.")
    extra: JsonObject | None = Field(description="As in the request.")


class BatchCreateBotResponse(Out):
    """Answer to batchCreateBots."""

    success: Literal[True]
    data: list[BatchCreated]
    errors: list[BatchError]


class BotListItem(Out):
    """A bot in a list."""

    bot_id: IdOut
    bot_name: str
    meeting_url: UriOut
    meeting_platform: Platform
    extra: JsonObject | None
    duration: NumberOut | None = Field(description="Seconds recorded.")
    created_at: TimeOut
    ended_at: TimeOut | None
    joined_at: TimeOut | None
    exited_at: TimeOut | None
    status: BotStatus
    error_code: str | None
    error_message: str | None


class ListBotsResponse(Out):
    """Answer to listBots."""

    success: Literal[True]
    data: list[BotListItem]
    cursor: str | None = Field(description="For the next page; null on the last one.")
    prev_cursor: str | None = Field(description="For the previous page; null on the first one.")


class Person(Out):
    """Somebody in the meeting."""

    name: str
    id: NumberOut | None


class BotDetails(Out):
    """All about one bot."""

    bot_id: IdOut
    bot_name: str
    meeting_url: UriOut
    meeting_platform: Platform
    recording_mode: RecordingMode
    status: BotStatus
    created_at: TimeOut
    joined_at: TimeOut | None
    exited_at: TimeOut | None
    duration_seconds: NumberOut | None
    participants: list[Person]
    speakers: list[Person]
    artifacts_deleted: bool
    video: UriOut | None = Field(description="Signed, as the four below; valid for four hours.")
    audio: UriOut | None
    diarization: UriOut | None
    raw_transcription: UriOut | None
    transcription: UriOut | None
    transcription_ids: list[str] | None
    transcription_provider: ProviderOut | None = Field(
        description="The engine; another name than the listed one where another one did the work."
    )
    error_code: str | None
    error_message: str | None
    extra: JsonObject | None


class GetBotDetailsResponse(Out):
    """Answer to getBotDetails."""

    success: Literal[True]
    data: BotDetails


class BotStatusNow(Out):
    """How far a bot is."""

    bot_id: IdOut
    status: BotStatus
    transcription_status: TranscriptionStatus
    updated_at: TimeOut


class GetBotStatusResponse(Out):
    """Answer to getBotStatus."""

    success: Literal[True]
    data: BotStatusNow


class ScreenshotItem(Out):
    """One screenshot."""

    screenshot_id: int = Field(gt=0, le=SAFE_INTEGER, description="1-based.")
    url: UriOut = Field(description="Signed; valid for four hours.")


class GetBotScreenshotsResponse(Out):
    """Answer to getBotScreenshots."""

    success: Literal[True]
    data: list[ScreenshotItem]
    cursor: str | None = Field(description="For the next page; null on the last one.")
    prev_cursor: str | None = Field(description="For the previous page; null on the first one.")


class Done(Out):
    """That something was done."""

    message: str


class LeaveBotResponse(Out):
    """Answer to leaveBot."""

    success: Literal[True]
    data: Done


class DeleteBotDataResponse(Out):
    """Answer to deleteBotData."""

    success: Literal[True]
    data: Done


class ResendFinalWebhookResponse(Out):
    """Answer to resendFinalWebhook."""

    success: Literal[True]
    data: Done


class RetryCallbackResponse(Out):
    """Answer to retryCallback."""

    success: Literal[True]
    data: Done


class StatusInfo(Out):
    """A status as webhooks tell it; the last two fields are there only where they say something."""

    code: str
    created_at: TimeOut
    start_time: Annotated[int, Field(ge=0, le=SAFE_INTEGER)] | SkipJsonSchema[None] = Field(
        None, description="Unix seconds; with in_call_recording only."
    )
    error_message: str | SkipJsonSchema[None] = Field(
        None, description="With recording_failed and meeting_error only."
    )


class StatusChangeData(Out):
    """Data of bot.status_change."""

    bot_id: IdOut
    event_id: IdOut | None
    status: StatusInfo


class CompletedData(Out):
    """Data of bot.completed."""

    bot_id: IdOut
    event_id: IdOut | None
    participants: list[str] | None
    speakers: list[str] | None
    duration_seconds: Annotated[int, Field(ge=0, le=SAFE_INTEGER)] | None
    joined_at: TimeOut | None
    exited_at: TimeOut | None
    data_deleted: bool
    video: UriOut | None
    audio: UriOut | None
    diarization: UriOut | None
    raw_transcription: UriOut | None
    transcription: UriOut | None
    transcription_provider: str | None
    transcription_ids: list[str] | None
    sent_at: TimeOut


class FailedData(Out):
    """Data of bot.failed."""

    bot_id: IdOut
    event_id: IdOut | None
    error_message: str
    error_code: str
    sent_at: TimeOut


class BotWebhookStatusChange(Out):
    """bot.status_change as it is sent."""

    event: Literal["bot.status_change"]
    data: StatusChangeData
    extra: JsonObject | None


class BotWebhookCompleted(Out):
    """bot.completed as it is sent, to webhooks and callbacks alike."""

    event: Literal["bot.completed"]
    data: CompletedData
    extra: JsonObject | None


class BotWebhookFailed(Out):
    """bot.failed as it is sent, to webhooks and callbacks alike."""

    event: Literal["bot.failed"]
    data: FailedData
    extra: JsonObject | None
