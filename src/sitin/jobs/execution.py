"""One run of one job: the handler, and what its end means for the job. For worker.py.

A job has one of five ends. ``done``: it leaves the queue. ``later``: the handler asked to be called
again. ``returned``: the worker stops and gives it back. ``failed``: an unexpected exception, it is
tried again after a growing wait. ``held``: it failed too often in a row and waits for the operator.
"""

import asyncio
import random
import time
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, cast

import asyncpg
import structlog
from pgqueuer.core.executors import AbstractEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Context, Job
from pgqueuer.ports.driver import Driver
from prometheus_client import Counter, Histogram

from sitin.jobs.port import AnyHandler, RetryLaterError

MAX_STARTS = 10
"""A job is held when this many runs in a row failed or took their worker with them; with the waits
between them that is about nine minutes."""
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=5)

RUNS = Counter("sitin_job_runs_total", "Runs of jobs by how they ended.", ["task", "outcome"])
SECONDS = Histogram("sitin_job_seconds", "How long runs of jobs took.", ["task"])

log = structlog.get_logger(__name__)

_WAIT_AGAIN = """
UPDATE pgqueuer
SET dedupe_key = headers->>'key',
    headers = CASE WHEN $2::boolean THEN headers - 'starts' ELSE headers END
WHERE id = $1
"""


class JobHeldError(Exception):
    """A job failed too often in a row. It stays in the queue and is not run."""


class Crew:
    """The handlers that run in this process now."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self.leaving = False

    async def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it to its end, whichever; returns the task, which is done."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.leaving:
            task.cancel()
        await asyncio.wait({task})
        return task

    def send_home(self) -> None:
        """Cancel what runs, and what is started from now on."""
        self.leaving = True
        for task in self._tasks:
            task.cancel()


class JobExecutor(AbstractEntrypointExecutor):
    """Runs the jobs of one task with its handler."""

    def __init__(self, handler: AnyHandler, driver: Driver, crew: Crew) -> None:
        super().__init__(
            EntrypointExecutorParameters(concurrency_limit=0, func=_not_called, on_failure="hold")
        )
        self._handler = handler
        self._driver = driver
        self._crew = crew

    async def execute(self, job: Job, context: Context) -> None:  # noqa: ARG002 - the library's
        """Run a job; raises what makes the library do with it what its end asks for."""
        starts = cast("int", (job.headers or {})["starts"])
        if starts > MAX_STARTS:
            raise self._held(job, "it ended with its worker's process too often")
        clock = time.monotonic()
        task = await self._crew.run(self._handle(job))
        SECONDS.labels(job.entrypoint).observe(time.monotonic() - clock)
        if task.cancelled() and self._crew.leaving:
            await self._wait_again(job, "returned", timedelta(0))
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self._count(job, "done")
        elif isinstance(error, RetryLaterError):
            await self._wait_again(job, "later", error.after)
        else:
            log.error("job_failed", task=job.entrypoint, job=job.id, starts=starts, exc_info=error)
            if starts >= MAX_STARTS:
                raise self._held(job, type(error).__name__)
            await self._wait_again(job, "failed", backoff(starts))

    async def _handle(self, job: Job) -> None:
        await self._handler.run(self._handler.payload.model_validate_json(job.payload or b""))

    async def _wait_again(self, job: Job, outcome: str, delay: timedelta) -> None:
        self._count(job, outcome)
        try:
            await self._driver.execute(_WAIT_AGAIN, job.id, outcome != "failed")
        except asyncpg.UniqueViolationError:
            return  # another job of this key waits and will do the same work
        raise RetryRequested(delay)

    def _held(self, job: Job, reason: str) -> JobHeldError:
        self._count(job, "held")
        log.error("job_held", task=job.entrypoint, job=job.id, reason=reason)
        # The library keeps this text with the job: the type of the exception may be told, its
        # message may hold what a customer said.
        return JobHeldError(f"held: {reason}")

    def _count(self, job: Job, outcome: str) -> None:
        RUNS.labels(job.entrypoint, outcome).inc()


def backoff(failures: int) -> timedelta:
    """The wait after so many failures in a row: doubling, ±20 %, so that a crowd spreads out."""
    wait = min(FIRST_WAIT * 2 ** (failures - 1), LONGEST_WAIT)
    return timedelta(seconds=wait.total_seconds() * random.uniform(0.8, 1.2))  # noqa: S311


async def _not_called(*_: object) -> None:
    raise AssertionError
