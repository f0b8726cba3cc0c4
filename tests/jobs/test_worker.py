"""The worker when things go wrong around it: kills, restarts, faults, stops, and company."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.jobs import leases, worker
from sitin.jobs.interface import AnyJobHandler, JobHandler, JobPayload, PeriodicTask, Task
from sitin.jobs.queue import PostgresJobQueue, requeue_dead_lettered
from sitin.jobs.worker import FAULTS, PERIODIC_FAILURES
from sitin.kit.backoff import Backoff
from sitin.kit.database import Database
from sitin.kit.migrate import upgrade
from sitin.kit.postgres import EmbeddedPostgres
from tests.jobs.worker_process import Endless
from tests.jobs.workers import working
from tests.reachable import shelter_of
from tests.waiting import until

pytestmark = pytest.mark.db

jobs = PostgresJobQueue()


class Marker(JobPayload):
    task: ClassVar[Task] = Task.TRANSCRIBED


async def enqueue(database: Database, *payloads: JobPayload, key: str | None = None) -> None:
    async with database.transaction() as session:
        for payload in payloads:
            await jobs.enqueue(session, payload, key=key)


async def states(database: Database) -> list[str]:
    async with database.transaction() as session:
        return list(await session.scalars(text("SELECT state FROM jobs ORDER BY id")))


def states_are(database: Database, *expected: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return await states(database) == list(expected)

    return check


def recording(seen: list[int]) -> AnyJobHandler:
    async def run(job: Endless) -> None:
        seen.append(job.number)

    return JobHandler(Endless, run)


@pytest.fixture
async def begun(database: Database) -> Callable[[], Awaitable[bool]]:
    """Tells whether the worker process has begun its job."""
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE begun (number int)"))

    async def check() -> bool:
        async with database.transaction() as session:
            return bool(await session.scalar(text("SELECT count(*) FROM begun")))

    return check


@contextlib.contextmanager
def worker_process(url: str) -> Any:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.worker_process", url],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_a_killed_workers_job_is_run_by_another(
    database: Database, begun: Callable[[], Awaitable[bool]]
) -> None:
    await enqueue(database, Endless(number=7))
    with worker_process(database.url) as process:
        await until(begun)
        process.kill()
        process.wait()
    assert await states(database) == ["running"]
    seen: list[int] = []
    short = timedelta(seconds=2)
    async with working(database, recording(seen), lease=short, poll_interval=short / 2):
        await until(lambda: seen == [7])
        await until(states_are(database))


async def test_an_interrupted_worker_returns_its_job_at_once(
    database: Database, begun: Callable[[], Awaitable[bool]]
) -> None:
    await enqueue(database, Endless(number=7), key="a")
    with worker_process(database.url) as process:
        await until(begun)
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(process.wait, 30)
    assert await states(database) == ["waiting"]
    # It has its key again, and a clean count.
    async with database.transaction() as session:
        row = (await session.execute(text("SELECT key, attempts FROM jobs"))).one()
    assert row == ("a", 0)


async def test_stopping_lets_a_job_end_within_the_grace(database: Database) -> None:
    started, go, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(_: Endless) -> None:
        started.set()
        await go.wait()
        ended.set()

    await enqueue(database, Endless(number=1))
    async with working(database, JobHandler(Endless, run)) as worker:
        await started.wait()
        stopping = asyncio.create_task(worker.stop(grace=timedelta(seconds=60)))
        await asyncio.sleep(0)
        go.set()
        await stopping
    assert ended.is_set()
    assert await states(database) == []


async def test_a_worker_outlives_a_restart_of_the_database(reachable_path: Path) -> None:
    data_dir = reachable_path / "data"
    postgres = EmbeddedPostgres(data_dir, shelter=shelter_of(data_dir))
    url = postgres.start()
    await upgrade(url)
    database = Database(url)
    started, go = asyncio.Event(), asyncio.Event()
    seen: list[int] = []

    async def run(job: Endless) -> None:
        seen.append(job.number)
        if job.number == 1:
            started.set()
            await go.wait()

    faults = FAULTS._value.get()
    try:
        async with working(database, JobHandler(Endless, run)):
            await enqueue(database, Endless(number=1))
            await started.wait()
            await asyncio.to_thread(postgres.stop)
            go.set()  # the job ends while there is no database
            await asyncio.to_thread(postgres.start)
            await until(states_are(database))
            await enqueue(database, Endless(number=2))
            await until(lambda: seen == [1, 2])
    finally:
        await database.dispose()
        postgres.stop()
    assert FAULTS._value.get() == faults


async def test_a_worker_waits_for_a_database_that_is_not_there_yet(
    reachable_path: Path,
) -> None:
    data_dir = reachable_path / "data"
    postgres = EmbeddedPostgres(data_dir, shelter=shelter_of(data_dir))
    url = postgres.start()
    await upgrade(url)
    postgres.stop()
    database = Database(url)
    seen: list[int] = []
    try:
        async with working(database, recording(seen)):
            await asyncio.to_thread(postgres.start)
            await enqueue(database, Endless(number=1))
            await until(lambda: seen == [1])
    finally:
        await database.dispose()
        postgres.stop()


async def test_a_lost_listening_connection_comes_back(database: Database) -> None:
    seen: list[int] = []
    # With a poll this rare, only a notification brings the second job in time.
    async with working(database, recording(seen), poll_interval=timedelta(hours=1)):
        await enqueue(database, Endless(number=1))
        await until(lambda: seen == [1])
        pids = await _kill_listeners(database)
        assert pids

        async def listening_again() -> bool:
            return bool(set(await _listeners(database)) - set(pids))

        await until(listening_again)
        await enqueue(database, Endless(number=2))
        await until(lambda: seen == [1, 2])


LISTENERS = (
    "SELECT {} FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'sitin wake-ups'"
)


async def _listeners(database: Database) -> list[int]:
    async with database.transaction() as session:
        return list(await session.scalars(text(LISTENERS.format("pid") + " AND state = 'idle'")))


async def _kill_listeners(database: Database) -> list[int]:
    pids = await _listeners(database)
    async with database.transaction() as session:
        await session.execute(text(LISTENERS.format("pg_terminate_backend(pid)")))
    return pids


async def test_two_workers_share_the_work(database: Database) -> None:
    together = asyncio.Event()
    running = 0

    async def run(_: Endless) -> None:
        nonlocal running
        running += 1
        if running == 2:
            together.set()
        await together.wait()

    handler = JobHandler(Endless, run, concurrency=1)
    await enqueue(database, Endless(number=1), Endless(number=2))
    async with working(database, handler), working(database, handler):
        await until(states_are(database))


async def test_no_more_jobs_of_a_task_run_than_it_has_places(database: Database) -> None:
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()
    finished: list[int] = []

    def handler(concurrency: int, payload: type[JobPayload]) -> AnyJobHandler:
        async def run(job: JobPayload) -> None:
            running[job.task] += 1
            most[job.task] = max(most[job.task], running[job.task])
            # Long enough to be seen by the next dequeue, however quick that is.
            async with database.transaction() as session:
                await session.execute(text("SELECT pg_sleep(0.05)"))
            running[job.task] -= 1
            finished.append(1)

        return JobHandler(payload, run, concurrency=concurrency)

    await enqueue(database, *(Endless(number=n) for n in range(8)), *(Marker() for _ in range(8)))
    async with working(database, handler(1, Endless), handler(3, Marker)):
        await until(lambda: len(finished) == 16)
    assert most[Task.TRANSCRIBE] == 1
    assert 1 < most[Task.TRANSCRIBED] <= 3


async def test_a_job_that_goes_on_failing_is_held_and_can_be_freed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = Backoff(timedelta(milliseconds=1), timedelta(milliseconds=2))
    monkeypatch.setattr(worker, "RETRY_BACKOFF", soon)
    seen: list[int] = []
    healthy = False

    async def run(job: Endless) -> None:
        seen.append(job.number)
        if not healthy:
            raise ZeroDivisionError("what a customer said")

    await enqueue(database, Endless(number=1), key="a")
    async with working(database, JobHandler(Endless, run)):
        await until(states_are(database, "dead_lettered"))
        assert len(seen) == worker.MAX_ATTEMPTS
        # It does not stand in the way of the next one.
        healthy = True
        await enqueue(database, Endless(number=2), key="a")
        await until(lambda: seen[-1] == 2)
        async with database.transaction() as session:
            assert await requeue_dead_lettered(session) == 1
        await until(states_are(database))
        assert seen[-1] == 1


async def test_a_job_that_takes_its_workers_with_it_is_held(database: Database) -> None:
    await enqueue(database, Endless(number=1))
    async with database.transaction() as session:
        await session.execute(text("UPDATE jobs SET attempts = :n"), {"n": worker.MAX_ATTEMPTS})
    seen: list[int] = []
    async with working(database, recording(seen)):
        await until(states_are(database, "dead_lettered"))
    assert seen == []


async def test_a_payload_that_cannot_be_read_is_kept(database: Database) -> None:
    class Older(JobPayload):
        task: ClassVar[Task] = Task.TRANSCRIBE
        another_field: str

    async def was_tried() -> bool:
        async with database.transaction() as session:
            return bool(await session.scalar(text("SELECT attempts FROM jobs")))

    await enqueue(database, Older(another_field="x"))
    seen: list[int] = []
    async with working(database, recording(seen)):
        await until(was_tried)
    assert seen == []
    assert await states(database) == ["waiting"]


async def test_a_dropped_job_is_run_after_the_transaction_that_wanted_it(
    database: Database,
) -> None:
    """Else the change that the second enqueue announced would never be seen."""
    seen: list[int] = []
    marked = asyncio.Event()

    async def count(_: Endless) -> None:
        async with database.transaction() as session:
            seen.append(await session.scalar(text("SELECT count(*) FROM changes")) or 0)

    async def mark(_: Marker) -> None:
        marked.set()

    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE changes (number int)"))
    await enqueue(database, Endless(number=1), key="sync")
    async with database.transaction() as session:
        await session.execute(text("INSERT INTO changes VALUES (1)"))
        await jobs.enqueue(session, Endless(number=1), key="sync")
        async with working(database, JobHandler(Endless, count), JobHandler(Marker, mark)):
            await enqueue(database, Marker())
            await marked.wait()
    assert seen == []
    async with working(database, JobHandler(Endless, count)):
        await until(lambda: seen == [1])


async def test_periodic_work_is_done_by_one_worker_at_a_time(database: Database) -> None:
    times: list[int] = []
    running = 0

    async def tick() -> None:
        nonlocal running
        assert running == 0
        running += 1
        times.append(int(datetime.now(UTC).timestamp()))
        async with database.transaction() as session:
            await session.execute(text("SELECT pg_sleep(0.1)"))
        running -= 1

    every_second = PeriodicTask("tick", timedelta(seconds=1), tick)
    failures = PERIODIC_FAILURES.labels("tick")._value.get()
    async with (
        working(database, periodic=[every_second]),
        working(database, periodic=[every_second]),
    ):
        await until(lambda: len(times) >= 3)
    assert len(times) == len(set(times))
    assert PERIODIC_FAILURES.labels("tick")._value.get() == failures


async def test_periodic_work_that_fails_is_done_again_next_time(database: Database) -> None:
    calls: list[int] = []

    async def fail() -> None:
        calls.append(1)
        raise ZeroDivisionError

    failures = PERIODIC_FAILURES.labels("fail")._value.get()
    async with working(database, periodic=[PeriodicTask("fail", timedelta(seconds=1), fail)]):
        await until(lambda: len(calls) >= 2)
    assert PERIODIC_FAILURES.labels("fail")._value.get() >= failures + 2


async def test_a_locked_job_does_not_keep_the_worker_busy(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims: list[int] = []
    claim = leases.claim

    async def counted(session: AsyncSession, free: Mapping[str, int], **options: Any) -> Any:
        claims.append(1)
        return await claim(session, free, **options)

    monkeypatch.setattr(leases, "claim", counted)
    seen: list[int] = []
    marked = asyncio.Event()

    async def mark(_: Marker) -> None:
        marked.set()

    await enqueue(database, Endless(number=1), key="a")
    async with database.transaction() as session:
        await session.execute(text("SELECT id FROM jobs FOR UPDATE"))
        async with working(database, recording(seen), JobHandler(Marker, mark)):
            await enqueue(database, Marker())
            await marked.wait()
    # At most: the start, the listener's first look, the notification, the end of the marker's job.
    assert len(claims) <= 6
    assert seen == []


async def test_of_one_key_the_oldest_dead_lettered_job_is_requeued(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(
            text(
                """
                INSERT INTO jobs (task, key, payload, state, run_at)
                VALUES ('transcribe', 'a', '{"number": 1}', 'dead_lettered', now()),
                    ('transcribe', 'a', '{"number": 2}', 'dead_lettered', now()),
                    ('transcribe', 'b', '{"number": 3}', 'dead_lettered', now()),
                    ('transcribe', 'b', '{"number": 4}', 'waiting', now()),
                    ('transcribe', NULL, '{"number": 5}', 'dead_lettered', now())
                """
            )
        )
        assert await requeue_dead_lettered(session) == 2
    seen: list[int] = []
    async with working(database, recording(seen)):
        await until(states_are(database))
    assert sorted(seen) == [1, 4, 5]


async def test_a_fault_of_the_worker_does_not_stop_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = FAULTS._value.get()
    claim = leases.claim
    broken = [True]

    async def breaks_once(session: AsyncSession, free: Mapping[str, int], **options: Any) -> Any:
        if broken.pop() if broken else False:
            raise ZeroDivisionError
        return await claim(session, free, **options)

    monkeypatch.setattr(leases, "claim", breaks_once)
    seen: list[int] = []
    await enqueue(database, Endless(number=1))
    async with working(database, recording(seen)):
        await until(lambda: seen == [1])
    assert FAULTS._value.get() == faults + 1
