"""Scheduled bots over HTTP; what their service does beyond it is in tests/bots/scheduled."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sitin.kit.ids import new_id
from tests.api.conftest import MEET_URL, Api

pytestmark = pytest.mark.db

HOUR = timedelta(hours=1)


async def listed(api: Api, **query: Any) -> list[str]:
    response = await api.client.get("/v2/bots/scheduled", params=query)
    assert response.status_code == 200, response.text
    return [one["bot_id"] for one in response.json()["data"]]


async def test_from_creation_to_the_bot(api: Api) -> None:
    bot_id = await api.schedule(timedelta(minutes=2), bot_name="Later", extra={"deal": 1})
    details = (await api.client.get(f"/v2/bots/scheduled/{bot_id}")).json()["data"]
    assert (details["bot_name"], details["status"]) == ("Later", "scheduled")
    assert (await api.client.get(f"/v2/bots/{bot_id}")).status_code == 404
    api.house.clock.move(timedelta(minutes=2))
    await api.house.queueing.queue_due()
    details = (await api.client.get(f"/v2/bots/scheduled/{bot_id}")).json()["data"]
    assert details["status"] == "completed"
    bot = (await api.client.get(f"/v2/bots/{bot_id}")).json()["data"]
    assert (bot["status"], bot["extra"]) == ("queued", {"deal": 1})


async def test_changing_and_cancelling(api: Api) -> None:
    bot_id = await api.schedule()
    path = f"/v2/bots/scheduled/{bot_id}"
    changed = await api.client.patch(
        path, json={"bot_name": "Other", "join_at": api.later(2 * HOUR)}
    )
    assert changed.status_code == 200
    details = (await api.client.get(path)).json()["data"]
    assert (details["bot_name"], details["meeting_url"]) == ("Other", MEET_URL)
    assert (await api.client.patch(path, json={})).status_code == 200
    assert (await api.client.delete(path)).status_code == 200
    details = (await api.client.get(path)).json()["data"]
    assert details["status"] == "cancelled"
    assert details["cancelled_at"] is not None
    again = await api.client.delete(path)
    assert (again.status_code, again.json()["code"]) == (409, "FST_ERR_BOT_STATUS")
    assert again.json()["message"] == (
        f"Status of bot '{bot_id}' is: cancelled. Operation not permitted in this state."
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"join_at": "2020-01-01T00:00:00Z"}, "join_at"),
        ({"join_at": "2026-13-01T00:00:00Z"}, "join_at"),
        ({"join_at": "2099-01-01T00:00:00Z"}, "join_at"),
        ({"join_at": "2026-12-01T10:00:00+01:00"}, "join_at"),
        ({"join_at": None}, "join_at"),
        ({"join_at": 1_800_000_000}, "join_at: must be an ISO 8601 time"),
        ({"join_at": 1e9}, "join_at: must be an ISO 8601 time"),
        ({"join_at": True}, "join_at: must be an ISO 8601 time"),
        ({"bot_name": None}, "bot_name"),
        ({"bot_name": ""}, "bot_name"),
        ({"bot_name": "x" * 256}, "bot_name"),
        ({"meeting_url": "https://example.com/"}, "meeting_url"),
        ({"timeout_config": {"silence_timeout": 5}}, "timeout_config.silence_timeout"),
        ({"recording_mode": "everything"}, "recording_mode"),
        ({"callback_enabled": True}, "callback_config"),
    ],
)
async def test_what_is_wrong_is_named_and_changes_nothing(
    api: Api, fields: dict[str, Any], field: str
) -> None:
    bot_id = await api.schedule()
    path = f"/v2/bots/scheduled/{bot_id}"
    before = (await api.client.get(path)).json()
    response = await api.client.patch(path, json={"entry_message": "half", **fields})
    assert response.status_code == 400, response.text
    assert response.json()["message"].startswith(field), response.text
    assert (await api.client.get(path)).json() == before
    body = {"bot_name": "Notes", "meeting_url": MEET_URL, "join_at": api.later(HOUR), **fields}
    response = await api.client.post("/v2/bots/scheduled", json=body)
    assert response.status_code == 400, response.text
    assert response.json()["message"].startswith(field)


async def test_the_earliest_come_first_and_pages_lose_none(api: Api) -> None:
    ids = [await api.schedule(HOUR * hours) for hours in (3, 1, 5, 2, 4)]
    expected = [ids[1], ids[3], ids[0], ids[4], ids[2]]
    assert await listed(api) == expected
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    pages = []
    while True:
        answer = (await api.client.get("/v2/bots/scheduled", params=query)).json()
        pages.append([one["bot_id"] for one in answer["data"]])
        seen += pages[-1]
        if answer["cursor"] is None:
            break
        query["cursor"] = answer["cursor"]
    assert seen == expected
    back = (
        await api.client.get(
            "/v2/bots/scheduled", params={"limit": 2, "cursor": answer["prev_cursor"]}
        )
    ).json()
    assert [one["bot_id"] for one in back["data"]] == pages[-2]


async def test_filters(api: Api) -> None:
    meet = await api.schedule(HOUR, bot_name="Weekly Sales")
    zoom = await api.schedule(2 * HOUR, meeting_url="https://zoom.us/j/85000000000")
    gone = await api.schedule(3 * HOUR)
    await api.client.delete(f"/v2/bots/scheduled/{gone}")
    assert await listed(api, status="cancelled") == [gone]
    assert await listed(api, status="scheduled,cancelled") == [meet, zoom, gone]
    repeated = {"status": "cancelled," * 200, "meeting_platform": "meet," * 200}
    assert await listed(api, **repeated) == [gone]
    assert await listed(api, meeting_platform="zoom") == [zoom]
    assert await listed(api, platform="zoom") == [zoom]
    assert await listed(api, status="scheduled", meeting_platform="meet,teams") == [meet]
    assert await listed(api, bot_name="sALES") == [meet]
    assert await listed(api, bot_id=meet[10:30].upper()) == [meet]
    assert await listed(api, meeting_url="85000") == [zoom]
    assert await listed(api, scheduled_after=api.later(1.5 * HOUR)) == [zoom, gone]
    assert await listed(api, scheduled_before=api.later(1.5 * HOUR)) == [meet]
    assert await listed(api, bot_name="", status="", cursor="") == [meet, zoom, gone]
    assert await listed(api, something="unknown") == [meet, zoom, gone]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "done"}, "status"),
        ({"meeting_platform": "webex"}, "meeting_platform"),
        ({"limit": "101"}, "limit"),
        ({"limit": "0"}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"scheduled_after": "2020-01-01T00:00:00Z"}, "scheduled_after"),
        (
            {"scheduled_before": "2099-01-01T00:00:00Z"},
            "scheduled_before: must be within 90 days from now.",
        ),
        ({"scheduled_after": "soon"}, "scheduled_after"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_a_400(
    api: Api, query: dict[str, str], field: str
) -> None:
    response = await api.client.get("/v2/bots/scheduled", params=query)
    assert response.status_code == 400
    assert response.json()["message"].startswith(field)


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
async def test_an_unknown_one_is_a_404(api: Api, method: str) -> None:
    unknown: UUID = new_id()
    body: dict[str, Any] | None = {} if method == "patch" else None
    response = await api.client.request(method, f"/v2/bots/scheduled/{unknown}", json=body)
    assert (response.status_code, response.json()["code"]) == (404, "FST_ERR_BOT_NOT_FOUND_BY_ID")


async def test_an_update_with_every_default_spelled_out_is_accepted(api: Api) -> None:
    bot_id = await api.schedule()
    response = await api.client.patch(
        f"/v2/bots/scheduled/{bot_id}",
        json={
            "bot_name": "Strict",
            "bot_image": None,
            "meeting_url": MEET_URL,
            "allow_multiple_bots": True,
            "recording_mode": "speaker_view",
            "entry_message": None,
            "timeout_config": {
                "waiting_room_timeout": 600,
                "no_one_joined_timeout": 600,
                "silence_timeout": 600,
            },
            "zoom_access_token_url": None,
            "extra": None,
            "streaming_enabled": False,
            "streaming_config": None,
            "transcription_enabled": False,
            "transcription_config": None,
            "callback_enabled": False,
            "callback_config": None,
            "join_at": api.later(HOUR),
        },
    )
    assert response.status_code == 200, response.text


async def test_a_callbacks_secret_stays_when_its_address_changes(api: Api) -> None:
    callback = {"url": "https://example.com/a", "secret": "s3", "method": "PUT"}
    bot_id = await api.schedule(callback_enabled=True, callback_config=callback)
    path = f"/v2/bots/scheduled/{bot_id}"
    changed = await api.client.patch(
        path, json={"callback_config": {"url": "https://example.com/b"}}
    )
    assert changed.status_code == 200
    shown = (await api.client.get(path)).json()["data"]["callback_config"]
    assert shown == {"enabled": True, **callback, "url": "https://example.com/b"}
