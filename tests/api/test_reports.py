"""Reporting a bot's end again: to webhooks, to its callback, to another one."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from sitin.contract.codes import BotStatus
from sitin.kit.crypto import Keyring, new_key
from sitin.kit.ids import new_id
from sitin.notifications.endpoints import create_endpoint
from sitin.notifications.models import Delivery, DeliveryKind, Message
from tests.api.conftest import Api

pytestmark = pytest.mark.db

CALLBACK = {"url": "https://example.com/back", "secret": "s3", "method": "PUT"}


async def ended(api: Api, **fields: Any) -> str:
    """A bot that is completed and has one endpoint listening."""
    bot_id = await api.create(extra={"deal": 42}, **fields)
    house = api.house
    house.work(host := house.host())
    bot = await host.the(UUID(bot_id))
    await bot.join_and_record()
    await bot.end()
    if fields.get("transcription_enabled"):
        row = await house.reaches(UUID(bot_id), BotStatus.TRANSCRIBING)
        async with house.database.transaction() as session:
            row = await session.merge(row)
            await house.rooms.lifecycle.finish_transcription(
                session, row, provider="gladia", ids=["job-1"]
            )
    await house.reaches(UUID(bot_id), BotStatus.COMPLETED)
    async with house.database.transaction() as session:
        await create_endpoint(
            session,
            Keyring([new_key()]),
            team_id=house.caller.team_id,
            url="https://example.com/hook",
            events=[],
        )
    return bot_id


async def sent(api: Api, bot_id: str) -> list[tuple[Message, Delivery]]:
    """The final messages about a bot and where they go, oldest first."""
    async with api.house.database.transaction() as session:
        query = (
            select(Message, Delivery)
            .join(Delivery, Delivery.message_id == Message.id)
            .where(
                Message.bot_id == UUID(bot_id),
                Message.event.in_(["bot.completed", "bot.failed"]),
            )
            .order_by(Message.id)
        )
        return [(message, delivery) for message, delivery in await session.execute(query)]


async def test_each_resend_is_a_new_message(api: Api) -> None:
    bot_id = await ended(api)
    for _ in range(2):
        response = await api.client.post(f"/v2/bots/{bot_id}/resend-webhook")
        assert response.status_code == 200
    found = await sent(api, bot_id)
    assert [delivery.kind for _, delivery in found] == [DeliveryKind.WEBHOOK] * 2
    assert found[0][0].id != found[1][0].id
    message = found[0][0]
    assert message.event == "bot.completed"
    assert message.data["participants"] == ["Ada", "Grace"]
    assert message.data["duration_seconds"] == 12
    assert message.extra == {"deal": 42}


async def test_a_bot_that_goes_on_has_no_end_to_report(api: Api) -> None:
    bot_id = await api.create()
    for operation in ("resend-webhook", "retry-callback"):
        response = await api.client.post(f"/v2/bots/{bot_id}/{operation}")
        assert (response.status_code, response.json()["code"]) == (409, "FST_ERR_BOT_STATUS")
        assert f"'{bot_id}' is: queued." in response.json()["message"]


@pytest.mark.parametrize("body", [b"", b"null"])
async def test_the_bots_own_callback_is_called_again(api: Api, body: bytes) -> None:
    bot_id = await ended(
        api, transcription_enabled=True, callback_enabled=True, callback_config=CALLBACK
    )
    assert len(await sent(api, bot_id)) == 1
    headers = {"content-type": "application/json"} if body else {}
    response = await api.client.post(
        f"/v2/bots/{bot_id}/retry-callback", content=body, headers=headers
    )
    assert response.status_code == 200, response.text
    found = await sent(api, bot_id)
    assert [delivery.kind for _, delivery in found] == [DeliveryKind.CALLBACK] * 2
    again = found[1][1].callback
    assert again is not None
    assert (again["url"], again["method"]) == (CALLBACK["url"], "PUT")
    assert again["secret"] == found[0][1].callback["secret"]  # type: ignore[index]


async def test_another_callback_can_be_given(api: Api) -> None:
    bot_id = await ended(api, transcription_enabled=True)
    response = await api.client.post(
        f"/v2/bots/{bot_id}/retry-callback", json={"url": "https://other.example/x"}
    )
    assert response.status_code == 200, response.text
    ((message, delivery),) = await sent(api, bot_id)
    assert message.data["transcription_ids"] == ["job-1"]
    assert delivery.callback == {
        "url": "https://other.example/x",
        "method": "POST",
        "secret": None,
    }


@pytest.mark.parametrize(
    "fields",
    [{}, {"callback_config": CALLBACK, "callback_enabled": False}],
    ids=["none", "one that is not enabled"],
)
async def test_without_a_callback_there_is_nowhere_to_call(
    api: Api, fields: dict[str, Any]
) -> None:
    bot_id = await ended(api, transcription_enabled=True, **fields)
    response = await api.client.post(f"/v2/bots/{bot_id}/retry-callback")
    assert (response.status_code, response.json()["code"]) == (
        409,
        "FST_ERR_CALLBACK_NOT_CONFIGURED",
    )


async def test_a_bot_without_transcription_has_no_callback_to_retry(api: Api) -> None:
    bot_id = await ended(api, callback_enabled=True, callback_config=CALLBACK)
    response = await api.client.post(f"/v2/bots/{bot_id}/retry-callback", json=CALLBACK)
    assert (response.status_code, response.json()["code"]) == (409, "FST_ERR_BOT_STATUS")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "http://127.0.0.1/x"}, "url"),
        ({"url": "gopher://example.com/"}, "url"),
        ({"url": "https://example.com/", "method": "DELETE"}, "method"),
        ({"url": "https://example.com/", "secret": "two\nlines"}, "secret"),
        ([], "body"),
    ],
)
async def test_what_is_wrong_with_a_given_callback_is_named(
    api: Api, body: Any, field: str
) -> None:
    bot_id = await ended(api, transcription_enabled=True)
    response = await api.client.post(f"/v2/bots/{bot_id}/retry-callback", json=body)
    assert response.status_code == 400, response.text
    assert response.json()["message"].startswith(f"{field}: "), response.text
    assert await sent(api, bot_id) == []


async def test_delete_data_over_http(api: Api) -> None:
    bot_id = await ended(api)
    response = await api.client.delete(
        f"/v2/bots/{bot_id}/delete-data", params={"delete_from_provider": "false"}
    )
    assert response.status_code == 200
    details = (await api.client.get(f"/v2/bots/{bot_id}")).json()["data"]
    assert details["artifacts_deleted"] is True
    assert (details["video"], details["participants"], details["extra"]) == (None, [], None)
    shots = (await api.client.get(f"/v2/bots/{bot_id}/screenshots")).json()
    assert shots["data"] == []
    await api.client.post(f"/v2/bots/{bot_id}/resend-webhook")
    ((message, _),) = await sent(api, bot_id)
    assert message.data["data_deleted"] is True
    assert (message.data["participants"], message.extra) == ([], None)
    wrong = await api.client.delete(
        f"/v2/bots/{bot_id}/delete-data", params={"delete_from_provider": "perhaps"}
    )
    assert (wrong.status_code, wrong.json()["message"][:20]) == (400, "delete_from_provider")
    unknown = await api.client.delete(f"/v2/bots/{new_id()}/delete-data")
    assert unknown.status_code == 404


async def test_delete_data_of_scheduled_bots_that_never_went(api: Api) -> None:
    house = api.house
    async with house.database.transaction() as session:
        await create_endpoint(
            session,
            Keyring([new_key()]),
            team_id=house.caller.team_id,
            url="https://example.com/hook",
            events=[],
        )
    soon, late = timedelta(hours=1), timedelta(days=1)
    failed = await api.schedule(soon, extra={"about": "Zanzibar"})
    cancelled = await api.schedule(soon, extra={"about": "Zanzibar"})
    waiting = await api.schedule(late, extra={"about": "Zanzibar"})
    assert (await api.client.delete(f"/v2/bots/scheduled/{cancelled}")).status_code == 200
    house.clock.move(timedelta(hours=2))
    await house.queueing.queue_due()
    (message, _), *_ = await sent(api, failed)
    assert message.extra == {"about": "Zanzibar"}

    stranger = await api.stranger()
    for bot_id, status in ((failed, "failed"), (cancelled, "cancelled")):
        path = f"/v2/bots/{bot_id}/delete-data"
        assert (await stranger.delete(path)).status_code == 404
        assert (await extra_of(api, bot_id)) == {"about": "Zanzibar"}
        for _ in range(2):
            assert (await api.client.delete(path)).status_code == 200
        assert (await extra_of(api, bot_id)) is None
        shown = (await api.client.get(f"/v2/bots/scheduled/{bot_id}")).json()["data"]
        assert shown["status"] == status
    (message, _), *_ = await sent(api, failed)
    assert message.extra is None
    assert (await api.client.delete(f"/v2/bots/{waiting}/delete-data")).status_code == 404
    assert await extra_of(api, waiting) == {"about": "Zanzibar"}


async def extra_of(api: Api, bot_id: str) -> Any:
    """What a scheduled bot shows of what was given with it."""
    return (await api.client.get(f"/v2/bots/scheduled/{bot_id}")).json()["data"]["extra"]


async def test_an_end_told_anew_after_deletion_says_what_the_details_say(api: Api) -> None:
    bot_id = await ended(api, transcription_enabled=True, callback_config=CALLBACK)
    path = f"/v2/bots/{bot_id}"
    assert (await api.client.delete(f"{path}/delete-data")).status_code == 200
    assert (await api.client.post(f"{path}/resend-webhook")).status_code == 200
    details = (await api.client.get(path)).json()["data"]
    *_, (message, _) = await sent(api, bot_id)
    assert details["participants"] == details["speakers"] == []
    assert message.data["participants"] == message.data["speakers"] == []
    assert (message.data["data_deleted"], message.extra) == (True, None)
    assert message.data["transcription_provider"] == details["transcription_provider"]
