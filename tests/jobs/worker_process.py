"""A worker in a process of its own whose job never ends: ``python -m … URL``. For being killed."""

import asyncio
import signal
import sys
from typing import ClassVar

from sqlalchemy import text

from sitin.jobs.interface import JobHandler, JobPayload, Task
from sitin.kit.database import Database
from tests.jobs.workers import run_worker


class Endless(JobPayload):
    task: ClassVar[Task] = Task.TRANSCRIBE
    number: int


async def main(url: str) -> None:
    database = Database(url)

    async def run(job: Endless) -> None:
        async with database.transaction() as session:
            await session.execute(text("INSERT INTO begun VALUES (:n)"), {"n": job.number})
        await asyncio.Event().wait()

    await run_worker(database, JobHandler(Endless, run))


if __name__ == "__main__":
    # Tests that run in the background inherit that interrupts are ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    asyncio.run(main(sys.argv[1]))
