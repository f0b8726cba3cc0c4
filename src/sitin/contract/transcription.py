"""The Protocol of a transcription engine. For providers/transcription and transcripts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sitin.contract.base import Frozen


class Word(Frozen):
    """One word; times in seconds from the start of the audio it was heard in."""

    word: str
    start: float
    end: float
    confidence: float


class Utterance(Frozen):
    """What one speaker said without a break; times in seconds from the start of the audio."""

    text: str
    language: str | None
    start: float
    end: float
    confidence: float
    channel: int = 0
    words: tuple[Word, ...] = ()
    speaker: int | None = None
    """The engine's own number for a voice, where it tells voices apart."""


class Transcription(Frozen):
    """An engine's answer for one piece of audio."""

    utterances: tuple[Utterance, ...]
    languages: tuple[str, ...]
    duration: float
    """Seconds of audio."""
    raw: dict[str, Any]
    """The provider's payload as it came."""


class JobRef(Frozen):
    """Names a piece of work at an engine; enough to ask for it again after a restart."""

    id: str


@dataclass(frozen=True, slots=True)
class EngineCapabilities:
    """What an engine can do, asked instead of asking what it is."""

    name: str
    """As the API names it, e.g. ``gladia``."""
    per_participant: bool
    """Wants one piece of audio per participant and needs no diarization of its own."""
    max_duration: float
    """Longest piece of audio, in seconds."""


class TranscriptionEngine(Protocol):
    """Turns audio into utterances.

    Raises one of the three kinds of ``sitin.contract.failures``.
    """

    @property
    def capabilities(self) -> EngineCapabilities:
        """What this engine can do."""
        ...

    async def submit(self, audio: Path, *, params: Mapping[str, Any]) -> JobRef:
        """Hand over a FLAC file; ``params`` are the customer's own and go on unchanged."""
        ...

    async def result(self, job: JobRef) -> Transcription | None:
        """The answer, or ``None`` while the engine still works on it."""
        ...

    async def delete(self, job: JobRef) -> None:
        """Forget the audio and the answer; work that is gone already is no error."""
        ...
