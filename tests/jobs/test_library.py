"""What holds the job library to our names and our migration."""

from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter

from sitin.jobs.library import SETTINGS, builders, queries
from sitin.jobs.manager import JobQueries
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


class FailingDriver(AsyncpgDriver):
    """Loses the connection at the next statement, when told to."""

    lost = False

    async def execute(self, query: str, *args: object) -> str:
        if self.lost:
            raise ConnectionResetError
        return await super().execute(query, *args)


@pytest.mark.db
@pytest.mark.parametrize("disaster", ["cancelled", "not retried"])
async def test_a_process_that_ends_in_disorder_loses_no_job(
    database_url: str, disaster: str
) -> None:
    """The library deletes the job of a cancelled task, and holds one that it cannot retry."""
    connection = await asyncpg.connect(database_url)
    driver = FailingDriver(connection)
    jobs = JobQueries(driver, *builders())
    try:
        await jobs.enqueue("transcribe", b"{}")
        (job,) = await jobs.dequeue(
            batch_size=1,
            entrypoints={QueueEntrypoint("transcribe"): EntrypointExecutionParameter(0)},
            queue_manager_id=QueueManagerId(uuid4()),
            global_concurrency_limit=None,
            heartbeat_timeout=timedelta(seconds=30),
        )
        if disaster == "cancelled":
            await jobs.log_jobs([(job, "canceled", None)])
        else:
            driver.lost = True
            await jobs.retry_job(job, timedelta(0), None)
        # As if its worker had been killed: another one takes it over.
        assert await connection.fetchval("SELECT status::text FROM pgqueuer") == "picked"
    finally:
        await connection.close()


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
