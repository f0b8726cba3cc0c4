"""Runs jobs and periodic tasks until told to stop.

Each running job has a lease, which the worker extends. The job of a worker that was killed is run
by another one within ``LEASE + POLL_INTERVAL`` (35 s).
"""

import asyncio
import time
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy.exc import SQLAlchemyError

from sitin.jobs import leases
from sitin.jobs.interface import AnyJobHandler, PeriodicTask, RetryLaterError
from sitin.jobs.leases import ClaimedJob, periodic_task
from sitin.kit.backoff import Backoff
from sitin.kit.database import Database
from sitin.kit.outages import passes_by_itself
from sitin.kit.waiting import wait_for_event
from sitin.kit.wakeups import Channel, Wakeups

LEASE = timedelta(seconds=30)
POLL_INTERVAL = timedelta(seconds=5)
MAX_ATTEMPTS = 10
"""Starts in a row without success after which a job is dead-lettered: about nine minutes."""
RETRY_BACKOFF = Backoff(timedelta(seconds=1), timedelta(minutes=5))
_DATABASE_BACKOFF = Backoff(timedelta(seconds=0.1), timedelta(seconds=2))
_FAULT_PAUSE = timedelta(seconds=1)

RUNS = Counter("sitin_job_runs_total", "Runs of jobs by how they ended.", ["task", "outcome"])
SECONDS = Histogram("sitin_job_seconds", "Duration of runs of jobs.", ["task"])
FAULTS = Counter("sitin_worker_faults_total", "Errors of the worker itself, outside of its jobs.")
DATABASE_ERRORS = Counter(
    "sitin_worker_database_errors_total", "Statements of the worker that the database refused."
)
PERIODIC_FAILURES = Counter(
    "sitin_periodic_failures_total", "Runs of periodic tasks that raised an exception.", ["name"]
)

log = structlog.get_logger(__name__)

T = TypeVar("T")


class JobWorker:
    """Runs the jobs of the given handlers. Jobs of other tasks stay in the queue.

    Args:
        database: Where the jobs are.
        wakeups: Announces new jobs. Without it a worker only sees them when it polls.
        handlers: One per task.
        periodic: Periodic tasks.
        lease: How long a job belongs to a worker that gives no sign of life.
        poll_interval: Maximum time between two looks for due jobs.
    """

    def __init__(
        self,
        database: Database,
        wakeups: Wakeups,
        handlers: Sequence[AnyJobHandler],
        *,
        periodic: Sequence[PeriodicTask] = (),
        lease: timedelta = LEASE,
        poll_interval: timedelta = POLL_INTERVAL,
    ) -> None:
        self._database = database
        self._wakeups = wakeups
        self._handlers = {str(handler.payload.task): handler for handler in handlers}
        self._periodic = {periodic_task(task.name): task for task in periodic}
        self._lease = lease
        self._poll_interval = poll_interval
        self._running: dict[asyncio.Task[None], ClaimedJob] = {}
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Work until ``stop``. Being cancelled returns the running jobs to the queue at once."""
        # The cancellation ends at the shield, so that the jobs can be returned first.
        work = asyncio.create_task(self._work())
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await self.stop(grace=timedelta(0))
            await asyncio.shield(work)
            raise

    async def stop(self, *, grace: timedelta = timedelta(seconds=10)) -> None:
        """Claim no further jobs; return to the queue what has not ended after ``grace``."""
        self._stopping.set()
        if not await wait_for_event(self._stopped, grace.total_seconds()):
            for task in self._running:
                task.cancel()
        await self._stopped.wait()

    async def _work(self) -> None:
        with self._wakeups.listening(Channel.JOBS) as look:
            helpers = [
                asyncio.create_task(self._repeat(self._extend_leases, self._lease / 3)),
                asyncio.create_task(self._look_when_stopping(look)),
            ]
            try:
                await self._guard(self._add_periodic)
                while not self._stopping.is_set():
                    look.clear()
                    wait = await self._guard(lambda: self._claim(look))
                    await wait_for_event(look, (wait or _FAULT_PAUSE).total_seconds())
                while self._running:
                    await asyncio.wait(self._running)
            finally:
                for task in helpers:
                    task.cancel()
                await asyncio.gather(*helpers, return_exceptions=True)
                self._stopped.set()

    async def _guard(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Run a step of the worker, which outlives its own faults."""
        try:
            return await work()
        except Exception:  # edge of the process: one step fails, the next one is taken
            FAULTS.inc()
            log.exception("worker_fault")
            return None

    async def _repeat(self, work: Callable[[], Awaitable[None]], interval: timedelta) -> None:
        while True:
            await asyncio.sleep(interval.total_seconds())
            await self._guard(work)

    async def _look_when_stopping(self, look: asyncio.Event) -> None:
        await self._stopping.wait()
        look.set()

    async def _add_periodic(self) -> None:
        async def add() -> None:
            async with self._database.transaction() as session:
                await leases.add_periodic(session, [task.name for task in self._periodic.values()])

        await self._persist(add)

    async def _claim(self, look: asyncio.Event) -> timedelta:
        """Start due jobs; return the time until it is worth looking again."""
        room = Tally({task: handler.concurrency for task, handler in self._handlers.items()})
        room.update(dict.fromkeys(self._periodic, 1))
        free = room - Tally(job.task for job in self._running.values())
        if not free:
            return self._poll_interval  # a job that ends sets the event

        async def claim() -> tuple[list[ClaimedJob], timedelta | None]:
            async with self._database.transaction() as session:
                claimed = await leases.claim(session, free, lease=self._lease)
                return claimed, await leases.time_until_due(session, free)

        claimed, wait = await self._persist(claim)
        for job in claimed:
            task = asyncio.create_task(self._guarded_run(job))
            self._running[task] = job
            task.add_done_callback(self._running.pop)
            task.add_done_callback(lambda _: look.set())
        return self._poll_interval if wait is None else min(wait, self._poll_interval)

    async def _extend_leases(self) -> None:
        jobs = list(self._running.values())

        async def extend() -> None:
            async with self._database.transaction() as session:
                await leases.extend(session, jobs, lease=self._lease)

        if jobs:
            await self._persist(extend)

    async def _guarded_run(self, job: ClaimedJob) -> None:
        await self._guard(lambda: self._run(job))

    async def _run(self, job: ClaimedJob) -> None:
        if job.task in self._periodic:
            await self._run_periodic(job, self._periodic[job.task])
            return
        if job.attempts > MAX_ATTEMPTS:
            await self._dead_letter(job, "WorkerDied")
            return
        error = await self._call(job, lambda: self._handle(job))
        if error is None:
            await self._end(job, "done", lambda: self._complete(job))
        elif isinstance(error, asyncio.CancelledError) and self._stopping.is_set():
            await self._retry(job, "returned", timedelta(0))
        elif isinstance(error, RetryLaterError):
            await self._retry(job, "later", error.after)
        else:
            log.error(
                "job_failed", task=job.task, job_id=job.id, attempts=job.attempts, exc_info=error
            )
            # Only the type: the text may hold what a customer said.
            kind = type(error).__name__
            if job.attempts >= MAX_ATTEMPTS:
                await self._dead_letter(job, kind)
            else:
                await self._retry(job, "failed", RETRY_BACKOFF.delay(job.attempts), error=kind)

    async def _run_periodic(self, job: ClaimedJob, task: PeriodicTask) -> None:
        error = await self._call(job, task.run)
        if isinstance(error, asyncio.CancelledError) and self._stopping.is_set():
            await self._retry(job, "returned", timedelta(0))
            return
        if error is not None:
            PERIODIC_FAILURES.labels(task.name).inc()
            log.error("periodic_task_failed", name=task.name, exc_info=error)
        seconds = task.interval.total_seconds()
        wait = timedelta(seconds=seconds - time.time() % seconds)
        await self._retry(job, "done" if error is None else "failed", wait)

    async def _handle(self, job: ClaimedJob) -> None:
        handler = self._handlers[job.task]
        await handler.run(handler.payload.model_validate(job.payload))

    async def _call(
        self, job: ClaimedJob, run: Callable[[], Awaitable[None]]
    ) -> BaseException | None:
        """Run a handler to its end; return its exception."""
        started = time.monotonic()
        try:
            await run()
        except asyncio.CancelledError as error:
            return error
        except Exception as error:  # noqa: BLE001 - edge of the job: logged and counted by the caller
            return error
        finally:
            SECONDS.labels(job.task).observe(time.monotonic() - started)
        return None

    async def _complete(self, job: ClaimedJob) -> None:
        async with self._database.transaction() as session:
            await leases.complete(session, job)

    async def _retry(
        self, job: ClaimedJob, outcome: str, delay: timedelta, *, error: str | None = None
    ) -> None:
        async def wait() -> None:
            await leases.retry(
                self._database, job, delay=delay, error=error, keep_attempts=error is not None
            )

        await self._end(job, outcome, wait)

    async def _dead_letter(self, job: ClaimedJob, error: str) -> None:
        async def keep() -> None:
            async with self._database.transaction() as session:
                await leases.dead_letter(session, job, error=error)

        log.error("job_dead_lettered", task=job.task, job_id=job.id, error=error)
        await self._end(job, "dead_lettered", keep)

    async def _end(
        self, job: ClaimedJob, outcome: str, write: Callable[[], Awaitable[None]]
    ) -> None:
        RUNS.labels(job.task, outcome).inc()
        await self._persist(write)

    async def _persist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeat database work while the database is away. A stopping worker tries once."""
        failures = 0
        while True:
            try:
                return await work()
            except (SQLAlchemyError, OSError) as error:
                if self._stopping.is_set() or not passes_by_itself(error):
                    raise
                failures += 1
                DATABASE_ERRORS.inc()
                log.warning("worker_database_error", reason=repr(error))
            await wait_for_event(self._stopping, _DATABASE_BACKOFF.delay(failures).total_seconds())
