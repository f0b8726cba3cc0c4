"""In which order a creation is checked: of several things that are wrong, which is told."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from sitin.accounts.plans import Plan
from tests.api.conftest import MEET_URL, Api

pytestmark = pytest.mark.db

PLAN = Plan(name="narrow", own_transcription_keys=False, bots_per_day=1)

WRONG: list[tuple[str, dict[str, Any]]] = [
    ("VALIDATION", {"bot_name": ""}),
    ("VALIDATION", {"callback_enabled": True, "callback_config": None}),
    ("VALIDATION", {"callback_config": {"url": "https://10.0.0.1/"}}),
    ("INVALID_MEETING_PLATFORM", {"meeting_url": "https://example.com/meeting/1"}),
    (
        "BYOK_TRANSCRIPTION_NOT_ENABLED_ON_PLAN",
        {"transcription_config": {"provider": "gladia", "api_key": "mine"}},
    ),
]
"""Codes in the contract's order, and what in a body leads to them."""


def bodies(good: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Bodies with all that is wrong from each place on."""
    found: list[tuple[str, dict[str, Any]]] = []
    body = good
    for code, wrong in reversed(WRONG):
        body = body | wrong
        found.insert(0, (code, body))
    return found


async def test_a_bot_that_goes_now(api: Api) -> None:
    caller = await api.house.team(PLAN, tokens="0.5")
    client = await api.client_of(caller)
    good = {"bot_name": "Notes", "meeting_url": MEET_URL, "allow_multiple_bots": False}

    async def code(body: dict[str, Any]) -> str:
        """What is told of it, alone and in a batch."""
        batch = (await client.post("/v2/bots/batch", json=[body])).json()
        if batch["data"]:
            return "created"
        single = (await client.post("/v2/bots", json=body)).json()
        item: str = batch["errors"][0]["code"].removesuffix("_ERROR")
        assert single["code"] == f"FST_ERR_{item}"
        return item

    assert await code(good) == "created"
    for expected, body in bodies(good):
        assert await code(body) == expected
    assert await code(good) == "DAILY_BOT_CAP_REACHED"
    api.house.plans.add(PLAN.model_copy(update={"bots_per_day": 9}))
    assert await code(good) == "INSUFFICIENT_TOKENS"
    async with api.house.database.transaction() as session:
        await api.house.ledger.grant(session, caller.team_id, Decimal(5))
    assert await code(good) == "BOT_ALREADY_EXISTS"
    assert await code(good | {"allow_multiple_bots": True}) == "created"


async def test_a_scheduled_bot_and_its_change(api: Api) -> None:
    client = await api.client_of(await api.house.team(PLAN))
    path = "/v2/bots/scheduled"
    good = {
        "bot_name": "Notes",
        "meeting_url": MEET_URL,
        "join_at": api.later(timedelta(hours=1)),
    }
    made = await client.post(path, json=good)
    assert made.status_code == 201
    bot_id = made.json()["data"]["bot_id"]
    past = {"join_at": api.later(-timedelta(minutes=1))}
    too_soon = ("VALIDATION", bodies(good)[3][1] | past)
    for expected, body in [*bodies(good), too_soon]:
        single = await client.post(path, json=body)
        change = await client.patch(f"{path}/{bot_id}", json=body)
        assert single.json()["code"] == change.json()["code"] == f"FST_ERR_{expected}"
        batch = (await client.post(f"{path}/batch", json=[body])).json()
        assert batch["errors"][0]["code"].removesuffix("_ERROR") == expected
