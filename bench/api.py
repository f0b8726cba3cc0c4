"""The API: what creating a bot costs, and lists among few bots and among a million."""

import json
from collections.abc import Iterable
from urllib.parse import quote

import asyncpg

from bench.load import Order, measure, percentile
from bench.row import Row
from bench.serving import Served, served

SIZES = (10, 10_000, 1_000_000)
_REQUESTS = 400
_LOOKS = 300

BODY = {
    "bot_name": "Sales Notes",
    "meeting_url": "https://meet.google.com/abc-defg-hij",
    "extra": {"customer": "c-17", "deal": 42},
    "callback_enabled": True,
    "callback_config": {"url": "https://1.1.1.1/callback", "secret": "s"},
}


async def creating() -> list[Row]:
    """POST /v2/bots by 1, 8 and 32 clients, beside a request that does nothing."""
    rows = []
    async with served() as service:
        await _ask(service, [("GET", "/healthz", "")], 8, 200)
        for clients in (1, 8, 32):
            idle = await _ask(service, [("GET", "/healthz", "")], clients, _REQUESTS)
            before = service.cpu()
            taken = await _ask(
                service, [("POST", "/v2/bots", json.dumps(BODY))], clients, _REQUESTS
            )
            after = service.cpu()
            own, postgres = (now - then for now, then in zip(after, before, strict=True))
            what = f"POST /v2/bots, {clients} client{'s' if clients > 1 else ''}"
            baseline = f"/healthz beside it: {1000 * percentile(idle, 0.5):.1f} ms"
            rows += [
                Row(f"{what}: p50", 1000 * percentile(taken, 0.5), "ms", note=baseline),
                Row(f"{what}: p99", 1000 * percentile(taken, 0.99), "ms"),
                Row(
                    f"{what}: Postgres' share of the CPU",
                    100 * postgres / (own + postgres),
                    "%",
                    note=f"{1000 * (own + postgres) / _REQUESTS:.1f} ms of CPU a request",
                ),
            ]
    return rows


LISTS = {
    "no filter": "",
    "a status that half have": "status=completed",
    "a status that few have": "status=failed",
    "two statuses": "status=queued,failed",
    "a platform": "meeting_platform=zoom",
    "dates": "created_after={month_ago}&created_before={week_ago}",
    "ended_after": "ended_after={hour_ago}",
    "extra that all have": "extra=tier:gold",
    "extra that one has": "extra=customer:c-3",
    "both": "extra=tier:gold,customer:c-3",
}
PARTS = {
    "a part of the name that all have": "bot_name=Notes",
    "a part of the name that few have": "bot_name=Board 3",
    "a part of the name that none has": "bot_name=zzzz",
    "a part of an id": "bot_id={part_of_id}",
    "a part of an address": "meeting_url=aaad-aaa",
    "two letters that none has": "bot_name=zz",
}


async def listing() -> list[Row]:
    """Lists by everything they can be asked for, at three sizes; the ratio counts."""
    taken: dict[str, list[float]] = {}
    for size in SIZES:
        # The bots are older than artifacts are kept for: none is to be swept meanwhile.
        async with served(SITIN_PLANS='{"unlimited": {"retention_days": null}}') as service:
            values = await _fill(service, size)
            for what, query in (LISTS | PARTS).items():
                path = "/v2/bots?limit=50&" + quote(query.format(**values), safe="=&:,%-")
                await _ask(service, [("GET", path, "")], 1, 20)
                times = await _ask(service, [("GET", path, "")], 1, _LOOKS)
                taken.setdefault(what, []).append(percentile(times, 0.99))
    rows = []
    for what, (few, some, many) in taken.items():
        row = Row(f"list by {what}: p99 among a million / among ten", many / few, "×")
        row.to_reach = 2 if what in LISTS else None
        row.note = " → ".join(f"{1000 * one:.1f}" for one in (few, some, many)) + " ms"
        rows.append(row)
    return rows


async def _ask(
    service: Served, requests: Iterable[tuple[str, str, str]], clients: int, count: int
) -> list[float]:
    return await measure(
        Order(
            url=service.url,
            requests=list(requests),
            clients=clients,
            count=count,
            headers={"x-meeting-baas-api-key": service.key},
        )
    )


_COPY = """
INSERT INTO bots ({names})
SELECT {values} FROM bots, generate_series(1, $1 - 1) AS n WHERE bots.id = $2
"""
_PAIRS = """
INSERT INTO bot_extra_pairs (bot_id, pair, team_id, created_at)
SELECT bots.id, extra_pair(key, value), team_id, created_at FROM bots, jsonb_each_text(extra)
ON CONFLICT DO NOTHING
"""
_TEXTS = """
INSERT INTO bot_texts (bot_id, bot_name, meeting_url)
SELECT id, bot_name, meeting_url FROM bots ON CONFLICT DO NOTHING
"""


async def _fill(service: Served, size: int) -> dict[str, str]:
    """Bots of the last 89 days, made of one that came by the API."""
    await _ask(service, [("POST", "/v2/bots", json.dumps({**BODY, "extra": _EXTRA}))], 1, 1)
    connection = await asyncpg.connect(service.database_url)
    try:
        first = await connection.fetchval("SELECT id FROM bots")
        columns = [
            row["column_name"]
            for row in await connection.fetch(
                "SELECT column_name FROM information_schema.columns WHERE table_name = 'bots'"
            )
        ]
        values = [_VALUES.get(name, f"bots.{name}") for name in columns]
        # Indexes of pieces and pairs are quicker built than added to.
        index = await connection.fetchval(
            "SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_bot_texts_grams'"
        )
        await connection.execute("DROP INDEX ix_bot_texts_grams")
        await connection.execute("ALTER TABLE bots DISABLE TRIGGER USER")
        query = _COPY.format(names=", ".join(columns), values=", ".join(values))
        await connection.execute(query, size, first, timeout=900)
        await connection.execute("ALTER TABLE bots ENABLE TRIGGER USER")
        await connection.execute(_PAIRS, timeout=900)
        await connection.execute(_TEXTS, timeout=900)
        await connection.execute("SET maintenance_work_mem = '1GB'")
        await connection.execute(index, timeout=1800)
        await connection.execute("VACUUM ANALYZE bots", timeout=900)
        await connection.execute("VACUUM ANALYZE bot_extra_pairs", timeout=900)
        await connection.execute("VACUUM ANALYZE bot_texts", timeout=900)
        row = await connection.fetchrow(
            """
            SELECT substr(id::text, 1, 18) AS part_of_id,
                   to_char(now() - interval '30 days', :f) AS month_ago,
                   to_char(now() - interval '7 days', :f) AS week_ago,
                   to_char(now() - interval '1 hour', :f) AS hour_ago
            FROM bots ORDER BY created_at OFFSET $1 LIMIT 1
            """.replace(":f", '\'YYYY-MM-DD"T"HH24:MI:SS"Z"\''),
            size // 2,
        )
        return dict(row)
    finally:
        await connection.close()


_EXTRA = {"tier": "gold", "customer": "c-0"}
_VALUES = {
    "id": "uuidv7(-n * interval '89 days' / ($1 + 1))",
    "created_at": "now() - n * interval '89 days' / ($1 + 1)",
    "status_at": "now() - n * interval '89 days' / ($1 + 1)",
    "bot_name": "'Board ' || n || ' Notes'",
    "meeting_url": (
        "'https://meet.google.com/' || translate(to_char(n, 'FM000-0000-000'), '0123456789', "
        "'abcdefghij')"
    ),
    "platform": "(ARRAY['meet', 'teams', 'zoom'])[1 + n % 3]",
    "status": "CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'completed' END",
    "error_code": "CASE WHEN n % 1000 = 0 THEN 'INTERNAL_ERROR' END",
    "error_message": "CASE WHEN n % 1000 = 0 THEN 'It broke.' END",
    "ended_at": "now() - n * interval '89 days' / ($1 + 1)",
    "extra": "jsonb_build_object('tier', 'gold', 'customer', 'c-' || n)",
}
