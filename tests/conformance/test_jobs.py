"""What every implementation of ``JobQueue`` with its worker does."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Protocol

import pytest
from sqlalchemy import text

from sitin.jobs.interface import (
    AnyJobHandler,
    JobHandler,
    JobPayload,
    JobQueue,
    RetryLaterError,
    Task,
)
from sitin.jobs.queue import PostgresJobQueue
from sitin.kit.database import Database
from tests.fakes.jobs import FakeJobQueue
from tests.jobs.workers import working
from tests.waiting import until

pytestmark = pytest.mark.db


class Transcribe(JobPayload):
    task: ClassVar[Task] = Task.TRANSCRIBE
    number: int


class Deliver(JobPayload):
    task: ClassVar[Task] = Task.TRANSCRIBED
    number: int


class System(Protocol):
    """An implementation with a worker of its own."""

    jobs: JobQueue

    def now(self) -> datetime: ...

    async def work(
        self, handlers: Sequence[AnyJobHandler], *, until: Callable[[], bool]
    ) -> None: ...


class PostgresSystem:
    def __init__(self, database: Database) -> None:
        self.jobs: JobQueue = PostgresJobQueue()
        self._database = database

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def work(self, handlers: Sequence[AnyJobHandler], *, until: Callable[[], bool]) -> None:
        async with working(self._database, *handlers):
            await wait_until(until)


class FakeSystem:
    def __init__(self) -> None:
        self.fake = FakeJobQueue()
        self.jobs: JobQueue = self.fake

    def now(self) -> datetime:
        return self.fake.now

    async def work(self, handlers: Sequence[AnyJobHandler], *, until: Callable[[], bool]) -> None:
        await self.fake.work_until_idle(handlers)
        assert until()


wait_until = until


@pytest.fixture(params=["postgres", "fake"])
def system(request: pytest.FixtureRequest, database: Database) -> System:
    return PostgresSystem(database) if request.param == "postgres" else FakeSystem()


class Recorder:
    """A handler that remembers what it was given."""

    def __init__(self, *raises: Exception) -> None:
        self.seen: list[int] = []
        self._raises = list(raises)

    async def run(self, job: Transcribe | Deliver) -> None:
        self.seen.append(job.number)
        if self._raises:
            raise self._raises.pop(0)

    def __len__(self) -> int:
        return len(self.seen)


LAST = Deliver(number=99)
"""Enqueued last, so that having seen it tells that nothing before it was left."""


async def run_everything(system: System, database: Database, transcribe: Recorder) -> None:
    """Work until the recorder has nothing left to see."""
    deliver = Recorder()
    async with database.transaction() as session:
        await system.jobs.enqueue(session, LAST)
    await system.work(
        [
            JobHandler(Transcribe, transcribe.run),
            JobHandler(Deliver, deliver.run),
        ],
        until=lambda: deliver.seen == [LAST.number],
    )


async def test_a_job_arrives_as_it_was_sent(system: System, database: Database) -> None:
    recorder = Recorder()
    async with database.transaction() as session:
        await system.jobs.enqueue(session, Transcribe(number=1))
        await system.jobs.enqueue(session, Transcribe(number=2))
    await system.work([JobHandler(Transcribe, recorder.run)], until=lambda: len(recorder) == 2)
    assert sorted(recorder.seen) == [1, 2]


@pytest.mark.parametrize("first", ["the job", "the row"])
async def test_a_job_shares_the_fate_of_its_transaction(
    system: System, database: Database, first: str
) -> None:
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE causes (number int)"))

    async def create(*, fail: bool) -> None:
        async with database.transaction() as session:
            if first == "the row":
                await session.execute(text("INSERT INTO causes VALUES (1)"))
            await system.jobs.enqueue(session, Transcribe(number=1))
            if fail:
                raise LookupError

    with pytest.raises(LookupError):
        await create(fail=True)
    recorder = Recorder()
    await run_everything(system, database, recorder)
    assert recorder.seen == []
    await create(fail=False)
    await run_everything(system, database, recorder)
    assert recorder.seen == [1]


async def test_of_one_key_one_job_waits(system: System, database: Database) -> None:
    recorder = Recorder()
    for _ in range(2):
        async with database.transaction() as session:
            await system.jobs.enqueue(session, Transcribe(number=1), key="a")
            await system.jobs.enqueue(session, Transcribe(number=2), key="a")
            await system.jobs.enqueue(session, Transcribe(number=3), key="b")
    await run_everything(system, database, recorder)
    assert sorted(recorder.seen) == [1, 3]


async def test_tasks_do_not_share_keys(system: System, database: Database) -> None:
    transcribe, deliver = Recorder(), Recorder()
    async with database.transaction() as session:
        await system.jobs.enqueue(session, Transcribe(number=1), key="a")
        await system.jobs.enqueue(session, Deliver(number=2), key="a")
    await system.work(
        [JobHandler(Transcribe, transcribe.run), JobHandler(Deliver, deliver.run)],
        until=lambda: (transcribe.seen, deliver.seen) == ([1], [2]),
    )


async def test_a_running_job_keeps_no_other_of_its_key_away(
    system: System, database: Database
) -> None:
    seen: list[int] = []

    async def run(job: Transcribe) -> None:
        seen.append(job.number)
        if job.number == 1:
            async with database.transaction() as session:
                await system.jobs.enqueue(session, Transcribe(number=2), key="a")

    async with database.transaction() as session:
        await system.jobs.enqueue(session, Transcribe(number=1), key="a")
    await system.work([JobHandler(Transcribe, run)], until=lambda: seen == [1, 2])


async def test_a_delayed_job_waits_for_its_time(system: System, database: Database) -> None:
    times: dict[int, datetime] = {}

    async def run(job: Transcribe) -> None:
        times[job.number] = system.now()

    delay = timedelta(seconds=1.5)
    before = system.now()
    async with database.transaction() as session:
        await system.jobs.enqueue(session, Transcribe(number=1), delay=delay)
        await system.jobs.enqueue(session, Transcribe(number=2))
    await system.work([JobHandler(Transcribe, run)], until=lambda: len(times) == 2)
    assert times[1] >= before + delay
    assert list(times) == [2, 1]


async def test_a_waiting_job_can_be_brought_forward(system: System, database: Database) -> None:
    transcribe = Recorder()
    for sooner in (False, True):
        async with database.transaction() as session:
            await system.jobs.enqueue(
                session, Transcribe(number=1), key="a", delay=timedelta(hours=1)
            )
            await system.jobs.enqueue(session, Transcribe(number=2), key="a", expedite=sooner)
    began = system.now()
    await run_everything(system, database, transcribe)
    assert transcribe.seen == [1], "the one that waited, and no other"
    assert system.now() - began < timedelta(minutes=30)


async def test_a_cancelled_job_does_not_run(system: System, database: Database) -> None:
    recorder = Recorder()
    async with database.transaction() as session:
        await system.jobs.enqueue(session, Transcribe(number=1), key="a")
        await system.jobs.enqueue(session, Transcribe(number=2), key="b")
    async with database.transaction() as session:
        await system.jobs.cancel(session, Task.TRANSCRIBE, key="a")
        await system.jobs.cancel(session, Task.TRANSCRIBED, key="b")
        await system.jobs.cancel(session, Task.TRANSCRIBE, key="never there")
    await run_everything(system, database, recorder)
    assert recorder.seen == [2]


async def test_cancelling_shares_the_fate_of_its_transaction(
    system: System, database: Database
) -> None:
    async def cancel() -> None:
        async with database.transaction() as session:
            await system.jobs.cancel(session, Task.TRANSCRIBE, key="a")
            raise LookupError

    recorder = Recorder()
    async with database.transaction() as session:
        await system.jobs.enqueue(session, Transcribe(number=1), key="a")
    with pytest.raises(LookupError):
        await cancel()
    await run_everything(system, database, recorder)
    assert recorder.seen == [1]


async def test_a_handler_is_called_again_when_it_asks_for_it(
    system: System, database: Database
) -> None:
    after = timedelta(seconds=0.7)
    times: list[datetime] = []

    async def run(job: Transcribe) -> None:
        times.append(system.now())
        if len(times) < 3:
            raise RetryLaterError(after)

    async with database.transaction() as session:
        await system.jobs.enqueue(session, Transcribe(number=1))
    await system.work([JobHandler(Transcribe, run)], until=lambda: len(times) == 3)
    assert times[1] - times[0] >= after
    assert times[2] - times[1] >= after


async def test_a_job_that_waits_to_be_called_again_has_its_key(
    system: System, database: Database
) -> None:
    recorder = Recorder(RetryLaterError(timedelta(hours=1)))
    async with database.transaction() as session:
        await system.jobs.enqueue(session, Transcribe(number=1), key="a")
    if isinstance(system, FakeSystem):
        await system.fake.work([JobHandler(Transcribe, recorder.run)])
    else:
        await run_everything(system, database, recorder)
    assert recorder.seen == [1]
    async with database.transaction() as session:
        await system.jobs.enqueue(session, Transcribe(number=2), key="a")
        await system.jobs.cancel(session, Task.TRANSCRIBE, key="a")
        await system.jobs.enqueue(session, Transcribe(number=3), key="a")
    await run_everything(system, database, recorder)
    assert recorder.seen == [1, 3]


async def test_a_job_that_fails_is_tried_again(system: System, database: Database) -> None:
    recorder = Recorder(ZeroDivisionError("an unexpected fault"))
    async with database.transaction() as session:
        await system.jobs.enqueue(session, Transcribe(number=1))
    await system.work([JobHandler(Transcribe, recorder.run)], until=lambda: recorder.seen == [1, 1])


async def test_jobs_without_a_handler_stay(system: System, database: Database) -> None:
    recorder = Recorder()
    async with database.transaction() as session:
        await system.jobs.enqueue(session, Transcribe(number=1))
        await system.jobs.enqueue(session, LAST)
    deliver = Recorder()
    await system.work([JobHandler(Deliver, deliver.run)], until=lambda: len(deliver) == 1)
    await system.work([JobHandler(Transcribe, recorder.run)], until=lambda: recorder.seen == [1])
