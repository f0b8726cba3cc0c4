"""Batches: each item for itself, in order, whatever becomes of the others."""

from datetime import timedelta
from typing import Any

import pytest

from sitin.accounts.plans import Plan
from tests.api.conftest import MEET_URL, Api

pytestmark = pytest.mark.db

GOOD = {"bot_name": "Notes", "meeting_url": MEET_URL}
PATHS = ("/v2/bots/batch", "/v2/bots/scheduled/batch")


def item(api: Api, path: str, **fields: Any) -> dict[str, Any]:
    later = {"join_at": api.later(timedelta(hours=1))} if "scheduled" in path else {}
    return {**GOOD, **later, **fields}


@pytest.mark.parametrize("path", PATHS)
async def test_good_items_are_created_beside_bad_ones(api: Api, path: str) -> None:
    items: list[Any] = [
        item(api, path, extra={"n": 0}),
        item(api, path, bot_name="", extra={"n": 1}),
        item(api, path, meeting_url="https://example.com/x", extra={"n": 2}),
        "no object",
        item(api, path, meeting_url="nonsense", extra="no object"),
        item(api, path, bot_image="ftp://example.com/a.png"),
        item(api, path, extra={"n": 6}, something_new=True),
    ]
    response = await api.client.post(path, json=items)
    assert response.status_code == 201
    answer = response.json()
    assert [(one["index"], one["extra"]) for one in answer["data"]] == [
        (0, {"n": 0}),
        (6, {"n": 6}),
    ]
    failed = {one["index"]: one for one in answer["errors"]}
    assert {index: one["code"] for index, one in failed.items()} == {
        1: "VALIDATION_ERROR",
        2: "INVALID_MEETING_PLATFORM",
        3: "VALIDATION_ERROR",
        4: "VALIDATION_ERROR",
        5: "VALIDATION_ERROR",
    }
    for part in ("message", "details"):
        assert failed[1][part] == "bot_name: has 0 characters and takes at least 1."
    assert failed[1]["extra"] == {"n": 1}
    assert failed[4]["extra"] is None
    shown = path.removesuffix("/batch")
    for one in answer["data"]:
        assert (await api.client.get(f"{shown}/{one['bot_id']}")).status_code == 200
    listed = (await api.client.get(shown)).json()["data"]
    assert len(listed) == 2


@pytest.mark.parametrize("path", PATHS)
async def test_all_may_fail(api: Api, path: str) -> None:
    response = await api.client.post(path, json=[{}, 5, None])
    assert response.status_code == 201
    assert response.json()["data"] == []
    assert [one["index"] for one in response.json()["errors"]] == [0, 1, 2]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("count", "status"), [(0, 400), (1, 201), (100, 201), (101, 400)])
async def test_a_batch_has_one_to_a_hundred_items(
    api: Api, path: str, count: int, status: int
) -> None:
    response = await api.client.post(path, json=[item(api, path)] * count)
    assert response.status_code == status
    if status == 201:
        made = [one["bot_id"] for one in response.json()["data"]]
        assert len(set(made)) == count
        assert made == sorted(made)
    else:
        assert response.json()["message"].startswith("body: ")


@pytest.mark.parametrize("path", PATHS)
async def test_an_object_is_no_batch(api: Api, path: str) -> None:
    response = await api.client.post(path, json=item(api, path))
    assert response.status_code == 400


async def test_caps_tokens_and_locks_are_met_in_mid_batch(api: Api) -> None:
    house = api.house
    capped = await house.team(Plan(name="two a day", bots_per_day=2, counts_tokens=False))
    answer = (await (await api.client_of(capped)).post("/v2/bots/batch", json=[GOOD] * 4)).json()
    assert [one["code"] for one in answer["errors"]] == ["DAILY_BOT_CAP_REACHED"] * 2
    poor = await house.team(Plan(name="poor"), tokens="1.4")
    answer = (await (await api.client_of(poor)).post("/v2/bots/batch", json=[GOOD] * 4)).json()
    assert [one["index"] for one in answer["data"]] == [0, 1]
    assert [one["code"] for one in answer["errors"]] == ["INSUFFICIENT_TOKENS"] * 2
    alone = {**GOOD, "allow_multiple_bots": False}
    answer = (await api.client.post("/v2/bots/batch", json=[alone, alone, GOOD])).json()
    assert [one["index"] for one in answer["data"]] == [0, 2]
    assert [one["code"] for one in answer["errors"]] == ["BOT_ALREADY_EXISTS"]


async def test_an_own_key_is_refused_by_item(api: Api) -> None:
    plan = Plan(name="no keys", own_transcription_keys=False, counts_tokens=False)
    caller = await api.house.team(plan)
    client = await api.client_of(caller)
    mine = {**GOOD, "transcription_config": {"provider": "gladia", "api_key": "mine"}}
    answer = (await client.post("/v2/bots/batch", json=[GOOD, mine])).json()
    assert [one["code"] for one in answer["errors"]] == ["BYOK_TRANSCRIPTION_NOT_ENABLED_ON_PLAN"]
    single = await client.post("/v2/bots", json=mine)
    assert single.status_code == 403
    assert single.json()["code"] == "FST_ERR_BYOK_TRANSCRIPTION_NOT_ENABLED_ON_PLAN"


async def test_a_join_time_that_does_not_work_fails_its_item_only(api: Api) -> None:
    path = "/v2/bots/scheduled/batch"
    in_an_hour = int((api.house.clock.now() + timedelta(hours=1)).timestamp())
    items = [
        item(api, path),
        item(api, path, join_at="2020-01-01T00:00:00Z"),
        item(api, path, join_at="tomorrow"),
        item(api, path, join_at=in_an_hour),
        GOOD,
    ]
    answer = (await api.client.post(path, json=items)).json()
    assert [one["index"] for one in answer["data"]] == [0]
    assert [one["message"].partition(":")[0] for one in answer["errors"]] == ["join_at"] * 4
