"""Calendars: syncs of few and of many events, and a thousand calendars that change in a minute.

The providers are the rehearsal's, in this process, over HTTP; what is measured is in others.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.load import Order, measure, percentile
from bench.row import Row
from bench.serving import METRICS_TOKEN, Served, forget, served
from sitin.contract.calendars import CalendarPlatform
from sitin.rehearsal.calendars import Account, CalendarRehearsal
from sitin.rehearsal.calendars.provider import RehearsedProvider

FEW, MANY = 100, 10_000
"""Events in the window."""

CHANGES = 5
"""Incremental syncs of one change each, of which the median is told."""

CALENDARS, COPIES = 1000, 3
MINUTE = 60.0

MEETING = "https://meet.google.com/abc-defg-hij"

_SYNCS_TO_DO = "SELECT count(*) FROM jobs WHERE task = 'sync_calendar'"


async def syncing() -> list[Row]:
    """The first sync, and one of a single change, at either provider."""
    rows: list[Row] = []
    for platform in CalendarPlatform:
        name = platform.value.capitalize()
        few, many = await _syncs(platform, FEW), await _syncs(platform, MANY)
        first, change, small = many["first"], many["change"], few["change"]
        asked = f"{first['statements']} statements, {first['cpu_seconds']:.1f} s of CPU"
        rows += [
            Row(f"{name}: first sync of {MANY:,} events", first["seconds"], "s", note=asked),
            Row(f"{name}: memory it took at most", first["grown_by"] / 1e6, "MB"),
            Row(
                f"{name}: one change among {MANY:,}",
                1000 * change["seconds"],
                "ms",
                note=f"{change['statements']} statements, {change['grown_by'] / 1e6:.1f} MB",
            ),
            Row(
                f"{name}: one change among {FEW}",
                1000 * small["seconds"],
                "ms",
                note=f"{small['statements']} statements",
            ),
            Row(
                f"{name}: the first by the second",
                change["cpu_seconds"] / small["cpu_seconds"],
                "",
                2,
                note="by CPU time",
            ),
        ]
    return rows


async def _syncs(platform: CalendarPlatform, events: int) -> dict[str, dict[str, float]]:
    async with CalendarRehearsal() as rehearsal, _syncer(rehearsal) as ask:
        provider = _provider(rehearsal, platform)
        account = provider.account("ada@example.com")
        for number in range(events):
            _add(account, number, events)
        connection_id = await ask({"connect": _body(provider, account)})
        first = await ask({"sync": connection_id})
        changes = []
        for number in range(CHANGES):
            _add(account, number, events)
            changes.append(await ask({"sync": connection_id}))
        change = {key: median(one[key] for one in changes) for key in first}
        return {"first": first, "change": change}


@asynccontextmanager
async def _syncer(rehearsal: CalendarRehearsal) -> AsyncIterator[Any]:
    """The room in a process of its own; gives what asks it."""
    data_dir = Path(tempfile.mkdtemp(prefix="sitin-bench-", dir="/var/tmp"))
    environment = {name: value for name, value in os.environ.items() if "SITIN" not in name}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.syncer",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment | dict(rehearsal.environment) | {"SITIN_DATA_DIR": str(data_dir)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    into, out = process.stdin, process.stdout

    async def ask(request: Any) -> Any:
        into.write(json.dumps(request).encode() + b"\n")
        line = await out.readline()
        assert line, "the syncer ended"
        return json.loads(line)

    try:
        yield ask
    finally:
        into.close()
        await process.wait()
        forget(data_dir)


async def pushing() -> list[Row]:
    """Calendars that change in one minute, each change told three times."""
    async with CalendarRehearsal() as rehearsal, served(**rehearsal.environment) as service:
        provider = rehearsal.google
        accounts = [provider.account(f"user{number}@example.com") for number in range(CALENDARS)]
        connection = await asyncpg.connect(service.database_url)
        try:
            await _connect(service, provider, accounts)
            await _reaches(
                connection,
                "SELECT count(*) FROM calendar_connections WHERE synced_at IS NOT NULL",
                goal=CALENDARS,
            )
            await _reaches(
                connection,
                "SELECT count(*) FROM calendar_channels WHERE state = 'active'",
                goal=CALENDARS,
            )
            # Each of them is looked at once more when it has its channel.
            await _reaches(connection, _SYNCS_TO_DO, goal=0)
            rehearsal.pushes.duplicate(COPIES)
            before, cpu = await _syncs_done(service), sum(service.cpu())
            changed = await _change(accounts)
            await _reaches(connection, "SELECT count(*) FROM calendar_events", goal=CALENDARS)
            await rehearsal.pushes.settled()
            # A notice that came after its sync had begun leads to another; let it.
            await _reaches(connection, _SYNCS_TO_DO, goal=0)
            stored = await connection.fetch(
                "SELECT title, extract(epoch FROM updated_at)::float AS at FROM calendar_events"
            )
            late = [row["at"] - changed[row["title"]] for row in stored]
            done = await _syncs_done(service) - before
            spent = sum(service.cpu()) - cpu
        finally:
            await connection.close()
    what = f"{CALENDARS:,} calendars, {COPIES} notices of each change in a minute"
    return [
        Row("changes that arrived", float(len(stored)), "", CALENDARS, at_least=True, note=what),
        Row("syncs they took", float(done), "", 1.02 * CALENDARS),
        Row("from the change until it is stored: p50", percentile(late, 0.5), "s"),
        Row("from the change until it is stored: p99", percentile(late, 0.99), "s"),
        Row("CPU-s per 1,000 syncs", 1000 * spent / done, "s", note="with Postgres"),
    ]


async def _connect(service: Served, provider: RehearsedProvider, accounts: list[Account]) -> None:
    bodies = [
        ("POST", "/v2/calendars", json.dumps(_body(provider, account))) for account in accounts
    ]
    headers = {"x-meeting-baas-api-key": service.key}
    await measure(Order(service.url, bodies, 4, CALENDARS, headers))


async def _change(accounts: list[Account]) -> dict[str, float]:
    """One event in each calendar, evenly over a minute; when each was made, by its title."""
    began, made = time.monotonic(), {}
    for number, account in enumerate(accounts):
        await asyncio.sleep(began + number * MINUTE / CALENDARS - time.monotonic())
        title = f"Event {number}"
        made[title] = time.time()
        account.primary.add(title, datetime.now(UTC) + timedelta(hours=2), meeting_url=MEETING)
    return made


async def _reaches(
    connection: asyncpg.Connection, query: str, *, goal: int, within: float = 600.0
) -> None:
    """Wait for a count, for so many seconds: what is not there by then is told as missing."""
    deadline = time.monotonic() + within
    while await connection.fetchval(query) != goal and time.monotonic() < deadline:
        await asyncio.sleep(0.2)


async def _syncs_done(service: Served) -> int:
    async with httpx.AsyncClient(base_url=service.url) as client:
        answer = await client.get("/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"})
    answer.raise_for_status()
    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == "sitin_calendar_syncs_total"
    )


def _provider(rehearsal: CalendarRehearsal, platform: CalendarPlatform) -> RehearsedProvider:
    provider: RehearsedProvider = getattr(rehearsal, platform.value)
    return provider


def _add(account: Account, number: int, events: int) -> None:
    """An event somewhere in the next 30 days."""
    start = datetime.now(UTC) + timedelta(hours=1) + timedelta(days=28) * number / events
    account.primary.add(
        f"Event {number}",
        start,
        minutes=30,
        meeting_url=MEETING,
        description="What we talk about, and what was left from last time.",
        attendees=["ada@example.com", "bob@example.com", "cyd@example.com"],
    )


def _body(provider: RehearsedProvider, account: Account) -> dict[str, str]:
    return {
        "calendar_platform": provider.platform.value,
        "oauth_client_id": provider.client.id,
        "oauth_client_secret": provider.client.secret,
        "oauth_refresh_token": account.refresh_token,
        "raw_calendar_id": "primary",
    }
