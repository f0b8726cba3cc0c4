"""The Protocols of transcription engines. For providers/transcription and transcripts.

There are two kinds. A ``LocalEngine`` works on this machine and answers in one step; when its
worker dies, the work is done again and costs nothing but time. A ``RemoteEngine`` works elsewhere
for money and answers in steps, each of which leaves something to write down before the next one
is taken, so that a worker that dies between two steps is followed by one that pays nothing twice.

Everything an engine raises is one of the three kinds of ``sitin.contract.failures``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sitin.contract.base import Frozen
from sitin.contract.failures import RetriableError


class Word(Frozen):
    """One word; times in seconds from the start of the audio it was heard in."""

    word: str
    start: float
    end: float
    confidence: float
    """0 to 1."""


class Utterance(Frozen):
    """What one speaker said without a break; times in seconds from the start of the audio."""

    text: str
    language: str | None
    """ISO 639-1, as far as the engine knows it."""
    start: float
    end: float
    confidence: float
    """0 to 1."""
    channel: int = 0
    words: tuple[Word, ...] = ()
    speaker: int | None = None
    """The engine's own number for a voice, where it tells voices apart; holds within one audio."""


class Transcription(Frozen):
    """An engine's answer for one piece of audio, utterances by their start."""

    utterances: tuple[Utterance, ...]
    languages: tuple[str, ...]
    """ISO 639-1, without repetition."""
    duration: float
    """Seconds of audio."""
    raw: dict[str, Any]
    """The engine's payload as it came."""


class JobFailedError(RetriableError):
    """The provider has given this job up; a new one for the same audio may do better."""


@dataclass(frozen=True, slots=True)
class EngineCapabilities:
    """What an engine can do, asked instead of asking what it is."""

    name: str
    """As the API names it, e.g. ``gladia``."""
    per_participant: bool
    """Wants one piece of audio per participant and needs not tell voices apart."""
    max_duration: float | None = None
    """Longest piece of audio it is given, in seconds; ``None`` sets no limit."""


class LocalEngine(Protocol):
    """Turns audio into utterances on this machine, in one step."""

    @property
    def capabilities(self) -> EngineCapabilities:
        """What this engine can do."""
        ...

    async def transcribe(self, audio: Path, *, params: Mapping[str, Any]) -> Transcription:
        """Work through a FLAC file; cancelling ends the work.

        ``params`` are the customer's own; an engine takes what it understands and leaves the rest.
        """
        ...


class RemoteEngine(Protocol):
    """Turns audio into utterances elsewhere, in steps that can be taken by different processes.

    Every step takes the key it works under: the customer's own, or ``None`` for the install's. A
    job belongs to the key that created it.
    """

    @property
    def capabilities(self) -> EngineCapabilities:
        """What this engine can do."""
        ...

    @property
    def has_key(self) -> bool:
        """Whether the install has a key of its own."""
        ...

    async def upload(self, audio: Path, *, api_key: str | None) -> str:
        """Hand over a FLAC file, streaming; returns its address there. Costs nothing."""
        ...

    async def create(self, upload: str, *, params: Mapping[str, Any], api_key: str | None) -> str:
        """Order the transcription of what was uploaded; returns the job's id. This is paid for.

        ``params`` are the customer's own and go on unchanged, but for those that would lead the
        audio or the answer elsewhere.
        """
        ...

    async def find(self, upload: str, *, since: datetime, api_key: str | None) -> str | None:
        """The id of the job created for this upload after ``since``, if there is one.

        For the worker that finds an upload written down and no job: its forerunner may have died
        between ordering and writing.
        """
        ...

    async def result(self, job_id: str, *, api_key: str | None) -> Transcription | None:
        """The answer, or ``None`` while the provider still works on it.

        Raises ``JobFailedError`` when the provider has given up for a reason that may pass.
        """
        ...

    async def delete(self, job_id: str, *, api_key: str | None) -> None:
        """Have the audio and the answer deleted; what is gone already is no error.

        Raises ``RetriableError`` while the provider does not allow it yet.
        """
        ...


TranscriptionEngine = LocalEngine | RemoteEngine
