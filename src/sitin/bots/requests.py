"""What clients send about bots, with every limit of the contract. For the routes."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from sitin.contract.codes import RecordingMode
from sitin.kit.wire import (
    JSON_INTEGER,
    NOT_BLANK,
    NOT_BLANK_UNLESS_EMPTY,
    SAFE_INTEGER,
    In,
    Integer,
    JsonObject,
    StrictFlag,
    Text,
    Uri,
)

BotName = Annotated[Text, Field(min_length=1, max_length=255), NOT_BLANK]
"""The name a bot shows in the meeting; a platform does not let a guest in without one."""

SHORT_TIMEOUT = (120, 1800)
SILENCE_TIMEOUT = (300, 1800)
DEFAULT_TIMEOUT = 600


class TimeoutConfig(In):
    """When the bot leaves by itself; seconds."""

    waiting_room_timeout: Integer = Field(
        DEFAULT_TIMEOUT,
        ge=SHORT_TIMEOUT[0],
        le=SHORT_TIMEOUT[1],
        description="Seconds the bot waits to be admitted. Google Meet itself turns a waiting "
        "guest away after about ten minutes.",
    )
    no_one_joined_timeout: Integer = Field(
        DEFAULT_TIMEOUT,
        ge=SHORT_TIMEOUT[0],
        le=SHORT_TIMEOUT[1],
        description="Seconds the bot stays in the call before anybody else has been seen.",
    )
    silence_timeout: Integer = Field(
        DEFAULT_TIMEOUT,
        ge=SILENCE_TIMEOUT[0],
        le=SILENCE_TIMEOUT[1],
        description="Seconds without a voice, once somebody has been there.",
    )


class StreamingConfig(In):
    """Where live audio comes from and goes to."""

    input_url: Uri | None = Field(None, description="Audio from here is spoken into the meeting.")
    output_url: Uri | None = Field(None, description="The meeting's audio is sent here.")
    audio_frequency: Annotated[int, Field(gt=0, le=SAFE_INTEGER), JSON_INTEGER] | None = Field(
        24000, description="Sample rate in Hz."
    )


class TranscriptionConfig(In):
    """Which engine transcribes, and how."""

    provider: Literal["gladia"] = Field("gladia", description="The engine.")
    api_key: Annotated[Text, NOT_BLANK_UNLESS_EMPTY] | None = Field(
        None, description="A key of your own at this engine."
    )
    custom_params: JsonObject | None = Field(
        None, description="Parameters handed on to the engine as they are."
    )


class CallbackConfig(In):
    """Where this bot's end is reported."""

    url: Uri = Field(description="The address that is called.")
    secret: Text | None = Field(
        None, description="Sent along in the header x-mb-secret, so that you know who calls."
    )
    method: Literal["POST", "PUT"] = Field("POST", description="How it is called.")


class BotConfigurationBody(In):
    """What a bot is like, whichever meeting it goes to."""

    bot_name: BotName = Field(description="The name the bot shows in the meeting.")
    bot_image: Uri | None = Field(None, description="HTTPS address of a JPEG or PNG avatar.")
    recording_mode: RecordingMode = Field(
        RecordingMode.SPEAKER_VIEW, description="What is recorded."
    )
    entry_message: Annotated[Text, Field(max_length=500), NOT_BLANK_UNLESS_EMPTY] | None = Field(
        None, description="Posted in the meeting's chat when the bot joins."
    )
    timeout_config: TimeoutConfig = Field(
        default_factory=TimeoutConfig, description="When the bot leaves by itself."
    )
    zoom_access_token_url: Uri | None = Field(
        None, description="Zoom only: gives the access token of the account to join as."
    )
    extra: JsonObject | None = Field(
        None, description="Anything of yours; comes back in details, webhooks and callbacks."
    )
    streaming_enabled: StrictFlag = Field(False, description="Stream live audio.")
    streaming_config: StreamingConfig | None = Field(None, description="How to stream.")
    transcription_enabled: StrictFlag = Field(False, description="Transcribe the recording.")
    transcription_config: TranscriptionConfig | None = Field(None, description="How to transcribe.")
    callback_enabled: StrictFlag = Field(False, description="Report this bot's end by callback.")
    callback_config: CallbackConfig | None = Field(None, description="Where to report it.")


class CreateBotRequestBody(BotConfigurationBody):
    """A bot that joins a meeting now."""

    meeting_url: Uri = Field(
        description="Address of a Google Meet, Microsoft Teams or Zoom meeting."
    )
    allow_multiple_bots: StrictFlag = Field(
        True, description="Whether this meeting may have several bots of your team."
    )


MOST_ITEMS = 100
"""Bots in one batch."""


def batch_of(item: str) -> Any:
    """The type of a batch: its items are documented as ``item`` and checked one by one."""
    return Annotated[
        list[Any],
        Field(min_length=1, max_length=MOST_ITEMS),
        WithJsonSchema(
            {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_ITEMS,
                "items": {"$ref": f"#/components/schemas/{item}"},
            }
        ),
    ]
