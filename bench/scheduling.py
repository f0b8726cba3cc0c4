"""Two thousand scheduled bots due in the same second, with fifty thousand more to come."""

import asyncio
import json

import asyncpg

from bench.load import Order, measure, percentile
from bench.row import Row
from bench.serving import Served, served

DUE, LATER = 2000, 50_000
_AHEAD = 65
"""Seconds from now until the bots are due; the API wants a minute."""

BODY = {
    "bot_name": "Sales Notes",
    "meeting_url": "https://meet.google.com/abc-defg-hij",
    "extra": {"customer": "c-17", "deal": 42},
}


async def queueing() -> list[Row]:
    """Lateness of each, once without and once with a webhook endpoint that hears of each."""
    async with served() as service:
        plain = await _lateness(service)
    async with served(SITIN_ALLOW_PRIVATE_ADDRESSES="true") as service:
        told = await _lateness(service, endpoint=True)
    return [
        Row(f"{DUE} bots due at once: p50 until queued", 1000 * percentile(plain, 0.5), "ms"),
        Row(
            f"{DUE} bots due at once: p99 until queued",
            1000 * percentile(plain, 0.99),
            "ms",
            1000,
            note=f"{LATER:,} more scheduled for later",
        ),
        Row(
            f"{DUE} bots due at once, a webhook message about each: p99 until queued",
            1000 * percentile(told, 0.99),
            "ms",
            1000,
        ),
    ]


async def _lateness(service: Served, *, endpoint: bool = False) -> list[float]:
    connection = await asyncpg.connect(service.database_url)
    try:
        if endpoint:
            await _listen(service, connection)
        due = await connection.fetchval(
            "SELECT date_trunc('second', now()) + make_interval(secs => $1)", float(_AHEAD)
        )
        await _schedule(service, connection, due)
        await asyncio.sleep((due - await connection.fetchval("SELECT now()")).total_seconds())
        late: list[float] = []
        while len(late) < DUE:
            row = await connection.fetchrow(
                """
                SELECT count(*) AS queued, extract(epoch FROM clock_timestamp() - $1)::float AS late
                FROM bots
                """,
                due,
            )
            # What has become visible since the last look.
            late += [row["late"]] * (row["queued"] - len(late))
            await asyncio.sleep(0.005)
        return late
    finally:
        await connection.close()


async def _schedule(service: Served, connection: asyncpg.Connection, due: object) -> None:
    """One by the API; the others are copies of it."""
    join_at = await connection.fetchval(
        "SELECT to_char($1::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", due
    )
    body = json.dumps({**BODY, "join_at": join_at})
    headers = {"x-meeting-baas-api-key": service.key}
    await measure(Order(service.url, [("POST", "/v2/bots/scheduled", body)], 1, 1, headers))
    columns = [
        row["column_name"]
        for row in await connection.fetch(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_name = 'scheduled_bots' AND column_name <> 'id'"
        )
    ]
    for count, shift in ((DUE - 1, "interval '0'"), (LATER, "n * interval '1 minute'")):
        values = ", ".join(f"join_at + {shift}" if one == "join_at" else one for one in columns)
        await connection.execute(
            f"INSERT INTO scheduled_bots (id, {', '.join(columns)}) SELECT uuidv7(), {values} "
            "FROM (SELECT * FROM scheduled_bots LIMIT 1) AS first, generate_series(1, $1) AS n",
            count,
        )
    await connection.execute("ANALYZE scheduled_bots")


async def _listen(service: Served, connection: asyncpg.Connection) -> None:
    """An endpoint at which nobody answers; what is measured is the writing of the messages."""
    team = await connection.fetchval("SELECT id FROM teams")
    await service.command("webhook", "create", "--team", str(team), "--url", "http://127.0.0.1:9/")
