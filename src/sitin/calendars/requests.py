"""What clients send about calendars, with every limit of the contract. For the routes."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from sitin.bots.requests import (
    BotConfigurationBody,
    BotName,
    CallbackConfig,
    StreamingConfig,
    TranscriptionConfig,
)
from sitin.contract.calendars import CalendarPlatform
from sitin.kit.wire import NOT_BLANK, Id, In, StrictFlag, Text

_Required = Annotated[Text, Field(min_length=1), NOT_BLANK]


class OAuthBody(In):
    """What a calendar is read with: an OAuth app of yours and a refresh token for it."""

    oauth_client_id: _Required = Field(description="The app's client id.")
    oauth_client_secret: _Required = Field(description="The app's client secret.")
    oauth_refresh_token: _Required = Field(description="A refresh token of the account.")
    oauth_tenant_id: Text = Field(
        "common",
        description="Microsoft only: the tenant's id or domain, `common`, `organizations` or "
        "`consumers`.",
    )


class ListRawCalendarsRequestBody(OAuthBody):
    """Whose calendars to list."""

    calendar_platform: CalendarPlatform = Field(description="google or microsoft.")


class CreateCalendarConnectionRequestBody(ListRawCalendarsRequestBody):
    """Which calendar to connect."""

    raw_calendar_id: _Required = Field(
        description="The calendar's id as listRawCalendars gives it, or `primary`."
    )


def _without_default(schema: dict[str, Any]) -> None:
    # The default only stands for "not given", which the document says by not requiring the field.
    schema.pop("default", None)


class UpdateCalendarConnectionRequestBody(In):
    """Other credentials for a connection; what is not given stays."""

    oauth_client_id: _Required = Field(
        "", description="The app's client id.", json_schema_extra=_without_default
    )
    oauth_client_secret: _Required = Field(
        "", description="The app's client secret.", json_schema_extra=_without_default
    )
    oauth_refresh_token: _Required = Field(
        "", description="A refresh token of the account.", json_schema_extra=_without_default
    )
    oauth_tenant_id: Text = Field("common", description="Microsoft only: the tenant.")

    def given(self) -> dict[str, Any]:
        """The fields that the client sent."""
        return self.model_dump(include=self.model_fields_set)


def _require_target(schema: dict[str, Any]) -> None:
    # The contract requires them; a request about one event does without them all the same.
    for name in ("series_id", "all_occurrences"):
        schema["properties"][name].pop("default", None)
        schema["required"] = sorted({*schema.get("required", ()), name})


class TargetBody(In):
    """Which events it is about: one, or all of a series."""

    model_config = ConfigDict(json_schema_extra=_require_target)

    series_id: Id = Field(
        UUID(int=0), description="The series, for all its occurrences; else it says nothing."
    )
    all_occurrences: StrictFlag = Field(
        False, description="Whether it is about every event of the series from now on."
    )
    event_id: Id = Field(
        UUID(int=0),
        description="The event, when it is about one.",
        json_schema_extra=_without_default,
    )


class CreateCalendarBotRequestBody(BotConfigurationBody, TargetBody):
    """A bot for an event, or for every event of a series."""


class UpdateCalendarBotRequestBody(BotConfigurationBody, TargetBody):
    """What is to change of an event's bot, or of a series'; what is not given stays."""

    bot_name: BotName = Field(
        "", description="The name the bot shows.", json_schema_extra=_without_default
    )
    streaming_config: StreamingConfig | SkipJsonSchema[None] = Field(
        None, description="How to stream.", json_schema_extra=_without_default
    )
    transcription_config: TranscriptionConfig | SkipJsonSchema[None] = Field(
        None, description="How to transcribe.", json_schema_extra=_without_default
    )
    callback_config: CallbackConfig | SkipJsonSchema[None] = Field(
        None, description="Where to report it.", json_schema_extra=_without_default
    )


class DeleteCalendarBotRequestBody(TargetBody):
    """Whose bots are not to go."""
