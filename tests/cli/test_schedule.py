"""Scheduled bots and a service that is killed: what became due meanwhile is caught up with."""

from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest

from sitin.kit.clock import iso
from sitin.kit.postgres import EmbeddedPostgres
from sitin.kit.tls import trusted
from tests.cli.conftest import Machine
from tests.waiting import until

pytestmark = pytest.mark.db

BOT = {"bot_name": "Notes", "meeting_url": "https://meet.google.com/abc-defg-hij"}


async def test_a_service_that_was_killed_catches_up(machine: Machine) -> None:
    later = iso(datetime.now(UTC) + timedelta(hours=1))
    async with machine.serving() as (url, process):
        headers = {"x-meeting-baas-api-key": (machine.data_dir / "api_key").read_text().strip()}
        async with httpx.AsyncClient(base_url=url, headers=headers, verify=trusted()) as client:
            ids = [
                (await client.post("/v2/bots/scheduled", json={**BOT, "join_at": later})).json()[
                    "data"
                ]["bot_id"]
                for _ in range(3)
            ]
        process.kill()
        await process.wait()
    # While nobody runs, the hour passes for two of them: for one just now, for one too long ago.
    postgres = EmbeddedPostgres(machine.data_dir)
    with postgres as database_url:
        connection = await asyncpg.connect(database_url)
        for bot_id, ago in ((ids[0], timedelta(seconds=30)), (ids[1], timedelta(hours=1))):
            await connection.execute(
                "UPDATE scheduled_bots SET join_at = now() - $2::interval WHERE id = $1",
                bot_id,
                ago,
            )
        await connection.close()
    async with (
        machine.serving() as (url, _),
        httpx.AsyncClient(base_url=url, headers=headers, verify=trusted()) as client,
    ):

        async def statuses() -> list[str]:
            answers = [await client.get(f"/v2/bots/scheduled/{bot_id}") for bot_id in ids]
            return [answer.json()["data"]["status"] for answer in answers]

        async def are_decided() -> bool:
            return await statuses() == ["completed", "failed", "scheduled"]

        await until(are_decided)
        # No bot runs here: it stays queued, and says so.
        assert (await client.get(f"/v2/bots/{ids[0]}")).json()["data"]["status"] == "queued"
        assert (await client.get(f"/v2/bots/{ids[1]}")).status_code == 404
