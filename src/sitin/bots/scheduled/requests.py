"""What clients send about scheduled bots. For the routes."""

from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from sitin.bots.requests import BotName, CreateBotRequestBody
from sitin.kit.wire import Time, Uri

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def _without_default(schema: dict[str, Any]) -> None:
    # The default only stands for "not given", which the document says by not requiring the field.
    schema.pop("default", None)


class CreateScheduledBotRequestBody(CreateBotRequestBody):
    """A bot that joins a meeting later."""

    join_at: Time = Field(
        description="When it joins: at least a minute and at most 90 days from now."
    )


class UpdateScheduledBotRequestBody(CreateBotRequestBody):
    """What is to change of a scheduled bot; what is not given stays.

    Which fields were given, ``model_fields_set`` tells.
    """

    bot_name: BotName = Field(
        "", description="The name the bot shows.", json_schema_extra=_without_default
    )
    meeting_url: Uri = Field(
        "", description="Address of another meeting.", json_schema_extra=_without_default
    )
    join_at: Time = Field(
        _NEVER,
        description="When it joins: at least a minute and at most 90 days from now.",
        json_schema_extra=_without_default,
    )
