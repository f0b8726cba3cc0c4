"""A worker killed in the middle of a transcript: the next one goes on, and nothing is paid twice.

The workers are real processes on a real database with the real job library; Gladia is the fake
service, over HTTP, and the engine of this machine is the real one.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select, text

from sitin.contract.codes import TranscriptionStatus
from sitin.contract.recording import Recording
from sitin.jobs.queue import PostgresJobQueue
from sitin.kit.clock import SystemClock
from sitin.kit.crypto import Keyring, new_key
from sitin.kit.database import Database
from sitin.kit.ids import new_id
from sitin.transcripts.models import TranscriptPiece
from sitin.transcripts.schemas import OutputTranscription
from sitin.transcripts.service import TranscriptionOrder, TranscriptService, TranscriptState
from sitin.transcripts.work import OUTPUT_PATH
from tests.fakes.gladia import OTHER_KEY, GladiaFake, Upload, serve_gladia, utterance
from tests.speech import Turn, synthetic_saying, write_track
from tests.transcripts.meeting import Files, store_meeting
from tests.transcripts.worker_process import engines
from tests.waiting import until

pytestmark = pytest.mark.db

MINUTES = 120.0
"""Deadline of a wait: the next worker takes over after some seconds, and the machine is busy."""


@dataclass
class Workshop:
    """What the workers share, and a bot whose transcript they make."""

    database: Database
    gladia: GladiaFake
    directory: Path

    def __post_init__(self) -> None:
        self.key = new_key()
        self.bot_id = new_id()
        self.files = Files(self.directory / "stored")
        self.service = TranscriptService(
            engines=engines(self.gladia.url),
            jobs=PostgresJobQueue(),
            keyring=Keyring([self.key]),
            clock=SystemClock(),
        )

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        arguments = [
            self.database.url,
            self.gladia.url,
            str(self.files.directory),
            str(self.directory / "work"),
            self.key,
        ]
        with subprocess.Popen(
            [sys.executable, "-m", "tests.transcripts.worker_process", *arguments]
        ) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGKILL)

    async def request(self, recording: Recording, provider: str) -> None:
        order = TranscriptionOrder(provider=provider, api_key=OTHER_KEY)
        async with self.database.transaction() as session:
            await self.service.request(session, self.bot_id, order=order, recording=recording)

    async def state(self) -> TranscriptState:
        async with self.database.transaction() as session:
            state = await self.service.state(session, self.bot_id)
        assert state is not None
        return state

    async def is_over(self) -> bool:
        return (await self.state()).status in {TranscriptionStatus.DONE, TranscriptionStatus.ERROR}

    async def pieces(self) -> list[TranscriptPiece]:
        async with self.database.transaction() as session:
            found = await session.scalars(
                select(TranscriptPiece)
                .where(TranscriptPiece.bot_id == self.bot_id)
                .order_by(TranscriptPiece.number)
            )
            return list(found)

    async def answers_told(self) -> int:
        async with self.database.transaction() as session:
            query = text("SELECT count(*) FROM jobs WHERE task = 'transcribed'")
            return int(await session.scalar(query) or 0)

    def said(self) -> list[tuple[str, str, float]]:
        content = self.files.path(self.bot_id, OUTPUT_PATH).read_bytes()
        output = OutputTranscription.model_validate_json(content)
        return [(u.speaker, u.text, u.start) for u in output.result.utterances]


@pytest.fixture
def workshop(database: Database, tmp_path: Path) -> Iterator[Workshop]:
    with serve_gladia() as gladia:
        yield Workshop(database, gladia, tmp_path)


def hears(upload: Upload) -> list[dict[str, object]]:
    chunk = upload.filename.removesuffix(".flac").rpartition("-")[2]
    return [utterance(f"chunk {chunk}", 0.5, 1.0, speaker=0)]


SAID = [("Ada", "chunk 1", 0.5), ("Grace", "chunk 2", 2.5)]


@pytest.fixture
async def ordered_there(workshop: Workshop) -> None:
    """A meeting of two chunks, for Gladia with the customer's key."""
    workshop.gladia.hears = hears
    recording = store_meeting(
        workshop.files,
        workshop.bot_id,
        voices={"Ada": None, "Grace": None},
        diarization=[("Ada", 0.4, 1.1), ("Grace", 2.4, 3.1)],
        seconds=4.0,
    )
    await workshop.request(recording, "gladia")


@pytest.mark.usefixtures("ordered_there")
class TestKilledWorker:
    async def test_while_the_provider_works(self, workshop: Workshop) -> None:
        gladia = workshop.gladia
        gladia.looks = 1_000_000
        with workshop.worker():
            await until(lambda: gladia.count("GET", "/v2/pre-recorded/") > 2, seconds=MINUTES)
        ids = (await workshop.state()).transcription_ids
        assert ids is not None
        for job in gladia.jobs.values():
            job.looks_left = 1
        with workshop.worker():
            await until(workshop.is_over, seconds=MINUTES)
        assert workshop.said() == SAID
        assert (await workshop.state()).transcription_ids == ids == tuple(gladia.jobs)
        assert gladia.count("POST", "/v2/upload") == 2
        assert gladia.count("POST", "/v2/pre-recorded") == 2
        assert {job.key for job in gladia.jobs.values()} == {OTHER_KEY}
        assert await workshop.answers_told() == 1

    async def test_between_ordering_and_writing_it_down(self, workshop: Workshop) -> None:
        gladia = workshop.gladia
        answered = gladia.hold("POST", "/v2/pre-recorded")
        with workshop.worker():
            await until(lambda: len(gladia.jobs) == 1, seconds=MINUTES)
        gladia.held.clear()
        answered.set()
        assert (await workshop.pieces())[0].job_id is None
        with workshop.worker():
            await until(workshop.is_over, seconds=MINUTES)
        assert workshop.said() == SAID
        assert len(gladia.jobs) == 2
        assert gladia.count("POST", "/v2/upload") == 2
        assert (await workshop.state()).transcription_ids == tuple(gladia.jobs)
        assert await workshop.answers_told() == 1

    async def test_while_uploading(self, workshop: Workshop) -> None:
        gladia = workshop.gladia
        answered = gladia.hold("POST", "/v2/upload")
        with workshop.worker():
            await until(lambda: len(gladia.uploads) == 1, seconds=MINUTES)
        gladia.held.clear()
        answered.set()
        with workshop.worker():
            await until(workshop.is_over, seconds=MINUTES)
        assert workshop.said() == SAID
        assert len(gladia.jobs) == 2
        # What the killed worker had fetched and cut is gone from the disk.
        assert list_directory(workshop.directory / "work") == []


async def test_killed_with_half_of_the_voices_done(workshop: Workshop, tmp_path: Path) -> None:
    saying = synthetic_saying("", "what joy there is in living")
    voices = {}
    for name, sayings in (("Ada", 1), ("Grace", 60)):
        voices[name] = tmp_path / f"{name}.flac"
        turns = [Turn(1 + 4 * number, saying) for number in range(sayings)]
        write_track(voices[name], turns, seconds=1 + 4 * sayings)
    recording = store_meeting(
        workshop.files,
        workshop.bot_id,
        voices=voices,
        diarization=[("Ada", 1, 3), ("Grace", 1, 3)],
    )
    await workshop.request(recording, "pocketsphinx")

    async def answered() -> list[datetime | None]:
        return [piece.answered_at for piece in await workshop.pieces()]

    async def the_first_is_done() -> bool:
        return (await answered())[0] is not None

    with workshop.worker() as worker:
        await until(the_first_is_done, seconds=MINUTES)
        children = psutil.Process(worker.pid).children(recursive=True)
    first, second = await answered()
    assert second is None, "it was too fast to be killed in between"
    await until(lambda: not any(alive(child) for child in children))

    write_track(voices["Grace"], [], seconds=1.0)
    workshop.files.path(workshop.bot_id, "participants/2.flac").write_bytes(
        await asyncio.to_thread(voices["Grace"].read_bytes)
    )
    with workshop.worker():
        await until(workshop.is_over, seconds=MINUTES)
    assert (await answered())[0] == first
    assert {speaker for speaker, _, _ in workshop.said()} == {"Ada"}
    assert await workshop.answers_told() == 1


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def list_directory(path: Path) -> list[Path]:
    return list(path.iterdir())
