"""Transcription engines in memory, one of each kind. They keep what they were given."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av

from sitin.contract.codes import EndReason
from sitin.contract.failures import AdapterError, PermanentError
from sitin.contract.transcription import EngineCapabilities, Transcription, Utterance

Hears = Callable[[Path], tuple[Utterance, ...]]


def hears_nothing(audio: Path) -> tuple[Utterance, ...]:
    return ()


def seconds_of(audio: Path) -> float:
    try:
        with av.open(str(audio)) as container:
            seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    except av.error.FFmpegError:
        seconds = 0.0
    if not seconds:
        raise PermanentError("This is no audio.", code=EndReason.TRANSCRIPTION_FAILED)
    return seconds


def transcription(audio: Path, utterances: tuple[Utterance, ...], engine: str) -> Transcription:
    return Transcription(
        utterances=utterances,
        languages=tuple(dict.fromkeys(u.language for u in utterances if u.language)),
        duration=seconds_of(audio),
        raw={"engine": engine, "utterances": [u.model_dump(mode="json") for u in utterances]},
    )


@dataclass
class FakeLocalEngine:
    """A ``LocalEngine`` that hears what the test says."""

    name: str = "fake-local"
    hears: Hears = hears_nothing
    failures: list[AdapterError] = field(default_factory=list)
    """Raised one after the other before it works."""
    given: list[Path] = field(default_factory=list)
    params: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def capabilities(self) -> EngineCapabilities:
        return EngineCapabilities(name=self.name, per_participant=True)

    async def transcribe(self, audio: Path, *, params: Mapping[str, Any]) -> Transcription:
        self.given.append(audio)
        self.params.append(params)
        if self.failures:
            raise self.failures.pop(0)
        return await asyncio.to_thread(transcription, audio, self.hears(audio), self.name)


@dataclass
class FakeJob:
    upload: str
    api_key: str | None
    params: Mapping[str, Any]
    created_at: datetime
    looks_left: int


@dataclass
class FakeRemoteEngine:
    """A ``RemoteEngine`` that hears what the test says; done after so many looks."""

    name: str = "fake-remote"
    hears: Hears = hears_nothing
    max_duration: float | None = 7200.0
    looks: int = 2
    has_key: bool = True
    uploads: dict[str, tuple[Path, Transcription]] = field(default_factory=dict)
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    failures: dict[str, list[AdapterError]] = field(default_factory=dict)
    """By step; raised one after the other before that step works."""

    @property
    def capabilities(self) -> EngineCapabilities:
        return EngineCapabilities(
            name=self.name, per_participant=False, max_duration=self.max_duration
        )

    async def upload(self, audio: Path, *, api_key: str | None) -> str:
        self._fail("upload")
        heard = await asyncio.to_thread(transcription, audio, self.hears(audio), self.name)
        address = f"memory:upload-{len(self.uploads) + 1}"
        self.uploads[address] = (audio, heard)
        return address

    async def create(self, upload: str, *, params: Mapping[str, Any], api_key: str | None) -> str:
        self._fail("create")
        job_id = f"job-{len(self.jobs) + 1}"
        self.jobs[job_id] = FakeJob(upload, api_key, params, datetime.now(UTC), self.looks)
        return job_id

    async def find(self, upload: str, *, since: datetime, api_key: str | None) -> str | None:
        self._fail("find")
        for job_id, job in self.jobs.items():
            if job.upload == upload and job.created_at >= since and job.api_key == api_key:
                return job_id
        return None

    async def result(self, job_id: str, *, api_key: str | None) -> Transcription | None:
        self._fail("result")
        job = self.jobs.get(job_id)
        if job is None or job.api_key != api_key:
            raise PermanentError("no such job", code=EndReason.TRANSCRIPTION_FAILED)
        job.looks_left = max(0, job.looks_left - 1)
        return None if job.looks_left else self.uploads[job.upload][1]

    async def delete(self, job_id: str, *, api_key: str | None) -> None:
        self._fail("delete")
        self.jobs.pop(job_id, None)

    def _fail(self, step: str) -> None:
        if self.failures.get(step):
            raise self.failures[step].pop(0)
