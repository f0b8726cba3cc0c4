"""A process that is killed in a request with an idempotency key: effect and answer, or neither."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from sitin.accounts.idempotency import REPLAYED_HEADER
from sitin.accounts.models import Permission
from sitin.accounts.service import KEY_HEADER, create_key, create_team
from sitin.kit.crypto import new_key
from sitin.kit.database import Database
from sitin.kit.tls import trusted
from tests.api.changes import BOT

pytestmark = pytest.mark.db

SECONDS = 60
KEY = {"Idempotency-Key": "5f1c2b9e-0d1f-4f0e-8a43-2a0f2f6f0c11"}


@asynccontextmanager
async def process(
    database: Database, secret_key: str, directory: Path, moment: str
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """An API that dies at a moment: its address and its process."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.api.dying_process",
        database.url,
        secret_key,
        str(directory),
        moment,
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if "SITIN" not in name},
        stdout=asyncio.subprocess.PIPE,
    )
    assert running.stdout is not None
    try:
        async with asyncio.timeout(SECONDS):
            yield (await running.stdout.readline()).decode().strip(), running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def rows(database: Database) -> list[int]:
    """How many bots, stored answers and entries of the audit log there are."""
    async with database.transaction() as session:
        return [
            await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0
            for table in ("bots", "idempotency_keys", "audit_entries")
        ]


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        ("effect", [0, 0, 0]),
        ("commit", [0, 0, 0]),
        ("committed", [1, 1, 1]),
        ("answer", [1, 1, 1]),
    ],
)
@pytest.mark.parametrize("path", ["/v2/bots", "/v2/bots/batch"])
async def test_repeated_after_its_death_it_has_one_effect(
    database: Database, tmp_path: Path, moment: str, left: list[int], path: str
) -> None:
    secret_key = new_key()
    body = BOT if path == "/v2/bots" else [BOT]
    async with database.transaction() as session:
        team = await create_team(session, name="Acme")
        key = await create_key(session, team_id=team.id, permission=Permission.FULL_ACCESS)
    headers = KEY | {KEY_HEADER: key.text}
    async with httpx.AsyncClient(headers=headers, verify=trusted(), timeout=SECONDS) as client:
        async with process(database, secret_key, tmp_path, moment) as (url, running):
            with pytest.raises(httpx.TransportError):
                await client.post(url + path, json=body)
            assert await running.wait() == -signal.SIGKILL
        assert await rows(database) == left
        async with process(database, secret_key, tmp_path, "never") as (url, _):
            answers = [await client.post(url + path, json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert (REPLAYED_HEADER in answers[0].headers) is (left == [1, 1, 1])
    assert REPLAYED_HEADER in answers[1].headers
    assert await rows(database) == [1, 1, 1]
