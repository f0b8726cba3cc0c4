"""The narrow door to the job library: what a room needs to have work done later.

A job is a frozen payload of a class of its own; ``Jobs.enqueue`` joins the caller's transaction,
so the job exists exactly when the row that it is about does. Handlers run at least once and may
run twice.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession


class Task(StrEnum):
    """The names of all tasks; every job is one of these."""

    TRANSCRIBE = "transcribe"
    TRANSCRIBED = "transcribed"
    FORGET_TRANSCRIPT = "forget_transcript"
    PURGE_ARTIFACTS = "purge_artifacts"
    SYNC_CALENDAR = "sync_calendar"
    SUBSCRIBE_CALENDAR = "subscribe_calendar"
    END_CALENDAR_CHANNEL = "end_calendar_channel"


class JobPayload(BaseModel):
    """What a job is about: ids, never the state itself, which is in the rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    task: ClassVar[Task]


class RetryLaterError(Exception):
    """Raised by a handler that wants to be called again.

    Attributes:
        after: How long to wait at least.
    """

    def __init__(self, after: timedelta) -> None:
        super().__init__(f"retry after {after}")
        self.after = after


P = TypeVar("P", bound=JobPayload)


@dataclass(frozen=True, slots=True)
class Handler(Generic[P]):
    """Does one task. ``concurrency`` bounds how many run at once in one process."""

    payload: type[P]
    run: Callable[[P], Awaitable[None]]
    concurrency: int = 10


@dataclass(frozen=True, slots=True)
class Periodic:
    """Work done again and again, each time on one of the workers.

    Attributes:
        name: Unique among all periodic work; another ``cron`` under the same name is new work.
        cron: When, in UTC: minute, hour, day, month, weekday, and optionally seconds at the end.
        run: Does it. What was missed while no worker ran is done once. An exception is logged and
            counted, and ends only this time.
    """

    name: str
    cron: str
    run: Callable[[], Awaitable[None]]


class Jobs(Protocol):
    """Enqueues and cancels."""

    async def enqueue(
        self,
        session: AsyncSession,
        job: JobPayload,
        *,
        delay: timedelta = timedelta(0),
        key: str | None = None,
        sooner: bool = False,
    ) -> None:
        """Add a job in the caller's transaction.

        Of jobs of a task with the same ``key`` one at most waits; a further one is dropped
        silently, and the waiting one then starts after this transaction has ended, so that it sees
        what this transaction did. A job that runs already is not waiting. With ``sooner`` a waiting
        one that was to start later, because it failed or was asked to wait, starts after ``delay``
        as well.
        """
        ...

    async def cancel(self, session: AsyncSession, task: Task, *, key: str) -> None:
        """Remove the waiting job of this key, if there is one; a running one goes on."""
        ...


AnyHandler = Handler[Any]
