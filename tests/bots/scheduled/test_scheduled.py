"""Scheduled bots before their time: kept, shown, changed, cancelled."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sitin.accounts.errors import OwnKeyNotAllowedError
from sitin.accounts.plans import Plan
from sitin.bots.errors import BotNotEditableError, BotNotFoundError, BotStatusError
from sitin.bots.scheduled.models import ScheduleStatus
from sitin.bots.scheduled.requests import UpdateScheduledBotRequestBody
from sitin.bots.scheduled.schemas import ScheduledBotDetails
from sitin.kit.errors import SitinError
from tests.bots.conftest import House

pytestmark = pytest.mark.db

HOUR = timedelta(hours=1)


async def details(house: House, bot_id: UUID) -> ScheduledBotDetails:
    async with house.database.transaction() as session:
        return await house.scheduled.details(session, house.caller, bot_id)


async def change(house: House, bot_id: UUID, **fields: Any) -> None:
    body = UpdateScheduledBotRequestBody.model_validate(fields)
    async with house.database.transaction() as session:
        await house.scheduled.update(session, house.caller, bot_id, body)


async def cancel(house: House, bot_id: UUID) -> None:
    async with house.database.transaction() as session:
        await house.scheduled.cancel(session, house.caller, bot_id)


@pytest.mark.parametrize(
    ("after", "refused"),
    [
        (timedelta(seconds=-1), "join_at: must be at least 1 minute"),
        (timedelta(seconds=59), "join_at: must be at least 1 minute"),
        (timedelta(days=90, seconds=5), "join_at: must be within 90 days"),
        (timedelta(seconds=65), None),
        (timedelta(days=90) - timedelta(seconds=5), None),
    ],
)
async def test_a_bot_joins_in_a_minute_to_ninety_days(
    house: House, after: timedelta, refused: str | None
) -> None:
    if refused is None:
        await house.schedule(after)
        return
    with pytest.raises(SitinError, match=refused):
        await house.schedule(after)


async def test_everything_asked_for_is_shown_but_for_the_key(house: House) -> None:
    bot_id = await house.schedule(
        HOUR,
        bot_image="https://example.com/a.png",
        entry_message="Hello",
        recording_mode="audio_only",
        extra={"deal": 42},
        streaming_enabled=True,
        streaming_config={"output_url": "wss://example.com/live"},
        transcription_enabled=True,
        transcription_config={"api_key": "mine", "custom_params": {"sentences": True}},
        callback_enabled=True,
        callback_config={"url": "https://example.com/back", "secret": "s3", "method": "PUT"},
    )
    shown = await details(house, bot_id)
    assert shown.status is ScheduleStatus.SCHEDULED
    assert shown.streaming_config is not None
    assert shown.streaming_config.output_url == "wss://example.com/live"
    assert shown.streaming_config.audio_frequency == 24000
    assert shown.transcription_config is not None
    assert shown.transcription_config.custom_params == {"sentences": True}
    assert shown.callback_config is not None
    assert shown.callback_config.secret == "s3"
    assert shown.callback_config.method == "PUT"
    assert "mine" not in shown.model_dump_json()


async def test_what_is_not_given_stays(house: House) -> None:
    bot_id = await house.schedule(
        HOUR,
        extra={"deal": 42},
        transcription_enabled=True,
        transcription_config={"api_key": "mine"},
        callback_config={"url": "https://example.com/back", "secret": "s3"},
    )
    before = await details(house, bot_id)
    house.clock.move(timedelta(seconds=2))
    await change(house, bot_id, bot_name="Other", callback_enabled=True)
    after = await details(house, bot_id)
    assert (after.bot_name, after.extra) == ("Other", {"deal": 42})
    assert after.callback_config is not None
    assert after.callback_config.secret == "s3"
    assert after.updated_at > before.updated_at
    assert after.join_at == before.join_at
    async with house.database.transaction() as session:
        row = await house.scheduled.get(session, house.caller, bot_id)
    assert row.transcription_api_key is not None
    await change(house, bot_id, extra=None, meeting_url="https://zoom.us/j/85000000000")
    after = await details(house, bot_id)
    assert (after.extra, after.meeting_platform) == (None, "zoom")


async def test_what_is_not_given_within_an_object_stays_too(house: House) -> None:
    bot_id = await house.schedule(
        HOUR,
        timeout_config={"waiting_room_timeout": 700, "no_one_joined_timeout": 800},
        streaming_enabled=True,
        streaming_config={"output_url": "wss://example.com/live", "audio_frequency": 16000},
        transcription_enabled=True,
        transcription_config={"api_key": "mine", "custom_params": {"a": {"b": 1}, "c": 2}},
        callback_enabled=True,
        callback_config={"url": "https://example.com/back", "secret": "s3", "method": "PUT"},
        extra={"deal": 42, "of": "Ada"},
    )
    await change(
        house,
        bot_id,
        timeout_config={"waiting_room_timeout": 900},
        streaming_config={"input_url": "wss://example.com/in"},
        transcription_config={"custom_params": {"a": {"d": 3}}},
        callback_config={"url": "https://example.com/elsewhere"},
        extra={"deal": 43},
    )
    async with house.database.transaction() as session:
        row = await house.scheduled.get(session, house.caller, bot_id)
    body = house.configurations.body_of(row)
    assert body["timeout_config"] == {
        "waiting_room_timeout": 900,
        "no_one_joined_timeout": 800,
        "silence_timeout": 600,
    }
    assert body["streaming_config"] == {
        "input_url": "wss://example.com/in",
        "output_url": "wss://example.com/live",
        "audio_frequency": 16000,
    }
    assert body["transcription_config"] == {
        "provider": "gladia",
        "api_key": "mine",
        "custom_params": {"a": {"d": 3}},
    }
    assert body["callback_config"] == {
        "url": "https://example.com/elsewhere",
        "method": "PUT",
        "secret": "s3",
    }
    assert body["extra"] == {"deal": 43}
    await change(
        house,
        bot_id,
        callback_config={"url": "https://example.com/back", "secret": None},
        streaming_config=None,
    )
    async with house.database.transaction() as session:
        row = await house.scheduled.get(session, house.caller, bot_id)
    assert (row.callback_secret, row.callback_method, row.streaming_config) == (None, "PUT", None)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"meeting_url": "https://example.com/"}, "meeting_url"),
        ({"callback_enabled": True}, "callback_config"),
        ({"bot_image": "ftp://example.com/a.png"}, "bot_image"),
        ({"join_at": "2020-01-01T00:00:00Z"}, "join_at"),
    ],
)
async def test_a_change_is_checked_like_a_creation(
    house: House, fields: dict[str, Any], sentence: str
) -> None:
    bot_id = await house.schedule(HOUR)
    before = await details(house, bot_id)
    with pytest.raises(SitinError, match=sentence):
        await change(house, bot_id, bot_name="Half a change", **fields)
    assert await details(house, bot_id) == before


async def test_a_plan_without_own_keys_refuses_one(house: House) -> None:
    caller = await house.team(Plan(name="no keys", own_transcription_keys=False))
    with pytest.raises(OwnKeyNotAllowedError):
        await house.schedule(HOUR, caller=caller, transcription_config={"api_key": "mine"})


async def test_four_minutes_before_it_is_locked(house: House) -> None:
    bot_id = await house.schedule(timedelta(minutes=5))
    house.clock.move(timedelta(seconds=55))
    await change(house, bot_id, bot_name="In time")
    house.clock.move(timedelta(seconds=10))
    with pytest.raises(BotNotEditableError, match="less than 4 minutes"):
        await change(house, bot_id, bot_name="Too late")
    with pytest.raises(BotNotEditableError):
        await cancel(house, bot_id)
    assert (await details(house, bot_id)).bot_name == "In time"


async def test_what_is_cancelled_stays_so(house: House) -> None:
    bot_id = await house.schedule(HOUR)
    await cancel(house, bot_id)
    shown = await details(house, bot_id)
    assert shown.status is ScheduleStatus.CANCELLED
    assert shown.cancelled_at is not None
    for again in (change(house, bot_id, bot_name="Back"), cancel(house, bot_id)):
        with pytest.raises(BotStatusError, match=f"Status of bot '{bot_id}' is: cancelled"):
            await again


async def test_another_teams_scheduled_bot_is_not_there(house: House) -> None:
    other = await house.team()
    bot_id = await house.schedule(HOUR, caller=other)
    for doing in (details(house, bot_id), change(house, bot_id), cancel(house, bot_id)):
        with pytest.raises(BotNotFoundError):
            await doing
