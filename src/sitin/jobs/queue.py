"""``Jobs`` on PgQueuer: what a room enqueues joins the room's transaction."""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.jobs.library import SessionDriver, queries
from sitin.jobs.port import JobPayload, Task


class PostgresJobs:
    """Implements ``sitin.jobs.port.Jobs``."""

    async def enqueue(
        self,
        session: AsyncSession,
        job: JobPayload,
        *,
        delay: timedelta = timedelta(0),
        key: str | None = None,
        sooner: bool = False,
    ) -> None:
        """See ``Jobs.enqueue``."""
        # Meeting a waiting job of the same key, this locks its row until the transaction ends, and
        # no worker takes a locked row: the job cannot have run before what it is to see was there.
        await queries(SessionDriver(session)).enqueue(
            job.task,
            job.model_dump_json().encode(),
            execute_after=delay,
            dedupe_key=None if key is None else full_key(job.task, key),
            on_conflict="update_priority",
        )
        if sooner and key is not None:
            await session.execute(
                text(
                    "UPDATE pgqueuer SET execute_after = now() + :delay "
                    "WHERE dedupe_key = :key AND execute_after > now() + :delay"
                ),
                {"key": full_key(job.task, key), "delay": delay},
            )

    async def cancel(self, session: AsyncSession, task: Task, *, key: str) -> None:
        """See ``Jobs.cancel``."""
        await session.execute(
            text("DELETE FROM pgqueuer WHERE dedupe_key = :key AND status = 'queued'"),
            {"key": full_key(task, key)},
        )

    async def requeue_held(self, session: AsyncSession) -> int:
        """Let the jobs that failed too often run again; returns how many there were."""
        library = queries(SessionDriver(session))
        held = [job.id for job in await library.list_failed_jobs(limit=10_000)]
        await session.execute(
            text("UPDATE pgqueuer SET headers = headers - 'starts' WHERE id = ANY(:ids)"),
            {"ids": held},
        )
        await library.requeue_jobs(held)
        return len(held)


def full_key(task: Task, key: str) -> str:
    """The key as it stands in the queue, where all tasks share one namespace."""
    return f"{task}:{key}"
