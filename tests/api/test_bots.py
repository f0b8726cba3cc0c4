"""The six operations over HTTP."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from sitin.accounts.models import ApiKey, Permission
from sitin.accounts.service import KEY_HEADER
from sitin.bots.models import Bot
from sitin.bots.statuses import LEAVABLE, MOVES
from sitin.contract.codes import BotStatus
from sitin.kit.ids import new_id
from tests.api.conftest import MEET_URL, Api
from tests.documents import BOT_OPERATIONS, own
from tests.statements import asked_of

pytestmark = pytest.mark.db

NIL = "00000000-0000-0000-0000-000000000000"


def error_of(response: httpx.Response, status: int, code: str) -> str:
    """The message of an error with this status and code."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body["code"] == code
    assert body["statusCode"] == status
    assert body["success"] is False
    assert ("details" in body) == (status != 400)
    message: str = body["message"]
    return message


async def test_a_bot_is_created_and_runs(api: Api) -> None:
    host = api.house.host()
    api.house.work(host)
    bot_id = await api.create(extra={"customer_id": "42"})
    runner = await host.the(UUID(bot_id))
    await runner.join_and_record()
    await api.house.reaches(UUID(bot_id), BotStatus.IN_CALL_RECORDING)

    status = (await api.client.get(f"/v2/bots/{bot_id}/status")).json()["data"]
    assert status["status"] == "in_call_recording"
    assert status["transcription_status"] == "not-applicable"
    assert status["updated_at"].endswith("Z")
    details = (await api.client.get(f"/v2/bots/{bot_id}")).json()["data"]
    assert details["participants"] == [{"name": "Ada", "id": 1}, {"name": "Grace", "id": 2}]
    assert details["video"] is None

    left = await api.client.post(f"/v2/bots/{bot_id}/leave")
    assert left.status_code == 200
    await api.house.reaches(UUID(bot_id), BotStatus.COMPLETED)
    details = (await api.client.get(f"/v2/bots/{bot_id}")).json()["data"]
    assert details["extra"] == {"customer_id": "42"}
    assert details["duration_seconds"] == 12.5
    assert "output.mp4?signature=" in details["video"]
    shots = (await api.client.get(f"/v2/bots/{bot_id}/screenshots")).json()
    assert [shot["screenshot_id"] for shot in shots["data"]] == [1, 2]


async def test_every_default_and_every_null_may_be_spelled_out(api: Api) -> None:
    bot_id = await api.create(
        bot_image=None,
        allow_multiple_bots=True,
        recording_mode="speaker_view",
        entry_message=None,
        timeout_config={
            "waiting_room_timeout": 600,
            "no_one_joined_timeout": 600.0,
            "silence_timeout": 600,
        },
        zoom_access_token_url=None,
        extra=None,
        streaming_enabled=False,
        streaming_config=None,
        transcription_enabled=True,
        transcription_config={"provider": "gladia", "api_key": None, "custom_params": None},
        callback_enabled=False,
        callback_config=None,
        something_new={"of": "a later version"},
    )
    details = (await api.client.get(f"/v2/bots/{bot_id}")).json()["data"]
    assert details["transcription_provider"] == "gladia"
    assert details["extra"] is None


async def test_what_acts_later_is_kept(api: Api) -> None:
    bot_id = await api.create(
        bot_image="https://example.com/a.png",
        entry_message="Hello",
        zoom_access_token_url="https://example.com/zak",
        streaming_config={"output_url": "wss://example.com/audio", "audio_frequency": 16000},
        callback_enabled=True,
        callback_config={
            "url": "https://example.com:8443/done",
            "secret": "s3cret",
            "method": "PUT",
        },
        transcription_enabled=True,
        transcription_config={"api_key": "customer-key", "custom_params": {"a": [1]}},
    )
    bot = await api.house.get(UUID(bot_id))
    assert bot.streaming_config == {
        "input_url": None,
        "output_url": "wss://example.com/audio",
        "audio_frequency": 16000,
    }
    assert bot.entry_message == "Hello"
    assert bot.callback_method == "PUT"
    assert bot.transcription_params == {"a": [1]}
    for sealed in (bot.callback_secret, bot.transcription_api_key):
        assert sealed is not None
        assert "s3cret" not in sealed
        assert "customer" not in sealed


BAD_INPUT: list[tuple[dict[str, Any], str]] = [
    ({"bot_name": ""}, "bot_name: has 0 characters and takes at least 1."),
    ({"bot_name": "x" * 256}, "bot_name: has 256 characters and takes at most 255."),
    ({"bot_name": "   "}, "bot_name: must contain at least one visible character."),
    ({"bot_name": "\u200b\u2060 \ufeff"}, "bot_name"),
    ({"bot_name": "\t\x1b\n"}, "bot_name"),
    ({"bot_name": "\u3164\u2800"}, "bot_name"),
    ({"bot_name": 7}, "bot_name"),
    ({"bot_name": None}, "bot_name"),
    ({"bot_name": "a\x00b"}, "bot_name"),
    ({"meeting_url": None}, "meeting_url"),
    ({"meeting_url": "tomorrow at ten"}, "meeting_url"),
    ({"recording_mode": "hologram"}, "recording_mode"),
    ({"entry_message": "x" * 501}, "entry_message"),
    ({"entry_message": " \u200d\n"}, "entry_message: must contain at least one visible"),
    ({"transcription_config": {"api_key": "  "}}, "transcription_config.api_key"),
    ({"timeout_config": {"silence_timeout": 299}}, "timeout_config.silence_timeout"),
    ({"timeout_config": {"waiting_room_timeout": "600"}}, "waiting_room_timeout"),
    ({"timeout_config": {"waiting_room_timeout": True}}, "waiting_room_timeout"),
    ({"timeout_config": None}, "timeout_config"),
    ({"transcription_enabled": "yes"}, "transcription_enabled"),
    ({"transcription_config": {"provider": "whisper"}}, "transcription_config.provider"),
    ({"callback_enabled": True}, "callback_config"),
    ({"callback_config": {"url": "nowhere"}}, "callback_config.url"),
    ({"callback_config": {}}, "callback_config.url"),
    (
        {"callback_config": {"url": "https://example.com", "secret": "a\r\nb: c"}},
        "callback_config.secret",
    ),
    (
        {"bot_image": "http://example.com/a.png"},
        "bot_image: The address has to begin with https://.",
    ),
    ({"bot_image": "https://169.254.169.254/latest"}, "bot_image"),
    ({"zoom_access_token_url": "https://[::1]:8443/zak"}, "zoom_access_token_url"),
    ({"callback_config": {"url": "http://localhost:8080/"}}, "callback_config.url"),
    ({"callback_config": {"url": "https://user:pw@example.com/"}}, "callback_config.url"),
    ({"streaming_config": {"input_url": "ws://10.0.0.1/"}}, "streaming_config.input_url"),
    ({"bot_image": "ftp://example.com/a.png"}, "bot_image"),
    (
        {"streaming_config": {"output_url": "https://example.com"}},
        "streaming_config.output_url",
    ),
    ({"streaming_config": {"audio_frequency": 0}}, "streaming_config.audio_frequency"),
    ({"extra": [1]}, "extra: must be an object."),
    ({"timeout_config": 7}, "timeout_config: must be an object."),
    ({"callback_config": "x"}, "callback_config: must be an object."),
    ({"extra": {"a": {"b": "\ud800"}}}, "extra.a.b"),
]


async def test_bad_input_names_the_field(api: Api) -> None:
    for fields, names in BAD_INPUT:
        body = {"bot_name": "Notes", "meeting_url": MEET_URL, **fields}
        response = await api.client.post(
            "/v2/bots",
            content=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        assert names in error_of(response, 400, "FST_ERR_VALIDATION"), fields
    assert (await api.client.get("/v2/bots?limit=1")).json()["data"] == []


async def test_other_addresses_are_no_meetings(api: Api) -> None:
    response = await api.client.post(
        "/v2/bots", json={"bot_name": "Notes", "meeting_url": "https://example.com/meeting/1"}
    )
    assert "meeting_url" in error_of(response, 400, "FST_ERR_INVALID_MEETING_PLATFORM")


BAD_BODIES = [
    (b"", 400),
    (b"{", 400),
    (b"[]", 400),
    (b"null", 400),
    (b'{"bot_name": NaN}', 400),
    (b'{"extra": {"a": 1e999}}', 400),
    (b'{"extra": {"a": ' + b"9" * 5000 + b"}}", 400),
    (b"[" * 200_000, 400),
    (b'"\xff"', 400),
    (b" " * (1024 * 1024 + 1), 413),
]


async def test_bodies_that_are_none(api: Api) -> None:
    for content, status in BAD_BODIES:
        response = await api.client.post(
            "/v2/bots", content=content, headers={"content-type": "application/json"}
        )
        assert response.status_code == status, content[:50]
        assert response.json()["statusCode"] == status


async def test_another_content_type_is_refused(api: Api) -> None:
    response = await api.client.post("/v2/bots", data={"bot_name": "Notes"})
    message = error_of(response, 400, "FST_ERR_VALIDATION")
    assert "application/json" in message


async def test_unknown_places_and_methods(api: Api) -> None:
    error_of(await api.client.get("/v2/nothing"), 404, "FST_ERR_NOT_FOUND")
    error_of(await api.client.put("/v2/bots", json={}), 405, "FST_ERR_METHOD_NOT_ALLOWED")


async def test_keys_are_checked_before_anything_else(api: Api) -> None:
    document = own(api.app)
    for operation in BOT_OPERATIONS:
        method, path = document.places[operation]
        url = path.replace("{bot_id}", "not-an-id")
        for key in (None, "", "sitin_wrong", "ключ"):
            client = api.client_with(None)
            headers = {} if key is None else {KEY_HEADER.encode(): key.encode()}
            response = await client.request(method, url, content=b"{", headers=headers)
            error_of(response, 401, "FST_ERR_UNAUTHORIZED")


async def test_a_sending_key_only_creates(api: Api) -> None:
    key = await api.key(api.house.caller.team_id, Permission.SENDING_ACCESS)
    client = api.client_with(key)
    created = await client.post("/v2/bots", json={"bot_name": "N", "meeting_url": MEET_URL})
    assert created.status_code == 201
    bot_id = created.json()["data"]["bot_id"]
    for method, path in (
        ("GET", "/v2/bots"),
        ("GET", f"/v2/bots/{bot_id}"),
        ("GET", f"/v2/bots/{bot_id}/status"),
        ("GET", f"/v2/bots/{bot_id}/screenshots"),
        ("POST", f"/v2/bots/{bot_id}/leave"),
    ):
        error_of(await client.request(method, path), 403, "FST_ERR_FORBIDDEN")


async def test_a_revoked_key_is_unknown(api: Api) -> None:
    assert (await api.client.get("/v2/bots")).status_code == 200
    async with api.house.database.transaction() as session:
        used = await session.scalar(
            update(ApiKey).values(revoked_at=datetime.now(UTC)).returning(ApiKey.last_used_at)
        )
    assert used is not None
    error_of(await api.client.get("/v2/bots"), 401, "FST_ERR_UNAUTHORIZED")


async def test_another_teams_bot_is_not_there(api: Api) -> None:
    bot_id = await api.create()
    stranger = await api.stranger()
    for method, path in (
        ("GET", f"/v2/bots/{bot_id}"),
        ("GET", f"/v2/bots/{bot_id}/status"),
        ("GET", f"/v2/bots/{bot_id}/screenshots"),
        ("POST", f"/v2/bots/{bot_id}/leave"),
    ):
        theirs = await stranger.request(method, path)
        error_of(theirs, 404, "FST_ERR_BOT_NOT_FOUND_BY_ID")
        nobodys = await api.client.request(method, path.replace(bot_id, str(new_id())))
        error_of(nobodys, 404, "FST_ERR_BOT_NOT_FOUND_BY_ID")
    assert (await stranger.get("/v2/bots")).json()["data"] == []


async def test_an_id_that_is_none_is_named(api: Api) -> None:
    for bot_id in ("x", "123", NIL[:-1] + "g", NIL.replace("-", "")):
        response = await api.client.get(f"/v2/bots/{bot_id}/status")
        assert "bot_id" in error_of(response, 400, "FST_ERR_VALIDATION")


async def test_leaving_by_status(api: Api) -> None:
    for status in BotStatus:
        bot_id = await api.create()
        await _put(api, bot_id, status)
        response = await api.client.post(f"/v2/bots/{bot_id}/leave")
        if status in LEAVABLE:
            assert response.status_code == 200, status
        else:
            message = error_of(response, 409, "FST_ERR_BOT_STATUS")
            assert message == (
                f"Status of bot '{bot_id}' is: {status}. Operation not permitted in this state."
            )


async def _put(api: Api, bot_id: str, status: BotStatus) -> None:
    """Put a bot into a status by the shortest legal way."""
    ways = {BotStatus.QUEUED: [BotStatus.QUEUED]}
    frontier = [BotStatus.QUEUED]
    while status not in ways:
        current = frontier.pop(0)
        for following in sorted(MOVES[current] - ways.keys()):
            ways[following] = [*ways[current], following]
            frontier.append(following)
    async with api.house.database.transaction() as session:
        bot = await api.house.bots.get(session, api.house.caller, UUID(bot_id))
        for step in ways[status][1:]:
            fields = {"error_code": "X", "error_message": "x"} if step == "failed" else {}
            await api.house.rooms.lifecycle.change_status(
                session, bot, step, at=datetime.now(UTC), fields=fields
            )


async def test_filters(api: Api) -> None:
    sales = await api.create(bot_name="Quarterly 100% Sales", extra={"id": "a:b", "n": 5})
    zoom = await api.create(meeting_url="https://zoom.us/j/85000000000", extra={"id": "other"})
    await _put(api, zoom, BotStatus.JOINING_CALL)

    async def found(**query: str) -> list[str]:
        response = await api.client.get("/v2/bots", params=query)
        assert response.status_code == 200, response.text
        return [bot["bot_id"] for bot in response.json()["data"]]

    assert await found() == [zoom, sales]
    assert await found(bot_name="SALES") == [sales]
    assert await found(bot_name="100%") == [sales]
    assert await found(bot_name="_") == []
    assert await found(bot_id=zoom[-12:].upper()) == [zoom]
    assert await found(meeting_url="ZOOM.us") == [zoom]
    assert await found(meeting_platform="zoom,teams") == [zoom]
    assert await found(platform="meet") == [sales]
    assert await found(status="queued,completed") == [sales]
    assert await found(status="queued", meeting_platform="zoom") == []
    assert (await found(status="joining"), await found(status="in_call")) == ([zoom], [])
    assert await found(status="queued," * 200, meeting_platform="meet," * 200) == [sales]
    assert await found(extra="id:a:b") == [sales]
    assert await found(extra="id:a:b,n:5") == [sales]
    assert await found(extra="id:A:B") == []
    assert await found(extra="missing:1") == []
    assert await found(extra=",".join(["n:5"] * 50)) == [sales]
    assert await found(extra=",".join(["n:5"] * 50)) == [sales]
    now = datetime.now(UTC)
    past = (now - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert await found(created_before=past) == []
    assert await found(created_after=past) == [zoom, sales]
    assert await found(ended_after=past) == []
    assert await found(cursor="", status="", created_after="", unknown="x") == [zoom, sales]


@pytest.mark.parametrize("path", ["/v2/bots", "/v2/bots/scheduled"])
async def test_a_part_longer_than_any_text_is_not_looked_for(api: Api, path: str) -> None:
    name, url = "n" * 255, f"{MEET_URL}?{'q' * (4095 - len(MEET_URL))}"
    await api.create(bot_name=name, meeting_url=url, extra={"n": 5})
    await api.schedule(bot_name=name, meeting_url=url)
    bot_id = (await api.client.get(path)).json()["data"][0]["bot_id"]
    for field, whole in (("bot_name", name), ("bot_id", bot_id), ("meeting_url", url)):
        for needle, count in ((whole, 1), (whole + "x", 0), (whole + "x" * 50_000, 0)):
            for extra in ({}, {"extra": "n:5"}):
                with asked_of(api.house.database) as asked:
                    response = await api.client.get(path, params={field: needle, **extra})
                assert len(response.json()["data"]) == count, (field, len(needle))
                assert any("LIKE" in statement for statement, _ in asked) == (count > 0)
    bad = await api.client.get(path, params={"bot_id": "x" * 37, "cursor": "bm8="})
    assert "cursor" in error_of(bad, 400, "FST_ERR_VALIDATION")


BAD_FILTERS = [
    ("limit=0", "limit"),
    ("limit=251", "limit"),
    ("limit=many", "limit"),
    ("status=asleep", "status"),
    ("meeting_platform=webex", "meeting_platform"),
    ("platform=webex", "meeting_platform"),
    ("created_after=yesterday", "created_after"),
    ("created_after=2026-01-01T00:00:00", "created_after"),
    ("created_after=2026-01-01T00:00:00Z%0A", "created_after: must be an ISO 8601 time in UTC"),
    ("created_after=0000-01-01T00:00:00Z", "created_after: must be an ISO 8601 time in UTC"),
    ("created_after=2000-01-01T00:00:00Z", "created_after"),
    ("created_before=2999-01-01T00:00:00Z", "created_before"),
    ("ended_after=2000-01-01T00:00Z", "ended_after"),
    ("cursor=%21", "cursor"),
    ("cursor=bm8=", "cursor"),
    ("cursor=MjAyNi0wMS0wMVQwMDowMDowMFo6Ong=", "cursor"),
    ("extra=nonsense", "extra"),
    ("extra=" + ",".join(["n:5"] * 51), "extra: has 51 conditions and takes at most 50."),
    ("extra=" + ",".join(["n:5"] * 51), "extra: has 51 conditions and takes at most 50."),
    ("bot_name=a%00b", "bot_name"),
]


async def test_bad_filters_name_the_parameter(api: Api) -> None:
    for query, field in BAD_FILTERS:
        response = await api.client.get(f"/v2/bots?{query}")
        assert field in error_of(response, 400, "FST_ERR_VALIDATION"), query


async def test_a_filter_by_creation_may_not_be_in_the_future(api: Api) -> None:
    for field in ("created_before", "created_after"):
        query = {field: api.later(timedelta(days=1))}
        message = error_of(
            await api.client.get("/v2/bots", params=query), 400, "FST_ERR_VALIDATION"
        )
        assert message == f"{field}: must be in the past."
        query = {field: api.later(-timedelta(days=91))}
        message = error_of(
            await api.client.get("/v2/bots", params=query), 400, "FST_ERR_VALIDATION"
        )
        assert message == f"{field}: must be within the last 90 days."


async def test_bots_older_than_ninety_days_are_not_listed(api: Api) -> None:
    bot_id = await api.create()
    async with api.house.database.transaction() as session:
        await session.execute(update(Bot).values(created_at=datetime.now(UTC) - timedelta(days=91)))
    assert (await api.client.get("/v2/bots")).json()["data"] == []
    assert (await api.client.get(f"/v2/bots/{bot_id}")).status_code == 200


async def test_screenshots_page_in_both_directions(api: Api) -> None:
    host = api.house.host()
    api.house.work(host)
    bot_id = await api.create()
    runner = await host.the(UUID(bot_id))
    await runner.join_and_record()
    await runner.end()
    await api.house.reaches(UUID(bot_id), BotStatus.COMPLETED)
    url = f"/v2/bots/{bot_id}/screenshots?limit=1"
    first = (await api.client.get(url)).json()
    assert first["prev_cursor"] is None
    second = (await api.client.get(url, params={"limit": 1, "cursor": first["cursor"]})).json()
    assert [shot["screenshot_id"] for shot in second["data"]] == [2]
    assert second["cursor"] is None
    back = await api.client.get(url, params={"limit": 1, "cursor": second["prev_cursor"]})
    assert [shot["screenshot_id"] for shot in back.json()["data"]] == [1]
    bad = await api.client.get(url, params={"limit": 1, "cursor": "bm8="})
    assert "cursor" in error_of(bad, 400, "FST_ERR_VALIDATION")


async def test_forty_creations_at_once_make_forty_bots(api: Api) -> None:
    ids = await asyncio.gather(*(api.create(bot_name=f"Bot {n}") for n in range(40)))
    listed = (await api.client.get("/v2/bots", params={"limit": 250})).json()["data"]
    assert sorted(bot["bot_id"] for bot in listed) == sorted(ids)


async def test_probes(api: Api) -> None:
    client = api.client_with(None)
    assert (await client.get("/healthz")).status_code == 200
    assert (await client.get("/readyz")).json() == {"status": "ok"}
