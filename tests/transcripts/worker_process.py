"""A worker in a process of its own that makes transcripts, for being killed.

``python -m … DATABASE_URL GLADIA_URL FILES_DIRECTORY WORK_DIRECTORY SECRET_KEY``
"""

import asyncio
import sys
from pathlib import Path

from sitin.jobs.queue import PostgresJobQueue
from sitin.kit.clock import SystemClock
from sitin.kit.crypto import Keyring
from sitin.kit.database import Database
from sitin.providers.transcription.gladia import GladiaEngine
from sitin.providers.transcription.local import LocalProcessEngine
from sitin.providers.transcription.registry import Engines
from sitin.transcripts.work import Pace, TranscriptWork
from tests.jobs.workers import run_worker
from tests.transcripts.meeting import Files

CHUNK_SECONDS = 2.0


def engines(gladia_url: str) -> Engines:
    return Engines(
        local={"pocketsphinx": LocalProcessEngine("pocketsphinx", slots=asyncio.Semaphore(1))},
        remote={"gladia": GladiaEngine(url=gladia_url, chunk_seconds=CHUNK_SECONDS)},
        default="pocketsphinx",
    )


async def main(url: str, gladia_url: str, files: str, directory: str, key: str) -> None:
    database = Database(url)
    work = TranscriptWork(
        database=database,
        jobs=PostgresJobQueue(),
        engines=engines(gladia_url),
        files=Files(Path(files)),
        keyring=Keyring([key]),
        clock=SystemClock(),
        directory=Path(directory),
        pace=Pace(first_poll=0.1, first_retry=0.1),
    )
    await run_worker(database, work.handler())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
