"""The two files that transcription leaves behind, as the public API describes them."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TranscriptWord(_File):
    """One word; seconds from the recording's start."""

    word: str
    start: float
    end: float
    confidence: float


class TranscriptUtterance(_File):
    """What one participant said without a break; seconds from the recording's start."""

    text: str
    language: str | None
    start: float
    end: float
    confidence: float
    channel: int
    words: tuple[TranscriptWord, ...]
    speaker: str
    """The participant's name."""


class TranscriptResult(_File):
    """What was said, by start."""

    utterances: tuple[TranscriptUtterance, ...]
    languages: tuple[str, ...]
    total_utterances: int
    total_duration: float
    """Seconds of recording."""


class OutputTranscription(_File):
    """``output_transcription.json``."""

    bot_id: UUID
    provider: str
    """The engine that did the work."""
    result: TranscriptResult
    created_at: str


class RawTranscription(_File):
    """``raw_transcription.json``: the engine's payloads, one for each piece of audio."""

    bot_id: UUID
    transcriptions: tuple[dict[str, Any], ...]
    created_at: str
