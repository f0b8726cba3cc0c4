"""A recorded meeting for the tests of transcripts, its files stored, and everything around it."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import select

from sitin.artifacts.models import Artifact
from sitin.artifacts.service import Artifacts
from sitin.contract.failures import AdapterError
from sitin.contract.recording import (
    ArtifactKind,
    ArtifactRef,
    DiarizationSegment,
    ParticipantRef,
    Recording,
)
from sitin.contract.transcription import LocalEngine, RemoteEngine, Utterance
from sitin.jobs.interface import JobQueue
from sitin.kit.clock import Clock, SystemClock
from sitin.kit.crypto import Keyring, new_key
from sitin.kit.database import Database
from sitin.kit.ids import new_id
from sitin.providers.storage.local import LocalObjectStore
from sitin.providers.transcription.registry import Engines
from sitin.transcripts.models import Transcript, TranscriptPiece
from sitin.transcripts.schemas import OutputTranscription, RawTranscription
from sitin.transcripts.service import TranscriptionOrder, TranscriptService, TranscriptState
from sitin.transcripts.tasks import Transcribe, Transcribed
from sitin.transcripts.work import OUTPUT_PATH, RAW_PATH, Pace, TranscriptWork
from tests.fakes.engines import FakeLocalEngine, FakeRemoteEngine
from tests.fakes.jobs import FakeJobQueue
from tests.speech import RATE, write_flac

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


class WatchedStore(LocalObjectStore):
    """A real store that tells what was read, and fails when asked to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read_keys: list[str] = []
        self.failures: list[AdapterError] = []
        """Raised one after the other before an object is stored."""

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.read_keys.append(key)
        return super().read(key, start=start, end=end)

    async def put_bytes(self, key: str, data: bytes, *, content_type: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        await super().put_bytes(key, data, content_type=content_type)


class Files(Artifacts):
    """The artifacts of all bots, in a directory that a test can reach into."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.watched = WatchedStore(directory)
        super().__init__(
            store=self.watched,
            keyring=Keyring([new_key()]),
            public_url="http://sitin.test",
            clock=SystemClock(),
        )

    def path(self, bot_id: UUID, path: str) -> Path:
        """Where a bot's file is stored, or may be put."""
        file = self.directory / "bots" / str(bot_id) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    @property
    def fetched(self) -> list[str]:
        """The paths of the files that were read."""
        return [key.split("/", 2)[2] for key in self.watched.read_keys]


def heard(text: str, start: float, end: float, *, speaker: int | None = None) -> Utterance:
    return Utterance(
        text=text, language="en", start=start, end=end, confidence=0.9, speaker=speaker
    )


def tone(seconds: float) -> np.ndarray[Any, np.dtype[np.int16]]:
    times = np.arange(int(seconds * RATE)) / RATE
    return (5000 * np.sin(2 * np.pi * 300 * times)).astype(np.int16)


def store_meeting(
    files: Files,
    bot_id: UUID,
    *,
    voices: Mapping[str, Path | None],
    diarization: list[tuple[str, float, float]],
    seconds: float = 5.0,
    mix: bool = True,
) -> Recording:
    """Store a recording's files; ``voices`` tells a track for each participant, or silence."""
    refs = []
    if mix:
        write_flac(files.path(bot_id, "output.flac"), tone(seconds))
        refs.append(_ref(ArtifactKind.AUDIO, "output.flac"))
    for number, (name, track) in enumerate(voices.items(), 1):
        path = f"participants/{number}.flac"
        if track is None:
            write_flac(files.path(bot_id, path), tone(0.5))
        else:
            files.path(bot_id, path).write_bytes(track.read_bytes())
        refs.append(_ref(ArtifactKind.PARTICIPANT_AUDIO, path, participant_id=f"id-{name}"))
    lines = [
        DiarizationSegment(speaker=name, start_time=start, end_time=end).model_dump_json()
        for name, start, end in diarization
    ]
    files.path(bot_id, "diarization.jsonl").write_text("\n".join([*lines, '{"speaker": "cut o']))
    refs.append(_ref(ArtifactKind.DIARIZATION, "diarization.jsonl"))
    spoke = {name for name, _, _ in diarization}
    return Recording(
        started_at=STARTED,
        duration=seconds,
        files=tuple(refs),
        participants=tuple(
            ParticipantRef(
                participant_id=f"id-{name}", name=name, number=number, spoke=name in spoke
            )
            for number, name in enumerate(voices, 1)
        ),
    )


def _ref(kind: ArtifactKind, path: str, **fields: Any) -> ArtifactRef:
    return ArtifactRef(kind=kind, path=path, size=1, content_type="audio/flac", **fields)


@dataclass
class JobsClock:
    """The time as the jobs in memory have it."""

    jobs: FakeJobQueue

    def now(self) -> datetime:
        return self.jobs.now


@dataclass
class House:
    """The rooms around a transcript; the jobs in memory."""

    database: Database
    files: Files
    directory: Path
    local: LocalEngine = field(default_factory=FakeLocalEngine)
    remote: RemoteEngine = field(default_factory=FakeRemoteEngine)
    default: str = "fake-local"
    jobs: FakeJobQueue = field(default_factory=FakeJobQueue)
    keyring: Keyring = field(default_factory=lambda: Keyring([new_key()]))
    bot_id: UUID = field(default_factory=new_id)
    answers: list[Transcribed] = field(default_factory=list)

    @property
    def engines(self) -> Engines:
        return Engines(
            local={self.local.capabilities.name: self.local},
            remote={self.remote.capabilities.name: self.remote},
            default=self.default,
        )

    def service(self) -> TranscriptService:
        return TranscriptService(
            engines=self.engines, jobs=self.jobs, keyring=self.keyring, clock=self.clock
        )

    def work(self, pace: Pace | None = None) -> TranscriptWork:
        return make_work(
            self.database,
            jobs=self.jobs,
            engines=self.engines,
            files=self.files,
            keyring=self.keyring,
            clock=self.clock,
            directory=self.directory,
            pace=pace,
        )

    @property
    def clock(self) -> Clock:
        return JobsClock(self.jobs)

    async def request(
        self,
        recording: Recording,
        *,
        provider: str = "fake-remote",
        api_key: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        order = TranscriptionOrder(provider=provider, api_key=api_key, params=params or {})
        async with self.database.transaction() as session:
            await self.service().request(session, self.bot_id, order=order, recording=recording)

    async def run_once(self, pace: Pace | None = None) -> None:
        """Run the job if it is due."""
        await self.jobs.work([self.work(pace).handler()])

    async def run_to_the_end(self, pace: Pace | None = None) -> None:
        await self.jobs.work_until_idle([self.work(pace).handler()])

    def told(self) -> list[Transcribed]:
        """The answers that bots would get."""
        return [job.payload for job in self.jobs.waiting if isinstance(job.payload, Transcribed)]

    def waits(self) -> list[Transcribe]:
        return [job.payload for job in self.jobs.waiting if isinstance(job.payload, Transcribe)]

    async def state(self) -> TranscriptState:
        async with self.database.transaction() as session:
            state = await self.service().state(session, self.bot_id)
        assert state is not None
        return state

    async def row(self) -> Transcript:
        async with self.database.transaction() as session:
            row = await session.get(Transcript, self.bot_id)
        assert row is not None
        return row

    async def kept_answers(self) -> list[bytes | None]:
        async with self.database.transaction() as session:
            return list(
                await session.scalars(
                    select(TranscriptPiece.answer)
                    .where(TranscriptPiece.bot_id == self.bot_id)
                    .order_by(TranscriptPiece.number)
                )
            )

    async def listed(self) -> list[tuple[str, str]]:
        """Kind and path of the bot's artifacts, by path."""
        async with self.database.transaction() as session:
            found = await session.scalars(select(Artifact).order_by(Artifact.key))
            return [(artifact.kind, artifact.key.split("/", 2)[2]) for artifact in found]

    def output(self) -> OutputTranscription:
        content = self.files.path(self.bot_id, OUTPUT_PATH).read_bytes()
        return OutputTranscription.model_validate_json(content)

    def raw(self) -> RawTranscription:
        content = self.files.path(self.bot_id, RAW_PATH).read_bytes()
        return RawTranscription.model_validate_json(content)

    def said(self) -> list[tuple[str, str, float]]:
        return [(u.speaker, u.text, u.start) for u in self.output().result.utterances]


def make_work(
    database: Database,
    *,
    jobs: JobQueue,
    engines: Engines,
    files: Files,
    keyring: Keyring,
    clock: Clock,
    directory: Path,
    pace: Pace | None = None,
) -> TranscriptWork:
    return TranscriptWork(
        database=database,
        jobs=jobs,
        engines=engines,
        files=files,
        keyring=keyring,
        clock=clock,
        directory=directory,
        pace=pace,
    )


Hears = Callable[[Path], tuple[Utterance, ...]]


def hears_by_name(by_name: Mapping[str, tuple[Utterance, ...]]) -> Hears:
    """What an engine hears, by the end of the file's name without its ending."""

    def hears(audio: Path) -> tuple[Utterance, ...]:
        for name, utterances in by_name.items():
            if audio.stem.endswith(name):
                return utterances
        return ()

    return hears
