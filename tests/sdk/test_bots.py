"""Every bot operation, driven by the client that people have."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sitin.contract.codes import BotStatus
from tests.api.conftest import MEET_URL, Api
from tests.sdk.conftest import Sdk

pytestmark = pytest.mark.db

BOT = {"bot_name": "Notes", "meeting_url": MEET_URL}


async def recorded(api: Api, bot_id: str) -> None:
    """Have the bot record and complete."""
    api.house.work(host := api.house.host())
    bot = await host.the(UUID(bot_id))
    await bot.join_and_record()
    await bot.end()
    await api.house.reaches(UUID(bot_id), BotStatus.COMPLETED)


async def test_a_bot_from_creation_to_deletion(api: Api, sdk: Sdk) -> None:
    made = await sdk.well("createBot", {**BOT, "extra": {"deal": 42}})
    bot = {"bot_id": made["data"]["bot_id"]}
    assert (await sdk.well("getBotStatus", bot))["data"]["status"] == "queued"
    refused = await sdk("leaveBot", bot)
    assert (refused["success"], refused["code"], refused["statusCode"]) == (
        False,
        "FST_ERR_BOT_STATUS",
        409,
    )
    await recorded(api, bot["bot_id"])
    details = (await sdk.well("getBotDetails", bot))["data"]
    assert (details["status"], details["extra"]) == ("completed", {"deal": 42})
    assert details["speakers"] == [{"name": "Ada", "id": 1}]
    assert details["video"].startswith("https://files.example/artifacts/")
    shots = await sdk.well("getBotScreenshots", {**bot, "limit": 1})
    assert [shot["screenshot_id"] for shot in shots["data"]] == [1]
    shots = await sdk.well("getBotScreenshots", {**bot, "limit": 1, "cursor": shots["cursor"]})
    assert [shot["screenshot_id"] for shot in shots["data"]] == [2]
    assert shots["cursor"] is None
    await sdk.well("resendFinalWebhook", bot)
    await sdk.well("deleteBotData", {**bot, "delete_from_provider": False})
    await sdk.well("deleteBotData", bot)
    details = (await sdk.well("getBotDetails", bot))["data"]
    assert (details["artifacts_deleted"], details["video"], details["extra"]) == (True, None, None)


async def test_a_bot_that_is_out_leaves(api: Api, sdk: Sdk) -> None:
    bot_id = (await sdk.well("createBot", BOT))["data"]["bot_id"]
    api.house.work(host := api.house.host())
    await (await host.the(UUID(bot_id))).join_and_record()
    await api.house.reaches(UUID(bot_id), BotStatus.IN_CALL_RECORDING)
    assert (await sdk.well("leaveBot", {"bot_id": bot_id}))["data"]["message"]
    await api.house.reaches(UUID(bot_id), BotStatus.COMPLETED)


@pytest.mark.parametrize("given", [None, {"url": "https://example.com/other", "method": "PUT"}])
async def test_callbacks_are_retried(api: Api, sdk: Sdk, given: Any) -> None:
    made = await sdk.well(
        "createBot",
        {
            **BOT,
            "transcription_enabled": True,
            "callback_enabled": True,
            "callback_config": {"url": "https://example.com/back", "secret": "s3"},
        },
    )
    bot_id = made["data"]["bot_id"]
    refused = await sdk("retryCallback", {"bot_id": bot_id})
    assert refused["statusCode"] == 409
    api.house.work(host := api.house.host())
    bot = await host.the(UUID(bot_id))
    await bot.join_and_record()
    await bot.end()
    row = await api.house.reaches(UUID(bot_id), BotStatus.TRANSCRIBING)
    async with api.house.database.transaction() as session:
        row = await session.merge(row)
        await api.house.rooms.lifecycle.finish_transcription(
            session, row, provider="gladia", ids=["job-1"]
        )
    params = {"bot_id": bot_id} if given is None else {"bot_id": bot_id, "callbackConfig": given}
    await sdk.well("retryCallback", params)


async def test_lists_and_pages(sdk: Sdk) -> None:
    made = await sdk.well(
        "batchCreateBots",
        [{**BOT, "bot_name": f"Notes {number}", "extra": {"n": number}} for number in range(5)],
    )
    ids = [one["bot_id"] for one in made["data"]]
    assert made["errors"] == []
    seen, params = [], {"limit": 2}
    while True:
        page = await sdk.well("listBots", params)
        seen += [one["bot_id"] for one in page["data"]]
        if page["cursor"] is None:
            break
        params = {"limit": 2, "cursor": page["cursor"]}
    assert seen == ids[::-1]
    found = await sdk.well("listBots", {"bot_name": "notes 3", "extra": "n:3"})
    assert [one["bot_id"] for one in found["data"]] == [ids[3]]
    assert (await sdk.well("listBots"))["data"][0]["bot_id"] == ids[4]


async def test_a_batch_tells_what_failed(sdk: Sdk) -> None:
    answer = await sdk.well(
        "batchCreateBots", [BOT, {**BOT, "meeting_url": "https://example.com/x"}]
    )
    assert [one["index"] for one in answer["data"]] == [0]
    assert [(one["index"], one["code"]) for one in answer["errors"]] == [
        (1, "INVALID_MEETING_PLATFORM")
    ]


async def test_scheduled_bots(api: Api, sdk: Sdk) -> None:
    later = api.later(timedelta(hours=2))
    made = await sdk.well("createScheduledBot", {**BOT, "join_at": later})
    bot = {"bot_id": made["data"]["bot_id"]}
    batch = await sdk.well(
        "batchCreateScheduledBots",
        [{**BOT, "join_at": later}, {**BOT, "join_at": api.later(timedelta())}],
    )
    assert [one["index"] for one in batch["data"]] == [0]
    assert batch["errors"][0]["code"] == "VALIDATION_ERROR"
    await sdk.well(
        "updateScheduledBot",
        {**bot, "body": {"bot_name": "Other", "join_at": api.later(timedelta(hours=1))}},
    )
    details = (await sdk.well("getScheduledBot", bot))["data"]
    assert (details["bot_name"], details["meeting_url"]) == ("Other", MEET_URL)
    listed = await sdk.well("listScheduledBots", {"status": "scheduled", "limit": 1})
    assert [one["bot_id"] for one in listed["data"]] == [bot["bot_id"]]
    await sdk.well("deleteScheduledBot", bot)
    refused = await sdk("deleteScheduledBot", bot)
    assert (refused["statusCode"], refused["code"]) == (409, "FST_ERR_BOT_STATUS")
    listed = await sdk.well("listScheduledBots", {"status": "cancelled", "limit": 50})
    assert len(listed["data"]) == 1


async def test_what_the_client_lets_through_is_told_by_us(sdk: Sdk) -> None:
    refused = await sdk("createBot", {**BOT, "meeting_url": "https://example.com/x"})
    assert (refused["statusCode"], refused["code"]) == (400, "FST_ERR_INVALID_MEETING_PLATFORM")
    refused = await sdk("getBotDetails", {"bot_id": "00000000-0000-0000-0000-000000000000"})
    assert (refused["statusCode"], refused["code"]) == (404, "FST_ERR_BOT_NOT_FOUND_BY_ID")
    refused = await sdk("listBots", {"cursor": "nonsense"})
    assert (refused["statusCode"], refused["code"]) == (400, "FST_ERR_VALIDATION")
