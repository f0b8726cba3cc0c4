"""Batches: each item for itself, in order, whatever becomes of the others."""

import json
from datetime import timedelta
from typing import Any

import httpx
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
    if status == 400:
        takes = "at least 1" if count == 0 else "at most 100"
        assert response.json()["message"] == f"body: has {count} items and takes {takes}."
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


def nested(levels: int) -> str:
    """JSON of an object this many levels deep."""
    return '{"a":' * levels + "1" + "}" * levels


UNSTORABLE = [
    ('"bot_name": "a\\u0000b"', "bot_name"),
    ('"bot_name": "a\\ud800b"', "bot_name"),
    ('"bot_name": "\\udc00"', "bot_name"),
    ('"entry_message": "\\u0000"', "entry_message"),
    ('"meeting_url": "https://meet.google.com/abc-defg-hij?\\u0000"', "meeting_url"),
    ('"bot_image": "https://example.com/\\ud800.png"', "bot_image"),
    ('"callback_config": {"url": "https://example.com", "secret": "\\u0000"}', "callback_config"),
    ('"transcription_config": {"custom_params": {"a": ["\\ud800"]}}', "transcription_config"),
    ('"extra": {"a": {"B": [1, "\\u0000"]}}', "extra.a.B.1"),
    ('"extra": {"a": {"\\udfff": 1}}', "extra.a"),
    ('"extra": {"n": 1e999}', "extra.n"),
    ('"extra": {"n": ' + "9" * 5000 + "}", "extra.n"),
    (f'"extra": {nested(65)}', "extra"),
    (f'"extra": {nested(900)}', "extra"),
    (f'"extra": {nested(100_000)}', "extra"),
    (f'"extra": {"[" * 70 + "]" * 70}', "extra"),
]
"""Fields of a bot as JSON, and where its error's sentence begins."""


@pytest.mark.parametrize("path", PATHS)
async def test_what_cannot_be_stored_fails_its_item_only(api: Api, path: str) -> None:
    good = json.dumps(item(api, path))
    for field, names in UNSTORABLE:
        items = [good, f"{good[:-1]}, {field}}}", good]
        response = await post(api, path, f"[{','.join(items)}]".encode())
        assert response.status_code == 201, field[:80]
        answer = response.json()
        assert [one["index"] for one in answer["data"]] == [0, 2]
        (error,) = answer["errors"]
        assert (error["index"], error["code"]) == (1, "VALIDATION_ERROR")
        assert error["message"].startswith((f"{names}: ", f"{names}.")), error["message"]
        assert error["details"] == error["message"]
        assert error["extra"] is None


@pytest.mark.parametrize("path", PATHS)
async def test_what_cannot_be_stored_is_named_to_a_single_bot_the_same_way(
    api: Api, path: str
) -> None:
    good = json.dumps(item(api, path))
    for field, names in UNSTORABLE:
        response = await post(api, path.removesuffix("/batch"), f"{good[:-1]}, {field}}}".encode())
        assert response.status_code == 400
        message = response.json()["message"]
        assert message.startswith((f"{names}: ", f"{names}.")), message


@pytest.mark.parametrize("path", PATHS)
async def test_what_can_be_stored_only_just_comes_back(api: Api, path: str) -> None:
    good = json.dumps(item(api, path))
    extra = json.loads(nested(64))
    body = f'[{good[:-1]}, "extra": {nested(64)}, "unknown": "\\u0000"}}]'
    answer = (await post(api, path, body.encode())).json()
    assert [one["extra"] for one in answer["data"]] == [extra]
    shown = f"{path.removesuffix('/batch')}/{answer['data'][0]['bot_id']}"
    assert (await api.client.get(shown)).json()["data"]["extra"] == extra


@pytest.mark.parametrize("path", PATHS)
async def test_an_item_that_is_no_object_is_told_so(api: Api, path: str) -> None:
    good = item(api, path)
    answer = (await api.client.post(path, json=[5, None, "text", [good], True, good])).json()
    assert [one["index"] for one in answer["data"]] == [5]
    for index, error in enumerate(answer["errors"]):
        assert (error["index"], error["code"]) == (index, "VALIDATION_ERROR")
        assert error["message"] == error["details"] == "item: must be an object."


@pytest.mark.parametrize("path", PATHS)
async def test_every_validation_error_has_details(api: Api, path: str) -> None:
    bad: list[dict[str, Any]] = [
        {"bot_name": ""},
        {"meeting_url": "nonsense"},
        {"bot_image": "ftp://example.com/a.png"},
        {"callback_config": None, "callback_enabled": True},
        {"callback_config": {"url": "https://10.0.0.1/"}},
        *([{"join_at": "2020-01-01T00:00:00Z"}] if "scheduled" in path else []),
    ]
    answer = (await api.client.post(path, json=[item(api, path, **one) for one in bad])).json()
    assert len(answer["errors"]) == len(bad)
    for error, fields in zip(answer["errors"], bad, strict=True):
        assert error["code"] == "VALIDATION_ERROR"
        assert error["message"].startswith(next(iter(fields)))
        assert error["details"] == error["message"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_is_no_json_fails_as_a_whole(api: Api, path: str) -> None:
    good = json.dumps(item(api, path))
    for broken in ('{"bot_name": NaN}', "{", '{"a": "\t"}', '{"extra": ' + "[" * 100_000, '"\\"'):
        response = await post(api, path, f"[{good}, {broken}]".encode())
        assert response.status_code == 400, broken[:50]
        assert response.json()["message"].startswith("body: this is not JSON (")
    listed = (await api.client.get(path.removesuffix("/batch"))).json()
    assert listed["data"] == []


async def post(api: Api, path: str, content: bytes) -> httpx.Response:
    """Send JSON that no library would write."""
    headers = {"content-type": "application/json"}
    return await api.client.post(path, content=content, headers=headers)
