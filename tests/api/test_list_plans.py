"""How the database reads a page of a list: along an index, whichever filter there is one for."""

from datetime import timedelta
from typing import Any

import pytest

from sitin.bots.models import Bot
from sitin.bots.scheduled.models import ScheduledBot
from tests.api.conftest import Api
from tests.conftest import connected
from tests.statements import asked_of

pytestmark = pytest.mark.db

ROWS = 20_000

# Parts of texts that many bots have, or that are walked for along the time: those that few have are
# found among pieces, and how is for the planner to weigh.
BOTS: list[dict[str, Any]] = [
    {},
    {"status": "queued"},
    {"status": "completed,failed"},
    {"meeting_platform": "zoom"},
    {"status": "queued", "meeting_platform": "meet,teams"},
    {"bot_name": "notes"},
    {"bot_name": "s"},
    {"meeting_url": "abc-defg"},
    {"extra": "n:5"},
    {"extra": "n:5,of:everybody"},
    {"extra": "n:none", "status": "queued"},
    {"created_after": "{past}"},
    {"created_before": "{past}"},
    {"ended_after": "{past}"},
]
SCHEDULED: list[dict[str, Any]] = [
    {},
    {"status": "scheduled"},
    {"status": "cancelled,failed"},
    {"meeting_platform": "zoom"},
    {"status": "scheduled", "meeting_platform": "meet,teams"},
    {"bot_name": "notes"},
    {"scheduled_after": "{future}"},
    {"scheduled_before": "{future}"},
]


async def multiply(api: Api, table: str, bot_id: str, changed: dict[str, str]) -> None:
    """Have many bots like this one, except in some columns; ``n`` is the number of each."""
    model = Bot if table == "bots" else ScheduledBot
    names = [column.name for column in model.__table__.columns]
    values = ", ".join(changed.get(name, name) for name in names)
    # A connection without the service's limits: no request makes so many at once.
    async with connected(api.house.database.url) as connection:
        await connection.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} "
            f"FROM {table}, generate_series(1, {ROWS}) AS n WHERE id = $1",
            bot_id,
        )
        await connection.execute("VACUUM ANALYZE")


async def check(api: Api, path: str, table: str, query: dict[str, Any]) -> None:
    """Ask for three pages, and look at the plan of every query this needs."""
    read: list[tuple[str, Any]] = []
    pages = [dict(query), {**query, "limit": 10}]
    for page in pages:
        with asked_of(api.house.database) as asked:
            answer = await api.client.get(path, params=page)
        read += [one for one in asked if f"FROM {table}" in one[0]]
        assert answer.status_code == 200, answer.text
        if (cursor := answer.json()["cursor"]) is not None and len(pages) < 4:
            pages += [{**page, "cursor": cursor}, {**page, "cursor": f"-{cursor}"}]
    assert len(read) >= len(pages)
    async with api.house.database.engine.connect() as connection:
        for statement, values in read:
            lines = await connection.exec_driver_sql(f"EXPLAIN {statement}", values)
            plan = "\n".join(lines.scalars())
            assert "Index" in plan, (query, plan)
            assert "Seq Scan" not in plan, (query, plan)


async def test_bots(api: Api) -> None:
    bot_id = await api.create(bot_name="Notes", extra={"n": 0, "of": "everybody"})
    await multiply(
        api,
        "bots",
        bot_id,
        {
            "id": "uuidv7()",
            "created_at": "created_at - n * interval '1 minute'",
            "status": "(ARRAY['queued', 'completed', 'joining_call'])[1 + n % 3]",
            "ended_at": "CASE WHEN n % 3 = 1 THEN created_at - n * interval '1 minute' END",
            "platform": "(ARRAY['meet', 'zoom'])[1 + n % 2]",
            "bot_name": "'Notes, number ' || n",
            "extra": "jsonb_build_object('n', n % 1000, 'of', 'everybody')",
        },
    )
    past = api.later(-timedelta(days=3))
    for query in BOTS:
        named = {name: value.format(past=past) for name, value in query.items()}
        await check(api, "/v2/bots", "bots", named)


async def test_scheduled_bots(api: Api) -> None:
    bot_id = await api.schedule(bot_name="Notes")
    await multiply(
        api,
        "scheduled_bots",
        bot_id,
        {
            "id": "uuidv7()",
            "join_at": "join_at + n * interval '1 minute'",
            "status": "(ARRAY['scheduled', 'completed', 'cancelled'])[1 + n % 3]",
            "cancelled_at": "CASE WHEN n % 3 = 2 THEN created_at END",
            "platform": "(ARRAY['meet', 'zoom'])[1 + n % 2]",
        },
    )
    future = api.later(timedelta(days=3))
    for query in SCHEDULED:
        named = {name: value.format(future=future) for name, value in query.items()}
        await check(api, "/v2/bots/scheduled", "scheduled_bots", named)
