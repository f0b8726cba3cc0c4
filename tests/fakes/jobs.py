"""``JobQueue`` in memory, with a clock that tests move. Passes the same suite as the real one."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.jobs.interface import AnyJobHandler, JobPayload, RetryLaterError, Task

RETRY_AFTER = timedelta(seconds=1)


@dataclass
class WaitingJob:
    """A job that is not running."""

    number: int
    payload: JobPayload
    due: datetime
    key: str | None


class FakeJobQueue:
    """JobQueue that run when ``work`` is called."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.waiting: list[WaitingJob] = []
        self._numbers = itertools.count(1)

    async def enqueue(
        self,
        session: AsyncSession,
        job: JobPayload,
        *,
        delay: timedelta = timedelta(0),
        key: str | None = None,
        expedite: bool = False,
    ) -> None:
        due = self.now + delay

        def add() -> None:
            for other in self.waiting if expedite and key is not None else ():
                if (other.payload.task, other.key) == (job.task, key):
                    other.due = min(other.due, due)
            self._add(job, due, key)

        self._when_committed(session, add)

    async def cancel(self, session: AsyncSession, task: Task, *, key: str) -> None:
        def remove() -> None:
            self.waiting = [w for w in self.waiting if (w.payload.task, w.key) != (task, key)]

        self._when_committed(session, remove)

    async def work(self, handlers: Sequence[AnyJobHandler]) -> None:
        """Run what is due, also what that enqueues; jobs of other tasks stay."""
        by_task = {handler.payload.task: handler for handler in handlers}
        while due := [
            job for job in self.waiting if job.due <= self.now and job.payload.task in by_task
        ]:
            job = min(due, key=lambda job: job.number)
            self.waiting.remove(job)
            handler = by_task[job.payload.task]
            try:
                await handler.run(
                    handler.payload.model_validate_json(job.payload.model_dump_json())
                )
            except RetryLaterError as error:
                self._add(job.payload, self.now + error.after, job.key)
            except Exception:  # noqa: BLE001 - a failed job is tried again, as by the real worker
                self._add(job.payload, self.now + RETRY_AFTER, job.key)

    async def work_until_idle(self, handlers: Sequence[AnyJobHandler]) -> None:
        """Run everything, moving the clock to each job's time."""
        await self.work(handlers)
        tasks = {handler.payload.task for handler in handlers}
        while later := [job.due for job in self.waiting if job.payload.task in tasks]:
            self.now = max(self.now, min(later))
            await self.work(handlers)

    def _add(self, payload: JobPayload, due: datetime, key: str | None) -> None:
        if key is not None and any(
            (job.payload.task, job.key) == (payload.task, key) for job in self.waiting
        ):
            return
        self.waiting.append(WaitingJob(next(self._numbers), payload, due, key))

    def _when_committed(self, session: AsyncSession, action: Callable[[], None]) -> None:
        pending: list[Callable[[], None]] = session.info.setdefault("fake_jobs", [])
        if not pending:
            event.listen(session.sync_session, "after_commit", _perform, once=True)
        pending.append(action)


def _perform(session: object) -> None:
    for action in session.info.pop("fake_jobs"):  # type: ignore[attr-defined]
        action()
