import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sitin.rehearsal.truth import Ledger, SentVideo, SpokenSound, Turn, turns_of

pytestmark = pytest.mark.unit

ZERO = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)


def sound(
    who: str, start: float, end: float, text: str = "x", *, whole: bool = True
) -> SpokenSound:
    return SpokenSound(
        who, who, text, ZERO + timedelta(seconds=start), ZERO + timedelta(seconds=end), whole
    )


def told(turns: list[Turn]) -> list[tuple[str, float, float, str]]:
    return [
        (
            turn.speaker,
            (turn.start - ZERO).total_seconds(),
            (turn.end - ZERO).total_seconds(),
            turn.text,
        )
        for turn in turns
    ]


def test_sounds_of_one_speaker_close_together_are_one_turn() -> None:
    turns = turns_of([sound("a", 0, 1, "one"), sound("a", 1.79, 3, "two")])
    assert told(turns) == [("a", 0, 3, "one two")]


def test_a_pause_of_800_ms_parts_turns() -> None:
    assert len(turns_of([sound("a", 0, 1), sound("a", 1.8, 3)])) == 2


def test_somebody_speaking_in_between_does_not_part_a_turn() -> None:
    turns = turns_of([sound("a", 0, 1), sound("b", 1.1, 1.4), sound("a", 1.5, 3)])
    assert told(turns) == [("a", 0, 3, "x x"), ("b", 1.1, 1.4, "x")]


def test_two_at_once_are_two_turns() -> None:
    turns = turns_of([sound("b", 0.5, 2), sound("a", 0, 3)])
    assert [turn.speaker for turn in turns] == ["a", "b"]


def test_a_turn_is_complete_when_all_of_it_was_heard() -> None:
    turns = turns_of([sound("a", 0, 1), sound("a", 1.1, 1.3, whole=False), sound("b", 0, 1)])
    assert [turn.complete for turn in turns] == [False, True]


def test_frames_are_counted_from_the_first_to_the_last() -> None:
    ledger = Ledger("abc-defg-hij")
    video = SentVideo("v", "a", "camera", 3, "s")
    ledger.videos += [video, SentVideo("v", "b", "camera", 4, "t")]
    for frame in (25, 26, 27):
        video.sent(frame)
    (only,) = ledger.truth().video
    assert (only.feed, only.frames, only.first_frame, only.last_frame) == (3, 3, 25, 27)
    assert only.first_at <= only.last_at


def test_it_is_written_as_json(tmp_path: Path) -> None:
    ledger = Ledger("abc-defg-hij", opened_at=ZERO)
    ledger.sounds.append(sound("Ada", 1, 2.5, "good morning"))
    ledger.truth().write(tmp_path / "truth.json")
    assert [path.name for path in tmp_path.iterdir()] == ["truth.json"]
    data = json.loads((tmp_path / "truth.json").read_text())
    assert data["turns"][0] == {
        "speaker": "Ada",
        "participant": "Ada",
        "start": "2026-11-23T18:00:01Z",
        "end": "2026-11-23T18:00:02.500000Z",
        "text": "good morning",
        "complete": True,
    }
