"""Interface of the job queue: what a package needs to have work done later.

A job is a frozen payload of a class of its own. ``JobQueue.enqueue`` joins the caller's
transaction, so the job exists exactly when the row that it is about does. Handlers run at least
once and may run twice.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession


class Task(StrEnum):
    """Names of all tasks. Every job has one of them."""

    TRANSCRIBE = "transcribe"
    TRANSCRIBED = "transcribed"
    FORGET_TRANSCRIPT = "forget_transcript"
    PURGE_ARTIFACTS = "purge_artifacts"
    SYNC_CALENDAR = "sync_calendar"
    SUBSCRIBE_CALENDAR = "subscribe_calendar"
    END_CALENDAR_CHANNEL = "end_calendar_channel"


class JobPayload(BaseModel):
    """Arguments of a job: ids, never the state itself, which is in the rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    task: ClassVar[Task]


class RetryLaterError(Exception):
    """Raised by a handler that has to be called again, for example while a provider is busy.

    Attributes:
        after: Minimum time until the next call.
    """

    def __init__(self, after: timedelta) -> None:
        super().__init__(f"retry after {after}")
        self.after = after


P = TypeVar("P", bound=JobPayload)


@dataclass(frozen=True, slots=True)
class JobHandler(Generic[P]):
    """Runs the jobs of one task.

    Attributes:
        payload: Class of the jobs' payloads, which names the task.
        run: Called with each payload.
        concurrency: Maximum number of these jobs that run at once in one process.
    """

    payload: type[P]
    run: Callable[[P], Awaitable[None]]
    concurrency: int = 10


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Work that is repeated, each time by one of the workers.

    Attributes:
        name: Unique among all periodic tasks.
        interval: Time between two runs. Runs are aligned to multiples of it since 1970.
        run: Called once for each interval. Runs missed while no worker was there are made up for
            by one run. An exception is logged and counted; the next run is not affected.
    """

    name: str
    interval: timedelta
    run: Callable[[], Awaitable[None]]


class JobQueue(Protocol):
    """Enqueues and cancels jobs."""

    async def enqueue(
        self,
        session: AsyncSession,
        job: JobPayload,
        *,
        delay: timedelta = timedelta(0),
        key: str | None = None,
        expedite: bool = False,
    ) -> None:
        """Add a job in the caller's transaction.

        At most one job of a task waits under the same ``key``. A further one is dropped; the job
        that waits then starts after this transaction has ended, so it sees its changes. A running
        job does not count as waiting. With ``expedite``, a waiting job that would start later
        (because it failed or asked to wait) starts after ``delay``.
        """
        ...

    async def cancel(self, session: AsyncSession, task: Task, *, key: str) -> None:
        """Remove the waiting job of this key, if there is one. A running job is not affected."""
        ...


AnyJobHandler = JobHandler[Any]
