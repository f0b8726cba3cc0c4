"""The transcript that is put together has the shape, the times and the names it should have."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from sitin.contract.recording import DiarizationSegment
from sitin.contract.transcription import Transcription, Utterance, Word
from sitin.transcripts.assembly import UNKNOWN, AnsweredPiece, assemble

pytestmark = pytest.mark.unit

BOT = UUID("0190a0b0-0000-7000-8000-000000000001")
AT = datetime(2026, 11, 23, 18, 5, 0, 123_000, tzinfo=UTC)


def heard(
    text: str, start: float, end: float, *, speaker: int | None = None, language: str = "en"
) -> Utterance:
    words = text.split()
    each = (end - start) / len(words)
    return Utterance(
        text=text,
        language=language,
        start=start,
        end=end,
        confidence=0.87654321,
        speaker=speaker,
        words=tuple(
            Word(word=word, start=start + i * each, end=start + (i + 1) * each, confidence=0.5)
            for i, word in enumerate(words)
        ),
    )


def answered(
    *utterances: Utterance, start: float = 0.0, participant: str | None = None, **raw: Any
) -> AnsweredPiece:
    languages = tuple(dict.fromkeys(u.language for u in utterances if u.language))
    answer = Transcription(utterances=utterances, languages=languages, duration=60, raw=raw)
    return AnsweredPiece(start=start, participant=participant, answer=answer)


def turn(speaker: str, start: float, end: float) -> DiarizationSegment:
    return DiarizationSegment(speaker=speaker, start_time=start, end_time=end)


def put_together(
    *pieces: AnsweredPiece, diarization: tuple[DiarizationSegment, ...] = (), duration: float = 60.0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two files, as they are written and read again."""
    output, raw, _ = assemble(
        BOT, engine="gladia", pieces=pieces, diarization=diarization, duration=duration, at=AT
    )
    return json.loads(output.model_dump_json()), json.loads(raw.model_dump_json())


def test_the_files_are_those_of_the_public_api() -> None:
    output, raw = put_together(answered(heard("good morning", 1, 2), participant="Ada", id="x"))
    assert output == {
        "bot_id": str(BOT),
        "provider": "gladia",
        "result": {
            "utterances": [
                {
                    "text": "good morning",
                    "language": "en",
                    "start": 1.0,
                    "end": 2.0,
                    "confidence": 0.8765,
                    "channel": 0,
                    "words": [
                        {"word": "good", "start": 1.0, "end": 1.5, "confidence": 0.5},
                        {"word": "morning", "start": 1.5, "end": 2.0, "confidence": 0.5},
                    ],
                    "speaker": "Ada",
                }
            ],
            "languages": ["en"],
            "total_utterances": 1,
            "total_duration": 60.0,
        },
        "created_at": "2026-11-23T18:05:00.123Z",
    }
    assert raw == {
        "bot_id": str(BOT),
        "transcriptions": [{"id": "x"}],
        "created_at": "2026-11-23T18:05:00.123Z",
    }


def test_participants_utterances_are_in_the_order_of_time_and_may_overlap() -> None:
    output, _ = put_together(
        answered(heard("one", 0, 4), heard("four", 10, 11), participant="Ada"),
        answered(heard("two", 3, 6), heard("three", 7, 8), participant="Grace"),
    )
    utterances = output["result"]["utterances"]
    assert [(u["speaker"], u["text"]) for u in utterances] == [
        ("Ada", "one"),
        ("Grace", "two"),
        ("Grace", "three"),
        ("Ada", "four"),
    ]
    assert utterances[1]["start"] < utterances[0]["end"]


def test_who_said_nothing_is_not_there() -> None:
    output, raw = put_together(answered(heard("one", 0, 1), participant="Ada"), answered())
    assert {u["speaker"] for u in output["result"]["utterances"]} == {"Ada"}
    assert len(raw["transcriptions"]) == 2


def test_later_chunks_are_shifted_and_their_voices_named_anew() -> None:
    diarization = (turn("Ada", 10, 12), turn("Grace", 20, 22), turn("Grace", 7210, 7212))
    output, _ = put_together(
        answered(heard("first", 10, 12, speaker=0), heard("second", 20, 22, speaker=1)),
        answered(heard("third", 10, 12, speaker=0), start=7200.0),
        diarization=diarization,
        duration=7300.0,
    )
    utterances = output["result"]["utterances"]
    assert [(u["speaker"], u["start"], u["end"]) for u in utterances] == [
        ("Ada", 10, 12),
        ("Grace", 20, 22),
        ("Grace", 7210, 7212),
    ]
    assert utterances[2]["words"][0]["start"] == 7210
    assert output["result"]["total_duration"] == 7300


def test_the_confidence_of_each_name_is_told() -> None:
    pieces = [answered(heard("first", 10, 14, speaker=3), heard("last", 50, 52, speaker=3))]
    _, _, voices = assemble(
        BOT,
        engine="gladia",
        pieces=pieces,
        diarization=[turn("Ada", 11, 13), turn("Grace", 51, 51)],
        duration=60,
        at=AT,
    )
    assert [(v.piece, v.voice, v.name.name, v.name.confidence) for v in voices] == [
        (0, 3, "Ada", 0.75)
    ]


def test_a_voice_nobody_spoke_at_keeps_its_number() -> None:
    output, _ = put_together(answered(heard("who", 30, 31, speaker=2)))
    assert output["result"]["utterances"][0]["speaker"] == "Speaker 3"


def test_an_engine_without_voices_has_each_utterance_named() -> None:
    output, _ = put_together(
        answered(heard("one", 10, 12), heard("two", 20, 22), heard("three", 40, 41)),
        diarization=(turn("Ada", 10, 12), turn("Grace", 20, 22)),
    )
    speakers = [u["speaker"] for u in output["result"]["utterances"]]
    assert speakers == ["Ada", "Grace", UNKNOWN]


def test_a_silent_meeting_has_an_empty_transcript() -> None:
    output, raw = put_together()
    assert output["result"] == {
        "utterances": [],
        "languages": [],
        "total_utterances": 0,
        "total_duration": 60.0,
    }
    assert raw["transcriptions"] == []


def test_languages_are_told_once() -> None:
    output, _ = put_together(
        answered(heard("one", 0, 1, language="en"), participant="Ada"),
        answered(heard("deux", 2, 3, language="fr"), heard("three", 4, 5), participant="Grace"),
    )
    assert output["result"]["languages"] == ["en", "fr"]
