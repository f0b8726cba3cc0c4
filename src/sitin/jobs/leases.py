"""Claims due jobs under a lease, and ends or returns them. For the worker.

Times are the database's: workers on machines whose clocks differ agree on when a job is due and
when a lease has expired.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Text, bindparam, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.jobs.models import Job, JobState
from sitin.kit.database import Database, among
from sitin.kit.wakeups import Channel, wake

# A running job whose lease has expired is due like a waiting one.
_CLAIM = (
    text(
        """
        WITH due AS (
            SELECT job.id
            FROM unnest(:tasks, :counts) AS room (task, free) CROSS JOIN LATERAL (
                SELECT id FROM jobs
                WHERE task = room.task AND state IN ('waiting', 'running') AND run_at <= now()
                ORDER BY run_at LIMIT room.free
                FOR UPDATE SKIP LOCKED) AS job
        )
        UPDATE jobs
        SET state = 'running', attempts = attempts + 1, lease_token = gen_random_uuid(),
            run_at = now() + :lease
        FROM due WHERE jobs.id = due.id
        RETURNING jobs.id, jobs.task, jobs.payload, jobs.attempts, jobs.lease_token
        """
    )
    .bindparams(bindparam("tasks", type_=ARRAY(Text)), bindparam("counts", type_=ARRAY(Integer)))
    .columns(payload=JSONB)
)
_NEXT_RUN = text(
    """
    SELECT extract(epoch FROM min(job.run_at) - now())
    FROM unnest(:tasks) AS known (task) CROSS JOIN LATERAL (
        SELECT run_at FROM jobs
        WHERE task = known.task AND state IN ('waiting', 'running') AND run_at > now()
        ORDER BY run_at LIMIT 1) AS job
    """
).bindparams(bindparam("tasks", type_=ARRAY(Text)))


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that this process runs.

    Attributes:
        attempts: Starts in a row without success, this one included.
        lease_token: Proof that this run still owns the job.
    """

    id: int
    task: str
    payload: dict[str, Any]
    attempts: int
    lease_token: UUID


async def claim(
    session: AsyncSession, free: Mapping[str, int], *, lease: timedelta
) -> list[ClaimedJob]:
    """Claim due jobs, at most ``free[task]`` of each task, those due longest first."""
    rows = await session.execute(
        _CLAIM, {"tasks": list(free), "counts": list(free.values()), "lease": lease}
    )
    return [
        ClaimedJob(row.id, row.task, row.payload, row.attempts, row.lease_token) for row in rows
    ]


async def time_until_due(session: AsyncSession, tasks: Collection[str]) -> timedelta | None:
    """Return the time until the next job of these tasks becomes due, if there is one.

    Jobs that are due already do not count: they are locked, and whoever has locked them sends a
    wake-up.
    """
    seconds = await session.scalar(_NEXT_RUN, {"tasks": list(tasks)})
    return None if seconds is None else timedelta(seconds=float(seconds))


async def extend(session: AsyncSession, jobs: Collection[ClaimedJob], *, lease: timedelta) -> None:
    """Extend the leases of running jobs. A job that another worker has claimed is skipped."""
    await session.execute(
        update(Job)
        .where(
            among(Job.id, [job.id for job in jobs]),
            among(Job.lease_token, [job.lease_token for job in jobs]),
        )
        .values(run_at=func.now() + lease)
        .execution_options(synchronize_session=False)
    )


async def complete(session: AsyncSession, job: ClaimedJob) -> None:
    """Delete a job that has been done."""
    await session.execute(delete(Job).where(Job.id == job.id, Job.lease_token == job.lease_token))


async def dead_letter(session: AsyncSession, job: ClaimedJob, *, error: str) -> None:
    """Keep a job for the operator. It is not run until it is requeued."""
    await _release(session, job, {"state": JobState.DEAD_LETTERED, "error": error})


async def retry(
    database: Database,
    job: ClaimedJob,
    *,
    delay: timedelta,
    error: str | None = None,
    keep_attempts: bool = False,
) -> None:
    """Let a job wait for its next run.

    It is dropped when another job of its key waits already, which will do the same work.
    """
    values: dict[str, Any] = {
        "state": JobState.WAITING,
        "run_at": func.now() + delay,
        "error": error,
    }
    if not keep_attempts:
        values["attempts"] = 0
    try:
        async with database.transaction() as session:
            await _release(session, job, values)
            await wake(session, Channel.JOBS)
    except IntegrityError:
        async with database.transaction() as session:
            await complete(session, job)


async def add_periodic(session: AsyncSession, names: Collection[str]) -> None:
    """Add the jobs of periodic tasks that do not exist yet. They are due at once."""
    tasks = [periodic_task(name) for name in names]
    existing = set(await session.scalars(select(Job.task).where(among(Job.task, tasks))))
    for task in tasks:
        if task not in existing:
            await session.execute(
                insert(Job)
                .values(task=task, key=task, payload={}, run_at=func.now())
                .on_conflict_do_nothing()
            )


def periodic_task(name: str) -> str:
    """Return the task of a periodic task's job."""
    return f"periodic:{name}"


async def _release(session: AsyncSession, job: ClaimedJob, values: dict[str, Any]) -> None:
    await session.execute(
        update(Job)
        .where(Job.id == job.id, Job.lease_token == job.lease_token)
        .values(lease_token=None, **values)
        .execution_options(synchronize_session=False)
    )
