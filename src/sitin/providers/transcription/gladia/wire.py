"""What Gladia's v2 API says, as far as it is read here. Used by the engine beside it only.

Field names, statuses and optionality are those of the vendor's published schema (SDK 2.2). Fields
that nobody here reads are not declared; they stay in the raw payload.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field, FiniteFloat

from sitin.contract.transcription import Transcription, Utterance, Word


class UploadResponse(BaseModel):
    """The answer to an upload."""

    audio_url: str = Field(min_length=1)


class CreateResponse(BaseModel):
    """The answer to an order."""

    id: str = Field(min_length=1, max_length=200)


class WireWord(BaseModel):
    """One word; seconds."""

    word: str
    start: FiniteFloat
    end: FiniteFloat
    confidence: FiniteFloat = 0.0


class WireUtterance(BaseModel):
    """One utterance; seconds."""

    text: str
    language: str | None = None
    start: FiniteFloat
    end: FiniteFloat
    confidence: FiniteFloat = 0.0
    channel: int = 0
    speaker: int | None = None
    words: list[WireWord] = []


class WireTranscription(BaseModel):
    """``result.transcription``."""

    languages: list[str] = []
    utterances: list[WireUtterance] = []


class WireMetadata(BaseModel):
    """``result.metadata``."""

    audio_duration: FiniteFloat


class WireResult(BaseModel):
    """``result`` of a job that is done."""

    metadata: WireMetadata
    transcription: WireTranscription | None = None


class WireParams(BaseModel):
    """``request_params``: what the job was ordered with."""

    audio_url: str | None = None


class WireJob(BaseModel):
    """A job."""

    id: str
    status: Literal["queued", "processing", "done", "error"]
    error_code: int | None = None
    """An HTTP status that tells why, inside an answer whose own status is 200."""
    request_params: WireParams | None = None
    result: WireResult | None = None


class WirePage(BaseModel):
    """A page of the list of jobs."""

    items: list[WireJob]
    next: str | None = None


def to_transcription(result: WireResult, raw: dict[str, Any]) -> Transcription:
    """Translate a result; times that make no sense are put right, not refused."""
    heard = result.transcription or WireTranscription()
    utterances = sorted(
        (_to_utterance(utterance) for utterance in heard.utterances),
        key=lambda utterance: (utterance.start, utterance.end),
    )
    return Transcription(
        utterances=tuple(utterances),
        languages=tuple(dict.fromkeys(heard.languages)),
        duration=max(0.0, result.metadata.audio_duration),
        raw=raw,
    )


def _to_utterance(utterance: WireUtterance) -> Utterance:
    start = max(0.0, utterance.start)
    return Utterance(
        text=utterance.text.strip(),
        language=utterance.language,
        start=start,
        end=max(start, utterance.end),
        confidence=_share(utterance.confidence),
        channel=utterance.channel,
        speaker=utterance.speaker,
        words=tuple(
            Word(
                word=word.word.strip(),
                start=max(0.0, word.start),
                end=max(0.0, word.start, word.end),
                confidence=_share(word.confidence),
            )
            for word in utterance.words
        ),
    )


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
