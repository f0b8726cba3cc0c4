"""Puts the answers for all pieces of a meeting together. Used by the work on transcripts."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sitin.contract.recording import DiarizationSegment
from sitin.contract.transcription import Transcription, Utterance
from sitin.kit.clock import iso
from sitin.transcripts.naming import Interval, Name, name_voices
from sitin.transcripts.schemas import (
    OutputTranscription,
    RawTranscription,
    TranscriptResult,
    TranscriptUtterance,
    TranscriptWord,
)

UNKNOWN = "Unknown speaker"
"""Who said what nobody can be told to have said."""


@dataclass(frozen=True, slots=True)
class AnsweredPiece:
    """A piece of a meeting's audio and what the engine made of it."""

    start: float
    """Where the piece begins in the recording, in seconds."""
    participant: str | None
    """Whose voice it holds, when it is one participant's."""
    answer: Transcription


@dataclass(frozen=True, slots=True)
class VoiceName:
    """Which name a voice of a piece was given, and how sure that is."""

    piece: int
    """0-based."""
    voice: int
    name: Name


def assemble(
    bot_id: UUID,
    *,
    engine: str,
    pieces: Sequence[AnsweredPiece],
    diarization: Sequence[DiarizationSegment],
    duration: float,
    at: datetime,
) -> tuple[OutputTranscription, RawTranscription, list[VoiceName]]:
    """Make the two files, and tell how the mix's voices were named.

    Args:
        bot_id: Whose meeting it is.
        engine: The engine that did the work.
        pieces: By their number.
        diarization: Who spoke when, in seconds from the recording's start.
        duration: The recording's length in seconds.
        at: Now.
    """
    names = name_voices(_voices(pieces), diarization)
    utterances = [
        _shifted(utterance, piece.start, speaker=_speaker(piece, key, names))
        for key, piece, utterance in _said(pieces)
    ]
    utterances.sort(key=lambda utterance: (utterance.start, utterance.end, utterance.speaker))
    languages = dict.fromkeys(
        language for piece in pieces for language in piece.answer.languages if language
    )
    output = OutputTranscription(
        bot_id=bot_id,
        provider=engine,
        result=TranscriptResult(
            utterances=tuple(utterances),
            languages=tuple(languages),
            total_utterances=len(utterances),
            total_duration=round(duration, 3),
        ),
        created_at=iso(at),
    )
    raw = RawTranscription(
        bot_id=bot_id,
        transcriptions=tuple(piece.answer.raw for piece in pieces),
        created_at=iso(at),
    )
    voices = [
        VoiceName(piece=key.piece, voice=key.voice, name=name)
        for key, name in names.items()
        if isinstance(key, _Voice)
    ]
    return output, raw, voices


@dataclass(frozen=True, slots=True)
class _Voice:
    """A voice that the engine has numbered; the numbers begin anew in each piece."""

    piece: int
    voice: int


@dataclass(frozen=True, slots=True)
class _Utterance:
    """An utterance of which the engine does not say whose voice it is: a voice of its own."""

    piece: int
    number: int


def _said(pieces: Sequence[AnsweredPiece]) -> Iterator[tuple[Hashable, AnsweredPiece, Utterance]]:
    for number, piece in enumerate(pieces):
        for index, utterance in enumerate(piece.answer.utterances):
            key: _Voice | _Utterance
            if utterance.speaker is None:
                key = _Utterance(number, index)
            else:
                key = _Voice(number, utterance.speaker)
            yield key, piece, utterance


def _voices(pieces: Sequence[AnsweredPiece]) -> dict[Hashable, list[Interval]]:
    voices: defaultdict[Hashable, list[Interval]] = defaultdict(list)
    for key, piece, utterance in _said(pieces):
        if piece.participant is None:
            voices[key].append((piece.start + utterance.start, piece.start + utterance.end))
    return voices


def _speaker(piece: AnsweredPiece, key: Hashable, names: dict[Hashable, Name]) -> str:
    if piece.participant is not None:
        return piece.participant
    if key in names:
        return names[key].name
    return f"Speaker {key.voice + 1}" if isinstance(key, _Voice) else UNKNOWN


def _shifted(utterance: Utterance, by: float, *, speaker: str) -> TranscriptUtterance:
    return TranscriptUtterance(
        text=utterance.text,
        language=utterance.language,
        start=round(by + utterance.start, 3),
        end=round(by + utterance.end, 3),
        confidence=round(utterance.confidence, 4),
        channel=utterance.channel,
        words=tuple(
            TranscriptWord(
                word=word.word,
                start=round(by + word.start, 3),
                end=round(by + word.end, 3),
                confidence=round(word.confidence, 4),
            )
            for word in utterance.words
        ),
        speaker=speaker,
    )
