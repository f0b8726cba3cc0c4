"""The library's loop and queries where ours have to differ. For worker.py."""

import asyncio
from collections import Counter as Tally
from collections.abc import AsyncGenerator, Iterable
from datetime import timedelta

import asyncpg
import structlog
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.models import Context, Job, TableChangedEvent, TracebackRecord, utc_now
from pgqueuer.domain.types import JOB_STATUS, JobId, QueueEntrypoint
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pydantic_core import from_json

from sitin.jobs.execution import JobExecutor
from sitin.jobs.library import SETTINGS
from sitin.jobs.port import AnyHandler

log = structlog.get_logger(__name__)

# The key is put aside while the job runs, so that the next job of this key is not taken for it. The
# starts are counted before the run, so that a run that takes the process with it counts as well.
_BEGIN = """
UPDATE pgqueuer
SET dedupe_key = NULL,
    headers = (CASE jsonb_typeof(headers) WHEN 'object' THEN headers ELSE '{}' END)
        || jsonb_build_object(
            'key', coalesce(dedupe_key, headers->>'key'),
            'starts', coalesce((headers->>'starts')::int, 0) + 1)
WHERE id = ANY($1) AND queue_manager_id = $2 AND status = 'picked'
RETURNING id, headers
"""

_PUT_BACK = """
UPDATE pgqueuer SET status = 'queued', queue_manager_id = NULL
WHERE id = ANY($1) AND queue_manager_id = $2 AND status = 'picked'
"""


class JobQueries(Queries):
    """The library's queries, which never lose a job nor let a worker oversleep one."""

    async def retry_job(
        self, job: Job, delay: timedelta, traceback_record: TracebackRecord | None
    ) -> None:
        """Put a job back into the queue."""
        try:
            await super().retry_job(job, delay, traceback_record)
            await self._wake()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            # Told of a failure, the library would hold the job. Left as it is, it is taken over.
            log.warning("job_not_returned", task=job.entrypoint, job=job.id, exc_info=True)

    async def log_jobs(
        self, job_status: list[tuple[Job, JOB_STATUS, TracebackRecord | None]]
    ) -> None:
        """Remove the jobs that have ended."""
        # Nobody cancels a job but a process that dies in disorder; the job is taken over.
        ended = [entry for entry in job_status if entry[1] != "canceled"]
        if ended:
            await super().log_jobs(ended)

    async def begin(self, jobs: Iterable[Job], worker: object) -> list[Job]:
        """Mark jobs as begun; returns those that still are this worker's, with their headers."""
        by_id = {job.id: job for job in jobs}
        rows = await self.driver.fetch(_BEGIN, list(by_id), worker)
        headers = {row["id"]: from_json(str(row["headers"])) for row in rows}
        return [
            job.model_copy(update={"headers": headers[job.id]})
            for job in by_id.values()
            if job.id in headers
        ]

    async def put_back(self, jobs: Iterable[Job], worker: object) -> None:
        """Give back jobs that were taken and not begun."""
        await self.driver.execute(_PUT_BACK, [job.id for job in jobs], worker)
        await self._wake()

    async def _wake(self) -> None:
        """Tell every worker to look; the library's trigger is silent on updates."""
        now = utc_now()
        event = TableChangedEvent(
            channel=SETTINGS.channel,
            sent_at=now,
            received_at=now,
            type="table_changed_event",
            operation="update",
            table=SETTINGS.queue_table,
        )
        await self.driver.notify(SETTINGS.channel, event.model_dump_json())


class JobManager(QueueManager):
    """The library's loop, with a bound to how many jobs of a task run in this process.

    The library's own bounds hold over all workers together.
    """

    queries: JobQueries

    def __init__(self, queries: JobQueries) -> None:
        super().__init__(queries, SETTINGS.channel)
        self._places: dict[QueueEntrypoint, int] = {}
        self._taken: dict[JobId, QueueEntrypoint] = {}

    def register(self, handler: AnyHandler, executor: JobExecutor) -> None:
        """Run this handler's jobs with this executor."""
        self.register_executor(handler.payload.task, executor)
        self._places[QueueEntrypoint(handler.payload.task)] = handler.concurrency

    async def fetch_jobs(
        self,
        batch_size: int,
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> AsyncGenerator[Job, None]:
        """Take jobs while there is room for them."""
        while not self.shutdown.is_set() and (free := self._free()):
            taken = await self.queries.dequeue(
                batch_size=batch_size,
                entrypoints={task: EntrypointExecutionParameter(0) for task in free},
                queue_manager_id=self.queue_manager_id,
                global_concurrency_limit=global_concurrency_limit,
                heartbeat_timeout=heartbeat_timeout,
            )
            if not taken:
                return
            fitting: list[Job] = []
            excess: list[Job] = []
            for job in taken:
                free[job.entrypoint] -= 1
                (fitting if free[job.entrypoint] >= 0 else excess).append(job)
            if excess:
                await self.queries.put_back(excess, self.queue_manager_id)
            for job in await self.queries.begin(fitting, self.queue_manager_id):
                self._taken[job.id] = job.entrypoint
                yield job

    def forget_job(self, job_id: JobId, context: Context, task: asyncio.Task[None]) -> None:
        """Make room for the next job."""
        super().forget_job(job_id, context, task)
        # A job that came back and was taken again has a new context under the same id.
        if job_id not in self.job_context:
            self._taken.pop(job_id, None)

    def _free(self) -> Tally[QueueEntrypoint]:
        """Places by task, of the tasks that have any."""
        return Tally(self._places) - Tally(self._taken.values())
