"""Tenants: whatever a key of one team asks about another's bots, they are not there."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from sitin.accounts.models import Permission
from sitin.kit.ids import new_id
from tests.api.conftest import MEET_URL, Api
from tests.documents import BOT_OPERATIONS, own

pytestmark = pytest.mark.db

CREATING = {"createBot", "batchCreateBots", "createScheduledBot", "batchCreateScheduledBots"}
LISTING = {"listBots", "listScheduledBots"}


def bodies(api: Api) -> dict[str, Any]:
    """A body that would do for each operation that wants one."""
    bot = {"bot_name": "Notes", "meeting_url": MEET_URL}
    later = {**bot, "join_at": api.later(timedelta(hours=1))}
    return {
        "createBot": bot,
        "batchCreateBots": [bot],
        "createScheduledBot": later,
        "batchCreateScheduledBots": [later],
        "updateScheduledBot": {"bot_name": "Mine now"},
    }


async def call(api: Api, client: httpx.AsyncClient, operation: str, bot_id: str) -> Any:
    method, path = own(api.app).places[operation]
    return await client.request(
        method, path.replace("{bot_id}", bot_id), json=bodies(api).get(operation)
    )


def test_every_operation_is_looked_at(api: Api) -> None:
    assert set(own(api.app).operations) >= set(BOT_OPERATIONS)


@pytest.mark.parametrize("operation", sorted(set(BOT_OPERATIONS) - CREATING - LISTING))
async def test_anothers_bot_is_a_404_like_nobodys(api: Api, operation: str) -> None:
    theirs = await (api.schedule() if "Scheduled" in operation else api.create())
    stranger = await api.stranger()
    answers = [await call(api, stranger, operation, bot_id) for bot_id in (theirs, str(new_id()))]
    for answer in answers:
        assert answer.status_code == 404
        assert answer.json()["code"] == "FST_ERR_BOT_NOT_FOUND_BY_ID"
    shown, nobodys = (answer.json()["message"] for answer in answers)
    assert shown.replace(theirs, "") == nobodys.replace(nobodys[-38:-2], "")


@pytest.mark.parametrize("operation", sorted(LISTING))
async def test_lists_hold_ones_own_only(api: Api, operation: str) -> None:
    await api.create()
    await api.schedule()
    stranger = await api.stranger()
    assert (await call(api, stranger, operation, "")).json()["data"] == []


@pytest.mark.parametrize("operation", sorted(set(BOT_OPERATIONS) - CREATING))
async def test_sending_access_may_only_create(api: Api, operation: str) -> None:
    sending = await api.client_of(api.house.caller, Permission.SENDING_ACCESS)
    answer = await call(api, sending, operation, str(new_id()))
    assert (answer.status_code, answer.json()["code"]) == (403, "FST_ERR_FORBIDDEN")


@pytest.mark.parametrize("operation", sorted(CREATING))
async def test_sending_access_may_create(api: Api, operation: str) -> None:
    sending = await api.client_of(api.house.caller, Permission.SENDING_ACCESS)
    assert (await call(api, sending, operation, "")).status_code == 201


@pytest.mark.parametrize("operation", sorted(BOT_OPERATIONS))
async def test_without_a_key_there_is_nothing(api: Api, operation: str) -> None:
    for client in (api.client_with(None), api.client_with("no key of anybody's")):
        answer = await call(api, client, operation, str(new_id()))
        assert (answer.status_code, answer.json()["code"]) == (401, "FST_ERR_UNAUTHORIZED")
