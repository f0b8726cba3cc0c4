"""What a recording holds, against what was sent. Times are seconds from the recording's start."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import av
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from sitin.rehearsal import Truth
from sitin.rehearsal.marks import FrameMark
from sitin.runner.capture.mp4 import duration
from sitin.runner.capture.sound import RATE
from tests.runner.capture.media import boxes, loudness, read_sound, read_video, stream_ends

COLLAR = 0.25
"""Seconds on each side of a boundary that do not count."""
LOUD = 300
"""A voice is louder than this, root mean square of 16 bits; silence is exact."""


@dataclass(frozen=True)
class Spoken:
    """A turn as it should be found in the recording."""

    speaker: str
    start: float
    end: float

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


def spoken(truth: Truth, started: datetime) -> list[Spoken]:
    """What a recording that began at this moment can hold of the turns of a meeting."""
    turns = [
        Spoken(
            one.speaker,
            max(0.0, (one.start - started).total_seconds()),
            (one.end - started).total_seconds(),
        )
        for one in truth.turns
    ]
    return [one for one in turns if one.end > 0]


def segments(path: Path) -> list[dict[str, Any]]:
    """The lines of a diarization."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def diarization_error(path: Path, turns: Sequence[Spoken], *, seconds: float) -> float:
    """The share of speech that was given to the wrong speaker, missed or made up."""
    reference, hypothesis = Annotation(), Annotation()
    for number, turn in enumerate(turns):
        reference[Segment(turn.start, turn.end), number] = turn.speaker
    for number, row in enumerate(segments(path)):
        hypothesis[Segment(row["start_time"], row["end_time"]), number] = row["speaker"]
    # The library's collar is the whole width around a boundary.
    metric = DiarizationErrorRate(collar=2 * COLLAR)
    return float(metric(reference, hypothesis, uem=Timeline([Segment(0.0, seconds)])))


def check_sound(path: Path, turns: Sequence[Spoken], *, silent: Sequence[Spoken] = ()) -> float:
    """Assert that a FLAC is heard in these turns and not in those; gives its seconds."""
    with av.open(str(path)) as container:
        assert [one.codec_context.name for one in container.streams] == ["flac"]
    samples = read_sound(path)
    for turn in turns:
        assert loudness(samples[int(turn.start * RATE) : int(turn.end * RATE)]) > LOUD, turn
    for turn in silent:
        at = int(turn.middle * RATE)
        assert loudness(samples[at - RATE // 10 : at + RATE // 10]) < LOUD, turn
    return samples.size / RATE


def check_video(path: Path) -> tuple[float, list[tuple[float, FrameMark | None]]]:
    """Assert that an MP4 is one for the web, whole; gives its seconds and every picture's mark."""
    outermost = boxes(path)
    assert outermost.index("moov") < outermost.index("mdat")
    with av.open(str(path)) as container:
        assert {one.codec_context.name for one in container.streams} == {"h264", "aac"}
    ends = stream_ends(path)
    assert abs(ends["video"] - ends["audio"]) < 0.1
    pictures = read_video(path)
    assert pictures[-1][0] > ends["audio"] - 0.2
    return duration(path), pictures
