"""Runs jobs and periodic work until told to stop. Wired together by the command line.

A job whose worker was killed is run by another one within ``HEARTBEAT + POLL`` (35 s): the library
takes a running job over when its heartbeat is older than the one, and looks every other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from pgqueuer.core.sm import SchedulerManager
from pgqueuer.domain.models import Schedule
from prometheus_client import Counter

from sitin.jobs.connection import ReconnectingDriver
from sitin.jobs.execution import Crew, JobExecutor
from sitin.jobs.library import builders
from sitin.jobs.manager import JobManager, JobQueries
from sitin.jobs.port import AnyHandler, Periodic
from sitin.kit.waiting import wait_for_event

HEARTBEAT = timedelta(seconds=30)
POLL = timedelta(seconds=5)
BATCH = 10

_RESTART_SECONDS = 1.0
_PRUNE = "DELETE FROM pgqueuer_log WHERE created < now() - interval '1 day'"

FAULTS = Counter("sitin_worker_faults_total", "Times that the worker's loop had to begin anew.")
PERIODIC_FAILURES = Counter(
    "sitin_periodic_failures_total", "Times that periodic work raised an exception.", ["name"]
)

log = structlog.get_logger(__name__)


class Worker:
    """Runs the jobs of the given handlers; jobs of other tasks stay in the queue.

    Args:
        url: ``postgresql://`` URL; the worker keeps connections of its own.
        handlers: One per task. What they share in concurrency with other workers is nothing.
        periodic: Further work by the clock.
        heartbeat: After how long without a sign a worker's jobs are taken over.
        poll: How long at most until a worker looks for such jobs, or for a missed notification.
    """

    def __init__(
        self,
        url: str,
        handlers: Sequence[AnyHandler],
        *,
        periodic: Sequence[Periodic] = (),
        heartbeat: timedelta = HEARTBEAT,
        poll: timedelta = POLL,
    ) -> None:
        self._url = url
        self._handlers = handlers
        self._periodic = periodic
        self._heartbeat = heartbeat
        self._poll = poll
        self._shutdown = asyncio.Event()
        self._finished = asyncio.Event()
        self._crew = Crew()

    async def run(self) -> None:
        """Work until ``stop``; being cancelled returns the running jobs to the queue at once."""
        # Cancellation stops at the shield: the library takes a cancelled job for one that nobody
        # wants any more.
        work = asyncio.create_task(self._work())
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await self.stop(grace=timedelta(0))
            await asyncio.shield(work)
            raise

    async def stop(self, *, grace: timedelta = timedelta(seconds=10)) -> None:
        """Take no further jobs; return to the queue what has not ended after ``grace``."""
        self._shutdown.set()
        await wait_for_event(self._finished, grace.total_seconds())
        self._crew.send_home()
        await self._finished.wait()

    async def _work(self) -> None:
        try:
            async with ReconnectingDriver(self._url, self._shutdown).open() as driver:
                queries = JobQueries(driver, *builders())
                await asyncio.gather(
                    self._keep_on(lambda: self._run_jobs(queries)),
                    self._keep_on(lambda: self._run_periodic(queries)),
                )
        finally:
            self._finished.set()

    async def _keep_on(self, run: Callable[[], Awaitable[None]]) -> None:
        while not self._shutdown.is_set():
            try:
                await run()
            except Exception:  # edge: whatever the library stumbles over, the worker goes on
                FAULTS.inc()
                log.exception("worker_fault")
                await wait_for_event(self._shutdown, _RESTART_SECONDS)

    async def _run_jobs(self, queries: JobQueries) -> None:
        manager = JobManager(queries)
        manager.shutdown = self._shutdown
        for handler in self._handlers:
            manager.register(handler, JobExecutor(handler, queries.driver, self._crew))
        await manager.run(
            dequeue_timeout=self._poll,
            batch_size=BATCH,
            heartbeat_timeout=self._heartbeat,
            # Our metrics count; the library's own statistics would write every job once more.
            log_aggregation_interval=timedelta(0),
        )

    async def _run_periodic(self, queries: JobQueries) -> None:
        manager = SchedulerManager(queries)
        manager.shutdown = self._shutdown

        async def prune() -> None:
            await queries.driver.execute(_PRUNE)

        for periodic in (*self._periodic, Periodic("prune_job_log", "17 * * * *", prune)):
            manager.schedule(periodic.name, periodic.cron)(self._guarded(periodic))
        await manager.run()

    def _guarded(self, periodic: Periodic) -> Callable[[Schedule], Awaitable[None]]:
        async def call() -> None:
            await periodic.run()

        async def run(schedule: Schedule) -> None:  # noqa: ARG001 - the library's signature
            task = await self._crew.run(call())
            if not task.cancelled() and (error := task.exception()):
                PERIODIC_FAILURES.labels(periodic.name).inc()
                log.error("periodic_failed", name=periodic.name, exc_info=error)

        return run
