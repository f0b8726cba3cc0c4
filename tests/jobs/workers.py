"""Job workers for tests, with the connection that wakes them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from sitin.jobs.interface import AnyJobHandler
from sitin.jobs.worker import JobWorker
from sitin.kit.database import Database
from sitin.kit.wakeups import Wakeups


@asynccontextmanager
async def working(
    database: Database, *handlers: AnyJobHandler, grace: float = 10, **options: Any
) -> AsyncIterator[JobWorker]:
    """Run a worker while the block runs."""
    wakeups = Wakeups(database.url)
    worker = JobWorker(database, wakeups, handlers, **options)
    listening = asyncio.create_task(wakeups.run())
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        await worker.stop(grace=timedelta(seconds=grace))
        await running
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def run_worker(database: Database, *handlers: AnyJobHandler) -> None:
    """Run a worker with a short lease until cancelled: the main function of a process to kill."""
    wakeups = Wakeups(database.url)
    worker = JobWorker(
        database,
        wakeups,
        handlers,
        lease=timedelta(seconds=2),
        poll_interval=timedelta(seconds=0.5),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(wakeups.run())
        group.create_task(worker.run())
