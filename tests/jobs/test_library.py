"""What holds the job library to our names and our migration."""

import asyncpg
import pytest
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings

from sitin.jobs.library import SETTINGS, queries
from sitin.jobs.worker import _PRUNE


@pytest.mark.unit
def test_no_name_comes_from_the_environment() -> None:
    assert SETTINGS.model_fields_set == set(DBSettings.model_fields)


@pytest.mark.db
async def test_the_migration_made_what_the_installed_library_asks_for(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        plan = await queries(AsyncpgDriver(connection)).plan_upgrade()
    finally:
        await connection.close()
    assert plan.statements == ()


@pytest.mark.db
async def test_the_librarys_log_is_pruned(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "INSERT INTO pgqueuer_log (created, job_id, status, priority, entrypoint)"
            " VALUES (now() - interval '25 hours', 1, 'queued', 0, 'old'),"
            " (now() - interval '23 hours', 2, 'queued', 0, 'new')"
        )
        await connection.execute(_PRUNE)
        assert await connection.fetchval("SELECT array_agg(entrypoint) FROM pgqueuer_log") == [
            "new"
        ]
    finally:
        await connection.close()
