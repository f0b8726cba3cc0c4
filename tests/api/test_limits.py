"""Plans at the API: how fast a team may write, how many bots, and with what tokens."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from sitin.accounts.plans import Plan
from tests.api.conftest import MEET_URL, Api

pytestmark = pytest.mark.db

GOOD = {"bot_name": "Notes", "meeting_url": MEET_URL}
THREE = Plan(name="three a second", writes_per_second=3, counts_tokens=False)


async def hold_the_bucket(api: Api) -> None:
    """Keep every bucket from filling while the test runs."""
    async with api.house.database.transaction() as session:
        await session.execute(text("UPDATE write_buckets SET at = now() + interval '1 hour'"))


@pytest.fixture
async def slow(api: Api) -> httpx.AsyncClient:
    """A client of a team that may write three times a second, one of them spent."""
    client = await api.client_of(await api.house.team(THREE))
    first = await client.post("/v2/bots", json=GOOD)
    assert first.status_code == 201
    assert first.headers["x-ratelimit-limit"] == "3"
    assert first.headers["x-ratelimit-remaining"] == "2"
    assert first.headers["x-ratelimit-reset"] == "1"
    await hold_the_bucket(api)
    return client


async def test_a_write_too_many_is_a_429_with_its_headers(slow: httpx.AsyncClient) -> None:
    assert (await slow.post("/v2/bots", json=GOOD)).status_code == 201
    assert (await slow.post("/v2/bots", json=GOOD)).status_code == 201
    refused = await slow.post("/v2/bots", json=GOOD)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-ratelimit-limit"] == "3"
    assert refused.headers["x-ratelimit-remaining"] == "0"
    body = refused.json()
    assert (body["code"], body["retryAfter"]) == ("FST_ERR_TOO_MANY_REQUESTS", 1)
    assert body["statusCode"] == 429
    listed = await slow.get("/v2/bots")
    assert len(listed.json()["data"]) == 3
    assert "x-ratelimit-limit" not in listed.headers


async def test_a_batch_counts_once_and_a_refused_request_counts_too(
    slow: httpx.AsyncClient,
) -> None:
    assert (await slow.post("/v2/bots/batch", json=[GOOD] * 20)).status_code == 201
    assert (await slow.post("/v2/bots", json={})).status_code == 400
    assert (await slow.post("/v2/bots", json=GOOD)).status_code == 429


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/v2/bots", b"{}", 400),
        ("/v2/bots", b"{ no json", 400),
        ("/v2/bots", b" " * (1024 * 1024 + 1), 413),
        ("/v2/bots", b'{"bot_name": "N", "meeting_url": "https://example.com/"}', 400),
        ("/v2/bots/01a2223f-6178-73d7-865b-603baad14407/leave", b"", 404),
        ("/v2/bots/nobody/leave", b"", 400),
    ],
)
async def test_a_refused_write_tells_what_is_left_too(
    slow: httpx.AsyncClient, path: str, content: bytes, status: int
) -> None:
    headers = {"content-type": "application/json"}
    refused = await slow.post(path, content=content, headers=headers)
    assert refused.status_code == status
    assert refused.headers["x-ratelimit-limit"] == "3"
    assert refused.headers["x-ratelimit-remaining"] == "1"
    assert refused.headers["x-ratelimit-reset"] == "1"


async def test_a_write_that_breaks_something_tells_it_and_ends_its_connection(
    api: Api, slow: httpx.AsyncClient
) -> None:
    api.app.state.bot_creation = None
    broken = await slow.post("/v2/bots", json=GOOD)
    assert (broken.status_code, broken.json()["code"]) == (500, "FST_ERR_INTERNAL")
    assert broken.headers["connection"] == "close"
    assert broken.headers["x-ratelimit-remaining"] == "1"
    assert (await slow.get("/v2/bots")).status_code == 200


async def test_what_is_told_before_the_body_is_read(slow: httpx.AsyncClient) -> None:
    for _ in range(2):
        await slow.post("/v2/bots", json=GOOD)
    refused = await slow.post("/v2/bots", content=b"{ no json")
    assert refused.status_code == 429


async def test_too_few_tokens_are_a_402(api: Api) -> None:
    client = await api.client_of(await api.house.team(Plan(name="poor"), tokens="0.7"))
    assert (await client.post("/v2/bots", json=GOOD)).status_code == 201
    refused = await client.post("/v2/bots", json=GOOD)
    assert (refused.status_code, refused.json()["code"]) == (402, "FST_ERR_INSUFFICIENT_TOKENS")
    assert refused.json()["message"] == (
        "A bot needs 0.5 tokens to begin with, and your team has 0.2 available."
    )


async def test_the_days_cap_is_a_429(api: Api) -> None:
    plan = Plan(name="one a day", bots_per_day=1, counts_tokens=False)
    client = await api.client_of(await api.house.team(plan))
    assert (await client.post("/v2/bots", json=GOOD)).status_code == 201
    refused = await client.post("/v2/bots", json=GOOD)
    assert (refused.status_code, refused.json()["code"]) == (429, "FST_ERR_DAILY_BOT_CAP_REACHED")
    assert refused.json()["message"] == (
        "Daily bot cap has been reached: 1 bots created within the last 24 hours"
    )
    scheduled = {**GOOD, "join_at": api.later(timedelta(hours=1))}
    assert (await client.post("/v2/bots/scheduled", json=scheduled)).status_code == 201


async def test_another_bot_in_the_meeting_is_a_409(api: Api) -> None:
    await api.create()
    refused = await api.client.post("/v2/bots", json={**GOOD, "allow_multiple_bots": False})
    assert (refused.status_code, refused.json()["code"]) == (409, "FST_ERR_BOT_ALREADY_EXISTS")
