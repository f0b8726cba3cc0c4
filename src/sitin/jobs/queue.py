"""Adds, cancels and requeues jobs in the caller's transaction."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.jobs.interface import JobPayload, Task
from sitin.jobs.models import Job, JobState
from sitin.kit.wakeups import Channel, wake


class PostgresJobQueue:
    """Implements ``sitin.jobs.interface.JobQueue``."""

    async def enqueue(
        self,
        session: AsyncSession,
        job: JobPayload,
        *,
        delay: timedelta = timedelta(0),
        key: str | None = None,
        expedite: bool = False,
    ) -> None:
        """See ``JobQueue.enqueue``."""
        added = insert(Job).values(task=job.task, key=key, payload=job, run_at=func.now() + delay)
        # An update, even one that changes nothing, locks the waiting job until this transaction
        # ends, and workers skip locked rows: the job cannot start before it can see the changes.
        earliest = func.least(Job.run_at, added.excluded.run_at) if expedite else Job.run_at
        await session.execute(
            added.on_conflict_do_update(
                index_elements=["task", "key"],
                index_where=text("state = 'waiting' AND key IS NOT NULL"),
                set_={"run_at": earliest},
            )
        )
        await wake(session, Channel.JOBS)

    async def cancel(self, session: AsyncSession, task: Task, *, key: str) -> None:
        """See ``JobQueue.cancel``."""
        await session.execute(
            delete(Job).where(Job.task == task, Job.key == key, Job.state == JobState.WAITING)
        )


async def list_dead_lettered(session: AsyncSession, *, limit: int = 1000) -> Sequence[Job]:
    """List dead-lettered jobs, oldest first."""
    query = select(Job).where(Job.state == JobState.DEAD_LETTERED).order_by(Job.id).limit(limit)
    return (await session.scalars(query)).all()


async def requeue_dead_lettered(session: AsyncSession) -> int:
    """Run the dead-lettered jobs again. Returns their number.

    Of several jobs with one key only the oldest is kept, and none where another one waits already:
    the work of that key is done by one run.
    """
    await session.execute(
        text(
            """
            DELETE FROM jobs AS dead
            WHERE state = 'dead_lettered' AND key IS NOT NULL AND EXISTS (
                SELECT FROM jobs AS other
                WHERE other.task = dead.task AND other.key = dead.key AND (
                    other.state = 'waiting'
                    OR (other.state = 'dead_lettered' AND other.id < dead.id)))
            """
        )
    )
    result: CursorResult[Any] = await session.execute(
        update(Job)
        .where(Job.state == JobState.DEAD_LETTERED)
        .values(state=JobState.WAITING, run_at=func.now(), attempts=0)
        .execution_options(synchronize_session=False)
    )  # type: ignore[assignment]
    await wake(session, Channel.JOBS)
    return result.rowcount
